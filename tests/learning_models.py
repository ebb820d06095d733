"""Small declared models of every family that training must serve, with random arrays."""

from __future__ import annotations

import tomllib

import numpy as np

from physebm.schema.load import Loaded, load
from physebm.schema.model_file import read_model

PRIORS = {
    "bernoulli": 'prior = "bernoulli"',
    "ising": 'prior = "ising"',
    "potts": 'prior = "potts", q = 3',
    "gaussian": 'prior = "gaussian", variance = "{name}_variance"',
    "truncated_gaussian": 'prior = "truncated_gaussian", variance = "{name}_variance", lower = 0.3',
}


def declared(text: str, name: str = "model") -> Loaded:
    """A model from the text of its table."""
    return load(read_model(name, tomllib.loads(text), name))


def _layer(name: str, prior: str, n: int, visible: bool) -> tuple[str, str, str, list[str]]:
    unit = PRIORS[prior].format(name=name)
    mark = ", visible = true" if visible else ""
    units = f"{name} = {{ {unit}, shape = {n}{mark} }}\n"
    states = ", 3" if prior == "potts" else ""
    arrays = f'{name}_h = {{ law = "normal", std = 0.4, shape = [{n}{states}], trainable = true }}\n'
    if "gaussian" in prior:
        arrays += (
            f'{name}_variance = {{ law = "uniform", low = 0.6, high = 1.3, shape = {n}, '
            "trainable = true }\n"
        )
    term = f'[[terms]]\nfield = "{name}"\nh = "{name}_h"\nscale = 1.3\n'
    return units, arrays, term, ["3"] if prior == "potts" else []


def rbm(visible: str, hidden: str, nv: int = 4, nh: int = 3, std: float = 0.4) -> Loaded:
    """A restricted machine with trainable couplings, fields and variances."""
    v = _layer("v", visible, nv, True)
    h = _layer("h", hidden, nh, False)
    shape = ", ".join([str(nv), str(nh), *v[3], *h[3]])
    return declared(
        f"[units]\n{v[0]}{h[0]}[arrays]\n{v[1]}{h[1]}"
        f'W = {{ law = "normal", std = {std}, shape = [{shape}], trainable = true }}\n'
        '[[terms]]\ncouple = ["v", "h"]\nJ = "W"\nscale = 0.7\n'
        f"{v[2]}{h[2]}"
    )


RBM_PAIRS = [
    (v, h)
    for v in ("bernoulli", "ising", "gaussian", "potts")
    for h in ("bernoulli", "ising", "gaussian", "truncated_gaussian", "potts")
]

FULLY_VISIBLE = {
    "boltzmann machine": """
[units]
s = { prior = "ising", shape = 5, visible = true }
[arrays]
J = { law = "normal", std = 0.5, shape = [5, 5], trainable = true }
b = { law = "normal", std = 0.3, shape = 5, trainable = true }
[[terms]]
couple = ["s", "s"]
J = "J"
scale = 0.8
[[terms]]
field = "s"
h = "b"
""",
    "potts machine": """
[units]
s = { prior = "potts", q = 3, shape = 4, visible = true }
[arrays]
J = { law = "normal", std = 0.5, shape = [4, 4, 3, 3], trainable = true }
b = { law = "normal", std = 0.3, shape = [4, 3], trainable = true }
[[terms]]
couple = ["s", "s"]
J = "J"
[[terms]]
field = "s"
h = "b"
""",
    "potts machine with delta couplings": """
[units]
s = { prior = "potts", q = 3, shape = 4, visible = true }
[arrays]
J = { law = "normal", std = 0.5, shape = [4, 4], trainable = true }
[[terms]]
couple = ["s", "s"]
J = "J"
""",
    "lattice": """
[units]
s = { prior = "ising", shape = [3, 2], visible = true }
[arrays]
J = { law = "normal", std = 0.5, shape = [2, 3, 2], trainable = true }
[[terms]]
couple = ["s", "s"]
on = { lattice = "square", boundary = "periodic" }
J = "J"
""",
    "sparse potts graph": """
[units]
s = { prior = "potts", q = 3, shape = 6, visible = true }
[arrays]
J = { law = "normal", std = 0.5, shape = ["edges", 3, 3], trainable = true }
[[terms]]
couple = ["s", "s"]
on = { graph = "random-regular", degree = 3 }
J = "J"
""",
    "patterns": """
[units]
s = { prior = "bernoulli", shape = 6, visible = true }
[arrays]
xi = { law = "normal", std = 0.6, shape = [2, 6], trainable = true }
[[terms]]
couple = ["s", "s"]
patterns = "xi"
scale = "1 / 6"
""",
    "p-spin": """
[units]
s = { prior = "ising", shape = 5, visible = true }
[arrays]
J3 = { law = "normal", std = 0.5, shape = [5, 5, 5], trainable = true }
[[terms]]
couple = ["s", "s", "s"]
J = "J3"
""",
    "gaussian": """
[units]
s = { prior = "gaussian", variance = "v", shape = 4, visible = true }
[arrays]
v = { law = "uniform", low = 0.5, high = 0.9, shape = 4, trainable = true }
J = { law = "normal", std = 0.15, shape = [4, 4], trainable = true }
b = { law = "normal", std = 0.3, shape = 4, trainable = true }
[[terms]]
couple = ["s", "s"]
J = "J"
[[terms]]
field = "s"
h = "b"
""",
}

DEEP = """
[units]
v = { prior = "bernoulli", shape = 4, visible = true }
g = { prior = "bernoulli", shape = 3 }
h = { prior = "ising", shape = 2 }
[arrays]
W1 = { law = "normal", std = 0.7, shape = [4, 3], trainable = true }
W2 = { law = "normal", std = 0.7, shape = [3, 2], trainable = true }
b = { law = "normal", std = 0.3, shape = 3, trainable = true }
[[terms]]
couple = ["v", "g"]
J = "W1"
[[terms]]
couple = ["g", "h"]
J = "W2"
[[terms]]
field = "g"
h = "b"
"""


def family(name: str) -> Loaded:
    """A model by the name that tests use as their parameter."""
    if name == "deep":
        return declared(DEEP)
    if name in FULLY_VISIBLE:
        return declared(FULLY_VISIBLE[name])
    visible, hidden = name.split(" x ")
    return rbm(visible, hidden)


FAMILIES = [*FULLY_VISIBLE, *(f"{v} x {h}" for v, h in RBM_PAIRS)]


def some_visibles(loaded: Loaded, rows: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Random configurations of the visible groups ``{group: x[row, unit]}``."""
    rng = np.random.default_rng(seed)
    states = {}
    for group in loaded.hamiltonian.counted:
        shape = (rows, group.size)
        if group.prior.discrete:
            states[group.name] = rng.choice(group.prior.states, shape)
        else:
            states[group.name] = rng.normal(0.4, 1.0, shape)
    return states


def nudged(loaded: Loaded, params, slot: str, place: tuple[int, ...], by: float):
    """Params with one free number of an array changed: a coupling together with its mirror image."""
    values = params.arrays[slot].copy()
    values[(0, *place)] += by
    if slot in loaded.structure.mirrored:
        mirror = (place[1], place[0], *reversed(place[2:]))
        if mirror != place:
            values[(0, *mirror)] += by
    return params.with_arrays(**{slot: values})


def free_places(loaded: Loaded, params, slot: str) -> list[tuple[int, ...]]:
    """The independent entries of an array: ``i < j`` of symmetric couplings and of p-spin tensors."""
    shape = params.arrays[slot].shape[1:]
    places = list(np.ndindex(*shape))
    if slot in loaded.structure.mirrored:
        places = [p for p in places if p[0] < p[1]]
    if slot == "J3":
        places = [p for p in places if p[0] < p[1] < p[2]]
    return places

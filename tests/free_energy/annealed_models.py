"""Models with an exact log Z from elsewhere, as paths that annealed runs walk along.

RBMs of the reference: ``E = - a.v - v W h + sum_j U_j(h_j)``, Lebesgue measure for continuous
units. Here priors are normalised, so that its ln Z is larger by ``(1/2) ln(2 pi / gamma)`` per
Gaussian hidden unit of variance 1/gamma, and by ``(1/2) ln(pi / (2 gamma))`` per unit truncated at
0, whose field here is -theta. The Curie-Weiss model of the reference keeps the i = j terms: its ln
Z is larger by beta/2.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path as File

import numpy as np
from learning_models import declared
from small_models import loaded as zoo

from physebm.backends.select import select
from physebm.free_energy.path import Path, scaled_path
from physebm.free_energy.schedule import equal_speed
from physebm.theory.enumeration import enumerate_states, sample_exact

REFERENCE = File(__file__).parents[1] / "reference"
NUMBA = select("numba")

MACHINE = """
[units]
v = {{ prior = "{visible}", shape = {N}, visible = true }}
h = {{ {hidden} }}
[arrays]
W = {{ law = "normal", std = 1, shape = [{N}, {M}] }}
a = {{ law = "normal", std = 1, shape = {N} }}
b = {{ law = "normal", std = 1, shape = {M} }}
{variance}
[[terms]]
couple = ["v", "h"]
J = "W"
[[terms]]
field = "v"
h = "a"
[[terms]]
field = "h"
h = "b"
"""


@dataclass(frozen=True)
class Known:
    """A model at one coefficient row with its exact log Z."""

    hamiltonian: object
    params: object
    row: object
    log_z: float

    def path(self, factors) -> Path:
        return scaled_path(self.hamiltonian, self.params, self.row, np.asarray(factors, dtype=float))

    def starts(self, count: int, key=(11, 12)) -> dict[str, np.ndarray]:
        """Independent exact configurations."""
        exact = enumerate_states(self.hamiltonian, self.params, self.row)
        return sample_exact(exact, count, key)


def reference(name: str):
    """The data of a file of independent numbers."""
    return json.loads((REFERENCE / f"{name}.json").read_text())["data"]


def _zoo(name: str, beta: float, log_z: float, arrays=None, **sizes) -> Known:
    model = zoo(name, tuple(sizes.items()))
    params = model.params(0)
    if arrays:
        params = params.with_arrays(**{k: np.array(x, dtype=float)[None] for k, x in arrays.items()})
    return Known(model.hamiltonian, params, model.coefficients([1.0 / beta]), log_z)


def _machine(hidden: str) -> Known:
    case = next(c for c in reference("rbm_exact")["rbm"] if c["hidden"] == hidden)
    M, p, shift, variance = case["M"], case["params"], 0.0, ""
    declaration = f'prior = "{hidden}", shape = {M}'
    arrays = {"W": case["W"], "a": case["a"]}
    if "gamma" in p:
        gamma = np.array(p["gamma"])
        kind = 'truncated_gaussian", lower = 0' if hidden == "relu" else 'gaussian"'
        declaration = f'prior = "{kind}, variance = "variance", shape = {M}'
        variance = f'variance = {{ law = "uniform", low = 1, high = 2, shape = {M} }}'
        arrays["variance"] = 1.0 / gamma
        shift = 0.5 * np.log((0.5 * np.pi if hidden == "relu" else 2.0 * np.pi) / gamma).sum()
    arrays["b"] = -np.array(p["theta"]) if "theta" in p else p["b"]
    text = MACHINE.format(
        visible=case["visible"], N=case["N"], M=M, hidden=declaration, variance=variance
    )
    model = declared(text)
    params = model.params(0).with_arrays(
        **{k: np.array(x, dtype=float)[None] for k, x in arrays.items()}
    )
    exact = case["exact"]["lnZ"] - float(shift)
    return Known(model.hamiltonian, params, model.coefficients([1.0]), exact)


def curie_weiss(beta: float, N: int = 64, h: float = 0.0) -> Known:
    cases = reference("curie_weiss")["finite_N"]
    case = next(c for c in cases if (c["N"], c["beta"], c["h"]) == (N, beta, h))
    return _zoo("curie_weiss", beta, case["lnZ"] - beta / 2.0, N=N, h=h)


def ising_4x4(beta: float) -> Known:
    dos = next(c for c in reference("ising2d")["dos"] if c["L"] == 4)
    energies = dos["E0"] + dos["dE"] * np.arange(len(dos["g"]))
    terms = np.log(np.maximum(np.array(dos["g"], dtype=float), 1e-300)) - beta * energies
    return _zoo("ising_2d", beta, float(np.logaddexp.reduce(terms)), L=4, J=1.0, h=0.0)


def sk(beta: float) -> Known:
    (case,) = reference("spinglass")["sk_finite"]
    log_z = next(t["lnZ"] for t in case["thermo"] if t["beta"] == beta)
    return _zoo("sk", beta, log_z, {"J": case["J"]}, N=case["N"], h=0.0)


def potts(beta: float) -> Known:
    case = next(c for c in reference("potts2d")["enumeration"] if c["q"] == 3)
    log_z = next(t["lnZ"] for t in case["thermo"] if t["beta"] == beta)
    return _zoo("potts_2d", beta, log_z, L=3, q=3, J=1.0)


def random_machine(visible: str) -> Known:
    """784 x 500 units with random couplings above their transition; log Z to about 0.03."""
    (case,) = reference("rbm_large_hightemp")
    N, M = case["N"], case["M"]
    w = np.random.default_rng(case["seed"]).normal(size=(N, M)) * np.sqrt(np.sqrt(case["x"] / (N * M)))
    assert abs(w.sum() - case["check_sum"]) < 1e-9
    arrays = {"W": w, "a": np.zeros(N), "b": np.zeros(M)}
    if visible == "bernoulli":
        # s = 2v - 1, t = 2h - 1, and the constant that this leaves is in the reference
        arrays = {"W": 4.0 * w, "a": -2.0 * w.sum(axis=1), "b": -2.0 * w.sum(axis=0)}
    hidden = f'prior = "{visible}", shape = {M}'
    model = declared(MACHINE.format(visible=visible, N=N, M=M, hidden=hidden, variance=""))
    params = model.params(0).with_arrays(**{name: x[None] for name, x in arrays.items()})
    log_z = case[f"lnZ_{visible}"]
    return Known(model.hamiltonian, params, model.coefficients([1.0]), log_z)


KNOWN = {
    "curie-weiss": lambda: curie_weiss(1.0),
    "ising 4x4": lambda: ising_4x4(0.44),
    "sk": lambda: sk(1.0),
    "potts": lambda: potts(1.0050525),
    "rbm bernoulli": lambda: _machine("bernoulli"),
    "rbm gaussian": lambda: _machine("gaussian"),
    "rbm truncated gaussian": lambda: _machine("relu"),
}


@cache
def known(name: str) -> Known:
    return KNOWN[name]()


@cache
def spaced(name: str, rows: int) -> Path:
    """The path of a known model through rows at equal thermodynamic distances."""
    model = known(name)
    return model.path(equal_speed(model.path([0.0, 1.0]), NUMBA, rows, seed=5))

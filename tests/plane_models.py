"""Small models whose lanes are bit-sliced: every kind of field and graph."""

import numpy as np
from small_models import loaded

from physebm.backends import base
from physebm.backends.base import Lanes, LaneState
from physebm.lowering.operands import bind
from physebm.lowering.pipeline import Options, lower
from physebm.model.params import stack
from physebm.sampling import initial
from physebm.schema.load import load as load_declared
from physebm.schema.model_file import read_model

TEMPERATURES = (0.4, 1.5, 3.0)
# (model, its parameters, method, instances): every kind of field and graph
CASES = {
    "square": ("ising_2d", {"L": 6, "h": 0.0}, "heat-bath", 1),
    "square in a field, metropolis": ("ising_2d", {"L": 5, "h": 0.3}, "metropolis", 1),
    "cubic, signs by instance": ("edwards_anderson_3d", {"L": 3}, "heat-bath", 3),
    "cubic, signs, metropolis": ("edwards_anderson_3d", {"L": 2}, "metropolis", 3),
    "triangular": ("ising_triangular", {"L": 5}, "heat-bath", 1),
    "regular graphs": ("random_regular_spin_glass", {"N": 40, "degree": 3}, "heat-bath", 3),
    "diluted graphs": ("diluted", {}, "heat-bath", 3),
    "open boundaries": ("open", {}, "heat-bath", 2),
    "lattice gas": ("gas", {}, "heat-bath", 1),
    "lattice gas, metropolis": ("gas", {}, "metropolis", 1),
}


def declared(name: str):
    units = {"s": {"prior": "bernoulli" if name == "gas" else "ising", "shape": [5, 4]}}
    on = {"lattice": "square", "boundary": "open"}
    if name == "diluted":
        on = {"graph": "erdos-renyi", "mean_degree": 2.5}
    bond = {"couple": ["s", "s"], "on": on, "J": 1}
    terms, arrays = [bond], {}
    if name == "gas":
        terms.append({"field": "s", "h": -1.3})
    else:
        bond["J"] = "J"
        arrays["J"] = {
            "law": "rademacher",
            "shape": ["edges"] if name == "diluted" else [2, 5, 4],
        }
    table = {"title": name, "units": units, "terms": terms}
    return load_declared(read_model(name, table | ({"arrays": arrays} if arrays else {}), "test"))


class Model:
    """A model, its plan for many lanes, and what kernels read."""

    def __init__(self, name, parameters, method="heat-bath", instances=1, temperatures=TEMPERATURES):
        own = name in ("diluted", "open", "gas")
        self.loaded = declared(name) if own else loaded(name, tuple(parameters.items()))
        self.params = stack([self.loaded.params(0, r) for r in range(instances)])
        self.plan = lower(self.loaded.hamiltonian, Options.of(self.params, method, 64))
        self.operands = bind(self.plan, self.loaded.hamiltonian, self.params)
        self.launch = self.launch_at(temperatures)
        self.name = self.plan.groups[0].name

    def launch_at(self, temperatures):
        return base.launch(self.plan, self.operands, self.loaded.coefficients(list(temperatures)))

    def lanes(self, count: int, keys: int = 2, seed: int = 0) -> Lanes:
        """Lanes of all instances and rungs in no order, under a few keys."""
        rng, index = np.random.default_rng(seed), np.arange(count)
        key = rng.integers(0, 2**32, (keys, 2))[index % keys]
        parts = index // 3 % self.params.instances, index % 3, 5 + index // keys, key
        order = rng.permutation(count)
        return Lanes(*(part[order] for part in parts))

    def random_state(self, lanes: Lanes) -> LaneState:
        state = initial.empty(self.plan, len(lanes))
        state.x[self.name][:] = initial.random(self.plan, lanes, 0, slice(None))
        return state


def of(case: str) -> Model:
    return Model(*CASES[case])

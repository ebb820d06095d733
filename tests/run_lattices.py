"""Small lattices that are swept in runs: every kind of field, weight, rule and graph."""

from small_models import Small, bound, small

from physebm.backends.cuda.lattice.parameters import fits_runs
from physebm.backends.runs.graph import is_in_runs
from physebm.model.params import stack
from physebm.schema.load import load as load_declared
from physebm.schema.model_file import read_model

# thresholds of 0 and 2^32, and between
TEMPERATURES = (0.01, 2.0, 50.0)
CASES = {
    "square": ("ising_2d", "heat-bath", {"L": 32, "h": 0.0}),
    "square in a field": ("ising_2d", "metropolis", {"L": 17, "h": 0.3}),
    "triangular": ("ising_triangular", "heat-bath", {"L": 12}),
    "signs by instance": ("edwards_anderson_3d", "metropolis", {"L": 6}),
    "signs in a plane": ("edwards_anderson_2d", "zero-temperature", {"L": 20}),
    "no run at all": ("random_regular_spin_glass", "heat-bath", {"N": 300}),
    "ladder": ("ladder", "metropolis", {}),
    "gas": ("gas", "heat-bath", {}),
    "gas, metropolis": ("gas", "metropolis", {}),
}


def gas(method: str) -> Small:
    """Atoms on an open lattice: weighted bonds, a field by place, by heat bath plain bonds as well."""
    plain = [{"couple": ["s", "s"], "on": {"lattice": "square"}, "J": -1}]
    table = {
        "title": "gas",
        "units": {"s": {"prior": "bernoulli", "shape": [9, 21]}},
        "terms": [
            {"couple": ["s", "s"], "on": {"lattice": "square", "boundary": "open"}, "J": "J"},
            *(plain if method == "heat-bath" else []),
            {"field": "s", "h": "h"},
        ],
        "arrays": {
            "J": {"law": "rademacher", "shape": [2, 9, 21]},
            "h": {"law": "rademacher", "shape": [9, 21]},
        },
    }
    model = load_declared(read_model("gas", table, "test"))
    return bound(model, stack([model.params(0, r) for r in range(3)]), method, TEMPERATURES)


def ladder(method: str) -> Small:
    """An open lattice of two rows, whose units have two or three neighbours."""
    on = {"lattice": "square", "boundary": "open"}
    table = {
        "title": "ladder",
        "units": {"s": {"prior": "ising", "shape": [2, 70]}},
        "terms": [{"couple": ["s", "s"], "on": on, "J": 1}],
    }
    model = load_declared(read_model("ladder", table, "test"))
    return bound(model, stack([model.params(0, 0)] * 2), method, TEMPERATURES)


OWN = {"gas": gas, "ladder": ladder}


def of(case: str, temperatures=TEMPERATURES) -> Small:
    name, method, parameters = CASES[case]
    model = OWN[name](method) if name in OWN else small(name, method, temperatures, 2, **parameters)
    assert is_in_runs(model.plan) and fits_runs(model.plan, model.launch)
    return model

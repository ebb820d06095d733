"""Problems from given numbers, one exact step of training, and the family rule: for many tests.

With plain gradient ascent at a rate eta one update moves an array by ``eta g`` and a variance by the
factor ``exp(eta g_v v)``: the gradient can be read from the arrays of a `Trainer`. At a rate of
`STILL` the arrays do not move to any purpose, and a path of n updates adds up n stochastic gradients
of one model, to about ten digits.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from physebm.backends.select import select
from physebm.learning.optimisers import Schedule
from physebm.learning.recipe import Problem, Recipe
from physebm.learning.train import Trainer
from physebm.learning.trainable import variance_slots
from physebm.schema.load import Loaded

STILL = 1e-7


def reference(name: str):
    """The data of a file of independent numbers."""
    path = Path(__file__).parents[1] / "reference" / f"{name}.json"
    return json.loads(path.read_text())["data"]


def with_values(loaded: Loaded, values) -> object:
    """Params with the given arrays ``{slot: [*shape]}``."""
    arrays = {name: np.array(x, dtype=float)[None] for name, x in values.items()}
    for name, x in arrays.items():
        assert x.shape[1:] == loaded.hamiltonian.slot(name).shape, name
    return loaded.params(0).with_arrays(**arrays)


def trainer_at(loaded: Loaded, params, data, recipe: Recipe, weights=None, seed=3, name=()) -> Trainer:
    """A trainer that starts at given arrays."""
    n = len(next(iter(data.values())))
    weights = np.full(n, 1.0 / n) if weights is None else np.asarray(weights, dtype=float)
    problem = Problem(loaded.hamiltonian, params, loaded.coefficients([1.0]), data, weights)
    return Trainer(problem, recipe, select("numba"), seed, name)


def still(method: str, **changes) -> Recipe:
    """Plain gradient ascent that does not move: what sums of gradients are read from."""
    base = {"updates": 10**9, "rate": Schedule(STILL), "initial_fields": "declared"}
    return Recipe(**{**base, "method": method, **changes})


def moved(trainer: Trainer, before, updates: int = 1) -> dict[str, np.ndarray]:
    """Mean gradient of the `updates` plain updates that led here from the arrays `before`."""
    rate, positive = trainer.recipe.rate.start, variance_slots(trainer.problem.hamiltonian)
    found = {}
    for slot in trainer.slots:
        old, new = before.arrays[slot][0], trainer.params.arrays[slot][0]
        step = np.log(new / old) / old if slot in positive else new - old
        found[slot] = step / (rate * updates)
    return found


def exact_gradient(loaded: Loaded, params, data, weights=None) -> dict[str, np.ndarray]:
    """The gradient of one update of ``method = "exact"``, through the arrays that it moves."""
    recipe = still("exact", rate=Schedule(0.01))
    trainer = trainer_at(loaded, params, data, recipe, weights)
    trainer.run(1)
    return moved(trainer, params)


def assert_family(z: np.ndarray, many: int = 40) -> None:
    """max |z| <= 4.5, and mean z^2 in [0.5, 1.6] where there are `many` numbers."""
    z = np.asarray(z)
    assert len(z) > 0 and np.abs(z).max() <= 4.5, (len(z), np.abs(z).max())
    if len(z) >= many:
        assert 0.5 <= np.mean(z**2) <= 1.6, np.mean(z**2)

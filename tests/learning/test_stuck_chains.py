"""Chains that never leave a valley are not called equilibrated, whatever kind of couplings holds them.

Two magnetised valleys of equal weight, chains started at data of which three quarters lie in one: every
average is off by half a standard deviation, and the energy, the same in both, knows nothing of it.
"""

import numpy as np
import pytest
from learning_models import declared
from trained_problems import trainer_at

from physebm.learning.chains import ChainOptions
from physebm.learning.optimisers import Schedule
from physebm.learning.recipe import Recipe
from physebm.learning.record import Record
from physebm.learning.record_chains import MODES, principal_directions

LATTICE = """
[units]
s = { prior = "ising", shape = [4, 4] }
[arrays]
J = { law = "constant", value = 0.8, shape = [2, 4, 4], trainable = true }
[[terms]]
couple = ["s", "s"]
on = { lattice = "square", boundary = "periodic" }
J = "J"
"""
POTTS = """
[units]
s = { prior = "potts", q = 3, shape = 12 }
[arrays]
J = { law = "constant", value = 0.8, shape = [12, 12], trainable = true }
[[terms]]
couple = ["s", "s"]
J = "J"
"""


def data(name):
    up = np.arange(400) % 4 > 0
    if name == "lattice":
        return np.where(up, 1, -1)[:, None].repeat(16, axis=1).astype(np.int8)
    return np.where(up, 0, 1)[:, None].repeat(12, axis=1).astype(np.int8)


@pytest.mark.parametrize("name, text", [("lattice", LATTICE), ("potts", POTTS)])
def test_chains_in_two_valleys_are_not_called_equilibrated(name, text):
    loaded, x = declared(text), {"s": data(name)}
    chains = ChainOptions("pcd", 5, 200, start="data")
    recipe = Recipe(method="pcd", updates=20, batch=100, rate=Schedule(1e-4), chains=chains)
    trainer = trainer_at(loaded, loaded.params(0), x, recipe)
    trainer.run(20)
    parts = {"train": (x, np.full(400, 1 / 400))}
    found = Record(trainer, parts, 3, 100).measure()
    assert found["chain_verdict"] > 0 and not found["chain_tau_reliable"]
    message = str(found["chain_verdict_message"])
    assert "lower bound" in message
    assert "averages off by up to" not in message


def test_principal_directions_are_those_of_the_covariance():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(30, 8)) * np.arange(1, 9)
    found = principal_directions(x)
    vectors = np.linalg.eigh(np.cov(x.T))[1]
    assert found.shape == (8, MODES)
    assert np.abs(np.abs((found * vectors[:, -MODES:]).sum(axis=0)) - 1).max() < 1e-9
    assert principal_directions(np.ones((5, 3))).shape == (3, 0)

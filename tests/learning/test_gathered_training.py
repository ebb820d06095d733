"""Training on chains that gather their fields: updates of chains with running fields, and resume."""

import numpy as np
from trained_problems import trainer_at

from physebm.learning.chains import ChainOptions
from physebm.learning.optimisers import Schedule
from physebm.learning.recipe import Recipe
from physebm.lowering import layout
from physebm.lowering.plan import Layout
from physebm.study.models import load_model

RECIPE = Recipe("pcd", 1000, chains=ChainOptions("pcd", 2, 100), rate=Schedule(0.2))


def trainer():
    loaded = load_model("potts_machine", L=4, q=5, sigma=0.5)
    data = {"s": np.random.default_rng(1).integers(0, 5, (30, 4)) ** 2 % 5}
    return trainer_at(loaded, loaded.params(2), data, RECIPE)


def test_updates_are_those_of_running_fields(monkeypatch):
    """The same words, so the same chains and the same gradients, to the last bit.

    A draw can differ only where its number falls within rounding of a partial sum: 8000 draws, a chance
    below 0.05, which the pinned words do not meet. Couplings that were not followed would show at once.
    """
    gathered = trainer()
    assert gathered.chains.plan.layout is Layout.GATHERS
    gathered.run(20)
    monkeypatch.setattr(layout, "GATHER_LANES", 10**9)
    rows = trainer()
    assert rows.chains.plan.layout is Layout.ROWS
    rows.run(20)
    for slot in gathered.slots:
        assert np.array_equal(gathered.params.arrays[slot], rows.params.arrays[slot])


def test_a_resumed_training_has_the_bits_of_one():
    whole, first, second = trainer(), trainer(), trainer()
    whole.run(6)
    first.run(3)
    second.restore(first.checkpoint())
    second.run(6)
    for slot in whole.slots:
        assert np.array_equal(whole.params.arrays[slot], second.params.arrays[slot])

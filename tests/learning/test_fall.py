"""Trainings that lose their data are stopped where they are recorded; those that climb never are."""

from dataclasses import replace

import numpy as np
import pytest
from learning_models import family, some_visibles
from test_train import small_recipe, trainer_of

from physebm.learning.divergence import LARGEST, Divergence
from physebm.learning.fall import FALL, data_score, refuse_fall
from physebm.learning.optimisers import Schedule
from physebm.learning.recipe import Recipe
from physebm.learning.record import Record

FAMILIES = ["boltzmann machine", "bernoulli x bernoulli", "potts x potts", "deep"]


def started(name, method, rate):
    loaded = family(name)
    data = some_visibles(loaded, 40)
    if method == "pcd":
        recipe = replace(small_recipe(method), rate=Schedule(rate))
    else:
        recipe = Recipe(method=method, updates=12, rate=Schedule(rate))
    trainer = trainer_of(loaded, data, recipe)
    return trainer, Record(trainer, {"train": (data, np.full(40, 1 / 40))}, 5)


@pytest.mark.parametrize("method", ["exact", "pcd"])
@pytest.mark.parametrize("name", FAMILIES)
def test_a_rate_that_blows_up_is_seen_though_every_number_is_finite(name, method):
    trainer, record = started(name, method, 1e4)
    first = data_score(record.measure())
    trainer.run(2)
    assert all(np.abs(trainer.params.arrays[slot]).max() < LARGEST for slot in trainer.slots)
    with pytest.raises(Divergence, match=rf"diverged at update 2.*fell from {first:.4g} at update 0"):
        record.measure()


def test_a_resumed_training_is_judged_by_the_same_start():
    trainer, record = started("bernoulli x bernoulli", "pcd", 1e4)
    record.measure()
    trainer.run(3)
    held = trainer.checkpoint()
    with pytest.raises(Divergence) as whole:
        record.measure()
    resumed, again = started("bernoulli x bernoulli", "pcd", 1e4)
    resumed.restore(held)
    with pytest.raises(Divergence) as continued:
        again.measure()
    assert str(continued.value) == str(whole.value)


@pytest.mark.parametrize("method", ["exact", "pcd"])
@pytest.mark.parametrize("name", FAMILIES)
def test_climbs_and_overshooting_steps_stay_far_above_the_limit(name, method):
    """A rate of 0.05 climbs; one of 2 overshoots on these small machines, and is not yet a loss."""
    for rate in (0.05, 2.0):
        trainer, record = started(name, method, rate)
        scores = []
        for update in range(0, 13, 2):
            trainer.run(update)
            scores.append(data_score(record.measure()))
        assert scores[0] - min(scores) < 0.3 * FALL * record.moments.units
        assert rate > 1 or method == "pcd" or scores[-1] > scores[0]


def test_the_limit_counts_per_unit_and_nan_is_no_judgement():
    refuse_fall(-3.0 - 5 * FALL, -3.0, 5, 7)
    refuse_fall(np.nan, -3.0, 5, 7)
    refuse_fall(-1e9, np.nan, 5, 7)
    for score in (-3.001 - 5 * FALL, -np.inf):
        with pytest.raises(Divergence, match="diverged at update 7"):
            refuse_fall(score, -3.0, 5, 7)
    assert np.isnan(data_score({"chain_tau": 3.0}))

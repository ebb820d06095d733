"""The short way of machines of two-state units: the arrays of the general way, up to rounding."""

import numpy as np
import pytest
from trained_problems import trainer_at

from physebm.learning.chains import ChainOptions
from physebm.learning.optimisers import Optimiser, Schedule
from physebm.learning.recipe import Recipe
from physebm.learning.train import Divergence
from physebm.native.sample_bits import sample_bits
from physebm.rng.philox import philox4x32
from physebm.study.models import load_model

UNITS, HIDDEN, SAMPLES = 37, 18, 60


def trainer_of(model="rbm", samples=SAMPLES, hidden=HIDDEN, weights=None, data=None, **choices):
    rng = np.random.default_rng(2)
    loaded = load_model(model, Nv=UNITS, Nh=hidden)
    low = loaded.hamiltonian.groups[0].prior.states[0]
    found = np.where(rng.random((samples, UNITS)) < 0.3, 1, low).astype(np.int8)
    method = choices.pop("method", "pcd")
    recipe = Recipe(
        method=method,
        updates=20,
        batch=choices.pop("batch", 25),
        chains=ChainOptions(method, 2, 40, rungs=3),
        rate=choices.pop("rate", Schedule(0.05)),
        **choices,
    )
    name = loaded.hamiltonian.groups[0].name
    return trainer_at(loaded, loaded.params(1), {name: found}, recipe, weights)


CASES = {
    "plain": {},
    "centred": {"centred": True},
    "all data": {"centred": True, "batch": None},
    "tempered": {"centred": True, "method": "pt"},
    "from random starts": {"method": "rdm"},
    "momentum": {"centred": True, "optimiser": Optimiser("momentum")},
    "adam": {"centred": True, "optimiser": Optimiser("adam")},
    "clipped": {"centred": True, "clip": 0.1},
    "hidden units of two signs": {"model": "rbm_ising_hidden", "centred": True},
    "penalised": {"centred": True, "l2": {"W": 0.1}, "l1": {"W": 0.01}},
}


@pytest.mark.parametrize("beside_the_chains", [True, False])
@pytest.mark.parametrize("case", CASES)
def test_the_short_way_goes_where_the_general_way_goes(case, beside_the_chains):
    short, general = trainer_of(**CASES[case]), trainer_of(**CASES[case])
    assert short.phases.machine is not None
    assert (short._device is None) == (case == "penalised")
    if not beside_the_chains:
        short._device = None
    general.phases.machine = general._device = None
    # adam divides by the size of a gradient, be it rounding alone; elsewhere differences stay small
    tolerance = 1e-3 if case == "adam" else 1e-6
    for updates in (1, 2, 6):
        short.run(updates)
        general.run(updates)
        for slot in short.slots:
            np.testing.assert_allclose(
                short.params.arrays[slot], general.params.arrays[slot], atol=tolerance, err_msg=slot
            )
        assert short.info.gradient_norm == pytest.approx(general.info.gradient_norm, rel=1e-4)
        assert set(short.phases.offsets) == set(general.phases.offsets)
        for group, mu in short.phases.offsets.items():
            np.testing.assert_allclose(mu, general.phases.offsets[group], atol=1e-6)


def test_kernels_read_the_arrays_of_the_last_update():
    trainer = trainer_of(centred=True)
    trainer.run(4)
    fresh = trainer_of(centred=True).chains
    fresh.follow(trainer.params)
    assert fresh._plain
    for name, values in fresh.operands.arrays.items():
        assert np.array_equal(trainer.chains.operands.arrays[name], values), name


def test_a_training_that_was_cut_goes_on_with_the_same_bits():
    whole, first, second = (trainer_of(centred=True) for _ in range(3))
    whole.run(9)
    first.run(4)
    second.restore(first.checkpoint())
    second.run(9)
    for slot in whole.slots:
        assert np.array_equal(whole.params.arrays[slot], second.params.arrays[slot])


@pytest.mark.parametrize("beside_the_chains", [True, False])
def test_a_refused_step_leaves_the_arrays_before_it(beside_the_chains):
    trainer = trainer_of(centred=True, rate=Schedule(1e-3, 1e12, "linear"))
    if not beside_the_chains:
        trainer._device = None
    trainer.run(1)
    before = trainer.params
    with pytest.raises(Divergence, match=r"diverged at update 2.*learning_rate"):
        trainer.run(2)
    assert trainer.update == 1
    for slot, x in before.arrays.items():
        assert np.array_equal(trainer.params.arrays[slot], x)


@pytest.mark.parametrize(
    "other",
    [
        {"method": "cd", "batch": 40},
        {"hidden": 5},
        {"weights": np.arange(1, SAMPLES + 1) / (SAMPLES * (SAMPLES + 1) / 2)},
        {"model": "rbm_gaussian_hidden"},
    ],
)
def test_other_trainings_take_the_general_way(other):
    assert trainer_of(**other).phases.machine is None


def test_bits_of_samples_are_the_first_words_of_their_counters():
    key = (0x9ABCDEF0, 0xFFFFFFFF)
    high, low, _, _ = philox4x32(np.arange(70), 0, 5, 11, *key)
    wanted = (high.astype(np.uint64) << np.uint64(32)) | low
    assert np.array_equal(sample_bits(70, 5, 11, key), wanted)

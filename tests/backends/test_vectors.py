"""Lanes side by side: the sweep of lane after lane, and no bit of a lane depends on its company.

Sizes leave a remainder in every direction: units against blocks of 32 and 64, patterns against
eights, lanes against vectors of sixteen and tiles of 48 (of 128 with couplings).
"""

import numpy as np
import pytest
from many_lanes import (
    assert_lanes_are_alone,
    assert_threads_change_nothing,
    for_lanes,
    in_rows,
    swept,
)
from parity_cases import agree
from small_models import Small, small

from physebm.backends.numba_cpu.vectors import noise as lane_noise
from physebm.lowering.layout import VECTOR_LANES, choose_layout
from physebm.lowering.plan import Layout, Rule
from physebm.rng.philox import philox4x32

MODELS = {
    "curie_weiss": {"N": 37},
    "random_field_ising_3d": {"L": 3},
    "edwards_anderson_2d_gaussian": {"L": 7},
    "edwards_anderson_3d_gaussian": {"L": 5},
    "sk": {"N": 101},
    "hopfield": {"N": 75, "P": 11},
    "boltzmann_machine": {"N": 33},
}
every_model = pytest.mark.parametrize("name", MODELS)


def model_of(name: str, **parameters) -> Small:
    model = small(name, "heat-bath", (0.8, 1.5, 3.0), 3, **{**MODELS[name], **parameters})
    model = for_lanes(model, 64)
    assert model.plan.layout is Layout.VECTORS
    return model


@every_model
def test_one_sweep_is_that_of_the_reference(name):
    """3 instances, 3 rungs, 150 lanes, sweeps before and after a rebuild of running fields.

    A unit can differ only where its number falls within rounding of its probability: noise and fields
    in float32, below 2e-6 of p (1 - p) in all. The pinned words do not meet that (about 1e5 decisions,
    a chance below 0.05).
    """
    model = model_of(name)
    lanes = model.lanes(150, seed=3)
    agree(model.kernels(), model, lanes, single=4, first=62)


@every_model
def test_many_sweeps_are_those_of_lane_after_lane(name):
    """The same draws from the same words; 100 sweeps, so that a wrong flip of a field would show."""
    model = model_of(name)
    lanes = model.lanes(48, seed=4)
    start = model.random_state(lanes)
    state, E = swept(model, start, lanes, 100, 0)
    other, F = swept(in_rows(model), start, lanes, 100, 0)
    for group in model.plan.groups:
        assert np.array_equal(state.x[group.name], other.x[group.name])
    np.testing.assert_allclose(E, F, rtol=2e-6, atol=1e-5)
    for name_, work in state.work.items():
        np.testing.assert_allclose(work, other.work[name_], rtol=1e-5, atol=1e-5)


@every_model
def test_bits_of_a_lane_do_not_depend_on_the_other_lanes(name):
    """Three instances whose lanes interleave."""
    model = model_of(name)
    assert_lanes_are_alone(model, model.lanes(150, seed=11))


@every_model
def test_threads_change_no_bit(monkeypatch, name):
    model = model_of(name)
    assert_threads_change_nothing(model, model.lanes(150, seed=13), monkeypatch)


@every_model
def test_sweeps_split_over_calls_have_the_bits_of_one(name):
    """Across a rebuild of running fields, and with them: they are part of the trajectory."""
    model = model_of(name)
    lanes = model.lanes(20, seed=8)
    whole, kernels = model.random_state(lanes), model.kernels()
    kernels.prepare(whole, lanes, model.launch)
    split = whole.copy()
    E = kernels.sweep(whole, lanes, model.launch, 59, 11)
    for begin, count in ((59, 4), (63, 1), (64, 6)):
        F = kernels.sweep(split, lanes, model.launch, begin, count)
    assert np.array_equal(E, F)
    for held in ("x", "work"):
        for key, x in getattr(whole, held).items():
            assert np.array_equal(getattr(split, held)[key], x)


@pytest.mark.parametrize("N", [1, 2, 31, 32, 64, 65])
@pytest.mark.parametrize("name", ["sk", "curie_weiss", "hopfield"])
def test_sizes_around_a_block(name, N):
    parameters = {"N": N, "P": 3} if name == "hopfield" else {"N": N}
    model = model_of(name, **parameters)
    lanes = model.lanes(17, seed=9)
    start = model.random_state(lanes)
    state, _ = swept(model, start, lanes, 20, 0)
    other, _ = swept(in_rows(model), start, lanes, 20, 0)
    assert all(np.array_equal(x, other.x[group]) for group, x in state.x.items())


@every_model
def test_held_units_stay(name):
    """Calls with held units go lane after lane, with the bits of that layout."""
    model = model_of(name)
    lanes = model.lanes(30, seed=5, clamped=True)
    start = model.random_state(lanes)
    state, E = swept(model, start, lanes)
    other, F = swept(in_rows(model), start, lanes)
    assert np.array_equal(E, F)
    for group, x in state.x.items():
        held = lanes.clamp[group]
        assert np.array_equal(x, other.x[group])
        assert np.array_equal(x[held], start.x[group][held])
        assert np.any(x[~held] != start.x[group][~held])


def test_the_plan_chooses_by_lanes_and_reads():
    """Few lanes, integer fields, Metropolis, several groups and held patterns of real numbers: rows."""
    plan = small("sk").plan
    assert choose_layout(plan, VECTOR_LANES - 1).layout is Layout.ROWS
    assert choose_layout(plan, VECTOR_LANES).layout is Layout.VECTORS
    for name, method in (("sk", "metropolis"), ("potts_machine", "heat-bath"), ("p_spin", "heat-bath")):
        assert choose_layout(small(name, method).plan, 64).layout is Layout.ROWS
    assert plan.moves[0].rule is Rule.HEAT_BATH


def test_words_of_lanes_are_the_addressed_ones():
    lanes = 16
    walker = np.arange(7, 7 + lanes, dtype=np.uint32)
    key = np.random.default_rng(1).integers(0, 2**32, (2, lanes)).astype(np.uint32)
    words = np.empty((64, lanes), np.uint32)
    lane_noise.fill_lane_words(words, 3, walker, 5, 77, *key)
    for p in range(64):
        four = philox4x32(16 * 3 + (p & 15), walker, 5, 77, *key)
        assert np.array_equal(words[p], four[p >> 4])


def test_logistic_noise():
    """Against float64: ends, middle and a spread of words; error below 3e-7 (1 + |noise|)."""
    rng = np.random.default_rng(2)
    ends = np.array([0, 1, 2, 2**31 - 1, 2**31, 2**31 + 1, 2**32 - 2, 2**32 - 1], np.uint64)
    words = np.concatenate([ends, rng.integers(0, 2**32, 100_000, np.uint64)])
    words = np.concatenate([words, words >> np.uint64(12), words >> np.uint64(24)]).astype(np.uint32)
    words = words[: len(words) // 16 * 16]
    noise = np.empty((1, len(words)), np.float32)
    lane_noise.logistic_noise(noise, words[None])
    u = (words.astype(np.float64) + 0.5) * 2.0**-32
    exact = np.log(u) - np.log1p(-u)
    assert np.max(np.abs(noise[0] - exact) / (1 + np.abs(exact))) < 3e-7
    # the complement of a word has exactly the opposite noise
    other = np.empty_like(noise)
    lane_noise.logistic_noise(other, ~words[None])
    assert np.array_equal(other, -noise)

"""Bit-sliced sweeps: bits of the reference at any width, in any company; exact distributions."""

from dataclasses import replace

import numba
import numpy as np
import pytest
from many_lanes import loads_of_another_process, part_of
from plane_claims import (
    agree,
    agree_with_shared_words,
    compare_all_digits,
    keep_all_bits_of_cut_runs,
)
from plane_models import CASES, Model, of

from physebm.backends import reference
from physebm.backends.base import Lanes, LaneState
from physebm.backends.numba_cpu import load, modules
from physebm.backends.numba_cpu.planes.load import PlanesKernels
from physebm.backends.numba_cpu.planes.vectors import widths
from physebm.backends.planes.words import Words, width_for, words_of
from physebm.errors import LoweringError, StudyError
from physebm.lowering.plan import Layout
from physebm.model import energy
from physebm.rng.streams import Purpose

OTHERS = [
    "square in a field, metropolis",
    "cubic, signs, metropolis",
    "triangular",
    "regular graphs",
    "open boundaries",
    "lattice gas",
]
# a structure takes some seconds to compile: every kind of field once, the other combinations are slow
EACH = pytest.mark.parametrize(
    "case", [pytest.param(c, marks=pytest.mark.slow) if c in OTHERS else c for c in CASES]
)
WIDEST = widths()[:1]


@pytest.mark.parametrize("case", CASES)
def test_all_cases_are_bit_sliced(case):
    assert of(case).plan.layout is Layout.PLANES
    assert isinstance(load.compile(of(case).plan), PlanesKernels)


def kernels_of(model: Model) -> PlanesKernels:
    return PlanesKernels(model.plan, WIDEST)


@EACH
def test_bits_and_energies_are_those_of_the_reference(case):
    """From one lane to several tiles."""
    agree(kernels_of(of(case)), of(case), (1, 50, 330))


@pytest.mark.parametrize("some", [(16, 8), (8,), (4,)], ids=str)
def test_all_widths_have_these_bits(some):
    """Any processor runs any width, in several of its vectors or in a part of one."""
    model = of("cubic, signs by instance")
    agree(PlanesKernels(model.plan, some), model, (1, 50, 330))


@EACH
def test_no_bit_depends_on_other_lanes_or_threads(case, monkeypatch):
    monkeypatch.setattr(modules, "SERIAL_UPDATES", 0)
    model = of(case)
    lanes = model.lanes(600)
    start, kernels = model.random_state(lanes), PlanesKernels(model.plan, WIDEST)
    whole = start.copy()
    E = kernels.sweep(whole, lanes, model.launch, 3, 4)
    threads = numba.get_num_threads()
    try:
        numba.set_num_threads(1)
        order = np.random.default_rng(1).permutation(600)
        for which in (np.arange(600), order, order[:70], order[:1]):
            part = LaneState({model.name: start.x[model.name][which]})
            F = kernels.sweep(part, part_of(lanes, which), model.launch, 3, 4)
            assert np.array_equal(F, E[which])
            assert np.array_equal(part.x[model.name], whole.x[model.name][which])
    finally:
        numba.set_num_threads(threads)


def test_lanes_that_share_their_words_stand_in_different_places():
    model = of("square")
    agree_with_shared_words(kernels_of(model), model, 90)


def test_rungs_that_change_and_cut_runs_keep_all_bits():
    model = of("cubic, signs by instance")
    keep_all_bits_of_cut_runs(kernels_of(model), model, 120)


def test_a_state_unpacks_only_what_was_asked_for():
    model = of("square")
    lanes = model.lanes(40)
    state, kernels = model.random_state(lanes), PlanesKernels(model.plan, WIDEST)
    held = state.x[model.name]
    before = held.copy()
    kernels.sweep(state, lanes, model.launch, 0, 3)
    assert np.array_equal(held, before)
    assert not np.array_equal(state.seen[model.name], before)
    assert state.packed_is_current
    with pytest.raises(ValueError, match="read-only"):
        state.seen[model.name][0] = 1
    assert state.x[model.name] is held
    assert not state.packed_is_current


def test_a_threshold_decides_to_its_last_digit():
    compare_all_digits(kernels_of)


def test_words_are_uniform_and_independent_from_lane_to_lane():
    """Mean, every digit, and products of neighbouring walkers: 36 numbers, |z| < 4.5, about 3e-4."""
    count = 64
    lanes = Lanes(np.zeros(count), np.zeros(count), np.arange(count), np.tile([8, 9], (count, 1)))
    words = np.concatenate(
        [
            reference._plane_words(np.arange(500), lanes, sweep, Purpose.HEAT_BATH_PLANES, 0)
            for sweep in range(4)
        ],
        axis=1,
    )
    u = (words + 0.5) * 2.0**-32 - 0.5
    z = [u.mean() * np.sqrt(12 * u.size)]
    digits = words[..., None] >> np.arange(32, dtype=np.uint32) & 1
    z += list((digits.mean(axis=(0, 1)) - 0.5) * 2 * np.sqrt(u.size))
    z += [(u[0::2] * u[1::2]).mean() * 12 * np.sqrt(u.size / 2)]
    z += [(u[:32] * u[32:]).mean() * 12 * np.sqrt(u.size / 2)]
    z += [(u[:, :-1] * u[:, 1:]).mean() * 12 * np.sqrt(u[:, 1:].size)]
    assert np.abs(z).max() < 4.5
    assert 0.4 < np.mean(np.square(z)) < 1.7


@pytest.mark.parametrize(
    ("name", "method"), [("edwards_anderson_2d", "heat-bath"), ("gas", "metropolis")]
)
def test_samples_and_overlaps_are_those_of_all_states(name, method):
    """Energies and overlaps of neighbouring lanes against enumeration, |z| < 4 (6e-5 each).

    Lanes that shared random numbers would have an overlap that is too large.
    """
    model = Model(name, {} if name == "gas" else {"L": 3}, method, temperatures=(1.2,))
    n = model.plan.groups[0].size
    count = 8192
    low = -1 if model.plan.groups[0].prior.states[0] < 0 else 0
    states = (np.arange(2**n)[:, None] >> np.arange(n) & 1).astype(np.int8)
    states = np.where(states > 0, 1, low).astype(np.int8)
    E = energy.term_energies(model.loaded.hamiltonian, model.params, {model.name: states})
    weight = -E @ model.launch.coefficients.value[0]
    p = np.exp(weight - weight.max())
    p /= p.sum()
    index = np.arange(count)
    lanes = Lanes(0 * index, 0 * index, index, np.tile([5, 6], (count, 1)))
    state = model.random_state(lanes)
    F = PlanesKernels(model.plan, WIDEST).sweep(state, lanes, model.launch, 0, 200)
    for t in range(F.shape[1]):
        mean = p @ E[:, t]
        sd = np.sqrt(p @ (E[:, t] - mean) ** 2)
        assert abs(F[:, t].mean() - mean) < 4 * sd / np.sqrt(count)
    C = np.einsum("s,si,sj->ij", p, states.astype(float), states.astype(float), optimize=True)
    x = state.x[model.name].astype(np.float64)
    q = (x[0::2] * x[1::2]).mean(axis=1) ** 2
    z = (q.mean() - (C**2).mean()) / (q.std() / np.sqrt(len(q)))
    assert abs(z) < 4


def test_words_hold_every_lane_once_and_share_what_they_must():
    rng = np.random.default_rng(2)
    lanes = Lanes(
        rng.integers(0, 3, 500),
        np.zeros(500),
        rng.integers(0, 100, 500),
        rng.integers(0, 2**32, (2, 2))[rng.integers(0, 2, 500)],
    )
    for shared in (True, False):
        words = Words.of(lanes, 4, shared)
        held = words.lane_of[words.lane_of >= 0]
        assert np.array_equal(np.sort(held), np.arange(500))
        assert words.hold(lanes)
        for tile, word, bit in np.argwhere(words.lane_of >= 0):
            lane = words.lane_of[tile, word, bit]
            group, *key = words.stream[tile, :, word]
            assert (group, bit) == divmod(lanes.walker[lane], 32)
            assert np.array_equal(key, lanes.key[lane])
            assert words.instance[tile, word] == lanes.instance[lane]
        if not shared:
            assert np.all(words.instance == words.instance[:, :1])
    assert words_of(lanes)[1] == len(np.unique(words_of(lanes)[0]))
    lanes.walker[0] += 1
    assert not words.hold(lanes)


def test_widths_follow_the_number_of_words():
    assert [width_for(n, 1, (16, 8)) for n in (1, 8, 9, 16, 17, 24, 32)] == [8, 8, 16, 16, 16, 16, 16]
    assert [width_for(n, 2, (16, 8)) for n in (8, 16, 32, 64)] == [8, 8, 16, 16]
    assert width_for(100, 2, (4,)) == 4


def test_held_units_and_other_weights_are_refused():
    model = of("cubic, signs by instance")
    lanes = model.lanes(10)
    clamped = replace(lanes, clamp={model.name: np.ones((10, 27), bool)})
    with pytest.raises(StudyError, match="lanes=1"):
        load.compile(model.plan).sweep(model.random_state(lanes), clamped, model.launch, 0, 1)
    model.operands.arrays["w0"][0, 0, 0] = 2
    with pytest.raises(LoweringError, match="not 1 or -1"):
        load.compile(model.plan).sweep(model.random_state(lanes), lanes, model.launch, 0, 1)


def test_a_second_process_compiles_nothing():
    model = "physebm.load_model('ising_2d', L=4)"
    record = "record=('energy', 'magnetisation')"  # of configurations that are unpacked
    sample = f"physebm.sample({model}, 2.0, {record}, sweeps=64, discard=0, chains=16)"
    assert loads_of_another_process(sample, ("sweep", "pack", "unpack")) == [3, 0]

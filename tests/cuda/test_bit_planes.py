"""Bit-sliced kernels of the CUDA backend, run on the host: bits of the reference, however cut."""

import numpy as np
import pytest
from host_kernels import kernels, needs_compiler
from many_lanes import part_of
from plane_claims import (
    agree,
    agree_with_shared_words,
    compare_all_digits,
    keep_all_bits_of_cut_runs,
)
from plane_models import CASES, Model, of

from physebm.backends import base, reference
from physebm.backends.base import Lanes, LaneState
from physebm.backends.cuda.host_device import HostDevice
from physebm.backends.cuda.planes import load as planes_load
from physebm.backends.cuda.planes.emit import emit_planes
from physebm.backends.cuda.planes.load import PlanesKernels, PlanesOnDevice
from physebm.backends.source import Source
from physebm.lowering.operands import bind
from physebm.model.params import stack
from physebm.sampling.chain import PlanSampler
from physebm.sampling.tempering import STATISTICS, Ladders, ParallelTempering

# a structure takes a second to compile, twice: every kind of field once, the others are slow
USUAL = (
    "square",
    "cubic, signs, metropolis",
    "diluted graphs",
    "lattice gas",
)
EACH = pytest.mark.parametrize(
    "case", [c if c in USUAL else pytest.param(c, marks=pytest.mark.slow) for c in CASES]
)
BOTH = pytest.mark.parametrize("whole", [True, False], ids=["whole", "parts"])


def compiled(model: Model, whole: bool | None, threads: int = 32, seed: int = 1) -> PlanesKernels:
    return PlanesKernels(model.plan, HostDevice(threads, seed), whole)


@needs_compiler
@BOTH
@EACH
def test_bits_and_energies_are_those_of_the_reference(case, whole):
    """From one lane to several words, some partly filled, to the last sweep that there is."""
    # so few threads that some draw two units at a time
    ours = compiled(of(case), whole, threads=8)
    packed = agree(ours, of(case), (1, 50, 200))
    assert all(isinstance(each, PlanesOnDevice) for each in packed)


@needs_compiler
@BOTH
@pytest.mark.parametrize(("threads", "seed"), [(1, 0), (8, 2), (32, 3), (64, 4)])
def test_any_number_and_order_of_threads_has_these_bits(threads, seed, whole):
    """One thread has all units of a class, and more bonds than its counter holds at a time."""
    model = Model("edwards_anderson_3d", {"L": 6}, "metropolis", 2)
    agree(compiled(model, whole, threads, seed), model, (40,), sweeps=3, first=0)


@needs_compiler
@BOTH
def test_no_bit_depends_on_other_lanes(whole):
    model = of("cubic, signs, metropolis")
    lanes = model.lanes(200)
    start, ours = model.random_state(lanes), compiled(model, whole)
    all_of_them = start.copy()
    E = ours.sweep(all_of_them, lanes, model.launch, 3, 4)
    order = np.random.default_rng(1).permutation(200)
    for which in (order, order[:70], order[:1]):
        part = LaneState({model.name: start.x[model.name][which]})
        F = ours.sweep(part, part_of(lanes, which), model.launch, 3, 4)
        assert np.array_equal(F, E[which])
        assert np.array_equal(part.x[model.name], all_of_them.x[model.name][which])


@needs_compiler
@BOTH
def test_lanes_that_share_their_random_words_stand_in_different_places(whole):
    model = of("square")
    agree_with_shared_words(compiled(model, whole), model, 50)


@needs_compiler
@BOTH
def test_rungs_that_change_and_cut_runs_keep_all_bits(whole):
    model = of("cubic, signs, metropolis")
    held = np.random.default_rng(1).random((60, model.plan.groups[0].size)) < 0.5
    keep_all_bits_of_cut_runs(compiled(model, whole), model, 60, {model.name: held})


@needs_compiler
def test_other_graphs_have_other_planes():
    """The same kernels, lanes and state, but units are drawn in another order."""
    model = of("diluted graphs")
    lanes = model.lanes(40)
    a, b = model.random_state(lanes), model.random_state(lanes)
    ours, definition = compiled(model, True), reference.compile(model.plan)
    params = stack([model.loaded.params(0, r) for r in (7, 8, 9)])
    operands = bind(model.plan, model.loaded.hamiltonian, params)
    other = base.launch(model.plan, operands, model.launch.coefficients)
    for first, launch in enumerate((model.launch, other, model.launch)):
        E = ours.sweep(a, lanes, launch, first, 1)
        assert np.array_equal(E, definition.sweep(b, lanes, launch, first, 1))
    assert np.array_equal(a.x[model.name], b.x[model.name])


@needs_compiler
def test_a_state_stays_packed_until_someone_writes():
    model = of("square")
    lanes = model.lanes(40)
    state, ours = model.random_state(lanes), compiled(model, True)
    ours.sweep(state, lanes, model.launch, 0, 1)
    packed = state.packed
    assert not np.array_equal(state.seen[model.name], model.random_state(lanes).x[model.name])
    ours.sweep(state, lanes, model.launch, 1, 1)
    assert state.packed is packed
    assert state.packed_is_current
    state.x[model.name][:] = 1
    assert not state.packed_is_current
    bonds = np.count_nonzero(model.operands.arrays["n0"] >= 0) / 2
    assert np.all(ours.energies(state, lanes, model.launch)[:, 0] == -bonds)


@needs_compiler
def test_sums_over_units_are_those_of_what_stands_in_planes():
    model = of("lattice gas")
    lanes = model.lanes(40)
    state, ours = model.random_state(lanes), compiled(model, True)
    a, b = np.arange(40), np.random.default_rng(1).permutation(40)
    for first in range(3):
        ours.sweep(state, lanes, model.launch, first, 1)
        found = state.reductions
        counts, agreements = found.state_counts(model.name), found.agreements(model.name, a, b)
        assert state.reductions is found
        x = state.seen[model.name]
        assert np.array_equal(counts, np.stack([(x == 0).sum(axis=1), (x == 1).sum(axis=1)], axis=1))
        assert np.array_equal(agreements, (x[a] == x[b]).sum(axis=1))
        assert np.array_equal(ours.device.download(ours.states(state, 0)), x)


@needs_compiler
def test_a_threshold_decides_to_its_last_digit():
    compare_all_digits(lambda model: compiled(model, True))


@needs_compiler
@BOTH
def test_rounds_of_exchanges_on_the_device_refresh_the_thresholds(whole):
    model = of("cubic, signs by instance")
    samplers, states = [], []
    for backend in (reference.compile(model.plan), compiled(model, whole)):
        ladders = Ladders.of([np.arange(3)] * 12, np.array([[7, 9]] * 12), np.arange(12))
        lanes = Lanes(np.repeat(np.arange(12) % 3, 3), ladders.row, np.arange(36), np.ones((36, 2)))
        inner = PlanSampler(backend, model.launch)
        samplers.append(ParallelTempering(inner, ladders, model.launch.coefficients, 2))
        states.append(samplers[-1].init(model.random_state(lanes), lanes))
    assert samplers[1].inner.exchanges and not samplers[0].inner.exchanges
    for sweeps in (9, 2, 14):
        a, b = states = [sampler.step(state, sweeps) for sampler, state in zip(samplers, states)]
        assert np.array_equal(a.energies, b.energies)
        assert np.array_equal(a.lanes.rung, b.lanes.rung)
        for statistic in STATISTICS:
            assert np.array_equal(getattr(a, statistic), getattr(b, statistic)), statistic
    assert a.exchanged.sum() > 0
    assert np.array_equal(a.configurations.x[model.name], b.configurations.x[model.name])


@needs_compiler
def test_a_sweep_without_a_barrier_between_colours_differs(monkeypatch):
    model = of("cubic, signs, metropolis")
    lanes = model.lanes(40)
    start = model.random_state(lanes)

    def swept(seed: int) -> np.ndarray:
        state = start.copy()
        compiled(model, True, 32, seed).sweep(state, lanes, model.launch, 0, 5)
        return state.x[model.name]

    expected = swept(0)
    assert all(np.array_equal(expected, swept(seed)) for seed in (1, 2, 3))

    def broken(*arguments):
        source = emit_planes(*arguments)
        head, body = source.text.split("for (u32 t = first")
        return Source(
            source.stem, head + "for (u32 t = first" + body.replace("__syncthreads();", "", 1)
        )

    monkeypatch.setattr(planes_load, "emit_planes", broken)
    assert any(not np.array_equal(expected, swept(seed)) for seed in (1, 2, 3))


@needs_compiler
def test_units_of_many_neighbours_go_lane_by_lane(monkeypatch):
    model = of("square")
    monkeypatch.setattr(planes_load, "MOST_NEIGHBOURS", 3)
    lanes = model.lanes(30)
    a, b = model.random_state(lanes), model.random_state(lanes)
    E = kernels(model.plan).sweep(a, lanes, model.launch, 0, 3)
    assert np.array_equal(E, reference.compile(model.plan).sweep(b, lanes, model.launch, 0, 3))
    assert np.array_equal(a.x[model.name], b.x[model.name])
    assert not isinstance(a.packed, PlanesOnDevice)

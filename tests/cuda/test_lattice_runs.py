"""Lattices in runs on the host's device: bits of the reference, in parts and whole, however cut."""

from dataclasses import replace

import numpy as np
import pytest
from host_kernels import needs_compiler, without_barrier
from run_lattices import CASES, of
from small_models import Small

from physebm.backends import base
from physebm.backends.base import Lanes
from physebm.backends.cuda.host_device import HostDevice
from physebm.backends.cuda.lattice import load as lattice_load
from physebm.backends.cuda.lattice.emit import emit_lattice
from physebm.backends.cuda.lattice.load import RunsKernels, RunsOnDevice
from physebm.sampling.chain import PlanSampler
from physebm.sampling.tempering import STATISTICS, Ladders, ParallelTempering

SLOW = ("ladder", "signs in a plane", "no run at all", "gas, metropolis")
EACH = pytest.mark.parametrize(
    "case", [pytest.param(c, marks=pytest.mark.slow) if c in SLOW else c for c in CASES]
)
BOTH = pytest.mark.parametrize("whole", [True, False], ids=["whole", "parts"])


def compiled(model: Small, whole: bool | None, threads=32, seed=1, multiprocessors=4) -> RunsKernels:
    return RunsKernels(model.plan, HostDevice(threads, seed, multiprocessors), whole)


def swept(model: Small, kernels, lanes: Lanes, count: int = 3, first: int = 5):
    """The configurations and energies after some sweeps from the model's start."""
    state = model.random_state(lanes)
    E = kernels.sweep(state, lanes, model.launch, first, count)
    return state, E, state.seen[model.plan.groups[0].name]


@needs_compiler
@BOTH
@EACH
def test_bits_and_energies_are_those_of_the_reference(case, whole):
    """Up to the last sweep that there is; instances, walkers and rungs as they come."""
    model = of(case)
    for count, threads in ((1, 8), (7, 32)):
        lanes = model.lanes(count, seed=1)
        ours = compiled(model, whole, threads)
        a, E, x = swept(model, ours, lanes, 3, 2**32 - 3)
        b, F, y = swept(model, model.kernels("reference"), lanes, 3, 2**32 - 3)
        assert isinstance(a.packed, RunsOnDevice)
        assert np.array_equal(x, y)
        assert np.array_equal(E, F)
        assert np.array_equal(E, ours.energies(b, lanes, model.launch))


@needs_compiler
@BOTH
@pytest.mark.parametrize(
    ("threads", "seed", "multiprocessors"), [(1, 0, 1), (4, 2, 40), (16, 3, 2), (64, 4, 132)]
)
def test_any_number_and_order_of_threads_has_these_bits(threads, seed, multiprocessors, whole):
    """From one block that goes through a class in many steps to blocks that have no run."""
    model = of("square")
    lanes = model.lanes(3, seed=2)
    ours = compiled(model, whole, threads, seed, multiprocessors)
    _, E, x = swept(model, ours, lanes, 2)
    _, F, y = swept(model, model.kernels("reference"), lanes, 2)
    assert np.array_equal(x, y) and np.array_equal(E, F)


@needs_compiler
@BOTH
def test_pieces_other_rungs_and_whoever_writes_keep_all_bits(whole):
    """Exchanges, other launches, copies, configurations written, units held: between calls."""
    model = of("signs by instance")
    lanes = model.lanes(8, seed=3)
    a = model.random_state(lanes)
    b, name = a.copy(), model.plan.groups[0].name
    ours, definition = compiled(model, whole), model.kernels("reference")
    operands, coefficients = model.launch.operands, model.loaded.coefficients([0.9, 2.0, 5.0])
    other = base.launch(model.plan, operands, coefficients)
    held = {name: np.random.default_rng(1).random(a.x[name].shape) < 0.5}
    for first in range(10):
        lanes.rung[:] = (lanes.rung + (first % 3 == 0)) % 3
        launch = other if first > 5 else model.launch
        now = replace(lanes, clamp=held) if first == 4 else lanes
        if first == 7:
            now = lanes = replace(lanes, instance=1 - lanes.instance)
        E = ours.sweep(a, now, launch, first, 1)
        assert np.array_equal(E, definition.sweep(b, now, launch, first, 1)), first
        assert isinstance(a.packed, RunsOnDevice) == (first != 4)
        if first == 2:
            packed, resident = a.packed, ours._resident
        if first == 3:
            assert a.packed is packed and ours._resident is resident
            a = a.copy()
        if first == 5:
            assert np.array_equal(a.seen[name], b.x[name])
        if first == 8:
            a.x[name][:, 4] *= -1
            b.x[name][:, 4] *= -1
    assert np.array_equal(a.x[name], b.x[name])


@needs_compiler
def test_sums_and_copies_of_lanes_are_taken_where_states_stand():
    model = of("gas")
    lanes = model.lanes(6, seed=4)
    ours = compiled(model, False)
    state, _, _ = swept(model, ours, lanes)
    found, name = state.reductions, model.plan.groups[0].name
    a, b = np.arange(6), np.array([3, 0, 0, 5, 1, 2])
    counts, agreements = found.state_counts(name), found.agreements(name, a, b)
    profiles = found.profiles(name, (9, 21), a, None)
    xi = np.random.default_rng(0).choice([-1, 0, 1], (1, 2, 189))
    sums = found.pattern_sums(name, xi, a, np.zeros(6, np.int64))
    assert state.reductions is found
    assert np.array_equal(ours.device.download(ours.states(state, 0)), state.seen[name])
    x = state.seen[name].astype(np.int64)
    assert np.array_equal(counts, np.stack([(x == 0).sum(axis=1), (x == 1).sum(axis=1)], axis=1))
    assert np.array_equal(agreements, (x[a] == x[b]).sum(axis=1))
    assert np.array_equal(profiles[0], x.reshape(6, 9, 21).sum(axis=2))
    assert np.array_equal(profiles[1], x.reshape(6, 9, 21).sum(axis=1))
    assert np.array_equal(sums, x @ xi[0].T)
    sources = np.array([2, 2, 1, 5, 4, 4])
    state.rearrange(sources)
    assert state.packed is found
    assert np.array_equal(state.seen[name], x[sources])
    # instances went along, so that the next call finds the states of other orders where they belong
    E = ours.energies(state, lanes, model.launch)
    assert np.array_equal(E, model.kernels("reference").energies(state.copy(), lanes, model.launch))


@needs_compiler
@BOTH
def test_rounds_of_exchanges_run_on_the_device(whole):
    model = of("triangular", (0.8, 2.0, 3.0))
    samplers, states = [], []
    for backend in (model.kernels("reference"), compiled(model, whole)):
        ladders = Ladders.of([np.arange(3)] * 4, np.array([[7, 9]] * 4), np.arange(4))
        lanes = Lanes(np.zeros(12), ladders.row, np.arange(12), np.ones((12, 2)))
        inner = PlanSampler(backend, model.launch)
        samplers.append(ParallelTempering(inner, ladders, model.launch.coefficients, 2))
        states.append(samplers[-1].init(model.random_state(lanes), lanes))
    assert samplers[1].inner.exchanges
    for sweeps in (5, 12):
        a, b = states = [sampler.step(state, sweeps) for sampler, state in zip(samplers, states)]
        assert np.array_equal(a.energies, b.energies)
        assert np.array_equal(a.lanes.rung, b.lanes.rung)
        for statistic in STATISTICS:
            assert np.array_equal(getattr(a, statistic), getattr(b, statistic)), statistic
    assert a.exchanged.sum() > 0
    name = model.plan.groups[0].name
    assert np.array_equal(a.configurations.x[name], b.configurations.x[name])


@needs_compiler
def test_a_sweep_without_a_barrier_between_colours_differs(monkeypatch):
    model = of("square")
    lanes = model.lanes(2, seed=5)
    expected = swept(model, compiled(model, True, 64, 0), lanes)[2]
    assert np.array_equal(expected, swept(model, compiled(model, True, 64, 3), lanes)[2])

    def broken(*arguments):
        return without_barrier(emit_lattice(*arguments), 0, "for (i32 c = 0;")

    monkeypatch.setattr(lattice_load, "emit_lattice", broken)
    found = [swept(model, compiled(model, True, 64, seed), lanes)[2] for seed in (1, 2, 3)]
    assert any(not np.array_equal(expected, x) for x in found)

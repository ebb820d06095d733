"""Lattices in runs on the host's device: bits of the reference, in parts and whole, however cut."""

from dataclasses import replace

import numpy as np
import pytest
from compilers import compile_by_nvrtc, nvcc, nvrtc, resources
from host_kernels import kernels, needs_compiler, without_barrier
from small_models import Small, bound, small

from physebm.backends import base
from physebm.backends.base import Lanes
from physebm.backends.cuda.host_device import HostDevice
from physebm.backends.cuda.lattice import load as lattice_load
from physebm.backends.cuda.lattice.emit import emit_lattice, functions_text, head_text
from physebm.backends.cuda.lattice.load import RunsKernels, RunsOnDevice
from physebm.backends.cuda.lattice.parameters import (
    MOST_INDICES,
    degrees_of,
    fits_runs,
    lattice_arrays,
)
from physebm.backends.cuda.lattice.shape import shape_of
from physebm.backends.cuda.load import kernels_of
from physebm.backends.runs.graph import RUN, is_in_runs
from physebm.model.params import stack
from physebm.sampling.chain import PlanSampler
from physebm.sampling.tempering import STATISTICS, Ladders, ParallelTempering
from physebm.schema.load import load as load_declared
from physebm.schema.model_file import read_model
from physebm.study.describe import describe
from physebm.study.models import load_model

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
SLOW = ("ladder", "signs in a plane", "no run at all", "gas, metropolis")
EACH = pytest.mark.parametrize(
    "case", [pytest.param(c, marks=pytest.mark.slow) if c in SLOW else c for c in CASES]
)
BOTH = pytest.mark.parametrize("whole", [True, False], ids=["whole", "parts"])


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


def test_bytes_hold_what_they_are_given():
    """Weights stand four to a word beside the units whose neighbours they weigh, zero elsewhere."""
    model = of("signs by instance")
    arrays = model.launch.operands.arrays
    made = lattice_arrays(model.plan, model.launch.operands)
    order, w, n = arrays["order0"][0], arrays["w0"], arrays["n0"][0]
    words = made["weight0"]
    assert words.shape == (2, len(order) // RUN, 2, RUN)
    bytes_ = np.ascontiguousarray(words.transpose(0, 1, 3, 2)).view(np.int8).reshape(2, len(order), 8)
    there = order >= 0
    assert np.array_equal(bytes_[:, there, :6], w[:, order[there]])
    assert not bytes_[:, ~there].any() and not bytes_[:, :, 6:].any()
    run, place, row = made["run0"][0], made["place0"][0], np.append(order, -1)
    assert (run < 0).any() and (run >= 0).any()
    for p in np.flatnonzero(there):
        start = run[p // RUN].astype(np.int64)
        at = np.where(start >= 0, start + p % RUN, place[np.where(start < 0, -1 - start, 0) + p % RUN])
        assert np.array_equal(row[at], n[order[p]])


def test_what_does_not_fit_bytes_goes_to_the_plain_kernel():
    model = of("signs by instance")
    for weight, fits in ((1, True), (127, True), (128, False)):
        arrays = dict(model.launch.operands.arrays) | {
            "w0": weight * model.launch.operands.arrays["w0"]
        }
        operands = replace(model.launch.operands, arrays=arrays)
        assert fits_runs(model.plan, replace(model.launch, operands=operands)) is fits
    for entries in (MOST_INDICES, MOST_INDICES + 2):
        launch = replace(model.launch, tables={0: np.zeros((1, entries), np.int64)})
        assert fits_runs(model.plan, launch) is (entries <= MOST_INDICES)
    for case, most in (("square", 127), ("square in a field", 63)):
        model = of(case)
        operands = model.launch.operands
        for degree in (most, most + 1):
            arrays = dict(operands.arrays) | {"n0": np.zeros((1, 9, degree), np.int32)}
            launch = replace(model.launch, operands=replace(operands, arrays=arrays))
            assert fits_runs(model.plan, launch) is (degree <= most)


class Card(HostDevice):
    """A device by its numbers: those of an H100."""

    def __init__(self):
        super().__init__(256, 1, 132)


def test_sizes_choose_the_way_and_the_number_of_blocks():
    model = of("square")

    def shape(L: int, lanes: int):
        sizes = {"positions0": L * L, "classes0": 2, "thresholds": 18}
        return shape_of(model.plan, Card(), sizes, lanes, None)

    assert shape(64, 1).whole and shape(64, 1).shared == 64**2 + RUN + 144
    assert not shape(512, 1).whole  # does not fit
    large = shape(4096, 1)
    assert (large.whole, large.threads, large.share) == (False, 256, 528)
    assert shape(4096, 1000).share == 1
    # lanes that keep all multiprocessors busy need no launch for each class
    assert shape(256, 132).whole and not shape(448, 1).whole
    assert isinstance(kernels_of(model.plan, HostDevice()), RunsKernels)
    assert isinstance(kernels(model.plan), RunsKernels)


def source_of(case: str) -> str:
    model = of(case)
    return emit_lattice(model.plan, degrees_of(model.plan, model.launch.operands)).text


STRUCTURES = pytest.mark.parametrize(
    "case", ["square", "signs by instance", pytest.param("gas", marks=pytest.mark.slow)]
)


def test_what_is_shown_is_what_is_compiled():
    text = describe(load_model("ising_2d", L=32, h=0.0), "cuda")
    body = text.split("\n", 2)[2]
    assert source_of("square").endswith(body)
    assert "sum_of_neighbours<DEGREE0>" in body


def test_the_generated_source_reads_as_reviewed(golden):
    plan = of("square in a field").plan
    golden("cuda_runs_ising_2d.cu.txt", f"{head_text(plan, {0: 4})}\n{functions_text(plan)}")


@pytest.mark.skipif(nvrtc() is None, reason="no NVRTC: pip install nvidia-cuda-nvrtc-cu12")
@pytest.mark.parametrize("architecture", ["sm_80", "sm_90"])
@STRUCTURES
def test_nvrtc_compiles_without_a_warning(case, architecture):
    assert "warning" not in compile_by_nvrtc(source_of(case), architecture)


@pytest.mark.skipif(nvcc() is None, reason="no nvcc: registers and spills are not checked")
@STRUCTURES
def test_no_kernel_spills_registers(case, tmp_path):
    for kernel, (registers, spilled) in resources(source_of(case), "sm_90", tmp_path).items():
        assert spilled == 0, f"{kernel} spills {spilled} bytes"
        assert registers <= 128, f"{kernel} takes {registers} registers"

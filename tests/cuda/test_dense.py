"""Kernels for units that all interact, run on the host: the reference's states, whatever the tile.

Models and tolerances as in `parity_cases`. Sizes leave remainders in every direction: units against
blocks of 64 and chunks of 32, patterns against chunks, lanes against tiles.
"""

import numpy as np
import pytest
from compilers import compile_by_nvrtc, nvcc, nvrtc, resources
from host_kernels import elementwise, needs_compiler, without_barrier
from many_lanes import for_lanes, part_of
from parity_cases import assert_equal_bits, assert_same, keeps_up
from small_models import Small, small

from physebm.backends.base import Lanes, LaneState
from physebm.backends.cuda.dense import load
from physebm.backends.cuda.dense.emit import ROWS, emit_dense, is_dense, kernels_text
from physebm.backends.cuda.dense.load import DenseKernels, rows_for
from physebm.backends.cuda.emit import library
from physebm.backends.cuda.host_device import HostDevice
from physebm.sampling.chain import PlanSampler
from physebm.sampling.tempering import Ladders, ParallelTempering

MODELS = {
    "sk": {"N": 101},
    "boltzmann_machine": {"N": 67},
    "hopfield": {"N": 75, "P": 37},
    "curie_weiss": {"N": 37},
}
every_model = pytest.mark.parametrize("name", MODELS)


def model_of(name: str, **parameters) -> Small:
    model = small(name, "heat-bath", (0.8, 1.5, 3.0), 2, **{**MODELS[name], **parameters})
    model = for_lanes(model, 64)
    assert is_dense(model.plan)
    return model


@pytest.fixture
def kernels(monkeypatch):
    """``kernels(model, rows)``: for tiles of 8 `rows` lanes."""

    def build(model: Small, rows: int, seed: int = 1) -> DenseKernels:
        monkeypatch.setattr(load, "rows_for", lambda instance, multiprocessors: rows)
        return DenseKernels(model.plan, HostDevice(seed=seed))

    return build


def swept(model: Small, compiled: DenseKernels, start: LaneState, lanes, cuts=(2,)):
    """A copy of a state after sweeps in calls of some length each, and its energies."""
    state, first = start.copy(), 62
    compiled.prepare(state, lanes, model.launch)
    for count in cuts:
        E = compiled.sweep(state, lanes, model.launch, first, count)
        first += count
    np.testing.assert_array_equal(E, compiled.energies(state, lanes, model.launch))
    return state, E


def assert_running(state: LaneState, lanes, model: Small) -> None:
    """Running fields are J x; overlaps are xi x, to the last bit."""
    arrays, (x,) = model.launch.operands.arrays, state.seen.values()
    table = arrays["J0"] if "J0" in arrays else arrays["xi0"]
    expected = np.einsum(
        "li,lij->lj", x.astype(float), table[lanes.instance % len(table)].astype(float)
    )
    if "J0" in arrays:
        np.testing.assert_allclose(state.work["work0"], expected, rtol=1e-5, atol=1e-5)
    else:
        assert np.array_equal(state.work["work0"], expected)


@needs_compiler
@every_model
def test_tiles_agree_with_the_reference(name, kernels):
    """Two instances and three rungs, in each tile a plan may have.

    Noise and fields are float32, below 2e-6 of p (1 - p) in all: the pinned words (about 2e4 decisions)
    do not meet that.
    """
    model = model_of(name)
    lanes = model.lanes(21, seed=3)
    for rows in ROWS:
        state = keeps_up(kernels(model, rows), model, lanes, sweeps=2)
        assert_running(state, lanes, model)


@needs_compiler
@every_model
def test_bits_of_a_lane_do_not_depend_on_tile_place_and_company(name, kernels):
    """Other tiles, lanes permuted and dropped, threads in another order, sweeps in pieces."""
    model = model_of(name)
    lanes = model.lanes(21, seed=11)
    start = model.random_state(lanes)
    first, *others = ROWS
    whole, E = swept(model, kernels(model, first), start, lanes, (3,))
    order = np.random.default_rng(12).permutation(21)
    for rows, which, cuts in ((others[0], order, (1, 2)), (others[-1], order[:9], (2, 1))):
        part = LaneState({group: x[which] for group, x in start.x.items()})
        alone, F = swept(model, kernels(model, rows, 3), part, part_of(lanes, which), cuts)
        assert np.array_equal(F, E[which])
        for held in ("x", "work"):
            for key, x in getattr(whole, held).items():
                assert np.array_equal(getattr(alone, held)[key], x[which]), key


@needs_compiler
@pytest.mark.parametrize("N", [1, 64, 65])
@pytest.mark.parametrize("name", ["sk", "hopfield"])
def test_sizes_around_a_block(name, N, kernels):
    model = model_of(name, **({"N": N, "P": 3} if name == "hopfield" else {"N": N}))
    lanes = model.lanes(9, seed=9)
    keeps_up(kernels(model, 1), model, lanes, sweeps=4)


@needs_compiler
def test_integers_and_floats_add_up_to_the_same_overlaps(kernels, monkeypatch):
    """Whichever type holds the sums; overlaps are those of the configurations."""
    model = model_of("hopfield")
    lanes = model.lanes(10, seed=4)
    start = model.random_state(lanes)
    states = [swept(model, kernels(model, 2), start, lanes)[0]]
    monkeypatch.setattr(load, "EXACT", 0)
    integers = kernels(model, 2)
    states.append(swept(model, integers, start, lanes)[0])
    assert [number for _, number in integers._functions] == ["i32"]
    # the plain kernel, where sums may be too large for both
    monkeypatch.setattr(load, "LARGEST", 0)
    states.append(swept(model, kernels(model, 2), start, lanes)[0])
    assert_equal_bits(states[0], states[1])
    assert_equal_bits(states[0], states[2])
    assert_running(states[0], lanes, model)


@needs_compiler
@pytest.mark.parametrize("name", ["sk", "hopfield"])
def test_held_units_stay_and_running_quantities_follow(name, kernels):
    """A call with held units between two without: all three are the reference's."""
    model = model_of(name)
    free, held = model.lanes(6, seed=5), model.lanes(6, seed=5, clamped=True)
    a = model.random_state(free)
    b = a.copy()
    compiled, reference = kernels(model, 1), model.kernels("reference")
    compiled.prepare(a, free, model.launch)
    reference.prepare(b, free, model.launch)
    for sweep, lanes in enumerate((free, held, free), start=1):
        compiled.sweep(a, lanes, model.launch, sweep, 1)
        reference.sweep(b, lanes, model.launch, sweep, 1)
        assert_same(a, b, model)
    assert_running(a, free, model)


@needs_compiler
def test_states_that_take_turns_keep_their_running_fields(kernels):
    """Fields are made when they are taken, whatever has been swept in the meantime."""
    model = model_of("sk")
    many, few = model.lanes(13, seed=6), model.lanes(5, seed=7)
    compiled, a, b = kernels(model, 1), model.random_state(many), model.random_state(few)
    for state, lanes in ((a, many), (b, few)):
        compiled.prepare(state, lanes, model.launch)
        compiled.sweep(state, lanes, model.launch, 0, 1)
    for state, lanes in ((a, many), (b, few)):
        assert_running(state, lanes, model)


class Sweeps:
    """Kernels that leave exchanges to the host."""

    def __init__(self, compiled: DenseKernels):
        self.plan, self.prepare = compiled.plan, compiled.prepare
        self.sweep, self.energies = compiled.sweep, compiled.energies


@needs_compiler
def test_rounds_on_the_device_are_rounds_on_the_host(kernels):
    """Rungs that the device has changed are those that fields are multiplied with."""
    model = model_of("sk", N=20)
    ladders = Ladders.of([np.array([0, 1, 2]), np.array([2, 0])], np.array([[7, 9]] * 2), np.arange(2))
    ends = []
    for wrap in (Sweeps, lambda compiled: compiled):
        lanes = Lanes(np.array([0, 0, 0, 1, 1]), ladders.row, np.arange(5), np.ones((5, 2)))
        inner = PlanSampler(wrap(kernels(model, 1)), model.launch)
        sampler = ParallelTempering(inner, ladders, model.launch.coefficients, 2)
        state = sampler.step(sampler.init(model.random_state(lanes), lanes), 20)
        ends.append(state)
    a, b = ends
    assert np.array_equal(a.energies, b.energies) and np.array_equal(a.lanes.rung, b.lanes.rung)
    assert_equal_bits(a.configurations, b.configurations)
    assert a.exchanged.sum() > 0 and np.array_equal(a.exchanged, b.exchanged)


@needs_compiler
@pytest.mark.parametrize(("name", "barriers"), [("sk", 3), ("hopfield", 4)])
def test_a_sweep_without_one_of_its_barriers_differs(name, barriers, kernels):
    """Those of sums, of draws, and of what overlaps take up, in some order of threads.

    Sums that are kept before the next are staged meet a barrier of their warp first, which on the host
    no other thread passes.
    """
    model = model_of(name, **({"N": 70, "P": 70} if name == "hopfield" else {"N": 70}))
    lanes = model.lanes(8, seed=3)
    start = model.random_state(lanes)
    number, marks = "float", "// Sums of the eight warps"
    whole = emit_dense(model.plan, 1, number)
    compiled = kernels(model, 1)
    expected, E = swept(model, compiled, start, lanes)
    for barrier in range(barriers):
        broken = without_barrier(whole, barrier, marks)
        same = []
        for seed in (1, 2, 3):
            compiled = kernels(model, 1, seed)
            compiled._functions[1, number] = compiled.device.function(broken, "sweep")
            state = start.copy()
            compiled.prepare(state, lanes, model.launch)
            F = compiled.sweep(state, lanes, model.launch, 62, 2)
            same.append(np.array_equal(state.x["s"], expected.x["s"]) and np.array_equal(E, F))
        assert not all(same), barrier


@needs_compiler
def test_noise_is_logistic():
    """``log(u / (1 - u))`` within 3e-7 (1 + its size), at the ends of the range and in the middle."""
    rng = np.random.default_rng(1)
    ends = np.array([0, 1, 2**31 - 1, 2**31, 2**32 - 2, 2**32 - 1], np.uint32)
    word = np.concatenate([ends, rng.integers(0, 2**32, 4000, dtype=np.uint32)])
    head = "constexpr i32 ROWS = 1, PANELS = 2, LOW = -1, HIGH = 1;\ntypedef float Number;\n"
    before = head + library("tiles", "dense_blocks")
    got = elementwise("logistic_noise((u32)p.a[i])", word.astype(float), before=before)
    u = (word + 0.5) * 2.0**-32
    expected = np.log(u) - np.log((2.0**32 - word - 0.5) * 2.0**-32)
    assert np.all(np.abs(got - expected) <= 3e-7 * (1 + np.abs(expected)))


def test_tiles_follow_the_lanes_of_a_call():
    of = {n: rows_for(np.zeros(n, np.int64), 132) for n in (1, 1024, 2000, 10_000)}
    assert of == {1: 1, 1024: 1, 2000: 2, 10_000: 4}
    assert rows_for(np.arange(10_000), 132) == 1


@pytest.mark.parametrize("name", ["boltzmann_machine", "hopfield"])
def test_the_generated_source_reads_as_reviewed(golden, name):
    golden(f"cuda_dense_{name}.cu.txt", kernels_text(model_of(name).plan))


KERNELS = [
    (name, rows, number)
    for name, number in (("sk", "float"), ("hopfield", "float"), ("hopfield", "i32"))
    for rows in ROWS
]


@pytest.mark.skipif(nvrtc() is None, reason="no NVRTC: pip install nvidia-cuda-nvrtc-cu12")
@pytest.mark.parametrize("architecture", ["sm_80", "sm_90"])
@every_model
def test_nvrtc_compiles_without_a_warning(name, architecture):
    plan = model_of(name).plan
    text = emit_dense(plan, ROWS[0], "float").text
    assert "warning" not in compile_by_nvrtc(text, architecture)


@pytest.mark.skipif(nvcc() is None, reason="no nvcc: registers and spills are not checked")
@pytest.mark.parametrize(("name", "rows", "number"), KERNELS)
def test_no_kernel_spills_registers(name, rows, number, tmp_path):
    text = emit_dense(model_of(name).plan, rows, number).text
    for architecture in ("sm_80", "sm_90"):
        for kernel, (registers, spilled) in resources(text, architecture, tmp_path).items():
            assert spilled == 0, f"{kernel} spills {spilled} bytes"
            assert registers <= 128, "two blocks of threads share a multiprocessor"

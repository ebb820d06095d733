"""Kernels for tiles of lanes, run on the host: the reference's states, whatever the tile.

Models and tolerances as in `parity_cases`; shapes of tiles are forced, which on a device follow the
lanes of a call.
"""

import numpy as np
import pytest
from compilers import compile_by_nvrtc, compiled, nvrtc
from host_kernels import elementwise, needs_compiler, without_barrier
from many_lanes import part_of
from parity_cases import agree, build
from small_models import ZOO, Small, small

from physebm.backends.base import LaneState
from physebm.backends.cuda.emit import library
from physebm.backends.cuda.host_device import HostDevice
from physebm.backends.cuda.tiles import load
from physebm.backends.cuda.tiles.emit import emit_tiles, kernels_text
from physebm.backends.cuda.tiles.load import MOST_ROWS, TileKernels, bytes_of_block, shape_for
from physebm.backends.cuda.tiles.reads import Shape, is_tiled

TILED = [name for name in ZOO if is_tiled(build(name, "heat-bath").plan)]
CASES = [(name, "heat-bath") for name in TILED] + [("rbm_potts_hidden", "metropolis")]
FLOATS, TENSOR = Shape(3, 1), Shape(2, 1, tensor=True)
WIDE_FLOATS, WIDE_TENSOR = Shape(2, 2), Shape(4, 4, tensor=True)
# more than one panel of units, more than one word of states, and odd remainders of both
LARGE = {
    "rbm": {"Nv": 150, "Nh": 70},
    "rbm_gaussian_hidden": {"Nv": 70, "Nh": 67},
    "rbm_ising_hidden": {"Nv": 33, "Nh": 65},
    "rbm_potts_hidden": {"Nv": 33, "Nh": 23},
}


def kernels(model: Small, shape: Shape, monkeypatch, seed: int = 1) -> TileKernels:
    monkeypatch.setattr(load, "shape_for", lambda plan, instance, device, tensor: shape)
    return TileKernels(model.plan, HostDevice(seed=seed, tensor_cores=shape.tensor))


def large(name: str) -> Small:
    return small(name, "heat-bath", (0.8, 1.5), 2, **LARGE[name])


def test_the_models_with_products_are_tiled():
    assert len(TILED) == 9
    assert not is_tiled(build("sk", "heat-bath").plan)


@needs_compiler
@pytest.mark.parametrize("shape", [FLOATS, TENSOR])
@pytest.mark.parametrize(("name", "method"), CASES)
def test_tiles_agree_with_the_reference(name, method, shape, monkeypatch):
    """Two instances and three rungs; then a third of the units held."""
    model = build(name, method)
    for clamped in (False, True):
        lanes = model.lanes(27, seed=3, clamped=clamped)
        agree(kernels(model, shape, monkeypatch), model, lanes, single=3, first=0)


@needs_compiler
@pytest.mark.parametrize("shape", [FLOATS, TENSOR, WIDE_FLOATS, WIDE_TENSOR])
@pytest.mark.parametrize("name", LARGE)
def test_any_shape_agrees_with_the_reference(name, shape, monkeypatch):
    model = large(name)
    compiled = kernels(model, shape, monkeypatch, seed=2)
    agree(compiled, model, model.lanes(11, seed=5), single=2, first=0)


@needs_compiler
@pytest.mark.parametrize("tensor", [False, True])
@pytest.mark.parametrize("name", ["rbm", "rbm_gaussian_hidden", "rbm_potts_hidden"])
def test_no_bit_of_a_lane_depends_on_its_tile(name, tensor, monkeypatch):
    """Other shapes, other company, another place, another order of threads, sweeps in pieces."""
    model = large(name)
    lanes = model.lanes(19, seed=7, clamped=True)
    start = model.random_state(lanes)
    shape, other = (TENSOR, WIDE_TENSOR) if tensor else (FLOATS, WIDE_FLOATS)
    expected, E = swept(model, kernels(model, shape, monkeypatch), start, lanes, [4])
    for order, cuts in ((np.arange(19)[::-1], [3, 1]), (np.arange(5, 12), [1, 3])):
        part = LaneState({group: x[order] for group, x in start.x.items()})
        compiled = kernels(model, other, monkeypatch, seed=3)
        state, F = swept(model, compiled, part, part_of(lanes, order), cuts)
        assert np.array_equal(F, E[order])
        for group, x in state.x.items():
            assert np.array_equal(x, expected.x[group][order])


def swept(model: Small, compiled: TileKernels, start: LaneState, lanes, cuts):
    state, first = start.copy(), 62
    compiled.prepare(state, lanes, model.launch)
    for count in cuts:
        E = compiled.sweep(state, lanes, model.launch, first, count)
        first += count
    return state, E


@needs_compiler
@pytest.mark.parametrize("shape", [FLOATS, TENSOR])
def test_barriers_stand_where_units_are_read_that_others_drew(shape, monkeypatch):
    model = small("rbm_gaussian_hidden", Nv=40, Nh=30)
    lanes = model.lanes(9, seed=2)
    start, whole = model.random_state(lanes), emit_tiles(model.plan, shape)

    def result(source, seed):
        compiled = kernels(model, shape, monkeypatch, seed)
        compiled._sources[shape] = source
        state, _ = swept(model, compiled, start, lanes, [2])
        return np.concatenate([x.ravel() for x in state.x.values()])

    expected = result(whole, 1)
    for seed in (0, 2, 3):
        assert np.array_equal(result(whole, seed), expected)
    for move in range(2):
        broken = without_barrier(whole, move, ") sweep(")
        assert any(not np.array_equal(result(broken, seed), expected) for seed in (1, 2, 3))


@needs_compiler
def test_three_planes_hold_a_coupling():
    rng = np.random.default_rng(1)
    J = np.float32(rng.normal(size=4000) * 10.0 ** rng.uniform(-20, 20, 4000))
    constants = "constexpr i32 ROWS = 2, PANELS = 1;\n"
    planes = [
        elementwise(
            f"(double)__uint_as_float(plane_of((float)p.a[i], {plane}) << 16)",
            J.astype(float),
            before=constants + library("tiles", "tensor_products"),
        )
        for plane in range(3)
    ]
    assert np.array_equal(planes[0] + planes[1] + planes[2], J)
    assert np.all(np.abs(planes[1]) <= 2.0**-7 * np.abs(planes[0]))


class Card:
    """A device by its numbers: those of an H200."""

    multiprocessors, shared = 132, 227 * 1024


def test_shapes_follow_the_lanes_of_a_call():
    plan = build("rbm", "heat-bath").plan
    of = {
        lanes: shape_for(plan, np.zeros(lanes, np.int64), Card, True)
        for lanes in (1, 500, 10_000, 10**5)
    }
    assert of[1] == of[500] == Shape(2, 4, True)
    assert of[10_000] == Shape(10, 2, True)  # 125 tiles: one for each multiprocessor
    assert of[10**5].rows == 16
    assert shape_for(plan, np.arange(1000), Card, True).rows == 2
    assert shape_for(plan, np.zeros(10_000, np.int64), Card, False).rows == 5


@pytest.mark.parametrize("tensor", [False, True])
@pytest.mark.parametrize("name", TILED)
def test_every_shape_fits_a_multiprocessor(name, tensor):
    plan = build(name, "heat-bath").plan
    for lanes in (1, 100, 1000, 3000, 10_000, 30_000, 10**6):
        shape = shape_for(plan, np.zeros(lanes, np.int64), Card, tensor)
        assert bytes_of_block(plan, shape) <= Card.shared
        assert shape.panels == 1 or shape.rows <= MOST_ROWS[tensor][shape.panels]


def test_the_generated_source_reads_as_reviewed(golden):
    plan = build("rbm_gaussian_hidden", "heat-bath").plan
    golden("cuda_tiles_rbm_gaussian_hidden.cu.txt", kernels_text(plan, tensor=True))


COMPILED = ["rbm_ising_hidden", "rbm_truncated_gaussian_hidden", "rbm_potts_hidden"]
LARGEST = [Shape(8, 1), Shape(16, 1, tensor=True)]
LARGEST += [Shape(r, p, tensor) for tensor, most in MOST_ROWS.items() for p, r in most.items()]


@pytest.mark.skipif(nvrtc() is None, reason="no NVRTC: pip install nvidia-cuda-nvrtc-cu12")
@pytest.mark.parametrize(("shape", "architecture"), [(FLOATS, "sm_90"), (TENSOR, "sm_80")])
@pytest.mark.parametrize("name", [*COMPILED, "deep_boltzmann_machine"])
def test_nvrtc_compiles_without_a_warning(name, shape, architecture):
    plan = build(name, "heat-bath").plan
    assert "warning" not in compile_by_nvrtc(emit_tiles(plan, shape).text, architecture)


@pytest.mark.skipif(nvrtc() is None, reason="no NVRTC: pip install nvidia-cuda-nvrtc-cu12")
@pytest.mark.parametrize("shape", LARGEST, ids=str)
@pytest.mark.parametrize("name", ["rbm", "rbm_truncated_gaussian_hidden"])
def test_no_kernel_spills_registers(name, shape):
    plan = build(name, "heat-bath").plan
    for kernel, (registers, spilled) in compiled(emit_tiles(plan, shape).text, "sm_90").items():
        assert spilled == 0, f"{kernel} spills {spilled} bytes"
        assert registers * shape.threads <= 65536

"""Kernels for Potts units that gather their fields, run on the host: the reference's states.

Rows of 8 (q = 5), 24 (17 and 21: the last four states are none, or three) and 32 numbers; lanes leave a
remainder against tiles, units against the chunks of 64 whose words are made together.
"""

import numpy as np
import pytest
from compilers import compiled, nvrtc
from host_kernels import kernel_of, needs_compiler, run
from many_lanes import for_lanes, part_of
from parity_cases import both_ways, keeps_up
from small_models import Small, small

from physebm.backends.base import LaneState
from physebm.backends.cuda.emit import library
from physebm.backends.cuda.host_device import HostDevice
from physebm.backends.cuda.potts import load
from physebm.backends.cuda.potts.emit import (
    MOST_THREADS,
    Shape,
    emit_gathers,
    is_gathered,
    kernels_text,
)
from physebm.backends.cuda.potts.load import ROWS, GatherKernels, shape_for
from physebm.backends.cuda.rooms import kernels_of

SIZES = ((9, 5), (6, 21), (5, 17), (4, 32), (67, 5), (1, 5))


def model_of(L: int, q: int) -> Small:
    model = small("potts_machine", "heat-bath", (0.8, 1.5, 3.0), 2, L=L, q=q)
    model = for_lanes(model, 64)
    assert is_gathered(model.plan)
    return model


@pytest.fixture
def kernels(monkeypatch):
    """``kernels(model, rows)``: for tiles of 8 `rows` lanes."""

    def build(model: Small, rows: int, seed: int = 1) -> GatherKernels:
        shape = Shape(rows, model.plan.groups[0].prior.q)
        monkeypatch.setattr(load, "shape_for", lambda plan, instance, device: shape)
        compiled = kernels_of(model.plan, HostDevice(seed=seed))
        assert isinstance(compiled, GatherKernels)
        return compiled

    return build


@needs_compiler
@pytest.mark.parametrize(("L", "q"), SIZES)
def test_tiles_agree_with_the_reference(L, q, kernels):
    """Two instances and three rungs; then a third of the units held.

    Fields and exponentials are float32: a draw can differ only where its number falls within 2e-6 of a
    partial sum, which the pinned words do not (about 1e4 draws, a chance below 0.05).
    """
    model = model_of(L, q)
    compiled = kernels(model, 2)
    for lanes in both_ways(model, 21):
        assert not keeps_up(compiled, model, lanes, sweeps=2).work


@needs_compiler
@pytest.mark.parametrize(("L", "q"), [(9, 5), (6, 21)])
def test_bits_of_a_lane_do_not_depend_on_tile_place_and_company(L, q, kernels):
    """Other tiles, lanes permuted and dropped, threads in another order, sweeps in pieces."""
    model = model_of(L, q)
    lanes = model.lanes(41, seed=11)
    start = model.random_state(lanes)
    whole = start.copy()
    E = kernels(model, 2).sweep(whole, lanes, model.launch, 62, 4)
    order = np.random.default_rng(12).permutation(41)
    for rows, which, cuts in ((4, order, (1, 3)), (8, order[:9], (2, 2))):
        state = LaneState({"s": start.x["s"][which]})
        compiled, first = kernels(model, rows, 3), 62
        for count in cuts:
            F = compiled.sweep(state, part_of(lanes, which), model.launch, first, count)
            first += count
        assert np.array_equal(F, E[which])
        assert np.array_equal(state.x["s"], whole.x["s"][which])


DRAW = (
    "DYNAMIC_SHARED(Room, rooms);\n"
    "__shared__ u8 states[TILE];\n"
    "const i32 place = threadIdx.x / QUADS, quad = threadIdx.x % QUADS;\n"
    "Four theta;\n"
    "for (i32 k = 0; k < 4; k++)\n"
    "    theta.value[k] = 4 * quad + k < Q ? (float)p.a[4 * quad + k] : 0.0f;\n"
    "const u32 word = (u32)p.b[place < TILE ? place : 0];\n"
    "draw_unit(rooms[0], theta, word, place, quad, states);\n"
    "if (place < TILE && quad == 0) p.out[place] = states[place];"
)


@needs_compiler
@pytest.mark.parametrize("q", [5, 17])
def test_rare_states_keep_their_probability(q):
    """Of 2^32 words as many decide for a state as its probability says, wherever it stands.

    A gap of 18 makes the others rare: 1.5e-8 each, below the rounding of a float32 sum.
    """
    shape, gap = Shape(2, q), 18.0
    head = (
        f"constexpr i32 ROWS = 2, PANELS = {shape.panels}, Q = {q}, QUADS = {shape.quads};\n"
        + library("tiles", "potts_rows")
    )
    source = kernel_of(DRAW, out="i32", before=head)
    for common in {0, 3, 4, q - 1}:
        theta = np.where(np.arange(q) == common, 0.0, -gap)
        edges = np.cumsum(np.exp(theta))[:-1] / np.exp(theta).sum() * 2.0**32
        for below, edge in enumerate(edges):
            words = (np.floor(edge) + np.array([-3.0, 3.0])).clip(0, 2**32 - 1)
            given = np.resize(words, 16)
            out = run(source, theta, given, out=np.empty(16, np.int32), threads=128 * shape.panels)
            assert np.array_equal(out, np.resize([below, below + 1], 16)), (common, below)


class Card:
    """A device by its numbers: those of an H200."""

    multiprocessors, shared = 132, 227 * 1024


def test_tiles_follow_the_lanes_of_a_call():
    plan = model_of(6, 21).plan
    of = {n: shape_for(plan, np.zeros(n, np.int64), Card).rows for n in (1, 2000, 10_000, 10**5)}
    assert of == {1: 2, 2000: 2, 10_000: 16, 10**5: 16}
    assert shape_for(model_of(4, 32).plan, np.zeros(10**5, np.int64), Card) == Shape(16, 32)
    for q in (5, 21, 100, 127):
        for rows in ROWS:
            shape = Shape(rows, q)
            assert 128 * shape.panels >= 8 * rows * shape.quads
            assert 128 * shape.panels <= MOST_THREADS or 8 * rows * shape.quads > MOST_THREADS


def test_the_generated_source_reads_as_reviewed(golden):
    golden("cuda_gathers_potts_machine.cu.txt", kernels_text(model_of(9, 5).plan))


KERNELS = [(5, 16), (21, 16), (21, 4), (32, 16), (127, 4)]


@pytest.mark.skipif(nvrtc() is None, reason="no NVRTC: pip install nvidia-cuda-nvrtc-cu12")
@pytest.mark.parametrize("architecture", ["sm_80", "sm_90"])
@pytest.mark.parametrize(("q", "rows"), KERNELS)
def test_nvrtc_neither_warns_nor_spills_registers(q, rows, architecture):
    shape = Shape(rows, q)
    text = emit_gathers(model_of(6, 21).plan, shape).text
    for kernel, (registers, spilled) in compiled(text, architecture).items():
        assert spilled == 0, f"{kernel} spills {spilled} bytes"
        assert registers * 128 * shape.panels <= 65536

"""Bit-sliced modules of the CUDA backend: logic, sizes, text, and NVIDIA's compilers."""

import numpy as np
import pytest
from compilers import compile_by_nvrtc, nvcc, nvrtc, resources
from host_kernels import STRUCT, needs_compiler
from plane_models import Model, of

from physebm.backends.cuda.emit import library, library_text
from physebm.backends.cuda.host_device import HostDevice
from physebm.backends.cuda.index import with_index
from physebm.backends.cuda.planes.arrays import class_bounds
from physebm.backends.cuda.planes.emit import emit_planes, head_text
from physebm.backends.cuda.planes.load import MOST_NEIGHBOURS
from physebm.backends.cuda.planes.shape import shape_of
from physebm.backends.planes.graph import Graph
from physebm.backends.planes.sliced import Sliced
from physebm.backends.source import Source
from physebm.errors import LoweringError
from physebm.study.describe import describe
from physebm.study.models import load_model


@needs_compiler
@pytest.mark.parametrize("N", [1, 2, 3, 4, 6, 7, 8, 12, 16])
def test_planes_are_counted_and_rows_picked_lane_by_lane(N):
    """``out`` has the digits of the count, and the row that it picks."""
    rng = np.random.default_rng(N)
    digits = N.bit_length()
    planes, rows = rng.integers(0, 2**32, (2, 40, N + 1), dtype=np.uint32)
    out = np.zeros((40, digits + 1), np.uint32)
    body = (
        f"EACH(i, 40) {{ u32* to = p.out + i * {digits + 1};\n"
        f"count_planes<{N}>(p.a + i * {N + 1}, to);\n"
        f"to[{digits}] = pick<{N + 1}, {digits - 1}>(p.b + i * {N + 1}, to); }}\n"
    )
    text = "struct Parameters { const u32 *a, *b, *c; u32* out; i64 n; };\n"
    text += f'extern "C" __global__ void run(const Parameters p, u32 unused) {{\n{body}}}\n'
    bits = library("bits")
    struct = np.zeros((), STRUCT)
    for name, values in zip(("a", "b", "out"), (planes, rows, out)):
        struct[name] = values.ctypes.data
    source = Source("test_cuda", f"{library_text()}\n{bits}\n{text}")
    HostDevice().function(source, "run")(1, 32, struct, (np.uint32(0),))
    lanes = np.arange(32, dtype=np.uint32)
    count = (planes[:, :N, None] >> lanes & 1).sum(axis=1)
    got = (out[:, :digits, None] >> lanes & 1).astype(np.int64)
    assert np.array_equal(count, (got << np.arange(digits)[:, None]).sum(axis=1))
    picked = np.take_along_axis(rows[:, :, None] >> lanes & 1, count[:, None], axis=1)[:, 0]
    assert np.array_equal(picked, out[:, digits, None] >> lanes & 1)


def test_classes_have_no_gap():
    positions = np.array([[0, 1, 2, 64, 65, 128], [0, 1, 2, 3, 64, 65]], np.uint32)
    bounds = class_bounds(positions, np.array([[0, 1, 2], [0, 1, 2]]))
    assert bounds.tolist() == [[[0, 0], [3, 64], [5, 128], [6, 0]], [[0, 0], [4, 64], [6, 0], [6, 0]]]
    filled = class_bounds(np.arange(192)[None], np.array([[0, 0, 1]]))
    assert filled.tolist() == [[[0, 0], [128, 128], [192, 0]]]
    with pytest.raises(LoweringError, match="gap"):
        class_bounds(np.array([[0, 1, 3]]), np.array([[0]]))


class Card:
    """As much of a device as shapes ask for."""

    threads, multiprocessors, shared = 128, 132, 227 * 1024


@pytest.mark.parametrize(
    ("name", "L", "words", "whole", "threads"),
    [
        ("ising_2d", 8, 1, True, 32),
        ("ising_2d", 64, 10_000, True, 256),
        ("ising_2d", 64, 100, True, 512),
        ("ising_2d", 128, 1, False, 256),
        ("ising_2d", 128, 1000, True, 256),
        ("ising_2d", 256, 10_000, False, 256),  # 256 KiB: more than a block may have
        ("edwards_anderson_3d", 16, 1000, True, 256),
        ("edwards_anderson_3d", 16, 64, True, 512),
        ("edwards_anderson_3d", 32, 1000, True, 512),
    ],
)
def test_sizes_say_who_shares_a_lattice(name, L, words, whole, threads):
    model = Model(name, {"L": L})
    told = Sliced.of(model.plan)
    graph = Graph.of(told, model.operands)
    shape = shape_of(Card(), graph, told, 2, words, None)
    assert (shape.whole, shape.threads) == (whole, threads)
    assert shape.shared + 1024 <= Card.shared
    assert shape.share * shape.threads * 8 >= L ** int(name[-2])


# case, neighbours, REGULAR, whole: those of most registers, and the lattices that most people have
STRUCTURES = (
    ("square", 4, True, True),
    ("square", 4, True, False),
    ("cubic, signs by instance", 6, True, True),
    ("cubic, signs by instance", 6, True, False),
    ("cubic, signs, metropolis", 8, True, True),
    ("cubic, signs, metropolis", 8, True, False),
    ("cubic, signs, metropolis", MOST_NEIGHBOURS, False, True),
    ("lattice gas", 3, False, False),
)
SOURCES = {each: emit_planes(of(each[0]).plan, *each[1:]) for each in STRUCTURES}


@pytest.mark.skipif(nvrtc() is None, reason="no NVRTC: pip install nvidia-cuda-nvrtc-cu12")
@pytest.mark.parametrize("architecture", ["sm_80", "sm_90"])
@pytest.mark.parametrize("title", SOURCES, ids=str)
def test_nvrtc_compiles_without_a_warning(title, architecture):
    assert "warning" not in compile_by_nvrtc(SOURCES[title].text, architecture)


@pytest.mark.skipif(nvcc() is None, reason="no nvcc: registers and spills are not checked")
@pytest.mark.parametrize("title", SOURCES, ids=str)
def test_blocks_of_512_threads_have_their_registers(title, tmp_path):
    for kernel, (registers, spilled) in resources(SOURCES[title].text, "sm_90", tmp_path).items():
        assert spilled == 0, f"{kernel} spills {spilled} bytes"
        assert registers <= 128, f"{kernel} takes {registers} registers"


def test_what_is_shown_is_what_is_compiled():
    text = describe(load_model("edwards_anderson_3d"), "cuda", chains=512, library=True)
    assert "constexpr i32 DEGREE = 6;" in text
    assert 'extern "C" __global__ void sweep(const Parameters p, u32 first, u32 count)' in text
    plan = of("cubic, signs by instance").plan
    source = emit_planes(plan, 6, True, True)
    assert text.endswith(with_index(source.text, True))
    assert f"\n// {source.name}.cu: " in text


def test_the_constants_of_a_plan_read_as_reviewed(golden):
    plan = of("cubic, signs by instance").plan
    golden("cuda_planes_edwards_anderson_3d.cu.txt", head_text(plan, 6, True, True))

"""Kernels of the CUDA backend on the host, and small kernels for single functions of the library."""

import numpy as np
import pytest

from physebm.backends.cuda.emit import library_text
from physebm.backends.cuda.host_device import HostDevice, compiler
from physebm.backends.cuda.load import CudaKernels
from physebm.backends.cuda.rooms import kernels_of
from physebm.backends.source import Source

needs_compiler = pytest.mark.skipif(compiler() is None, reason="no C++ compiler on this machine")

STRUCT = np.dtype([(name, np.uint64) for name in ("a", "b", "c", "out")] + [("n", np.int64)])


def kernels(plan, threads=32, seed=1) -> CudaKernels:
    return kernels_of(plan, HostDevice(threads, seed))


def kernel_of(body: str, a: str = "double", out: str = "double", before: str = "") -> Source:
    """A kernel with arrays a, b, c of one type, an array out, and the number n of elements.

    `before` is source that stands between the library and the kernel.
    """
    text = (
        f"struct Parameters {{ const {a}* a; const {a}* b; const {a}* c; {out}* out; i64 n; }};\n"
        'extern "C" __global__ void run(const Parameters p, u32 unused) {\n'
        f"{body}\n"
        "}\n"
    )
    return Source("test_cuda", f"{library_text()}\n{before}{text}")


def run(source: Source, *arrays, out, blocks=1, threads=32, seed=1) -> np.ndarray:
    """Run kernel ``run`` on arrays a, b, c; returns `out`."""
    struct = np.zeros((), STRUCT)
    for name, values in zip("abc", arrays):
        struct[name] = values.ctypes.data
    struct["out"], struct["n"] = out.ctypes.data, out.size
    HostDevice(threads, seed).function(source, "run")(blocks, threads, struct, (np.uint32(0),))
    return out


def elementwise(
    expression: str, *arrays, a="double", out="double", dtype=np.float64, before=""
) -> np.ndarray:
    """``out[i] = expression`` of a[i], b[i], c[i]."""
    source = kernel_of(f"EACH(i, p.n) p.out[i] = {expression};", a, out, before)
    arrays = [np.ascontiguousarray(each) for each in arrays]
    return run(source, *arrays, out=np.empty(arrays[0].shape, dtype))


def without_barrier(source: Source, number: int, kernel: str = 'extern "C"') -> Source:
    """The source with one of the barriers taken out that stand behind the text `kernel`."""
    head, body = source.text.split(kernel)
    parts = body.split("__syncthreads();")
    body = "__syncthreads();".join(parts[: number + 1]) + "".join(
        [";" + parts[number + 1], *(f"__syncthreads();{each}" for each in parts[number + 2 :])]
    )
    return Source(source.stem, f"{head}{kernel}{body}")

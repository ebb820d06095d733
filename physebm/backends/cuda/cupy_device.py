"""A GPU through CuPy: memory, and kernels compiled by NVRTC into CuPy's own disk cache.

Everything that can go wrong with a device is told here in one message: what happened, what to do, and
that the CPU does the same work (``--backend numba``).
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import cache

import numpy as np

from physebm.backends.cuda.device import Function
from physebm.backends.source import Source, write_once
from physebm.errors import BackendError

OLDEST = 75  # compute capability: the oldest that NVRTC of CUDA 13 compiles for
TENSOR_CORES = 80  # with products of bf16 (Ampere)
OPTIONS = ("--std=c++17",)
ON_THE_CPU = "or run on the processor: --backend numba"
INSTALL = "install the extra [gpu] of physebm: pip install '.[gpu]' in its folder"


def why_unusable() -> str | None:
    """Why no GPU can be used here, in one message; None where one can."""
    found = trouble()
    return None if found is None else _told(*found)


def trouble() -> tuple[str, str] | None:
    """What keeps from using a GPU here and what to do about it; None where one can be used."""
    try:
        import cupy
        import cupy.cublas
    except ImportError as error:
        return f"CuPy is missing ({error})", INSTALL
    runtime = cupy.cuda.runtime
    try:
        if runtime.getDeviceCount() == 0:
            return "no CUDA device is visible", "see CUDA_VISIBLE_DEVICES and nvidia-smi"
        device = cupy.cuda.Device()
        capability = int(device.compute_capability)
        if capability < OLDEST:
            name = runtime.getDeviceProperties(device.id)["name"].decode()
            return (
                f"{name} has compute capability {capability / 10:g}",
                f"kernels need {OLDEST / 10:g} (Turing) or later",
            )
        cupy.cuda.nvrtc.getVersion()
        _ = cupy.cublas.gemm
    except runtime.CUDARuntimeError as error:
        return (
            f"no CUDA device can be used: {error}",
            "install or update the NVIDIA driver (see nvidia-smi), and a CuPy for its CUDA version",
        )
    except (ImportError, cupy.cuda.nvrtc.NVRTCError) as error:
        # CuPy looks for the libraries of CUDA when they are first used
        return f"a library of CUDA is missing: {str(error).splitlines()[0]}", INSTALL
    return None


def _told(what: str, hint: str) -> str:
    return f"backend 'cuda': {what}\n  hint      {hint}; {ON_THE_CPU}"


@contextmanager
def _told_in_one_message(doing: str):
    """Turn CuPy's errors into `BackendError`."""
    import cupy

    try:
        yield
    except cupy.cuda.memory.OutOfMemoryError as error:
        told = _told(
            f"out of device memory {doing}: {error}", "fewer chains or points per task; see estimate"
        )
        raise BackendError(told) from None
    except (cupy.cuda.runtime.CUDARuntimeError, cupy.cuda.driver.CUDADriverError) as error:
        told = _told(f"the device failed {doing}: {error}", "checkpoints are good: run again to resume")
        raise BackendError(told) from None


class CupyDevice:
    """The current CUDA device.

    Raises
    ------
    BackendError
        where no GPU can be used; one message with the cause and what to do.
    """

    name = "cuda"
    threads = 128

    def __init__(self):
        if (reason := why_unusable()) is not None:
            raise BackendError(reason)
        import cupy

        device = cupy.cuda.Device()
        properties = cupy.cuda.runtime.getDeviceProperties(device.id)
        self.title = f"{properties['name'].decode()}, {properties['totalGlobalMem'] / 2**30:.0f} GiB"
        attributes = device.attributes
        self.tensor_cores = int(device.compute_capability) >= TENSOR_CORES
        self.multiprocessors = int(attributes["MultiProcessorCount"])
        self.shared = int(attributes["MaxSharedMemoryPerBlockOptin"])

    def free_bytes(self) -> int:
        """What the driver has free, and what CuPy holds of it without use."""
        import cupy

        with _told_in_one_message("asked for its memory"):
            return cupy.cuda.runtime.memGetInfo()[0] + cupy.get_default_memory_pool().free_bytes()

    def upload(self, values: np.ndarray):
        """A copy of `values` on the device."""
        import cupy

        with _told_in_one_message(f"taking {values.nbytes / 2**20:.0f} MiB"):
            return cupy.asarray(np.ascontiguousarray(values))

    def write(self, buffer, values: np.ndarray) -> None:
        """Overwrite a buffer of the same shape and type."""
        with _told_in_one_message("while writing"):
            buffer.set(np.ascontiguousarray(values, dtype=buffer.dtype))

    def room(self, shape: tuple[int, ...], dtype):
        """Memory with anything in it."""
        import cupy

        with _told_in_one_message(f"making room for {shape}"):
            return cupy.empty(shape, dtype)

    def download(self, buffer) -> np.ndarray:
        """A copy on the host; waits for the kernels before it."""
        with _told_in_one_message("in a kernel"):
            return buffer.get()

    def take(self, buffer, rows):
        """A new buffer of some rows."""
        with _told_in_one_message("while copying rows"):
            return buffer.take(rows, axis=0)

    def address(self, buffer) -> int:
        """Where the buffer begins."""
        return buffer.data.ptr

    def matmul(self, a, b, out, transposed: bool = False) -> None:
        """``out = a b``, or ``a^T b``, by cuBLAS."""
        from cupy import cublas

        with _told_in_one_message("in a product"):
            cublas.gemm("T" if transposed else "N", "N", a, b, out=out)

    def function(self, source: Source, kernel: str) -> Function:
        """A kernel of a source, compiled by NVRTC or from CuPy's cache."""
        entry = _entry(source, kernel)

        def run(blocks: int, threads: int, parameters: np.ndarray, further, shared: int = 0) -> None:
            with _told_in_one_message(f"launching '{kernel}'"):
                entry.allow(shared)
                arguments = (parameters.reshape(1), *further)
                entry.function((blocks,), (threads,), arguments, shared_mem=shared)

        return run


class _Entry:
    """A kernel and the shared memory that its launches may ask for; one for all who launch it."""

    def __init__(self, function):
        self.function, self.allowed = function, 0

    def allow(self, shared: int) -> None:
        """Raise the limit; asked for even below 48 KiB, for kernels have static memory beside it."""
        if shared > self.allowed:
            self.function.max_dynamic_shared_size_bytes = self.allowed = shared


@cache
def _entry(source: Source, kernel: str) -> _Entry:
    return _Entry(_module(source).get_function(kernel))


@cache
def _module(source: Source):
    import cupy

    module = cupy.RawModule(code=source.text, options=OPTIONS)
    try:
        with _told_in_one_message("loading a module"):
            module.compile()
    except cupy.cuda.compiler.CompileException as error:
        path = write_once(source, ".cu")
        told = _told(f"NVRTC cannot compile {path}\n{error}", "please report this file and message")
        raise BackendError(told) from None
    return module

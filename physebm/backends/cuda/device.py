"""What kernels need of the place where they run: memory, and functions of a compiled source.

Two places obey it: `cupy_device` (a GPU) and `host_device` (this machine's processor, thread by thread,
for proofs). Nothing above knows which it has.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

import numpy as np

from physebm.backends.source import Source

# An array of the device: a cupy.ndarray or, on the host, a numpy.ndarray.
Buffer: TypeAlias = Any

# (blocks, threads of a block, struct of parameters, further integer arguments, and where the kernel has
# DYNAMIC_SHARED memory how many bytes)
Function: TypeAlias = Callable[..., None]


class Device(Protocol):
    """A place where CUDA C runs."""

    name: str
    # What a user calls it: the card and its memory.
    title: str
    # Threads of a block of a kernel that works for any power of two.
    threads: int
    # How many blocks of threads run side by side, each at full speed.
    multiprocessors: int
    # Whether warps multiply bf16 matrices.
    tensor_cores: bool
    # Bytes of shared memory that a block may have.
    shared: int

    def free_bytes(self) -> int | None:
        """Bytes that may still be taken; None where nobody counts."""

    def upload(self, values: np.ndarray) -> Buffer:
        """A copy of `values` on the device."""

    def write(self, buffer: Buffer, values: np.ndarray) -> None:
        """Overwrite a buffer of the same shape and type."""

    def room(self, shape: tuple[int, ...], dtype) -> Buffer:
        """Memory with anything in it."""

    def download(self, buffer: Buffer) -> np.ndarray:
        """A copy on the host."""

    def take(self, buffer: Buffer, rows: Buffer) -> Buffer:
        """A new buffer of the rows numbered by int64 `rows`."""

    def address(self, buffer: Buffer) -> int:
        """Where the buffer begins."""

    def matmul(self, a: Buffer, b: Buffer, out: Buffer, transposed: bool = False) -> None:
        """``out = a b``, or ``a^T b``: matrices of float32, row after row; none may overlap `out`.

        Products and sums are single precision (no TF32), in an order that depends on the shapes alone.
        """

    def function(self, source: Source, kernel: str) -> Function:
        """A kernel of a source, compiled or from the cache.

        Raises
        ------
        BackendError
            when the source does not compile; says where it was written.
        """

"""The processor of this machine as a CUDA device: the same source, thread by thread, for proofs.

A host C++ compiler builds the generated source behind ``host/shim.h`` (blocks one after the other, the
threads of a block as fibers that meet at barriers). Nothing is contracted (``-ffp-contract=off``): a
multiply-add is one only where the source says so. Slow: a way to prove kernels and to debug them on
machines without a GPU (``--backend cuda-host``).

Launches that a card refuses are refused. What a kernel has in shared memory beside the launch's
dynamic bytes, and its registers, are not known here: a card may still refuse what was run.
"""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import numpy as np

from physebm.backends.cuda.device import Function
from physebm.backends.source import Source, write_once
from physebm.errors import BackendError

SHIM = Path(__file__).parent / "host" / "shim.h"
OPTIONS = ("-x", "c++", "-std=c++17", "-O2", "-ffp-contract=off", "-fPIC", "-shared", "-w")
_KERNEL = re.compile(
    r'extern "C" __global__ void (?:__launch_bounds__\((\w+)[\w, ]*\) )?(\w+)'
    r"\(const Parameters p([^)]*)\)"
)
# Of a block, and of a grid, on every card.
MOST_THREADS, MOST_BLOCKS = 1024, 2**31 - 1


def compiler() -> str | None:
    """The host's C++ compiler: ``$CXX``, else g++ or clang++; None where there is none."""
    named = os.environ.get("CXX")
    return next(
        (found for name in (named, "g++", "clang++") if name and (found := shutil.which(name))), None
    )


class HostDevice:
    """Memory is numpy's; kernels are functions of a shared library.

    Parameters
    ----------
    threads
        Threads of a block.
    seed
        Shuffles the order in which threads run between barriers; 0 keeps their own.
    multiprocessors
        As many as kernels shall find; blocks run one after the other.
    free
        Bytes that users of the device shall believe to be free; None for any number.
    tensor_cores
        Whether kernels shall find them; they are imitated.
    """

    name = "host"
    title = "for proofs: this processor, thread by thread; very slow"
    shared = 227 * 1024

    def __init__(
        self,
        threads: int = 32,
        seed: int = 1,
        multiprocessors: int = 1,
        free: int | None = None,
        tensor_cores: bool = True,
    ):
        self.threads, self.seed, self.multiprocessors = threads, seed, multiprocessors
        self.free, self.tensor_cores = free, tensor_cores

    def free_bytes(self) -> int | None:
        """What it was told."""
        return self.free

    def upload(self, values: np.ndarray) -> np.ndarray:
        """A copy."""
        return np.array(values, order="C")

    def write(self, buffer: np.ndarray, values: np.ndarray) -> None:
        """Overwrite a buffer."""
        buffer[...] = values

    def room(self, shape: tuple[int, ...], dtype) -> np.ndarray:
        """Memory full of ones: nothing may rely on zeros."""
        room = np.empty(shape, dtype)
        room.view(np.uint8)[...] = 0xFF
        return room

    def download(self, buffer: np.ndarray) -> np.ndarray:
        """A copy."""
        return buffer.copy()

    def take(self, buffer: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """A new buffer of some rows."""
        return buffer[rows]

    def address(self, buffer: np.ndarray) -> int:
        """Where the buffer begins."""
        return buffer.ctypes.data

    def matmul(self, a, b, out, transposed: bool = False) -> None:
        """``out = a b``, or ``a^T b``, by numpy."""
        np.matmul(a.T if transposed else a, b, out=out)

    def function(self, source: Source, kernel: str) -> Function:
        """A kernel of a source, built by the host's compiler or from the cache."""
        library = _library(_with_launchers(source))
        entry, bound = getattr(library, f"run_{kernel}"), getattr(library, f"bound_{kernel}")()

        def run(blocks: int, threads: int, parameters: np.ndarray, further, shared: int = 0) -> None:
            if why := why_refused(blocks, threads, shared, bound, self.shared):
                raise BackendError(
                    f"backend 'cuda-host': the device failed launching '{kernel}': {why}\n"
                    "  hint      a card fails as well; please report this message"
                )
            address = ctypes.c_void_p(parameters.ctypes.data)
            numbers = [ctypes.c_int64(int(number)) for number in further]
            if entry(blocks, threads, ctypes.c_uint32(self.seed), address, *numbers):
                raise BackendError(
                    f"kernel '{kernel}': threads of a block wait for each other for ever\n"
                    "  hint      a barrier stands where only some threads reach it"
                )

        return run


def why_refused(blocks: int, threads: int, dynamic: int, bound: int, limit: int) -> str | None:
    """Why a card refuses a launch; None where it does not.

    Parameters
    ----------
    dynamic
        Bytes of shared memory that the launch asks for; a block may have `limit`.
    bound
        Threads of a block at most, by the kernel's ``__launch_bounds__``.
    """
    if not 1 <= blocks <= MOST_BLOCKS:
        return f"{blocks} blocks, where a grid has 1 to {MOST_BLOCKS}"
    if not 1 <= threads <= MOST_THREADS:
        return f"{threads} threads, where a block has 1 to {MOST_THREADS}"
    if threads > bound:
        return f"{threads} threads of a block, whose __launch_bounds__ are {bound}"
    if dynamic > limit:
        return f"{dynamic} bytes of shared memory, where a block has {limit}"
    return None


def _with_launchers(source: Source) -> Source:
    """The source behind the shim, with a C function per kernel that runs it."""
    text = [SHIM.read_text(), source.text]
    for bound, name, arguments in _KERNEL.findall(source.text):
        names = [part.split()[-1] for part in arguments.split(",") if part.strip()]
        taken = "".join(f", int64_t {each}" for each in names)
        given = "".join(f", {each}" for each in names)
        text += [
            f'extern "C" int run_{name}(int blocks, int threads, uint32_t seed, const Parameters* p'
            f"{taken}) {{ return shim::launch(blocks, threads, seed, [=] {{ {name}(*p{given}); }}); }}",
            f'extern "C" int bound_{name}() {{ return {bound or MOST_THREADS}; }}',
        ]
    return Source(f"{source.stem}_host", "\n".join(text) + "\n", OPTIONS)


@cache
def _library(source: Source) -> ctypes.CDLL:
    path = write_once(source, ".cpp")
    built = path.with_suffix(".so")
    if not built.exists():
        _build(path, built)
    return ctypes.CDLL(str(built))


def _build(path: Path, built: Path) -> None:
    program = compiler()
    if program is None:
        raise BackendError(
            "backend 'cuda-host' needs a C++ compiler on this machine\n"
            "  hint      install g++ or clang++, or name one in CXX"
        )
    handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".so.tmp")
    os.close(handle)
    done = subprocess.run(
        [program, *OPTIONS, str(path), "-o", temporary], capture_output=True, text=True
    )
    if done.returncode:
        os.unlink(temporary)
        raise BackendError(f"{program} cannot compile {path}\n{done.stderr[:2000]}")
    os.replace(temporary, built)

"""Generated source -> an imported module, and its functions called in slices on several threads.

A module is imported by path from the cache directory, so that numba's own on-disk cache works; one
serves every plan of the same structure.
"""

from __future__ import annotations

import importlib.util
import sys
from concurrent.futures import ThreadPoolExecutor

import numba

from physebm.backends.source import Source, write_once
from physebm.errors import BackendError
from physebm.native.threads import pool, starting

# Below this many unit updates a call runs on one thread: waking the others costs more. No bit depends
# on the number of threads. (numba's own parallel loops take a third longer to compile, and spin.)
SERIAL_UPDATES = 100_000

_modules: dict[str, object] = {}


def imported(source: Source):
    """The module of a source, written once and imported; numba compiles at the first call."""
    if source.name not in _modules:
        path = write_once(source, ".py")
        spec = importlib.util.spec_from_file_location(source.name, path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[source.name] = module
        try:
            spec.loader.exec_module(module)
        except RuntimeError as error:  # numba can keep the code neither there nor in the home
            if "cache" not in str(error):
                raise
            raise BackendError(
                f"cannot write compiled kernels to {path.parent}\n"
                "  hint      set PHYSEBM_CACHE to a folder that you may write"
            ) from None
        _modules[source.name] = module
    return _modules[source.name]


def threads_for(updates: int, items: int) -> int:
    """How many threads share `items` that take so many unit updates."""
    return 1 if updates < SERIAL_UPDATES else max(1, min(numba.get_num_threads(), items))


def in_slices(function, items: int, threads: int, *arguments) -> None:
    """``function(begin, end, *arguments)`` over all items, a slice to each thread, one to this one."""
    if threads == 1:
        function(0, items, *arguments)
        return
    cuts = [items * i // threads for i in range(threads + 1)]
    others = zip(cuts[:-2], cuts[1:-1])
    parts = [thread_pool().submit(function, a, b, *arguments) for a, b in others]
    function(cuts[-2], cuts[-1], *arguments)
    for part in parts:
        part.result()


def together(function, shares: int, *arguments) -> None:
    """``function(share, share + 1, *arguments)`` of every share at the same time, the first one here.

    The shares of a call wait for each other, so that they must get threads of their own: they enter the
    queue of the pool, which has at least as many, next to each other.
    """
    with starting():
        others = [
            thread_pool().submit(function, share, share + 1, *arguments) for share in range(1, shares)
        ]
    function(0, 1, *arguments)
    for part in others:
        part.result()


def thread_pool() -> ThreadPoolExecutor:
    """Threads that take slices of the lanes; the kernels release the interpreter's lock."""
    return pool("sweep", numba.config.NUMBA_NUM_THREADS)

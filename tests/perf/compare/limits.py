"""Limits of this machine on the threads of the benchmark, for floors: ``python limits.py``.

flops    multiply-adds count as two: a single-precision product 2000 x 784 times 784 x 500
bytes    read plus written by copies of 128 MiB per thread
words    Philox4x32-10 in explicit vectors into an array in the cache, 32-bit words
matrix   where the processor has a matrix unit: products of 16-bit numbers from the first cache
Each is the best of interleaved repetitions, per second.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import cores
import numpy as np
from numba import njit, uint32
from timing import seconds_of

from physebm.backends.numba_cpu.runs.words import chunk_words
from physebm.native.matrix_unit import is_allowed

CHUNKS, REPEATS = 32, 10_000  # some milliseconds, in which the waking of threads does not count


@njit(nogil=True)
def _fill(words, key):
    for sweep in range(REPEATS):
        for chunk in range(CHUNKS):
            chunk_words(
                words.ctypes.data + 256 * chunk, uint32(chunk), uint32(7), uint32(sweep), uint32(1),
                uint32(key), uint32(2),
            )  # fmt: skip


def _matrix_unit(threads: int, pool: ThreadPoolExecutor):
    """A run of the matrix unit on every thread, and its flops."""
    from physebm.native import matrix_unit as unit

    @njit(nogil=True)
    def steps(x, J, F, count):
        unit.begin_blocks()
        unit.clear_sums()
        for _ in range(count):
            unit.add_states(x.ctypes.data, J.ctypes.data)
        unit.store_sums(F.ctypes.data, F.strides[0])
        unit.end_blocks()

    size = unit.PLANES * 2 * unit.REGISTER
    rooms = [
        (np.zeros(size, np.uint8), np.zeros(size, np.uint8), np.zeros((32, 32), np.float32))
        for _ in range(threads)
    ]
    count = 20_000
    products = unit.PLANES * unit.LANES * unit.COLUMNS * unit.STEP
    run = lambda: list(pool.map(lambda room: steps(*room, count), rooms))  # noqa: E731
    return run, 2 * products * count * threads


def machine_limits(repetitions: int = 15) -> dict[str, float]:
    """``{"flops", "bytes", "words"}``, and ``"matrix"`` where there is such a unit, per second."""
    rng = np.random.default_rng(0)
    V, W = rng.random((2000, 784), dtype=np.float32), rng.random((784, 500), dtype=np.float32)
    out = np.empty((2000, 500), np.float32)
    pool = ThreadPoolExecutor(cores.THREADS)
    size = 2**24
    pairs = [(np.ones(size, np.float32), np.zeros(size, np.float32)) for _ in range(cores.THREADS)]
    words = [np.zeros(64 * CHUNKS, np.uint32) for _ in range(cores.THREADS)]
    runs = {
        "flops": (lambda: np.dot(V, W, out=out), 2 * V.size * W.shape[1]),
        "bytes": (
            lambda: list(pool.map(lambda p: np.copyto(p[1], p[0]), pairs)),
            8 * size * len(pairs),
        ),
        "words": (
            lambda: list(pool.map(lambda w: _fill(w, 3), words)),
            64 * CHUNKS * REPEATS * len(words),
        ),
    }
    if is_allowed():
        runs["matrix"] = _matrix_unit(cores.THREADS, pool)
    best = dict.fromkeys(runs, float("inf"))
    for _ in range(repetitions + 1):
        for name, (run, _) in runs.items():
            best[name] = min(best[name], seconds_of(run))
    return {name: count / best[name] for name, (_, count) in runs.items()}


if __name__ == "__main__":
    print(json.dumps(machine_limits()))

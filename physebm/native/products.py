"""Matrix products of the gradient: fixed blocks, single-threaded BLAS, one block per thread at a time.

A BLAS that brings its own threads fights with the threads of the sweep kernels (it spins while they
run), and its result may depend on their number. Here the blocks are fixed by the shapes alone, every
block is one single-threaded product, and sums over rows run in a fixed order in double precision: the
same bits on any number of threads.

Rows of two-state units (`TwoStates`) go through tables of subset sums in single precision
(`physebm.native.subset_sums`), whose bits depend on no block.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

import numpy as np

from physebm.native.threads import pool

# Rows of one product in single precision (sums over more rows are taken in double), and rows or columns
# of a thread's block: large enough for the BLAS to run at full speed, small enough to share evenly.
ROWS = 1024
BLOCK = 128
# Below this many multiplications (0.3 ms) a product runs where it stands: waking threads takes as long.
SERIAL = 10_000_000


# Rows and columns of a product below which tables of subset sums do not pay.
SMALLEST = 16


@dataclass(frozen=True, eq=False)
class TwoStates:
    """Rows of units that are `low` or 1: int8 ``x[row, unit]``, low 0 or -1."""

    x: np.ndarray
    low: int

    def __len__(self) -> int:
        return len(self.x)


@contextmanager
def single_threaded_blas() -> Iterator[None]:
    """Within it, numpy's matrix products use the calling thread alone."""
    with _controller().limit(limits=1, user_api="blas"):
        yield


def times(A: np.ndarray | TwoStates, B) -> np.ndarray:
    """``A @ B`` by blocks of rows of A; B may be sparse."""
    if isinstance(A, TwoStates):
        return _two_state_times(A, B)
    if not isinstance(B, np.ndarray):
        return np.asarray(A @ B)
    out = np.empty((A.shape[0], B.shape[1]), np.result_type(A, B))

    def block(start: int) -> None:
        np.matmul(A[start : start + BLOCK], B, out=out[start : start + BLOCK])

    _each(block, range(0, len(A), BLOCK), out.size * B.shape[0])
    return out


def cross(
    A: np.ndarray | TwoStates,
    B: np.ndarray,
    weights: np.ndarray | None = None,
    less: tuple[np.ndarray, np.ndarray] | None = None,
) -> np.ndarray:
    """``sum_row w_row A[row, i] B[row, j]``, float64, by blocks of columns; None: equal weights.

    `less` is ``(take [k, i], off [k, j])``: their product ``sum_k take[k, i] off[k, j]`` is taken off.
    """
    if isinstance(A, TwoStates):
        return _two_state_cross(A, B, weights, less)
    out = np.empty((A.shape[1], B.shape[1]))

    def block(start: int) -> None:
        at = slice(start, start + BLOCK)
        for first in range(0, len(A), ROWS):
            rows = slice(first, first + ROWS)
            part = A[rows, at]
            if weights is not None:
                part = part * weights[rows, None].astype(A.dtype)
            product = part.T @ B[rows]
            if first == 0:
                out[at] = product
            else:
                out[at] += product
        if weights is None:
            out[at] /= len(A)
        if less is not None:
            out[at] -= less[0][:, at].T @ less[1]

    _each(block, range(0, A.shape[1], BLOCK), out.size * len(A))
    return out


def average(A: np.ndarray | TwoStates, weights: np.ndarray | None = None) -> np.ndarray:
    """``sum_row w_row A[row]`` in float64, products in the precision of A; None: equal weights."""
    if isinstance(A, TwoStates):
        from physebm.native.subset_sums import weighted_mean

        total = np.empty(A.x.shape[1])
        w = np.full(len(A), 1.0 / len(A)) if weights is None else np.asarray(weights, np.float64)
        weighted_mean(total, A.x, w)
        return total
    w = np.ones(len(A), A.dtype) if weights is None else weights.astype(A.dtype)
    total = np.zeros(A.shape[1])
    for first in range(0, len(A), ROWS):
        rows = slice(first, first + ROWS)
        total += w[rows] @ A[rows]
    return total / len(A) if weights is None else total


def _two_state_times(A: TwoStates, J: np.ndarray) -> np.ndarray:
    from physebm.native.subset_sums import multiply_rows

    J = np.ascontiguousarray(J, dtype=np.float32)
    out = np.empty((len(A), J.shape[1]), np.float32)
    size = _share(len(A), out.size * J.shape[0])

    def block(start: int) -> None:
        multiply_rows(out, A.x, A.low, J, start, min(start + size, len(A)))

    _each(block, range(0, len(A), size), out.size * J.shape[0])
    return out


def _two_state_cross(A: TwoStates, B: np.ndarray, weights, less) -> np.ndarray:
    from physebm.native.subset_sums import multiply_columns

    scale = 1.0 / len(A) if weights is None else 1.0
    w = np.ones(len(A), np.float32) if weights is None else weights.astype(np.float32)
    take, off = (np.zeros((0, 0)), np.zeros((0, 0))) if less is None else less
    units = A.x.shape[1]
    out = np.empty((units, B.shape[1]))
    size = _share(units, out.size * len(A))

    def block(start: int) -> None:
        stop = min(start + size, units)
        multiply_columns(out, A.x, A.low, B, w, ROWS, scale, take, off, start, stop)

    _each(block, range(0, units, size), out.size * len(A))
    return out


def _share(lanes: int, work: int) -> int:
    """Lanes of a block: as many for every thread, at most 1024: their fields stay in cache."""
    blocks = -(-lanes // 1024)
    if work < SERIAL:
        return max(-(-lanes // blocks), 1)
    blocks = -(-blocks // _threads()) * _threads()
    return max(-(-lanes // blocks), 16)


def _each(block: Callable[[int], None], starts: range, work: int) -> None:
    if work < SERIAL or len(starts) < 2 or _threads() < 2:
        for start in starts:
            block(start)
        return
    for done in [pool("product", _threads()).submit(block, start) for start in starts]:
        done.result()


@cache
def _threads() -> int:
    return int(os.environ.get("NUMBA_NUM_THREADS") or os.cpu_count() or 1)


@cache
def _controller():
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()

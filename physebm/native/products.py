"""Matrix products of the gradient: fixed blocks, single-threaded BLAS, one block per thread at a time.

A BLAS that brings its own threads fights with the threads of the sweep kernels (it spins while they
run), and its result may depend on their number. Here the blocks are fixed by the shapes alone, every
block is one single-threaded product, and sums over rows run in a fixed order in double precision: the
same bits on any number of threads.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache

import numpy as np

# Rows of one product in single precision (sums over more rows are taken in double), and rows or columns
# of a thread's block: large enough for the BLAS to run at full speed, small enough to share evenly.
ROWS = 1024
BLOCK = 128
# Below this many multiplications a product runs where it stands: waking a thread costs more.
SERIAL = 2_000_000


@contextmanager
def single_threaded_blas() -> Iterator[None]:
    """Within it, numpy's matrix products use the calling thread alone."""
    with _controller().limit(limits=1, user_api="blas"):
        yield


def times(A: np.ndarray, B) -> np.ndarray:
    """``A @ B`` by blocks of rows of A; B may be sparse."""
    if not isinstance(B, np.ndarray):
        return np.asarray(A @ B)
    out = np.empty((A.shape[0], B.shape[1]), np.result_type(A, B))

    def block(start: int) -> None:
        np.matmul(A[start : start + BLOCK], B, out=out[start : start + BLOCK])

    _each(block, range(0, len(A), BLOCK), out.size * B.shape[0])
    return out


def cross(A: np.ndarray, B: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """``sum_row w_row A[row, i] B[row, j]``, float64, by blocks of columns; None: equal weights."""
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

    _each(block, range(0, A.shape[1], BLOCK), out.size * len(A))
    return out


def average(A: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """``sum_row w_row A[row]`` in float64, products in the precision of A; None: equal weights."""
    w = np.ones(len(A), A.dtype) if weights is None else weights.astype(A.dtype)
    total = np.zeros(A.shape[1])
    for first in range(0, len(A), ROWS):
        rows = slice(first, first + ROWS)
        total += w[rows] @ A[rows]
    return total / len(A) if weights is None else total


def _each(block: Callable[[int], None], starts: range, work: int) -> None:
    if work < SERIAL or len(starts) < 2:
        for start in starts:
            block(start)
        return
    for done in [_pool().submit(block, start) for start in starts]:
        done.result()


@cache
def _pool() -> ThreadPoolExecutor:
    threads = os.environ.get("NUMBA_NUM_THREADS") or os.cpu_count() or 1
    return ThreadPoolExecutor(int(threads), thread_name_prefix="product")


@cache
def _controller():
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()

"""Counts of states and of pairs of states of Potts units, by index instead of one-hot products.

A pair of units adds one number per sample, where the product of indicators would multiply q^2; at
q = 21 and a few thousand samples this is twenty times faster, and exact in float64.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np

from physebm.native.threads import pool


def state_weights(x: np.ndarray, weights: np.ndarray, q: int) -> np.ndarray:
    """``sum_row w_row [x_i = a]`` of states ``x [row, unit]``, as ``[unit, q]``."""
    out = np.empty((x.shape[1], q))
    for i in range(x.shape[1]):
        out[i] = np.bincount(x[:, i], weights, q)
    return out


def pair_weights(x: np.ndarray, weights: np.ndarray, q: int) -> np.ndarray:
    """``sum_row w_row [x_i = a][x_j = b]`` as ``[unit, q, unit, q]``; 0 where i = j.

    Every pair is summed over the rows in their order: the same bits on any number of threads.
    """
    units = x.shape[1]
    out = np.zeros((units, q, units, q))
    columns = np.ascontiguousarray(x.T)
    w = np.ascontiguousarray(weights, dtype=np.float64)
    kernel = _compiled()
    for done in [_pool().submit(kernel, i, columns, w, out) for i in range(units)]:
        done.result()
    return out


def _pairs_of(i, columns, w, out):
    """Pairs (i, j > i), written at both places; no other call writes to these."""
    units, rows = columns.shape
    for j in range(i + 1, units):
        for row in range(rows):
            out[i, columns[i, row], j, columns[j, row]] += w[row]
        for a in range(out.shape[1]):
            for b in range(out.shape[1]):
                out[j, b, i, a] = out[i, a, j, b]


@cache
def _compiled():
    """The kernel, compiled at its first use, so that importing this file does not import numba."""
    from physebm.native.kept import kept_njit

    return kept_njit(nogil=True)(_pairs_of)


def _pool() -> ThreadPoolExecutor:
    return pool("counts", int(os.environ.get("NUMBA_NUM_THREADS") or os.cpu_count() or 1))

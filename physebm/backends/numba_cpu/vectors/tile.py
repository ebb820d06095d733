"""A tile of lanes side by side: what its sweep reads and writes, as ``[unit, lane]``.

A tile holds some lanes of one instance, padded to whole vectors of sixteen. Lanes that fill the
last vector repeat the first one and are dropped at the end.
"""

from __future__ import annotations

import numpy as np
from numba import float32, njit

from physebm.backends.numba_cpu.vector_code import LANES

__all__ = [
    "lane_coefficients",
    "lane_streams",
    "lanes_in",
    "lanes_out",
    "overlaps_in",
    "overlaps_out",
    "whole_vectors",
]

_UNITS = 64  # that are copied at a time


@njit(nogil=True, error_model="numpy")
def whole_vectors(size):
    """Lanes of a tile with those that fill its last vector."""
    return (size + LANES - 1) // LANES * LANES


@njit(nogil=True, error_model="numpy")
def lane_streams(lanes, size, width, walker, key):
    """Walkers and keys ``[lane]`` of a tile; lanes beyond `size` repeat the first."""
    walkers, k0, k1 = np.empty(width, np.uint32), np.empty(width, np.uint32), np.empty(width, np.uint32)
    for place_ in range(width):
        lane = lanes[place_ if place_ < size else 0]
        walkers[place_], k0[place_], k1[place_] = walker[lane], key[lane, 0], key[lane, 1]
    return walkers, k0, k1


@njit(nogil=True, error_model="numpy")
def lane_coefficients(lanes, size, width, rung, coef, distance):
    """``c[term, lane]`` times the distance of the two states, so that fields add up to gaps."""
    c = np.empty((coef.shape[1], width), np.float32)
    for place_ in range(width):
        row = coef[rung[lanes[place_ if place_ < size else 0]]]
        for t in range(c.shape[0]):
            c[t, place_] = np.float32(distance * row[t])
    return c


@njit(nogil=True, error_model="numpy")
def lanes_in(S, x, lanes, size):
    """``S[unit, lane]`` from the configurations; lanes beyond `size` are copies of the first.

    Some units of all lanes at a time, so that their rows of S stay in the first cache.
    """
    for start in range(0, S.shape[0], _UNITS):
        for place_ in range(S.shape[1]):
            row = x[lanes[place_ if place_ < size else 0]]
            for i in range(start, min(start + _UNITS, S.shape[0])):
                S[i, place_] = float32(row[i])


@njit(nogil=True, error_model="numpy")
def lanes_out(x, S, lanes, size):
    """The configurations of the first `size` lanes from ``S[unit, lane]``."""
    for start in range(0, S.shape[0], _UNITS):
        for place_ in range(size):
            row = x[lanes[place_]]
            for i in range(start, min(start + _UNITS, S.shape[0])):
                row[i] = x.dtype.type(S[i, place_])


@njit(nogil=True, error_model="numpy")
def overlaps_in(work, lanes, size, width, kind):
    """``M[pattern, lane]`` in numbers of the kind of an array; patterns padded to eights with zeros.

    Lanes beyond `size` are copies of the first, as their states are.
    """
    M = np.zeros(((work.shape[1] + 7) // 8 * 8, width), kind.dtype)
    for place_ in range(width):
        row = work[lanes[place_ if place_ < size else 0]]
        for mu in range(work.shape[1]):
            M[mu, place_] = M.dtype.type(row[mu])
    return M


@njit(nogil=True, error_model="numpy")
def overlaps_out(work, M, lanes, size):
    """The overlaps of the first `size` lanes."""
    for place_ in range(size):
        for mu in range(work.shape[1]):
            work[lanes[place_], mu] = work.dtype.type(M[mu, place_])

"""Thresholds of lanes into vectors, sums of lanes out of them; generated sweeps call these.

``lane_of[tile, word, bit]`` is the lane that stands there, -1 where none does.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from physebm.backends.numba_cpu.planes.sums import PAIRS

__all__ = [
    "gather",
    "new_counter",
    "own_pairs",
    "write_sums",
]

_LOW = np.int64(0xFFFFFFFF)


@njit(error_model="numpy")
def gather(numbers, certain, lane_of, rung, table, entry):
    """Thresholds of every lane: 32 binary digits in ``numbers[bit, word]``, and where they are 2^32.

    A place without a lane is certain, so that it is never waited for.
    """
    for w in range(lane_of.shape[0]):
        sure = np.uint32(0)
        for bit in range(32):
            lane = lane_of[w, bit]
            threshold = table[rung[lane], entry] if lane >= 0 else np.int64(1) << 32
            numbers[bit, w] = np.uint32(threshold & _LOW)
            sure |= np.uint32(threshold >> 32) << np.uint32(bit)
        certain[w] = sure


@njit
def new_counter(words, most):
    """Planes of digits, at least four, for sums up to `most`."""
    digits = 4
    while most >> digits:
        digits += 1
    return np.zeros((digits, words), np.uint32)


@njit
def own_pairs(rows):
    """Every unit paired with itself, padded to whole groups with the row of zeros, the last one."""
    pairs = np.full((-(-rows // PAIRS) * PAIRS, 2), rows - 1, np.int32)
    for i in range(rows):
        pairs[i] = i
    return pairs


@njit(error_model="numpy")
def write_sums(E, term, counter, lane_of, base, factor):
    """``E[lane, term] = base + factor * sum`` of every lane of a tile."""
    for w in range(lane_of.shape[0]):
        for bit in range(32):
            lane = lane_of[w, bit]
            if lane >= 0:
                total = np.int64(0)
                for place in range(counter.shape[0]):
                    total += np.int64(counter[place, w] >> np.uint32(bit) & np.uint32(1)) << place
                E[lane, term] = base + factor * total

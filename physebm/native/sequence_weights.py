"""How many sequences are similar to each: all pairs, by Hamming distance with an early exit.

Eight letters share a 64-bit word, so one exclusive or compares eight columns; a byte that differs is
found without branches by the carry into its top bit, and the bytes are summed by a multiplication.
A pair is left as soon as it has too many differences. Equal sequences are compared once.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np
from numba import int64, uint64

from physebm.arrays import Array, Int64
from physebm.native.kept import kept_njit

LETTERS = 8
SERIAL_PAIRS = 1_000_000
"""Below this many pairs one thread does the work."""

_LOW_BITS = np.uint64(0x7F7F7F7F7F7F7F7F)
_TOP_BITS = np.uint64(0x8080808080808080)
_ONES = np.uint64(0x0101010101010101)


def count_similar(letters_sc: Array, differences: int) -> Int64:
    """``[sequence]``: how many sequences differ in at most `differences` columns, itself included.

    Parameters
    ----------
    letters_sc
        ``[sequence, column]`` uint8.
    differences
        Largest Hamming distance of a similar pair, 0 or more.
    """
    unique, which, copies = np.unique(letters_sc, axis=0, return_inverse=True, return_counts=True)
    n, columns = unique.shape
    padded = np.zeros((n, -(-columns // LETTERS) * LETTERS), dtype=np.uint8)
    padded[:, :columns] = unique
    words = padded.view(np.uint64)
    copies = copies.astype(np.int64)
    threads = 1 if n * n < 2 * SERIAL_PAIRS else numba.get_num_threads()
    counts = np.zeros((threads, n), dtype=np.int64)
    with ThreadPoolExecutor(threads) as pool:
        parts = [
            pool.submit(_count, k, threads, words, copies, differences, counts[k])
            for k in range(threads)
        ]
        for part in parts:
            part.result()
    return (counts.sum(axis=0) + copies)[which.reshape(-1)]


@kept_njit(nogil=True)
def _count(first, step, words, copies, differences, counts):
    """Add the pairs i < j of the rows i = first, first + step, ..., so that threads share evenly."""
    n, width = words.shape
    for i in range(first, n, step):
        for j in range(i + 1, n):
            found = 0
            for w in range(width):
                x = words[i, w] ^ words[j, w]
                x = (((x & _LOW_BITS) + _LOW_BITS) | x) & _TOP_BITS
                found += int64(((x >> uint64(7)) * _ONES) >> uint64(56))
                if found > differences:
                    break
            if found <= differences:
                counts[i] += copies[j]
                counts[j] += copies[i]

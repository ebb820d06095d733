"""Permutations as addresses: the order of n samples is a function of (key, round), without history.

Sample i reads the first two words at counter ``(i, 0, round, MINIBATCH)``; the permutation sorts the
samples by these 64 bits (a tie, of probability below n^2 / 2^65, is broken by i).
"""

from __future__ import annotations

import numpy as np

from physebm.arrays import Int64, Key
from physebm.rng.philox import philox4x32
from physebm.rng.streams import Purpose, last_word


def permutation(key: Key, samples: int, round: int = 0) -> Int64:
    """The numbers 0 ... samples - 1 in a random order, ``[sample]``."""
    high, low, _, _ = philox4x32(
        np.arange(samples), 0, round, last_word(Purpose.MINIBATCH), key[0], key[1]
    )
    bits = (high.astype(np.uint64) << np.uint64(32)) | low
    order = np.argsort(bits)
    in_order = bits[order]
    # the quick sort, four times faster, is as good unless there is a tie
    tied = np.any(in_order[1:] == in_order[:-1])
    return np.argsort(bits, kind="stable") if tied else order

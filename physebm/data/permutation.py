"""Permutations as addresses: the order of n samples is a function of (key, round), without history.

Sample i reads the first two words at counter ``(i, 0, round, MINIBATCH)``; the permutation sorts the
samples by these 64 bits (a tie, of probability below n^2 / 2^65, is broken by i).
"""

from __future__ import annotations

import numpy as np

from physebm.arrays import Int64, Key
from physebm.rng.streams import Purpose, last_word


def permutation(key: Key, samples: int, round: int = 0) -> Int64:
    """The numbers 0 ... samples - 1 in a random order, ``[sample]``."""
    from physebm.native.sample_bits import sample_bits

    bits = sample_bits(samples, round, last_word(Purpose.MINIBATCH), key)
    order = np.argsort(bits)
    in_order = bits[order]
    # the quick sort, four times faster, is as good unless there is a tie
    tied = np.any(in_order[1:] == in_order[:-1])
    return np.argsort(bits, kind="stable") if tied else order

"""Random bits by which samples are put into an order: see `physebm.data.permutation`.

Philox4x32-10 as `physebm.rng.philox` defines it, counter by counter: numpy takes some hundred passes
over temporaries for it, six times as long.
"""

from __future__ import annotations

import numpy as np
from numba import uint32, uint64

from physebm.native.kept import kept_njit

_M0, _M1 = uint64(0xD2511F53), uint64(0xCD9E8D57)
_W0, _W1 = uint64(0x9E3779B9), uint64(0xBB67AE85)
_32, _LOW = uint64(32), uint64(0xFFFFFFFF)


def sample_bits(samples: int, round: int, last: int, key: tuple[int, int]) -> np.ndarray:
    """The first two words at counters ``(i, 0, round, last)`` as 64 bits, ``[sample]``, uint64."""
    out = np.empty(samples, np.uint64)
    _fill(out, np.uint32(round & 0xFFFFFFFF), np.uint32(last), np.uint32(key[0]), np.uint32(key[1]))
    return out


@kept_njit(nogil=True)
def _fill(out, round, last, k0, k1):
    for i in range(out.shape[0]):
        c0, c1, c2, c3 = uint64(uint32(i)), uint64(0), uint64(round), uint64(last)
        a, b = uint64(k0), uint64(k1)
        for _ in range(10):
            p0, p1 = _M0 * c0, _M1 * c2
            c0, c1 = (p1 >> _32) ^ c1 ^ a, p1 & _LOW
            c2, c3 = (p0 >> _32) ^ c3 ^ b, p0 & _LOW
            a, b = (a + _W0) & _LOW, (b + _W1) & _LOW
        out[i] = (c0 << _32) | c1

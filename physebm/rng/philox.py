"""Philox4x32-10, the counter-based generator: four words are a pure function of (counter, key).

Source: J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw, "Parallel random numbers: as easy as
1, 2, 3", SC'11 (2011). This numpy version is the definition; every backend's library has the same
function and passes the same known answers (Random123, ``kat_vectors``).
"""

from __future__ import annotations

import numpy as np

MULTIPLIER_0, MULTIPLIER_1 = 0xD2511F53, 0xCD9E8D57
WEYL_0, WEYL_1 = 0x9E3779B9, 0xBB67AE85
ROUNDS = 10

_LOW = np.uint64(0xFFFFFFFF)
_SHIFT = np.uint64(32)


def philox4x32(c0, c1, c2, c3, k0, k1) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Four uint32 words at counter ``(c0, c1, c2, c3)`` under key ``(k0, k1)``; broadcasts."""
    c0, c1, c2, c3, k0, k1 = (
        np.asarray(word).astype(np.uint64) & _LOW for word in (c0, c1, c2, c3, k0, k1)
    )
    for _ in range(ROUNDS):
        p0 = np.uint64(MULTIPLIER_0) * c0
        p1 = np.uint64(MULTIPLIER_1) * c2
        c0, c1, c2, c3 = (p1 >> _SHIFT) ^ c1 ^ k0, p1 & _LOW, (p0 >> _SHIFT) ^ c3 ^ k1, p0 & _LOW
        k0 = (k0 + np.uint64(WEYL_0)) & _LOW
        k1 = (k1 + np.uint64(WEYL_1)) & _LOW
    shape = np.broadcast_shapes(*(np.shape(c) for c in (c0, c1, c2, c3)))
    return tuple(np.broadcast_to(c, shape).astype(np.uint32) for c in (c0, c1, c2, c3))


def uniform(word: np.ndarray) -> np.ndarray:
    """A float64 in the open interval (0, 1) from one word: ``(r + 1/2) 2^-32``; never 0 or 1."""
    return (np.asarray(word).astype(np.float64) + 0.5) * 2.0**-32


def uniform53(high: np.ndarray, low: np.ndarray) -> np.ndarray:
    """A float64 in (0, 1) with 52 random bits from two words; never 0 or 1."""
    bits = (np.asarray(high).astype(np.uint64) << np.uint64(20)) | (
        np.asarray(low).astype(np.uint64) >> np.uint64(12)
    )
    return (bits.astype(np.float64) + 0.5) * 2.0**-52

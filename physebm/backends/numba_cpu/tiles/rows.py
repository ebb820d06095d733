"""Draws of a whole row of independent two-state units in float32; generated sweeps call these.

The plain loop of ``library.heat_bath_up`` costs 7 ns a unit, most of it the exponential of libm; here
all steps vectorise (1.6 ns). With ``e = exp(-|gap|)`` the unlikely state has probability
``e / (1 + e)``, and it is taken where ``u (1 + e) < e``: no division, and the float32 number u is as
fine as its 32-bit word where it decides, near 0. For a positive gap u is 1 - (the u of the word), so
that both states read the word as `library.heat_bath_up` does. The decision differs from that of the
reference only where ``|u - p| < (2 + |gap|) 2^-23 min(p, 1 - p)``.
"""

from __future__ import annotations

import numpy as np
from numba import float32, njit, uint32

from physebm.backends.numba_cpu.exponential import exp_minus
from physebm.backends.numba_cpu.library import fill_words
from physebm.backends.numba_cpu.tiles.decisions import decide_sixteen
from physebm.backends.numba_cpu.vector_code import LANES
from physebm.lowering.plan import CHUNK

__all__ = ["draw_two_states", "fill_row"]

_INV32 = np.float32(2.0**-32)
_HALF = np.float32(0.5)
_ONE = np.float32(1.0)


@njit
def fill_row(words, n, walker, sweep, last, k0, k1):
    """The words of draw positions 0 to n-1, in whole chunks."""
    for chunk in range((n + CHUNK - 1) // CHUNK):
        place = words[CHUNK * chunk : CHUNK * (chunk + 1)]
        fill_words(place, chunk, walker, sweep, last, k0, k1)


@njit(inline="always")
def _is_high(gap, word):
    """True with probability ``1 / (1 + exp(-gap))``."""
    e = exp_minus(abs(gap))
    low_is_likely = gap < float32(0.0)
    # numba makes 64 bits of the complement, and a loop over them takes three times as long
    read = uint32(word) if low_is_likely else uint32(~word)
    u = (float32(read) + _HALF) * _INV32
    return (u * (_ONE + e) < e) == low_is_likely


@njit(error_model="numpy")
def draw_two_states(x, held, gap, words, low, high):
    """Heat bath of every unit of a row that is not held; `gap` is float32, ``u(low) - u(high)``."""
    if held.shape[0] == 0:
        whole = x.shape[0] // LANES * LANES if x.strides[0] == 1 else 0
        x_0, gap_0, words_0 = x.ctypes.data, gap.ctypes.data, words.ctypes.data
        for i in range(0, whole, LANES):
            decide_sixteen(x_0 + i, gap_0 + 4 * i, words_0 + 4 * i, low, high)
        for i in range(whole, x.shape[0]):
            x[i] = high if _is_high(gap[i], words[i]) else low
    else:
        for i in range(x.shape[0]):
            new = high if _is_high(gap[i], words[i]) else low
            x[i] = x[i] if held[i] else new

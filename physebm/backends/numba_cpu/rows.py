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
from llvmlite import ir
from numba import float32, int32, njit, types
from numba.extending import intrinsic

from physebm.backends.numba_cpu.library import fill_words
from physebm.lowering.plan import CHUNK

__all__ = ["draw_two_states", "fill_row"]

_LOG2_E = np.float32(1.4426950408889634)
_INV32 = np.float32(2.0**-32)
_HALF = np.float32(0.5)
_ONE = np.float32(1.0)
_LARGEST = np.float32(87.0)  # exp(-87) is the last normal number
# 2^f on [-1/2, 1/2]: Taylor coefficients log(2)^k / k!, truncation error 1.2e-7
_C1, _C2, _C3, _C4, _C5, _C6 = (
    np.float32(c)
    for c in (
        0.6931471805599453,
        0.2402265069591007,
        0.05550410866482158,
        0.009618129107628477,
        0.0013333558146428443,
        0.00015403530393381608,
    )
)


@intrinsic
def _float_of_bits(typing, bits):
    """The float32 number whose bits are a given int32."""

    def code(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], ir.FloatType())

    return types.float32(types.int32), code


@njit(inline="always")
def exp_minus(a):
    """``exp(-a)`` for a >= 0 in float32, relative error below ``(2 + a) 2^-23``; a is cut at 87."""
    y = -min(a, _LARGEST) * _LOG2_E
    whole = np.floor(y + _HALF)
    f = y - whole
    p = _ONE + f * (_C1 + f * (_C2 + f * (_C3 + f * (_C4 + f * (_C5 + f * _C6)))))
    return p * _float_of_bits((int32(whole) + int32(127)) << int32(23))


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
    u = (float32(word if low_is_likely else ~word) + _HALF) * _INV32
    return (u * (_ONE + e) < e) == low_is_likely


@njit(error_model="numpy")
def draw_two_states(x, held, gap, words, low, high):
    """Heat bath of every unit of a row that is not held; `gap` is float32, ``u(low) - u(high)``."""
    if held.shape[0] == 0:
        for i in range(x.shape[0]):
            x[i] = high if _is_high(gap[i], words[i]) else low
    else:
        for i in range(x.shape[0]):
            new = high if _is_high(gap[i], words[i]) else low
            x[i] = x[i] if held[i] else new

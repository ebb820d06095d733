"""Random words of lanes side by side, and the logistic noise that decides two-state units.

A unit is up where ``u < 1 / (1 + exp(-gap))``, which is ``gap > log(u / (1 - u))``. The right side,
logistic noise, depends on random words alone and is made for many units at once, so that the chain of
dependent steps from one unit to the next is a product, a sum and a comparison. Against exact arithmetic
the noise is off by at most ``3e-7 (1 + |noise|)``, and p by that times ``p (1 - p)``.
"""

from __future__ import annotations

import numpy as np
from numba import float32, int32, njit, types, uint32
from numba.extending import intrinsic

from physebm.backends.numba_cpu.library import philox4x32
from physebm.backends.numba_cpu.vector_code import SINGLE, WORD

__all__ = [
    "fill_lane_words",
    "logistic_noise",
]

_LOG_2 = np.float32(0.6931471805599453)
_ONE, _HALF = np.float32(1.0), np.float32(0.5)
_INV32 = np.float32(2.0**-32)


@intrinsic
def _bits_of(typing, number):
    """The int32 whose bits are a given float32 number."""

    def code(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], WORD)

    return types.int32(types.float32), code


@intrinsic
def _number_of(typing, bits):
    """The float32 number whose bits are a given int32."""

    def code(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], SINGLE)

    return types.float32(types.int32), code


@njit(nogil=True, error_model="numpy")
def fill_lane_words(words, chunk, walker, sweep, last, k0, k1):
    """``words[p, lane]``: the words of draw positions ``64 chunk + p`` of every lane of a tile."""
    for b in range(16):
        for lane in range(walker.shape[0]):
            r0, r1, r2, r3 = philox4x32(
                uint32(uint32(16) * uint32(chunk) + uint32(b)), walker[lane], uint32(sweep),
                uint32(last), k0[lane], k1[lane],
            )  # fmt: skip
            words[b, lane] = r0
            words[16 + b, lane] = r1
            words[32 + b, lane] = r2
            words[48 + b, lane] = r3


@njit(nogil=True, error_model="numpy")
def logistic_noise(noise, words):
    """``log(u / (1 - u))`` of the number u of each word, rows of equal length.

    With v the smaller of u and 1 - u the ratio ``(1 - v) / v`` is 1 or more, with few rounding errors.
    Its logarithm is that of the exponent and that of the mantissa m in [sqrt(1/2), sqrt(2)), which is
    ``2 artanh((m - 1) / (m + 1))``.
    """
    noise, words = noise.reshape(-1), words.reshape(-1)
    for k in range(noise.shape[0]):
        word = words[k]
        below = int32(word) >= int32(0)
        v = (float32(int32(word if below else ~word)) + _HALF) * _INV32
        bits = _bits_of((_ONE - v) / v) - int32(0x3F3504F3)
        m = _number_of((bits & int32(0x007FFFFF)) + int32(0x3F3504F3))
        s = (m - _ONE) / (m + _ONE)
        z = s * s
        series = _ONE + z * (
            np.float32(1 / 3)
            + z * (np.float32(1 / 5) + z * (np.float32(1 / 7) + z * np.float32(1 / 9)))
        )
        logarithm = float32(bits >> int32(23)) * _LOG_2 + (s + s) * series
        noise[k] = -logarithm if below else logarithm

"""Random words of lanes side by side, and the logistic noise that decides two-state units.

A unit is up where ``u < 1 / (1 + exp(-gap))``, which is ``gap > log(u / (1 - u))``. The right side,
logistic noise, depends on random words alone and is made for many units at once, so that the chain of
dependent steps from one unit to the next is a product, a sum and a comparison. Against exact arithmetic
the noise is off by at most ``3e-7 (1 + |noise|)``, and p by that times ``p (1 - p)``.
"""

from __future__ import annotations

import numpy as np
from numba import float32, int32, njit, types, uint32
from numba.core import cgutils
from numba.extending import intrinsic

from physebm.backends.numba_cpu.planes.philox import philox
from physebm.backends.numba_cpu.planes.vectors import Words
from physebm.backends.numba_cpu.vector_code import INDEX, LANES, SINGLE, WORD

__all__ = [
    "fill_lane_words",
    "logistic_noise",
]

_LOG_2 = np.float32(0.6931471805599453)
_ONE = np.float32(1.0)
_INV32, _INV33 = np.float32(2.0**-32), np.float32(2.0**-33)
_HALF_EXPONENT, _EXPONENT = int32(1 << 22), int32(-(1 << 23))
# artanh(s) / s = 1 + c_1 s^2 + c_2 s^4 + c_3 s^6 for |s| <= 0.201, off by 1e-8
_C1, _C2, _C3 = np.float32(0.33333358), np.float32(0.19989252), np.float32(0.14985999)


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


@intrinsic
def _fill_vector(typing, words, row, first, walker, sweep, last, k0, k1):
    """Words of 64 draw positions of sixteen lanes, from counter word `first` on.

    Addresses of the words, of the walkers and of the two words of the keys of these lanes; bytes
    between two positions; and the counter words c0 of the first position, c2 and c3.
    """

    def code(context, builder, signature, arguments):
        address, row, first, walker, sweep, last, k0, k1 = arguments
        words = Words(builder, LANES)
        stream = tuple(words.load(part) for part in (walker, k0, k1))
        with cgutils.for_range(builder, INDEX(16), intp=INDEX) as loop:
            position = builder.add(first, builder.trunc(loop.index, WORD))
            for part, vector in enumerate(philox(words, position, sweep, last, stream)):
                place = builder.add(loop.index, INDEX(16 * part))
                words.store(vector, address, builder.mul(place, row))
        return context.get_dummy_value()

    number, place = types.uint32, types.intp
    return types.void(place, place, number, place, number, number, place, place), code


@njit(nogil=True, error_model="numpy")
def fill_lane_words(words, chunk, walker, sweep, last, k0, k1):
    """``words[p, lane]``: the words of draw positions ``64 chunk + p`` of every lane of a tile."""
    row = words.strides[0]
    for start in range(0, row, 4 * LANES):
        _fill_vector(
            words.ctypes.data + start, row, uint32(16 * chunk), walker.ctypes.data + start,
            uint32(sweep), uint32(last), k0.ctypes.data + start, k1.ctypes.data + start,
        )  # fmt: skip


@njit(nogil=True, error_model="numpy")
def logistic_noise(noise, words):
    """``log(u / (1 - u))`` of the number u of each word, rows of equal length.

    With v the smaller of u and 1 - u the ratio ``(1 - v) / v`` is 1 or more. Its logarithm is
    ``k log 2`` and that of ``r = (1 - v) / (2^k v)``, which is ``2 artanh(s)`` with
    ``s = (r - 1) / (r + 1)``, one division. As k serves the difference of the bits of 1 - v and v,
    rounded to whole exponents: bits are a logarithm that is at most 0.086 off, so r is between 2/3 and
    3/2 and |s| at most 0.201.
    """
    noise, words = noise.reshape(-1), words.reshape(-1)
    for k in range(noise.shape[0]):
        word = int32(words[k])
        sign = int32(word >> int32(31))
        v = float32(int32(word ^ sign)) * _INV32 + _INV33
        larger = _ONE - v
        bits = _bits_of(v)
        exponents = int32(_bits_of(larger) - bits + _HALF_EXPONENT)
        smaller = _number_of(bits + (exponents & _EXPONENT))
        s = (larger - smaller) / (larger + smaller)
        z = s * s
        series = _ONE + z * (_C1 + z * (_C2 + z * _C3))
        logarithm = float32(int32(exponents >> int32(23))) * _LOG_2 + (s + s) * series
        noise[k] = _number_of(_bits_of(logarithm) ^ (~sign & int32(-(2**31))))

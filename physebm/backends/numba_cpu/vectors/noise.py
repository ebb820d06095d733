"""Random words of lanes side by side, and the logistic noise that decides two-state units.

A unit is up where ``u < 1 / (1 + exp(-gap))``, which is ``gap > log(u / (1 - u))``. The right side,
logistic noise, depends on random words alone and is made for many units at once, so that the chain of
dependent steps from one unit to the next is a product, a sum and a comparison. Against exact arithmetic
the noise is off by at most ``3e-7 (1 + |noise|)``, and p by that times ``p (1 - p)``.
"""

from __future__ import annotations

from llvmlite import ir
from numba import njit, types, uint32
from numba.core import cgutils
from numba.extending import intrinsic

from physebm.backends.numba_cpu.planes.philox import philox
from physebm.backends.numba_cpu.planes.vectors import Words
from physebm.backends.numba_cpu.vector_code import (
    INDEX,
    LANES,
    VECTOR,
    WORD,
    constant,
    load,
    multiply_add,
    store,
)

__all__ = [
    "fill_lane_words",
    "logistic_noise",
]

_WORDS = ir.VectorType(WORD, LANES)
_LOG_2 = 0.6931471805599453
# artanh(s) / s = 1 + c_1 s^2 + c_2 s^4 + c_3 s^6 for |s| <= 0.201, off by 1e-8
_SERIES = (0.14985999, 0.19989252, 0.33333358, 1.0)


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


@intrinsic
def _noise_vector(typing, noise, words):
    """See `logistic_noise`: sixteen numbers from sixteen words, at two addresses."""

    def code(context, builder, signature, arguments):
        noise, words = arguments

        def bits_of(vector):
            return builder.bitcast(vector, _WORDS)

        def number_of(vector):
            return builder.bitcast(vector, VECTOR)

        def words_of(word):
            return ir.Constant(_WORDS, [word] * LANES)

        word, one = load(builder, words, _WORDS), constant(1.0)
        sign = builder.ashr(word, words_of(31))
        v = builder.sitofp(builder.xor(word, sign), VECTOR)
        v = multiply_add(builder, v, constant(2.0**-32), constant(2.0**-33))
        larger, bits = builder.fsub(one, v), bits_of(v)
        exponents = builder.add(builder.sub(bits_of(larger), bits), words_of(1 << 22))
        smaller = number_of(builder.add(bits, builder.and_(exponents, words_of(-(1 << 23)))))
        s = builder.fdiv(builder.fsub(larger, smaller), builder.fadd(larger, smaller))
        z = builder.fmul(s, s)
        series = constant(_SERIES[0])
        for coefficient in _SERIES[1:]:
            series = multiply_add(builder, series, z, constant(coefficient))
        k = builder.sitofp(builder.ashr(exponents, words_of(23)), VECTOR)
        twice = builder.fmul(builder.fadd(s, s), series)
        logarithm = multiply_add(builder, k, constant(_LOG_2), twice)
        below = builder.and_(builder.not_(sign), words_of(-(1 << 31)))
        store(builder, builder.xor(bits_of(logarithm), below), noise)
        return context.get_dummy_value()

    return types.void(types.intp, types.intp), code


@njit(nogil=True, error_model="numpy")
def logistic_noise(noise, words):
    """``log(u / (1 - u))`` of the number u of each word; rows of equal length, whole vectors in all.

    With v the smaller of u and 1 - u the ratio ``(1 - v) / v`` is 1 or more. Its logarithm is
    ``k log 2`` and that of ``r = (1 - v) / (2^k v)``, which is ``2 artanh(s)`` with
    ``s = (r - 1) / (r + 1)``, one division. As k serves the difference of the bits of 1 - v and v,
    rounded to whole exponents: bits are a logarithm that is at most 0.086 off, so r is between 2/3 and
    3/2 and |s| at most 0.201.
    """
    for start in range(0, 4 * noise.size, 4 * LANES):
        _noise_vector(noise.ctypes.data + start, words.ctypes.data + start)

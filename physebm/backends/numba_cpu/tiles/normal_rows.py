"""Draws of a row of independent Gaussian or truncated Gaussian units; generated sweeps call these.

The same numbers as `library.heat_bath_gaussian` and `library.heat_bath_truncated` unit by unit, up to
the last bits of a logarithm: inverse normal distributions of 52-bit uniforms in double precision, with
the rational functions of M. J. Wichura, Algorithm AS 241 (PPND16), Appl. Stat. 37, 477 (1988). Those of
the centre, 85 % of all draws, run over the row in vectors; places in the tails are listed, and theirs
run over the list with a logarithm that vectorises too. A truncated unit takes p from the upper tail
beyond its edge, by a quotient of polynomials and an exponential that vectorise. Below p = 1.4e-11 and
beyond an edge of 5 deviations the scalar functions answer.
"""

from __future__ import annotations

import math

import numpy as np
from llvmlite import ir
from numba import float64, int64, njit, types
from numba.core.cgutils import get_or_insert_function
from numba.extending import intrinsic

from physebm.backends.numba_cpu.library import ndtri, tail_excess, uniform53

__all__ = ["draw_gaussian_row", "draw_truncated_row", "uniform_row"]

# Sums of products may be rounded once: row by row the same bits, in whatever tile.
_CONTRACTED = {"contract"}
_LOG2_E = 1.0 / math.log(2.0)
_LOG_2_HIGH = 0.693147180369123816490  # its last 21 bits are 0: exact times a small integer
_LOG_2_LOW = 1.90821492927058770002e-10
_LOG_2 = math.log(2.0)
_MANTISSA = int64((1 << 52) - 1)
_ONE_BITS = int64(1023 << 52)
_HALF_SQRT = int64(0x6A09E667F3BCD)  # mantissa of sqrt 2
_CENTRE = 0.425
_FAR = math.exp(-25.0)  # r = 5
_EDGE = 5.0
_LAST_EDGE = 8.5  # the lower tail beyond is below 2^-53


@intrinsic
def _bits(typing, number):
    """The bits of a float64 as int64."""

    def code(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], ir.IntType(64))

    return types.int64(types.float64), code


@intrinsic
def _of_bits(typing, bits):
    """The float64 of given bits."""

    def code(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], ir.DoubleType())

    return types.float64(types.int64), code


@njit(inline="always")
def _log(x):
    """``log x`` of a normal number > 0, relative error below 1e-15 for x < 1/2.

    With ``x = 2^e m``, m between sqrt(1/2) and sqrt 2, and ``t = (m - 1) / (m + 1)``, it is
    ``e log 2 + 2 (t + t^3/3 + t^5/5 + ...)``, and t^2 < 0.03.
    """
    bits = _bits(x)
    mantissa = bits & _MANTISSA
    up = int64(mantissa > _HALF_SQRT)
    m = _of_bits(mantissa | (_ONE_BITS - (up << int64(52))))
    e = float64((bits >> int64(52)) - int64(1023) + up)
    t = (m - 1.0) / (m + 1.0)
    s = t * t
    p = 1 / 21.0
    p = 1 / 19.0 + s * p
    p = 1 / 17.0 + s * p
    p = 1 / 15.0 + s * p
    p = 1 / 13.0 + s * p
    p = 1 / 11.0 + s * p
    p = 1 / 9.0 + s * p
    p = 1 / 7.0 + s * p
    p = 1 / 5.0 + s * p
    p = 1 / 3.0 + s * p
    return e * _LOG_2 + 2.0 * (t + t * s * p)


@njit(inline="always")
def _exp(y):
    """``exp y`` for -700 < y <= 0, relative error 3e-16: ``2^n`` times a Taylor sum in |f| < 0.35."""
    n = np.floor(y * _LOG2_E + 0.5)
    f = (y - n * _LOG_2_HIGH) - n * _LOG_2_LOW
    p = 1 / 6227020800.0
    p = 1 / 479001600.0 + f * p
    p = 1 / 39916800.0 + f * p
    p = 1 / 3628800.0 + f * p
    p = 1 / 362880.0 + f * p
    p = 1 / 40320.0 + f * p
    p = 1 / 5040.0 + f * p
    p = 1 / 720.0 + f * p
    p = 1 / 120.0 + f * p
    p = 1 / 24.0 + f * p
    p = 1 / 6.0 + f * p
    p = 0.5 + f * p
    p = 1.0 + f * p
    p = 1.0 + f * p
    return p * _of_bits((int64(n) + int64(1023)) << int64(52))


@njit(inline="always")
def _upper_tail(edge):
    """``Q(edge)``, the normal probability above an edge up to 5; relative error below 2e-15.

    ``exp(-x^2/2) P(x) / R(x)`` for x >= 0, and ``1 - Q(-x)`` below. The quotient is the best of its
    degrees for ``erfcx(x / sqrt 2) / 2`` on [0, 5.1], relative error 3e-17 (fitted in 40 digits);
    further out, where only ``1 - Q`` is asked for, it errs by 1e-9.
    """
    x = min(abs(edge), _LAST_EDGE)
    num = (((((((1.77050323161804165e-5 * x + 4.07966005935578334e-4) * x
            + 4.40415927107610809e-3) * x + 2.86955080931090632e-2) * x
            + 0.121815127227999361) * x + 0.339092424102156108) * x
            + 0.581683988217022912) * x + 0.499999999999999983)  # fmt: skip
    den = ((((((((4.43799713842770034e-5 * x + 1.02261697417226537e-3) * x
            + 1.10840311583352926e-2) * x + 7.29504698617401618e-2) * x
            + 0.316311022701407351) * x + 0.919708589264592165) * x
            + 1.74303796750131814) * x + 1.96125253723690421) * x + 1.0)  # fmt: skip
    beyond = _exp(-0.5 * x * x) * num / den
    return beyond if edge > 0.0 else 1.0 - beyond


@intrinsic
def _list_eight(typing, p, i, tails, beyond):
    """Write those of ``p[i:i+8]`` in the tails, and their places, side by side; how many they are.

    Arguments: the addresses of ``p[i]`` and of both lists, each with room for eight.
    """

    def code(context, builder, signature, arguments):
        p, i, tails, beyond = arguments
        word, numbers = ir.IntType(64), ir.VectorType(ir.DoubleType(), 8)
        places = ir.VectorType(word, 8)

        def call(name, kind, *given):
            function = ir.FunctionType(kind, [each.type for each in given])
            return builder.call(get_or_insert_function(builder.module, function, name), given)

        def put(value, address):
            builder.store(value, builder.inttoptr(address, value.type.as_pointer())).align = 8

        p_8 = builder.load(builder.inttoptr(p, numbers.as_pointer()))
        p_8.align = 8
        distance = builder.fsub(p_8, ir.Constant(numbers, [0.5] * 8))
        distance = call("llvm.fabs.v8f64", numbers, distance)
        far = builder.fcmp_ordered(">", distance, ir.Constant(numbers, [_CENTRE] * 8))
        first = builder.insert_element(ir.Constant(places, ir.Undefined), i, ir.IntType(32)(0))
        zeros = ir.Constant(ir.VectorType(ir.IntType(32), 8), [0] * 8)
        every = builder.shuffle_vector(first, first, zeros)
        place = builder.add(every, ir.Constant(places, list(range(8))))
        compress = "llvm.experimental.vector.compress.v8"
        put(call(compress + "f64", numbers, p_8, far, ir.Constant(numbers, ir.Undefined)), beyond)
        put(call(compress + "i64", places, place, far, ir.Constant(places, ir.Undefined)), tails)
        bits = builder.zext(builder.bitcast(far, ir.IntType(8)), word)
        return call("llvm.ctpop.i64", word, bits)

    return types.int64(types.intp, types.intp, types.intp, types.intp), code


@njit(error_model="numpy")
def _list_tails(p, tails, beyond):
    """The places of a row beyond the centre and their p, in order; how many they are."""
    n, count = p.shape[0], 0
    for i in range(0, n - 7, 8):
        at = 8 * count  # count <= i: eight numbers from there on end within the row
        count += _list_eight(p.ctypes.data + 8 * i, i, tails.ctypes.data + at, beyond.ctypes.data + at)
    for i in range(n // 8 * 8, n):
        tails[count], beyond[count] = i, p[i]
        count += abs(p[i] - 0.5) > _CENTRE
    return count


@njit(error_model="numpy", fastmath=_CONTRACTED)
def _normal_row(z, p, tails, beyond):
    """``z = ndtri(p)`` of a row; `tails` and `beyond` are room for places in the tails and their p."""
    for i in range(p.shape[0]):
        q = p[i] - 0.5
        r = 0.180625 - q * q
        num = (((((((2.5090809287301226727e3 * r + 3.3430575583588128105e4) * r
                + 6.7265770927008700853e4) * r + 4.5921953931549871457e4) * r
                + 1.3731693765509461125e4) * r + 1.9715909503065514427e3) * r
                + 1.3314166789178437745e2) * r + 3.3871328727963666080e0)  # fmt: skip
        den = (((((((5.2264952788528545610e3 * r + 2.8729085735721942674e4) * r
                + 3.9307895800092710610e4) * r + 2.1213794301586595867e4) * r
                + 5.3941960214247511077e3) * r + 6.8718700749205790830e2) * r
                + 4.2313330701600911252e1) * r + 1.0)  # fmt: skip
        z[i] = q * num / den
    count = _list_tails(p, tails, beyond)
    for k in range(count):
        p_k = beyond[k]
        r = math.sqrt(-_log(min(p_k, 1.0 - p_k))) - 1.6
        num = (((((((7.74545014278341407640e-4 * r + 2.27238449892691845833e-2) * r
                + 2.41780725177450611770e-1) * r + 1.27045825245236838258e0) * r
                + 3.64784832476320460504e0) * r + 5.76949722146069140550e0) * r
                + 4.63033784615654529590e0) * r + 1.42343711074968357734e0)  # fmt: skip
        den = (((((((1.05075007164441684324e-9 * r + 5.47593808499534494600e-4) * r
                + 1.51986665636164571966e-2) * r + 1.48103976427480074590e-1) * r
                + 6.89767334985100004550e-1) * r + 1.67638483018380384940e0) * r
                + 2.05319162663775882187e0) * r + 1.0)  # fmt: skip
        beyond[k] = (-num if p_k < 0.5 else num) / den
    for k in range(count):
        z[tails[k]] = beyond[k]
        p_k = p[tails[k]]
        if min(p_k, 1.0 - p_k) < _FAR:
            z[tails[k]] = ndtri(p_k)


@njit
def uniform_row(u, high, low, n):
    """The first n uniforms, of 52 random bits from two words each."""
    for i in range(n):
        u[i] = uniform53(high[i], low[i])


@njit(error_model="numpy")
def draw_gaussian_row(x, held, mean, scale, u, z, tails, beyond):
    """Units that are not held from normal laws of given means and deviations; u are uniforms."""
    n = x.shape[0]
    _normal_row(z, u[:n], tails, beyond)
    for i in range(n):
        z[i] = mean[i] + scale[i] * z[i]
    _keep(x, held, z)


@njit(error_model="numpy", fastmath=_CONTRACTED)
def _tail_row(u, mean, lower, scale):
    """Writes the edges in deviations over the means, and ``u Q(edge)`` over u up to the last edge."""
    for i in range(lower.shape[0]):
        edge = (lower[i] - mean[i]) / scale[i]
        q = _upper_tail(edge)
        mean[i] = edge
        u[i] = u[i] if edge >= _EDGE else u[i] * q


@njit(error_model="numpy")
def draw_truncated_row(x, held, lower, mean, scale, u, z, tails, beyond):
    """The same, conditioned on ``x >= lower``."""
    n = x.shape[0]
    _tail_row(u, mean, lower, scale)
    _normal_row(z, u[:n], tails, beyond)
    for i in range(n):
        z[i] = lower[i] + scale[i] * max(-z[i] - mean[i], 0.0)
    for i in range(n):
        if mean[i] >= _EDGE:
            z[i] = lower[i] + scale[i] * tail_excess(mean[i], u[i])
    _keep(x, held, z)


@njit
def _keep(x, held, new):
    for i in range(x.shape[0]):
        if held.shape[0] == 0 or not held[i]:
            x[i] = new[i]

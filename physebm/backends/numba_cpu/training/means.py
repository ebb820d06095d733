"""Conditional means of hidden two-state units from their fields, and their sums over rows.

Sixteen units at once in explicit vectors: rows of small machines are shorter than what LLVM's own
vectors leave over. Means are single precision, sums double.
"""

from __future__ import annotations

from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from physebm.backends.numba_cpu.tiles.decisions import exp_minus_of, of_each
from physebm.backends.numba_cpu.vector_code import LANES, constant, load, store

__all__ = ["all_means", "padded"]

_DOUBLES = ir.VectorType(ir.DoubleType(), LANES)


@intrinsic
def _sixteen_means(typing, p, total, field, b, ising):
    """``p = <h>`` at ``theta = field + b``, added to `total`; all are addresses but `ising`.

    With ``e = exp(-|theta|)`` a unit of 0 and 1 is 1 with probability ``1 / (1 + e)`` or
    ``e / (1 + e)``; with ``e = exp(-2 |theta|)`` the mean of one of -1 and 1 is
    ``(1 - e) / (1 + e)`` or minus that.
    """

    def code(context, builder, signature, arguments):
        p, total, field, b, ising = arguments
        zero, one = constant(0.0), constant(1.0)
        theta = builder.fadd(load(builder, field), load(builder, b))
        size = of_each(builder, "fabs", theta)
        e = exp_minus_of(builder, builder.select(ising, builder.fadd(size, size), size))
        negative = builder.fcmp_ordered("<", theta, zero)
        of_high = builder.select(negative, e, one)
        of_low = builder.select(ising, builder.select(negative, one, e), zero)
        mean = builder.fdiv(builder.fsub(of_high, of_low), builder.fadd(one, e))
        store(builder, mean, p)
        sums = builder.fadd(load(builder, total, _DOUBLES, 8), builder.fpext(mean, _DOUBLES))
        store(builder, sums, total, 8)
        return context.get_dummy_value()

    return types.void(*[types.intp] * 4, types.boolean), code


@njit
def padded(units):
    """The room that a row of means takes."""
    return (units + LANES - 1) // LANES * LANES


# without counts of references, which atomic instructions keep for every row that is passed on
@njit(error_model="numpy", _nrt=False)
def all_means(P, total, F, b, size, ising):
    """``P[r] = <h | x_r>`` of the first rows from fields F without b, and their sum in `total`.

    All rows, b and `total` have `padded` room; what stands beyond the units is finite.
    """
    for j in range(total.shape[0]):
        total[j] = 0
    p, t, f, h = P.ctypes.data, total.ctypes.data, F.ctypes.data, b.ctypes.data
    for _ in range(size):
        for j in range(0, total.shape[0], LANES):
            _sixteen_means(p + 4 * j, t + 8 * j, f + 4 * j, h + 4 * j, ising)
        p, f = p + P.strides[0], f + F.strides[0]

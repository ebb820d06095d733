"""Units that are drawn at once: fields of neighbours in sixteen lanes, and the draw of a class."""

from __future__ import annotations

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from physebm.backends.numba_cpu.vector_code import (
    INDEX,
    LANES,
    SINGLE,
    WORD,
    constant,
    load,
    multiply_add,
    place,
    spread,
    store,
)
from physebm.native.factories import made_for

__all__ = [
    "draw_independent",
    "field_of_integer",
    "field_of_real",
    "field_of_unit",
]


def _neighbour_vector(weight_at):
    """An intrinsic for ``gap += c sum_d w_d S[n_d]``, sixteen lanes of one unit, until ``n_d < 0``.

    ``weight_at(builder, w, d)`` is the code that reads weight d. Arguments are addresses of sixteen
    gaps, of their coefficients, and of the same sixteen lanes of unit 0; bytes between two units;
    addresses of the unit's neighbours (int32) and weights; and their largest number.
    """

    def code(context, builder, signature, arguments):
        gap, c, S, row, n, w, degree = arguments
        total = cgutils.alloca_once_value(builder, constant(0.0))
        with cgutils.for_range(builder, degree, intp=INDEX) as loop:
            j = load(builder, place(builder, n, builder.mul(loop.index, INDEX(4))), WORD)
            with builder.if_then(builder.icmp_signed("<", j, WORD(0))):
                loop.do_break()
            neighbour = load(builder, place(builder, S, builder.mul(builder.zext(j, INDEX), row)))
            weight = spread(builder, weight_at(builder, w, loop.index))
            builder.store(multiply_add(builder, weight, neighbour, builder.load(total)), total)
        scaled = multiply_add(builder, load(builder, c), builder.load(total), load(builder, gap))
        store(builder, scaled, gap)
        return context.get_dummy_value()

    @intrinsic
    def field(typing, gap, c, S, row, n, w, degree):
        return types.void(*[types.intp] * 7), code

    return field


def _real(builder, w, d):
    number = load(builder, place(builder, w, builder.mul(d, INDEX(8))), ir.DoubleType())
    return builder.fptrunc(number, SINGLE)


def _integer(builder, w, d):
    return builder.sitofp(load(builder, place(builder, w, builder.mul(d, INDEX(4))), WORD), SINGLE)


def _unit(builder, w, d):
    return SINGLE(1.0)


_real_neighbours = _neighbour_vector(_real)
_integer_neighbours = _neighbour_vector(_integer)
_unit_neighbours = _neighbour_vector(_unit)


def _neighbour_field(kind: str, vector):
    @njit(nogil=True, error_model="numpy")
    @made_for(kind)
    def field(gap, c, S, n, w):
        row = 4 * S.shape[1]
        for start in range(0, row, 4 * LANES):
            vector(
                gap.ctypes.data + start, c.ctypes.data + start, S.ctypes.data + start, row,
                n.ctypes.data, w.ctypes.data, n.shape[0],
            )  # fmt: skip

    return field


# gap[lane] += c[lane] sum_d w_d S[n_d, lane] of one unit; n and w are its rows (w of any kind for unit)
field_of_real = _neighbour_field("real", _real_neighbours)
field_of_integer = _neighbour_field("integer", _integer_neighbours)
field_of_unit = _neighbour_field("unit", _unit_neighbours)


@njit(nogil=True, error_model="numpy")
def draw_independent(S, order, first, gap, noise, low, high):
    """Draw units that do not couple to each other: `gap` and `noise` are ``[position, lane]``."""
    for p in range(gap.shape[0]):
        i = order[first + p]
        if i < 0:
            break
        for lane in range(gap.shape[1]):
            S[i, lane] = high if gap[p, lane] > noise[p, lane] else low

"""The draw of a chunk whose units read neighbours alone and whose thresholds fit two vectors.

What `sweep` and `decide` do one after the other with fields and indices in memory is done here with
sixteen positions in registers: most lattices take this way. Sums are of bytes, for the indices of 32
thresholds are small. Functions take addresses.
"""

from __future__ import annotations

from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from physebm.backends.numba_cpu.runs.decide import store_states, up_by_table
from physebm.backends.numba_cpu.runs.fields import BYTES, NUMBERS, field_of
from physebm.backends.numba_cpu.vector_code import load, spread
from physebm.backends.runs.graph import RUN

__all__ = ["draw", "draw_weighted", "draw_weighted_with_state", "draw_with_state"]


def _sixteen(weighted: bool, with_state: bool):
    """An intrinsic that draws sixteen positions.

    Arguments are addresses of the row of states, of the sixteen own ones, of the `degree` places where
    runs start, of as many times sixteen int32 weights (any address where units pull alike), of sixteen
    words and of the table of `decide`; the largest field, and the two states.
    """

    def code(context, builder, signature, arguments):
        y, own, run, weights, degree, words, table, limit, low, high = arguments
        start = spread(builder, limit, NUMBERS)
        if weighted:
            index = field_of(builder, start, y, run, degree, weights)
        else:
            index = field_of(builder, builder.trunc(start, BYTES), y, run, degree)
            index = builder.zext(index, NUMBERS)
        if with_state:
            present = load(builder, own, BYTES, align=1)
            is_up = builder.icmp_signed(">", present, ir.Constant(BYTES, [0] * RUN))
            index = builder.add(builder.add(index, index), builder.zext(is_up, NUMBERS))
        up = up_by_table(builder, index, load(builder, words, NUMBERS), table)
        store_states(builder, up, low, high, own)
        return context.get_dummy_value()

    @intrinsic
    def sixteen(typing, y, own, run, weights, degree, words, table, limit, low, high):
        arguments = [types.intp] * 7 + [types.int32, types.int8, types.int8]
        return types.void(*arguments), code

    return sixteen


_plain, _plain_with_state = _sixteen(False, False), _sixteen(False, True)
_weighted, _weighted_with_state = _sixteen(True, False), _sixteen(True, True)


@njit
def draw(y, chunk, run, weights, degree, words, table, limit, low, high):
    """New states of the 64 positions of a chunk; `run` and `weights` are tables of the whole lane."""
    for block in range(4 * chunk, 4 * chunk + 4):
        at, own, word = run + 4 * degree * block, y + RUN * block, words + 4 * RUN * (block - 4 * chunk)
        # lattices in two and three dimensions: LLVM writes out sums of a constant number
        if degree == 4:
            _plain(y, own, at, weights, 4, word, table, limit, low, high)
        elif degree == 6:
            _plain(y, own, at, weights, 6, word, table, limit, low, high)
        else:
            _plain(y, own, at, weights, degree, word, table, limit, low, high)


@njit
def draw_with_state(y, chunk, run, weights, degree, words, table, limit, low, high):
    """As `draw`, where the present state counts."""
    for block in range(4 * chunk, 4 * chunk + 4):
        at, own, word = run + 4 * degree * block, y + RUN * block, words + 4 * RUN * (block - 4 * chunk)
        _plain_with_state(y, own, at, weights, degree, word, table, limit, low, high)


@njit
def draw_weighted(y, chunk, run, weights, degree, words, table, limit, low, high):
    """As `draw`, with integer weights."""
    for block in range(4 * chunk, 4 * chunk + 4):
        row, own, word = 4 * degree * block, y + RUN * block, words + 4 * RUN * (block - 4 * chunk)
        _weighted(y, own, run + row, weights + RUN * row, degree, word, table, limit, low, high)


@njit
def draw_weighted_with_state(y, chunk, run, weights, degree, words, table, limit, low, high):
    """As `draw_weighted`, where the present state counts."""
    for block in range(4 * chunk, 4 * chunk + 4):
        row, own, word = 4 * degree * block, y + RUN * block, words + 4 * RUN * (block - 4 * chunk)
        weight = weights + RUN * row
        _weighted_with_state(y, own, run + row, weight, degree, word, table, limit, low, high)

"""The energy of bonds: sums of field times state over positions; functions take addresses.

Empty positions have states that mean nothing, and fields of zero: their neighbours are not there.
"""

from __future__ import annotations

from llvmlite import ir
from numba import int64, njit, types
from numba.extending import intrinsic

from physebm.backends.numba_cpu.runs.fields import BYTES, NUMBERS, field_of
from physebm.backends.numba_cpu.vector_code import load, store
from physebm.backends.runs.graph import RUN

__all__ = ["bonds", "close", "counted", "weighted_bonds"]


def _add_bonds(weighted: bool):
    """An intrinsic for ``sums[p] += field_p y_p`` of sixteen positions.

    Arguments are addresses of sixteen int32 sums, of the row of states and of the sixteen own ones, and
    of runs and weights as in `field_of` (any address where units pull alike).
    """

    def code(context, builder, signature, arguments):
        sums, y, own, run, weights, degree = arguments
        zero = ir.Constant(NUMBERS, [0] * RUN)
        field = field_of(builder, zero, y, run, degree, weights if weighted else None)
        states = builder.sext(load(builder, own, BYTES, align=1), NUMBERS)
        total = builder.add(load(builder, sums, NUMBERS), builder.mul(field, states))
        store(builder, total, sums)
        return context.get_dummy_value()

    @intrinsic
    def add(typing, sums, y, own, run, weights, degree):
        return types.void(*[types.intp] * 6), code

    return add


_add_plain, _add_weighted = _add_bonds(False), _add_bonds(True)


@njit
def bonds(y, chunk, run, weights, degree, sums):
    """``sums[p % 16] += field_p y_p`` of the 64 positions of a chunk; `run` is that of the lane."""
    for block in range(4 * chunk, 4 * chunk + 4):
        _add_plain(sums, y, y + RUN * block, run + 4 * degree * block, weights, degree)


@njit
def weighted_bonds(y, chunk, run, weights, degree, sums):
    """As `bonds`, with integer weights."""
    for block in range(4 * chunk, 4 * chunk + 4):
        row = 4 * degree * block
        _add_weighted(sums, y, y + RUN * block, run + row, weights + RUN * row, degree)


@njit
def close(sums):
    """The total of sixteen sums, which begin at zero again: before they leave 32 bits."""
    total = int64(0)
    for p in range(RUN):
        total += sums[p]
        sums[p] = 0
    return total


@njit
def counted(ends):
    """Chunks whose bonds are all bonds of the lattice, and how often each bond is counted there."""
    if ends.shape[0] > 2 and ends[2] == ends[-1]:
        return ends[1], 1
    return ends[-1], 2

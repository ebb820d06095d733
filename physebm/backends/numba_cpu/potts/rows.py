"""Fields of Potts units from gathered rows: ``F[lane] += sum_j J[j, s_j]``, explicit vectors.

For one unit that is drawn in all lanes of a tile, J is ``[other unit, its state, padded q]``
(`physebm.lowering.gathered`) and S ``[lane, unit]`` holds states as bytes. Every number of F is a plain
sum over units in increasing order, so that its bits depend neither on the other lanes of the tile nor
on the width of vectors.

The sums of a few lanes stay in registers while a few units are read; then come the next lanes, and the
same rows again, from the first cache. Sums go through F from one such group of units to the next.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from physebm.backends.numba_cpu.tiles.products import registers
from physebm.backends.numba_cpu.vector_code import INDEX, SINGLE, load, place, store
from physebm.lowering.gathered import ALIGNMENT, padded_states
from physebm.native.factories import made_for

__all__ = ["gatherer", "rows_room"]

# Rows of J that are read together, in bytes: half of a small first cache.
NEAR = 24 * 1024
# Vectors of sums that are held together.
SUMS = 12


@njit(nogil=True, error_model="numpy")
def rows_room(lanes, padded):
    """Zeros ``[lane, padded q]`` that start where a vector may start."""
    room = np.zeros(lanes * padded + ALIGNMENT // 4, np.float32)
    start = (-room.ctypes.data % ALIGNMENT) // 4
    return room[start : start + lanes * padded].reshape((lanes, padded))


def vector_of(padded: int, widest: int) -> int:
    """Numbers of a vector: as wide as the machine has them, and rows are whole vectors."""
    return max(width for width in (4, 8, 16) if padded % width == 0 and width <= widest)


def _sums(q: int, width: int, lanes: int):
    """An intrinsic for ``F[0:lanes] += sum_{first <= j < end} J[j, S[:, j]]``.

    Arguments: addresses of F, of S and J, with the bytes between rows of S after S; first, end.
    """
    padded = padded_states(q)
    several, state = ir.VectorType(SINGLE, width), ir.IntType(8)
    row, vectors = 4 * padded, padded // width
    places = [(lane, 4 * width * v) for lane in range(lanes) for v in range(vectors)]

    def code(context, builder, signature, arguments):
        F, S, dS, J, first, end = arguments
        sums = {}
        for lane, offset in places:
            begun = load(builder, place(builder, F, lane * row + offset), several)
            sums[lane, offset] = cgutils.alloca_once_value(builder, begun)
        with cgutils.for_range_slice(builder, first, end, INDEX(1), intp=INDEX) as (j, _):
            J_j = place(builder, J, builder.mul(j, INDEX(q * row)))
            rows = []
            for lane in range(lanes):
                address = place(builder, S, builder.mul(dS, INDEX(lane)), j)
                s = builder.load(builder.inttoptr(address, state.as_pointer()))
                rows.append(place(builder, J_j, builder.mul(builder.zext(s, INDEX), INDEX(row))))
            for lane, offset in places:
                sum_ = sums[lane, offset]
                term = load(builder, place(builder, rows[lane], offset), several)
                builder.store(builder.fadd(builder.load(sum_), term), sum_)
        for lane, offset in places:
            store(builder, builder.load(sums[lane, offset]), place(builder, F, lane * row + offset))
        return context.get_dummy_value()

    @intrinsic
    def sums(typing, F, S, dS, J, first, end):
        return types.void(*[types.intp] * 6), code

    return sums


@cache
def gatherer(q: int, widest: int = registers()[2]):
    """A function ``gather(F, J, S, first, end)`` that adds the rows of units ``first .. end - 1``.

    Parameters
    ----------
    widest
        Numbers of the widest vectors that are used. No bit depends on it.
    """
    padded = padded_states(q)
    width = vector_of(padded, widest)
    lanes = max(n for n in (1, 2, 4) if n == 1 or n * padded // width <= SUMS)
    near = max(1, NEAR // (4 * q * padded))
    sums = _sums(q, width, lanes)

    @njit(nogil=True, error_model="numpy")
    @made_for(q, widest)
    def gather(F, J, S, first, end):
        f, s, j, row = F.ctypes.data, S.ctypes.data, J.ctypes.data, S.strides[0]
        for start in range(first, end, near):
            for lane in range(0, F.shape[0], lanes):
                sums(
                    f + lane * F.strides[0], s + lane * row, row, j, start, min(start + near, end)
                )  # fmt: skip

    return gather

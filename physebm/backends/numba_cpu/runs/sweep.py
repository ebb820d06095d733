"""Colour classes of one lane in runs of sixteen units, with integer fields; for generated sweeps.

The states of a lane stand in visiting order, ``y[position]``, with sixteen places of zero behind the
end, and then copies of places that do not follow each other, renewed chunk by chunk before they are
read. See `physebm.backends.numba_cpu.runs.places` for the tables.
"""

from __future__ import annotations

from numba import int32, int64, njit, types, uint64
from numba.extending import intrinsic

from physebm.backends.numba_cpu.runs.fields import NUMBERS, field_of
from physebm.backends.numba_cpu.vector_code import load, store
from physebm.backends.runs.graph import RUN

__all__ = [
    "add_fields",
    "add_neighbours",
    "add_weighted",
    "copy_places",
    "energy_of_field",
    "index_further",
    "states_in",
    "states_out",
    "with_state",
]


@njit
def states_in(y, x, order, first, last):
    """``y[position] = x[unit]`` of some positions; zero at empty ones and right behind the end."""
    for p in range(first, last):
        i = order[p]
        y[p] = x[uint64(i)] if i >= 0 else 0
    y[order.shape[0] : order.shape[0] + RUN] = 0


@njit
def states_out(x, y, order, first, last):
    """``x[unit] = y[position]`` of some positions."""
    for p in range(first, last):
        i = order[p]
        if i >= 0:
            x[uint64(i)] = y[p]


def _add_runs(weighted: bool):
    """An intrinsic for ``field += sum_d y_d`` or ``field += sum_d w_d y_d`` of sixteen positions.

    Arguments are addresses of sixteen int32 fields, of int8 states, of the `degree` places where runs
    start, and if `weighted` of as many times sixteen int32 weights. As a loop LLVM leaves it scalar:
    it cannot know that fields, states and weights do not overlap.
    """

    def code(context, builder, signature, arguments):
        field, y, run, degree = arguments[:4]
        start = load(builder, field, NUMBERS)
        weights = arguments[4] if weighted else None
        store(builder, field_of(builder, start, y, run, degree, weights), field)
        return context.get_dummy_value()

    if weighted:

        @intrinsic
        def add(typing, field, y, run, degree, w):
            return types.void(*[types.intp] * 5), code

    else:

        @intrinsic
        def add(typing, field, y, run, degree):
            return types.void(*[types.intp] * 4), code

    return add


_add_plain_runs = _add_runs(weighted=False)
_add_weighted_runs = _add_runs(weighted=True)


@njit
def copy_places(y, order, chunk, copied, copies):
    """Bring together the neighbours of a chunk that do not follow each other."""
    start = order.shape[0] + RUN
    for k in range(copies[chunk], copies[chunk + 1]):
        y[uint64(start + k)] = y[uint64(copied[k])]


@njit
def add_neighbours(field, y, chunk, run):
    """``field[p] += sum_d y[place of neighbour d of p]`` of the 64 positions of a chunk."""
    f, states = field.ctypes.data, y.ctypes.data
    for block in range(4):
        at = run.ctypes.data + 4 * run.shape[1] * (4 * chunk + block)
        _add_plain_runs(f + 4 * RUN * block, states, at, run.shape[1])


@njit
def add_weighted(field, y, chunk, run, weight):
    """``field[p] += sum_d w_d y[place of neighbour d of p]`` of the 64 positions of a chunk."""
    f, states = field.ctypes.data, y.ctypes.data
    for block in range(4):
        row = 4 * run.shape[1] * (4 * chunk + block)
        at, w = run.ctypes.data + row, weight.ctypes.data + RUN * row
        _add_weighted_runs(f + 4 * RUN * block, states, at, run.shape[1], w)


@njit
def index_further(index, field, limit):
    """The place of one more integer field, at most `limit` in size, in the threshold table."""
    for p in range(64):
        index[p] = index[p] * (int32(2) * limit + int32(1)) + field[p] + limit


@njit
def add_fields(field, chunk, h):
    """``field[p] += h`` of the 64 positions of a chunk."""
    for p in range(64):
        field[p] += h[64 * chunk + p]


@njit
def with_state(index, y, chunk):
    """``2 index + (y > 0)``: the place in the threshold table where the present state counts."""
    for p in range(64):
        index[p] = int32(2) * index[p] + int32(y[64 * chunk + p] > 0)


@njit
def energy_of_field(field, y, chunk, order):
    """``sum_p field_p y_p`` over the positions of a chunk that are not empty."""
    total = int64(0)
    for p in range(64):
        there = int32(order[uint64(64 * chunk + p)] >= 0)
        total += there * field[p] * int32(y[uint64(64 * chunk + p)])
    return total

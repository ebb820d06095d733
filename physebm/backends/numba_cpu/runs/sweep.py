"""Colour classes of one lane in runs of sixteen units, with integer fields; for generated sweeps.

The states of a lane stand in visiting order, ``y[position]``, with places of zero behind the end. See
`physebm.backends.numba_cpu.runs.places` for the tables.
"""

from __future__ import annotations

from llvmlite import ir
from numba import int32, int64, njit, types, uint64
from numba.core import cgutils
from numba.extending import intrinsic

from physebm.backends.numba_cpu.runs.places import RUN
from physebm.backends.numba_cpu.vector_code import INDEX, WORD, load, place, spread, store

__all__ = [
    "add_fields",
    "add_neighbours",
    "add_weighted",
    "decide",
    "decide_held",
    "energy_of_runs",
    "index_further",
    "states_in",
    "states_out",
    "with_state",
]

NUMBERS, BYTES = ir.VectorType(ir.IntType(32), RUN), ir.VectorType(ir.IntType(8), RUN)


@njit(nogil=True, error_model="numpy")
def states_in(y, x, order):
    """``y[position] = x[unit]``; zero at empty positions and behind the end."""
    y[:] = 0
    for p in range(order.shape[0]):
        if order[p] >= 0:
            y[p] = x[order[p]]


@njit(nogil=True, error_model="numpy")
def states_out(x, y, order):
    """``x[unit] = y[position]``."""
    for p in range(order.shape[0]):
        if order[p] >= 0:
            x[order[p]] = y[p]


def _add_run(weighted: bool):
    """An intrinsic for ``field += y`` or ``field += w y`` of sixteen positions.

    Arguments are addresses of sixteen int32 fields, int8 states and, if `weighted`, int32 weights. As a
    loop LLVM leaves it scalar: it cannot know that fields, states and weights do not overlap.
    """

    def code(context, builder, signature, arguments):
        bytes_ = load(builder, arguments[1], BYTES, align=1)
        states = builder.sext(bytes_, NUMBERS)
        if weighted:
            states = builder.mul(states, load(builder, arguments[2], NUMBERS))
        field = load(builder, arguments[0], NUMBERS)
        store(builder, builder.add(field, states), arguments[0])
        return context.get_dummy_value()

    if weighted:

        @intrinsic
        def add(typing, field, y, w):
            return types.void(*[types.intp] * 3), code

    else:

        @intrinsic
        def add(typing, field, y):
            return types.void(*[types.intp] * 2), code

    return add


_add_plain_run = _add_run(weighted=False)
_add_weighted_run = _add_run(weighted=True)


@njit
def add_neighbours(field, y, chunk, run, place):
    """``field[p] += sum_d y[place of neighbour d of p]`` of the 64 positions of a chunk."""
    f, states = field.ctypes.data, y.ctypes.data
    for block in range(4):
        for d in range(run.shape[1]):
            start = run[4 * chunk + block, d]
            if start >= 0:
                _add_plain_run(f + 4 * RUN * block, states + start)
            else:
                for k in range(RUN):
                    field[RUN * block + k] += int32(y[place[k - 1 - start]])


@njit
def add_weighted(field, y, chunk, run, place, weight):
    """``field[p] += sum_d w_d y[place of neighbour d of p]`` of the 64 positions of a chunk."""
    f, states, w = field.ctypes.data, y.ctypes.data, weight.ctypes.data
    for block in range(4):
        row = 4 * chunk + block
        for d in range(run.shape[1]):
            start = run[row, d]
            if start >= 0:
                at = w + 4 * RUN * (run.shape[1] * row + d)
                _add_weighted_run(f + 4 * RUN * block, states + start, at)
            else:
                for k in range(RUN):
                    field[RUN * block + k] += weight[row, d, k] * int32(y[place[k - 1 - start]])


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


@intrinsic
def _decide_run(typing, y, index, words, places, bounds, count, low, high):
    """New states of sixteen positions: up where a place of the list is met and ``word <= bound``.

    Arguments are the addresses of sixteen int8 states, int32 indices and words, and of the list: places
    (int32) and bounds (uint32), `count` of them; the two states.
    """

    def code(context, builder, signature, arguments):
        y, index, words, places, bounds, count, low, high = arguments
        here, word = load(builder, index, NUMBERS), load(builder, words, NUMBERS)
        none = ir.Constant(ir.VectorType(ir.IntType(1), RUN), [0] * RUN)
        up = cgutils.alloca_once_value(builder, none)
        with cgutils.for_range(builder, count, intp=INDEX) as loop:
            offset = builder.mul(loop.index, INDEX(4))
            at = spread(builder, load(builder, place(builder, places, offset), WORD), NUMBERS)
            bound = spread(builder, load(builder, place(builder, bounds, offset), WORD), NUMBERS)
            met = builder.icmp_unsigned("==", here, at)
            met = builder.and_(met, builder.icmp_unsigned("<=", word, bound))
            builder.store(builder.or_(builder.load(up), met), up)
        low, high = spread(builder, low, BYTES), spread(builder, high, BYTES)
        store(builder, builder.select(builder.load(up), high, low), y, align=1)
        return context.get_dummy_value()

    return types.void(*[types.intp] * 6, types.int8, types.int8), code


@njit
def decide(y, index, words, chunk, places, bounds, low, high):
    """New states of the 64 positions of a chunk, see `physebm.backends.numba_cpu.runs.places`."""
    for block in range(4):
        start = RUN * block
        _decide_run(
            y.ctypes.data + 64 * chunk + start, index.ctypes.data + 4 * start,
            words.ctypes.data + 4 * start, places.ctypes.data, bounds.ctypes.data, places.shape[0],
            low, high,
        )  # fmt: skip


@njit
def decide_held(y, index, words, chunk, places, bounds, order, held, low, high):
    """As `decide`, where some units are held."""
    for p in range(64):
        i = order[64 * chunk + p]
        if i >= 0 and not held[i]:
            up = False
            for k in range(places.shape[0]):
                up |= index[p] == places[k] and words[p] <= bounds[k]
            y[64 * chunk + p] = high if up else low


@njit
def energy_of_runs(field, y, chunk, order):
    """``sum_p field_p y_p`` over the positions of a chunk that are not empty."""
    total = int32(0)
    for p in range(64):
        there = int32(order[uint64(64 * chunk + p)] >= 0)
        total += there * field[p] * int32(y[uint64(64 * chunk + p)])
    return int64(total)

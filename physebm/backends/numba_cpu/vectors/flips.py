"""States and running fields of a tile; the flips of a block of 64 units added to them, lane by lane.

States are bits: a word of 64 per block and lane. Fields are numbers of a lane side by side, for few
units of a lane move at once (a quarter of them in the SK model at T = 1), and others in each lane: in
strips of 64 units, ``F[strip, lane, column]``, as the couplings are. Sums over the flips of a block
stay in registers; every field is read and written once per block. The order of the additions is that
of the units in every lane, so no bit of a lane depends on the others.
"""

from __future__ import annotations

from contextlib import contextmanager

import numpy as np
from llvmlite import ir
from numba import njit, types, uint64
from numba.core import cgutils
from numba.extending import intrinsic

from physebm.backends.numba_cpu.tiles.products import registers
from physebm.backends.numba_cpu.vector_code import (
    INDEX,
    LANES,
    SINGLE,
    load,
    multiply_add,
    place,
    spread,
    store,
)
from physebm.native.prefetch import fetch_strip

__all__ = ["add_flips", "fields_in", "fields_of", "fields_out", "states_in", "states_out"]

_STRIP = 64  # columns of one piece of the couplings
_PIECE = 4 * 64 * _STRIP  # its bytes
_LINE = 64
# Strips at a time, so that their sums fill half of the registers: eight chains of dependent additions
# are as many as a processor with two adders can have under way.
AT_ONCE = 2 if registers()[2] == 16 else 1
_ALL = np.uint64(0xFFFFFFFFFFFFFFFF)
FAR = 512  # units from which the couplings do not stay in the second cache


@njit(nogil=True, error_model="numpy")
def states_in(x, high, lanes, size, width):
    """Words of 64 bits ``[block, lane]``: which units are up; lanes beyond `size` repeat the first."""
    ups = np.zeros(((x.shape[1] + 63) // 64, width), np.uint64)
    up = x.dtype.type(high)
    for place_ in range(width):
        row = x[lanes[place_ if place_ < size else 0]]
        for block in range(ups.shape[0]):
            part, word = row[64 * block : 64 * (block + 1)], uint64(0)
            for b in range(part.shape[0]):
                word |= uint64(part[b] == up) << uint64(b)
            ups[block, place_] = word
    return ups


@njit(nogil=True, error_model="numpy")
def states_out(x, ups, states, lanes, size):
    """The configurations of the first `size` lanes."""
    low, high = x.dtype.type(states[0]), x.dtype.type(states[1])
    for place_ in range(size):
        row = x[lanes[place_]]
        for block in range(ups.shape[0]):
            part, word = row[64 * block : 64 * (block + 1)], ups[block, place_]
            for b in range(part.shape[0]):
                part[b] = high if (word >> uint64(b)) & uint64(1) else low


@njit(nogil=True, error_model="numpy")
def fields_in(work, lanes, size, width):
    """``F[strip, lane, column]`` of a tile, zero for further lanes and units; at whole cache lines."""
    strips, numbers = (work.shape[1] + _STRIP - 1) // _STRIP, _LINE // 4
    room = np.zeros(strips * width * _STRIP + numbers, np.float32)
    skip = (-room.ctypes.data // 4) % numbers
    F = room[skip : skip + strips * width * _STRIP].reshape(strips, width, _STRIP)
    for place_ in range(size):
        fields = work[lanes[place_]]
        for strip in range(strips):
            part = fields[_STRIP * strip : _STRIP * (strip + 1)]
            _copy(F[strip, place_], part, part.shape[0])
    return F


@njit(nogil=True, error_model="numpy")
def fields_out(work, F, lanes, size):
    """The fields of the first `size` lanes."""
    for place_ in range(size):
        fields = work[lanes[place_]]
        for strip in range(F.shape[0]):
            part = fields[_STRIP * strip : _STRIP * (strip + 1)]
            _copy(part, F[strip, place_], part.shape[0])


@njit(nogil=True, error_model="numpy")
def _copy(y, x, count):
    for k in range(count):
        y[k] = x[k]


@contextmanager
def _set_bits(builder, word):
    """A loop over the numbers of the bits that are set in a word of 64, the lowest first."""
    left = cgutils.alloca_once_value(builder, word)
    test, body, end = (builder.append_basic_block(name) for name in ("test", "body", "end"))
    builder.branch(test)
    with builder.goto_block(test):
        builder.cbranch(builder.icmp_unsigned("!=", builder.load(left), INDEX(0)), body, end)
    with builder.goto_block(body):
        bits = builder.load(left)
        builder.store(builder.and_(bits, builder.sub(bits, INDEX(1))), left)
        yield builder.cttz(bits, ir.IntType(1)(1))
        builder.branch(test)
    builder.position_at_end(end)


def _added_rows(strips: int):
    """An intrinsic for ``f += sum_b (new_b - old_b) J[b]`` of one lane over some strips.

    Addresses of f in the first strip, with the bytes to the next one; of row 0 of the couplings there;
    words of 64 bits that say which units moved and which are up now; and the address of two steps, down
    and up.
    """
    places = [(s, 4 * LANES * v) for s in range(strips) for v in range(_STRIP // LANES)]

    def code(context, builder, signature, arguments):
        f, df, J, moved, ups, steps = arguments
        at = [place(builder, f, builder.mul(df, INDEX(s)), offset) for s, offset in places]
        sums = [cgutils.alloca_once_value(builder, load(builder, here)) for here in at]
        with _set_bits(builder, moved) as unit:
            up = builder.and_(builder.lshr(ups, unit), INDEX(1))
            step = load(builder, place(builder, steps, builder.mul(up, INDEX(4))), SINGLE)
            step = spread(builder, step)
            row = place(builder, J, builder.mul(unit, INDEX(4 * _STRIP)))
            for (s, offset), sum_ in zip(places, sums):
                J_part = load(builder, place(builder, row, _PIECE * s + offset))
                builder.store(multiply_add(builder, J_part, step, builder.load(sum_)), sum_)
        for here, sum_ in zip(at, sums):
            store(builder, builder.load(sum_), here)
        return context.get_dummy_value()

    @intrinsic
    def rows(typing, f, df, J, moved, ups, steps):
        return types.void(*[types.intp] * 3, types.uint64, types.uint64, types.intp), code

    return rows


_one_strip, _two_strips = _added_rows(1), _added_rows(2)


@njit(nogil=True, error_model="numpy")
def add_flips(F, strips, block, moved, ups, size, count, steps, at_once=AT_ONCE):
    """``F[lane] += sum_b (new - old)[b, lane] J[64 block + b]``: all flips of a block.

    Parameters
    ----------
    F
        Fields of a tile ``[strip, lane, column]``, of which the first `size` lanes are changed.
    strips
        Couplings ``[block, strip, b, column]``.
    moved, ups
        Words of 64 bits ``[lane]``: whether unit b moved, and whether it is up now.
    count
        Units of the block.
    steps
        What an up unit has changed by if it moved, after what a down one has.
    at_once
        Strips at a time, 1 or 2.
    """
    units = _ALL >> uint64(64 - count)
    far, every = 64 * strips.shape[1] > FAR, strips.reshape(-1, _STRIP)
    share = (64 * at_once + size - 1) // size
    for strip in range(0, strips.shape[1], at_once):
        together = min(at_once, strips.shape[1] - strip)
        J = strips[block, strip].ctypes.data
        following = 64 * (block * strips.shape[1] + strip + at_once)
        for place_ in range(size):
            if far:
                fetch_strip(every, following, following + share, 0, _STRIP)
                following += share
            bits = moved[place_] & units
            if bits == 0:
                continue
            f = F.ctypes.data + F.strides[0] * strip + F.strides[1] * place_
            if together == 2:
                _two_strips(f, F.strides[0], J, bits, ups[place_], steps.ctypes.data)
            else:
                _one_strip(f, F.strides[0], J, bits, ups[place_], steps.ctypes.data)


@njit(nogil=True, error_model="numpy")
def fields_of(F, ups, strips, size, units, states):
    """Fields ``sum_j x_j J[j]`` anew, from words of units that are up and from the two states."""
    F[:] = 0
    every = np.full(ups.shape[1], _ALL)
    for block in range(strips.shape[0]):
        add_flips(F, strips, block, every, ups[block], size, min(64, units - 64 * block), states)

"""Float32 numbers as sums of planes of 16 bits, as the matrix unit of a processor reads them.

A *plane* holds float32 numbers whose last 16 bits are 0. A float32 number is the exact sum of three,

    a = a_0 + a_1 + a_2,    a_0 = nearest(a),  a_1 = nearest(a - a_0),  a_2 = a - a_0 - a_1,

each at most 2^-8 of the one before. States -1, 0 and 1 are one plane.

Couplings are cut into planes where they are used, a *panel* of 128 sources and 32 columns at a time.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from physebm.native.matrix_unit import (
    BYTE,
    INDEX,
    LANES,
    LINE,
    PLANES,
    REGISTER,
    STEP,
    WORD,
    at,
)

__all__ = ["plane_room", "source_planes"]

STEPS = 4  # of a panel
SOURCES = STEPS * STEP

_WORDS = ir.VectorType(WORD, 16)
_NUMBERS = ir.VectorType(ir.FloatType(), 16)


def _load(builder, address, kind, align: int):
    value = builder.load(at(builder, address, 0, kind))
    value.align = align
    return value


def _store(builder, value, address, offset: int, align: int = LINE):
    builder.store(value, at(builder, address, offset, value.type)).align = align


def _next_plane(builder, rest):
    """Of 16 float32 numbers: the nearest whose last 16 bits are 0, as words; and what is left."""
    half, high = ir.Constant(_WORDS, [0x8000] * 16), ir.Constant(_WORDS, [0xFFFF0000] * 16)
    words = builder.and_(builder.add(builder.bitcast(rest, _WORDS), half), high)
    return words, builder.fsub(rest, builder.bitcast(words, _NUMBERS))


@intrinsic
def _cut_pair(typing, even, odd, panel):
    """Cut 16 columns of two rows of J into planes, a row of a register each.

    Arguments: the addresses of both rows and of the row in the register of the first plane.
    """

    def code(context, builder, signature, arguments):
        even, odd = (_load(builder, address, _NUMBERS, 4) for address in arguments[:2])
        for plane in range(PLANES):
            (low, even), (high, odd) = _next_plane(builder, even), _next_plane(builder, odd)
            both = builder.or_(builder.lshr(low, ir.Constant(_WORDS, [16] * 16)), high)
            _store(builder, both, arguments[2], 2 * plane * REGISTER)
        return context.get_dummy_value()

    return types.void(*[types.intp] * 3), code


@intrinsic
def _write_planes(typing, x, X):
    """Planes of 16 float64 numbers; the addresses of the first and of its place in the first plane."""

    def code(context, builder, signature, arguments):
        x, X = arguments
        rest = builder.fptrunc(_load(builder, x, ir.VectorType(ir.DoubleType(), 16), 8), _NUMBERS)
        for plane in range(PLANES):
            words, rest = _next_plane(builder, rest)
            halves = builder.lshr(words, ir.Constant(_WORDS, [16] * 16))
            halves = builder.trunc(halves, ir.VectorType(ir.IntType(16), 16))
            _store(builder, halves, X, 2 * plane * REGISTER, 2)
        return context.get_dummy_value()

    return types.void(types.intp, types.intp), code


@intrinsic
def _copy_last(typing, to, source, size):
    """Copy the last bytes of a row to an address where zeros follow."""

    def code(context, builder, signature, arguments):
        to, source = (at(builder, address) for address in arguments[:2])
        cgutils.memset(builder, to, INDEX(8 * STEP), 0)
        cgutils.raw_memcpy(builder, to, source, arguments[2], 1)
        return context.get_dummy_value()

    return types.void(*[types.intp] * 3), code


@intrinsic
def _write_states(typing, x, X):
    """The plane of 32 bytes that are -1, 0 or 1: ``s`` times the bits of 1, and the bit of the sign."""

    def code(context, builder, signature, arguments):
        x, X = arguments
        kind = ir.VectorType(ir.IntType(16), STEP)
        states = builder.sext(_load(builder, x, ir.VectorType(BYTE, STEP), 1), kind)
        one, sign = (ir.Constant(kind, [bits] * STEP) for bits in (0x3F80, 0x8000))
        size = builder.mul(builder.mul(states, states), one)
        _store(builder, builder.or_(size, builder.and_(states, sign)), X, 0, 2)
        return context.get_dummy_value()

    return types.void(types.intp, types.intp), code


@njit(nogil=True, error_model="numpy")
def cut_panel(panel, J, dJ, steps):
    """Planes ``[step, plane, half]`` of the first 32 columns of J."""
    for row in range(0, STEP * steps, 2):
        step, pair = row // STEP, row % STEP // 2
        place = panel + 2 * PLANES * REGISTER * step + LINE * pair
        for half in range(2):
            even = J + dJ * row + LINE * half
            _cut_pair(even, even + dJ, place + REGISTER * half)


@njit
def plane_room(lanes, n, planes):
    """Sources ``[panel, block, step, plane, lane, source]``: those of a block's panel side by side."""
    panels, blocks = (n + SOURCES - 1) // SOURCES, (lanes + LANES - 1) // LANES
    size = panels * blocks * STEPS * planes * LANES * STEP
    room = np.empty(size + LINE // 2, np.uint16)
    skip = (-room.ctypes.data % LINE) // 2
    shape = (panels, blocks, STEPS, planes, LANES, STEP)
    return room[skip : skip + size].reshape(shape)


@njit(nogil=True, error_model="numpy")
def source_planes(X, x, lanes, size, room):
    """Planes of the configurations ``x[lanes[:size]]``: int8 states -1, 0 and 1, or float64 numbers."""
    n, edge = x.shape[1], room.ctypes.data
    for place in range(size):
        row = x[lanes[place]]
        to = X[0, place // LANES, 0, 0, place % LANES].ctypes.data
        for i in range(0, n, STEP):
            source = row.ctypes.data + x.itemsize * i
            if i + STEP > n:
                _copy_last(edge, source, x.itemsize * (n - i))
                source = edge
            step = to + X.strides[0] * (i // SOURCES) + X.strides[2] * (i % SOURCES // STEP)
            if X.shape[3] == 1:
                _write_states(source, step)
            else:
                for half in range(2):
                    _write_planes(source + 16 * x.itemsize * half, step + LINE // 2 * half)

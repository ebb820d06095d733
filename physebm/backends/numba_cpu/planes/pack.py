"""Configurations into planes and back: 32 units of 32 lanes at a time, transposed.

A comparison takes the bits of 32 neighbouring units of one lane; with those of all lanes of a vector of
words they make a matrix of bits, whose transpose is 32 rows of planes. ``lane_of[tile, word, bit]`` is
the lane that stands there, -1 where none does.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from physebm.backends.numba_cpu.planes.vectors import BIT, INT32

__all__ = ["RUN", "give_units", "take_units"]

_BLOCK = 32
RUN = 16  # blocks of one lane that are read in a row: eight lines of the cache
_BYTES = ir.VectorType(ir.IntType(8), _BLOCK)
_BITS = ir.VectorType(BIT, _BLOCK)


def _constant(byte: int):
    return ir.Constant(_BYTES, [byte] * _BLOCK)


@intrinsic
def bits_of(typing, states):
    """Bit i is set where the i-th of 32 bytes at an address is positive."""

    def code(context, builder, signature, arguments):
        loaded = builder.load(builder.inttoptr(arguments[0], _BYTES.as_pointer()))
        loaded.align = 1
        return builder.bitcast(builder.icmp_signed(">", loaded, _constant(0)), INT32)

    return types.uint32(types.intp), code


@intrinsic
def write_states(typing, states, bits, low):
    """Write 32 bytes at an address: 1 where bit i is set, else `low`."""

    def code(context, builder, signature, arguments):
        states, bits, low = arguments
        first = ir.Constant(ir.VectorType(INT32, _BLOCK), [0] * _BLOCK)
        empty = ir.Constant(_BYTES, ir.Undefined)
        one = builder.insert_element(empty, low, INT32(0))
        lows = builder.shuffle_vector(one, empty, first)
        chosen = builder.select(builder.bitcast(bits, _BITS), _constant(1), lows)
        builder.store(chosen, builder.inttoptr(states, _BYTES.as_pointer())).align = 1
        return context.get_dummy_value()

    return types.void(types.intp, types.uint32, types.int8), code


@njit
def _some_bits_of(states):
    """`bits_of` of fewer than 32 units."""
    bits = np.uint32(0)
    for i in range(states.shape[0]):
        bits |= np.uint32(states[i] > 0) << np.uint32(i)
    return bits


@njit
def _write_some_states(states, bits, low):
    for i in range(states.shape[0]):
        states[i] = 1 if bits >> np.uint32(i) & np.uint32(1) else low


@njit(error_model="numpy")
def take_units(numbers, x, lane_of, first, last):
    """Bits of units first to last - 1 of the lanes of a tile: ``numbers[unit / 32, lane, word]``."""
    for w in range(lane_of.shape[0]):
        for bit in range(32):
            lane = lane_of[w, bit]
            if lane >= 0:
                _take(numbers[:, bit, w], x[lane, first:last])


@njit
def _take(numbers, states):
    whole, start = states.shape[0] // 32, states.ctypes.data
    for block in range(whole):
        numbers[block] = bits_of(start + 32 * block)
    if states.shape[0] > 32 * whole:
        numbers[whole] = _some_bits_of(states[32 * whole :])


@njit(error_model="numpy")
def give_units(numbers, x, lane_of, first, last, low):
    """Write those units from ``numbers[unit / 32, lane, word]``: states 1 and `low`."""
    for w in range(lane_of.shape[0]):
        for bit in range(32):
            lane = lane_of[w, bit]
            if lane >= 0:
                _give(numbers[:, bit, w], x[lane, first:last], np.int8(low))


@njit
def _give(numbers, states, low):
    whole, start = states.shape[0] // 32, states.ctypes.data
    for block in range(whole):
        write_states(start + 32 * block, numbers[block], low)
    if states.shape[0] > 32 * whole:
        _write_some_states(states[32 * whole :], numbers[whole], low)

"""Rows of two-state units as sources of a product: nibbles across rows, and sums over rows.

``D = sum_r x_r p_r^T`` is a product by tables of subset sums (`physebm.native.subset_sums`) whose lanes
are the units of x and whose sources are the rows. Four rows make a nibble of each unit; sixteen units
are one vector of bytes.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

__all__ = ["column_nibbles"]

_UNITS = 16
_BYTES = ir.VectorType(ir.IntType(8), _UNITS)
_COUNTS = ir.VectorType(ir.IntType(16), _UNITS)


@intrinsic
def _four_rows(typing, nibbles, total, a, b, c, d):
    """Nibbles of sixteen units of four rows, and the rows added to int16 totals; all are addresses."""

    def code(context, builder, signature, arguments):
        nibbles, total, *rows = arguments
        zero = ir.Constant(_BYTES, [0] * _UNITS)

        def at(address, kind):
            return builder.inttoptr(address, kind.as_pointer())

        sums = builder.load(at(total, _COUNTS))
        sums.align = 2
        bits = zero
        for place, row in enumerate(rows):
            states = builder.load(at(row, _BYTES))
            states.align = 1
            high = builder.icmp_signed(">", states, zero)
            bit = ir.Constant(_BYTES, [1 << place] * _UNITS)
            bits = builder.or_(bits, builder.select(high, bit, zero))
            sums = builder.add(sums, builder.sext(states, _COUNTS))
        builder.store(bits, at(nibbles, _BYTES)).align = 1
        builder.store(sums, at(total, _COUNTS)).align = 2
        return context.get_dummy_value()

    return types.void(*[types.intp] * 6), code


@njit(nogil=True, error_model="numpy")
def column_nibbles(N, total, x, rows):
    """``N[g, i] = sum_k 2^k [x[rows[4g+k], i] > 0]`` and ``total[i] = sum_r x[rows[r], i]``.

    x are int8 states -1, 0 or 1, totals int16: of at most 32767 rows. What is left of N becomes 0.
    """
    size, n = rows.shape[0], x.shape[1]
    none = np.zeros(n, np.int8)
    total[:] = 0
    N[(size + 3) // 4 :] = 0
    for first in range(0, size, 4):
        a = x.ctypes.data + rows[first] * n
        b = x.ctypes.data + rows[first + 1] * n if first + 1 < size else none.ctypes.data
        c = x.ctypes.data + rows[first + 2] * n if first + 2 < size else none.ctypes.data
        d = x.ctypes.data + rows[first + 3] * n if first + 3 < size else none.ctypes.data
        nibbles, sums = N.ctypes.data + first // 4 * n, total.ctypes.data
        for i in range(0, n // _UNITS * _UNITS, _UNITS):
            _four_rows(nibbles + i, sums + 2 * i, a + i, b + i, c + i, d + i)
        for i in range(n // _UNITS * _UNITS, n):
            N[first // 4, i] = 0
            for r in range(first, min(first + 4, size)):
                state = x[rows[r], i]
                N[first // 4, i] |= np.uint8(state > 0) << np.uint8(r - first)
                total[i] += state

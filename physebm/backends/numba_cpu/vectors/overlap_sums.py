"""Sums over patterns of signs, sixteen lanes in a vector, from tables of the sums of four.

Patterns ``xi_i^mu`` are +1 or -1, so the fields of a block of 32 units and what their flips do to the
overlaps are both sums of rows with signs,

    H[b] = sum_mu xi_b^mu M[mu],        M[mu] += sum_b xi_b^mu D[b]        (every row holds all lanes).

Four rows have 16 sums with signs. A table of them turns four multiply-adds per row of the result into
one addition of the sum that four signs (a *nibble*) pick; it is made once per block and read by 32
units, or by P patterns. States, overlaps and so all sums are integers. They are exact in whatever order
they are added, in single precision below 2^24 and in 16 bits where they fit, which holds twice as many
lanes in a vector.

Sums in 16 bits may run over on the way, as long as the last one fits: of as many nibbles as have
``sum_mu |M[mu]| < 2^15 - 1`` in all lanes, whatever the signs. A field is added up from such parts,
each as long as it may be; of one nibble every sum fits while ``4 sum_i |x_i| < 2^15 - 1`` (see
`overlap_blocks`).
"""

from __future__ import annotations

import numpy as np
from numba import njit, types
from numba.extending import overload

from physebm.backends.numba_cpu.vector_code import LANES
from physebm.backends.numba_cpu.vectors.dense import add_product
from physebm.backends.numba_cpu.vectors.sign_tables import add_picked, fill_tables, sums_fit

__all__ = [
    "add_steps_to_overlaps",
    "pattern_sums",
    "sum_room",
]

_TABLES = 32768  # bytes: they stay in the first cache, beside what reads them
_LINE = 64


@njit(nogil=True, error_model="numpy")
def sum_room(width, kind):
    """Room for tables of rows of `width` lanes, numbers of the kind of an array; begins at a line."""
    size = kind.itemsize
    room = np.empty((_TABLES + _LINE) // size, kind.dtype)
    return room[(-room.ctypes.data) % _LINE // size :][: _TABLES // size]


def _sum_up(H, rows, M, room):
    """``H[b] = sum_mu xi_b^mu M[mu]`` of a block of units; see `pattern_sums`."""


@overload(_sum_up)
def _fields_of(H, rows, M, room):
    if rows.dtype != types.uint8:

        def product(H, rows, M, room):
            H[:] = 0
            add_product(H, rows, M, M.shape[0])

        return product

    def subsets(H, rows, M, room):
        width, table, row = M.shape[1], room.ctypes.data, M.strides[0]
        vectors, groups, first = width // LANES, rows.shape[1], 0
        most = room.shape[0] // (16 * width)
        while first < groups:
            count, start = min(groups - first, most), M.ctypes.data + 4 * first * row
            while count > 1 and not sums_fit(M, start, 4 * count, vectors):
                count = (count + 1) // 2
            fill_tables(room, table, M, start, count, vectors)
            add_picked(
                H, H.ctypes.data, H.shape[0], first == 0, rows.ctypes.data + first, rows.strides[0],
                room, table, count, vectors,
            )  # fmt: skip
            first += count

    return subsets


def _add_steps(M, columns, D, units, room):
    """``M[mu] += sum_b xi_b^mu D[b]`` of a block of units; see `add_steps_to_overlaps`."""


@overload(_add_steps)
def _steps_of(M, columns, D, units, room):
    if columns.dtype != types.uint8:

        def product(M, columns, D, units, room):
            add_product(M, columns, D, units)

        return product

    def subsets(M, columns, D, units, room):
        D[units:] = 0
        vectors, groups, table = M.shape[1] // LANES, D.shape[0] // 4, room.ctypes.data
        fill_tables(room, table, D, D.ctypes.data, groups, vectors)
        add_picked(
            M, M.ctypes.data, columns.shape[0], False, columns.ctypes.data, columns.strides[0], room,
            table, groups, vectors,
        )  # fmt: skip

    return subsets


@njit(nogil=True, error_model="numpy")
def pattern_sums(H, rows, M, room):
    """``H[b, lane] = sum_mu xi_b^mu M[mu, lane]``.

    Parameters
    ----------
    H
        Sums of the 32 units of a block, float32.
    rows
        Patterns of these units: nibbles ``[b, group]`` (bytes) of patterns of signs, or the numbers
        ``[b, mu]`` of others; the type of the array decides which code is compiled.
    M
        Overlaps, int16 or float32; rows beyond the last pattern, up to whole nibbles, are 0.
    room
        See `sum_room`.
    """
    _sum_up(H, rows, M, room)


@njit(nogil=True, error_model="numpy")
def add_steps_to_overlaps(M, columns, D, units, room):
    """``M[mu, lane] += sum_b xi_b^mu D[b, lane]``; `columns` ``[mu, group of b]`` or ``[mu, b]``."""
    _add_steps(M, columns, D, units, room)

"""Sums over rows of an update of a small machine of two-state units, block by block.

An update is that of `learning.machine`. Its rows, samples or chains, are cut into blocks by their
number alone; every block brings what averages are made of,

    v = sum_r x_r,   h = sum_r p_r,   D = sum_r x_r p_r^T,   p_r = <h | x_r>,

from tables of subset sums in single precision (`native.subset_sums`), any block on any thread.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from physebm.backends.numba_cpu.code import CODE
from physebm.backends.numba_cpu.training.means import all_means, padded
from physebm.native.kept import kept_njit
from physebm.native.row_nibbles import column_nibbles
from physebm.native.rows import copy_row
from physebm.native.subset_sums import (
    field_room,
    nibble_room,
    source_nibbles,
    subset_product,
    table_room,
)

__all__ = ["BLOCK", "Machine", "Sums", "sum_blocks"]

BLOCK = 256  # rows; their fields and means stay in the second cache


class Machine(NamedTuple):
    """What kernels read of a machine: one instance of its operands.

    Attributes
    ----------
    to_b, to_a
        Couplings ``[visible, hidden]`` and the other way round, float32.
    field_a, field_b
        Visible and hidden fields, in the precision of the kernels.
    b
        Hidden fields, float32, in room for whole vectors.
    low, ising
        The lower state of visible units; whether hidden ones are -1 or 1, else 0 or 1.
    """

    to_b: np.ndarray
    to_a: np.ndarray
    field_a: np.ndarray
    field_b: np.ndarray
    b: np.ndarray
    low: int
    ising: bool


class Sums(NamedTuple):
    """The sums of some rows, and where their blocks begin and end.

    Attributes
    ----------
    cuts
        First and last row ``[block, 2]``.
    D, v, h
        ``[block, visible, hidden]`` (float32), ``[block, visible]``, ``[block, hidden]`` with room for
        whole vectors.
    """

    cuts: np.ndarray
    D: np.ndarray
    v: np.ndarray
    h: np.ndarray

    @classmethod
    def of(cls, rows: int, n: int, m: int) -> Sums:
        """Room for so many rows: as many in each block, at most `BLOCK`."""
        blocks = -(-rows // BLOCK)
        edges = rows * np.arange(blocks + 1) // blocks
        cuts = np.stack([edges[:-1], edges[1:]], axis=1)
        D = np.empty((blocks, n, m), np.float32)
        return cls(cuts, D, np.empty((blocks, n)), np.empty((blocks, padded(m))))


@kept_njit(CODE, nogil=True, error_model="numpy")
def sum_blocks(begin, end, sums, x, rows, machine):
    """Write the sums of blocks ``begin .. end-1``, of rows ``x[row, visible]``, int8 in {low, 1}."""
    n, m = machine.to_b.shape
    N, F, room = nibble_room(BLOCK, n), field_room(BLOCK, m), table_room()
    P, M = np.empty((BLOCK, padded(m)), np.float32), np.zeros((BLOCK // 4, n), np.uint8)
    T, total = field_room(n, m), np.empty(n, np.int16)
    for block in range(begin, end):
        chosen = rows[sums.cuts[block, 0] : sums.cuts[block, 1]]
        size = chosen.shape[0]
        source_nibbles(N, x, chosen, size)
        subset_product(F, N, machine.to_b, size, machine.low, room)
        all_means(P, sums.h[block], F, machine.b, size, machine.ising)
        column_nibbles(M, total, x, chosen)
        copy_row(sums.v[block], total)
        subset_product(T, M.T, P[:size, :m], n, machine.low, room)
        _copy_rows(sums.D[block], T)


@njit(_nrt=False)
def _copy_rows(places, rows):
    for i in range(places.shape[0]):
        copy_row(places[i], rows[i])

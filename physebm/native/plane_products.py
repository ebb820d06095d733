"""Products ``F = X J`` in single precision by the matrix unit of a processor.

Rows of X (*lanes*: chains) hold n *sources*; J is ``[source, target]``. With x and J in planes
(`physebm.native.planes`), ``x J`` is three products of planes for sources of two states, and six for
real ones, ``sum_{p+q<=2} x_p J_q``: what is left out is below 2^-23 |x| |J|. Every product of planes is
exact, and sums are those of float32.

A panel of couplings stays in the first cache while all lanes go past; between panels the sums wait in
F. Nothing outlives a call: couplings may change between calls at no cost.

Sums run over sources in a fixed order, panel by panel and 32 sources by 32, so that no bit depends on
the other lanes, on the lane's place, or on the number of threads. They are not the bits of
`physebm.native.subset_sums`, which does the work on other processors: decisions differ where a uniform
number is as close to a probability as single precision tells.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from physebm.native.matrix_unit import (
    COLUMNS,
    LANES,
    LINE,
    PLANES,
    REGISTER,
    STEP,
    add_reals,
    add_states,
    begin_blocks,
    clear_sums,
    end_blocks,
    load_sums,
    store_sums,
)
from physebm.native.planes import SOURCES, STEPS, cut_panel, plane_room, source_planes
from physebm.native.prefetch import fetch_strip

__all__ = ["matrix_field_room", "matrix_product", "panel_room", "plane_room", "source_planes"]

_PANEL = STEPS * 2 * PLANES * REGISTER // 4  # numbers of four bytes


@njit(nogil=True, error_model="numpy")
def matrix_product(F, X, J, lanes, room):
    """``F[:lanes] = X[:lanes] J``; rows and columns of F up to the next multiple of 32 are written.

    F, X and the room are made by `matrix_field_room`, `plane_room` (filled by `source_planes`) and
    `panel_room`.
    """
    n, m = J.shape
    panel = (room.ctypes.data + LINE - 1) // LINE * LINE
    edge = room[_PANEL + LINE // 4 :].reshape((SOURCES, COLUMNS))
    dF, dJ = F.strides[0], J.strides[0]
    step_of_x, step_of_J = X.strides[2], 2 * PLANES * REGISTER
    share = (SOURCES * LANES + lanes - 1) // lanes  # rows of the next panel per block of lanes
    begin_blocks()
    for k in range(0, n, SOURCES):
        steps = min((n - k + STEP - 1) // STEP, STEPS)
        for j in range(0, m, COLUMNS):
            J_k = J.ctypes.data + dJ * k + 4 * j
            if k + STEP * steps > n or j + COLUMNS > m:
                _copy_edge(edge, J[k : k + SOURCES, j : j + COLUMNS])
                cut_panel(panel, edge.ctypes.data, edge.strides[0], steps)
            else:
                cut_panel(panel, J_k, dJ, steps)
            next_k, next_j = (k, j + COLUMNS) if j + COLUMNS < m else (k + SOURCES, 0)
            for block in range((lanes + LANES - 1) // LANES):
                first = next_k + block * share
                last = min(first + share, next_k + SOURCES)
                fetch_strip(J, first, last, next_j, min(m - next_j, COLUMNS))
                sums = F.ctypes.data + dF * LANES * block + 4 * j
                if k == 0:
                    clear_sums()
                else:
                    load_sums(sums, dF)
                x = X[k // SOURCES, block].ctypes.data
                for step in range(steps):
                    if X.shape[3] == 1:
                        add_states(x + step_of_x * step, panel + step_of_J * step)
                    else:
                        add_reals(x + step_of_x * step, panel + step_of_J * step)
                store_sums(sums, dF)
    end_blocks()


@njit
def _copy_edge(edge, J):
    """A block of J at its last rows or columns, filled up with 0."""
    edge[:] = 0
    for k in range(J.shape[0]):
        for j in range(J.shape[1]):
            edge[k, j] = J[k, j]


@njit
def panel_room():
    """A panel of couplings, and a block at the edge of J."""
    return np.empty(_PANEL + LINE // 4 + SOURCES * COLUMNS, np.float32)


@njit
def matrix_field_room(lanes, m):
    """Fields of m targets ``[lane, target]``, in whole blocks.

    Rows are an odd number of cache lines long: of a power of two of them, all rows would fall on the
    same few places of the cache.
    """
    lanes = (lanes + LANES - 1) // LANES * LANES
    row = (m + COLUMNS - 1) // COLUMNS * COLUMNS + LINE // 4
    room = np.empty(lanes * row + LINE // 4, np.float32)
    skip = (-room.ctypes.data % LINE) // 4
    return room[skip : skip + lanes * row].reshape((lanes, row))

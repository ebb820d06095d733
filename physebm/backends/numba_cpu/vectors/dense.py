"""Small products of a dense model's tile: rows of a matrix with numbers of lanes side by side.

A block of sums stays in registers while the sources go past, sources in increasing order, so that no
number of a lane depends on the other lanes of its tile.
"""

from __future__ import annotations

from numba import njit, types
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

__all__ = ["add_product"]


def _accumulated_product(rows: int, vectors: int):
    """An intrinsic for ``F[0:rows] += X[0:rows, 0:n] J[0:n]``, rows of F and J of some vectors.

    Addresses of X, J and F, each followed by the bytes between its rows; and n.
    """
    places = [(r, v) for r in range(rows) for v in range(vectors)]

    def code(context, builder, signature, arguments):
        X, dX, J, dJ, F, dF, n = arguments

        def at(r, v):
            return place(builder, F, builder.mul(dF, INDEX(r)), 4 * LANES * v)

        sums = {}
        for r, v in places:
            sums[r, v] = cgutils.alloca_once_value(builder, load(builder, at(r, v)))
        with cgutils.for_range(builder, n, intp=INDEX) as k:
            J_k = place(builder, J, builder.mul(k.index, dJ))
            J_row = [load(builder, place(builder, J_k, 4 * LANES * v)) for v in range(vectors)]
            for r in range(rows):
                offset = builder.add(builder.mul(dX, INDEX(r)), builder.mul(k.index, INDEX(4)))
                x = spread(builder, load(builder, place(builder, X, offset), SINGLE))
                for v in range(vectors):
                    sum_ = multiply_add(builder, x, J_row[v], builder.load(sums[r, v]))
                    builder.store(sum_, sums[r, v])
        for r, v in places:
            store(builder, builder.load(sums[r, v]), at(r, v))
        return context.get_dummy_value()

    @intrinsic
    def product(typing, X, dX, J, dJ, F, dF, n):
        return types.void(*[types.intp] * 7), code

    return product


ROWS = 8 if registers()[2] == 16 else 2
_one_vector = _accumulated_product(ROWS, 1)
_two_vectors = _accumulated_product(ROWS, 2)
_three_vectors = _accumulated_product(ROWS, 3)


@njit(nogil=True, error_model="numpy")
def add_product(F, X, J, count):
    """``F[a, lane] += sum_k X[a, k] J[k, lane]`` over k < count; F has a multiple of 8 rows."""
    x, dX, j, dJ, f, dF = (
        X.ctypes.data, X.strides[0], J.ctypes.data, J.strides[0], F.ctypes.data, F.strides[0]
    )  # fmt: skip
    for a in range(0, F.shape[0], ROWS):
        here, there = x + a * dX, f + a * dF
        if F.shape[1] == LANES:
            _one_vector(here, dX, j, dJ, there, dF, count)
        elif F.shape[1] == 2 * LANES:
            _two_vectors(here, dX, j, dJ, there, dF, count)
        else:
            _three_vectors(here, dX, j, dJ, there, dF, count)

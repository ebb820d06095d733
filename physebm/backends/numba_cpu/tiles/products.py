"""Fields of a tile of lanes, ``F = X J``, as a product of matrices; generated sweeps call these.

A tile is a set of at most 64 lanes of one instance. Rows of X are the configurations of a source group
in float32, ``[lane, source]``; J is ``[source, target]``. Every number of F is

    F[l, j] = fma(x[l, n-1], J[n-1, j], ... fma(x[l, 0], J[0, j], 0)),

sources in increasing order, so that its bits depend neither on the other lanes of the tile, nor on the
lane's place in it, nor on the number of threads. A BLAS promises none of this (the kernels at its edges
add in another order), and its own threads would have to be held back.

The loop is one block of fused multiply-adds in explicit vectors: the sums of a few lanes times a few
vectors stay in registers over some sources, which LLVM does not find from a plain loop. Those rows of J
are copied to one place first, a *panel* of 24 KiB, which stays in the first cache while all lanes go
past; between panels the sums wait in F. On one core with AVX-512 it makes 150 GFLOP/s where OpenBLAS
makes 125.
"""

from __future__ import annotations

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from physebm.backends.numba_cpu.library import axpy, product_field
from physebm.native.prefetch import fetch_strip

__all__ = ["source_rows", "tile_gather", "tile_product"]


SOURCES = 128  # of one panel
_LINE = 64  # bytes of a cache line: a vector that lies across two costs double


def registers() -> tuple[int, int, int]:
    """Lanes, vectors, and numbers in a vector, whose sums fill the registers of this machine."""
    features = llvm.get_host_cpu_features()
    if features.get("avx512f"):
        return 8, 3, 16  # 24 sums in 32 registers
    if features.get("avx"):
        return 4, 3, 8  # 12 in 16
    return (4, 3, 4) if features.get("sse2") else (8, 3, 4)


def block_product(rows: int, columns: int, vector: int):
    """An intrinsic for ``F[0:rows, 0:m] += X[0:rows, 0:n] J[0:n, 0:m]``, m = columns times vector.

    Arguments are addresses and distances between rows in bytes: x, dx, J, dJ, F, dF; n > 0; and whether
    to `start` from F = 0, whatever stands there.
    """
    several = ir.VectorType(ir.FloatType(), vector)
    index = ir.IntType(64)
    places = [(row, column) for row in range(rows) for column in range(columns)]

    def at(builder, address, offset, kind):
        return builder.inttoptr(builder.add(address, offset), kind.as_pointer())

    def spread(builder, number):
        """A vector of one number."""
        empty = ir.Constant(several, ir.Undefined)
        first = ir.Constant(ir.VectorType(ir.IntType(32), vector), [0] * vector)
        one = builder.insert_element(empty, number, ir.IntType(32)(0))
        return builder.shuffle_vector(one, empty, first)

    def code(context, builder, signature, arguments):
        x, dx, J, dJ, F, dF, n, start = arguments
        # fmuladd, not fma: without such an instruction it is a product and a sum, not a slow call
        kind = ir.FunctionType(several, [several] * 3)
        fma = cgutils.get_or_insert_function(builder.module, kind, f"llvm.fmuladd.v{vector}f32")
        zero = ir.Constant(several, [0.0] * vector)
        place_of, stood = {}, {}
        for row, column in places:
            offset = builder.add(builder.mul(dF, index(row)), index(4 * vector * column))
            place_of[row, column] = at(builder, F, offset, several)
            loaded = builder.load(place_of[row, column])
            loaded.align = 4
            stood[row, column] = builder.select(start, zero, loaded)
        before, loop = builder.block, builder.append_basic_block("sources")
        after = builder.append_basic_block("stored")
        builder.branch(loop)
        builder.position_at_end(loop)
        source, J_row = builder.phi(index), builder.phi(index)
        sums = {place: builder.phi(several) for place in places}
        J_k = []
        for column in range(columns):
            loaded = builder.load(at(builder, J_row, index(4 * vector * column), several))
            loaded.align = 4
            J_k.append(loaded)
        new = {}
        for row in range(rows):
            offset = builder.add(builder.mul(dx, index(row)), builder.mul(source, index(4)))
            x_k = spread(builder, builder.load(at(builder, x, offset, ir.FloatType())))
            for column in range(columns):
                place = row, column
                new[place] = builder.call(fma, [x_k, J_k[column], sums[place]])
        further = builder.add(source, index(1))
        source.add_incoming(index(0), before)
        source.add_incoming(further, loop)
        J_row.add_incoming(J, before)
        J_row.add_incoming(builder.add(J_row, dJ), loop)
        for place in places:
            sums[place].add_incoming(stood[place], before)
            sums[place].add_incoming(new[place], loop)
        builder.cbranch(builder.icmp_signed("<", further, n), loop, after)
        builder.position_at_end(after)
        for place in places:
            builder.store(new[place], place_of[place]).align = 4
        return context.get_dummy_value()

    @intrinsic
    def block(typing, x, dx, J, dJ, F, dF, n, start):
        return types.void(*[types.intp] * 7, types.boolean), code

    return block


def product_in_blocks(rows: int, columns: int, vector: int):
    """``tile_product(F, X, J, lanes)`` for a machine with registers of `vector` numbers."""
    wide, narrow = block_product(rows, columns, vector), block_product(rows, 1, vector)
    step = columns * vector

    @njit(nogil=True, error_model="numpy")
    def add_panels(F, X, J, lanes, room):
        n, m = J.shape
        panel = (room.ctypes.data + _LINE - 1) // _LINE * _LINE
        room = room[(panel - room.ctypes.data) // 4 :]
        share = (SOURCES * rows + lanes - 1) // lanes  # rows of the next panel per block of lanes
        for j in range(0, m - step + 1, step):
            for k in range(0, n, SOURCES):
                sources = min(n - k, SOURCES)
                copy_panel(room, J, k, sources, j)
                x, dx = X.ctypes.data + 4 * k, 4 * n
                f, dF = F.ctypes.data + 4 * j, 4 * m
                next_k, next_j = (k + SOURCES, j) if k + SOURCES < n else (0, j + step)
                for lane in range(0, lanes, rows):
                    if next_j + step <= m:
                        first = next_k + lane // rows * share
                        fetch_strip(J, first, min(first + share, next_k + SOURCES), next_j, step)
                    wide(x + dx * lane, dx, panel, 4 * step, f + dF * lane, dF, sources, k == 0)
        for start in range(m // step * step, m, vector):
            # the last vector ends with the row; what it shares with the one before comes out the same
            j = min(start, m - vector)
            x, J_j, f = X.ctypes.data, J.ctypes.data + 4 * j, F.ctypes.data + 4 * j
            for lane in range(0, lanes, rows):
                narrow(x + 4 * n * lane, 4 * n, J_j, 4 * m, f + 4 * m * lane, 4 * m, n, True)

    @njit(nogil=True, error_model="numpy")
    def copy_panel(panel, J, k, sources, j):
        for row in range(sources):
            for column in range(step):
                panel[row * step + column] = J[k + row, j + column]

    @njit(nogil=True, error_model="numpy")
    def product(F, X, J, lanes):
        if J.shape[1] < vector:
            for lane in range(lanes):
                F[lane] = 0
                for k in range(J.shape[0]):
                    axpy(F[lane], X[lane, k], J[k])
            return
        add_panels(F, X, J, lanes, np.empty(SOURCES * step + _LINE // 4, np.float32))

    return product


# F[:lanes] = X[:lanes] J; rows of X and F up to the next multiple of 8 lanes are read and written too
tile_product = product_in_blocks(*registers())


@njit(nogil=True, error_model="numpy")
def tile_gather(F, x, lanes, size, J, q):
    """``F[l] = sum_j J[q j + x_j]`` of Potts sources: one row of J per unit is picked and added.

    A product with one-hot rows, which reads all q of them, is faster only for q < 5.
    """
    for place in range(size):
        product_field(F[place], J, x[lanes[place]], q)


@njit(nogil=True, error_model="numpy")
def source_rows(X, x, lanes, size):
    """``X[l] = x[lanes[l]]`` in float32, for the first `size` lanes of a tile."""
    for place in range(size):
        _copy(X[place], x[lanes[place]])


@njit
def _copy(row, x):
    for i in range(row.shape[0]):
        row[i] = np.float32(x[i])

"""Products ``F = X J`` for rows X of two-state units, from tables of subset sums.

Rows of X (*lanes*: chains, samples) hold n *sources*; J is ``[source, target]``.

Four sources have 16 joint states: a table of the 16 sums ``x_0 J_0 + x_1 J_1 + x_2 J_2 + x_3 J_3`` of
rows of J turns four multiply-adds per number into one addition of the row that the four bits of a lane
(a *nibble*) pick. Tables are made where they are used: those of 8 nibbles and 32 columns take 16 KiB,
so they stay in the first cache while all lanes go past, and they cost 16 sums of rows, which some 16
lanes repay. Nothing outlives a call: couplings may change between calls at no cost.

The order of a sum is fixed: with ``s_g = (x_{4g} J_{4g} + x_{4g+1} J_{4g+1}) + (x_{4g+2} J_{4g+2} +
x_{4g+3} J_{4g+3})``, absent sources counted as 0, and eight of these added in pairs of pairs,

    F = (((s_0+s_1) + (s_2+s_3)) + ((s_4+s_5) + (s_6+s_7))) + (((s_8+s_9) + ...)) + ...,

blocks from left to right. So no bit depends on the other lanes, on the lane's place, on the number of
threads or on the width of the processor's vectors. On one core with AVX-512 and 256 lanes a product
takes 0.4 of the time of multiply-adds.
"""

from __future__ import annotations

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from physebm.native.kept import kept_njit
from physebm.native.prefetch import fetch_strip

__all__ = ["field_room", "nibble_room", "source_nibbles", "subset_product", "table_room"]


def vector_width() -> int:
    """Numbers of single precision in a vector of this machine."""
    features = llvm.get_host_cpu_features()
    if features.get("avx512f"):
        return 16
    return 8 if features.get("avx") else 4


NIBBLES = 8  # of one table
COLUMNS = 32  # of one table
SOURCES = 4 * NIBBLES
_ROW = 4 * COLUMNS  # bytes of one sum
_LINE = 64  # bytes of a cache line: a vector that lies across two costs double


def _vectors(vector: int):
    """The pieces that both intrinsics use: types, a load and a store of one vector."""
    several, index = ir.VectorType(ir.FloatType(), vector), ir.IntType(64)

    def place(builder, address, number, kind=several):
        """A pointer to a vector, `number` vectors after an address."""
        offset = index(4 * vector * number)
        return builder.inttoptr(builder.add(address, offset), kind.as_pointer())

    def load(builder, address, number):
        loaded = builder.load(place(builder, address, number))
        loaded.align = 4
        return loaded

    def store(builder, value, address, number):
        stored = builder.store(value, place(builder, address, number))
        stored.align = 4

    return several, index, load, store


def sums_of_four(vector: int):
    """An intrinsic that fills the table of one nibble: ``T[s] = sum_i (s_i ? high : low) J_i``.

    Arguments: the address of T ``[16, COLUMNS]``, of the first of four rows of J, the distance of those
    rows in bytes, and `signed`: the low state is -1, not 0.
    """
    several, index, load, store = _vectors(vector)
    each = COLUMNS // vector

    def code(context, builder, signature, arguments):
        T, J, dJ, signed = arguments
        zero = ir.Constant(several, [0.0] * vector)
        for column in range(each):
            high = [
                load(builder, builder.add(J, builder.mul(dJ, index(source))), column)
                for source in range(4)
            ]
            low = [builder.select(signed, builder.fsub(zero, row), zero) for row in high]
            term = list(zip(low, high))
            first, last = (
                [builder.fadd(term[a][s & 1], term[a + 1][s >> 1]) for s in range(4)] for a in (0, 2)
            )
            for s in range(16):
                sum_of_four = builder.fadd(first[s & 3], last[s >> 2])
                store(builder, sum_of_four, builder.add(T, index(_ROW * s)), column)
        return context.get_dummy_value()

    @intrinsic
    def fill(typing, T, J, dJ, signed):
        return types.void(types.intp, types.intp, types.intp, types.boolean), code

    return fill


def sum_of_rows(vector: int):
    """An intrinsic for one lane: ``F[0:COLUMNS] += sum_g T[g, nibble_g]`` over `NIBBLES`, in pairs.

    Arguments: addresses of F, of the tables T ``[NIBBLES, 16, COLUMNS]`` and of the first nibble (a
    byte), and the distance of the nibbles in bytes.
    """
    _, index, load, store = _vectors(vector)

    def code(context, builder, signature, arguments):
        F, T, nibbles, step = arguments
        picked = []
        for g in range(NIBBLES):
            place = builder.add(nibbles, builder.mul(step, index(g)))
            byte = builder.inttoptr(place, ir.IntType(8).as_pointer())
            row = builder.add(builder.zext(builder.load(byte), index), index(16 * g))
            picked.append(builder.add(T, builder.mul(row, index(_ROW))))
        for column in range(COLUMNS // vector):
            rows = [load(builder, address, column) for address in picked]
            while len(rows) > 1:
                rows = [builder.fadd(a, b) for a, b in zip(rows[::2], rows[1::2])]
            store(builder, builder.fadd(load(builder, F, column), rows[0]), F, column)
        return context.get_dummy_value()

    @intrinsic
    def add(typing, F, T, nibbles, step):
        return types.void(*[types.intp] * 4), code

    return add


def product_by_subsets(vector: int):
    """``subset_product(F, N, J, lanes, low, room)`` for a machine with vectors of `vector` numbers."""
    fill, add = sums_of_four(vector), sum_of_rows(vector)

    @njit(nogil=True, error_model="numpy")
    def product(F, N, J, lanes, low, room):
        n, m = J.shape
        T = (room.ctypes.data + _LINE - 1) // _LINE * _LINE
        edge = room[16 * NIBBLES + 1 :]
        for j in range(0, m, COLUMNS):
            for lane in range(lanes):
                F[lane, j : j + COLUMNS] = 0
            F_0 = F.ctypes.data + 4 * j
            for k in range(0, n, SOURCES):
                J_k, dJ = J.ctypes.data + J.strides[0] * k + 4 * j, J.strides[0]
                if k + SOURCES > n or j + COLUMNS > m:
                    _copy_edge(edge, J[k : k + SOURCES, j : j + COLUMNS])
                    J_k, dJ = edge.ctypes.data, _ROW
                for g in range(NIBBLES):
                    fill(T + 16 * _ROW * g, J_k + 4 * dJ * g, dJ, low < 0)
                below = k + SOURCES < n
                next_k, next_j = (k + SOURCES, j) if below else (0, j + COLUMNS)
                fetch_strip(J, next_k, next_k + SOURCES, next_j, min(m - next_j, COLUMNS))
                N_k = N.ctypes.data + N.strides[1] * (k // 4)
                for lane in range(lanes):
                    add(F_0 + 4 * F.shape[1] * lane, T, N_k + N.strides[0] * lane, N.strides[1])

    return product


@njit
def _copy_edge(edge, J):
    """A block of J at its last rows or columns, filled up with 0."""
    edge[:] = 0
    for k in range(J.shape[0]):
        for j in range(J.shape[1]):
            edge[k, j] = J[k, j]


# F[:lanes] = X[:lanes] J for X in {low, 1}, low 0 or -1, given as nibbles by `source_nibbles`; columns
# of F up to the next multiple of `COLUMNS` are written too
subset_product = product_by_subsets(vector_width())


@njit
def nibble_room(lanes, n):
    """Nibbles of n sources, ``[lane, nibble]``: in whole tables, those of no source stay 0."""
    return np.zeros((lanes, (n + SOURCES - 1) // SOURCES * NIBBLES), np.uint8)


@njit
def table_room():
    """Tables, and a block at the edge of J: rows of `COLUMNS` numbers."""
    return np.zeros((16 * NIBBLES + 1 + SOURCES, COLUMNS), np.float32)


@njit
def field_room(lanes, m):
    """Fields of m targets ``[lane, target]`` in whole tables.

    Rows are an odd number of cache lines long: of a power of two of them, all rows would fall on the
    same few places of the cache.
    """
    numbers = _LINE // 4
    row = (m + COLUMNS - 1) // COLUMNS * COLUMNS + numbers
    room = np.zeros(lanes * row + numbers, np.float32)
    skip = (-room.ctypes.data // 4) % numbers
    return room[skip : skip + lanes * row].reshape(lanes, row)


@njit(nogil=True, error_model="numpy")
def source_nibbles(N, x, lanes, size):
    """``N[l, g] = sum_i 2^i [x_{4g+i} > 0]`` of the lanes ``lanes[:size]``; zeros follow."""
    for place in range(size):
        row, states = N[place], x[lanes[place]]
        n = states.shape[0]
        for g in range(n // 4):
            i = 4 * g
            row[g] = (
                (states[i] > 0)
                | (states[i + 1] > 0) << 1
                | (states[i + 2] > 0) << 2
                | (states[i + 3] > 0) << 3
            )
        for i in range(n // 4 * 4, n):
            bit = np.uint8(states[i] > 0) << (i % 4)
            row[i // 4] = bit if i % 4 == 0 else row[i // 4] | bit


@njit
def _column_nibbles(N, x, first, last):
    """``N[g, l] = sum_i 2^i [x[4g+i, first + l] > 0]``: columns of x as lanes, its rows as sources."""
    N[:] = 0
    for row in range(x.shape[0]):
        _add_bits(N[row // 4], x[row, first:last], np.uint8(row % 4))


@njit
def _add_bits(nibbles, states, shift):
    for l in range(states.shape[0]):
        nibbles[l] |= np.uint8(states[l] > 0) << shift


@kept_njit(nogil=True, error_model="numpy")
def multiply_rows(out, x, low, J, first, last):
    """Rows first to last-1 of ``out = x J``; x ``[row, source]`` in {low, 1}, low 0 or -1."""
    lanes, (n, m) = last - first, J.shape
    N, F, room = nibble_room(lanes, n), field_room(lanes, COLUMNS), table_room()
    source_nibbles(N, x[first:last], np.arange(lanes), lanes)
    # table by table, so that fields stay in the cache until they are written
    for j in range(0, m, COLUMNS):
        width = min(m - j, COLUMNS)
        subset_product(F, N, J[:, j : j + width], lanes, low, room)
        for l in range(lanes):
            _write_scaled(out[first + l, j : j + width], F[l], np.float32(1))


@kept_njit(nogil=True, error_model="numpy")
def multiply_columns(out, x, low, B, weights, rows, scale, take, off, first, last):
    """``out[i, j] = scale sum_r x[r, i] w_r B[r, j] - sum_k take[k, i] off[k, j]``, first <= i < last.

    Sums over groups of `rows` rows of x and B are taken in single precision, the rest in double.
    """
    lanes, m = last - first, B.shape[1]
    sources = (min(rows, len(x)) + SOURCES - 1) // SOURCES * SOURCES
    N = np.empty((sources // 4, lanes), np.uint8)
    F, room = field_room(lanes, COLUMNS), table_room()
    part = np.zeros((sources, COLUMNS), np.float32)
    for row in range(0, len(x), rows):
        size = min(len(x) - row, rows)
        _column_nibbles(N, x[row : row + rows], first, last)
        for j in range(0, m, COLUMNS):
            width = min(m - j, COLUMNS)
            for r in range(size):
                _write_scaled(part[r, :width], B[row + r, j : j + width], weights[row + r])
            subset_product(F, N.T, part[:size], lanes, low, room)
            for l in range(lanes):
                if row > 0:
                    _add_scaled(out[first + l, j : j + width], F[l], scale)
                    continue
                _write_scaled(out[first + l, j : j + width], F[l], scale)
                for k in range(len(take)):
                    _add_scaled(out[first + l, j : j + width], off[k, j:], -take[k, first + l])


@njit
def _write_scaled(place, numbers, factor):
    for i in range(place.shape[0]):
        place[i] = factor * numbers[i]


@njit
def _add_scaled(place, numbers, factor):
    for i in range(place.shape[0]):
        place[i] += factor * numbers[i]


@kept_njit(nogil=True)
def weighted_mean(out, x, weights):
    """``out[i] = sum_row w_row x[row, i]`` in double."""
    out[:] = 0
    for row in range(x.shape[0]):
        for i in range(x.shape[1]):
            out[i] += weights[row] * x[row, i]

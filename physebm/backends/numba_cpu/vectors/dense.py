"""Dense models with sixteen lanes side by side: blocks of 32 units with *delayed updates*.

The local fields of a block are taken once, the units are drawn one after the other, a flip is added at
once to the fields of the units of the block that come later, and the flips of the whole block are added
to the fields of everything else in one pass. It is the sequential sweep, draw for draw; only the order
in which memory is visited differs. No number of a lane depends on the other lanes of its tile.
"""

from __future__ import annotations

from numba import float32, njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from physebm.backends.numba_cpu.tiles.products import registers
from physebm.backends.numba_cpu.vector_code import (
    INDEX,
    LANES,
    SINGLE,
    VECTOR,
    WORD,
    any_of,
    constant,
    load,
    multiply_add,
    place,
    spread,
    store,
)

__all__ = [
    "add_flips",
    "add_product",
    "any_step",
    "decide_block",
    "negative",
    "own_part",
    "take_fields",
]


@njit(nogil=True, error_model="numpy")
def negative(y, x):
    """``y = - x``."""
    for k in range(y.shape[0]):
        y[k] = -x[k]


@njit(nogil=True, error_model="numpy")
def take_fields(H, work, lanes, size, first, count):
    """``H[b, lane] = work[lane, first + b]``; zero for lanes beyond `size`."""
    for place_ in range(H.shape[1]):
        if place_ < size:
            row = work[lanes[place_]]
            for b in range(count):
                H[b, place_] = row[first + b]
        else:
            H[:, place_] = float32(0.0)


@intrinsic
def _decide_vector(typing, S, H, D, base, c, A, dA, row, count, low, high):
    """Draw the units of a block one after the other, sixteen lanes at once.

    Unit b of the block: up where ``c H[b] + base[b] > 0``; its step ``D[b] = new - old``; and where a
    lane of the vector moved, ``H[b'] += A[b, b'] D[b]`` for the later units b' of the block.

    Addresses of the block's rows of S, H, D and base, of c and of A; bytes between rows of A and
    between rows of the others; number of units; the two states.
    """

    def code(context, builder, signature, arguments):
        S, H, D, base, c, A, dA, row, count, low, high = arguments
        c, low, high = load(builder, c), spread(builder, low), spread(builder, high)
        with cgutils.for_range(builder, count, intp=INDEX) as unit:
            here = builder.mul(unit.index, row)
            field = load(builder, place(builder, H, here))
            gap = multiply_add(builder, c, field, load(builder, place(builder, base, here)))
            up = builder.fcmp_ordered(">", gap, constant(0.0))
            at = place(builder, S, here)
            new, old = builder.select(up, high, low), load(builder, at)
            store(builder, new, at)
            step = builder.fsub(new, old)
            store(builder, step, place(builder, D, here))
            moved = builder.fcmp_unordered("!=", step, constant(0.0))
            with builder.if_then(any_of(builder, moved)):
                A_row = place(builder, A, builder.mul(unit.index, dA))
                later = builder.add(unit.index, INDEX(1))
                with cgutils.for_range_slice(builder, later, count, INDEX(1), intp=INDEX) as (k, _):
                    coupling = load(builder, place(builder, A_row, builder.mul(k, INDEX(4))), SINGLE)
                    there = place(builder, H, builder.mul(k, row))
                    changed = multiply_add(
                        builder, spread(builder, coupling), step, load(builder, there)
                    )
                    store(builder, changed, there)
        return context.get_dummy_value()

    return types.void(*[types.intp] * 9, types.float32, types.float32), code


@njit(nogil=True, error_model="numpy")
def decide_block(S, H, D, base, c, A, first, count, low, high):
    """Draw units ``first .. first + count - 1`` in this order, in all lanes of a tile.

    Parameters
    ----------
    S
        States ``[unit, lane]``, changed.
    H
        Local fields of the block ``[b, lane]``, changed by the flips within the block.
    D
        Filled with the steps ``new - old`` ``[b, lane]``.
    base
        What the gap has besides ``c H``, minus the logistic noise ``[b, lane]``.
    A
        Couplings within the block ``[b, b']``; a view with rows of any distance.
    """
    row = 4 * S.shape[1]
    for start in range(0, row, 4 * LANES):
        _decide_vector(
            S.ctypes.data + row * first + start, H.ctypes.data + start, D.ctypes.data + start,
            base.ctypes.data + start, c.ctypes.data + start, A.ctypes.data, A.strides[0], row, count,
            low, high,
        )  # fmt: skip


@intrinsic
def _add_rows(typing, f, J, dJ, rows, steps, moves, vectors):
    """``f += sum_k steps[k] J[rows[k]]`` over some vectors, four at a time in registers.

    Addresses of f and J; bytes between rows of J; addresses of row numbers (int32) and steps (float32);
    how many of them; and the number of vectors, a multiple of four.
    """

    def code(context, builder, signature, arguments):
        f, J, dJ, rows, steps, moves, vectors = arguments
        end = builder.mul(vectors, INDEX(4 * LANES))
        sums = [cgutils.alloca_once(builder, VECTOR) for _ in range(4)]
        with cgutils.for_range_slice(builder, INDEX(0), end, INDEX(16 * LANES), intp=INDEX) as (k, _):
            at = [place(builder, f, k, 4 * LANES * part) for part in range(4)]
            for address, sum_ in zip(at, sums):
                builder.store(load(builder, address), sum_)
            with cgutils.for_range(builder, moves, intp=INDEX) as move:
                offset = builder.mul(move.index, INDEX(4))
                row = builder.zext(load(builder, place(builder, rows, offset), WORD), INDEX)
                step = spread(builder, load(builder, place(builder, steps, offset), SINGLE))
                start = place(builder, J, builder.mul(row, dJ), k)
                for part, sum_ in enumerate(sums):
                    J_part = load(builder, place(builder, start, 4 * LANES * part))
                    builder.store(multiply_add(builder, J_part, step, builder.load(sum_)), sum_)
            for address, sum_ in zip(at, sums):
                store(builder, builder.load(sum_), address)
        return context.get_dummy_value()

    return types.void(*[types.intp] * 7), code


@njit(nogil=True, error_model="numpy")
def add_flips(work, J, D, lanes, size, first, count, rows, steps):
    """``work[lane] += sum_b D[b, lane] J[first + b]``: all flips of a block, lane by lane.

    `rows` (int32) and `steps` (float32) are scratch for `count` numbers.
    """
    n = J.shape[0]
    whole = n // (4 * LANES) * (4 * LANES)
    for place_ in range(size):
        moves = 0
        for b in range(count):
            rows[moves], steps[moves] = first + b, D[b, place_]
            moves += steps[moves] != 0
        if moves == 0:
            continue
        f = work[lanes[place_]]
        _add_rows(
            f.ctypes.data, J.ctypes.data, J.strides[0], rows.ctypes.data, steps.ctypes.data, moves,
            whole // LANES,
        )  # fmt: skip
        for k in range(moves):
            row, step = J[rows[k]], steps[k]
            for i in range(whole, n):
                f[i] += step * row[i]


@njit(nogil=True, error_model="numpy")
def any_step(D, units):
    """Whether a unit of a block moved in some lane."""
    for b in range(units):
        for lane in range(D.shape[1]):
            if D[b, lane] != 0:
                return True
    return False


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


@njit(nogil=True, error_model="numpy")
def own_part(H, S, d, first):
    """``H[b, lane] = - d[first + b] S[first + b, lane]``: what an overlap must not count; 0 beyond."""
    for b in range(H.shape[0]):
        i = first + b
        if i < S.shape[0]:
            for lane in range(H.shape[1]):
                H[b, lane] = -float32(d[i]) * S[i, lane]
        else:
            H[b] = float32(0.0)

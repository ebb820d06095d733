"""The draws of a block of 32 units that read overlaps, sixteen lanes in a vector.

Units are drawn eight at a time with their fields in registers; a flip is added at once to the fields of
the later ones of the eight, and the flips of the eight in one pass to those of the rest of the block.
There is no branch: with sixteen lanes or more some lane moves nearly always.
"""

from __future__ import annotations

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from physebm.backends.numba_cpu.vector_code import (
    INDEX,
    LANES,
    SINGLE,
    WORD,
    load,
    multiply_add,
    place,
    spread,
    store,
)

__all__ = ["draw_block"]

_TOGETHER = 8
_BITS = ir.VectorType(WORD, LANES)


@intrinsic
def _draw(typing, S, H, D, noise, c, d, A, dA, row, count, low, high):
    """See `draw_block`; addresses of arrays, bytes between rows of A and of the others."""

    def code(context, builder, signature, arguments):
        S, H, D, noise, c, d, A, dA, row, count, low, high = arguments
        low, high = spread(builder, low), spread(builder, high)
        moved = cgutils.alloca_once_value(builder, ir.Constant(_BITS, [0] * LANES))

        def coupling(i, j):
            """``A[i, j]`` in all lanes."""
            A_i = place(builder, A, builder.mul(i, dA))
            return spread(builder, load(builder, place(builder, A_i, builder.shl(j, INDEX(2))), SINGLE))

        def draw(first, units):
            """Units `first` to `first + units - 1` in one vector of lanes, and what they change."""
            numbers = [builder.add(first, INDEX(k)) for k in range(units)]
            here = [builder.mul(b, row) for b in numbers]
            with cgutils.for_range_slice(builder, INDEX(0), row, INDEX(4 * LANES), intp=INDEX) as (
                lanes,
                _,
            ):
                scale = load(builder, place(builder, c, lanes))
                old = [load(builder, place(builder, S, at, lanes)) for at in here]
                field = []
                for b, at, state in zip(numbers, here, old):
                    own = load(builder, place(builder, d, builder.shl(b, INDEX(2))), SINGLE)
                    own = builder.fmul(spread(builder, own), state)
                    field.append(builder.fsub(load(builder, place(builder, H, at, lanes)), own))
                steps = []
                for k in range(units):
                    gap = builder.fmul(scale, field[k])
                    up = builder.fcmp_ordered(
                        ">", gap, load(builder, place(builder, noise, here[k], lanes))
                    )
                    rise, fall = builder.fsub(high, old[k]), builder.fsub(low, old[k])
                    step = builder.select(up, rise, fall)
                    store(builder, builder.select(up, high, low), place(builder, S, here[k], lanes))
                    store(builder, step, place(builder, D, here[k], lanes))
                    for l in range(k + 1, units):
                        field[l] = multiply_add(
                            builder, coupling(numbers[k], numbers[l]), step, field[l]
                        )
                    steps.append(step)
                bits = builder.load(moved)
                for step in steps:
                    bits = builder.or_(bits, builder.bitcast(step, _BITS))
                builder.store(bits, moved)
                rest = builder.add(first, INDEX(units))
                with cgutils.for_range_slice(builder, rest, count, INDEX(1), intp=INDEX) as (later, _):
                    there = place(builder, H, builder.mul(later, row), lanes)
                    sum_ = load(builder, there)
                    for b, step in zip(numbers, steps):
                        sum_ = multiply_add(builder, coupling(later, b), step, sum_)
                    store(builder, sum_, there)

        whole = builder.and_(count, INDEX(-_TOGETHER))
        with cgutils.for_range_slice(builder, INDEX(0), whole, INDEX(_TOGETHER), intp=INDEX) as (b, _):
            draw(b, _TOGETHER)
        with cgutils.for_range_slice(builder, whole, count, INDEX(1), intp=INDEX) as (b, _):
            draw(b, 1)
        some = builder.icmp_unsigned("!=", builder.load(moved), ir.Constant(_BITS, [0] * LANES))
        some = builder.bitcast(some, ir.IntType(LANES))
        return builder.icmp_unsigned("!=", some, ir.IntType(LANES)(0))

    return types.boolean(*[types.intp] * 10, types.float32, types.float32), code


@njit(nogil=True, error_model="numpy")
def draw_block(S, H, D, noise, c, d, A, first, count, low, high):
    """Draw units ``first .. first + count - 1`` in this order; whether one moved in some lane.

    Unit b of the block is up where ``c (H[b] - d_b S[b]) > noise[b]``.

    Parameters
    ----------
    S
        States ``[unit, lane]``, changed.
    H
        What overlaps give the units of the block ``[b, lane]``, changed by the flips within it.
    D
        Filled with the steps ``new - old`` ``[b, lane]``.
    noise
        Logistic noise minus what the gap has besides ``c H`` ``[b, lane]``.
    d
        What a unit adds to its own H, per unit of the block, float32.
    A
        Couplings within the block ``[b, b']``, symmetric.
    """
    row = 4 * S.shape[1]
    return _draw(
        S.ctypes.data + row * first, H.ctypes.data, D.ctypes.data, noise.ctypes.data, c.ctypes.data,
        d.ctypes.data, A.ctypes.data, A.strides[0], row, count, low, high,
    )  # fmt: skip

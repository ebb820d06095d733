"""The heat bath of a Potts unit in sixteen lanes at once, from fields ``F[lane, padded q]``.

``theta[a, lane] = base[a, lane] + c[lane] F[lane, a]``, then the state a with probability
``exp(theta_a) / sum_b exp(theta_b)``: the number of partial sums of the exponentials, but the last,
that are at most u times the whole. Fields, theta and exponentials are float32: a probability is off by
``2^-23 (2 + top - theta_a)`` of itself and what the rounding of theta makes of it. Partial sums are
float64, so that a rare state keeps its probability wherever it stands.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from llvmlite import ir
from numba import float32, njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from physebm.backends.numba_cpu.vector_code import (
    INDEX,
    LANES,
    SINGLE,
    VECTOR,
    WORD,
    constant,
    load,
    multiply_add,
    place,
    store,
)
from physebm.lowering.gathered import padded_states
from physebm.native.factories import made_for

__all__ = [
    "add_constant",
    "add_pairs",
    "drawer",
    "put_states",
    "states_in",
    "states_out",
]

DOUBLES, BYTES = ir.VectorType(ir.DoubleType(), LANES), ir.VectorType(ir.IntType(8), LANES)
WORDS = ir.VectorType(WORD, LANES)
_TAYLOR = [0.6931471805599453**k / np.prod(range(1, k + 1), dtype=float) for k in range(1, 7)]


def call(builder, name: str, *arguments):
    """An operation of LLVM on vectors, number by number."""
    kind = arguments[0].type
    function = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(kind, [kind] * len(arguments)), f"llvm.{name}.v{LANES}f32"
    )
    return builder.call(function, arguments)


def exp_minus(builder, a):
    """``exp(-a)`` of a vector, a >= 0, as `physebm.backends.numba_cpu.exponential`."""
    a = builder.select(builder.fcmp_ordered("<", a, constant(87.0)), a, constant(87.0))
    y = builder.fmul(a, constant(-1.4426950408889634))
    whole = call(builder, "floor", builder.fadd(y, constant(0.5)))
    f = builder.fsub(y, whole)
    power = constant(_TAYLOR[-1])
    for c in [*_TAYLOR[-2::-1], 1.0]:
        power = multiply_add(builder, power, f, constant(c))
    bits = builder.add(builder.fptosi(whole, WORDS), ir.Constant(WORDS, [127] * LANES))
    scale = builder.shl(bits, ir.Constant(WORDS, [23] * LANES))
    return builder.fmul(power, builder.bitcast(scale, VECTOR))


def interleave(builder, vectors):
    """The numbers of a table as they stand by columns, of one whose rows are given in vectors.

    Sixteen rows of w numbers fill w vectors. A riffle shuffle of their two halves moves the first
    binary digit of every number's place to the end; after four the digits of the row stand last.
    """

    def riffle(one, two, first):
        pattern = [k for pair in range(first, first + 8) for k in (pair, LANES + pair)]
        return builder.shuffle_vector(one, two, ir.Constant(WORDS, pattern))

    for _ in range(4):
        half = len(vectors) // 2
        pairs = zip(vectors[:half], vectors[half:])
        vectors = [riffle(one, two, first) for one, two in pairs for first in (0, 8)]
    return vectors


def _rows_as_vectors(builder, F, row: int, width: int):
    """Sixteen rows of `width` numbers, `row` bytes apart, joined to vectors of sixteen."""
    parts = [
        load(builder, place(builder, F, row * lane), ir.VectorType(SINGLE, width))
        for lane in range(LANES)
    ]
    while parts[0].type.count < LANES:
        both = ir.Constant(
            ir.VectorType(WORD, 2 * parts[0].type.count), list(range(2 * parts[0].type.count))
        )
        parts = [builder.shuffle_vector(a, b, both) for a, b in zip(parts[::2], parts[1::2])]
    return parts


def _draw(q: int):
    """An intrinsic that draws one unit in sixteen lanes.

    Addresses of sixteen bytes for the new states; of F; of theta, whose rows hold the base, and the
    bytes between two; of sixteen coefficients and words; of room for q times sixteen float64 numbers.
    """
    padded = padded_states(q)
    width = next(w for w in (16, 8, 4) if padded % w == 0)

    def code(context, builder, signature, arguments):
        new, F, theta, row, c, words, sums = arguments
        strength, top = load(builder, c), cgutils.alloca_once_value(builder, constant(-np.inf))
        for first in range(0, padded, width):
            at = place(builder, F, 4 * first)
            columns = interleave(builder, _rows_as_vectors(builder, at, 4 * padded, width))
            for a, column in zip(range(first, q), columns):
                there = place(builder, theta, builder.mul(row, INDEX(a)))
                theta_a = multiply_add(builder, strength, column, load(builder, there))
                store(builder, theta_a, there)
                builder.store(call(builder, "maxnum", builder.load(top), theta_a), top)
        highest = builder.load(top)
        total = cgutils.alloca_once_value(builder, ir.Constant(DOUBLES, [0.0] * LANES))
        with cgutils.for_range(builder, INDEX(q), intp=INDEX) as a:
            theta_a = load(builder, place(builder, theta, builder.mul(row, a.index)))
            weight = exp_minus(builder, builder.fsub(highest, theta_a))
            sum_ = builder.fadd(builder.load(total), builder.fpext(weight, DOUBLES))
            builder.store(sum_, total)
            store(builder, sum_, place(builder, sums, builder.mul(a.index, INDEX(8 * LANES))))
        u = builder.uitofp(load(builder, words, WORDS), DOUBLES)
        u = builder.fadd(u, ir.Constant(DOUBLES, [0.5] * LANES))
        u = builder.fmul(u, ir.Constant(DOUBLES, [2.0**-32] * LANES))
        target = builder.fmul(u, builder.load(total))
        count = cgutils.alloca_once_value(builder, ir.Constant(WORDS, [0] * LANES))
        with cgutils.for_range(builder, INDEX(q - 1), intp=INDEX) as a:
            sum_ = load(builder, place(builder, sums, builder.mul(a.index, INDEX(8 * LANES))), DOUBLES)
            below = builder.fcmp_ordered("<=", sum_, target)
            builder.store(builder.add(builder.load(count), builder.zext(below, WORDS)), count)
        states = builder.trunc(builder.load(count), BYTES)
        builder.store(states, builder.inttoptr(new, BYTES.as_pointer())).align = 1
        return context.get_dummy_value()

    @intrinsic
    def draw(typing, new, F, theta, row, c, words, sums):
        return types.void(*[types.intp] * 7), code

    return draw


@cache
def drawer(q: int):
    """A function ``draw(new, F, theta, c, words, sums)`` that draws one unit in all lanes of a tile.

    ``new [lane]`` bytes; ``F [lane, padded q]``; ``theta [a, lane]`` with the base of the fields, which
    is overwritten; ``c``, ``words [lane]``; ``sums [q, 16]`` float64, scratch.
    """
    sixteen = _draw(q)

    @njit(nogil=True, error_model="numpy")
    @made_for(q)
    def draw(new, F, theta, c, words, sums):
        for lane in range(0, new.shape[0], LANES):
            sixteen(
                new.ctypes.data + lane, F.ctypes.data + lane * F.strides[0],
                theta.ctypes.data + 4 * lane, theta.strides[0], c.ctypes.data + 4 * lane,
                words.ctypes.data + 4 * lane, sums.ctypes.data,
            )  # fmt: skip

    return draw


@njit(nogil=True, error_model="numpy")
def add_constant(theta, h, c):
    """``theta[a, lane] += h_a c[lane]``."""
    for a in range(theta.shape[0]):
        strength = float32(h[a])
        for lane in range(theta.shape[1]):
            theta[a, lane] += strength * c[lane]


@njit(nogil=True, error_model="numpy")
def states_in(x, lanes, size, width):
    """``S[lane, unit]`` as bytes; lanes beyond `size` are copies of the first."""
    S = np.empty((width, x.shape[1]), np.uint8)
    for place_ in range(width):
        S[place_] = x[lanes[place_ if place_ < size else 0]]
    return S


@njit(nogil=True, error_model="numpy")
def states_out(x, S, lanes, size):
    """The configurations of the first `size` lanes."""
    for place_ in range(size):
        x[lanes[place_]] = S[place_]


@njit(nogil=True, error_model="numpy")
def put_states(S, i, new, held, lanes, size):
    """``S[lane, i] = new[lane]`` where the unit is not held; ``held [lane or 1, unit or none]``."""
    for place_ in range(S.shape[0]):
        if held.shape[1] > 0 and place_ < size and held[min(lanes[place_], held.shape[0] - 1), i]:
            continue
        S[place_, i] = new[place_]


@njit(nogil=True, error_model="numpy")
def add_pairs(total, F, S, i):
    """``total[lane] += F[lane, s_i]``, in float64."""
    for place_ in range(S.shape[0]):
        total[place_] += F[place_, S[place_, i]]

"""Sixteen two-state units decided at once, in explicit vectors: `decide_sixteen`.

The same steps in the same order as `_is_high` in ``tiles/rows.py``, one instruction of a vector for
each operation of a number and no product fused with a sum, so that the bits are the same. LLVM finds
vectors in the plain loop, too, but not for rows as short as these: what its vectors leave over at the
end of a row costs more than the row.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from physebm.backends.numba_cpu.exponential import LARGEST, LOG2_E, TAYLOR
from physebm.backends.numba_cpu.vector_code import LANES, VECTOR, WORD, constant, load, spread, store

_WORDS = ir.VectorType(WORD, LANES)
_BYTE = ir.IntType(8)
_BYTES = ir.VectorType(_BYTE, LANES)
_LARGEST, _LOG2_E = constant(float(LARGEST)), constant(float(LOG2_E))
_TAYLOR = [constant(float(coefficient)) for coefficient in TAYLOR]


def of_each(builder, name: str, vector):
    """A function of LLVM of every number of a vector."""
    kind = ir.FunctionType(VECTOR, [VECTOR])
    return builder.call(
        cgutils.get_or_insert_function(builder.module, kind, f"llvm.{name}.v{LANES}f32"), [vector]
    )


def _whole(number: int):
    return ir.Constant(_WORDS, [number] * LANES)


def exp_minus_of(builder, a):
    """`exp_minus` of sixteen numbers."""
    capped = builder.select(builder.fcmp_ordered("<", a, _LARGEST), a, _LARGEST)
    y = builder.fmul(builder.fneg(capped), _LOG2_E)
    whole = of_each(builder, "floor", builder.fadd(y, constant(0.5)))
    f = builder.fsub(y, whole)
    p = _TAYLOR[-1]
    for coefficient in (*_TAYLOR[-2::-1], constant(1.0)):
        p = builder.fadd(coefficient, builder.fmul(f, p))
    exponent = builder.add(builder.fptosi(whole, _WORDS), _whole(127))
    return builder.fmul(p, builder.bitcast(builder.shl(exponent, _whole(23)), VECTOR))


@intrinsic
def decide_sixteen(typing, x, gap, words, low, high):
    """Write ``x[0:16]``; x, gap and words are addresses of int8, float32 and uint32 numbers."""

    def code(context, builder, signature, arguments):
        x, gap, words, low, high = arguments
        gaps, words = load(builder, gap), load(builder, words, _WORDS)
        e = exp_minus_of(builder, of_each(builder, "fabs", gaps))
        low_is_likely = builder.fcmp_ordered("<", gaps, constant(0.0))
        read = builder.select(low_is_likely, words, builder.not_(words))
        u = builder.fadd(builder.uitofp(read, VECTOR), constant(0.5))
        u = builder.fmul(u, constant(2.0**-32))
        unlikely = builder.fcmp_ordered("<", builder.fmul(u, builder.fadd(constant(1.0), e)), e)
        is_low = builder.xor(unlikely, low_is_likely)
        states = (spread(builder, builder.trunc(state, _BYTE), _BYTES) for state in (low, high))
        store(builder, builder.select(is_low, *states), x, align=1)
        return context.get_dummy_value()

    return types.void(*[types.intp] * 5), code

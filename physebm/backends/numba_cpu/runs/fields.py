"""Local fields of sixteen positions as one vector: what draws and energies are built from.

Builders of LLVM code, for intrinsics; see `physebm.backends.numba_cpu.vector_code`.
"""

from __future__ import annotations

from llvmlite import ir
from numba.core import cgutils

from physebm.backends.numba_cpu.vector_code import INDEX, WORD, load, place
from physebm.backends.runs.graph import RUN

NUMBERS, BYTES = ir.VectorType(ir.IntType(32), RUN), ir.VectorType(ir.IntType(8), RUN)


def field_of(builder, start, y, run, degree, weights=None):
    """``start + sum_d y_d``, or ``start + sum_d w_d y_d``, of sixteen positions.

    Parameters
    ----------
    start
        A vector of int32, or of int8 where no sum leaves their range and there are no weights.
    y, run, weights
        Addresses of the row of int8 states, of the `degree` places (int32) where runs start, and of as
        many times sixteen int32 weights.
    """
    total = cgutils.alloca_once_value(builder, start)
    with cgutils.for_range(builder, degree, intp=INDEX) as loop:
        at = place(builder, run, builder.mul(loop.index, INDEX(4)))
        first = builder.zext(load(builder, at, WORD), INDEX)
        states = load(builder, place(builder, y, first), BYTES, align=1)
        if start.type == NUMBERS:
            states = builder.sext(states, NUMBERS)
        if weights is not None:
            at = place(builder, weights, builder.mul(loop.index, INDEX(4 * RUN)))
            states = builder.mul(states, load(builder, at, NUMBERS))
        builder.store(builder.add(builder.load(total), states), total)
    return builder.load(total)

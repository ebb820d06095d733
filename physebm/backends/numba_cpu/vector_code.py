"""Explicit vectors of sixteen lanes: the few operations from which intrinsics are built.

A builder of LLVM code writes one instruction per call. The functions here give these calls names: load
a vector from an address, spread a number over a vector, multiply and add. A vector is sixteen float32
numbers, one per lane; a processor with narrower registers splits it into two or four of its own, so
that the same code runs everywhere and only its speed differs.

Addresses are integers (``array.ctypes.data``) and offsets are in bytes.
"""

from __future__ import annotations

from llvmlite import ir
from numba.core import cgutils

LANES = 16
INDEX, SINGLE, WORD = ir.IntType(64), ir.FloatType(), ir.IntType(32)
VECTOR = ir.VectorType(SINGLE, LANES)


def place(builder, address, *offsets):
    """The address that many bytes further."""
    for offset in offsets:
        address = builder.add(address, INDEX(offset) if isinstance(offset, int) else offset)
    return address


def load(builder, address, kind=VECTOR, align=4):
    """A vector (or a number of another kind) from memory, aligned like a single number."""
    value = builder.load(builder.inttoptr(address, kind.as_pointer()))
    value.align = align
    return value


def store(builder, value, address, align=4):
    """A value to memory."""
    builder.store(value, builder.inttoptr(address, value.type.as_pointer())).align = align


def constant(number: float):
    """A vector of one number."""
    return ir.Constant(VECTOR, [number] * LANES)


def spread(builder, number, kind=VECTOR):
    """A vector of one number that is computed."""
    empty = ir.Constant(kind, ir.Undefined)
    first = ir.Constant(ir.VectorType(WORD, LANES), [0] * LANES)
    return builder.shuffle_vector(builder.insert_element(empty, number, WORD(0)), empty, first)


def multiply_add(builder, a, b, c):
    """``a b + c``; fused where the processor has it, a product and a sum elsewhere."""
    kind = ir.FunctionType(VECTOR, [VECTOR] * 3)
    function = cgutils.get_or_insert_function(builder.module, kind, f"llvm.fmuladd.v{LANES}f32")
    return builder.call(function, [a, b, c])


def any_of(builder, flags):
    """Whether one of sixteen flags is set."""
    bits = builder.bitcast(flags, ir.IntType(LANES))
    return builder.icmp_unsigned("!=", bits, ir.IntType(LANES)(0))

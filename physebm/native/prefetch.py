"""A hint to the processor: fetch a line of memory into the second cache, before it is needed.

Processors fetch ahead on their own where addresses follow one another. A strip of a few columns of a
matrix is in short pieces, one per row, which they do not foresee; from memory or from the last cache
each costs some 100 ns. The hint changes no number and never fails, whatever the address.
"""

from __future__ import annotations

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

__all__ = ["fetch_strip"]

_LINE = 64
_TO_READ, _SECOND_CACHE, _DATA = 0, 2, 1


@intrinsic
def _fetch(typing, address):
    def code(context, builder, signature, arguments):
        word, pointer = ir.IntType(32), ir.IntType(8).as_pointer()
        kind = ir.FunctionType(ir.VoidType(), [pointer, word, word, word])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0i8")
        place = builder.inttoptr(arguments[0], pointer)
        builder.call(function, [place, word(_TO_READ), word(_SECOND_CACHE), word(_DATA)])
        return context.get_dummy_value()

    return types.void(types.intp), code


@njit(nogil=True)
def fetch_strip(J, first, last, column, width):
    """Fetch ``J[first:last, column:column+width]``, in float32, without rows beyond the end."""
    if width <= 0:
        return
    for row in range(first, min(last, J.shape[0])):
        start = J.ctypes.data + J.strides[0] * row + 4 * column
        for offset in range(0, 4 * width, _LINE):
            _fetch(start + offset)
        _fetch(start + 4 * width - 1)

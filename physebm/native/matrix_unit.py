"""The matrix unit of a processor (Intel AMX): its registers and instructions, as intrinsics.

The unit multiplies blocks of 16-bit numbers (bfloat16: a float32 without its last 16 bits) and adds in
float32, at some twelve times the speed of float32 multiply-adds. It works on eight *tile registers* of
16 rows of 64 bytes. Here

    0 to 3   the sums of 32 lanes and 32 columns: lanes 0-15 in 0 and 1, lanes 16-31 in 2 and 3
    4, 5     32 sources of these lanes
    6, 7     couplings of 32 sources and 32 columns; row r of a register holds sources 2r and 2r+1
             of column 0, then of column 1, ...

and one instruction adds to one register of sums the products of one register of sources and one of
couplings. A system lets a process use the unit only when asked (`is_allowed`); without that the
instructions end the process. Addresses are integers, distances and offsets in bytes.

Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 1, chapter 18 (Programming
with Intel AMX), and volume 2, TDPBF16PS.
"""

from __future__ import annotations

import ctypes
import platform
import sys
from functools import cache
from itertools import islice

import llvmlite.binding as llvm
import numba
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

STEP = 32  # sources of a register
COLUMNS = 32
LANES = 32
PLANES = 3
LINE = 64  # bytes of a cache line, and of a row of a register
REGISTER = 16 * LINE

_FEATURES = ("avx512f", "amx-tile", "amx-bf16")
_ARCH_PRCTL, _REQUEST, _TILE_DATA = 158, 0x1023, 18  # Linux, x86-64: ask for a part of the state


@cache
def is_allowed() -> bool:
    """Whether this processor has the unit, numba compiles for it, and the system grants its use."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return False
    if numba.config.CPU_NAME or numba.config.CPU_FEATURES:
        return False
    features = llvm.get_host_cpu_features()
    if not all(features.get(name) for name in _FEATURES):
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    return libc.syscall(_ARCH_PRCTL, _REQUEST, _TILE_DATA) == 0


INDEX, BYTE, WORD = ir.IntType(64), ir.IntType(8), ir.IntType(32)


def _call(builder, name: str, *arguments):
    """A call of an intrinsic function of LLVM without a result."""
    kind = ir.FunctionType(ir.VoidType(), [argument.type for argument in arguments])
    builder.call(cgutils.get_or_insert_function(builder.module, kind, name), arguments)


def at(builder, address, offset: int = 0, kind=BYTE):
    """A pointer that many bytes after an address."""
    return builder.inttoptr(builder.add(address, INDEX(offset)), kind.as_pointer())


def _fetch_first(builder, address, offset: int):
    """Fetch a line into the first cache."""
    place = at(builder, address, offset)
    _call(builder, "llvm.prefetch.p0i8", place, WORD(0), WORD(3), WORD(1))


def _load_register(builder, register: int, address, distance, offset: int = 0):
    place = at(builder, address, offset)
    _call(builder, "llvm.x86.tileloadd64", BYTE(register), place, distance)


@intrinsic
def begin_blocks(typing):
    """Eight registers of 16 rows of 64 bytes."""

    def code(context, builder, signature, arguments):
        shapes = [1, *[0] * 15, *[64, 0] * 8, *[0] * 16, *[16] * 8, *[0] * 8]
        kind = ir.ArrayType(BYTE, len(shapes))
        place = cgutils.alloca_once_value(builder, ir.Constant(kind, shapes))
        _call(builder, "llvm.x86.ldtilecfg", builder.bitcast(place, BYTE.as_pointer()))
        return context.get_dummy_value()

    return types.void(), code


@intrinsic
def end_blocks(typing):
    """Give the registers back: a thread that holds them is slower to put aside."""

    def code(context, builder, signature, arguments):
        _call(builder, "llvm.x86.tilerelease")
        return context.get_dummy_value()

    return types.void(), code


@intrinsic
def clear_sums(typing):
    """Start from 0."""

    def code(context, builder, signature, arguments):
        for register in range(4):
            _call(builder, "llvm.x86.tilezero", BYTE(register))
        return context.get_dummy_value()

    return types.void(), code


def _moves_sums(name: str):
    """An intrinsic that moves the sums from or to ``F[0:32, 0:32]``; address, distance of rows."""

    def code(context, builder, signature, arguments):
        F, dF = arguments
        below = builder.add(F, builder.mul(dF, INDEX(16)))
        for register in range(4):
            place = at(builder, below if register > 1 else F, LINE * (register % 2))
            _call(builder, name, BYTE(register), place, dF)
        return context.get_dummy_value()

    @intrinsic
    def move(typing, F, dF):
        return types.void(types.intp, types.intp), code

    return move


load_sums = _moves_sums("llvm.x86.tileloadd64")
store_sums = _moves_sums("llvm.x86.tilestored64")


def _adds_step(planes: int):
    """An intrinsic that adds the products of 32 sources to the sums.

    Arguments: the addresses of sources ``[plane, lane, source]`` of 32 lanes, and of couplings
    ``[plane, half of the columns]``. The sources of the next step, which follow, are fetched ahead.
    """
    # small products first, in an order in which four registers change least often
    pairs = [(2, 0), (1, 0), (1, 1), (0, 1), (0, 0), (0, 2)] if planes > 1 else [(0, 2), (0, 1), (0, 0)]

    def code(context, builder, signature, arguments):
        ahead = iter(range(2 * REGISTER * planes, 4 * REGISTER * planes, LINE))
        held = {4: None, 6: None}
        for pair in pairs:
            for first, address, plane in zip(held, arguments, pair):
                if plane != held[first]:
                    for half in range(2):
                        offset = REGISTER * (2 * plane + half)
                        _load_register(builder, first + half, address, INDEX(LINE), offset)
                held[first] = plane
            for register in range(4):
                lanes, columns = BYTE(4 + register // 2), BYTE(6 + register % 2)
                _call(builder, "llvm.x86.tdpbf16ps", BYTE(register), lanes, columns)
                for offset in islice(ahead, 4):
                    _fetch_first(builder, arguments[0], offset)
        return context.get_dummy_value()

    @intrinsic
    def add(typing, x, J):
        return types.void(types.intp, types.intp), code

    return add


add_states, add_reals = _adds_step(1), _adds_step(PLANES)

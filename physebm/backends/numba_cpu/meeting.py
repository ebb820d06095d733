"""Several threads in one lane: which chunks are whose, and where they wait for each other.

The units of a colour class do not read each other, so that any cut of a class into shares gives the
same bits; a class begins when the one before is drawn. Threads wait by looking at one counter: a class
of a large lattice takes a tenth of a millisecond, in which the interpreter could not even wake them.
A thread that waits for long yields, for the one it waits for may be in need of its core: where other
programs are at work, threads that only look lose whole turns of the scheduler at every meeting.
"""

from __future__ import annotations

import llvmlite.binding as llvm
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

__all__ = ["meet", "share_of"]

_COUNT = ir.IntType(64)
_LOOKS = 100  # before a thread yields: some microseconds
_yield = types.ExternalFunction(
    "sched_yield" if llvm.address_of_symbol("sched_yield") else "SwitchToThread", types.int32()
)


@njit
def share_of(first, last, share, shares):
    """Where the part of one of the `shares` of ``first .. last-1`` begins and ends."""
    size = last - first
    return first + size * share // shares, first + size * (share + 1) // shares


@intrinsic
def _arrive(typing, counter):
    """Add one to the counter at an address; what was written before is visible to whoever sees it."""

    def code(context, builder, signature, arguments):
        pointer = builder.inttoptr(arguments[0], _COUNT.as_pointer())
        return builder.atomic_rmw("add", pointer, _COUNT(1), "seq_cst")

    return types.int64(types.intp), code


@intrinsic
def _arrived(typing, counter):
    """The counter at an address, read anew."""

    def code(context, builder, signature, arguments):
        pointer = builder.inttoptr(arguments[0], _COUNT.as_pointer())
        if llvm.get_default_triple().startswith(("x86_64", "i386", "i686")):
            # says that this is a waiting loop: the other thread of the same core goes ahead
            kind = ir.FunctionType(ir.VoidType(), [])
            builder.call(builder.module.declare_intrinsic("llvm.x86.sse2.pause", (), kind), [])
        return builder.load_atomic(pointer, "seq_cst", 8)

    return types.int64(types.intp), code


@njit
def meet(counter, shares):
    """Wait until all shares are here. The counter goes up by `shares` from one meeting to the next."""
    if shares > 1:
        at = counter.ctypes.data
        before = _arrive(at)
        all_here = before - before % shares + shares
        looks = 0
        while _arrived(at) < all_here:
            looks += 1
            if looks > _LOOKS:
                _yield()

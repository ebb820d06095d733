"""The new states of a chunk from its fields and random words; for generated sweeps.

``index[p]`` is the place of a position's fields (and of its present state, where that counts) in the
threshold table. Up to 32 thresholds fit into two vectors, from which one instruction of AVX-512 takes
sixteen; otherwise a list of the thresholds that can be met is gone through. Functions take addresses:
where LLVM does not inline a function of arrays, their reference counts cost more than the decisions.
"""

from __future__ import annotations

import llvmlite.binding as llvm
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils, config
from numba.extending import intrinsic

from physebm.backends.numba_cpu.runs.fields import BYTES, NUMBERS
from physebm.backends.numba_cpu.runs.places import LOOKUP
from physebm.backends.numba_cpu.vector_code import INDEX, WORD, load, place, spread, store
from physebm.backends.runs.graph import RUN

__all__ = ["decide_by_list", "decide_by_table", "decide_held"]


def looks_up() -> bool:
    """Whether code is compiled for a processor that takes sixteen numbers out of two vectors."""
    if config.CPU_FEATURES is not None:
        return "+avx512f" in config.CPU_FEATURES
    return bool(config.ENABLE_AVX and llvm.get_host_cpu_features().get("avx512f"))


def _taken(builder, index, table):
    """``table[index]`` of sixteen indices below 32, the table at an address."""
    first, second = load(builder, table, NUMBERS), load(builder, place(builder, table, 64), NUMBERS)
    if looks_up():
        kind = ir.FunctionType(NUMBERS, [NUMBERS] * 3)
        name = "llvm.x86.avx512.vpermi2var.d.512"
        take = cgutils.get_or_insert_function(builder.module, kind, name)
        return builder.call(take, [first, index, second])
    taken = ir.Constant(NUMBERS, ir.Undefined)
    for n in range(RUN):
        at = builder.zext(builder.extract_element(index, WORD(n)), INDEX)
        one = load(builder, place(builder, table, builder.mul(at, INDEX(4))), WORD)
        taken = builder.insert_element(taken, one, WORD(n))
    return taken


def up_by_table(builder, index, words, table):
    """Where ``word <= bound[index]`` and the index is open.

    `table` is the address of 32 bounds and of a word whose bit is set where an index is open.
    """
    up = builder.icmp_unsigned("<=", words, _taken(builder, index, table))
    open_ = spread(builder, load(builder, place(builder, table, 4 * LOOKUP), WORD), NUMBERS)
    bit = ir.Constant(NUMBERS, [1] * RUN)
    is_open = builder.and_(builder.lshr(open_, index), bit)
    return builder.and_(up, builder.icmp_unsigned("==", is_open, bit))


def store_states(builder, up, low, high, address):
    """Sixteen new states to an address."""
    low, high = spread(builder, low, BYTES), spread(builder, high, BYTES)
    store(builder, builder.select(up, high, low), address, align=1)


@intrinsic
def _sixteen_by_table(typing, y, index, words, table, low, high):
    """New states of sixteen positions, by `up_by_table`.

    Arguments are the addresses of sixteen int8 states, int32 indices and words, and of the table; the
    two states.
    """

    def code(context, builder, signature, arguments):
        y, index, words, table, low, high = arguments
        here, word = load(builder, index, NUMBERS), load(builder, words, NUMBERS)
        store_states(builder, up_by_table(builder, here, word, table), low, high, y)
        return context.get_dummy_value()

    return types.void(*[types.intp] * 4, types.int8, types.int8), code


@intrinsic
def _sixteen_by_list(typing, y, index, words, places, bounds, count, low, high):
    """New states of sixteen positions: up where a place of the list is met and ``word <= bound``.

    Arguments are the addresses of sixteen int8 states, int32 indices and words, and of the list: places
    (int32) and bounds (uint32), `count` of them; the two states.
    """

    def code(context, builder, signature, arguments):
        y, index, words, places, bounds, count, low, high = arguments
        here, word = load(builder, index, NUMBERS), load(builder, words, NUMBERS)
        none = ir.Constant(ir.VectorType(ir.IntType(1), RUN), [0] * RUN)
        up = cgutils.alloca_once_value(builder, none)
        with cgutils.for_range(builder, count, intp=INDEX) as loop:
            offset = builder.mul(loop.index, INDEX(4))
            at = spread(builder, load(builder, place(builder, places, offset), WORD), NUMBERS)
            bound = spread(builder, load(builder, place(builder, bounds, offset), WORD), NUMBERS)
            met = builder.icmp_unsigned("==", here, at)
            met = builder.and_(met, builder.icmp_unsigned("<=", word, bound))
            builder.store(builder.or_(builder.load(up), met), up)
        store_states(builder, builder.load(up), low, high, y)
        return context.get_dummy_value()

    return types.void(*[types.intp] * 6, types.int8, types.int8), code


@njit
def decide_by_table(states, index, words, table, low, high):
    """New states of 64 positions; addresses, as of `_sixteen_by_table`."""
    for start in range(0, 64, RUN):
        _sixteen_by_table(states + start, index + 4 * start, words + 4 * start, table, low, high)


@njit
def decide_by_list(states, index, words, places, bounds, count, low, high):
    """New states of 64 positions; addresses, as of `_sixteen_by_list`."""
    for start in range(0, 64, RUN):
        _sixteen_by_list(
            states + start, index + 4 * start, words + 4 * start, places, bounds, count, low, high
        )


@njit
def decide_held(y, index, words, chunk, places, bounds, order, held, low, high):
    """New states of the 64 positions of a chunk, where some units are held."""
    for p in range(64):
        i = order[64 * chunk + p]
        if i >= 0 and not held[i]:
            up = False
            for k in range(places.shape[0]):
                up |= index[p] == places[k] and words[p] <= bounds[k]
            y[64 * chunk + p] = high if up else low

"""Sums over planes: pairs of units counted lane by lane; and bits transposed.

Sums stand bit-sliced, too: plane n of a *counter* holds digit n of every lane's sum. Eight planes at
a time go through carry-save adders, so that most of the work is done on planes of the three lowest
digits.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from physebm.backends.numba_cpu.planes.vectors import INT32, INT64, WORD_BYTES, Words
from physebm.backends.planes.graph import PAIRS

__all__ = ["PAIRS", "add_pairs", "transpose"]


def add_pairs(width: int, together: bool, signed: bool):
    """An intrinsic ``add(x, pairs, signs, counter, digits)`` that counts eight pairs of units.

    Arguments are the addresses of the planes of a tile, of the pairs (int32), of their signs, of the
    counter, and its digits, four or more. A pair counts where both are up (`together`), or where they
    differ after the sign: an unsatisfied bond.
    """
    plane = width * WORD_BYTES

    def code(context, builder, signature, arguments):
        x, pairs, signs, counter, digits = arguments
        words = Words(builder, width)

        def unit(place):
            number = builder.load(words.at(pairs, 4 * place, INT32))
            return words.load(x, builder.mul(builder.zext(number, INT64), INT64(plane)))

        found = []
        for p in range(PAIRS):
            first, second = unit(2 * p), unit(2 * p + 1)
            held = builder.and_(first, second) if together else builder.xor(first, second)
            found.append(builder.xor(held, words.mask(signs, 2 * p)) if signed else held)
        for place in range(3):
            total, carries = words.load(counter, plane * place), []
            while found:
                total, carry = words.add_bits(total, found.pop(0), found.pop(0))
                carries.append(carry)
            words.store(total, counter, plane * place)
            found = carries
        before = builder.block
        loop = builder.append_basic_block("carries")
        after = builder.append_basic_block("added")
        builder.branch(loop)
        builder.position_at_end(loop)
        place, carry = builder.phi(INT64), builder.phi(words.kind)
        offset = builder.mul(place, INT64(plane))
        held = words.load(counter, offset)
        words.store(builder.xor(held, carry), counter, offset)
        following = builder.add(place, INT64(1))
        for phi, start, later in (
            (place, INT64(3), following),
            (carry, found[0], builder.and_(held, carry)),
        ):
            phi.add_incoming(start, before)
            phi.add_incoming(later, loop)
        builder.cbranch(builder.icmp_signed("<", following, digits), loop, after)
        builder.position_at_end(after)
        return context.get_dummy_value()

    @intrinsic
    def add(typing, x, pairs, signs, counter, digits):
        return types.void(*[types.intp] * 5), code

    return add


def transpose(width: int, most_significant_first: bool):
    """An intrinsic ``transpose(numbers, planes)``: 32 numbers per word into planes of their digits.

    ``numbers[lane, word]`` and ``planes[digit, word]`` are given by addresses. Source: H. S. Warren,
    Hacker's Delight (2003), section 7-3: blocks of 16, 8, 4, 2 and 1 bits change places across the
    diagonal.
    """
    plane = width * WORD_BYTES

    def code(context, builder, signature, arguments):
        numbers, planes = arguments
        words = Words(builder, width)
        A = [words.load(numbers, plane * lane) for lane in range(32)]
        size, mask = 16, 0x0000FFFF
        while size:
            block = ir.Constant(words.kind, [mask] * width)
            shift = ir.Constant(words.kind, [size] * width)
            for k in range(32):
                if not k & size:
                    swap = builder.and_(builder.xor(builder.lshr(A[k], shift), A[k + size]), block)
                    A[k + size] = builder.xor(A[k + size], swap)
                    A[k] = builder.xor(A[k], builder.shl(swap, shift))
            size //= 2
            mask ^= mask << size & 0xFFFFFFFF
        for digit in range(32):
            place = 31 - digit if most_significant_first else digit
            words.store(A[digit], planes, plane * place)
        return context.get_dummy_value()

    @intrinsic
    def turn(typing, numbers, planes):
        return types.void(types.intp, types.intp), code

    return turn

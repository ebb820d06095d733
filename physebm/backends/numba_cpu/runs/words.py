"""The random words of a chunk of 64 draw positions: sixteen Philox blocks, in two vectors.

As `physebm.rng.philox` and the draw positions of `physebm.lowering.plan` define them. Blocks of even
and of odd number live in the low halves of vectors of eight 64-bit numbers; what gathers in the high
halves is cut off by the next product.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from physebm.backends.numba_cpu.vector_code import INDEX, LANES, WORD, place, store
from physebm.rng.philox import MULTIPLIER_0, MULTIPLIER_1, ROUNDS, WEYL_0, WEYL_1

__all__ = ["chunk_words"]

PAIRS, WORDS = ir.VectorType(INDEX, LANES // 2), ir.VectorType(WORD, LANES)
LOW = 0xFFFFFFFF


def _all(number: int):
    return ir.Constant(PAIRS, [number] * PAIRS.count)


def _wide(builder, number):
    """A 32-bit number in every low half."""
    empty = ir.Constant(PAIRS, ir.Undefined)
    one = builder.insert_element(empty, builder.zext(number, INDEX), WORD(0))
    first = ir.Constant(ir.VectorType(WORD, PAIRS.count), [0] * PAIRS.count)
    return builder.shuffle_vector(one, empty, first)


def _upper(builder, product):
    """High halves in low places. A shuffle: shifts would wait for the unit that multiplies."""
    swapped = ir.Constant(WORDS, [place ^ 1 for place in range(LANES)])
    words = builder.bitcast(product, WORDS)
    return builder.bitcast(builder.shuffle_vector(words, words, swapped), PAIRS)


def _round(b, counter, key):
    c0, c1, c2, c3 = counter
    first = b.mul(b.and_(c0, _all(LOW)), _all(MULTIPLIER_0))
    second = b.mul(b.and_(c2, _all(LOW)), _all(MULTIPLIER_1))
    return [
        b.xor(b.xor(_upper(b, second), c1), key[0]),
        second,
        b.xor(b.xor(_upper(b, first), c3), key[1]),
        first,
    ]


@intrinsic
def chunk_words(typing, words, chunk, walker, sweep, last, k0, k1):
    """Write the 64 words of draw positions ``64 chunk .. 64 chunk + 63`` to an address.

    `walker`, `sweep` and `last` are the counter words c1, c2 and c3, `k0` and `k1` the key.
    """

    def code(context, builder, signature, arguments):
        b, (words, chunk, *counter, k0, k1) = builder, arguments
        first = _wide(b, b.mul(chunk, WORD(LANES)))
        others = [_wide(b, word) for word in counter]
        even_odd = []
        for odd in (0, 1):
            numbers = ir.Constant(PAIRS, [2 * n + odd for n in range(PAIRS.count)])
            even_odd.append([b.or_(first, numbers), *others])
        for number in range(ROUNDS):
            key = [
                _wide(b, b.add(word, WORD(weyl * number & LOW)))
                for word, weyl in ((k0, WEYL_0), (k1, WEYL_1))
            ]
            even_odd = [_round(b, one, key) for one in even_odd]
        places = [n if n % 2 == 0 else LANES + n - 1 for n in range(LANES)]
        for number, (even, odd) in enumerate(zip(*even_odd)):
            even, odd = b.bitcast(even, WORDS), b.bitcast(odd, WORDS)
            merged = b.shuffle_vector(even, odd, ir.Constant(WORDS, places))
            store(b, merged, place(b, words, 4 * LANES * number))
        return context.get_dummy_value()

    return types.void(types.intp, *[types.uint32] * 6), code

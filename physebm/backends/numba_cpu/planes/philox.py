"""Philox4x32-10 for a vector of words, each with a chain and a key of its own.

As `physebm.rng.philox` defines it. The products of 32-bit words need 64 bits, so words of even and odd
place live in the low halves of two vectors of 64-bit numbers; what gathers in the high halves is cut
off by the next product. The first round multiplies plain numbers, position and sweep; what follows from
the sweep alone LLVM takes out of the loop over units.
"""

from __future__ import annotations

from llvmlite import ir

from physebm.backends.numba_cpu.planes.vectors import INT32, INT64, Words
from physebm.rng.philox import MULTIPLIER_0, MULTIPLIER_1, ROUNDS, WEYL_0, WEYL_1

LOW = 0xFFFFFFFF


def philox(words: Words, position, sweep, last, stream) -> list:
    """Four vectors of random words.

    Parameters
    ----------
    position, sweep, last
        The counter words c0, c2 and c3, numbers of 32 bits.
    stream
        Vectors of the counter word c1 and of the two words of the key.
    """
    b, pairs = words.b, words.pairs
    low, shift = (ir.Constant(pairs, [n] * pairs.count) for n in (LOW, 32))

    def spread(number):
        return words.spread(number, pairs)

    # shuffles where a shift would do: LLVM would move shifts of keys past the XORs that follow, and
    # fuse the last products with them, at twice the cost
    swapped, merged = (
        ir.Constant(ir.VectorType(INT32, width), places)
        for width, places in (
            (words.width, [place ^ 1 for place in range(words.width)]),
            (words.width, [p if p % 2 == 0 else words.width + p - 1 for p in range(words.width)]),
        )
    )

    def halves(vector):
        return b.bitcast(vector, pairs), b.bitcast(b.shuffle_vector(vector, vector, swapped), pairs)

    def key(vector, weyl: int, round_: int):
        step = words.spread(INT32(weyl * round_ & LOW), words.kind)
        return halves(b.add(vector, step))

    c1, k0, k1 = stream
    first, second = (
        b.mul(b.zext(number, INT64), INT64(multiplier))
        for number, multiplier in ((position, MULTIPLIER_0), (sweep, MULTIPLIER_1))
    )
    last = b.xor(b.trunc(b.lshr(first, INT64(32)), INT32), last)
    sides = []
    for chain, key_0, key_1 in zip(halves(c1), key(k0, WEYL_0, 0), key(k1, WEYL_1, 0)):
        sides.append(
            (
                b.xor(b.xor(spread(b.lshr(second, INT64(32))), chain), key_0),
                spread(second),
                b.xor(spread(b.zext(last, INT64)), key_1),
                spread(first),
            )
        )
    for round_ in range(1, ROUNDS):
        keys = zip(key(k0, WEYL_0, round_), key(k1, WEYL_1, round_))
        sides = [_round(b, side, pair, low, shift) for side, pair in zip(sides, keys)]
    return [
        b.shuffle_vector(b.bitcast(even, words.kind), b.bitcast(odd, words.kind), merged)
        for even, odd in zip(*sides)
    ]


def _round(b, side, key, low, shift):
    c0, c1, c2, c3 = side
    by_0, by_1 = (ir.Constant(low.type, [m] * low.type.count) for m in (MULTIPLIER_0, MULTIPLIER_1))
    first, second = b.mul(b.and_(c0, low), by_0), b.mul(b.and_(c2, low), by_1)
    return (
        b.xor(b.xor(b.lshr(second, shift), c1), key[0]),
        second,
        b.xor(b.xor(b.lshr(first, shift), c3), key[1]),
        first,
    )

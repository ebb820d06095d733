"""Bit-sliced draws of two-state units: the update of one unit in all lanes of a tile.

A *plane* of a unit has one bit per lane, set where the unit is up. Words of 32 lanes that differ in
the chain's number alone share their random blocks; a *tile* is a vector of words, of any keys and
rungs, and where the graph is shared of any instances. Planes lie as ``[tile, unit + 1, word]``: the
last row is zero and stands for neighbours that are not there.

Of neighbour j of unit i the plane ``x_j XOR (J_ij is -1)`` is set where it pulls up; full adders count
these planes, and ``chosen[k]`` is set where the count is k. With the thresholds of a count as planes of
binary digits ``M[k, digit]``, most significant first, the digits of every lane's own threshold are
``T = OR_k chosen[k] & M[k, digit]``, and ``word < threshold`` follows digit by digit,

    below |= open & T & ~R,     open &= ~(T ^ R),

R the random digit. Twelve digits leave a lane open once in 4096; while one is, four more are drawn,
to 32. Bits are those of `physebm.backends.reference`, at any width and in any company.
"""

from __future__ import annotations

from numba import types
from numba.extending import intrinsic

from physebm.backends.numba_cpu.planes.philox import philox
from physebm.backends.numba_cpu.planes.vectors import INT32, INT64, WORD_BYTES, Words
from physebm.backends.planes.sliced import DIGITS

__all__ = ["DIGITS", "unit_update"]

AT_ONCE = 3  # blocks of four digits that every unit draws


def unit_update(width: int, degree: int, stride: int, last: int, signed: bool, metropolis: bool):
    """An intrinsic ``update(x, unit, neighbours, signs, thresholds, stream, position, sweep)``.

    Arguments are the addresses of the planes of a tile, of the unit's neighbours (int32) and signs
    (uint16, a bit per word, set for -1), of the thresholds of the count 0, and of the tile's stream
    (c1, k0, k1); the unit, its draw position, and the sweep are numbers.

    Parameters
    ----------
    width
        Words in a vector.
    degree
        Neighbours in a row of the table.
    stride
        Rows between the thresholds of one count and of the next.
    last
        The counter word c3 at draw index 0.
    metropolis
        Thresholds come in pairs, for units that are down and up now.
    """
    states = 2 if metropolis else 1
    plane = width * WORD_BYTES
    row = DIGITS * plane

    def code(context, builder, signature, arguments):
        x, unit, neighbours, signs, thresholds, stream, position, sweep = arguments
        words = Words(builder, width)
        own = builder.mul(unit, INT64(plane))
        pulls = []
        for d in range(degree):
            j = builder.load(words.at(neighbours, 4 * d, INT32))
            pull = words.load(x, builder.mul(builder.zext(j, INT64), INT64(plane)))
            pulls.append(builder.xor(pull, words.mask(signs, 2 * d)) if signed else pull)
        digits = words.count(pulls)
        chosen = [words.equal(digits, k) for k in range(degree + 1)]
        if metropolis:
            old = words.load(x, own)
            chosen = [builder.and_(one, now) for one in chosen for now in (words.flip(old), old)]
        starts = [(k * stride * states + s) * row for k in range(degree + 1) for s in range(states)]
        chain = [words.fixed(words.load(stream, plane * n)) for n in range(3)]

        def digit_of(start, offset):
            there = start if isinstance(offset, int) else builder.add(INT64(start), offset)
            return words.load(thresholds, there + offset if isinstance(offset, int) else there)

        def compare(draw, offset, below, open_):
            """Four digits further; `offset` is the place of the first among the thresholds."""
            random = philox(words, position, sweep, builder.add(INT32(last), draw), chain)
            for place, R in enumerate(random):
                rows = [digit_of(start + place * plane, offset) for start in starts]
                T = words.select(chosen, rows)
                ahead = builder.and_(builder.and_(open_, T), words.flip(R))
                below = builder.or_(below, ahead)
                open_ = builder.and_(open_, words.flip(builder.xor(T, R)))
            return below, open_

        below = words.select(chosen, [digit_of(start, 0) for start in starts])
        open_ = words.flip(below)
        for draw in range(AT_ONCE):
            below, open_ = compare(INT32(draw), plane * (1 + 4 * draw), below, open_)
        before = builder.block
        further = builder.append_basic_block("further_digits")
        after = builder.append_basic_block("decided")
        builder.cbranch(words.any(open_), further, after)
        builder.position_at_end(further)
        draw, was_below, was_open = (builder.phi(kind) for kind in (INT32, words.kind, words.kind))
        offset = builder.mul(builder.zext(draw, INT64), INT64(4 * plane))
        now_below, now_open = compare(draw, builder.add(offset, INT64(plane)), was_below, was_open)
        following = builder.add(draw, INT32(1))
        for phi, start, later in (
            (draw, INT32(AT_ONCE), following),
            (was_below, below, now_below),
            (was_open, open_, now_open),
        ):
            phi.add_incoming(start, before)
            phi.add_incoming(later, builder.block)
        more = builder.icmp_unsigned("<", following, INT32(8))
        builder.cbranch(builder.and_(more, words.any(now_open)), further, after)
        end_of_loop = builder.block
        builder.position_at_end(after)
        up = builder.phi(words.kind)
        up.add_incoming(below, before)
        up.add_incoming(now_below, end_of_loop)
        words.store(up, x, own)
        return context.get_dummy_value()

    @intrinsic
    def update(typing, x, unit, neighbours, signs, thresholds, stream, position, sweep):
        arguments = [types.intp] * 6 + [types.uint32] * 2
        return types.void(*arguments), code

    return update

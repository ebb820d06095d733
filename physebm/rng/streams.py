"""Randomness as an address: the one list of purposes, and the layout of keys and counters.

A random word is addressed by (key, counter) and by nothing else: no generator has a state, so the
same study gives the same numbers on any number of threads, workers or restarts.

Key, 64 bits
    BLAKE2b of the study seed and of the canonical text of what the stream belongs to: for chains
    the point's own coordinates (values, never indices on an axis; not the temperature where the
    study is tempered), for quenched disorder (realisation, array name).
Counter of a chain, 4 x 32 bits
    ``c0`` unit block, ``c1`` chain or walker, ``c2`` sweep, ``c3 = purpose << 24 | move << 16 | draw``.
    A move numbers its units by draw position p, in the order in which the plan lists them (every
    colour class starts at a multiple of 64); position p reads word ``(p >> 4) & 3`` of unit block
    ``16 (p >> 6) + (p & 15)``. A draw that needs a second word reads the same place at draw index 1.
    A bit-sliced move takes one bit per walker of its words: ``c0`` is p itself, ``c1`` the walker
    divided by 32, and digit d of a walker's word is bit ``walker & 31`` of word ``d & 3`` at draw index
    ``d >> 2``; such moves have purposes of their own.
Counter of a quenched array
    the multi-index of the element (first four axes), so that a larger array extends a smaller one.

Two uses never share a word: they differ in purpose, in move, in draw index, or in key. Why any
unique value will do for a purpose: Philox is a bijection per key, distinct counters give
independent words.
"""

from __future__ import annotations

import hashlib
from enum import IntEnum


class Purpose(IntEnum):
    """What a random word is used for; the top byte of the last counter word."""

    HEAT_BATH = 1
    METROPOLIS = 2
    CLUSTER_BONDS = 3
    CLUSTER_SPINS = 4
    CLUSTER_SEED = 5
    HEAT_BATH_PLANES = 6
    METROPOLIS_PLANES = 7
    SWAP = 8
    DISORDER = 16
    GRAPH = 17
    INITIAL_STATE = 18
    MINIBATCH = 32
    BINARISE = 33
    BOOTSTRAP = 48
    CHECK = 64
    USER = 200


def key_of(seed: int, *parts: object) -> tuple[int, int]:
    """The key ``(k0, k1)`` of the stream named by `parts` (texts and numbers) under a study seed.

    Floats enter by ``repr`` (shortest round-trip text), so 0.1 is one stream on every machine.
    """
    text = "\x1f".join([repr(int(seed)), *(repr(part) for part in parts)])
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return int.from_bytes(digest[:4], "little"), int.from_bytes(digest[4:], "little")


def last_word(purpose: Purpose, move: int = 0, draw: int = 0) -> int:
    """The counter word ``c3``: purpose in bits 24-31, move in 16-23, draw index in 0-15."""
    if not (0 <= move < 256 and 0 <= draw < 65536):
        raise ValueError(f"move {move} or draw {draw} does not fit the counter layout")
    return int(purpose) << 24 | move << 16 | draw

"""Swendsen-Wang and Wolff clusters of one lane; generated sweeps call these by name.

The definition, the addressing of words and the sources stand in `physebm.backends.reference_clusters`;
the bits here are the same. A lane's call does once::

    scratch    = cluster_scratch(x, edges)
    thresholds = bond_thresholds(bond, c, q)

and then per sweep ``swendsen_wang`` or ``wolff`` with
``(x, edges, thresholds, scratch, q, walker, sweep, move, k0, k1)``: x ``[unit]``, edges ``[bond, 2]``
int32 (pads have weight 0), q = 0 for Ising units. Negative couplings and held units are refused on
the host (``reference_clusters.refuse_invalid``).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit, uint32, uint64

from physebm.backends.numba_cpu.library import fill_words, philox4x32
from physebm.lowering.plan import CHUNK
from physebm.rng.streams import Purpose, last_word

__all__ = ["bond_thresholds", "cluster_scratch", "swendsen_wang", "wolff"]

_BONDS = last_word(Purpose.CLUSTER_BONDS)
_SPINS = last_word(Purpose.CLUSTER_SPINS)
_SEED = last_word(Purpose.CLUSTER_SEED)


class Scratch(NamedTuple):
    """Room for one lane: parents, words, active bonds; members, marks and bonds by unit for Wolff."""

    parent: np.ndarray
    words: np.ndarray
    active: np.ndarray
    members: np.ndarray
    marked: np.ndarray
    start: np.ndarray
    links: np.ndarray


@njit
def cluster_scratch(x, edges):
    """The scratch arrays of a lane; the list of bonds by unit is built by the first Wolff sweep."""
    n = x.shape[0]
    start = np.empty(n + 1, np.int32)
    start[0] = -1  # not built yet
    return Scratch(
        np.empty(n, np.int32),
        np.empty(CHUNK, np.uint32),
        np.empty(CHUNK, np.int64),
        np.empty(n, np.int32),
        np.zeros(n, np.uint8),
        start,
        np.empty((2 * edges.shape[0], 2), np.int32),
    )


@njit
def bond_thresholds(bond, c, q):
    """``rint(2^32 (1 - exp(-a c w)))`` per bond, a = 2 for Ising and 1 for Potts.

    A run of equal weights costs one exponential.
    """
    thresholds = np.empty(bond.shape[0], np.int64)
    scale = (1.0 if q else 2.0) * c
    for e in range(bond.shape[0]):
        if e > 0 and bond[e] == bond[e - 1]:
            thresholds[e] = thresholds[e - 1]
        else:
            thresholds[e] = np.int64(np.rint(-math.expm1(-(scale * bond[e])) * 4294967296.0))
    return thresholds


@njit
def swendsen_wang(x, edges, thresholds, scratch, q, walker, sweep, move, k0, k1):
    """Decide every bond, then give every cluster a fresh state."""
    parent, words, active = scratch.parent, scratch.words, scratch.active
    n, bonds = x.shape[0], edges.shape[0]
    for i in range(n):
        parent[i] = i
    for chunk in range((bonds + CHUNK - 1) // CHUNK):
        fill_words(words, chunk, walker, sweep, _BONDS | (move << 16), k0, k1)
        first = CHUNK * chunk
        # half the decisions are unpredictable: listed without a branch, then joined
        count = 0
        for e in range(first, min(first + CHUNK, bonds)):
            active[count] = e
            equal = x[edges[e, 0]] == x[edges[e, 1]]
            count += equal & (np.int64(words[e - first]) < thresholds[e])
        for place in range(count):
            e = active[place]
            _join(parent, edges[e, 0], edges[e, 1])
    for chunk in range((n + CHUNK - 1) // CHUNK):
        fill_words(words, chunk, walker, sweep, _SPINS | (move << 16), k0, k1)
        first = CHUNK * chunk
        for i in range(first, min(first + CHUNK, n)):
            # parents have smaller indices: theirs are roots already, and drawn
            root = parent[parent[i]]
            parent[i] = root
            word = words[i - first]
            x[i] = _below(word, q) if q else 1 - 2 * np.int64(word >> uint32(31))
            x[i] = x[root]


@njit
def wolff(x, edges, thresholds, scratch, q, walker, sweep, move, k0, k1):
    """Move the cluster of one random seed; bonds are addressed, so the order of growth is free."""
    members, marked, start, links = scratch.members, scratch.marked, scratch.start, scratch.links
    if start[0] < 0:
        _link(start, links, edges)
    seed = _below(_word(0, walker, sweep, _SEED | (move << 16), k0, k1), x.shape[0])
    state = x[seed]
    members[0], marked[seed] = seed, 1
    smallest, size, done = seed, 1, 0
    while done < size:
        i = members[done]
        done += 1
        for place in range(start[i], start[i + 1]):
            j, e = links[place, 0], links[place, 1]
            if marked[j] or x[j] != state or thresholds[e] == 0:
                continue
            if np.int64(_word(e, walker, sweep, _BONDS | (move << 16), k0, k1)) < thresholds[e]:
                marked[j] = 1
                members[size] = j
                size += 1
                smallest = min(smallest, np.int64(j))
    if q:
        word = _word(smallest, walker, sweep, _SPINS | (move << 16), k0, k1)
        new = (np.int64(state) + 1 + _below(word, q - 1)) % q
    else:
        new = -np.int64(state)
    for place in range(size):
        x[members[place]] = new
        marked[members[place]] = 0


@njit(inline="always")
def _root(parent, i):
    """The root of i, halving the path on the way."""
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


@njit
def _join(parent, i, j):
    """Unite two clusters under the smaller root, so that a root is the smallest unit."""
    i, j = _root(parent, i), _root(parent, j)
    if i < j:
        parent[j] = i
    elif j < i:
        parent[i] = j


@njit
def _link(start, links, edges):
    """Bonds by unit: ``links[start[i]:start[i+1]]`` holds (neighbour, bond) of unit i."""
    start[:] = 0
    for e in range(edges.shape[0]):
        start[edges[e, 0]] += 1
        start[edges[e, 1]] += 1
    end = 0
    for i in range(start.shape[0]):
        end += start[i]
        start[i] = end
    # filled from the end of each range, which leaves start at its beginning
    for e in range(edges.shape[0] - 1, -1, -1):
        for side in range(2):
            i = edges[e, side]
            start[i] -= 1
            links[start[i], 0] = edges[e, 1 - side]
            links[start[i], 1] = e


@njit
def _word(p, walker, sweep, last, k0, k1):
    """The word of draw position p."""
    r0, r1, r2, r3 = philox4x32(
        uint32(16 * (p >> 6) + (p & 15)), uint32(walker), uint32(sweep), uint32(last),
        uint32(k0), uint32(k1),
    )  # fmt: skip
    which = (p >> 4) & 3
    if which == 0:
        return r0
    if which == 1:
        return r1
    return r2 if which == 2 else r3


@njit(inline="always")
def _below(word, count):
    """A uniform integer in ``0 .. count-1``: ``(word count) >> 32``."""
    return np.int64((uint64(word) * uint64(count)) >> uint64(32))

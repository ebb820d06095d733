"""Colours of graphs of a million units: breadth-first and greedy, in compiled loops.

A graph is ``(start, neighbours)``: the neighbours of unit i are ``neighbours[start[i]:start[i+1]]``.
"""

from __future__ import annotations

from functools import cache

import numpy as np

# Below this many units the loops run as they are: compiled ones would take longer to load.
SMALL = 2000


def two_colours(start: np.ndarray, neighbours: np.ndarray) -> np.ndarray | None:
    """Colours 0 and 1, 0 for the first unit of each component; None for a graph with odd cycles."""
    colour = np.full(len(start) - 1, -1, dtype=np.int64)
    queue = np.empty(len(colour), dtype=np.int64)
    return colour if _of_size(_two_colours, len(colour))(start, neighbours, colour, queue) else None


def greedy_colours(start: np.ndarray, neighbours: np.ndarray) -> np.ndarray:
    """In the order of the units, the first colour that no neighbour has."""
    colour = np.full(len(start) - 1, -1, dtype=np.int64)
    degree = int(np.diff(start).max(initial=0))
    _of_size(_greedy, len(colour))(start, neighbours, colour, np.full(degree + 2, -1, dtype=np.int64))
    return colour


def _two_colours(start, neighbours, colour, queue):
    for root in range(len(colour)):
        if colour[root] >= 0:
            continue
        colour[root] = 0
        queue[0], first, last = root, 0, 1
        while first < last:
            i = queue[first]
            first += 1
            for k in range(start[i], start[i + 1]):
                j = neighbours[k]
                if colour[j] < 0:
                    colour[j] = 1 - colour[i]
                    queue[last] = j
                    last += 1
                elif colour[j] == colour[i]:
                    return False
    return True


def _greedy(start, neighbours, colour, used_by):
    for i in range(len(colour)):
        # used_by[c] = i marks a colour of a neighbour; nothing has to be cleared between units
        for k in range(start[i], start[i + 1]):
            c = colour[neighbours[k]]
            if 0 <= c < len(used_by):
                used_by[c] = i
        c = 0
        while used_by[c] == i:
            c += 1
        colour[i] = c


def _of_size(loops, units: int):
    return loops if units < SMALL else _compiled(loops)


@cache
def _compiled(loops):

    from physebm.native.kept import kept_njit

    return kept_njit(nogil=True)(loops)

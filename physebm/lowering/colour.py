"""Colour classes: units that share no term may be drawn together.

Greedy in unit order gives two colours on every bipartite lattice in C order except where a wrap makes
an odd cycle; a bipartite graph always gets two through a breadth-first walk.
"""

from __future__ import annotations

import numpy as np

from physebm.errors import LoweringError
from physebm.lowering.plan import CHUNK


def colour_units(size: int, edges: np.ndarray) -> np.ndarray:
    """Colour of every unit, ``[unit]``; `edges` is ``[edge, arity]``. Two colours iff bipartite."""
    neighbours = adjacency(size, edges)
    two = _two_colours(size, neighbours)
    return two if two is not None else _greedy(size, neighbours)


def adjacency(size: int, edges: np.ndarray) -> list[list[int]]:
    """Distinct units that share an edge with each unit, in increasing order."""
    sets: list[set[int]] = [set() for _ in range(size)]
    for edge in edges.tolist():
        for i in edge:
            sets[i].update(edge)
    return [sorted(s - {i}) for i, s in enumerate(sets)]


def _two_colours(size: int, neighbours: list[list[int]]) -> np.ndarray | None:
    colour = np.full(size, -1, dtype=np.int64)
    for start in range(size):
        if colour[start] >= 0:
            continue
        colour[start] = 0
        front = [start]
        while front:
            nxt = []
            for i in front:
                for j in neighbours[i]:
                    if colour[j] < 0:
                        colour[j] = 1 - colour[i]
                        nxt.append(j)
                    elif colour[j] == colour[i]:
                        return None
            front = nxt
    return colour


def _greedy(size: int, neighbours: list[list[int]]) -> np.ndarray:
    colour = np.full(size, -1, dtype=np.int64)
    for i in range(size):
        used = {int(colour[j]) for j in neighbours[i]}
        c = 0
        while c in used:
            c += 1
        colour[i] = c
    return colour


def refuse_two_colours(shape: tuple[int, ...], colours: np.ndarray, requested: int, where: str):
    """Raise when fewer colours are requested than the graph needs; names the odd axes."""
    needed = int(colours.max()) + 1 if len(colours) else 1
    if requested < needed:
        odd = [axis for axis, length in enumerate(shape) if length % 2]
        reason = f"axis {odd[0]} has odd periodic length {shape[odd[0]]}" if odd else "odd cycles"
        raise LoweringError(
            where,
            got=f"{requested} colours",
            expected=f"at least {needed}",
            hint=f"{reason}: two coupled units would be drawn together; leave the choice to physebm",
        )


def padded_order(colour: np.ndarray) -> np.ndarray:
    """Visiting order ``[position]``: classes one after the other, each padded with -1 to chunks."""
    parts = []
    for c in range(int(colour.max()) + 1 if len(colour) else 0):
        units = np.flatnonzero(colour == c)
        pad = -len(units) % CHUNK
        parts.append(np.concatenate([units, np.full(pad, -1)]))
    return np.concatenate(parts).astype(np.int32) if parts else np.zeros(0, dtype=np.int32)


def sequential_order(size: int) -> np.ndarray:
    """Visiting order 0, 1, ..., padded with -1 to whole chunks."""
    return np.concatenate([np.arange(size), np.full(-size % CHUNK, -1)]).astype(np.int32)

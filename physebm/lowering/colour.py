"""Colour classes: units that share no term may be drawn together.

Greedy in unit order gives two colours on every bipartite lattice in C order except where a wrap makes
an odd cycle; a bipartite graph always gets two through a breadth-first walk.
"""

from __future__ import annotations

import numpy as np

from physebm.errors import LoweringError
from physebm.lowering.plan import CHUNK
from physebm.native.graph_colours import greedy_colours, two_colours


def colour_units(size: int, edges: np.ndarray) -> np.ndarray:
    """Colour of every unit, ``[unit]``; `edges` is ``[edge, arity]``. Two colours iff bipartite."""
    start, neighbours = adjacency(size, edges)
    two = two_colours(start, neighbours)
    return two if two is not None else greedy_colours(start, neighbours)


def adjacency(size: int, edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Units that share an edge: those of unit i are ``neighbours[start[i]:start[i+1]]``, ascending."""
    edges = np.asarray(edges, dtype=np.int64)
    arity = edges.shape[1] if edges.ndim == 2 else 0
    sides = [(a, b) for a in range(arity) for b in range(arity) if a != b]
    i = np.concatenate([edges[:, a] for a, _ in sides] or [np.zeros(0, np.int64)])
    j = np.concatenate([edges[:, b] for _, b in sides] or [np.zeros(0, np.int64)])
    order = np.lexsort((j[i != j], i[i != j]))
    i, j = i[i != j][order], j[i != j][order]
    start = np.zeros(size + 1, dtype=np.int64)
    np.cumsum(np.bincount(i, minlength=size), out=start[1:])
    return start, j


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

"""Which lattices are swept in runs, and where the runs are: the same for every machine.

The units of a plan's order stand in a row, position after position. On a lattice the neighbours of
sixteen positions that follow each other mostly follow each other as well: a *run*, known by its start.
Where the lattice wraps, and on random graphs, a run is *broken*: it has a list of sixteen places.
"""

from __future__ import annotations

import numpy as np

from physebm.lowering.plan import (
    BlockUpdate,
    Constant,
    Decision,
    Layout,
    Neighbours,
    Order,
    SweepPlan,
)

RUN = 16


def is_in_runs(plan: SweepPlan) -> bool:
    """Whether lane after lane is swept in runs: one group with integer fields from neighbours."""
    if plan.layout is not Layout.ROWS or len(plan.groups) != 1:
        return False
    (move,) = plan.moves
    return (
        isinstance(move, BlockUpdate)
        and move.order is Order.COLOURED
        and move.decision is Decision.WORD_TABLE
        and all(isinstance(read, Neighbours | Constant) for read in plan.terms)
    )


def instances(*arrays: np.ndarray) -> range:
    """Instances of arrays whose first axis is the instance, or 1 where all share a row."""
    return range(max(len(values) for values in arrays))


def by_position(values: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Rows of `values` in visiting order, zero at empty positions."""
    return np.where((order >= 0).reshape(-1, *[1] * (values.ndim - 1)), values[order], 0)


def neighbour_runs(order: np.ndarray, n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``run`` and ``place`` of one graph, from its order ``[P]`` and neighbours ``[unit, d]``.

    ``run[block, d]`` is where the neighbours d of sixteen positions start, or ``-1 - k`` where they are
    broken: then they stand at ``place[k : k + 16]``. Neighbours that are not there stand at the place P
    behind all positions, which is also the last element of `place`.
    """
    positions = len(order)
    place_of = np.empty(len(n) + 1, dtype=np.int64)
    place_of[order[order >= 0]] = np.flatnonzero(order >= 0)
    place_of[-1] = positions  # where n is -1, and the neighbours of empty positions
    there = np.where((order >= 0)[:, None], place_of[n[order]], positions)
    blocks = there.reshape(-1, RUN, n.shape[1]).transpose(0, 2, 1)
    first = blocks[:, :, 0]
    follows = blocks == first[:, :, None] + np.arange(RUN)
    is_run = follows.all(axis=2) & (first + RUN <= positions)
    gathered = blocks[~is_run]
    run = first.copy()
    run[~is_run] = -1 - RUN * np.arange(len(gathered))
    return run.astype(np.int64), np.append(gathered.ravel(), positions)

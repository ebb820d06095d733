"""Graphs and thresholds as bit-sliced sweeps read them: units in the order in which they are drawn."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from physebm.backends.base import Launch
from physebm.backends.planes.sliced import Sliced
from physebm.errors import LoweringError
from physebm.lowering.operands import Operands

PAIRS = 8  # bonds that a processor counts at a time


@dataclass(frozen=True)
class Graph:
    """Operands of a plan, drawn unit by drawn unit; the first axis is the graph (1 where shared).

    Attributes
    ----------
    units, positions
        The unit and its draw position, ``[graph, draw]``.
    rows
        Row of the thresholds of count 0, ``[graph, draw]``.
    neighbours
        ``[graph, draw, degree]``, padded with the number of units.
    negative
        Whether a coupling is -1 ``[instance, draw, degree]``; None for unit weights.
    bonds
        How many there are, ``[graph]``.
    fields
        Local field of each row of thresholds that is used, None for the others.
    table, weights
        The operands themselves, unit by unit; weights are None where all are 1.
    """

    units: np.ndarray
    positions: np.ndarray
    rows: np.ndarray
    neighbours: np.ndarray
    negative: np.ndarray | None
    bonds: np.ndarray
    fields: tuple[int | None, ...]
    table: np.ndarray
    weights: np.ndarray | None

    @staticmethod
    def of(told: Sliced, operands: Operands) -> Graph:
        """Lay out the operands of a bit-sliced plan.

        Raises
        ------
        LoweringError
            for weights that are not +1 or -1.
        """
        table = operands.arrays[f"n{told.pair}"]
        order = operands.arrays["order0"]
        graphs, n, degree = table.shape
        drawn = [np.flatnonzero(each >= 0) for each in order]
        positions = np.stack(drawn).astype(np.uint32)
        units = np.take_along_axis(order, positions.astype(np.int64), axis=1).astype(np.int64)
        where = np.arange(graphs)[:, None], units
        neighbours = np.where(table < 0, n, table)[where].astype(np.int32)
        degrees = (neighbours < n).sum(axis=2)
        weights = None
        if told.signed:
            weights = operands.arrays[f"w{told.pair}"]
            if not np.array_equal(np.abs(weights), np.broadcast_to(table >= 0, weights.shape)):
                raise LoweringError("bit planes", got="weights that are not 1 or -1", hint="a bug")
        negative = None
        if weights is not None:
            of = np.arange(len(weights)) if graphs > 1 else np.zeros(len(weights), dtype=np.int64)
            negative = weights[np.arange(len(weights))[:, None], units[of]] < 0
        present = np.unique(degrees)
        most_field = int(present[-1])
        if told.ising:
            rows, size = most_field - degrees, most_field + 2 * degree + 1
            used = {int(d - 2 * k) for d in present for k in range(d + 1)}
            fields = [r - most_field for r in range(size)]
        else:
            rows, size = np.zeros_like(degrees), degree + 1
            used = set(range(most_field + 1))
            fields = list(range(size))
        return Graph(
            units,
            positions,
            rows.astype(np.int64),
            neighbours,
            negative,
            degrees.sum(axis=1) // 2,
            tuple(f if f in used else None for f in fields),
            table,
            weights,
        )

    @cached_property
    def _ends(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Row and column of every bond; it stands with both its units and is taken from the lower."""
        upper = np.arange(self.table.shape[1])[:, None] < self.table
        return [np.nonzero(each) for each in upper]

    @cached_property
    def pairs(self) -> np.ndarray:
        """Every bond once, ``[graph, bond, 2]``, padded to whole groups of eight."""
        most = -(-int(self.bonds.max(initial=1)) // PAIRS) * PAIRS
        pairs = np.full((len(self.table), most, 2), self.table.shape[1], dtype=np.int32)
        for g, (i, d) in enumerate(self._ends):
            pairs[g, : len(i)] = np.stack([i, self.table[g, i, d]], axis=1)
        return pairs

    @cached_property
    def pair_negative(self) -> np.ndarray | None:
        """Whether a bond's coupling is -1, ``[instance, bond]``; None for unit weights."""
        if self.weights is None:
            return None
        negative = np.zeros((len(self.weights), self.pairs.shape[1]), dtype=bool)
        for instance, row in enumerate(negative):
            i, d = self._ends[instance if len(self.table) > 1 else 0]
            row[: len(i)] = self.weights[instance, i, d] < 0
        return negative

    def entries(self, told: Sliced, launch: Launch, reads: tuple[int, ...]) -> np.ndarray:
        """Column of the threshold table of each row of thresholds, -1 for rows that nobody reads."""
        entries = []
        for field in self.fields:
            for up in range(told.states):
                index = 0
                for t, limit in zip(reads, launch.operands.ranges[0]):
                    # a uniform field is the number 1, its strength a coefficient
                    value = 1 if t == told.constant else field
                    index = index * (2 * limit + 1) + (value or 0) + limit
                entries.append(-1 if field is None else 2 * index + up)
        return np.array(entries, dtype=np.int64)


def signs_by_word(negative: np.ndarray, sets: np.ndarray) -> np.ndarray:
    """Bits of -1 in 16-bit masks, ``[set, ...]``; bit w belongs to instance ``sets[set, w]``."""
    out = np.zeros((len(sets), *negative.shape[1:]), dtype=np.uint16)
    for masks, instances in zip(out, sets):
        for w, instance in enumerate(instances):
            masks |= negative[instance].astype(np.uint16) << np.uint16(w)
    return out

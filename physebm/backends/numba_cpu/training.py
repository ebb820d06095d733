"""Training of small machines beside their chains: `backends.training` on the host.

Of a machine whose rows and couplings fit the caches, the arithmetic of an update takes less time than
numpy needs to be called for it, array by array: here it is two compiled calls. Larger machines are
trained the general way, by products that all threads share (`native.products`).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from physebm.backends.base import LaneState, Launch
from physebm.backends.numba_cpu.climb import ADAM, BLOCK, MOMENTUM, SGD, climb, sum_blocks, written
from physebm.backends.training import MOMENTS, PARTS, Climb, Told
from physebm.lowering.plan import SweepPlan
from physebm.model.units import UnitKind
from physebm.native import products

RULES = {"sgd": SGD, "momentum": MOMENTUM, "adam": ADAM}
# Couplings beyond which an update is mostly products
LARGEST = 100_000


def is_small(plan: SweepPlan, told: Climb) -> bool:
    """Whether a training is one of those that pay here; penalties go the general way."""
    read = plan.terms[told.couplings]
    couplings = plan.groups[read.a].width * plan.groups[read.b].width
    # products beyond `SERIAL` are shared by threads
    fits = couplings <= LARGEST and couplings * told.rows <= products.SERIAL
    return fits and not any(told.l1) and not any(told.l2)


class SmallTraining:
    """Data, arrays and optimiser of one machine; see `backends.training.Training`."""

    def __init__(self, plan: SweepPlan, launch: Launch, data: np.ndarray, told: Climb):
        read = plan.terms[told.couplings]
        visible, hidden = plan.groups[read.a], plan.groups[read.b]
        self._visible, self._low = visible.name, visible.prior.states[0]
        self._ising = hidden.prior.kind is UnitKind.ISING
        self._operands, self._told, self._data = launch.operands, told, np.ascontiguousarray(data)
        t, (of_a, of_b) = told.couplings, told.fields
        arrays = launch.operands.arrays
        self._to_b, self._to_a = arrays[f"J{t}_to_b"][0], arrays[f"J{t}_to_a"][0]
        self._field_a, self._field_b = arrays[f"h{of_a}"][0], arrays[f"h{of_b}"][0]
        self._terms, self._rule = (t, of_a, of_b), RULES[told.rule]
        self._decay = told.momentum if told.rule == "momentum" else told.beta1
        n, m = self._to_b.shape
        self._shape, size = (n, m), n * m + n + m
        self._now, self._previous, self._new = np.zeros((3, size))
        self._moments = {name: np.zeros(size) for name in MOMENTS[told.rule]}
        self._gradient, none = np.empty(size), np.zeros(0)
        self._first, self._second = (self._moments.get(name, none) for name in MOMENTS["adam"])
        self._single_b = np.empty(m, np.float32)
        self._mu_v, self._mu_h, self._begins = np.zeros(n), np.zeros(m), True
        self._all, self._lanes = np.arange(len(data)), np.arange(0)
        self._cut_for, self._cuts, self._of_samples = (0, 0), np.zeros((0, 2), np.int64), 0

    def load(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take over all arrays; without ``offset/b`` it begins with the first samples."""
        rows = {"now": self._now, "previous": self._previous, **self._moments}
        for name, row in rows.items():
            for part, place in self._parts(row).items():
                place[:] = arrays[f"{name}/{part}"].reshape(place.shape)
        if self._told.centred:
            self._mu_v[:] = arrays["offset/a"].reshape(-1)
            self._begins = "offset/b" not in arrays
            if not self._begins:
                self._mu_h[:] = arrays["offset/b"].reshape(-1)
        self._write()

    def fetch(self) -> dict[str, np.ndarray]:
        """Copies of all arrays."""
        rows = {"now": self._now, "previous": self._previous, **self._moments}
        found = {
            f"{name}/{part}": place.copy()
            for name, row in rows.items()
            for part, place in self._parts(row).items()
        }
        if self._told.centred:
            found["offset/a"] = self._mu_v.copy()
            if not self._begins:
                found["offset/b"] = self._mu_h.copy()
        return found

    def tried(self) -> dict[str, np.ndarray]:
        """``{W, a, b}`` of a step that was refused."""
        return {part: place.copy() for part, place in self._parts(self._new).items()}

    def update(
        self,
        state: LaneState,
        lanes: np.ndarray | None,
        rows: np.ndarray | None,
        rate: float,
        number: int,
    ) -> Told:
        """One step uphill; sweeps read the new couplings and fields at once."""
        told, x = self._told, state.seen[self._visible]
        if len(self._lanes) < len(x):
            self._lanes = np.arange(len(x))
        rows = self._all if rows is None else rows
        lanes = self._lanes[: len(x)] if lanes is None else lanes
        if self._cut_for != (len(rows), len(lanes)):
            self._cut(len(rows), len(lanes))
        sum_blocks(
            0, len(self._cuts), self._cuts, self._data, rows, x, lanes, self._low, self._ising,
            self._to_b, self._single_b, self._D, self._v, self._h,
        )  # fmt: skip
        norm, beyond = climb(
            self._now, self._new, self._first, self._second, self._gradient, self._mu_v, self._mu_h,
            self._D, self._v, self._h, self._of_samples, len(rows), len(lanes), told.centred,
            told.follow, self._begins, self._rule, self._decay, told.beta2, told.epsilon,
            told.clip or 0.0, rate, number, told.largest,
        )  # fmt: skip
        self._begins = False
        if not beyond:
            self._now, self._previous, self._new = self._new, self._now, self._previous
            self._write()
        return Told(norm, beyond)

    def _write(self) -> None:
        """Let sweeps read the present arrays."""
        parts = self._parts(self._now).values()
        written(self._to_b, self._to_a, self._field_a, self._field_b, self._single_b, *parts)
        for term in self._terms:
            self._operands.overwritten(term)

    def _parts(self, row: np.ndarray) -> dict[str, np.ndarray]:
        n, m = self._shape
        places = row[: n * m].reshape(n, m), row[n * m : n * m + n], row[n * m + n :]
        return dict(zip(PARTS, places))

    def _cut(self, samples: int, chains: int) -> None:
        """Blocks of as many rows, at most `BLOCK`; samples and chains apart."""
        (n, m), cuts = self._shape, []
        for first, count in ((0, samples), (samples, chains)):
            blocks = -(-count // BLOCK)
            edges = [first + count * k // blocks for k in range(blocks + 1)]
            cuts += zip(edges[:-1], edges[1:])
        self._of_samples = -(-samples // BLOCK)
        self._cuts, self._cut_for = np.array(cuts, np.int64), (samples, chains)
        self._D = np.empty((len(cuts), n, m), np.float32)
        self._v, self._h = np.empty((len(cuts), n)), np.empty((len(cuts), m))

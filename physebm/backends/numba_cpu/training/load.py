"""Training of small machines beside their chains: `backends.training` on the host.

Of a machine whose rows and couplings fit the caches, the arithmetic of an update takes less time than
numpy needs to be called for it, array by array: here many updates are one compiled call. Larger
machines are trained the general way, by products that all threads share (`native.products`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Protocol

import numba
import numpy as np

from physebm.backends.base import Lanes, LaneState, Launch
from physebm.backends.numba_cpu.modules import together
from physebm.backends.numba_cpu.sharing import Sharing
from physebm.backends.numba_cpu.training.climb import (
    ADAM,
    MOMENTUM,
    SGD,
    Rules,
    Steps,
    climb,
    written,
)
from physebm.backends.numba_cpu.training.means import padded
from physebm.backends.numba_cpu.training.sums import Machine, Sums, sum_blocks
from physebm.backends.training import MOMENTS, PARTS, Climb, Told
from physebm.lowering.plan import SweepPlan
from physebm.model.units import UnitKind
from physebm.native import products

RULES = {"sgd": SGD, "momentum": MOMENTUM, "adam": ADAM}
# Couplings beyond which an update is mostly products
LARGEST = 100_000
# Unit updates: of a call, some milliseconds, and of an update that threads share
AT_ONCE = 10_000_000
SHARED = 10_000
TRIAL = 4  # of a call where threads are on trial: waking them must count for little


class TileKernels(Protocol):
    """Kernels whose sweeps updates can call."""

    plan: SweepPlan
    updates: Callable  # of `emit_updates`

    def in_tiles(
        self, state: LaneState, lanes: Lanes, launch: Launch, first: int, count: int, threads: int
    ) -> tuple:
        """What sweeps of all tiles take, from ``count`` on; see `emit_updates`."""


def is_small(plan: SweepPlan, told: Climb) -> bool:
    """Whether a training is one of those that pay here; penalties go the general way."""
    read = plan.terms[told.couplings]
    couplings = plan.groups[read.a].width * plan.groups[read.b].width
    # products beyond `SERIAL` are shared by threads
    fits = couplings <= LARGEST and couplings * (told.samples + told.chains) <= products.SERIAL
    return fits and not any(told.l1) and not any(told.l2)


class SmallTraining:
    """Data, arrays and optimiser of one machine; see `backends.training.Sweeping`.

    Parameters
    ----------
    kernels
        Those that sweep the chains, of tiles.
    """

    def __init__(self, kernels: TileKernels, launch: Launch, data: np.ndarray, told: Climb):
        plan = kernels.plan
        read = plan.terms[told.couplings]
        visible, hidden = plan.groups[read.a], plan.groups[read.b]
        n, m, t, (of_a, of_b) = visible.width, hidden.width, told.couplings, told.fields
        arrays = launch.operands.arrays
        self._machine = Machine(
            to_b=arrays[f"J{t}_to_b"][0],
            to_a=arrays[f"J{t}_to_a"][0],
            field_a=arrays[f"h{of_a}"][0],
            field_b=arrays[f"h{of_b}"][0],
            b=np.zeros(padded(m), np.float32),
            low=visible.prior.states[0],
            ising=hidden.prior.kind is UnitKind.ISING,
        )
        self._rules = Rules(
            samples=told.samples,
            chains=told.chains,
            centred=told.centred,
            follow=told.follow,
            rule=RULES[told.rule],
            decay=told.momentum if told.rule == "momentum" else told.beta1,
            decay_square=told.beta2,
            epsilon=told.epsilon,
            clip=told.clip or 0.0,
            largest=told.largest,
        )
        size = n * m + n + m
        self._moments = {name: np.zeros(size) for name in MOMENTS[told.rule]}
        moments = (self._moments.get(name, np.zeros(0)) for name in MOMENTS["adam"])
        self._steps = Steps(*moments, np.empty(size), np.zeros(n), np.zeros(m))
        self._begins = True
        self._of_data, self._of_model = Sums.of(told.samples, n, m), Sums.of(told.chains, n, m)
        # arrays go round: before the last update, now, and room for the next
        self._arrays, self._now = np.zeros((3, size)), 0
        self._sharing = Sharing()
        self._kernels, self._launch, self._told = kernels, launch, told
        self._data = np.ascontiguousarray(data)
        self._visible, self._terms = visible.name, (t, of_a, of_b)
        self._all, self._lanes = np.arange(len(data)), np.arange(told.chains)

    @property
    def at_once(self) -> int:
        """Updates that one call makes."""
        n, m = self._machine.to_b.shape
        most = AT_ONCE // TRIAL if self._sharing.on_trial else AT_ONCE
        return max(1, most // ((n + m) * self._told.chains))

    def load(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take over all arrays; without ``offset/b`` it begins with the first samples."""
        for name, row in self._rows().items():
            for part, place in self._parts(row).items():
                place[:] = arrays[f"{name}/{part}"].reshape(place.shape)
        if self._rules.centred:
            self._steps.mu_v[:] = arrays["offset/a"].reshape(-1)
            self._begins = "offset/b" not in arrays
            if not self._begins:
                self._steps.mu_h[:] = arrays["offset/b"].reshape(-1)
        self._write()

    def fetch(self) -> dict[str, np.ndarray]:
        """Copies of all arrays."""
        found = {
            f"{name}/{part}": place.copy()
            for name, row in self._rows().items()
            for part, place in self._parts(row).items()
        }
        if self._rules.centred:
            found["offset/a"] = self._steps.mu_v.copy()
            if not self._begins:
                found["offset/b"] = self._steps.mu_h.copy()
        return found

    def tried(self) -> dict[str, np.ndarray]:
        """``{W, a, b}`` of a step that was refused."""
        return {part: place.copy() for part, place in self._parts(self._row(1)).items()}

    def update(
        self,
        state: LaneState,
        lanes: np.ndarray | None,
        rows: np.ndarray | None,
        rate: float,
        number: int,
    ) -> Told:
        """One step uphill; sweeps read the new couplings and fields at once."""
        x = state.seen[self._visible]
        for sums, source, chosen in (
            (self._of_data, self._data, self._all if rows is None else rows),
            (self._of_model, x, self._lanes if lanes is None else lanes),
        ):
            sum_blocks(0, len(sums.cuts), sums, source, chosen, self._machine)
        norm, beyond = climb(
            self._row(0), self._row(1), self._steps, self._of_data, self._of_model, self._rules,
            self._begins, rate, number,
        )  # fmt: skip
        self._begins = False
        if not beyond:
            self._now += 1
            self._write()
        return Told(norm, int(beyond))

    def updates(
        self,
        state: LaneState,
        lanes: Lanes,
        rows: np.ndarray | None,
        rates: np.ndarray,
        number: int,
        first: int,
        count: int,
    ) -> list[Told]:
        """Sweeps and a step for every rate, up to the first that is refused."""
        n, m = self._machine.to_b.shape
        most = 1
        if (n + m) * len(lanes) * count >= SHARED:
            most = min(numba.get_num_threads(), len(self._of_model.cuts))
        shares, begun = self._sharing.threads(most), time.perf_counter()
        told = np.full((len(rates), 2), np.nan)
        chosen = self._all[None] if rows is None else rows
        together(
            self._kernels.updates, shares, shares, np.zeros(1, np.int64), told, self._arrays,
            self._now % 3, self._steps, self._of_data, self._of_model, self._rules, self._machine,
            self._data, chosen, state.x[self._visible], self._lanes, rates, number, self._begins,
            *self._kernels.in_tiles(state, lanes, self._launch, first, count, shares),
        )  # fmt: skip
        self._sharing.tell(shares, most, time.perf_counter() - begun, len(rates))
        self._begins = False
        done = np.count_nonzero(told[:, 1] == 0)
        self._now += done
        self._overwritten()
        return [Told(norm, int(beyond)) for norm, beyond in told[: done + 1]]

    def _row(self, ahead: int) -> np.ndarray:
        """The arrays so many updates ahead: -1, 0 or 1."""
        return self._arrays[(self._now + ahead) % 3]

    def _rows(self) -> dict[str, np.ndarray]:
        return {"now": self._row(0), "previous": self._row(-1), **self._moments}

    def _write(self) -> None:
        """Let sweeps read the present arrays."""
        written(self._machine, self._row(0))
        self._overwritten()

    def _overwritten(self) -> None:
        for term in self._terms:
            self._launch.operands.overwritten(term)

    def _parts(self, row: np.ndarray) -> dict[str, np.ndarray]:
        n, m = self._machine.to_b.shape
        places = row[: n * m].reshape(n, m), row[n * m : n * m + n], row[n * m + n :]
        return dict(zip(PARTS, places))

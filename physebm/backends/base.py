"""The seam between plans and machines: `Backend.compile(plan) -> Kernels`, and what flows through it.

A *lane* is one chain or walker. Lanes of one call share a plan; each has its own instance (values),
rung (coefficients), walker number and key (random words), so that one call serves many temperatures,
samples of disorder and starts. Kernels work in place on a `LaneState`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np

from physebm.lowering.operands import Operands
from physebm.lowering.plan import SweepPlan
from physebm.lowering.thresholds import threshold_tables
from physebm.model.params import Coefficients
from physebm.model.units import Prior

STATE_DTYPES = {True: np.int8, False: np.float64}


def state_dtype(prior: Prior):
    """int8 for discrete units (int16 for Potts units of more than 127 states), float64 otherwise."""
    if prior.discrete and prior.q > 127:
        return np.int16
    return STATE_DTYPES[prior.discrete]


class Packed(Protocol):
    """Configurations in a form of a backend's own."""

    def unpack(self, configurations: Mapping[str, np.ndarray], work: Mapping[str, np.ndarray]) -> None:
        """Write them into arrays ``{group: x[lane, unit]}``, and running quantities into `work`."""


@runtime_checkable
class Reductions(Protocol):
    """Exact counts of packed configurations of discrete units, taken where they stand."""

    def state_counts(self, group: str) -> np.ndarray:
        """How many units stand in each state, ``[lane, state]``; of two states the lower first."""

    def agreements(self, group: str, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """How many units have the same state in lanes ``a[pair]`` and ``b[pair]``."""

    def pattern_sums(
        self, group: str, patterns: np.ndarray, lanes: np.ndarray, instance: np.ndarray
    ) -> np.ndarray:
        """``sum_i xi_i x_i``, ``[row, pattern]``: of a lane each, and of the patterns of an instance.

        `patterns` are -1, 0 or 1, ``[instance, pattern, unit]``.
        """

    def profiles(
        self, group: str, shape: tuple[int, ...], a: np.ndarray, b: np.ndarray | None
    ) -> list[np.ndarray]:
        """Per axis of a lattice sums over the others, ``[row, place]``: of x, or of ``x_a == x_b``."""


@runtime_checkable
class Rearranges(Protocol):
    """Packed configurations whose lanes can be copied where they stand."""

    def rearrange(self, sources: np.ndarray) -> None:
        """Let lane c stand where lane ``sources[c]`` stands now."""


class LaneState:
    """Configurations ``x[group] = [lane, unit]`` and the running fields that belong to them.

    `work` is owned by the kernels (``prepare`` fills it); it is saved with a checkpoint because its
    rounding is part of the trajectory between two rebuilds.

    Kernels may keep configurations (and `work`) packed between two calls: then ``x`` is written when
    someone takes it. Whoever takes ``x`` may write into it until the next call of a kernel, which packs
    it anew; `seen` is for those who only read. Arrays that were taken before that call may stay behind.
    """

    def __init__(self, x: dict[str, np.ndarray], work: dict[str, np.ndarray] | None = None):
        self._x = x
        self._work = {} if work is None else work
        self.packed: Packed | None = None
        self.packed_is_current = False
        self._behind = False

    @property
    def x(self) -> dict[str, np.ndarray]:
        """Configurations by group, to read and to write."""
        self._catch_up()
        self.packed_is_current = False
        return self._x

    @x.setter
    def x(self, configurations: dict[str, np.ndarray]) -> None:
        self._x, self._behind, self.packed_is_current = configurations, False, False

    @property
    def work(self) -> dict[str, np.ndarray]:
        """Running quantities by name, to read and to write; packed with the configurations."""
        if self._work:
            self._catch_up()
            self.packed_is_current = False
        return self._work

    @property
    def seen(self) -> dict[str, np.ndarray]:
        """Configurations by group, to read only: nothing is packed anew for it."""
        self._catch_up()
        views = {name: x.view() for name, x in self._x.items()}
        for view in views.values():
            view.flags.writeable = False
        return views

    @property
    def reductions(self) -> Reductions | None:
        """The packed form, where it is up to date and can be counted without being taken."""
        current = self._behind or self.packed_is_current
        return self.packed if current and isinstance(self.packed, Reductions) else None

    def rearrange(self, sources: np.ndarray) -> None:
        """Let lane c stand where lane ``sources[c]`` stands now, running quantities with it."""
        if isinstance(self.reductions, Rearranges):
            self.packed.rearrange(sources)
            self._behind = True
            return
        for held in (self.x, self.work):
            for name, values in held.items():
                held[name] = values[sources]

    def keep(self, packed: Packed, ahead: bool) -> None:
        """Let a packed form stand for the configurations; `ahead` of ``x`` where it was swept."""
        self.packed, self.packed_is_current, self._behind = packed, True, ahead

    def _catch_up(self) -> None:
        if self._behind:
            self.packed.unpack(self._x, self._work)
            self._behind = False

    @property
    def lanes(self) -> int:
        """Number of lanes."""
        return len(next(iter(self._x.values())))

    def copy(self) -> LaneState:
        """A deep copy."""
        return LaneState(
            {k: v.copy() for k, v in self.seen.items()}, {k: v.copy() for k, v in self.work.items()}
        )


@dataclass
class Lanes:
    """Per lane: instance, rung, walker (its chain number) and 64-bit key ``[lane, 2]``.

    ``clamp[group]`` is a bool mask of units that are held, ``[lane, unit]``, or ``[1, unit]`` for all
    lanes; absent groups are free.
    """

    instance: np.ndarray
    rung: np.ndarray
    walker: np.ndarray
    key: np.ndarray
    clamp: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self):
        self.instance = np.ascontiguousarray(self.instance, dtype=np.int64)
        self.rung = np.ascontiguousarray(self.rung, dtype=np.int64)
        self.walker = np.ascontiguousarray(self.walker, dtype=np.uint32)
        self.key = np.ascontiguousarray(self.key, dtype=np.uint32)

    def __len__(self) -> int:
        return len(self.rung)


@dataclass(frozen=True)
class Launch:
    """Everything that a kernel reads and does not change: operands, coefficients, thresholds."""

    operands: Operands
    coefficients: Coefficients
    tables: Mapping[int, np.ndarray]


def launch(plan: SweepPlan, operands: Operands, coefficients: Coefficients) -> Launch:
    """Bundle operands and coefficients, with the threshold tables of the plan's word-table moves."""
    return Launch(operands, coefficients, threshold_tables(plan, operands, coefficients))


class Kernels(Protocol):
    """Compiled kernels of one plan; arguments are checked by the caller."""

    plan: SweepPlan

    def prepare(self, state: LaneState, lanes: Lanes, launch: Launch) -> None:
        """(Re)build ``state.work`` from the configurations."""

    def sweep(
        self, state: LaneState, lanes: Lanes, launch: Launch, first: int, count: int
    ) -> np.ndarray:
        """Advance every lane by sweeps ``first .. first+count-1`` in place; ``E_lt`` afterwards."""

    def energies(self, state: LaneState, lanes: Lanes, launch: Launch) -> np.ndarray:
        """Bare term energies ``E_lt`` in float64."""


@runtime_checkable
class Advances(Protocol):
    """Kernels that are faster where nobody asks for energies."""

    def advance(self, state: LaneState, lanes: Lanes, launch: Launch, first: int, count: int) -> None:
        """As `Kernels.sweep`, to the same configurations."""


@dataclass(frozen=True)
class Slots:
    """The places of all ladders, ladder after ladder: who exchanges with whom.

    Attributes
    ----------
    start
        First slot of each ladder, and the number of slots.
    row
        Coefficient row of each slot.
    key, chain
        Per ladder: the 64-bit key ``[ladder, 2]`` and the chain number of its swap decisions.
    """

    start: np.ndarray
    row: np.ndarray
    key: np.ndarray
    chain: np.ndarray


@runtime_checkable
class Exchanges(Protocol):
    """Kernels that alternate sweeps and exchanges themselves, without the host in between."""

    def temper(
        self,
        state: LaneState,
        lanes: Lanes,
        launch: Launch,
        first: int,
        every: int,
        rounds: int,
        slots: Slots,
        statistics: dict[str, np.ndarray],
    ) -> np.ndarray:
        """`rounds` times: `every` sweeps, then one round of exchanges; `E_lt` afterwards.

        The definition is `sampling.tempering`: sweep `first` is a multiple of `every`, the round after
        sweep s has number ``s / every``. Changes ``lanes.rung`` and the arrays of `statistics` in
        place.
        """


class Backend(Protocol):
    """A way to turn plans into kernels."""

    name: str

    def compile(self, plan: SweepPlan) -> Kernels:
        """Compile, or fetch from the cache, the kernels of a plan."""

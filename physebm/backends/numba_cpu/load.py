"""Plan -> numba kernels of its layout; the seam's functions for rows, tiles and vectors of lanes."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import cached_property

import numpy as np

from physebm.backends.base import Lanes, LaneState, Launch
from physebm.backends.numba_cpu.derived import derived_names, derived_operands
from physebm.backends.numba_cpu.emit import emit
from physebm.backends.numba_cpu.modules import imported, in_slices, threads_for, together
from physebm.backends.numba_cpu.planes.load import PlanesKernels
from physebm.backends.numba_cpu.potts.emit import is_gathered
from physebm.backends.numba_cpu.potts.load import GatherKernels
from physebm.backends.numba_cpu.runs.decide import looks_up
from physebm.backends.numba_cpu.runs.kept import KEPT_POSITIONS, places_of, rows_for
from physebm.backends.numba_cpu.runs.places import threshold_list
from physebm.backends.numba_cpu.runs.shares import shares_for
from physebm.backends.numba_cpu.sharing import Sharing
from physebm.backends.numba_cpu.signature import Signature, signature
from physebm.backends.numba_cpu.tiles.emit import is_tiled, tile_size
from physebm.backends.numba_cpu.training.load import SmallTraining, is_small
from physebm.backends.numba_cpu.training.updates import emit_updates
from physebm.backends.numba_cpu.vector_code import LANES
from physebm.backends.numba_cpu.vectors.emit import lanes_of_a_tile
from physebm.backends.planes.sliced import is_sliced
from physebm.backends.reference_clusters import refuse_invalid
from physebm.backends.runs.graph import is_in_runs
from physebm.backends.tiling import tiles_of
from physebm.backends.training import Climb
from physebm.errors import StudyError
from physebm.lowering.operands import Operands
from physebm.lowering.plan import ClusterMove, Layout, Overlap, Running, SweepPlan, Weights

name = "numba"


def compile(plan: SweepPlan) -> NumbaKernels | PlanesKernels | GatherKernels:
    """Kernels of a plan: emitted, written once, imported; numba compiles at the first call."""
    if is_sliced(plan):
        return PlanesKernels(plan)
    if is_gathered(plan):
        return GatherKernels(plan)
    return NumbaKernels(plan, imported(emit(plan)))


class NumbaKernels:
    """Compiled kernels of one plan."""

    def __init__(self, plan: SweepPlan, module):
        self.plan = plan
        self._signature: Signature = signature(plan)
        self._arguments = (*self._signature.all, *derived_names(plan))
        self._derives, self._units = bool(derived_names(plan)), sum(g.size for g in plan.groups)
        self._module, self._sweep = module, module.sweep
        self._tiled = is_tiled(plan)
        self._vectors = plan.layout is Layout.VECTORS
        self._runs = is_in_runs(plan)
        self._clusters = any(isinstance(move, ClusterMove) for move in plan.moves)
        self._launch: Launch | None = None
        self._fixed: dict[str, np.ndarray] = {}
        self._operands: Operands | None = None
        self._version = -1  # of the operands that the derived ones were made of
        self._derived: dict[str, np.ndarray] = {}
        self._sharing = Sharing()
        self._tiles: tuple[np.ndarray | None, int, np.ndarray | None] = (None, 0, None)

    def prepare(self, state: LaneState, lanes: Lanes, launch: Launch) -> None:
        """Allocate and rebuild the running fields of every lane; nothing where there are none."""
        for t, read in enumerate(self.plan.terms):
            if isinstance(read, Running):
                width = self.plan.groups[read.group].width
                state.work[f"work{t}"] = np.zeros((len(lanes), width), np.float32)
            if isinstance(read, Overlap):
                integer = read.weights is not Weights.REAL
                integer = integer and self.plan.groups[read.group].prior.discrete
                patterns = launch.operands.arrays[f"xi{t}"].shape[2]
                kind = np.int32 if integer else np.float64
                state.work[f"work{t}"] = np.zeros((len(lanes), patterns), kind)
        if state.work:
            self._call(state, lanes, launch, 0, 0, True)

    def sweep(
        self, state: LaneState, lanes: Lanes, launch: Launch, first: int, count: int
    ) -> np.ndarray:
        """Advance every lane in place by sweeps ``first .. first+count-1``; `E_lt` afterwards."""
        self._check(lanes, launch, first + count)
        return self._call(state, lanes, launch, first, count, False)

    def advance(self, state: LaneState, lanes: Lanes, launch: Launch, first: int, count: int) -> None:
        """As `sweep`; tiles of lanes leave the energies out."""
        self._check(lanes, launch, first + count)
        self._call(state, lanes, launch, first, count, False, energies=not self._tiled)

    def _check(self, lanes: Lanes, launch: Launch, last: int) -> None:
        if last > 2**32:
            raise StudyError("a chain is limited to 2^32 sweeps, the range of its counter word")
        if self._clusters:
            refuse_invalid(self.plan, lanes, launch)

    def energies(self, state: LaneState, lanes: Lanes, launch: Launch) -> np.ndarray:
        """Bare term energies of the present configurations."""
        return self._call(state, lanes, launch, 0, 0, False)

    def training(self, launch: Launch, data: np.ndarray, climb: Climb) -> SmallTraining | None:
        """A training beside the chains, see `backends.training`; None where it does not pay."""
        pays = self._tiled and is_small(self.plan, climb)
        return SmallTraining(self, launch, data, climb) if pays else None

    @cached_property
    def updates(self):
        """Many updates of a training in one call; see `training.updates`."""
        return imported(emit_updates(emit(self.plan), self._arguments)).updates

    def in_tiles(
        self, state: LaneState, lanes: Lanes, launch: Launch, first: int, count: int, threads: int
    ) -> tuple:
        """What sweeps of all tiles take, without energies, on so many threads."""
        self._check(lanes, launch, first + count)
        self._bind(launch)
        tiles, E = self._tiles_of(lanes.instance, threads), np.zeros((0, len(self.plan.terms)))
        return tiles, *self._of_lanes(state, lanes, launch, first, count, False, E)

    @cached_property
    def _rows(self) -> NumbaKernels:
        """The same sweep with lane after lane, for calls with held units."""
        return compile(replace(self.plan, layout=Layout.ROWS))

    def _call(self, state, lanes, launch, first, count, rebuild, energies=True) -> np.ndarray:
        if self._vectors and lanes.clamp:
            return self._rows._call(state, lanes, launch, first, count, rebuild)
        self._bind(launch)
        if self._runs:
            return self._call_in_runs(state, lanes, launch, first, count)
        E = np.zeros((len(lanes) if energies else 0, len(self.plan.terms)))
        shared = self._of_lanes(state, lanes, launch, first, count, rebuild, E)
        updates = len(lanes) * self._units * max(count, 1)
        threads = threads_for(updates, len(lanes))
        items = len(lanes)
        if self._tiled or self._vectors:
            tiles = self._tiles_of(lanes.instance, threads)
            shared, items = (tiles, *shared), len(tiles)
            threads = min(threads, items)
        in_slices(self._sweep, items, threads, *shared)
        return E

    def _bind(self, launch: Launch) -> None:
        """Look up what stays the same from one call of a launch to the next."""
        old = self._derives and self._version != launch.operands.version
        if self._launch is not launch or old:
            self._launch, self._fixed = launch, self._fixed_arguments(launch)

    def _of_lanes(self, state, lanes, launch, first, count, rebuild, E) -> tuple:
        """All arguments of a call but those that say which lanes."""
        return (
            first, count, rebuild, lanes.instance, lanes.rung, lanes.walker, lanes.key,
            launch.coefficients.value, E, *self._array_arguments(state.x, state.work, lanes),
        )  # fmt: skip

    def _call_in_runs(self, state, lanes, launch, first, count) -> np.ndarray:
        """As `_call`, where threads may share a lane and states may stay in visiting order."""
        group, fixed = self.plan.groups[0], self._fixed
        kept, fresh = fixed["order0"].shape[1] >= KEPT_POSITIONS, True
        shares = most = 1
        states = np.empty((1, places_of(fixed)), np.int8)
        if kept:
            rows, fresh = rows_for(state, lanes, group.name, fixed, self._module.give)
            most = shares_for(fixed, len(lanes), count)
            states, shares = rows.states, self._sharing.threads(most)
        E = np.zeros((shares, len(lanes), len(self.plan.terms)))
        x = state.x if fresh else {group.name: states}
        shared = (
            shares, np.zeros(1, np.int64), states, fresh, kept, first, count, lanes.instance,
            lanes.rung, lanes.walker, lanes.key, launch.coefficients.value, E,
            *self._array_arguments(x, {}, lanes),
        )  # fmt: skip
        begun, updates = time.perf_counter(), len(lanes) * group.size * max(count, 1)
        if shares > 1:
            together(self._sweep, shares, *shared)
        else:
            in_slices(self._sweep, len(lanes), threads_for(updates, len(lanes)), *shared)
        self._sharing.tell(shares, most, time.perf_counter() - begun, updates)
        if kept and (fresh or count):
            state.keep(rows, ahead=count > 0)
        return E.sum(axis=0) if shares > 1 else E[0]

    def _tiles_of(self, instance: np.ndarray, threads: int) -> np.ndarray:
        """The tiles of a call; those of the call before where its lanes had the same instances."""
        of, cut_for, tiles = self._tiles
        if cut_for != threads or not np.array_equal(of, instance):
            size, step = tile_size(self.plan), 8
            if self._vectors:
                size, step = lanes_of_a_tile(self.plan), LANES
            tiles = tiles_of(instance, threads, size, step)
            self._tiles = instance.copy(), threads, tiles
        return tiles

    def _fixed_arguments(self, launch: Launch) -> dict[str, np.ndarray]:
        """Tables and operands by argument name; looked up once per launch, not once per call."""
        fixed = {name: launch.operands.arrays[name] for name in self._signature.operands}
        for name in self._signature.tables:
            number = _number(name)
            if name.startswith("range"):
                fixed[name] = np.array(launch.operands.ranges[number], dtype=np.int64)
            elif name.startswith("table"):
                fixed[name] = launch.tables[number]
        if is_in_runs(self.plan):
            fixed |= threshold_list(self.plan, launch, looks_up())
        if self._operands is not launch.operands or self._version != launch.operands.version:
            self._operands, self._version = launch.operands, launch.operands.version
            self._derived = derived_operands(self.plan, launch.operands)
        return fixed | self._derived

    @cached_property
    def _sources(self) -> list[tuple[str, str]]:
        """Of every array argument the kind, and the name by which that kind holds it."""

        def source(name: str) -> tuple[str, str]:
            if name in self._signature.work:
                return "work", name
            if name not in self._signature.x:
                return "fixed", name
            if name.startswith("held"):
                return "held", self.plan.groups[self.plan.moves[_number(name)].group].name
            return "x", self.plan.groups[_number(name)].name

        return [source(name) for name in self._arguments]

    def _array_arguments(self, x, work, lanes: Lanes) -> list[np.ndarray]:
        held = _Clamp(lanes.clamp) if lanes.clamp else _FREE
        by_kind = {"fixed": self._fixed, "work": work, "x": x, "held": held}
        return [by_kind[kind][name] for kind, name in self._sources]


def _number(name: str) -> int:
    """The group, term or move that an argument's name ends in."""
    return int("".join(filter(str.isdigit, name)))


class _Clamp(dict):
    """Masks of held units by group; an empty one for groups that are free."""

    def __missing__(self, group: str) -> np.ndarray:
        return _NO_CLAMP


_NO_CLAMP = np.zeros((1, 0), dtype=bool)
_FREE = _Clamp()

"""The seam's three functions for bit-sliced plans; planes stay packed from one call to the next."""

from __future__ import annotations

from collections.abc import Mapping

import numba
import numpy as np

from physebm.backends.base import Lanes, LaneState, Launch
from physebm.backends.numba_cpu.modules import imported, in_slices, threads_for
from physebm.backends.numba_cpu.planes.emit import emit_planes
from physebm.backends.numba_cpu.planes.vectors import widths
from physebm.backends.planes.graph import Graph, signs_by_word
from physebm.backends.planes.sliced import DIGITS, Sliced
from physebm.backends.planes.words import Words, width_for, words_of
from physebm.errors import StudyError
from physebm.lowering.operands import Operands
from physebm.lowering.plan import SweepPlan


class Planes:
    """Packed configurations of some lanes, and what their sweeps read.

    Attributes
    ----------
    words
        Places of the lanes.
    bits
        ``[tile, unit + 1, word]``, the last row zero.
    thresholds
        Planes of digits ``[tile, row, digit, word]`` for the rungs `rung` of `launch`.
    """

    def __init__(self, kernels: PlanesKernels, lanes: Lanes, graph: Graph):
        told, n = kernels.told, graph.units.shape[1]
        self.name = kernels.plan.groups[0].name
        threads = numba.get_num_threads()
        width = width_for(words_of(lanes)[1], threads, kernels.widths)
        self.words = words = Words.of(lanes, width, len(graph.units) == 1)
        self.graph, self.module = graph, kernels.module(width, graph)
        tiles = len(words.lane_of)
        self.bits = np.zeros((tiles, n + 1, width), dtype=np.uint32)
        rows = told.states * len(graph.fields)
        self.thresholds = np.zeros((tiles, rows, DIGITS, width), dtype=np.uint32)
        self.rung: np.ndarray | None = None
        self.launch: Launch | None = None
        self.entries: np.ndarray | None = None
        self.graph_of = words.instance[:, 0] if len(graph.units) > 1 else np.zeros(tiles, np.int64)
        self.sign_set = np.zeros(tiles, dtype=np.int64)
        self.signs, self.pair_signs = np.zeros((1, 1, 1), np.uint16), np.zeros((1, 1), np.uint16)
        if graph.negative is not None:
            instance = words.instance if len(graph.negative) > 1 else 0 * words.instance
            sets, found = np.unique(instance, axis=0, return_inverse=True)
            self.sign_set = found.reshape(-1)
            self.signs = signs_by_word(graph.negative, sets)
            self.pair_signs = signs_by_word(graph.pair_negative, sets)

    def pack(self, x: np.ndarray) -> None:
        """Take configurations ``[lane, unit]``."""
        self._each(self.module.pack, np.ascontiguousarray(x, dtype=np.int8))

    def unpack(self, configurations: Mapping[str, np.ndarray], work: Mapping[str, np.ndarray]) -> None:
        """Write configurations ``{group: x[lane, unit]}``; there are no running quantities."""
        x = configurations[self.name]
        plain = x.dtype == np.int8 and x.flags.c_contiguous
        out = x if plain else np.empty(x.shape, np.int8)
        self._each(self.module.unpack, out)
        if not plain:
            x[:] = out

    def _each(self, function, x: np.ndarray) -> None:
        tiles = len(self.bits)
        in_slices(function, tiles, threads_for(x.size, tiles), x, self.words.lane_of, self.bits)


class PlanesKernels:
    """Compiled kernels of a bit-sliced plan; the graph's largest degree is known at the first call."""

    def __init__(self, plan: SweepPlan, vector_widths: tuple[int, ...] | None = None):
        self.plan, self.told = plan, Sliced.of(plan)
        self.widths = vector_widths or widths()
        self._graph: tuple[Operands, Graph] | None = None

    def module(self, width: int, graph: Graph):
        """Compiled functions for tiles of some width."""
        return imported(emit_planes(self.plan, width, graph.neighbours.shape[2]))

    def prepare(self, state: LaneState, lanes: Lanes, launch: Launch) -> None:
        """Nothing to prepare: planes are packed when a sweep needs them."""

    def sweep(
        self, state: LaneState, lanes: Lanes, launch: Launch, first: int, count: int
    ) -> np.ndarray:
        """Advance every lane in place by sweeps ``first .. first+count-1``; `E_lt` afterwards."""
        if first + count > 2**32:
            raise StudyError("a chain is limited to 2^32 sweeps, the range of its counter word")
        return self._call(state, lanes, launch, first, count)

    def energies(self, state: LaneState, lanes: Lanes, launch: Launch) -> np.ndarray:
        """Bare term energies of the present configurations."""
        return self._call(state, lanes, launch, 0, 0)

    def _call(self, state: LaneState, lanes: Lanes, launch: Launch, first: int, count: int):
        if lanes.clamp:
            raise StudyError("units are held: lower the plan with Options(lanes=1)")
        planes = self._planes(state, lanes, launch)
        refresh = planes.launch is not launch or not np.array_equal(planes.rung, lanes.rung)
        if planes.launch is not launch:
            planes.entries = planes.graph.entries(self.told, launch, self.plan.moves[0].reads)
        planes.launch, planes.rung = launch, lanes.rung.copy() if refresh else planes.rung
        E = np.zeros((len(lanes), len(self.plan.terms)))
        graph, tiles = planes.graph, len(planes.bits)
        updates = len(lanes) * graph.units.shape[1] * max(count, 1)
        in_slices(
            planes.module.sweep, tiles, threads_for(updates, tiles),
            refresh, first, count, planes.bits, planes.thresholds, planes.words.stream,
            planes.words.lane_of, lanes.rung, launch.tables[0], planes.entries, planes.graph_of,
            planes.sign_set, graph.units, graph.positions, graph.rows, graph.neighbours, planes.signs,
            graph.pairs, planes.pair_signs, graph.bonds, E,
        )  # fmt: skip
        if count:
            state.keep(planes, ahead=True)
        return E

    def _planes(self, state: LaneState, lanes: Lanes, launch: Launch) -> Planes:
        """The state's planes, packed anew where its configurations or lanes have changed."""
        if self._graph is None or self._graph[0] is not launch.operands:
            self._graph = launch.operands, Graph.of(self.told, launch.operands)
        graph, planes = self._graph[1], state.packed
        if not isinstance(planes, Planes) or planes.graph is not graph or not planes.words.hold(lanes):
            planes = Planes(self, lanes, graph)
        elif state.packed_is_current:
            return planes
        planes.pack(state.x[self.plan.groups[0].name])
        state.keep(planes, ahead=False)
        return planes

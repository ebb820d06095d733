"""The seam's functions for bit-sliced plans: one word of 32 lanes per unit, planes kept on the device.

The plain kernels stand in where planes cannot: for units that are held, and graphs of units with more
than `MOST_NEIGHBOURS`, or with none. They have the same bits.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from physebm.backends.base import Lanes, LaneState, Launch
from physebm.backends.cuda.device import Buffer, Device
from physebm.backends.cuda.load import CudaKernels
from physebm.backends.cuda.parameters import filled, struct_type
from physebm.backends.cuda.planes.arrays import graph_arrays, word_arrays
from physebm.backends.cuda.planes.emit import emit_planes
from physebm.backends.cuda.planes.parameters import FIELDS
from physebm.backends.cuda.planes.shape import shape_of
from physebm.backends.cuda.rows_on_demand import RowsOnDemand
from physebm.backends.cuda.whole_or_parts import Shape
from physebm.backends.planes.graph import Graph
from physebm.backends.planes.sliced import Sliced
from physebm.backends.planes.words import Words
from physebm.lowering.plan import SweepPlan

MOST_NEIGHBOURS = 16  # whose thresholds fit the registers of a thread
ROW = 36  # numbers in a row of thresholds


class Resident:
    """Graphs and kernels, and the thresholds of the last launch, on the device."""

    def __init__(self, kernels: PlanesKernels, launch: Launch, graph: Graph, whole: bool):
        device, told = kernels.device, kernels.told
        self.device, self.graph = device, graph
        entry = graph.entries(told, launch, kernels.plan.moves[0].reads)
        arrays = graph_arrays(graph, launch.operands.arrays["class0"], whole)
        arrays["entry"] = entry.astype(np.int32)
        self.numbers = {
            "units": graph.units.shape[1],
            "classes": arrays["first"].shape[1] - 1,
            "rows": len(entry),
            "entries": launch.tables[0].shape[1],
        }
        self.buffers = {name: device.upload(values) for name, values in arrays.items()}
        self._launch: Launch | None = None
        source = emit_planes(kernels.plan, graph.neighbours.shape[2], "row" not in arrays, whole)
        names = ("sweep",) if whole else ("begin", "colour", "sum", "energies")
        self.functions = {name: device.function(source, name) for name in ("pack", "unpack", *names)}

    def take(self, launch: Launch) -> None:
        """Thresholds and coefficients of a launch of the same operands."""
        if self._launch is not launch:
            self.buffers["table"] = self.device.upload(launch.tables[0])
            self.buffers["coef"] = self.device.upload(launch.coefficients.value)
            self._launch = launch


class PlanesOnDevice(RowsOnDemand):
    """Planes of the lanes of a state, and the places of the lanes in them."""

    def __init__(self, kernels: PlanesKernels, resident: Resident, shape: Shape, words: Words):
        super().__init__(kernels.device, kernels.plan.groups)
        device, n, count = kernels.device, resident.numbers["units"], len(words.lane_of)
        self.kernels, self.resident, self.shape, self.words = kernels, resident, shape, words
        self.buffers = {
            name: device.upload(values) for name, values in word_arrays(words, resident.graph).items()
        }
        self.buffers["planes"] = device.room((count, n + 1), np.uint32)
        if not shape.whole:
            rows = resident.numbers["rows"]
            self.buffers["thresholds"] = device.room((count, rows, ROW), np.uint32)
            self.buffers["sums"] = device.room((count, 2, 32), np.uint64)

    def count(self) -> int:
        """Of lanes."""
        return self.words.lanes

    def run(self, kernel: str, x: Buffer) -> None:
        """Launch ``pack`` or ``unpack``."""
        shape = self.shape
        struct = self.kernels.struct_of(self, {"x": x})
        blocks = len(self.words.lane_of) * shape.share
        self.resident.functions[kernel](blocks, shape.threads, struct, (np.int32(shape.share),))


class PlanesKernels(CudaKernels):
    """Compiled kernels of a bit-sliced plan on one device.

    Parameters
    ----------
    whole
        Whether a block of threads has a whole lattice; None lets sizes decide (`shape_of`).
    """

    def __init__(self, plan: SweepPlan, device: Device, whole: bool | None = None):
        super().__init__(plan, device)
        self.told, self.whole = Sliced.of(plan), whole
        self.own_struct = struct_type(FIELDS)
        self._graph: tuple[object, Graph] | None = None
        self._residents: dict[bool, Resident] = {}
        self._held: PlanesOnDevice | None = None

    def struct_of(self, held: PlanesOnDevice, further: Mapping[str, Buffer]) -> np.ndarray:
        """Sizes and addresses; arrays that a kernel does not use may be absent."""
        numbers = held.resident.numbers | {"words": len(held.words.lane_of)}
        buffers = held.resident.buffers | held.buffers | dict(further)
        return filled(FIELDS, self.device, numbers, buffers)

    def _ready(self, state: LaneState, lanes: Lanes, launch: Launch):
        graph = self._graph_of(launch)
        if lanes.clamp or not 0 < graph.neighbours.shape[2] <= MOST_NEIGHBOURS:
            return super()._ready(state, lanes, launch)
        self._held = None  # lets go of planes that no state has any more
        self._held = held = self._planes(state, lanes, launch, graph)
        own = {
            "rung": self.device.upload(lanes.rung),
            "E": self.device.room((len(lanes), len(self.plan.terms)), np.float64),
        }
        kept = held.resident.buffers | held.buffers | own
        return held, self.struct_of(held, own), kept

    def _run(self, lanes: int, struct: np.ndarray, first: int, count: int, rebuild: bool) -> None:
        if struct.dtype != self.own_struct:
            super()._run(lanes, struct, first, count, rebuild)
            return
        shape, functions = self._held.shape, self._held.resident.functions
        self._held.changed()
        words, threads, share = int(struct["words"]), shape.threads, np.int32(shape.share)
        if shape.whole:
            further = (np.uint32(first), np.uint32(count))
            functions["sweep"](words, threads, struct, further, shape.shared)
            return
        functions["begin"](words, threads, struct, (np.int32(0),))
        for sweep in range(first, first + count):
            for colour in range(int(struct["classes"])):
                further = (np.uint32(sweep), np.int32(colour), share)
                functions["colour"](words * shape.share, threads, struct, further, shape.shared)
        functions["sum"](words * shape.share, threads, struct, (share,))
        functions["energies"](words, 32, struct, (np.int32(0),))

    def _graph_of(self, launch: Launch) -> Graph:
        if self._graph is None or self._graph[0] is not launch.operands:
            self._graph = launch.operands, Graph.of(self.told, launch.operands)
        return self._graph[1]

    def _planes(self, state: LaneState, lanes: Lanes, launch: Launch, graph: Graph) -> PlanesOnDevice:
        """The state's planes, packed anew where its configurations, lanes or graphs have changed."""
        held = state.packed
        fits = isinstance(held, PlanesOnDevice) and held.kernels is self
        fits = fits and held.resident.graph is graph and held.words.hold(lanes)
        words = held.words if fits else Words.of(lanes, 1, len(graph.units) == 1)
        classes = int(launch.operands.arrays["class0"].max()) + 1
        shape = shape_of(self.device, graph, self.told, classes, len(words.lane_of), self.whole)
        resident = self._residents.get(shape.whole)
        if resident is None or resident.graph is not graph:
            resident = self._residents[shape.whole] = Resident(self, launch, graph, shape.whole)
        resident.take(launch)
        if not fits or held.resident is not resident:
            held = PlanesOnDevice(self, resident, shape, words)
        elif state.packed_is_current:
            return held
        held.pack(state.x)
        state.keep(held, ahead=False)
        return held

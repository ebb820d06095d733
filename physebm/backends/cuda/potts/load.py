"""Kernels for Potts units that gather their fields; calls that hold units go to the plain kernel."""

from __future__ import annotations

import numpy as np

from physebm.backends.base import Lanes, LaneState, Launch
from physebm.backends.cuda.device import Buffer, Device
from physebm.backends.cuda.load import CudaKernels
from physebm.backends.cuda.on_device import OnDevice
from physebm.backends.cuda.parameters import Parameter, struct_type
from physebm.backends.cuda.potts.emit import MOST_THREADS, Shape, emit_gathers, gather_parameters
from physebm.backends.tiling import tiles_of
from physebm.lowering.plan import SweepPlan

ROWS = (16, 8, 4, 2)  # lanes that a tile may have, in eights
TABLE = 32  # lanes whose draws take as long as reading a unit's table from the second cache


class GatherKernels(CudaKernels):
    """Compiled kernels of a plan whose Potts units gather their fields, for tiles of lanes."""

    def __init__(self, plan: SweepPlan, device: Device):
        super().__init__(plan, device)
        self.plain = CudaKernels(plan, device)
        self.fields = gather_parameters(plan)
        self.struct = struct_type(self.fields)
        self._functions: dict[Shape, object] = {}
        self._shape: Shape | None = None
        self._tiles: np.ndarray | None = None
        self._instance: np.ndarray | None = None

    def _ready(self, state: LaneState, lanes: Lanes, launch: Launch):
        if not np.array_equal(self._instance, lanes.instance):
            self._shape = shape_for(self.plan, lanes.instance, self.device)
            if self._shape is not None:
                self._tiles = tiles_of(lanes.instance, 1, 8 * self._shape.rows)
            self._instance = lanes.instance.copy()
        if lanes.clamp or self._shape is None:
            return self.plain._ready(state, lanes, launch)
        return super()._ready(state, lanes, launch)

    def _buffer(self, each: Parameter, held: OnDevice, lanes: Lanes) -> Buffer | None:
        if each.name == "tiles":
            return self.device.upload(self._tiles)
        return super()._buffer(each, held, lanes)

    def _run(self, lanes: int, struct: np.ndarray, first: int, count: int, rebuild: bool) -> None:
        if struct.dtype != self.struct:
            self.plain._run(lanes, struct, first, count, rebuild)
            return
        shape = self._shape
        if shape not in self._functions:
            self._functions[shape] = self.device.function(emit_gathers(self.plan, shape), "sweep")
        further = (np.uint32(first), np.uint32(count), np.int32(rebuild))
        shared = shape.shared(self.plan.groups[0].size)
        self._functions[shape](len(self._tiles), 128 * shape.panels, struct, further, shared)


def shape_for(plan: SweepPlan, instance: np.ndarray, device: Device) -> Shape | None:
    """The tile that leaves the fewest multiprocessors waiting; None where states fit no block."""
    lanes, group = np.bincount(instance), plan.groups[0]
    shapes = [Shape(rows, group.prior.q) for rows in ROWS]
    shapes = [
        each
        for each in shapes
        if 128 * each.panels <= MOST_THREADS and each.shared(group.size) <= device.shared
    ]

    def cost(shape: Shape) -> int:
        tiles = int((-(-lanes // (8 * shape.rows))).sum())
        return -(-tiles // device.multiprocessors) * (8 * shape.rows + TABLE)

    return min(shapes, key=cost, default=None)

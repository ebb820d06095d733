"""Kernels for tiles of lanes: which shape of tile a call gets, and the lanes of its tiles.

A block of threads is as fast with one lane in its tile as with all, so that the shape follows the lanes
of a call: with many, tiles whose blocks occupy every multiprocessor equally; with few, small tiles and
more threads for each. No bit of a lane depends on the choice.
"""

from __future__ import annotations

import numpy as np

from physebm.backends.base import Lanes, Launch
from physebm.backends.cuda.device import Buffer, Device
from physebm.backends.cuda.load import CudaKernels, OnDevice
from physebm.backends.cuda.parameters import Parameter, struct_type
from physebm.backends.cuda.tiles.emit import Shape, emit_tiles, products_of, tile_parameters
from physebm.backends.tiling import tiles_of
from physebm.lowering.plan import SweepPlan

SHARED_BYTES = 48 * 1024  # of a block, without asking for more
DEPTH = 16  # sources in shared memory at a time, of tile_products.cuh
WARPS = 16  # of a multiprocessor, that hide each other's waiting


class TileKernels(CudaKernels):
    """Compiled kernels of a plan with products between groups, for tiles of lanes."""

    def __init__(self, plan: SweepPlan, device: Device):
        super().__init__(plan, device)
        self.fields = tile_parameters(plan)
        self.struct = struct_type(self.fields)
        self._shapes: dict[Shape, object] = {}
        self._shape = Shape(1, 1)
        self._tiles = np.empty((0, 8), np.int64)
        self._instance: np.ndarray | None = None

    def _bind(
        self, held: OnDevice, lanes: Lanes, launch: Launch
    ) -> tuple[np.ndarray, dict[str, Buffer]]:
        if self._instance is not lanes.instance:
            self._shape = shape_for(self.plan, lanes.instance, self.device.multiprocessors)
            self._tiles = tiles_of(lanes.instance, 1, self._shape.lanes)
            self._instance = lanes.instance
        return super()._bind(held, lanes, launch)

    def _buffer(self, each: Parameter, held: OnDevice, lanes: Lanes) -> Buffer | None:
        if each.name == "tiles":
            return self.device.upload(self._tiles)
        return super()._buffer(each, held, lanes)

    def _run(self, lanes: int, struct: np.ndarray, first: int, count: int, rebuild: bool) -> None:
        shape = self._shape
        if shape not in self._shapes:
            self._shapes[shape] = self.device.function(emit_tiles(self.plan, shape), "sweep")
        further = (np.uint32(first), np.uint32(count), np.int32(rebuild))
        self._shapes[shape](len(self._tiles), shape.threads, struct, further)


def shape_for(plan: SweepPlan, instance: np.ndarray, multiprocessors: int) -> Shape:
    """The shape of tiles that leaves the fewest multiprocessors without work.

    A multiprocessor that works on n tiles of `rows` lanes per thread takes about ``n (rows + 1)``: a
    multiply-add for each lane, and what every tile costs anyhow.
    """
    lanes = np.bincount(instance)

    def tiles(rows: int) -> int:
        return int((-(-lanes // (8 * rows))).sum())

    def cost(rows: int) -> int:
        return -(-tiles(rows) // multiprocessors) * (rows + 1)

    rows = min(range(8, 0, -1), key=cost)
    of_each = -(-tiles(rows) // multiprocessors)
    panels = next(n for n in (4, 2, 1) if n == 1 or 4 * n * of_each <= WARPS)
    while panels > 1 and shared_bytes(plan, Shape(rows, panels)) > SHARED_BYTES:
        panels //= 2
    while rows > 1 and shared_bytes(plan, Shape(rows, panels)) > SHARED_BYTES:
        rows -= 1
    return Shape(rows, panels)


def shared_bytes(plan: SweepPlan, shape: Shape) -> int:
    """Shared memory of a block: two panels of couplings and of sources, fields, the lanes."""
    products = max(len(products_of(plan, move)) for move in plan.moves)
    couplings = 2 * shape.panels * DEPTH * 64 * 4
    sources = 2 * DEPTH * (shape.lanes + 4) * 4
    return couplings + sources + products * 16 * shape.rows * shape.threads + 8 * (shape.lanes + 2)

"""Kernels for tiles of lanes: which shape of tile a call gets, and the lanes of its tiles.

A block of threads is as fast with one lane in its tile as with all, so that the shape follows the lanes
of a call: with many, tiles that occupy every multiprocessor equally; with few, small tiles and more
threads for each. No bit of a lane depends on the choice.
"""

from __future__ import annotations

import numpy as np

from physebm.backends.base import Lanes, Launch
from physebm.backends.cuda.device import Buffer, Device, Function
from physebm.backends.cuda.load import CudaKernels, OnDevice
from physebm.backends.cuda.parameters import Parameter, struct_type
from physebm.backends.cuda.tiles.emit import emit_tiles
from physebm.backends.cuda.tiles.reads import (
    Shape,
    fma_sides,
    products_of,
    source_of,
    tensor_sides,
    tile_parameters,
)
from physebm.backends.source import Source
from physebm.backends.tiling import tiles_of
from physebm.lowering.plan import SweepPlan

DEPTH = 16  # sources in shared memory at a time, of tile_products.cuh
WARPS = 16  # of a multiprocessor, that hide each other's waiting
# by tensor cores and panels: the threads of a block share 65536 registers
MOST_ROWS = {True: {4: 4, 2: 16}, False: {4: 2, 2: 8}}


class TileKernels(CudaKernels):
    """Compiled kernels of a plan with products between groups, for tiles of lanes."""

    def __init__(self, plan: SweepPlan, device: Device):
        super().__init__(plan, device)
        self.tensor = device.tensor_cores and bool(tensor_sides(plan))
        self.fields = tile_parameters(plan, self.tensor)
        self.struct = struct_type(self.fields)
        self._sources: dict[Shape, Source] = {}
        self._functions: dict[tuple[Shape, str], Function] = {}
        self._shape = Shape(1, 1)
        self._tiles: Buffer = None
        self._instance: np.ndarray | None = None
        # of which launch, at which version, the planes are
        self._planes_of: tuple[object, int] = (None, 0)

    def _bind(
        self, held: OnDevice, lanes: Lanes, launch: Launch
    ) -> tuple[np.ndarray, dict[str, Buffer]]:
        if not np.array_equal(self._instance, lanes.instance):
            self._shape = shape_for(self.plan, lanes.instance, self.device, self.tensor)
            self._tiles = self.device.upload(tiles_of(lanes.instance, 1, self._shape.lanes))
            self._instance = lanes.instance.copy()
        struct, kept = super()._bind(held, lanes, launch)
        present = self._resident, self._resident.version
        if self.tensor and present != self._planes_of:
            instances = launch.operands.instances
            self._function("split")(
                8 * self.device.multiprocessors, 256, struct, (np.uint32(instances),)
            )
            self._planes_of = present
        return struct, kept

    def _buffer(self, each: Parameter, held: OnDevice, lanes: Lanes) -> Buffer | None:
        if each.name == "tiles":
            return self._tiles
        if each.name.startswith("bits"):
            numbers = self.plan.groups[int(each.name.removeprefix("bits"))].width
            return self._kept(each.name, (self._tiles.size, -(-numbers // 32)), np.uint32)
        if each.name.startswith("planes"):
            t, side = each.name.removeprefix("planes").split("_to_")
            return self._kept(each.name, self._planes_shape(int(t), side), np.uint32)
        return super()._buffer(each, held, lanes)

    def _planes_shape(self, t: int, side: str) -> tuple[int, ...]:
        """[instance, panel, word, ...]: 32-bit words of the planes of a product's couplings."""
        instances = self._resident.buffers[f"J{t}_to_{side}"].shape[0]
        sources = self.plan.groups[source_of(self.plan, t, side)].width
        width = self.plan.groups[getattr(self.plan.terms[t], side)].width
        return instances, -(-width // 64), -(-sources // 32), 2 * 3 * 128 * 4

    def _kept(self, name: str, shape: tuple[int, ...], dtype) -> Buffer:
        room = self._room.get(name)
        if room is None or room.shape != shape:
            room = self._room[name] = self.device.room(shape, dtype)
        return room

    def _function(self, kernel: str) -> Function:
        shape = self._shape
        if shape not in self._sources:
            self._sources[shape] = emit_tiles(self.plan, shape)
        if (shape, kernel) not in self._functions:
            self._functions[shape, kernel] = self.device.function(self._sources[shape], kernel)
        return self._functions[shape, kernel]

    def _run(self, lanes: int, struct: np.ndarray, first: int, count: int, rebuild: bool) -> None:
        further = (np.uint32(first), np.uint32(count), np.int32(rebuild))
        shape, shared = self._shape, bytes_of_fields(self.plan, self._shape)
        self._function("sweep")(len(self._tiles), shape.threads, struct, further, shared)


def shape_for(plan: SweepPlan, instance: np.ndarray, device: Device, tensor: bool) -> Shape:
    """The shape of tiles that leaves the fewest multiprocessors without work.

    A multiprocessor that works on n tiles of `rows` lanes per thread takes about ``n (rows + fixed)``:
    what every lane costs, and what every tile costs anyhow, which is more where couplings come in
    planes from the second cache.
    """
    lanes = np.bincount(instance)
    fixed, choices = (8, range(16, 0, -2)) if tensor else (1, range(8, 0, -1))

    def of_each(rows: int) -> int:
        return -(-int((-(-lanes // (8 * rows))).sum()) // device.multiprocessors)

    def fits(shape: Shape) -> bool:
        beside = min(of_each(shape.rows), WARPS // 4 // shape.panels)
        return max(beside, 1) * bytes_of_block(plan, shape) <= device.shared

    fitting = [rows for rows in choices if fits(Shape(rows, 1, tensor))]
    rows = min(fitting or choices[-1:], key=lambda rows: of_each(rows) * (rows + fixed))
    for panels in (4, 2):
        shape = Shape(rows, panels, tensor)
        if 4 * panels * of_each(rows) <= WARPS and rows <= MOST_ROWS[tensor][panels] and fits(shape):
            return shape
    return Shape(rows, 1, tensor)


def bytes_of_fields(plan: SweepPlan, shape: Shape) -> int:
    """Shared memory for the fields of the products of a move."""
    products = max(len(products_of(plan, move)) for move in plan.moves)
    return products * 4 * 4 * shape.rows * shape.threads


def bytes_of_block(plan: SweepPlan, shape: Shape) -> int:
    """Shared memory of a block: fields, the lanes, two panels of couplings and of sources."""
    total = bytes_of_fields(plan, shape) + 8 * (shape.lanes + 1)
    if fma_sides(plan, shape.tensor):
        total += 2 * DEPTH * (64 * shape.panels + shape.lanes + 4) * 4
    return total

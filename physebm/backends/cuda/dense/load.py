"""Kernels for units that all interact: tiles of lanes, and when running quantities reach the host.

With couplings no field is kept from one call to the next: whoever takes the running fields of a state,
to save them, has them made from its configurations. Calls that hold units go to the plain kernel.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from physebm.backends.base import Lanes, LaneState, Launch
from physebm.backends.cuda.dense.emit import (
    BLOCK,
    ROWS,
    dense_parameters,
    dense_term,
    emit_dense,
    room_bytes,
)
from physebm.backends.cuda.device import Buffer, Device
from physebm.backends.cuda.load import CudaKernels
from physebm.backends.cuda.on_device import OnDevice
from physebm.backends.cuda.parameters import Parameter, struct_type
from physebm.backends.cuda.resident import Resident
from physebm.backends.tiling import tiles_of
from physebm.lowering.plan import Running, SweepPlan

THREADS = 256
# Integers up to here, and their sums, are exact in float; and the largest that kernels can add up.
EXACT, LARGEST = 2**24, 2**31


class DenseResident(Resident):
    """What kernels of patterns read beside the operands: patterns by columns, couplings in blocks.

    Attributes
    ----------
    bound
        No sum of integers is larger; 0 for couplings.
    """

    def __init__(self, plan: SweepPlan, device: Device, fields, launch: Launch):
        super().__init__(plan, device, fields, launch)
        xi = launch.operands.arrays.get(f"xi{dense_term(plan)}")
        self.bound = 0
        if xi is not None:
            largest = max(int(xi.max(initial=1)), -int(xi.min(initial=-1)))
            self.bound = largest**2 * xi.shape[1] * xi.shape[2]

    def _values(self, each: Parameter) -> np.ndarray:
        stem, xi = each.name.rstrip("0123456789"), f"xi{each.name.lstrip('abcdefghijklmnopqrstuvwxyz')}"
        if stem == "columns":
            return np.ascontiguousarray(self.launch.operands.arrays[xi].swapaxes(1, 2))
        if stem == "within":
            return couplings_within_blocks(self.launch.operands.arrays[xi])
        return super()._values(each)


def couplings_within_blocks(xi: np.ndarray) -> np.ndarray:
    """``sum_mu xi_i xi_j`` of the units of every block, ``[instance, block, 64, 64]``, float32."""
    instances, n, patterns = xi.shape
    padded = np.zeros((instances, -(-n // BLOCK) * BLOCK, patterns), np.float32)
    padded[:, :n] = xi
    blocks = padded.reshape(instances, -1, BLOCK, patterns)
    return blocks @ blocks.swapaxes(2, 3)


class DenseOnDevice(OnDevice):
    """Configurations and, of patterns, overlaps; fields are made when they are taken."""

    refill = None

    def rearrange(self, sources: np.ndarray) -> None:
        """Fields are made of the states that they belong to before both are copied."""
        if self.refill is not None:
            self.refill()
            self.refill = None
        super().rearrange(sources)

    def unpack(self, configurations: dict[str, np.ndarray], work: dict[str, np.ndarray]) -> None:
        """Write them into host arrays."""
        if self.refill is not None:
            self.refill()
        super().unpack(configurations, work)


class DenseKernels(CudaKernels):
    """Compiled kernels of a plan whose units all interact, for tiles of lanes."""

    def __init__(self, plan: SweepPlan, device: Device):
        super().__init__(plan, device)
        self.plain = CudaKernels(plan, device)
        self.fields = dense_parameters(plan)
        self.struct = struct_type(self.fields)
        self.term = dense_term(plan)
        self.couplings = isinstance(plan.terms[self.term], Running)
        self._functions: dict[tuple[int, str], object] = {}
        self._tiles: np.ndarray | None = None
        self._instance: np.ndarray | None = None
        self._rows, self._launched = 1, (1, 0, "float")
        self._words = 4 * BLOCK * -(-plan.groups[0].size // BLOCK)  # bytes of a tile's states

    def _ready(self, state: LaneState, lanes: Lanes, launch: Launch):
        bound = self.resident(launch).bound
        too_large = room_bytes(ROWS[0]) + self._words > self.device.shared or bound >= LARGEST
        if lanes.clamp or too_large:
            _ = state.x  # packed anew by the plain kernels, running fields with them
            return self.plain._ready(state, lanes, launch)
        if not np.array_equal(self._instance, lanes.instance):
            self._rows = rows_for(lanes.instance, self.device.multiprocessors)
            self._tiles = tiles_of(lanes.instance, 1, 8 * self._rows)
            self._instance = lanes.instance.copy()
        held, struct, kept = super()._ready(state, lanes, launch)
        self._launched = (self._rows, len(self._tiles), "float" if bound < EXACT else "i32")
        if self.couplings:
            # `kept` are the buffers that the struct points to
            held.refill = partial(self._refill, self._launched, struct, kept)
        return held, struct, kept

    def _on_device(self, state: LaneState) -> OnDevice:
        held = state.packed
        if isinstance(held, DenseOnDevice) and held.device is self.device and state.packed_is_current:
            return held
        x, work = state.x, state.work  # what others have packed is written back first
        held = DenseOnDevice(self.device, self.plan.groups)
        held.pack(x, work)
        state.keep(held, ahead=False)
        return held

    def _resident_of(self, launch: Launch) -> Resident:
        return DenseResident(self.plan, self.device, self.fields, launch)

    def _buffer(self, each: Parameter, held: OnDevice, lanes: Lanes) -> Buffer | None:
        if each.name == "tiles":
            return self.device.upload(self._tiles)
        if each.name == f"overlaps{self.term}":
            patterns = self._resident.numbers[f"patterns{self.term}"]
            return self.device.room((*self._tiles.shape[:1], patterns, 8 * self._rows), np.int32)
        return super()._buffer(each, held, lanes)

    def _run(self, lanes: int, struct: np.ndarray, first: int, count: int, rebuild: bool) -> None:
        if struct.dtype == self.struct:
            self._run_tiles(self._launched, struct, first, count, rebuild)
        else:
            self.plain._run(lanes, struct, first, count, rebuild)

    def _run_tiles(self, launched, struct: np.ndarray, first: int, count: int, rebuild: bool) -> None:
        rows, tiles, number = launched
        if (rows, number) not in self._functions:
            source = emit_dense(self.plan, rows, number)
            self._functions[rows, number] = self.device.function(source, "sweep")
        further = (np.uint32(first), np.uint32(count), np.int32(rebuild))
        shared = room_bytes(rows) + self._words
        self._functions[rows, number](tiles, THREADS, struct, further, shared)

    def _refill(self, launched, struct: np.ndarray, kept: dict[str, Buffer]) -> None:
        self._run_tiles(launched, struct, 0, 0, True)


def rows_for(instance: np.ndarray, multiprocessors: int) -> int:
    """Lanes of a tile, in eights: of 1, 2 and 4 what leaves the fewest multiprocessors waiting.

    A multiprocessor with n tiles takes about ``n (rows + 1)``: its multiply-adds, and the
    couplings that every tile reads.
    """
    lanes = np.bincount(instance)

    def cost(rows: int) -> int:
        tiles = int((-(-lanes // (8 * rows))).sum())
        return -(-tiles // multiprocessors) * (rows + 1)

    return min(ROWS, key=cost)

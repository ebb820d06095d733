"""The seam's functions for lattices in runs: states stay on the device in visiting order.

The plain kernel stands in where units are held, and for operands that do not fit bytes (`fits_runs`).
It has the same bits.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from physebm.backends.base import Lanes, LaneState, Launch
from physebm.backends.cuda.device import Buffer, Device
from physebm.backends.cuda.lattice.emit import emit_lattice
from physebm.backends.cuda.lattice.parameters import (
    degrees_of,
    fits_runs,
    lattice_arrays,
    lattice_parameters,
)
from physebm.backends.cuda.lattice.shape import shape_of
from physebm.backends.cuda.load import CudaKernels
from physebm.backends.cuda.parameters import Parameter, filled, struct_type
from physebm.backends.cuda.resident import Resident
from physebm.backends.cuda.rows_on_demand import RowsOnDemand
from physebm.backends.cuda.whole_or_parts import Shape
from physebm.backends.runs.graph import RUN
from physebm.lowering.plan import SweepPlan

KERNELS = ("colour", "sum", "energies", "sweep", "pack", "unpack")


class RunsResident(Resident):
    """Tables of a launch on the device, and the kernels for its graphs."""

    def __init__(self, plan: SweepPlan, device: Device, fields: tuple[Parameter, ...], launch: Launch):
        self._made = lattice_arrays(plan, launch.operands)
        super().__init__(plan, device, fields, launch)
        self.coef = device.upload(launch.coefficients.value)
        self.operands = launch.operands
        degrees = degrees_of(plan, launch.operands)
        # sums of neighbours may have more indices than are met
        met = self.numbers["entries0"]
        self.numbers["thresholds"] = max(met, 4 * max(degrees.values()) + 2)
        source = emit_lattice(plan, degrees)
        self.functions = {name: device.function(source, name) for name in KERNELS}

    def take(self, launch: Launch) -> None:
        """Thresholds and coefficients of a launch of the same operands."""
        if self.launch is not launch:
            self.buffers["table0"] = self.device.upload(launch.tables[0])
            self.coef = self.device.upload(launch.coefficients.value)
            self.launch = launch

    def hold(self, launch: Launch) -> bool:
        """Whether the operands of a launch are these; integers are never overwritten."""
        return self.operands is launch.operands

    def _values(self, each: Parameter) -> np.ndarray:
        made = self._made.get(each.name)
        return super()._values(each) if made is None else np.ascontiguousarray(made)


class RunsOnDevice(RowsOnDemand):
    """States of lanes in visiting order, ``by_place[lane, place]``, and of which instances they are."""

    def __init__(self, kernels: RunsKernels, resident: RunsResident, instance: np.ndarray):
        super().__init__(kernels.device, kernels.plan.groups)
        self.kernels, self.resident, self.instance = kernels, resident, instance.copy()
        places = resident.numbers["positions0"] + RUN
        self.by_place = self.device.room((len(instance), places), np.uint8)

    def hold(self, lanes: Lanes, resident: RunsResident) -> bool:
        """Whether these are the places of such lanes."""
        return self.resident is resident and np.array_equal(self.instance, lanes.instance)

    def count(self) -> int:
        """Of lanes."""
        return len(self.instance)

    def rearrange(self, sources: np.ndarray) -> None:
        """Let lane c stand where lane ``sources[c]`` stands now."""
        self.changed()
        rows = self.device.upload(sources.astype(np.int64))
        self.by_place = self.device.take(self.by_place, rows)
        self.instance = self.instance[sources]

    def run(self, kernel: str, x: Buffer) -> None:
        """Launch ``pack`` or ``unpack``."""
        instance = self.device.upload(self.instance)
        given = {"x0": x, "states": self.by_place, "instance": instance}
        lanes, shape = self.count(), self.kernels.shape_for(self.resident, self.count())
        struct = self.kernels.struct_of(self.resident, given)
        further = (np.int32(shape.share),)
        self.resident.functions[kernel](lanes * shape.share, shape.threads, struct, further)


class RunsKernels(CudaKernels):
    """Compiled kernels of a lattice in runs on one device.

    Parameters
    ----------
    whole
        Whether a block of threads has a whole lane; None lets sizes decide (`shape_of`).
    """

    def __init__(self, plan: SweepPlan, device: Device, whole: bool | None = None):
        super().__init__(plan, device)
        self.plain, self.whole = CudaKernels(plan, device), whole
        self.fields = lattice_parameters(plan)
        self.struct = struct_type(self.fields)
        self._held: RunsOnDevice | None = None

    def shape_for(self, resident: RunsResident, lanes: int) -> Shape:
        """Blocks and threads for so many lanes."""
        return shape_of(self.plan, self.device, resident.numbers, lanes, self.whole)

    def struct_of(self, resident: RunsResident, given: Mapping[str, Buffer]) -> np.ndarray:
        """Sizes and addresses; arrays that a kernel does not use may be absent."""
        return filled(self.fields, self.device, resident.numbers, resident.buffers | dict(given))

    def resident(self, launch: Launch) -> RunsResident:
        """Tables of a launch, made anew where its operands are others."""
        if self._resident is None or not self._resident.hold(launch):
            self._resident = RunsResident(self.plan, self.device, self.fields, launch)
        self._resident.take(launch)
        return self._resident

    def _ready(self, state: LaneState, lanes: Lanes, launch: Launch):
        if lanes.clamp or not fits_runs(self.plan, launch):
            return self.plain._ready(state, lanes, launch)
        resident, count = self.resident(launch), len(lanes)
        self._held = None  # lets go of states that nobody has any more
        self._held = held = self._states(state, lanes, resident)
        shape = self.shape_for(resident, count)
        terms = len(self.plan.terms)
        own = {
            name: self.device.upload(getattr(lanes, name))
            for name in ("instance", "rung", "walker", "key")
        }
        own["E"] = self.device.room((count, terms), np.float64)
        own["partial"] = self.device.room((count, shape.share, terms), np.float64)
        kept = own | {"states": held.by_place, "coef": resident.coef}
        return held, self.struct_of(resident, kept), kept

    def _states(self, state: LaneState, lanes: Lanes, resident: RunsResident) -> RunsOnDevice:
        """The states, packed anew where configurations, instances or operands have changed."""
        held = state.packed
        fits = isinstance(held, RunsOnDevice) and held.hold(lanes, resident)
        if fits and state.packed_is_current:
            return held
        x = state.x
        if not fits:
            held = RunsOnDevice(self, resident, lanes.instance)
        held.pack(x)
        state.keep(held, ahead=False)
        return held

    def _run(self, lanes: int, struct: np.ndarray, first: int, count: int, rebuild: bool) -> None:
        if struct.dtype != self.struct:
            self.plain._run(lanes, struct, first, count, rebuild)
            return
        functions, shape = self._resident.functions, self.shape_for(self._resident, lanes)
        if count:
            self._held.changed()
        if shape.whole:
            further = (np.uint32(first), np.uint32(count))
            functions["sweep"](lanes, shape.threads, struct, further, shape.shared)
            return
        blocks, threads, share = lanes * shape.share, shape.threads, np.int32(shape.share)
        for sweep in range(first, first + count):
            for colour in range(int(struct["classes0"])):
                further = (np.uint32(sweep), np.int32(colour), share)
                functions["colour"](blocks, threads, struct, further, shape.shared)
        functions["sum"](blocks, threads, struct, (share,))
        functions["energies"](lanes, 32, struct, (share,))

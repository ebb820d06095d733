"""The seam's functions over a device: parameters bound to addresses, one launch per call.

What stays on the device between calls: operands and tables of a launch (`Resident`), and configurations
and running quantities of the state last swept (`OnDevice`), which are written to the host when someone
takes them. Per call go up: the lane table and the masks of held units; down come the term energies.
"""

from __future__ import annotations

import numpy as np

from physebm.backends.base import Lanes, LaneState, Launch, Slots
from physebm.backends.cuda.device import Buffer, Device
from physebm.backends.cuda.emit import emit
from physebm.backends.cuda.exchange import Exchange
from physebm.backends.cuda.on_device import OnDevice
from physebm.backends.cuda.parameters import DTYPES, Home, Parameter, filled, parameters, struct_type
from physebm.backends.cuda.resident import Resident
from physebm.backends.cuda.rows_on_demand import RowsOnDemand
from physebm.backends.cuda.training import DeviceTraining
from physebm.backends.reference_clusters import refuse_invalid
from physebm.backends.training import Climb
from physebm.errors import StudyError
from physebm.lowering.operands import Operands
from physebm.lowering.plan import ClusterMove, SweepPlan


class CudaKernels:
    """Compiled kernels of one plan on one device."""

    def __init__(self, plan: SweepPlan, device: Device):
        self.plan, self.device = plan, device
        self.fields = parameters(plan)
        self.struct = struct_type(self.fields)
        self._source = emit(plan)
        self._sweep = None
        self._resident: Resident | None = None
        self._room: dict[str, Buffer] = {}

    def prepare(self, state: LaneState, lanes: Lanes, launch: Launch) -> None:
        """Allocate and build the running quantities of every lane; nothing where there are none."""
        wanted = [each for each in self.fields if each.home is Home.WORK]
        for each in wanted:
            shape = (len(lanes), self._row_length(each, launch.operands))
            state.work[each.name] = np.zeros(shape, DTYPES[each.type])
        if wanted:
            self._call(state, lanes, launch, 0, 0, True)

    def sweep(
        self, state: LaneState, lanes: Lanes, launch: Launch, first: int, count: int
    ) -> np.ndarray:
        """Advance every lane in place by sweeps ``first .. first+count-1``; `E_lt` afterwards."""
        if first + count > 2**32:
            raise StudyError("a chain is limited to 2^32 sweeps, the range of its counter word")
        if any(isinstance(move, ClusterMove) for move in self.plan.moves):
            refuse_invalid(self.plan, lanes, launch)
        return self._call(state, lanes, launch, first, count, False)

    def energies(self, state: LaneState, lanes: Lanes, launch: Launch) -> np.ndarray:
        """Bare term energies of the present configurations."""
        return self._call(state, lanes, launch, 0, 0, False)

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
        """Sweeps and exchanges in turn, all launched before the host waits for any of them."""
        if first + every * rounds > 2**32:
            raise StudyError("a chain is limited to 2^32 sweeps, the range of its counter word")
        if any(isinstance(move, ClusterMove) for move in self.plan.moves):
            refuse_invalid(self.plan, lanes, launch)
        held, struct, kept = self._ready(state, lanes, launch)
        exchange = Exchange(self.device, slots, statistics, kept, len(self.plan.terms))
        for sweep in range(first, first + every * rounds, every):
            self._run(len(lanes), struct, sweep, every, False)
            exchange.launch(sweep // every + 1)
        state.keep(held, ahead=True)
        exchange.take(statistics)
        lanes.rung[:] = self.device.download(kept["rung"])
        return self.device.download(kept["E"])

    def _row_length(self, each: Parameter, operands: Operands) -> int:
        t = int(each.name.removeprefix("work"))
        patterns = operands.arrays.get(f"xi{t}")
        return (
            self.plan.groups[self.plan.terms[t].group].width if patterns is None else patterns.shape[2]
        )

    def _call(self, state, lanes, launch, first: int, count: int, rebuild: bool) -> np.ndarray:
        held, struct, kept = self._ready(state, lanes, launch)
        self._run(len(lanes), struct, first, count, rebuild)
        if count or rebuild:
            state.keep(held, ahead=True)
        return self.device.download(kept["E"])

    def _ready(self, state: LaneState, lanes: Lanes, launch: Launch):
        """The state on the device, the struct of a call's parameters, the buffers that it points to."""
        held = self._on_device(state)
        return held, *self._bind(held, lanes, launch)

    def _run(self, lanes: int, struct: np.ndarray, first: int, count: int, rebuild: bool) -> None:
        if self._sweep is None:
            self._sweep = self.device.function(self._source, "sweep")
        further = (np.uint32(first), np.uint32(count), np.int32(rebuild))
        self._sweep(lanes, self.device.threads, struct, further)

    def _on_device(self, state: LaneState) -> OnDevice:
        """The state's copy on the device, taken anew where its arrays have been in someone's hands."""
        held = state.packed
        if isinstance(held, OnDevice) and held.device is self.device and state.packed_is_current:
            return held
        if not isinstance(held, OnDevice) or held.device is not self.device:
            held = OnDevice(self.device, self.plan.groups)
        held.pack(state.x, state.work)
        state.keep(held, ahead=False)
        return held

    def resident(self, launch: Launch) -> Resident:
        """What kernels read of a launch, as the host has it."""
        if self._resident is None or self._resident.launch is not launch:
            self._resident = self._resident_of(launch)
        self._resident.refresh()
        return self._resident

    def states(self, state: LaneState, g: int) -> Buffer:
        """Configurations of group g on the device, ``[lane, unit]``."""
        held = state.packed
        if isinstance(held, RowsOnDemand) and state.reductions is held:
            return held.states(self.plan.groups[g].name)
        return self._on_device(state).buffers[f"x{g}"]

    def training(self, launch: Launch, data: np.ndarray, climb: Climb) -> DeviceTraining:
        """A training beside the chains; see `backends.training`."""
        return DeviceTraining(self, launch, data, climb)

    def _bind(
        self, held: OnDevice, lanes: Lanes, launch: Launch
    ) -> tuple[np.ndarray, dict[str, Buffer]]:
        """The struct of parameters of a call, and the buffers that it points to."""
        numbers = self.resident(launch).numbers
        arrays = [each for each in self.fields if each.is_array]
        found = {each.name: self._buffer(each, held, lanes) for each in arrays}
        kept = {name: buffer for name, buffer in found.items() if buffer is not None}
        return filled(self.fields, self.device, numbers, kept), kept

    def _resident_of(self, launch: Launch) -> Resident:
        return Resident(self.plan, self.device, self.fields, launch)

    def _buffer(self, each: Parameter, held: OnDevice, lanes: Lanes) -> Buffer | None:
        name = each.name
        if each.home in (Home.OPERAND, Home.TABLE):
            return self._resident.buffers[name]
        if each.home in (Home.STATE, Home.WORK):
            return held.buffers[name]
        if each.home is Home.HELD:
            group = self.plan.groups[self.plan.moves[int(name.removeprefix("held"))].group].name
            mask = lanes.clamp.get(group)
            return None if mask is None else self.device.upload(mask.astype(np.uint8))
        if name == "E":
            return self.device.room((len(lanes), len(self.plan.terms)), np.float64)
        if each.home is Home.LANE:
            return self.device.upload(getattr(lanes, name))
        return self._scratch(each, len(lanes))

    def _scratch(self, each: Parameter, lanes: int) -> Buffer:
        number = int("".join(filter(str.isdigit, each.name)))
        if each.name.startswith("parent"):
            width = self.plan.groups[self.plan.moves[number].group].size
        else:
            width = self.plan.groups[getattr(self.plan.terms[number], each.name[-1])].width
        room = self._room.get(each.name)
        if room is None or room.shape != (lanes, width):
            room = self._room[each.name] = self.device.room((lanes, width), DTYPES[each.type])
        return room

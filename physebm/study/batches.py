"""Tasks for GPUs: all points of one structure in one launch, as many as the device has memory for.

A processor is busy with few lanes; a GPU wants all that there are. So the points of a study are cut
into tasks of up to `LANES_PER_LAUNCH` lanes, at least one task per device. Where a task would need
more than the free memory of its device it is cut into batches of cells, and a cell into temperatures
(see `grid.recut`), which the user is told. How a study was cut is kept in its work folder
(`workfolder.lanes_per_task`), so that it continues with the same tasks on any backend; results do not
depend on it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from physebm.backends.base import launch
from physebm.backends.cuda.device import Device
from physebm.backends.cuda.memory import device_bytes
from physebm.backends.cuda.visible import Visible, visible_devices
from physebm.backends.select import ON_DEVICES, Choice, select
from physebm.sampling import initial
from physebm.schema.study_declarations import StudyDeclaration
from physebm.study import grid as grids
from physebm.study import setup
from physebm.study.grid import Grid, Point, Task

# Enough to fill a GPU with any kernel; more would only make checkpoints rarer.
LANES_PER_LAUNCH = 2**16
# Of the free memory: the rest is for modules, rounding, and what a count cannot know.
SHARE = 0.85
# Walkers on rungs that an adaptive ladder may insert, beyond those of the study.
INSERTED = 2


def devices_of(taken: Choice, workers: int) -> tuple[Visible, ...]:
    """The GPUs that workers share; () where one process takes what it finds."""
    return visible_devices() if taken.name == "cuda" and workers > 1 else ()


@dataclass(frozen=True)
class Room:
    """Devices that share the tasks, and bytes that one worker may take; None where nobody counts."""

    devices: int
    free: int | None


def room_here(taken: Choice, workers: int) -> Room:
    """The room that workers on this machine have."""
    visible = devices_of(taken, workers)
    free = _free(select(taken.name).device(), visible, workers)
    return Room(min(workers, max(len(visible), 1)), free)


def lanes_for(
    study: StudyDeclaration, grid: Grid, taken: Choice, workers: int = 1, room: Room | None = None
) -> tuple[tuple[int, ...], list[str]]:
    """The most lanes of a task by group of tasks, for `grid.recut`; and lines for the user.

    No numbers on processors, where the cut is that of the study alone. The device is that of this
    process; `room` is that of workers elsewhere, whose devices are of the same kind.
    """
    if taken.name not in ON_DEVICES or not grid.tasks:
        return (), []
    room = room or room_here(taken, workers)
    devices, free = room.devices, room.free
    device = select(taken.name).device()
    lanes, lines = [], []
    for (_, schedule), cells in grids.groups_of_cells(grids.cells_of(grid)).items():
        counts = [len(cell) * study.sample.chains for cell in cells]
        wanted = max(min(LANES_PER_LAUNCH, -(-sum(counts) // devices)), grids.LANES_PER_TASK)
        if free is not None:
            most = _fitting(study, Task(1, "", schedule, tuple(map(tuple, cells))), taken, device, free)
            if most < min(wanted, sum(counts)):
                name = cells[0][0].loaded.declaration.name
                lines.append(
                    f"batches  {name}: {most} chains at a time of {sum(counts)}, for the "
                    f"{free / 2**30:.3g} GiB that are free on the device"
                )
                wanted = most
        lanes.append(wanted)
    return tuple(lanes), lines


def task_bytes(study: StudyDeclaration, task: Task, backend: str, device: Device) -> int:
    """Bytes on a device of the lanes of a task, rungs not counted that ladders may insert."""
    prepared = setup.prepare(study, task, backend)
    lanes = setup.lanes_of(prepared)
    state = initial.empty(prepared.plan, len(lanes))
    bound = launch(prepared.plan, prepared.operands, prepared.coefficients)
    return device_bytes(prepared.plan, device, state, lanes, bound)


def _free(device: Device, visible: tuple[Visible, ...], workers: int) -> int | None:
    """Bytes that one worker may take."""
    told = [each.free for each in visible if each.free is not None]
    free = min(told) if told else device.free_bytes()
    if free is None:
        return None
    return int(SHARE * free) // -(-workers // max(len(visible), 1))


def _fitting(study: StudyDeclaration, group: Task, taken: Choice, device: Device, free: int) -> int:
    """The most chains of a group that fit into `free` bytes; of one point where nothing fits.

    Bytes of one cell and of two are counted, or of one temperature and of two: further ones are alike.
    """

    def count(*cells: tuple[Point, ...]) -> int:
        nbytes = task_bytes(study, replace(group, cells=cells), taken.name, device)
        adaptive = study.tempering is not None and study.tempering.ladder == "adaptive"
        return INSERTED * nbytes if adaptive else nbytes

    largest = sorted(group.cells, key=len)[-2:]
    chains = study.sample.chains
    fits = _how_many(count(largest[-1]), count(*largest) if len(largest) == 2 else None, free)
    if fits or study.tempering is not None:
        return max(fits, 1) * len(largest[-1]) * chains
    cell = largest[-1]
    temperatures = sorted({point.temperature for point in cell})
    alike = [tuple(p for p in cell if p.temperature in temperatures[:n]) for n in (1, 2)]
    fits = _how_many(count(alike[0]), count(alike[1]) if len(temperatures) > 1 else None, free)
    return max(fits, 1) * len(alike[0]) * chains


def _how_many(one: int, two: int | None, free: int) -> int:
    """How many fit, of which one takes `one` bytes and two take `two` (None: there is one only)."""
    if one > free:
        return 0
    return 1 if two is None else 1 + (free - one) // max(two - one, 1)

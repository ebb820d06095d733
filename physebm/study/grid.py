"""A study's grid of points, cut into tasks.

    point   one combination of the scan axes
    cell    the points that differ in temperature and start only: one set of arrays, one ladder
    task    cells of one structure and one schedule, batched in one kernel call; the unit of work,
            of checkpoints and of resumption
    training  what the points share that differ in temperature, start and schedule only
    free energy   of the same points, at each of their temperatures

On processors the cut depends on the study alone, never on workers; on GPUs tasks are larger (`recut`).
Results do not depend on the cut, because every lane has its own key and counter.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import product
from math import prod

from physebm.errors import StudyFileError
from physebm.rng.streams import key_of
from physebm.schema.axes import StartDeclaration
from physebm.schema.declarations import ModelDeclaration
from physebm.schema.load import Loaded, load
from physebm.schema.study_declarations import Schedule, StudyDeclaration
from physebm.schema.train_declarations import TrainDeclaration

# Lanes of one task: enough to fill the cores for many sweeps, few enough to checkpoint often.
LANES_PER_TASK = 512
MIN_DRAWS = 64
MAX_POINTS = 1_000_000
# Axes along which a trained model is only looked at: nothing is learned again.
AFTER_TRAINING = ("temperature", "start", "sweeps", "discard")


@dataclass(frozen=True)
class Point:
    """One point of the grid: its index, coordinates, and what it resolves to."""

    index: tuple[int, ...]
    coordinates: tuple[tuple[str, object], ...]
    temperature: float
    start: StartDeclaration
    disorder: int
    loaded: Loaded = field(repr=False, compare=False)
    training: int = 0

    def key(self, seed: int, tempered: bool) -> tuple[int, int]:
        """The key of its chains: the study's seed and its own coordinates, values not indices."""
        own = [
            (name, value)
            for name, value in self.coordinates
            if not (tempered and name == "temperature")
        ]
        return key_of(seed, "chains", *(part for pair in own for part in pair))


@dataclass(frozen=True)
class Task:
    """Points that run together; `cells` lists them by cell, in grid order."""

    number: int
    model: str
    schedule: Schedule
    cells: tuple[tuple[Point, ...], ...]

    @property
    def name(self) -> str:
        """Folder name, ``task0001``."""
        return f"task{self.number:04d}"

    @cached_property
    def points(self) -> tuple[Point, ...]:
        """All points, cell after cell."""
        return tuple(point for cell in self.cells for point in cell)


@dataclass(frozen=True)
class Training:
    """One training: its own coordinates, the first point that needs it, and its [train] table."""

    number: int
    own: tuple[tuple[str, object], ...]
    point: Point
    declared: TrainDeclaration

    @property
    def name(self) -> str:
        """Folder name, ``train0001``."""
        return f"train{self.number:04d}"


@dataclass(frozen=True)
class FreeEnergies:
    """log Z of one model at several temperatures: the points that share it, in grid order."""

    number: int
    own: tuple[tuple[str, object], ...]
    points: tuple[Point, ...]

    @property
    def name(self) -> str:
        """Folder name, ``free0001``."""
        return f"free{self.number:04d}"

    @property
    def temperatures(self) -> tuple[float, ...]:
        """The temperatures of its points, each once, hottest first."""
        return tuple(sorted({point.temperature for point in self.points}, reverse=True))


@dataclass(frozen=True)
class Grid:
    """The axes of a study and its trainings, sampling tasks and free energies, in a fixed order.

    `all_points` are the points of the grid whether they are sampled or not.
    """

    axes: dict[str, tuple]
    tasks: tuple[Task, ...]
    trainings: tuple[Training, ...] = ()
    all_points: tuple[Point, ...] = ()
    free_energies: tuple[FreeEnergies, ...] = ()

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of every axis."""
        return tuple(len(values) for values in self.axes.values())

    @property
    def points(self) -> int:
        """Number of points."""
        return len(self.all_points)

    def axes_index(self, name: str) -> int:
        """Position of an axis in a point's index."""
        return list(self.axes).index(name)

    @property
    def training_axes(self) -> dict[str, tuple]:
        """The axes that a training depends on."""
        return {name: values for name, values in self.axes.items() if name not in AFTER_TRAINING}


def expand(study: StudyDeclaration, models: Mapping[str, ModelDeclaration]) -> Grid:
    """The grid of a study.

    Raises
    ------
    StudyFileError
        for a point whose schedule gives too few measurements for an error bar.
    """
    points = prod(len(axis.values) for axis in study.scan)
    if points > MAX_POINTS:
        raise StudyFileError(
            f"{study.where}: scan", got=f"{points} points", expected=f"at most {MAX_POINTS} points"
        )
    names = [axis.name for axis in study.scan]
    cells: dict[tuple, list[Point]] = {}
    cache: dict[tuple, Loaded] = {}
    schedules: dict[tuple, Schedule] = {}
    trainings: dict[tuple, Training] = {}
    every: list[Point] = []
    axes = {axis.name: axis.coordinates for axis in study.scan}
    for index in product(*(range(len(axis.values)) for axis in study.scan)):
        values = {axis.name: axis.values[i] for axis, i in zip(study.scan, index)}
        labels = {name: held[i] for (name, held), i in zip(axes.items(), index)}
        model = str(values.get("model", study.models[0]))
        own = tuple((n, labels[n]) for n in names if n not in ("temperature", "start", "disorder"))
        if (model, own) not in cache:
            cache[model, own] = load(models[model], study.parameters_at(values))
        loaded = cache[model, own]
        temperature = study.temperature_at(values, loaded.env)
        point = Point(
            index,
            (("model", model), *((n, labels[n]) for n in names if n != "model")),
            temperature,
            values.get("start", study.start) or StartDeclaration(),
            int(values.get("disorder", 0)),
            loaded,
        )
        if study.train is not None:
            point = _trained(study, point, values, trainings)
        every.append(point)
        if not study.sampling_asked:
            continue
        schedule = study.schedule_at(values, {**loaded.env, "T": temperature, "beta": 1 / temperature})
        _check_draws(study, schedule)
        key = (model, own, point.disorder, schedule)
        cells.setdefault(key, []).append(point)
        schedules[key] = schedule
    tasks = _tasks(study, [(schedules[key], held) for key, held in cells.items()])
    free = _free_energies(every) if study.free_energy is not None else ()
    return Grid(axes, tasks, tuple(trainings.values()), tuple(every), free)


def _free_energies(points: list[Point]) -> tuple[FreeEnergies, ...]:
    shared: dict[tuple, list[Point]] = {}
    for point in points:
        shared.setdefault(own_coordinates(point), []).append(point)
    return tuple(
        FreeEnergies(number, own, tuple(held)) for number, (own, held) in enumerate(shared.items(), 1)
    )


def own_coordinates(point: Point) -> tuple[tuple[str, object], ...]:
    """The coordinates of a point that decide about its arrays."""
    return tuple(pair for pair in point.coordinates if pair[0] not in AFTER_TRAINING)


def _trained(study: StudyDeclaration, point: Point, values, trainings: dict[tuple, Training]) -> Point:
    """The point with the number of the training that it needs, which is listed if it is new."""
    own = own_coordinates(point)
    if own not in trainings:
        number = len(trainings) + 1
        declared = study.train_at(values)
        trainings[own] = Training(number, own, replace(point, training=number), declared)
    return replace(point, training=trainings[own].number)


def _check_draws(study: StudyDeclaration, schedule: Schedule) -> None:
    if study.sample.method == "zero-temperature":
        return
    draws = schedule.sweeps // schedule.every
    if draws < MIN_DRAWS:
        raise StudyFileError(
            f"{study.where}: sample.sweeps",
            got=f"{schedule.sweeps} sweeps measured every {schedule.every}: {draws} draws",
            expected=f"at least {MIN_DRAWS} draws",
            hint="32 blocks of two draws are the least that an error bar can be read from",
        )


def recut(study: StudyDeclaration, grid: Grid, lanes: Sequence[int]) -> Grid:
    """The grid with its points cut into other tasks.

    Parameters
    ----------
    lanes
        The most lanes of a task, by group of tasks (`groups_of_cells`). A cell that has more is cut
        into its temperatures, unless they exchange.
    """
    return replace(grid, tasks=_tasks(study, cells_of(grid), lanes))


def cells_of(grid: Grid) -> list[tuple[Schedule, list[Point]]]:
    """Schedule and points of every whole cell, in grid order, however they are cut into tasks."""
    held: dict[tuple, list[Point]] = {}
    for task in grid.tasks:
        for cell in task.cells:
            held.setdefault((own_coordinates(cell[0]), task.schedule), []).extend(cell)
    cells = [(key[1], sorted(cell, key=lambda point: point.index)) for key, cell in held.items()]
    return sorted(cells, key=lambda cell: cell[1][0].index)


def groups_of_cells(
    cells: Iterable[tuple[Schedule, list[Point]]],
) -> dict[tuple, list[list[Point]]]:
    """Cells that may share a task, by (structure, schedule) in the order of their first cells."""
    groups: dict[tuple, list[list[Point]]] = {}
    for schedule, points in cells:
        groups.setdefault((points[0].loaded.hamiltonian, schedule), []).append(points)
    return groups


def _tasks(study: StudyDeclaration, cells, most: Sequence[int] = ()) -> tuple[Task, ...]:
    tasks: list[Task] = []
    filling: dict[tuple, list] = {}
    limits = dict(zip(groups_of_cells(cells), most))

    def close(group: tuple) -> None:
        held = filling.pop(group)
        model = held[0][0].coordinates[0][1]
        tasks.append(Task(len(tasks) + 1, model, group[1], tuple(tuple(cell) for cell in held)))

    for schedule, whole in cells:
        group = (whole[0].loaded.hamiltonian, schedule)
        limit = limits.get(group, LANES_PER_TASK)
        parts = _parts(study, whole, limit) if group in limits else [whole]
        for points in parts:
            held = filling.setdefault(group, [])
            lanes = sum(len(cell) for cell in held) * study.sample.chains
            if held and lanes + len(points) * study.sample.chains > limit:
                close(group)
                held = filling.setdefault(group, [])
            held.append(points)
    for group in list(filling):
        close(group)
    return tuple(tasks)


def _parts(study: StudyDeclaration, cell: list[Point], limit: int) -> list[list[Point]]:
    """A cell, cut where it has more than `limit` lanes; points that differ in the start stay together.

    The starts of one temperature are compared with each other, and exchanges join all temperatures.
    """
    if study.tempering is not None or len(cell) * study.sample.chains <= limit:
        return [cell]
    temperatures: dict[float, list[Point]] = {}
    for point in cell:
        temperatures.setdefault(point.temperature, []).append(point)
    parts: list[list[Point]] = []
    for points in temperatures.values():
        if parts and (len(parts[-1]) + len(points)) * study.sample.chains <= limit:
            parts[-1].extend(points)
        else:
            parts.append(list(points))
    return parts

"""The structs of a study file: which question is asked of a model, with every default resolved."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from physebm.errors import StudyFileError
from physebm.schema import train_scan
from physebm.schema.axes import RESERVED_AXES, Axis, StartDeclaration, check_temperature
from physebm.schema.convert import Problem, Quantity, Table, decode, table
from physebm.schema.declarations import ModelDeclaration, Trained, TrainedArrays
from physebm.schema.expressions import Expression, parse, resolve
from physebm.schema.free_energy_declarations import FreeEnergyDeclaration
from physebm.schema.plot_declarations import PlotDeclaration
from physebm.schema.train_declarations import TrainDeclaration

OBSERVABLES = (
    "energy",
    "specific_heat",
    "specific_heat_within_chains",
    "magnetisation",
    "abs_magnetisation",
    "susceptibility",
    "binder",
    "pattern_overlap",
    "retrieval_overlap",
    "max_pattern_overlap",
    "replica_overlap",
    "q_edwards_anderson",
    "replica_overlap_squared",
    "overlap_distribution",
    "binder_overlap",
    "sg_susceptibility",
    "correlation_length_over_L",
)
"""Everything that may be recorded; each comes with its standard error and, where sampled, tau."""

REPLICA_OBSERVABLES = (
    "replica_overlap",
    "q_edwards_anderson",
    "replica_overlap_squared",
    "overlap_distribution",
    "binder_overlap",
    "sg_susceptibility",
)
"""Those that compare two chains."""

FREE_ENERGY_OBSERVABLES = ("log_z", "log_likelihood", "free_energy", "entropy")
LEAST = {"discard": 0, "sweeps": 1, "every": 1}
"""The numbers of a schedule, and the least that each can be."""

SCHEDULE = tuple(LEAST)

_STRICT = {"frozen": True, "forbid_unknown_fields": True, "kw_only": True}


class Schedule(msgspec.Struct, frozen=True):
    """Sweeps of one point: `discard` are thrown away, then `sweeps`, measured every `every`."""

    discard: int
    sweeps: int
    every: int


class SampleDeclaration(msgspec.Struct, **_STRICT):
    """[sample]: the update, the number of independent chains per point, and the schedule.

    `discard`, `sweeps` and `every` may be expressions of one another and of the parameters;
    their results are rounded to the nearest integer, but a plain number has to be whole. `colours`
    asks for a colouring of that many classes (None: as many as the graph needs).
    """

    method: Literal["heat-bath", "metropolis", "swendsen-wang", "wolff", "zero-temperature"] = (
        "heat-bath"
    )
    chains: int = 2
    discard: Quantity = parse("sweeps / 4")
    sweeps: Quantity = parse(2000)
    every: Quantity = parse(1)
    colours: int | None = None

    def __post_init__(self):
        if self.chains < 1:
            raise Problem(".chains", got=self.chains, expected="a whole number, 1 or more")
        for key, least in LEAST.items():
            held = getattr(self, key)
            if held.constant is not None and held.constant % 1:
                expected = f"a whole number, {least} or more"
                hint = f'an expression is rounded, as in {key} = "N / 4"'
                raise Problem(f".{key}", got=held.constant, expected=expected, hint=hint)
        if self.colours is not None and self.colours < 2:
            raise Problem(".colours", got=self.colours, expected="a whole number, 2 or more")


class TemperingDeclaration(msgspec.Struct, **_STRICT):
    """[tempering]: replica exchange along the scanned temperatures.

    ``ladder = "adaptive"`` inserts rungs between the scanned temperatures until neighbours
    exchange with probability `acceptance`, in `rounds` doubling rounds within the discarded
    sweeps; "as-scanned" uses the scanned temperatures alone. Exchanges are tried after every
    `every` sweeps.
    """

    ladder: Literal["adaptive", "as-scanned"] = "adaptive"
    acceptance: float = 0.4
    every: int = 1
    rounds: int = 5

    def __post_init__(self):
        if not 0.0 < self.acceptance < 1.0:
            raise Problem(".acceptance", got=self.acceptance, expected="between 0 and 1")
        for key in ("every", "rounds"):
            if getattr(self, key) < 1:
                raise Problem(f".{key}", got=getattr(self, key), expected="a whole number, 1 or more")


class ObserveDeclaration(msgspec.Struct, **_STRICT):
    """[observe]: what is recorded, whether as series or final states too, and the nominated pattern."""

    record: tuple[str, ...] = ("energy",)
    series: bool = False
    states: bool = False
    pattern: int = 0

    def __post_init__(self):
        if not self.record:
            raise Problem(".record", got=[], expected="at least one observable")
        for i, name in enumerate(self.record):
            at = f".record[{i}]"
            if name in FREE_ENERGY_OBSERVABLES:
                hint = (
                    "free energies come from a table [free_energy], not from [observe]; in Python from "
                    "physebm.free_energies"
                )
                raise Problem(at, got=name, expected="a table [free_energy]", hint=hint)
            if name.endswith(("_stderr", "_tau")) or name in ("tau", "n_eff"):
                hint = "errors and autocorrelation times come with every observable"
                raise Problem(at, got=name, expected=OBSERVABLES, hint=hint)
            if name not in OBSERVABLES:
                raise Problem(at, got=name, expected=OBSERVABLES)
            if name in self.record[:i]:
                raise Problem(at, got=name, hint="it stands in the list already")
        if self.pattern < 0:
            raise Problem(".pattern", got=self.pattern, expected="the number of a pattern, from 0")


class ClampDeclaration(msgspec.Struct, **_STRICT):
    """Units that are held: exactly one of file and values, over the sites of the group.

    A free unit is nan (-1 for Potts units); `variable` names an entry of an npz or nc file.
    """

    file: str | None = None
    variable: str | None = None
    values: Table | None = None

    def __post_init__(self):
        if (self.file is None) == (self.values is None):
            got = "file, values" if self.file is not None else None
            raise Problem(got=got, expected="exactly one of: file, values")
        if self.variable is not None and self.file is None:
            raise Problem(".variable", got=self.variable, hint="`variable` belongs to a file")


def decode_clamp(kind: type, value: object) -> object:
    """Decode a `Table` in which nan is legal; raises `Problem`."""
    return table(value, nan=True) if kind is Table else decode(kind, value)


class StudyDeclaration(msgspec.Struct, frozen=True, kw_only=True):
    """One study as declared, with all defaults; what concerns single keys is checked.

    Exactly one of `temperature` and the axis of that name exists, likewise for `start`; the other
    is None. `models` are names, in order: several when the axis ``model`` scans them, the inline
    model's own when it stands in the study. `models_file` is the path given, None for the usual
    places. `directory` is where relative file names start.

    `train` is [train] at the first value of every axis (`train_at` gives the others), `train_table`
    the table as it is written. `sampling_asked` is False for a study that only trains or asks for
    free energies alone: its [sample], [observe] and [tempering] do not stand in the file.
    """

    name: str
    title: str
    source: str = ""
    notes: str = ""
    models: tuple[str, ...]
    models_file: str | None = None
    inline: ModelDeclaration | None = None
    inline_table: dict[str, Any] | None = None
    seed: int = 0
    backend: str = "auto"
    set: dict[str, Expression] = {}
    temperature: Expression | None = None
    start: StartDeclaration | None = None
    scan: tuple[Axis, ...] = ()
    sample: SampleDeclaration = SampleDeclaration()
    tempering: TemperingDeclaration | None = None
    observe: ObserveDeclaration = ObserveDeclaration()
    clamp: dict[str, ClampDeclaration] = {}
    plots: tuple[PlotDeclaration, ...] = ()
    arrays: TrainedArrays | None = None
    train: TrainDeclaration | None = None
    train_table: dict[str, Any] | None = None
    sampling_asked: bool = True
    free_energy: FreeEnergyDeclaration | None = None
    directory: str = "."
    where: str = ""

    def axis(self, name: str) -> Axis | None:
        """The scan axis of this name, None where there is none."""
        return next((axis for axis in self.scan if axis.name == name), None)

    def parameters_at(self, point: Mapping[str, object]) -> dict[str, Expression]:
        """The parameters that the study sets, at a point ``{axis: value}`` of the grid."""
        scanned = {
            axis.name: parse(point[axis.name], axis.where, StudyFileError)
            for axis in self.scan
            if axis.name not in RESERVED_AXES and not axis.key
        }
        return {**self.set, **scanned}

    def with_arrays(self, model: ModelDeclaration) -> ModelDeclaration:
        """The model with the arrays of the result that the study names, where it names one."""
        if self.arrays is None:
            return model
        held = Trained(
            arrays=self.arrays,
            directory=self.directory,
            where=f"{self.where}: arrays",
            error=StudyFileError,
        )
        return msgspec.structs.replace(model, trained=held)

    @property
    def train_axes(self) -> tuple[Axis, ...]:
        """The axes that are keys of [train]."""
        return tuple(axis for axis in self.scan if axis.key)

    def train_at(self, point: Mapping[str, object]) -> TrainDeclaration | None:
        """[train] at a point ``{axis: value or coordinate}`` of the grid, None where there is none."""
        if self.train is None:
            return None
        axes = self.train_axes
        values = {axis.key: axis.value_at(point[axis.name]) for axis in axes}
        return train_scan.train_at(self.train_table, axes, values, self.where)

    @property
    def teachers(self) -> tuple[str, ...]:
        """The models that training data are sampled from, at all points."""
        if self.train is None:
            return ()
        models = [self.train.data.model]
        for axis in self.train_axes:
            first = {each.name: each.values[0] for each in self.train_axes}
            models += [self.train_at(first | {axis.name: v}).data.model for v in axis.values]
        return tuple(dict.fromkeys(name for name in models if name is not None))

    def temperature_at(self, point: Mapping[str, object], env: Mapping[str, float]) -> float:
        """The temperature of a point; `env` holds the values of the parameters there."""
        if self.temperature is None:
            return float(point["temperature"])
        value = self.temperature.value(env)
        return check_temperature(value, self.temperature.where or f"{self.where}: set.temperature")

    def schedule_at(self, point: Mapping[str, object], env: Mapping[str, float]) -> Schedule:
        """The numbers of sweeps at a point; `env` holds parameters, and T where it is used."""
        declared = {key: getattr(self.sample, key) for key in SCHEDULE}
        scanned = {key: float(point[key]) for key in SCHEDULE if key in point}
        free = {key: held for key, held in declared.items() if key not in scanned}
        values = scanned | resolve(free, {**env, **scanned}, temperature=True)
        schedule = Schedule(**{key: round(values[key]) for key in SCHEDULE})
        for key in ("sweeps", "every", "discard"):  # the first is what the others are written by
            if getattr(schedule, key) < LEAST[key]:
                where = declared[key].where or f"{self.where}: sample.{key}"
                got = float(f"{values[key]:.6g}")
                got = int(got) if got.is_integer() else got
                raise StudyFileError(where, got=got, expected=f"{LEAST[key]} or more")
        if schedule.every > schedule.sweeps:
            where = declared["every"].where or f"{self.where}: sample.every"
            hint = f"with {schedule.sweeps} sweeps nothing would be measured"
            raise StudyFileError(where, got=schedule.every, hint=hint)
        return schedule

"""[free_energy]: by which methods log Z is estimated at every point, every default resolved.

    method = "bar"                     # or a list; the summary holds the first
    [free_energy.ladder]               # integration, mbar, bar, stepping-stone: one tempered run
    [free_energy.annealing]            # ais
    [free_energy.population]           # population-annealing
    [free_energy.fixed_points]         # mean-field, tap, bethe
    reweight = { temperature = [1.1, 1.3], observables = ["energy"] }   # of a ladder's run

A table that none of the methods reads is refused.
"""

from __future__ import annotations

from abc import ABC
from typing import Any, ClassVar, Literal

import msgspec

from physebm.errors import InputError
from physebm.schema.axes import check_temperature, listed_values
from physebm.schema.convert import Problem, decode
from physebm.schema.struct_rules import require_whole

LADDER_METHODS = ("mbar", "bar", "integration", "stepping-stone")
FIXED_POINT_METHODS = ("mean-field", "tap", "bethe")
FREE_ENERGY_METHODS = ("exact", *LADDER_METHODS, "ais", "population-annealing", *FIXED_POINT_METHODS)

_STRICT = {"frozen": True, "forbid_unknown_fields": True, "kw_only": True}


class Methods(ABC):  # noqa: B024 - a type that msgspec leaves to `decode_free_energy`
    """One name or a list of names, as a tuple."""


Methods.register(tuple)


class Temperatures(ABC):  # noqa: B024 - as above
    """A number, a list or a spacing, ``{ linspace = [1.0, 2.0, 11] }``; ascending, each once."""


Temperatures.register(tuple)


class LadderDeclaration(msgspec.Struct, **_STRICT):
    """[free_energy.ladder]: replica exchange from independent units to the coldest temperature.

    Rungs are inserted until neighbours exchange with probability `acceptance`; `chains` independent
    ladders make `discard` and then `sweeps` sweeps, measured every `every`.
    """

    chains: int = 8
    discard: int = 1000
    sweeps: int = 10_000
    every: int = 5
    acceptance: float = 0.7

    def __post_init__(self):
        require_whole(self, chains=2, discard=0, sweeps=1, every=1)
        if not 0.0 < self.acceptance < 1.0:
            raise Problem(".acceptance", got=self.acceptance, expected="between 0 and 1")
        if self.sweeps < 64 * self.every:
            got = f"{self.sweeps} sweeps measured every {self.every}"
            raise Problem(".sweeps", got=got, expected="at least 64 draws")


class AnnealingDeclaration(msgspec.Struct, **_STRICT):
    """[free_energy.annealing]: annealed importance sampling.

    `chains` runs over `temperatures` models of equal thermodynamic speed, `sweeps` sweeps in each, from
    independent units in the fields of the data's means (base "data", after a training) or without
    fields ("uniform"; None: data where there are any). The reverse runs the path backwards.
    """

    chains: int = 500
    temperatures: int = 1000
    sweeps: int = 1
    base: Literal["uniform", "data"] | None = None

    def __post_init__(self):
        require_whole(self, chains=2, temperatures=2, sweeps=1)


class PopulationDeclaration(msgspec.Struct, **_STRICT):
    """[free_energy.population]: `runs` populations of `size`, `sweeps` sweeps at every temperature."""

    size: int = 1000
    runs: int = 8
    sweeps: int = 5

    def __post_init__(self):
        require_whole(self, size=2, runs=2, sweeps=1)


class FixedPointsDeclaration(msgspec.Struct, **_STRICT):
    """[free_energy.fixed_points]: `starts` of the iterations, and their `damping`."""

    starts: int = 8
    damping: float = 0.5

    def __post_init__(self):
        require_whole(self, starts=1)
        if not 0.0 <= self.damping < 1.0:
            raise Problem(".damping", got=self.damping, expected="a number, 0 to below 1")


ENERGETIC = ("energy", "specific_heat")
REWEIGHTABLE = (*ENERGETIC, "magnetisation", "abs_magnetisation", "susceptibility", "binder")
"""What a ladder's run can be asked for at temperatures between its rows."""


class ReweightDeclaration(msgspec.Struct, **_STRICT):
    """[free_energy.reweight]: averages at temperatures inside the ladder, of the draws of all rows."""

    temperature: Temperatures
    observables: tuple[str, ...] = ("energy",)

    def __post_init__(self):
        if not self.observables:
            raise Problem(".observables", got=[], expected=REWEIGHTABLE)
        for i, name in enumerate(self.observables):
            if name not in REWEIGHTABLE:
                raise Problem(f".observables[{i}]", got=name, expected=REWEIGHTABLE)
            if name in self.observables[:i]:
                raise Problem(f".observables[{i}]", got=name, hint="it stands in the list already")


READERS = {
    "ladder": LADDER_METHODS,
    "annealing": ("ais",),
    "population": ("population-annealing",),
    "fixed_points": FIXED_POINT_METHODS,
}
"""The methods that read each table; one that is read and not written has its defaults."""
READ_IF_WRITTEN = {"reweight": LADDER_METHODS}


class FreeEnergyDeclaration(msgspec.Struct, **_STRICT):
    """[free_energy]; tables that no method reads hold None; `reweight` does unless it is written."""

    readers: ClassVar[dict[str, tuple[str, ...]]] = READERS

    method: Methods = ("bar",)
    ladder: LadderDeclaration | None = None
    annealing: AnnealingDeclaration | None = None
    population: PopulationDeclaration | None = None
    fixed_points: FixedPointsDeclaration | None = None
    reweight: ReweightDeclaration | None = None

    def __post_init__(self):
        kinds = {
            "ladder": LadderDeclaration,
            "annealing": AnnealingDeclaration,
            "population": PopulationDeclaration,
            "fixed_points": FixedPointsDeclaration,
        }
        for name, readers in (READERS | READ_IF_WRITTEN).items():
            read = any(method in readers for method in self.method)
            written = getattr(self, name) is not None
            if written and not read:
                raise Problem(
                    f".{name}",
                    got=f"a table that none of {', '.join(self.method)} reads",
                    hint=f"it is read by {', '.join(readers)}: add one of them to `method`, or leave "
                    f"free_energy.{name} out",
                )
            if read and not written and name in kinds:
                msgspec.structs.force_setattr(self, name, kinds[name]())


def decode_free_energy(kind: type, value: object) -> Any:
    """Decode the types of the structs above; raises `Problem`."""
    if kind is Temperatures:
        return _temperatures(value)
    if kind is not Methods:
        return decode(kind, value)
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list | tuple) or not names:
        raise Problem(got=value, expected="the name of a method, or a list of names")
    for i, name in enumerate(names):
        at = "" if isinstance(value, str) else f"[{i}]"
        if name not in FREE_ENERGY_METHODS:
            raise Problem(at, got=name, expected=FREE_ENERGY_METHODS)
        if name in names[:i]:
            raise Problem(at, got=name, hint="it stands in the list already")
    return tuple(names)


def _temperatures(value: object) -> tuple[float, ...]:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    try:
        listed = listed_values([value] if number else value, "")
        return tuple(sorted({check_temperature(each, f"[{i}]") for i, each in enumerate(listed)}))
    except InputError as problem:
        raise Problem(
            problem.where, got=problem.got, expected=problem.expected, hint=problem.hint
        ) from None

"""The axes of a scan: what ``alpha = { linspace = [0.01, 0.16, 8] }`` means.

An axis is a list of values, or one of the tables::

    { linspace  = [first, last, count] }      equal steps, both ends included
    { logspace  = [a, b, count] }             from 10**a to 10**b, equal ratios
    { geomspace = [first, last, count] }      the same, given by its ends
    { range     = [first, stop, step] }       first, first + step, ... below stop, as in Python

``disorder = 4`` counts the realisations 0 to 3. Computed values are rounded to 12 significant
digits, so that 0.6 of a linspace and a written 0.6 name one point and one stream of numbers.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from numbers import Real
from typing import Any, TypeAlias

import msgspec
import numpy as np

from physebm.errors import StudyFileError
from physebm.schema.convert import Problem, convert
from physebm.schema.written import toml_text

MAX_POINTS = 100_000
# Squares of beta and of energies times beta must stay far from overflow.
LEAST_TEMPERATURE = 1e-50
RESERVED_AXES = ("temperature", "start", "disorder", "model", "sweeps", "discard")
"""Axes of a scan that are no parameters of a model."""

AFTER_TRAINING = ("temperature", "start", "sweeps", "discard")
"""Axes of sampling alone: along them nothing is learned again."""

SPACINGS = ("linspace", "logspace", "geomspace", "range")
STARTS = ("random", "all-up", "pattern")
START_KEYS = ("pattern", "file", "data")


class StartDeclaration(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The initial state of the chains of a point.

    `kind` is random, all-up, pattern, file or data. A pattern start takes pattern number
    `pattern` and keeps the overlap `overlap` with it; file and data read `path` (entry
    `variable` of an npz or nc file): one state, or one row per chain.
    """

    kind: str = "random"
    pattern: int = 0
    overlap: float = 1.0
    path: str | None = None
    variable: str | None = None

    @property
    def label(self) -> str:
        """Canonical text: the coordinate of the axis ``start`` and a part of the stream's key."""
        if self.kind in ("file", "data"):
            return f"{self.kind} {self.path}" + (f":{self.variable}" if self.variable else "")
        if self.kind == "pattern":
            number = f" {self.pattern}" if self.pattern else ""
            overlap = f" at {self.overlap!r}" if self.overlap != 1.0 else ""
            return self.kind + number + overlap
        return self.kind

    @property
    def written(self) -> str | dict[str, Any]:
        """As it stands in a study file."""
        if self.kind in ("file", "data"):
            variable = {"variable": self.variable} if self.variable else {}
            return {self.kind: self.path, **variable}
        if self.kind == "pattern" and (self.pattern or self.overlap != 1.0):
            return {"pattern": self.pattern, "overlap": self.overlap}
        return self.kind


class Written(msgspec.Struct, frozen=True):
    """A value of a scanned key that is a table, a list or a flag, as it stands in the file."""

    written: Any

    @property
    def label(self) -> str:
        """Canonical text, whatever the order of the keys."""
        return toml_text(self.written)


AxisValue: TypeAlias = int | float | str | StartDeclaration | Written


class Axis(msgspec.Struct, frozen=True):
    """A dimension of the result: its name and its values in order.

    `where` is the address for messages; `key` the dotted key of the study that the values replace
    (``train.data.samples``), "" for parameters and the reserved axes.
    """

    name: str
    values: tuple[AxisValue, ...]
    where: str = ""
    key: str = ""

    @property
    def coordinates(self) -> tuple[int | float | str, ...]:
        """The values as coordinates of a dataset: texts for what is no number.

        Where some are texts all are, since a coordinate has one type.
        """
        labels = tuple(v.label if isinstance(v, StartDeclaration | Written) else v for v in self.values)
        if any(isinstance(each, str) for each in labels):
            return tuple(map(str, labels))
        return labels

    def value_at(self, held: object) -> AxisValue:
        """The value that is `held`, or that has it for a coordinate."""
        for value, label in zip(self.values, self.coordinates):
            if held is value or held == label or held == value:
                return value
        raise StudyFileError(self.where, got=held, expected=[str(each) for each in self.coordinates])


class _StartTable(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    pattern: int | None = None
    overlap: float | None = None
    file: str | None = None
    data: str | None = None
    variable: str | None = None

    def __post_init__(self):
        kinds = [key for key in START_KEYS if getattr(self, key) is not None]
        if len(kinds) != 1:
            expected = "exactly one of: " + ", ".join(START_KEYS)
            raise Problem(got=", ".join(kinds) or None, expected=expected)
        if self.pattern is not None and self.pattern < 0:
            raise Problem(".pattern", got=self.pattern, expected="the number of a pattern, from 0")
        if self.overlap is not None:
            if self.pattern is None:
                raise Problem(".overlap", got=self.overlap, hint="`overlap` belongs to a pattern")
            if not -1.0 <= self.overlap <= 1.0:
                raise Problem(".overlap", got=self.overlap, expected="an overlap, -1 to 1")
        if self.variable is not None and self.pattern is not None:
            raise Problem(".variable", got=self.variable, hint="`variable` belongs to a file")


def read_start(raw: object, where: str) -> StartDeclaration:
    """One initial state: a name, or a table such as ``{ pattern = 0, overlap = 0.8 }``."""
    if isinstance(raw, dict):
        table = convert(raw, _StartTable, where, StudyFileError)
        if table.pattern is not None:
            overlap = 1.0 if table.overlap is None else table.overlap
            return StartDeclaration(kind="pattern", pattern=table.pattern, overlap=overlap)
        kind = "file" if table.file is not None else "data"
        path = table.file if table.file is not None else table.data
        return StartDeclaration(kind=kind, path=path, variable=table.variable)
    if raw in ("file", "data"):
        hint = f'write a table, {{ {raw} = "states.npy" }}'
        raise StudyFileError(where, got=raw, hint=hint)
    if raw not in STARTS:
        hint = "or a table with pattern, file or data"
        raise StudyFileError(where, got=raw, expected=STARTS, hint=hint)
    return StartDeclaration(kind=raw)


def read_axis(name: str, raw: object, where: str) -> Axis:
    """One axis of a scan; it is not empty and has no value twice."""
    values: tuple[AxisValue, ...]
    if name == "disorder" and isinstance(raw, int) and not isinstance(raw, bool):
        if not 1 <= raw <= MAX_POINTS:
            expected = f"a number of realisations, 1 to {MAX_POINTS}"
            raise StudyFileError(where, got=raw, expected=expected)
        values = tuple(range(raw))
    else:
        values = listed_values(raw, where)
    if name == "start":
        values = tuple(read_start(each, f"{where}[{i}]") for i, each in enumerate(values))
    else:
        check = _CHECKS.get(name, _number)
        values = tuple(check(each, f"{where}[{i}]") for i, each in enumerate(values))
    return distinct(Axis(name, values, where))


def listed_values(raw: object, where: str) -> tuple[Any, ...]:
    """The entries of a list, or the numbers of a spacing; at least one."""
    if isinstance(raw, dict):
        values = _spaced(raw, where)
    elif isinstance(raw, list | tuple):
        values = tuple(raw)
    else:
        expected = "a list of values, or a table with one of: " + ", ".join(SPACINGS)
        hint = None
        if isinstance(raw, int | float | str) and not isinstance(raw, bool):
            hint = f"a list of one is [{json.dumps(raw)}]"
            _, scanned, key = where.rpartition("scan.")
            if scanned and key != "disorder":
                place = "[train]" if key.startswith("train") else _FIXED.get(key, "[set]")
                hint += f"; what is not scanned stands in {place}"
        raise StudyFileError(where, got=raw, expected=expected, hint=hint)
    if not values:
        raise StudyFileError(where, got=[], expected="at least one value")
    return values


def distinct(axis: Axis) -> Axis:
    """The axis, unless a value stands in it twice."""
    first: dict[object, int] = {}
    for i, each in enumerate(axis.coordinates):
        if each in first:
            hint = f"entry {first[each]} has this value already"
            raise StudyFileError(f"{axis.where}[{i}]", got=each, hint=hint)
        first[each] = i
    return axis


def check_temperature(value: object, where: str) -> float:
    """A temperature as a float: above zero and finite, else an error."""
    number = _number(value, where)
    if not LEAST_TEMPERATURE <= number <= 1 / LEAST_TEMPERATURE:
        raise StudyFileError(
            where,
            got=value,
            expected=f"a temperature above zero ({LEAST_TEMPERATURE:g} to {1 / LEAST_TEMPERATURE:g})",
            hint='dynamics at T = 0 is the method "zero-temperature" of [sample]',
        )
    return float(number)


def _spaced(raw: dict, where: str) -> tuple[float, ...]:
    for key in raw:
        if key not in SPACINGS:
            raise StudyFileError(where, got=key, expected=SPACINGS)
    if len(raw) != 1:
        got = ", ".join(raw) or None
        raise StudyFileError(where, got=got, expected="exactly one of: " + ", ".join(SPACINGS))
    ((kind, given),) = raw.items()
    where = f"{where}.{kind}"
    if not isinstance(given, list | tuple) or len(given) != 3:
        last = "step" if kind == "range" else "count"
        raise StudyFileError(where, got=given, expected=f"three numbers, [first, last, {last}]")
    first, last, third = (_number(each, f"{where}[{i}]") for i, each in enumerate(given))
    if kind == "range":
        if third == 0 or not 0 < (last - first) / third <= MAX_POINTS:
            expected = f"[first, stop, step] with 1 to {MAX_POINTS} values"
            raise StudyFileError(where, got=given, expected=expected)
        # The small slack keeps a stop that the steps reach only by rounding outside.
        count = math.ceil((last - first) / third - 1e-9)
        return tuple(_rounded(first + third * i) for i in range(count))
    if not isinstance(third, int) or not 1 <= third <= MAX_POINTS:
        raise StudyFileError(f"{where}[2]", got=third, expected=f"a count, 1 to {MAX_POINTS}")
    if kind == "geomspace" and not (first > 0 and last > 0):
        raise StudyFileError(where, got=given, expected="two ends above zero")
    if kind == "logspace" and max(abs(first), abs(last)) > 300:
        raise StudyFileError(where, got=given, expected="powers of ten, at most 300 in size")
    values = getattr(np, kind)(float(first), float(last), third)
    return tuple(_rounded(float(each)) for each in values)


def _rounded(value: float) -> int | float:
    return value if isinstance(value, int) else float(f"{value:.12g}")


def _number(value: object, where: str) -> int | float:
    if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
        raise StudyFileError(where, got=value, expected="a finite number")
    return value


def _count(least: int) -> Callable[[object, str], int]:
    def check(value: object, where: str) -> int:
        number = _number(value, where)
        if number != int(number) or number < least:
            raise StudyFileError(where, got=value, expected=f"a whole number, {least} or more")
        return int(number)

    return check


def _text(value: object, where: str) -> str:
    if not isinstance(value, str):
        raise StudyFileError(where, got=value, expected="the name of a model")
    return value


_FIXED = {"sweeps": "[sample]", "discard": "[sample]", "model": "`model`"}
"""Where the values of axes stand that are not scanned; of parameters in [set]."""

_CHECKS: dict[str, Callable[[object, str], Any]] = {
    "temperature": check_temperature,
    "disorder": _count(0),
    "sweeps": _count(1),
    "discard": _count(0),
    "model": _text,
}

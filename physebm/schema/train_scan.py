"""Axes of a scan that are keys of [train]: ``train.method = ["pcd", "tap"]`` in [scan].

The table [train] and the values of these axes at a point make the table of that point. Where a key
that decides about others is scanned (`Owner`: a method, an optimiser), the others may stand in [train]
when one of its values reads them; at the other values they are left out.

The dimension is called after the last part of the key, ``samples`` for ``train.data.samples``; after
the last two, ``data_temperature``, where the name is taken: by a parameter that the study sets, by a
reserved axis, by another key, by a keyword of xarray's `sel` (``train_method``), and below `set`, `l1`
and `l2`, whose keys are names of their own.
"""

from __future__ import annotations

import copy
import typing
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from physebm.errors import StudyFileError
from physebm.schema.axes import RESERVED_AXES, SPACINGS, Axis, Written, distinct, listed_values
from physebm.schema.convert import convert, legal_keys, require_table
from physebm.schema.data_declarations import DataDeclaration, SplitDeclaration
from physebm.schema.recorded_ages import RecordDeclaration
from physebm.schema.struct_rules import Owner, stranger
from physebm.schema.train_declarations import (
    LikelihoodDeclaration,
    RateDeclaration,
    TrainDeclaration,
    decode_train,
)
from physebm.schema.written import plain

TABLES: dict[str, type[msgspec.Struct] | None] = {
    "": TrainDeclaration,
    "data": DataDeclaration,
    "data.split": SplitDeclaration,
    "data.set": None,
    "learning_rate": RateDeclaration,
    "record": RecordDeclaration,
    "likelihood": LikelihoodDeclaration,
    "l1": None,
    "l2": None,
}
"""The tables inside [train] and their structs; None where any name may stand."""


KEYWORDS = ("method", "tolerance", "drop", "indexers")
"""Keywords of ``xarray.Dataset.sel``: ``sel(method="tap")`` would not select a dimension `method`."""


def scanned_keys(raw: object, inside: str = "") -> Iterator[tuple[str, object]]:
    """The keys below [scan] train that have values, ``data.samples``, in the order of the file."""
    if not isinstance(raw, dict):
        yield inside, raw
        return
    for name, held in raw.items():
        key = f"{inside}.{name}" if inside else name
        nests = isinstance(held, dict) and (key == "record" or not set(held) <= set(SPACINGS))
        if nests and key in TABLES:
            yield from scanned_keys(held, key)
        else:
            yield key, held


def axis_names(raw: Mapping[str, Any]) -> dict[str, str]:
    """The dimension of every scanned key of [train], from the tables of a study."""

    def names(table: object) -> set[str]:
        return set(table) if isinstance(table, dict) else set()

    scan = raw.get("scan")
    if not isinstance(scan, dict) or "train" not in scan:
        return {}
    keys = [key for key, _ in scanned_keys(scan["train"])]
    model = raw.get("model")
    parameters = names(model.get("parameters")) if isinstance(model, dict) else set()
    taken = {*RESERVED_AXES, *KEYWORDS, *names(scan), *names(raw.get("set")), *parameters}
    often = Counter(key.rpartition(".")[2] for key in keys)
    found = {}
    for key in keys:
        *above, last = ["train", *key.split(".")]
        own = TABLES.get(".".join(above[1:]), TrainDeclaration) is None
        parent = "data" if above[-1] == "set" else above[-1]
        found[key] = f"{parent}_{last}" if own or last in taken or often[last] > 1 else last
    return found


def read_train_axes(raw: Mapping[str, Any], file: str) -> tuple[Axis, ...]:
    """The axes below [scan] train; whether [train] takes their values is for `check_train`."""
    axes = []
    for key, held in scanned_keys(
        require_table(raw["scan"]["train"], f"{file}: scan.train", StudyFileError)
    ):
        where = f"{file}: scan.train.{key}"
        kind = _type_of(key, f"{file}: scan.train")
        values = listed_values(held, where)
        if isinstance(held, dict) and kind is int:
            values = tuple(round(each) for each in values)
        held_values = tuple(Written(v) if isinstance(v, dict | list | bool) else v for v in values)
        axes.append(distinct(Axis(axis_names(raw)[key], held_values, where, f"train.{key}")))
    return tuple(axes)


def _type_of(key: str, where: str) -> Any:
    """The type of a key of [train], without None; an unknown key is refused."""
    *above, last = key.split(".")
    path = ".".join(above)
    kind = TABLES[path]
    if kind is None:
        return None
    types = {field.encode_name: field.type for field in msgspec.structs.fields(kind)}
    if last not in types:
        at = f"{where}.{path}" if path else where
        raise StudyFileError(at, got=last, expected=legal_keys(kind))
    options = [each for each in typing.get_args(types[last]) if each is not type(None)]
    return options[0] if len(options) == 1 else types[last]


def check_train(table: Mapping[str, Any], axes: tuple[Axis, ...], file: str) -> TrainDeclaration:
    """[train] at the first value of every axis, once every value of every axis was seen to fit."""
    for axis in axes:
        if _find(table, axis.key) is not None:
            hint = f"`{axis.key}` is scanned; leave it out of [train]"
            raise StudyFileError(f"{file}: {axis.key}", got=_find(table, axis.key), hint=hint)
    by_key = {axis.key: axis for axis in axes}
    for key, value in _written(table):
        _readable(key, value, by_key, f"{file}: {key}")
    for axis in axes:
        chosen = _readable(axis.key, None, by_key, axis.where)
        for value in axis.values:
            first = {each.key: each.values[0] for each in axes}
            train_at(table, axes, {**first, **chosen, axis.key: value}, file)
    return train_at(table, axes, {axis.key: axis.values[0] for axis in axes}, file)


def train_at(
    table: Mapping[str, Any], axes: tuple[Axis, ...], values: Mapping[str, Any], file: str
) -> TrainDeclaration:
    """[train] with the values of the scanned keys put in; errors are addressed to the axis."""
    full = copy.deepcopy(dict(table))
    for key, value in values.items():
        _put(full, key, value.written if isinstance(value, Written) else value, file)
    for key, _ in list(_written(full)):
        owner = _stranger(full, key)
        if owner is not None and _beside(key, owner.selector) in values:
            _remove(full, key)
    try:
        return convert(full, TrainDeclaration, f"{file}: train", StudyFileError, decode_train)
    except StudyFileError as problem:
        raise at_axis(problem, axes, values, file) from None


def at_axis(
    problem: StudyFileError, axes: tuple[Axis, ...], values: Mapping[str, Any], file: str
) -> StudyFileError:
    """The same problem, addressed to the value of an axis where it stands in a scanned key."""
    path = problem.where.removeprefix(f"{file}: ")
    for axis in axes:
        rest = path.removeprefix(axis.key)
        if rest != path and rest[:1] in ("", ".", "["):
            place = f"{axis.where}[{axis.values.index(values[axis.key])}]{rest}"
            return StudyFileError(place, got=problem.got, expected=problem.expected, hint=problem.hint)
    return problem


def drop_orphans(raw: Mapping[str, Any], overridden: Iterable[str]) -> None:
    """Remove keys of [train] that an override of their selector left without a reader.

    `overridden` are the full dotted keys that were written over; those themselves stay.
    """
    given, table = set(overridden), raw.get("train")
    if not isinstance(table, dict):
        return
    if "train.data.path" in given:
        given.add("train.data.source")
    for key, _ in list(_written(table)):
        for owner in _owners(key):
            selector = _beside(key, owner.selector)
            values = []
            if selector in given:
                values = [_find(table, selector)]
            elif f"scan.{selector}" in given:
                values = dict(scanned_keys(raw["scan"]["train"])).get(selector.removeprefix("train."))
            read = any(map(owner.reads, values)) if isinstance(values, list) else True
            if values and not read and key not in given:
                _remove(table, key)


def written_train(table: Mapping[str, Any], axes: tuple[Axis, ...], file: str) -> dict[str, Any]:
    """[train] with its defaults written out, without the scanned keys.

    Keys that only some values of a scanned selector read are all there.
    """
    merged: dict[str, Any] = {}
    first = {axis.key: axis.values[0] for axis in axes}
    for axis in axes or (None,):
        for value in axis.values if axis else (None,):
            values = {**first, axis.key: value} if axis else {}
            _merge(merged, plain(train_at(table, axes, values, file)))
    for axis in axes:
        _remove(merged, axis.key)
    return merged


def _written(table: Mapping[str, Any], inside: str = "") -> Iterator[tuple[str, Any]]:
    """Every key of [train] with an owner, ``train.KEY``, tables before what stands in them."""
    for name, held in table.items():
        key = f"{inside}.{name}" if inside else name
        yield f"train.{key}", held
        if isinstance(held, dict) and TABLES.get(key) is not None:
            yield from _written(held, key)


def _owners(key: str) -> tuple[Owner, ...]:
    path, _, last = key.removeprefix("train.").rpartition(".")
    kind = TABLES.get(path)
    return getattr(kind, "owners", {}).get(last, ())


def _beside(key: str, selector: str) -> str:
    return f"{key.rpartition('.')[0]}.{selector}"


def _stranger(table: Mapping[str, Any], key: str) -> Owner | None:
    """The owner that does not read a key of a full table."""
    return stranger({key: _owners(key)}, key, lambda name: _find(table, _beside(key, name)))


def _readable(key: str, value: Any, axes: Mapping[str, Axis], where: str) -> dict[str, Any]:
    """Values of the scanned selectors at which a key is read, and the keys above it; or an error."""
    chosen: dict[str, Any] = {}
    parts = key.split(".")
    for i in range(2, len(parts) + 1):
        part = ".".join(parts[:i])
        for owner in _owners(part):
            axis = axes.get(_beside(part, owner.selector))
            if axis is None:
                continue
            fitting = [each for each in axis.values if owner.reads(each)]
            if not fitting:
                raise StudyFileError(where, got=value, hint=owner.hint(parts[i - 1], axis.values[0]))
            if axis.key != key:
                chosen[axis.key] = fitting[0]
    return chosen


def _find(table: Mapping[str, Any], key: str) -> Any:
    held: Any = {"train": table}
    for part in key.split("."):
        if not isinstance(held, dict) or part not in held:
            return None
        held = held[part]
    return held


def _put(table: dict[str, Any], key: str, value: Any, file: str) -> None:
    *above, last = key.split(".")[1:]
    for i, part in enumerate(above):
        held = table.setdefault(part, {})
        if not isinstance(held, dict):
            where = f"{file}: train.{'.'.join(above[: i + 1])}"
            hint = f"`{key}` is scanned, so this is a table"
            raise StudyFileError(where, got=held, expected="a table", hint=hint)
        table = held
    table[last] = value


def _remove(table: dict[str, Any], key: str) -> None:
    first, _, rest = key.removeprefix("train.").partition(".")
    if rest and isinstance(table.get(first), dict):
        _remove(table[first], rest)
    else:
        # a number may stand for a table of which the key is a part: a learning rate
        table.pop(first, None)


def _merge(into: dict[str, Any], other: Mapping[str, Any]) -> None:
    for key, held in other.items():
        if not isinstance(held, dict):
            into.setdefault(key, held)
        elif isinstance(into.get(key), dict):
            _merge(into[key], held)
        else:
            into[key] = held

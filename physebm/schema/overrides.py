"""``--set KEY=VALUE``: a study file with some keys written otherwise.

KEY is a dotted key of the study (``sample.sweeps``, ``scan.temperature``, ``model.parameters.L``).
A bare name means ``set.NAME``, except for the study's own top-level keys (title, model, models,
seed, backend) and ``disorder``, which is always scanned. VALUE is a TOML literal; a single bare
word is a string.
Setting a scanned name fixes it and removes the axis; scanning a set name removes the set one. The same
holds between ``train.KEY`` and ``scan.train.KEY``. Data have one source: setting ``train.data.path``
removes `source`, and the other way round. Keys of [train] that belong to the old value of an overridden
one (``chains`` to method "pcd", where the method becomes "tap") are left out, and so are tables of
[free_energy] that none of the overridden methods reads.
"""

from __future__ import annotations

import copy
import re
import tomllib
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from physebm.errors import StudyFileError
from physebm.schema.free_energy_declarations import READ_IF_WRITTEN, READERS
from physebm.schema.train_scan import axis_names, drop_orphans

TOP_LEVEL = ("title", "model", "models", "seed", "backend")
_WORD = re.compile(r"(?:[A-Za-z_]|~?/|\.\.?/)[A-Za-z0-9_./+~-]*\Z")
_KEY = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\Z")


class Overridden(NamedTuple):
    """A study's tables after the overrides, and the full dotted keys that were written."""

    tables: dict[str, Any]
    keys: tuple[str, ...]


def apply_overrides(raw: Mapping[str, Any], overrides: Iterable[str]) -> Overridden:
    """The tables with every ``KEY=VALUE`` applied in order; the input is left as it is.

    Whether the keys exist is found out when the study is read. Figures along an axis that an
    override fixed, or of an observable that it no longer records, are dropped.
    """
    raw = copy.deepcopy(dict(raw))
    keys, lost = [], set()
    for text in overrides:
        key, value = read_override(text)
        parts = key.split(".")
        if parts[0] == "train":
            lost |= _fix(raw, key.removeprefix("train."))
        table = raw
        for i, part in enumerate(parts[:-1]):
            table = table.setdefault(part, {})
            if not isinstance(table, dict):
                hint = f"{'.'.join(parts[: i + 1])} is no table"
                raise StudyFileError(f"--set {key}", got=text, hint=hint)
        if key == "observe.record":
            lost |= set(_names(table.get("record"))) - set(_names(value))
        table[parts[-1]] = value
        keys.append(key)
        match parts:
            case ["set", name]:
                lost |= _drop(raw, "scan", name)
            case ["scan", "model"]:
                raw.pop("model", None)
            case ["scan", name]:
                _drop(raw, "set", name)
                lost.discard(name)
            case ["model"]:
                lost |= _drop(raw, "scan", "model")
            case ["train", "data", "path" | "source" as given]:
                table.pop("source" if given == "path" else "path", None)
            case ["scan", "train", *rest] if rest:
                _drop_train(raw.get("train"), rest)
                lost.discard(axis_names(raw).get(".".join(rest)))
    drop_orphans(raw, keys)
    _drop_unread_tables(raw.get("free_energy"), keys)
    if lost and isinstance(raw.get("plot"), dict):
        raw["plot"] = {kind: _kept(held, lost) for kind, held in raw["plot"].items()}
    return Overridden(raw, tuple(keys))


def _drop_unread_tables(asked: Any, keys: list[str]) -> None:
    """Tables of [free_energy] that no method of an overridden list reads, unless they were set too."""
    if "free_energy.method" not in keys or not isinstance(asked, dict):
        return
    methods = asked["method"]
    methods = [methods] if isinstance(methods, str) else methods
    if not isinstance(methods, list):
        return
    for table, readers in (READERS | READ_IF_WRITTEN).items():
        written = any(f"{key}.".startswith(f"free_energy.{table}.") for key in keys)
        if table in asked and not written and not set(readers) & set(_names(methods)):
            del asked[table]


def _drop(raw: dict[str, Any], section: str, name: str) -> set[str]:
    held = raw.get(section)
    if isinstance(held, dict) and name in held:
        del held[name]
        return {name}
    return set()


def _fix(raw: dict[str, Any], key: str) -> set[str]:
    """Remove the axes of [scan] train that are this key, stand above it or below it; their names."""
    names = axis_names(raw)
    gone = [
        each for each in names if f"{each}.".startswith(f"{key}.") or f"{key}.".startswith(f"{each}.")
    ]
    for each in gone:
        _drop_train(raw["scan"]["train"], each.split("."))
    return {names[each] for each in gone}


def _drop_train(table: Any, parts: list[str]) -> None:
    """Remove one key of nested tables, and the tables that it leaves empty."""
    if isinstance(table, dict) and parts[0] in table:
        held = table[parts[0]]
        if parts[1:] and isinstance(held, dict):
            _drop_train(held, parts[1:])
        if not parts[1:] or held == {} or not isinstance(held, dict):
            del table[parts[0]]


def _kept(plots: Any, lost: set[str]) -> Any:
    return [
        plot
        for plot in (plots if isinstance(plots, list) else [plots])
        if not isinstance(plot, dict)
        or not any(plot.get(key) in lost for key in ("x", "y", "z", "by", "panel"))
    ]


def _names(value: Any) -> list[str]:
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


def read_override(text: str) -> tuple[str, Any]:
    """The full dotted key and the value of one ``KEY=VALUE``."""
    key, sign, literal = text.partition("=")
    key, literal = key.strip(), literal.strip()
    if not sign or not _KEY.match(key) or not literal:
        raise StudyFileError("--set", got=text, expected="KEY=VALUE, as in N=512 or sample.sweeps=1000")
    if key == "disorder":
        key = "scan.disorder"
    elif "." not in key and key not in TOP_LEVEL:
        key = f"set.{key}"
    try:
        table = tomllib.loads(f"value = {literal}")
    except (tomllib.TOMLDecodeError, RecursionError):
        if _WORD.match(literal):
            return key, literal
        table = {}
    if list(table) != ["value"]:
        expected = 'a TOML value: 512, 0.5, "2 * N", [1, 2], true, { linspace = [0.1, 1, 10] }'
        raise StudyFileError(f"--set {key}", got=literal, expected=expected)
    return key, table["value"]

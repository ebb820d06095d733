"""Read studies/*.toml: a question to `StudyDeclaration`, every default resolved, errors with addresses.

A study file says::

    title, source, notes   strings              seed     integer, default 0
    model    a name, or the table of a model    models   the file it stands in
    backend  auto | reference | numba | cuda    arrays   { from = RESULT, update = "last" }
    [set]        PARAMETER = number | "expression"; temperature; start
    [scan]       AXIS = values (see `axes`); AXIS is a parameter, temperature, start, disorder,
                 model, sweeps, discard or a key train.KEY (see `train_scan`)
    [train]      see `train_declarations` and `data_declarations`
    [free_energy]    see `free_energy_declarations`
    [sample] [tempering] [observe] [clamp]      see `study_declarations`
    [plot]       see `plot_declarations`

Checks across sections, and against the models, are in `study_checks`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from physebm.errors import InputError, StudyFileError
from physebm.schema.axes import Axis, StartDeclaration, check_temperature, read_start
from physebm.schema.convert import convert, parse_toml, read_toml, require_table
from physebm.schema.declarations import ModelDeclaration, TrainedArrays
from physebm.schema.expressions import Expression, parse
from physebm.schema.free_energy_declarations import FreeEnergyDeclaration, decode_free_energy
from physebm.schema.model_file import decode_model, read_model
from physebm.schema.overrides import apply_overrides
from physebm.schema.plot_declarations import read_plots
from physebm.schema.scan import read_scan
from physebm.schema.study_checks import check_sections, check_study
from physebm.schema.study_declarations import (
    SCHEDULE,
    ClampDeclaration,
    ObserveDeclaration,
    SampleDeclaration,
    StudyDeclaration,
    TemperingDeclaration,
    decode_clamp,
)
from physebm.schema.study_tables import study_to_dict
from physebm.schema.train_scan import check_train
from physebm.schema.words import BACKENDS
from physebm.schema.written import toml_text

__all__ = [
    "StudyDeclaration",
    "check_study",
    "read_study",
    "readdressed",
    "study_from_dict",
    "study_from_text",
    "study_to_dict",
]

KEYS = (
    *("title", "source", "notes", "model", "models", "seed", "backend", "arrays"),
    *("set", "scan", "train", "sample", "tempering", "observe", "free_energy", "clamp", "plot"),
)
SAMPLING = ("sample", "observe", "tempering")
# Tables that ask for something else than sampling: beside them sampling has to be asked for.
OTHER = ("train", "free_energy")


def read_study(path: str | Path, overrides: Iterable[str] = ()) -> StudyDeclaration:
    """The study of a file, with ``KEY=VALUE`` overrides applied; named after the file."""
    path = Path(path)
    raw = read_toml(path, StudyFileError)
    return _read(raw, str(path), overrides, path.stem, path.parent)


def study_from_text(
    text: str,
    overrides: Iterable[str] = (),
    *,
    name: str = "study",
    directory: str | Path = ".",
    where: str | None = None,
) -> StudyDeclaration:
    """The study of a TOML text; messages call it `where`, by default its name."""
    where = name if where is None else where
    return _read(parse_toml(text, where, StudyFileError), where, overrides, name, directory)


def study_from_dict(
    raw: Mapping[str, Any],
    overrides: Iterable[str] = (),
    *,
    name: str = "study",
    directory: str | Path = ".",
) -> StudyDeclaration:
    """The study of plain tables, such as `study_to_dict` gives."""
    return _read(dict(raw), name, overrides, name, directory)


def _read(
    raw: dict[str, Any],
    file: str,
    overrides: Iterable[str],
    name: str,
    directory: str | Path,
) -> StudyDeclaration:
    changed = apply_overrides(raw, overrides)
    try:
        return _study(changed.tables, file, name, str(directory))
    except StudyFileError as problem:
        raise readdressed(problem, file, changed.keys) from None


def readdressed(problem: InputError, file: str, keys: Iterable[str]) -> InputError:
    """The same problem, addressed to the ``--set`` that it stands in where there is one."""
    path = problem.where.removeprefix(f"{file}: ")
    for key in keys:
        inside = path == key or path.startswith((f"{key}.", f"{key}["))
        unknown = key == f"{path}.{problem.got}"
        if inside or unknown or (path == file and key.split(".")[0] == problem.got):
            where = f"--set {path if inside else key}"
            return type(problem)(where, got=problem.got, expected=problem.expected, hint=problem.hint)
    return problem


def _study(raw: dict[str, Any], file: str, name: str, directory: str) -> StudyDeclaration:
    for key in raw:
        if key not in KEYS:
            raise StudyFileError(file, got=key, expected=KEYS)

    def entries(key: str) -> Mapping[str, Any]:
        return require_table(raw.get(key, {}), f"{file}: {key}", StudyFileError)

    def section(key: str, kind: type) -> Any:
        return convert(entries(key), kind, f"{file}: {key}", StudyFileError, decode_model)

    texts = {}
    for key, default in (("title", name), ("source", ""), ("notes", "")):
        texts[key] = raw.get(key, default)
        if not isinstance(texts[key], str):
            raise StudyFileError(f"{file}: {key}", got=texts[key], expected="a string")
    seed = raw.get("seed", 0)
    if isinstance(seed, bool) or not isinstance(seed, int) or abs(seed) >= 2**63:
        raise StudyFileError(f"{file}: seed", got=seed, expected="an integer of at most 63 bits")
    backend = raw.get("backend", "auto")
    if backend not in BACKENDS:
        raise StudyFileError(f"{file}: backend", got=backend, expected=BACKENDS)
    models_file = raw.get("models")
    if models_file is not None and not isinstance(models_file, str):
        raise StudyFileError(f"{file}: models", got=models_file, expected="a path, as a string")

    entries("scan")
    scan = read_scan(raw, file)
    scanned = [axis.name for axis in scan]
    models, inline = _models(raw, file, scan, directory)
    parameters, temperature, start = _set(entries("set"), file, scanned)
    for key in SCHEDULE:
        if key in scanned and key in entries("sample"):
            hint = f"`{key}` is scanned; leave it out of [sample]"
            raise StudyFileError(f"{file}: sample.{key}", got=entries("sample")[key], hint=hint)

    train_axes = tuple(axis for axis in scan if axis.key)
    if train_axes and "train" not in raw:
        hint = "there is no table [train] whose keys could be scanned"
        raise StudyFileError(train_axes[0].where, hint=hint)

    study = StudyDeclaration(
        name=name,
        **texts,
        models=models,
        models_file=models_file,
        inline=inline,
        inline_table=raw["model"] if inline else None,
        seed=seed,
        backend=backend,
        set=parameters,
        temperature=temperature,
        start=start,
        scan=scan,
        sample=section("sample", SampleDeclaration),
        tempering=section("tempering", TemperingDeclaration) if "tempering" in raw else None,
        observe=section("observe", ObserveDeclaration),
        clamp=_clamp(entries("clamp"), file),
        plots=tuple(read_plots(entries("plot"), file)),
        arrays=section("arrays", TrainedArrays) if "arrays" in raw else None,
        train=check_train(entries("train"), train_axes, file) if "train" in raw else None,
        train_table=raw.get("train"),
        sampling_asked=any(key in raw for key in SAMPLING) or not any(key in raw for key in OTHER),
        free_energy=_free_energy(raw, file),
        directory=directory,
        where=file,
    )
    check_sections(study)
    return study


def _free_energy(raw: Mapping[str, Any], file: str) -> FreeEnergyDeclaration | None:
    if "free_energy" not in raw:
        return None
    where = f"{file}: free_energy"
    table = require_table(raw["free_energy"], where, StudyFileError)
    return convert(table, FreeEnergyDeclaration, where, StudyFileError, decode_free_energy)


def _models(
    raw: Mapping[str, Any], file: str, scan: tuple[Axis, ...], directory: str
) -> tuple[tuple[str, ...], ModelDeclaration | None]:
    """The names of the models, and the inline one."""
    where, held = f"{file}: model", raw.get("model")
    axis = next((axis for axis in scan if axis.name == "model"), None)
    if axis is not None:
        if held is not None:
            raise StudyFileError(where, got=held, hint="`model` is scanned; leave it out here")
        return axis.values, None
    if isinstance(held, dict):
        model = read_model("model", held, where, directory=directory, error=StudyFileError)
        return (model.name,), model
    if not isinstance(held, str):
        expected = "the name of a model, or a table [model]"
        raise StudyFileError(where, got=held, expected=expected)
    return (held,), None


def _set(
    raw: Mapping[str, Any], file: str, scanned: list[str]
) -> tuple[dict[str, Expression], Expression | None, StartDeclaration | None]:
    """The fixed parameters, and the fixed temperature and start where they are not scanned."""
    parameters, temperature, start = {}, None, None
    for name, held in raw.items():
        where = f"{file}: set.{name}"
        if name in scanned:
            raise StudyFileError(where, got=held, hint=f"`{name}` is scanned too; keep one of them")
        if name in ("T", "beta"):
            hint = f"{name} is a reserved word of expressions"
            raise StudyFileError(where, got=name, expected="temperature", hint=hint)
        if name in ("disorder", "model"):
            place = "a list or count in [scan]" if name == "disorder" else "a top-level key"
            raise StudyFileError(where, got=held, hint=f"`{name}` is {place}")
        if name in (*SCHEDULE, "chains", "method"):
            raise StudyFileError(where, got=held, hint=f"write it as sample.{name}")
        if isinstance(held, list | dict) and name != "start":
            axis = f"scan.{name}={toml_text(held)}"
            hint = f"several values are an axis: scan.{name} in place of set.{name}, --set '{axis}'"
            raise StudyFileError(where, got=held, expected="one number or expression", hint=hint)
        if name == "start":
            start = read_start(held, where)
        elif name == "temperature":
            temperature = parse(held, where, StudyFileError)
            if temperature.constant is not None:
                check_temperature(temperature.constant, where)
            if temperature.depends_on_temperature:
                raise StudyFileError(where, got=held, hint="this would define T by itself")
        else:
            parameters[name] = parse(held, where, StudyFileError)
    if temperature is None and "temperature" not in scanned:
        temperature = parse(1.0, f"{file}: set.temperature", StudyFileError)
    if start is None and "start" not in scanned:
        start = StartDeclaration()
    return parameters, temperature, start


def _clamp(raw: Mapping[str, Any], file: str) -> dict[str, ClampDeclaration]:
    clamp = {}
    for group, held in raw.items():
        where = f"{file}: clamp.{group}"
        table = (
            {"values": held}
            if isinstance(held, list)
            else dict(require_table(held, where, StudyFileError))
        )
        if isinstance(table.get("values"), list):
            table["values"] = _numbers(table["values"])
        clamp[group] = convert(table, ClampDeclaration, where, StudyFileError, decode_clamp)
    return clamp


def _numbers(values: list) -> list:
    """Nested lists in which the text "nan" stands for a free unit, as numbers."""
    return [
        _numbers(each) if isinstance(each, list) else math.nan if each == "nan" else each
        for each in values
    ]

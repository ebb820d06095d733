"""Read models.toml: tables to `ModelDeclaration`, checked in themselves, errors with addresses.

The structs and their keys are in `declarations`. Here is what concerns more than one key: every
name exists, parameters, units and arrays share one list of names, ``scale`` multiplies arrays
only, and T and beta stand only where the physics allows (prior parameters, arrays, couplings).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from physebm.errors import InputError, ModelFileError
from physebm.schema.convert import convert, read_toml, require_table
from physebm.schema.declarations import (
    ArrayDeclaration,
    GraphDeclaration,
    ModelDeclaration,
    TermDeclaration,
    Trained,
    TrainedArrays,
    UnitDeclaration,
    decode_model,
)
from physebm.schema.expressions import Expression, check_names, check_new_name, parse, resolve

__all__ = [
    "ArrayDeclaration",
    "GraphDeclaration",
    "ModelDeclaration",
    "TermDeclaration",
    "TrainedArrays",
    "UnitDeclaration",
    "read_model",
    "read_models",
]

MODEL_KEYS = ("title", "source", "notes", "conventions", "parameters", "units", "arrays", "terms")


def read_models(path: str | Path) -> dict[str, ModelDeclaration]:
    """All models of a file, in its order."""
    path = Path(path)
    raw = read_toml(path, ModelFileError)
    return {
        name: read_model(name, table, f"{path}: {name}", directory=path.parent)
        for name, table in raw.items()
    }


def read_model(
    name: str,
    raw: object,
    where: str,
    *,
    directory: str | Path = ".",
    error: type[InputError] = ModelFileError,
) -> ModelDeclaration:
    """One model from its table; every error gives `where` and the path below it."""
    raw = require_table(raw, where, error)
    legal = (*MODEL_KEYS, "small")
    for key in raw:
        if key not in legal:
            raise error(where, got=key, expected=legal)
    texts = {}
    for key in ("title", "source", "notes", "conventions"):
        texts[key] = raw.get(key, "")
        if not isinstance(texts[key], str):
            raise error(f"{where}.{key}", got=texts[key], expected="a string")

    def entries(key: str) -> Mapping[str, Any]:
        return require_table(raw.get(key, {}), f"{where}.{key}", error)

    def expressions(key: str) -> dict[str, Expression]:
        return {n: parse(held, f"{where}.{key}.{n}", error) for n, held in entries(key).items()}

    def structs(key: str, kind: type) -> dict[str, Any]:
        return {
            n: convert(held, kind, f"{where}.{key}.{n}", error, decode_model)
            for n, held in entries(key).items()
        }

    trained = isinstance(entries("arrays").get("from"), str)
    terms = raw.get("terms", [])
    if not isinstance(terms, list):
        raise error(f"{where}.terms", got=terms, expected="tables [[terms]]")
    model = ModelDeclaration(
        name=name,
        **texts,
        parameters=expressions("parameters"),
        units=structs("units", UnitDeclaration),
        arrays={} if trained else structs("arrays", ArrayDeclaration),
        trained=_trained(entries("arrays"), directory, f"{where}.arrays", error) if trained else None,
        terms=tuple(
            convert(term, TermDeclaration, f"{where}.terms[{i}]", error, decode_model)
            for i, term in enumerate(terms)
        ),
        small=expressions("small"),
        directory=str(directory),
        where=where,
    )
    _check(model, where, error)
    return model


def _trained(
    raw: Mapping[str, Any], directory: str | Path, where: str, error: type[InputError]
) -> Trained:
    arrays = convert(raw, TrainedArrays, where, error, decode_model)
    return Trained(arrays=arrays, directory=str(directory), where=where, error=error)


def _check(model: ModelDeclaration, where: str, error: type[InputError]) -> None:
    """What concerns more than one key: names exist, are unique, and stand where they may."""
    if not model.units:
        raise error(f"{where}.units", expected="at least one group of units")
    owner: dict[str, str] = {}
    for kind in ("parameters", "units", "arrays"):
        for name in getattr(model, kind):
            check_new_name(name, f"{where}.{kind}.{name}", error)
            if name in owner:
                hint = (
                    f"{owner[name]} has the name already; parameters, units and arrays share one list"
                )
                raise error(f"{where}.{kind}.{name}", got=name, hint=hint)
            owner[name] = kind
    _check_small(model, where, error)
    resolve(model.parameters)
    parameters, arrays = list(model.parameters), list(model.arrays)

    def size(held: Expression, extra: tuple[str, ...] = ()) -> None:
        if held.depends_on_temperature:
            raise error(held.where, got=held.text, hint="a size cannot depend on the temperature")
        if held.name not in extra:
            check_names(held, parameters)

    def array(held: object) -> bool:
        """Check a value where an array may stand; whether it is one."""
        if held is None:
            return False
        if isinstance(held, ArrayDeclaration):
            for each in held.shape or ():
                size(each, ("edges",))
            for each in held.expressions:
                check_names(each, parameters)
            return True
        if held.name in model.arrays or (model.trained is not None and held.name):
            return held.name not in model.parameters
        if held.name is not None:
            check_names(held, [*parameters, *arrays])
        for name in held.names:
            if name in model.arrays:
                hint = "an array stands alone; multiply it with `scale`"
                raise error(held.where, got=held.text, hint=hint)
        check_names(held, parameters)
        return False

    for name, unit in model.units.items():
        for each in unit.shape:
            size(each)
        if unit.q is not None:
            size(unit.q)
        array(unit.variance)
        array(unit.lower)
        lower = model.arrays.get(getattr(unit.lower, "name", None), unit.lower)
        if getattr(lower, "trainable", False):
            got = getattr(unit.lower, "name", None) or "an array with trainable = true"
            raise error(
                f"{where}.units.{name}.lower",
                got=got,
                expected="an array that is not trainable",
                hint="the lower edge of a unit is not learned",
            )
    for declaration in model.arrays.values():
        array(declaration)
    for i, term in enumerate(model.terms):
        here = f"{where}.terms[{i}]"
        groups = enumerate(term.couple) if term.couple else [(None, term.field)]
        for j, group in groups:
            if group not in model.units:
                at = f"{here}.field" if j is None else f"{here}.couple[{j}]"
                raise error(at, got=group, expected=list(model.units), hint="units of this model")
        is_array = array(term.coupling)
        if term.patterns is not None and not is_array:
            got = term.patterns.text
            raise error(f"{here}.patterns", got=got, expected=arrays, hint="arrays of this model")
        if term.scale is not None:
            check_names(term.scale, parameters)
            if not is_array:
                key = "h" if term.field is not None else "J"
                hint = f"`scale` multiplies arrays; write the factor into `{key}`"
                raise error(f"{here}.scale", got=term.scale.text, hint=hint)
        if term.on is not None:
            array(term.on.edges)
            for each in (term.on.degree, term.on.mean_degree):
                if each is not None:
                    size(each)


def _check_small(model: ModelDeclaration, where: str, error: type[InputError]) -> None:
    for name, held in model.small.items():
        if name not in model.parameters:
            raise error(f"{where}.small", got=name, expected=list(model.parameters))
        check_names(held, model.parameters)

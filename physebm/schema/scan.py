"""[scan]: the axes of a study."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from physebm.errors import StudyFileError
from physebm.schema.axes import RESERVED_AXES, SPACINGS, Axis, read_axis
from physebm.schema.train_scan import read_train_axes


def read_scan(raw: Mapping[str, Any], file: str) -> tuple[Axis, ...]:
    """The axes of a study's [scan], outermost first; `raw` holds all of its tables."""
    axes: list[Axis] = []
    for name, values in raw.get("scan", {}).items():
        if name == "train":
            axes += read_train_axes(raw, file)
        elif name.split(".")[0] == "free_energy":
            raise _free_energy(name, values, file)
        else:
            axes.append(_axis(name, values, f"{file}: scan.{name}"))
    return tuple(axes)


def _axis(name: str, raw: object, where: str) -> Axis:
    if name in ("T", "beta"):
        hint = f"{name} is a reserved word of expressions"
        raise StudyFileError(where, got=name, expected="temperature", hint=hint)
    if name in ("every", "chains", "method"):
        raise StudyFileError(where, got=name, hint=f"`{name}` belongs to [sample] and is not scanned")
    return read_axis(name, raw, where)


def _free_energy(name: str, held: object, file: str) -> StudyFileError:
    """Keys of [free_energy] are no axes: which budget an estimate had is no coordinate of a model."""
    key = name
    while isinstance(held, dict) and len(held) == 1 and not set(held) <= set(SPACINGS):
        ((inner, held),) = held.items()
        key += f".{inner}"
    legal = f"a parameter of the model, {', '.join(RESERVED_AXES)}, or a key train.KEY"
    hint = (
        "methods stand beside each other in one list, free_energy.method; budgets are compared by a "
        f"run for each: physebm run STUDY --set {key}=VALUE --out OTHER.nc"
    )
    return StudyFileError(f"{file}: scan", got=key, expected=legal, hint=hint)

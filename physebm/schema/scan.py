"""[scan]: the axes of a study."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from physebm.errors import StudyFileError
from physebm.schema.axes import Axis, read_axis


def read_scan(raw: Mapping[str, Any], file: str) -> tuple[Axis, ...]:
    """The axes of [scan], outermost first."""
    return tuple(_axis(name, values, f"{file}: scan.{name}") for name, values in raw.items())


def _axis(name: str, raw: object, where: str) -> Axis:
    if name in ("T", "beta"):
        hint = f"{name} is a reserved word of expressions"
        raise StudyFileError(where, got=name, expected="temperature", hint=hint)
    if name in ("every", "chains", "method"):
        raise StudyFileError(where, got=name, hint=f"`{name}` belongs to [sample] and is not scanned")
    return read_axis(name, raw, where)

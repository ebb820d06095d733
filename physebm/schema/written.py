"""Declarations back as they stand in a file: plain tables, lists, numbers and texts."""

from __future__ import annotations

import json
import math
from typing import Any

import msgspec

from physebm.schema.expressions import Expression


def plain(held: Any) -> Any:
    """A struct, expression, tuple or dict as tables, lists and numbers, without None.

    A struct may say itself how it is written (an attribute ``written``) and which of its keys
    mean nothing beside the others (``unread``).
    """
    if isinstance(held, Expression):
        return held.text if held.constant is None else held.constant
    if isinstance(held, tuple | list):
        return [plain(each) for each in held]
    if isinstance(held, dict):
        return {key: plain(each) for key, each in held.items()}
    if isinstance(held, msgspec.Struct):
        return held.written if hasattr(held, "written") else fields_of(held)
    # JSON has no word for a free unit of [clamp]; the reader of [clamp] knows this one
    return "nan" if isinstance(held, float) and math.isnan(held) else held


def fields_of(held: msgspec.Struct) -> dict[str, Any]:
    """The keys of a struct that mean something, as plain values."""
    unread = getattr(held, "unread", ())
    table = {
        key: plain(getattr(held, name))
        for name, key in zip(held.__struct_fields__, held.__struct_encode_fields__)
        if name not in unread
    }
    return {key: each for key, each in table.items() if each is not None}


def toml_text(value: Any) -> str:
    """A value as TOML in one line, the keys of tables in alphabetical order."""
    if isinstance(value, dict):
        inside = ", ".join(f"{key} = {toml_text(value[key])}" for key in sorted(value))
        return f"{{ {inside} }}" if inside else "{}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(toml_text, value)) + "]"
    return json.dumps(value) if isinstance(value, bool | str) else repr(value)

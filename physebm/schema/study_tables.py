"""A study as plain tables, with every default written out: what is stored and hashed."""

from __future__ import annotations

import math
from typing import Any

import msgspec

from physebm.schema.axes import StartDeclaration
from physebm.schema.expressions import Expression
from physebm.schema.study_declarations import SCHEDULE, StudyDeclaration


def study_to_dict(study: StudyDeclaration) -> dict[str, Any]:
    """The study as plain tables with every default written out; `study_from_dict` reads it back.

    Only keys that stand for "nothing" (no tempering, no colouring asked for) are left out, because
    TOML has no word for them. Axes are written as lists of their values.
    """
    raw: dict[str, Any] = {"title": study.title, "source": study.source, "notes": study.notes}
    if study.inline_table is not None:
        raw["model"] = study.inline_table
    elif study.axis("model") is None:
        raw["model"] = study.models[0]
    raw |= {"models": study.models_file, "seed": study.seed, "backend": study.backend}
    raw["arrays"] = _plain(study.arrays)
    raw["set"] = {
        **{name: _plain(held) for name, held in study.set.items()},
        "temperature": _plain(study.temperature),
        "start": study.start.written if study.start else None,
    }
    raw["scan"] = {axis.name: [_plain(each) for each in axis.values] for axis in study.scan}
    raw |= {"sample": _plain(study.sample), "tempering": _plain(study.tempering)}
    for key in SCHEDULE:
        if study.axis(key) is not None:
            raw["sample"].pop(key)
    raw["observe"] = _plain(study.observe)
    raw["clamp"] = {name: _plain(held) for name, held in study.clamp.items()}
    plots: dict[str, list] = {}
    for plot in study.plots:
        table = _plain(plot)
        plots.setdefault(table.pop("kind"), []).append(table)
    raw["plot"] = plots
    raw["set"] = {key: held for key, held in raw["set"].items() if held is not None}
    return {key: held for key, held in raw.items() if held is not None}


def _plain(held: Any) -> Any:
    """A struct, expression or tuple as plain tables, lists and numbers, without None."""
    if isinstance(held, Expression):
        return held.text if held.constant is None else held.constant
    if isinstance(held, StartDeclaration):
        return held.written
    if isinstance(held, tuple):
        return [_plain(each) for each in held]
    if isinstance(held, msgspec.Struct):
        table = {f.encode_name: _plain(getattr(held, f.name)) for f in msgspec.structs.fields(held)}
        return {key: each for key, each in table.items() if each is not None}
    # JSON has no word for a free unit of [clamp]; `_clamp` reads this one back
    return "nan" if isinstance(held, float) and math.isnan(held) else held

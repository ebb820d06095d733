"""A study as plain tables, with every default written out: what is stored and hashed."""

from __future__ import annotations

from typing import Any

from physebm.schema.study_declarations import SCHEDULE, StudyDeclaration
from physebm.schema.train_scan import written_train
from physebm.schema.written import plain


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
    raw["arrays"] = plain(study.arrays)
    raw["set"] = {
        **{name: plain(held) for name, held in study.set.items()},
        "temperature": plain(study.temperature),
        "start": study.start.written if study.start else None,
    }
    raw["scan"] = _scan(study)
    if study.train is not None:
        raw["train"] = written_train(study.train_table, study.train_axes, study.where)
    if study.sampling_asked:
        raw |= {"sample": plain(study.sample), "tempering": plain(study.tempering)}
        for key in SCHEDULE:
            if study.axis(key) is not None:
                raw["sample"].pop(key)
        raw["observe"] = plain(study.observe)
    raw["free_energy"] = plain(study.free_energy)
    raw["clamp"] = {name: plain(held) for name, held in study.clamp.items()}
    plots: dict[str, list] = {}
    for plot in study.plots:
        table = plain(plot)
        plots.setdefault(table.pop("kind"), []).append(table)
    raw["plot"] = plots
    raw["set"] = {key: held for key, held in raw["set"].items() if held is not None}
    return {key: held for key, held in raw.items() if held is not None}


def _scan(study: StudyDeclaration) -> dict[str, Any]:
    """The axes as lists of their values; keys of [train] in tables of their own."""
    scan: dict[str, Any] = {}
    for axis in study.scan:
        *above, last = (axis.key or axis.name).split(".")
        table = scan
        for part in above:
            table = table.setdefault(part, {})
        table[last] = [plain(each) for each in axis.values]
    return scan

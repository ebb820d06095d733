"""What concerns more than one section of a study, or a study and its models."""

from __future__ import annotations

from collections.abc import Mapping

from physebm.errors import StudyFileError
from physebm.schema.declarations import ModelDeclaration
from physebm.schema.expressions import check_names
from physebm.schema.study_declarations import (
    OBSERVABLES,
    REPLICA_OBSERVABLES,
    RESERVED_AXES,
    SCHEDULE,
    StudyDeclaration,
)


def check_sections(study: StudyDeclaration) -> None:
    """Raise where two sections of the file do not go together."""
    file = study.where
    temperatures = study.axis("temperature")
    if study.tempering is not None and (temperatures is None or len(temperatures.values) < 2):
        hint = "replica exchange needs a scanned `temperature` of two values or more"
        raise StudyFileError(f"{file}: tempering", hint=hint)
    if study.sample.method == "zero-temperature" and temperatures is not None:
        hint = "zero-temperature dynamics has no temperature"
        raise StudyFileError(f"{file}: scan.temperature", hint=hint)
    if study.sample.chains < 2:
        for i, name in enumerate(study.observe.record):
            if name in REPLICA_OBSERVABLES:
                hint = f"it compares two chains; [sample] chains = {study.sample.chains}"
                raise StudyFileError(f"{file}: observe.record[{i}]", got=name, hint=hint)
    _check_plots(study)


def check_study(study: StudyDeclaration, models: Mapping[str, ModelDeclaration]) -> None:
    """Raise where the study names a model, parameter or unit that does not exist in `models`."""
    scan = study.axis("model")
    for i, name in enumerate(study.models):
        if name not in models and study.inline is None:
            where = f"{scan.where}[{i}]" if scan else f"{study.where}: model"
            raise StudyFileError(where, got=name, expected=list(models))
        model = models[name] if study.inline is None else study.inline
        point = {axis.name: axis.values[0] for axis in study.scan}
        set_here = study.parameters_at(point)
        for parameter, held in set_here.items():
            if parameter not in model.parameters:
                legal = [*model.parameters, *RESERVED_AXES]
                hint = f"these are the parameters of {name}, and what any study may scan"
                raise StudyFileError(held.where, got=parameter, expected=legal, hint=hint)
            check_names(held, model.parameters)
        if study.temperature is not None:
            check_names(study.temperature, model.parameters)
        for key in SCHEDULE:
            held = getattr(study.sample, key)
            check_names(held, [*SCHEDULE, *model.parameters])
            if held.depends_on_temperature and study.tempering is not None:
                hint = "all rungs of a tempered point take the same sweeps"
                raise StudyFileError(held.where, got=held.text, hint=hint)
        for group in study.clamp:
            if group not in model.units:
                where = f"{study.where}: clamp"
                raise StudyFileError(where, got=group, expected=list(model.units))


def _check_plots(study: StudyDeclaration) -> None:
    axes = [axis.name for axis in study.scan]
    seen: dict[str, int] = {}
    for plot in study.plots:
        number = seen[plot.kind] = seen.get(plot.kind, -1) + 1
        where = f"{study.where}: plot.{plot.kind}" + (f"[{number}]" if number else "")
        observed = {"phase_diagram": "z", "curve": "y", "histogram": "x"}[plot.kind]
        for key in ("x", "y", "z", "by", "panel"):
            name = getattr(plot, key)
            if name is None:
                continue
            if key == observed:
                if name not in study.observe.record:
                    hint = "recorded in [observe]" if name in OBSERVABLES else None
                    expected = study.observe.record
                    raise StudyFileError(f"{where}.{key}", got=name, expected=expected, hint=hint)
            elif name not in axes:
                hint = "axes of [scan]"
                raise StudyFileError(f"{where}.{key}", got=name, expected=axes, hint=hint)

"""What concerns more than one section of a study, or a study and its models."""

from __future__ import annotations

from collections.abc import Mapping

from physebm.errors import StudyFileError
from physebm.schema.axes import AFTER_TRAINING, RESERVED_AXES
from physebm.schema.data_declarations import DataDeclaration
from physebm.schema.declarations import ModelDeclaration
from physebm.schema.expressions import check_names
from physebm.schema.plot_declarations import ESTIMATOR, REWEIGHTED, TRAINING_KINDS, PlotDeclaration
from physebm.schema.study_declarations import (
    OBSERVABLES,
    REPLICA_OBSERVABLES,
    SCHEDULE,
    StudyDeclaration,
)
from physebm.schema.train_scan import at_axis


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
                raise StudyFileError(
                    f"{file}: observe.record[{i}]",
                    got=f"{name} with sample.chains = {study.sample.chains}",
                    expected="sample.chains = 2 or more",
                    hint="it compares two chains of one disorder sample",
                )
    if study.train is not None:
        _check_train(study)
    if study.free_energy is not None:
        _check_free_energy(study)
    _check_plots(study)


def _check_free_energy(study: StudyDeclaration) -> None:
    where = f"{study.where}: free_energy"
    if study.sample.method == "zero-temperature":
        raise StudyFileError(where, hint="zero-temperature dynamics has no free energy")
    if study.clamp:
        hint = "free energies of a model with held units are not built; leave out [clamp]"
        raise StudyFileError(where, got="[clamp]", hint=hint)
    if study.sampling_asked:
        return
    for axis in study.scan:
        if axis.name in ("start", *SCHEDULE):
            hint = (
                "free energies do not depend on it, and nothing is sampled; add [sample] or [observe]"
            )
            raise StudyFileError(axis.where, got=axis.name, hint=hint)


def _check_train(study: StudyDeclaration) -> None:
    if study.arrays is not None:
        hint = "[train] learns the arrays; `arrays` takes them from a result: keep one of them"
        raise StudyFileError(f"{study.where}: arrays", got=study.arrays.from_result, hint=hint)
    if study.sampling_asked or study.free_energy is not None:
        return
    for axis in study.scan:
        if axis.name in AFTER_TRAINING:
            hint = "nothing is sampled after the training; add [sample] or [observe]"
            raise StudyFileError(axis.where, got=axis.name, hint=hint)


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
    if study.train is not None:
        _check_teachers(study, models)
        _check_pictured(study, models)


def _check_teachers(study: StudyDeclaration, models: Mapping[str, ModelDeclaration]) -> None:
    """The models that make training data exist, and have the parameters that are set."""
    first = {axis.name: axis.values[0] for axis in study.train_axes}
    points = [first]
    points += [first | {axis.name: value} for axis in study.train_axes for value in axis.values]
    for point in points:
        try:
            _check_teacher(study, study.train_at(point).data, models)
        except StudyFileError as problem:
            values = {axis.key: point[axis.name] for axis in study.train_axes}
            raise at_axis(problem, study.train_axes, values, study.where) from None


def _check_teacher(
    study: StudyDeclaration, data: DataDeclaration, models: Mapping[str, ModelDeclaration]
) -> None:
    if data.model is None:
        return
    if data.model not in models:
        where = f"{study.where}: train.data.model"
        raise StudyFileError(where, got=data.model, expected=list(models))
    parameters = models[data.model].parameters
    for name, held in data.set.items():
        if name not in parameters:
            hint = f"these are the parameters of {data.model}"
            raise StudyFileError(held.where, got=name, expected=list(parameters), hint=hint)
        check_names(held, parameters)


def _check_pictured(study: StudyDeclaration, models: Mapping[str, ModelDeclaration]) -> None:
    """The arrays of spectra and features are learned by one of the models at least."""
    own = [models[name] if study.inline is None else study.inline for name in study.models]
    learned = dict.fromkeys(name for model in own for name in model.trainable)
    for where, plot in addressed_plots(study):
        if plot.array is not None and plot.array not in learned:
            hint = "the trainable arrays"
            raise StudyFileError(f"{where}.array", got=plot.array, expected=list(learned), hint=hint)


def addressed_plots(study: StudyDeclaration) -> list[tuple[str, PlotDeclaration]]:
    """The [plot] tables with their addresses for messages, ``FILE: plot.KIND[number]``."""
    seen: dict[str, int] = {}
    found = []
    for plot in study.plots:
        number = seen[plot.kind] = seen.get(plot.kind, -1) + 1
        found.append((f"{study.where}: plot.{plot.kind}" + (f"[{number}]" if number else ""), plot))
    return found


def _check_plots(study: StudyDeclaration) -> None:
    axes = [axis.name for axis in study.scan]
    for where, plot in addressed_plots(study):
        learned = plot.kind in TRAINING_KINDS
        if learned and study.train is None:
            raise StudyFileError(where, hint=f"a figure `{plot.kind}` needs a table [train]")
        legal = [name for name in axes if name not in AFTER_TRAINING] if learned else axes
        hint = "axes of [scan]" + (" that the training depends on" if learned else "")
        if plot.of_estimates:
            _check_estimates(study, plot, where)
        if study.free_energy is not None and plot.kind in ("curve", "phase_diagram"):
            legal, hint = [*legal, ESTIMATOR], f"{hint}, and the methods of [free_energy]"
            if study.free_energy.reweight is not None:
                legal = [*legal, REWEIGHTED]
        for key in ("x", "y", "z", "by", "panel"):
            name = getattr(plot, key)
            if name is None:
                continue
            if key == plot.observed:
                _check_observed(study, name, f"{where}.{key}")
            elif name not in legal:
                raise StudyFileError(f"{where}.{key}", got=name, expected=legal, hint=hint)


def _check_estimates(study: StudyDeclaration, plot: PlotDeclaration, where: str) -> None:
    """The axes that only results of [free_energy] have, and those that they have not."""
    for key in ("x", "y", "by", "panel"):
        name = getattr(plot, key)
        if name in (ESTIMATOR, REWEIGHTED) and key != plot.observed:
            if study.free_energy is None or (name == REWEIGHTED and study.free_energy.reweight is None):
                table = "free_energy" + (".reweight" if name == REWEIGHTED else "")
                raise StudyFileError(
                    f"{where}.{key}", got=name, hint=f"it comes from a table [{table}]"
                )
            if plot.kind not in ("curve", "phase_diagram"):
                hint = f"a figure `{plot.kind}` has no estimators"
                raise StudyFileError(f"{where}.{key}", got=name, hint=hint)
            if name == REWEIGHTED and (plot.kind != "curve" or key != "x"):
                hint = "it is the axis x of a curve"
                raise StudyFileError(f"{where}.{key}", got=name, hint=hint)
        lost = ("start", *SCHEDULE) + (("temperature", ESTIMATOR) if REWEIGHTED in plot.shown else ())
        if name in lost and key != plot.observed:
            hint = "what [free_energy] finds does not depend on it"
            raise StudyFileError(f"{where}.{key}", got=name, hint=hint)


def _check_observed(study: StudyDeclaration, name: str, where: str) -> None:
    # what a training records depends on its model, and is known once its Hamiltonian is
    more = study.train is not None or study.free_energy is not None
    if name not in study.observe.record and not more:
        hint = "recorded in [observe]" if name in OBSERVABLES else None
        raise StudyFileError(where, got=name, expected=study.observe.record, hint=hint)

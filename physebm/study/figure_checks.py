"""[plot] against what a study will compute: mistakes are refused before anything is.

What a training records is known from its models (`learning.record_names`), what stands in the summary
from [observe], [free_energy] and the trainings.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from physebm.errors import StudyFileError
from physebm.learning.recipe import CHAIN_METHODS
from physebm.learning.record_names import recorded_names
from physebm.learning.record_weights import weight_matrices
from physebm.learning.trainable import trained_slots
from physebm.model.hamiltonian import Hamiltonian
from physebm.schema.plot_declarations import REWEIGHTED, TRAINING_KINDS, PlotDeclaration
from physebm.schema.study_checks import addressed_plots
from physebm.schema.study_declarations import StudyDeclaration
from physebm.storage.free_energy import ROWS, SUMMARY
from physebm.storage.quantities import QUANTITIES
from physebm.storage.reweighted import ALWAYS
from physebm.storage.training_quantities import PARTS, TEXTS, UPDATE, training_quantity
from physebm.study.grid import Grid
from physebm.study.theory_curves import check_applies, check_theories
from physebm.study.training_pictures import pictured_groups


def check_figures(study: StudyDeclaration, grid: Grid) -> None:
    """Raise where a [plot] table asks for what this study will not have.

    Raises
    ------
    StudyFileError
        with the key, what there will be, and the nearest of it.
    """
    check_theories(study)
    for where, plot in addressed_plots(study):
        _check_applied(grid, plot, where)
    learned = _Learned.of(grid)
    for where, plot in addressed_plots(study):
        if plot.kind not in TRAINING_KINDS:
            _check_summary(study, grid, plot, learned, where)
        elif plot.kind == "training":
            _check_recorded(plot, learned, where)
        elif plot.kind == "samples":
            _check_samples(plot, learned, where)
        else:
            _check_array(plot, learned, where)


def _check_applied(grid: Grid, plot: PlotDeclaration, where: str) -> None:
    """The theories of a figure speak of every model of the grid (lines of a plane: of the first)."""
    models = {id(point.loaded): point.loaded for point in grid.all_points}
    shown = list(models.values())[: 1 if plot.kind == "phase_diagram" else None]
    for name in plot.theory:
        for model in shown:
            check_applies(name, plot, model, where)


@dataclass(frozen=True)
class _Learned:
    """What the trainings of a study have: their models, names that they record, and methods."""

    models: tuple[Hamiltonian, ...]
    names: tuple[str, ...]
    methods: tuple[str, ...]

    @classmethod
    def of(cls, grid: Grid) -> _Learned:
        """Of all trainings of the grid, everything once."""
        models, names, seen = {}, {}, set()
        for training in grid.trainings:
            declared, hamiltonian = training.declared, training.point.loaded.hamiltonian
            split = declared.data.split
            parts = tuple(part for part in PARTS if getattr(split, part))
            asked = declared.likelihood is not None
            recipe = (hamiltonian, declared.method, parts, declared.tau_sweeps or 0, asked)
            models[hamiltonian] = None
            if recipe not in seen:
                seen.add(recipe)
                names |= dict.fromkeys(recorded_names(*recipe))
        methods = dict.fromkeys(training.declared.method for training in grid.trainings)
        return cls(tuple(models), tuple(names), tuple(methods))


def curve_names(names: list[str]) -> list[str]:
    """What the `y` of a figure `training` may be: recorded numbers, and names without their part."""
    legal = [name for name in names if not name.endswith("_stderr") and name not in TEXTS]
    whole = [
        name.removesuffix(f"_{part}") for name in legal for part in PARTS if name.endswith(f"_{part}")
    ]
    return list(dict.fromkeys([*whole, *legal]))


def _check_recorded(plot: PlotDeclaration, learned: _Learned, where: str) -> None:
    legal = curve_names(list(learned.names))
    if plot.y in legal:
        return
    hint = "what this training records"
    if str(plot.y).startswith(("chain_tau", "chain_lag", "chain_verdict")):
        hint += "; chains are judged with train.tau_sweeps of 3 or more"
    raise StudyFileError(f"{where}.y", got=plot.y, expected=legal, hint=hint)


def _check_summary(
    study: StudyDeclaration, grid: Grid, plot: PlotDeclaration, learned: _Learned, where: str
) -> None:
    """The quantity of a figure over the grid is observed, a free energy, or a number of a training."""
    name = getattr(plot, plot.observed)
    if plot.of_estimates:
        _check_estimated(study, plot, name, where)
        return
    legal = list(study.observe.record) if study.sampling_asked else []
    if study.free_energy is not None:
        legal += SUMMARY
    if name in legal:
        return
    recorded = [
        each
        for each in learned.names
        if training_quantity(each).dims == UPDATE and each not in (*TEXTS, *QUANTITIES)
    ]
    if name not in recorded:
        hint = "what the study computes of every point"
        expected = [each for each in (*legal, *recorded) if not each.endswith("_stderr")]
        raise StudyFileError(f"{where}.{plot.observed}", got=name, expected=expected, hint=hint)
    for key in {"x", "y", "by", "panel"} - {plot.observed}:
        axis = getattr(plot, key)
        if axis is not None and axis not in grid.training_axes:
            hint = f"{name} is of the training, which does not depend on {axis}"
            raise StudyFileError(
                f"{where}.{key}", got=axis, expected=list(grid.training_axes), hint=hint
            )


def _check_estimated(study: StudyDeclaration, plot: PlotDeclaration, name: str, where: str) -> None:
    """The quantity of a figure over estimators or reweighted temperatures is one that these have."""
    if REWEIGHTED in plot.shown:
        legal, hint = [*study.free_energy.reweight.observables, *ALWAYS], "reweighted in [free_energy]"
    else:
        parts = ()
        if study.train is not None:
            split = study.train.data.split
            parts = tuple(part for part in PARTS if getattr(split, part))
        likelihoods = [f"log_likelihood{kind}_{part}" for kind in ("", "_bound") for part in parts]
        legal = [row for row in ROWS if not row.startswith("log_likelihood") or row in likelihoods]
        hint = "what the estimators of [free_energy] give"
    if name not in legal:
        raise StudyFileError(f"{where}.{plot.observed}", got=name, expected=legal, hint=hint)


def _check_samples(plot: PlotDeclaration, learned: _Learned, where: str) -> None:
    if not set(learned.methods) & set(CHAIN_METHODS):
        hint = "methods without Markov chains leave no samples"
        raise StudyFileError(where, got=", ".join(learned.methods), expected=CHAIN_METHODS, hint=hint)
    sizes = [sum(group.size for group in pictured_groups(model)) for model in learned.models]
    _check_shape(plot, sizes, where)


def _check_array(plot: PlotDeclaration, learned: _Learned, where: str) -> None:
    held = [
        {each.name: each for each in weight_matrices(model, trained_slots(model))}
        for model in learned.models
    ]
    # a spectrum is drawn of the models that have one, features of all
    missing = [plot.array not in matrices for matrices in held]
    if all(missing) if plot.kind == "spectrum" else any(missing):
        legal = dict.fromkeys(name for matrices in held for name in matrices)
        hint = "trained arrays that are matrices; fields and sparse couplings are none"
        raise StudyFileError(f"{where}.array", got=plot.array, expected=list(legal), hint=hint)
    if plot.kind == "features":
        _check_shape(plot, [matrices[str(plot.array)].shape[0] for matrices in held], where)


def _check_shape(plot: PlotDeclaration, sizes: list[int], where: str) -> None:
    """A picture has as many places as there are units, in all trainings."""
    if plot.shape is None:
        return
    for units in sizes:
        if np.prod(plot.shape) != units:
            raise StudyFileError(f"{where}.shape", got=list(plot.shape), expected=f"{units} units")

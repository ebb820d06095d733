"""Training from Python: an array of data and the options of [train] in, a trained model out."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import xarray as xr

from physebm.data.raw import native_numbers, refuse_masked, refuse_non_finite
from physebm.errors import InputError, StudyError
from physebm.learning.checks import check_recipe
from physebm.schema.load import Loaded
from physebm.schema.study_file import study_from_dict
from physebm.study.grid import expand
from physebm.study.keywords import in_words_of_the_call, plain_arguments
from physebm.study.merge_training import read_training, training_groups
from physebm.study.trained import Trained
from physebm.study.training import recipe_of, run_training
from physebm.study.visible_data import size_parameter, visible_states

# What the study behind a call is named: errors about it are told in words of the call.
_STUDY = "train"
_PLACES = {"train.data.": "", "train.": ""}


@plain_arguments("model", "data", "weights")
def train(
    model: Loaded,
    data: np.ndarray,
    *,
    weights: np.ndarray | None = None,
    split: Mapping[str, float] | None = None,
    seed: int = 0,
    backend: str = "auto",
    **options: object,
) -> tuple[Trained, xr.Dataset]:
    """Fit the trainable arrays of a model to data.

    Parameters
    ----------
    model
        From `load_model`.
    data
        ``[sample, unit...]``: an array of states of the visible units.
    weights
        ``[sample]``, not negative.
    split
        Fractions ``{"validation": ..., "test": ...}`` that are held out.
    options
        Keys of [train]: ``method="pcd", steps=10, updates=5000, learning_rate=0.05, ...``.

    Returns
    -------
    The trained model, and what was recorded against its age (the group /training of a result file).

    Raises
    ------
    InputError
        for anything a study file would be refused for.
    StudyError
        for a training that diverged.
    """
    _check_call(model, data, split, options)
    try:
        values = _states(model, data)
        refuse_masked(weights, "train: weights")
        trained, recorded = _run(model, values, weights, split, seed, backend, options)
    except InputError as problem:
        raise in_words_of_the_call(problem, _STUDY, _PLACES, ("data",)) from None
    return trained, recorded


def _run(model, values, weights, split, seed, backend, options) -> tuple[Trained, xr.Dataset]:
    name = model.declaration.name
    with tempfile.TemporaryDirectory() as folder:
        held = {"data": values} | ({} if weights is None else {"weights": np.asarray(weights)})
        np.savez(Path(folder) / "data.npz", **held)
        source: dict[str, object] = {"path": "data.npz", "variable": "data"}
        source |= {} if weights is None else {"weights": "weights"}
        source |= {} if split is None else {"split": dict(split)}
        raw = {
            "title": name,
            "model": name,
            "seed": seed,
            "backend": backend,
            "set": {key: value.text for key, value in model.overrides.items()},
            "train": {"data": source, **options},
        }
        study = study_from_dict(raw, name=_STUDY, directory=folder)
        models = {name: model.declaration}
        grid = expand(study, models)
        (training,) = grid.trainings
        check_recipe(training.point.loaded.hamiltonian, recipe_of(training.declared), "train")
        path = run_training(study, training, models, backend, Path(folder) / "work", "memory")
        outcome = read_training(training, path)
    if outcome.meta["failure"]:
        reason = outcome.meta["failure"].partition(";")[0]
        raise StudyError(f"{reason}. Lower learning_rate, or set clip")
    groups = training_groups(grid, [outcome])
    loaded = training.point.loaded
    prefix = "arrays/"
    arrays = {
        key.removeprefix(prefix): values[-1:].astype(np.float64)
        for key, values in outcome.arrays.items()
        if key.startswith(prefix)
    }
    params = loaded.params(seed, 0).with_arrays(**arrays)
    update = int(outcome.arrays["update"][-1])
    return Trained(loaded, params, update, tuple(values.shape[1:])), groups["/training"]


def _check_call(model: object, data: object, split: object, options: Mapping[str, object]) -> None:
    """What is wrong with the call itself, before any study is made of it."""
    if not isinstance(model, Loaded):
        hint = 'as in train(load_model("rbm", Nv=64, Nh=20), data)'
        if isinstance(model, Trained):
            hint = "a training begins at the arrays that the model declares: pass the model's `.loaded`"
        raise InputError(
            "train: model", got=f"a {type(model).__name__}", expected="what load_model gives", hint=hint
        )
    if isinstance(data, str | Path):
        raise InputError(
            "train: data",
            got=str(data),
            expected="an array [sample, unit]",
            hint="np.load reads a .npy file; a study file reads many formats",
        )
    if split is not None and not isinstance(split, Mapping):
        raise InputError("train: split", got=split, expected='fractions, as in {"test": 0.2}')
    for key in ("test", "validation"):
        if key in options:
            got = options[key]
            shown = f"{got:g}" if isinstance(got, int | float) else "0.2"
            raise InputError(
                f"train: {key}", got=got, expected=f'a part of split: split={{"{key}": {shown}}}'
            )


def _states(model: Loaded, data: object) -> np.ndarray:
    """The data as numbers that are states of the visible units, in their own shape."""
    try:
        values = native_numbers(data, "train: data")
    except ValueError:  # rows of several lengths
        raise InputError(
            "train: data", got="rows of several lengths", expected="[sample, unit]"
        ) from None
    if values.ndim < 2 or values.size == 0:
        raise InputError(
            "train: data", got=f"shape {list(values.shape)}", expected="[sample, unit], not empty"
        )
    refuse_non_finite(values, "train: data")

    def sizing(units: int) -> str | None:
        name = size_parameter(model.declaration, model.hamiltonian)
        return None if name is None else f'load_model("{model.declaration.name}", {name}={units}, ...)'

    visible_states(model.hamiltonian, model.params(), values, "train: data", keys=False, sizing=sizing)
    return values

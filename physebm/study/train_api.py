"""Training from Python: an array of data and the options of [train] in, a trained model out."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import xarray as xr

from physebm.errors import InputError, StudyError
from physebm.schema.load import Loaded
from physebm.schema.study_file import study_from_dict
from physebm.study.grid import expand
from physebm.study.merge_training import read_training, training_groups
from physebm.study.trained import Trained
from physebm.study.training import run_training


def train(
    model: Loaded,
    data: np.ndarray,
    *,
    weights: np.ndarray | None = None,
    split: dict[str, float] | None = None,
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
        ``[sample, unit...]`` in the support of the visible units.
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
    name = model.declaration.name
    data = np.asarray(data)
    if data.ndim < 2:
        raise InputError("data", got=f"shape {list(data.shape)}", expected="[sample, unit]")
    with tempfile.TemporaryDirectory() as folder:
        held = {"data": data} | ({} if weights is None else {"weights": np.asarray(weights, float)})
        np.savez(Path(folder) / "data.npz", **held)
        source: dict[str, object] = {"path": "data.npz", "variable": "data"}
        source |= {} if weights is None else {"weights": "weights"}
        source |= {} if split is None else {"split": dict(split)}
        raw = {
            "title": name,
            "model": name,
            "seed": seed,
            "set": {key: value.text for key, value in model.overrides.items()},
            "train": {"data": source, **options},
        }
        study = study_from_dict(raw, name="train", directory=folder)
        models = {name: model.declaration}
        grid = expand(study, models)
        (training,) = grid.trainings
        path = run_training(study, training, models, backend, Path(folder) / "work", "memory")
        outcome = read_training(training, path)
    if outcome.meta["failure"]:
        raise StudyError(outcome.meta["failure"])
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
    return Trained(loaded, params, update, tuple(data.shape[1:])), groups["/training"]

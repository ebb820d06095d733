"""Training results -> the groups /training, /arrays, /teacher and /chains, and a summary of the last.

Trainings of one study may have been recorded at different ages (methods that solve in one step beside
methods that climb) and their arrays may differ in size (a scan of hidden units): values are placed on
the union of the ages, what does not exist is NaN.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from physebm.storage.arrays_file import read_arrays
from physebm.storage.training import arrays_dataset, chains_dataset, final_dataset, training_dataset
from physebm.study.grid import Grid, Training


@dataclass
class TrainingOutcome:
    """What became of a training: its arrays, or the message of its failure, or both (it diverged)."""

    training: Training
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
    meta: Mapping[str, Any] = field(default_factory=dict)
    failure: str = ""


def read_training(training: Training, result: Path | None, failure: str = "") -> TrainingOutcome:
    """The outcome of a training from its result file and the message of its failure."""
    if result is None:
        return TrainingOutcome(training, failure=failure)
    arrays, meta = read_arrays(result)
    return TrainingOutcome(training, arrays, meta, failure)


def training_groups(grid: Grid, outcomes: list[TrainingOutcome]) -> dict[str, xr.Dataset]:
    """The groups of the result file that trainings fill."""
    done = [outcome for outcome in outcomes if outcome.arrays]
    if not done:
        return {}
    axes = grid.training_axes
    updates = np.unique(np.concatenate([outcome.arrays["update"] for outcome in done]))
    groups = {"/training": training_dataset(axes, updates, _placed(grid, done, "history/", updates))}
    arrays = _placed(grid, done, "arrays/", updates)
    kept = np.unique(np.concatenate([_ages(o, f"arrays/{slot}") for o in done for slot in arrays]))
    rows = np.isin(updates, kept)
    arrays = {slot: np.compress(rows, x, axis=len(axes)) for slot, x in arrays.items()}
    shape = done[0].meta.get("shape", [])
    groups["/arrays"] = arrays_dataset(axes, updates[rows], arrays)
    groups["/arrays"].attrs["sample_shape"] = np.array(shape, dtype=np.int64)
    scale = done[0].meta.get("scale")
    if scale is not None:
        groups["/arrays"].attrs["data_scale"] = np.array(scale, dtype=np.float64)
    teacher = _placed(grid, done, "teacher/")
    if teacher:
        groups["/teacher"] = arrays_dataset(axes, None, teacher)
        for variable in groups["/teacher"].data_vars.values():
            variable.attrs["definition"] += (
                " of the teacher; divided by its temperature: what a perfect student learns"
            )
    chains = _placed(grid, done, "chains/")
    if chains:
        groups["/chains"] = chains_dataset(axes, chains)
        groups["/chains"].attrs["sample_shape"] = np.array(shape, dtype=np.int64)
    return groups


def training_summary(grid: Grid, training: xr.Dataset) -> xr.Dataset:
    """The scalars of the last recorded age, on the training axes: a part of the root group."""
    return final_dataset(grid.training_axes, training)


def _ages(outcome: TrainingOutcome, name: str) -> np.ndarray:
    return outcome.arrays.get(f"at/{name}", outcome.arrays["update"])


def _placed(grid: Grid, done, prefix: str, updates: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """Arrays ``[*training axes, (update,) ...]`` by name without the prefix, NaN where none is."""
    axes = list(grid.training_axes)
    places = [grid.axes_index(name) for name in axes]
    shape = tuple(len(grid.axes[name]) for name in axes)
    names = dict.fromkeys(n for o in done for n in o.arrays if n.startswith(prefix))
    out = {}
    for name in names:
        held = [(o, o.arrays[name]) for o in done if name in o.arrays]
        skip = 0 if updates is None else 1
        tail = tuple(np.max([x.shape[skip:] for _, x in held], axis=0))
        lengths = () if updates is None else (len(updates),)
        kind = np.result_type(*[x.dtype for _, x in held])
        text = kind.kind in "US"
        whole = kind.kind in "iub" and len(held) == np.prod(shape, dtype=int) and updates is None
        placed = np.full((*shape, *lengths, *tail), "" if text else 0 if whole else np.nan, object
                         if text else kind if whole or kind.kind == "f" else np.float64)  # fmt: skip
        for outcome, x in held:
            at = tuple(outcome.training.point.index[i] for i in places)
            inner = tuple(slice(0, n) for n in x.shape[skip:])
            if updates is None:
                placed[(*at, *inner)] = x
            else:
                rows = np.searchsorted(updates, _ages(outcome, name))
                for row, value in zip(rows, x):
                    placed[(*at, row, *inner)] = str(value) if text else value
        out[name.removeprefix(prefix)] = placed
    return out

"""Task results -> one labelled dataset: direct estimates placed on the grid, derived ones formed."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from physebm.observables.derived import DERIVED
from physebm.observables.overlap import noise_floor
from physebm.schema.study_declarations import StudyDeclaration
from physebm.storage.dataset import (
    DONE,
    FAILED,
    NOT_RUN,
    series_dataset,
    summary_dataset,
    tempering_dataset,
)
from physebm.storage.free_energy import summary_of
from physebm.study.grid import Grid
from physebm.study.merge_derived import derived_estimates, places
from physebm.study.merge_free_energy import FreeEnergyOutcome, free_energy_group
from physebm.study.merge_training import TrainingOutcome, training_groups, training_summary
from physebm.study.task_outcome import TaskOutcome

# Channels that are reported as draws of an observable in /series.
SERIES_NAMES = {"du_dbeta": "energy", "m": "magnetisation", "q1": "replica_overlap"}
SERIES_NAMES |= {name: name for name in ("retrieval_overlap", "max_pattern_overlap")}


def merge(
    study: StudyDeclaration,
    grid: Grid,
    outcomes: list[TaskOutcome],
    trainings: list[TrainingOutcome] = (),
    free: list[FreeEnergyOutcome] = (),
) -> dict[str, xr.Dataset]:
    """The groups of the result file, ``/`` (summary) and those that the study asks for."""
    done = [outcome for outcome in outcomes if outcome.arrays]
    estimates = {}
    for name in study.observe.record if outcomes else ():
        given = (
            _direct(grid, done, name) if name not in DERIVED else derived_estimates(grid, done, name)
        )
        if given is not None:
            estimates[name] = given
    coords = {}
    if "overlap_distribution" in estimates:
        coords = _overlap_coordinates(grid, done)
    summary = summary_dataset(
        grid.axes,
        estimates,
        status=_status(grid, outcomes, trainings, free),
        messages=_messages(grid, outcomes, trainings, free),
        equilibration=_place(grid, done, "equilibration", fill=0, dtype=np.int8),
        equilibration_messages=_place(grid, done, "equilibration_message", fill="", dtype=object),
        coords=coords,
        attrs=_attributes(grid, done, estimates),
        title=study.title,
    )
    learned = training_groups(grid, list(trainings))
    if learned:
        summary = summary.merge(training_summary(grid, learned["/training"]), combine_attrs="override")
    groups = {"/": summary, **learned}
    if any(outcome.arrays for outcome in free):
        group = free_energy_group(grid, study.free_energy.method, free)
        more = summary_of(group)
        # an exact likelihood that the training recorded itself stands there already
        twice = [n for n in more.data_vars if str(n).removesuffix("_stderr") in summary]
        more = more.drop_vars(twice)
        groups["/"] = summary.merge(more, compat="no_conflicts", combine_attrs="override")
        groups["/free_energies"] = group
    if study.observe.series:
        groups["/series"] = _series(grid, done, study)
    if study.observe.states:
        groups["/states"] = _states(grid, done)
    if study.tempering is not None:
        groups["/tempering"] = _tempering(grid, done)
    return groups


def _place(grid: Grid, done, name: str, fill: Any = np.nan, dtype=np.float64) -> np.ndarray | None:
    """Arrays ``[point, ...]`` of all tasks on the grid, ``[*axes, ...]``, padded where ragged."""
    parts = [(o.index, np.asarray(o.arrays[name])) for o in done if name in o.arrays]
    if not parts:
        return None
    rank = parts[0][1].ndim - 1
    tail = tuple(max(part.shape[1 + i] for _, part in parts) for i in range(rank))
    placed = np.full((grid.points, *tail), fill, dtype=dtype)
    for index, part in parts:
        inner = tuple(slice(0, n) for n in part.shape[1:])
        # texts become Python's own: numpy's beside them could not be stored
        placed[(places(index, grid.shape), *inner)] = part.astype(dtype)
    return placed.reshape((*grid.shape, *tail))


def _direct(grid: Grid, done, name: str):
    value = _place(grid, done, f"estimate/{name}")
    if value is None:
        return None
    return value, _place(grid, done, f"stderr/{name}"), _place(grid, done, f"tau/{name}")


def _overlap_coordinates(grid: Grid, done) -> dict[str, Any]:
    """The exact overlap values: one axis, or one list per task where N differs."""
    lists = [o.arrays["overlap_values"] for o in done]
    longest = max(lists, key=len)
    if all(len(v) == len(longest) for v in lists):
        return {"overlap": longest}
    values = np.full((*grid.shape, len(longest)), np.nan)
    for outcome in done:
        held = outcome.arrays["overlap_values"]
        for point in outcome.task.points:
            values[point.index][: len(held)] = held
    return {"overlap_value": ((*grid.axes, "overlap"), values)}


def _status(grid: Grid, outcomes, trainings, free) -> np.ndarray:
    """Per point: done when all that it needs is done, failed when any of it failed."""
    status = np.full(grid.shape, NOT_RUN, dtype=np.int8)
    ended = {
        o.training.number: FAILED if o.failure else DONE if o.arrays else NOT_RUN for o in trainings
    }
    for point in grid.all_points:
        state = ended.get(point.training, NOT_RUN)
        if state == FAILED or not (grid.tasks or grid.free_energies):
            status[point.index] = state
    for outcome in outcomes:
        status.flat[places(outcome.index, grid.shape)] = (
            DONE if outcome.arrays else FAILED if outcome.failure else NOT_RUN
        )
    for outcome in free:
        for point in outcome.part.points:
            if outcome.failure:
                status[point.index] = FAILED
            elif outcome.arrays and not grid.tasks:
                status[point.index] = DONE
    return status


def _messages(grid: Grid, outcomes, trainings, free) -> np.ndarray:
    messages = np.full(grid.shape, "", dtype=object)
    failures = {o.training.number: o.failure for o in trainings}
    for point in grid.all_points:
        messages[point.index] = failures.get(point.training, "")
    for outcome in outcomes:
        messages.flat[places(outcome.index, grid.shape)] = outcome.failure
    for outcome in free:
        for point in outcome.part.points:
            messages[point.index] = messages[point.index] or outcome.failure
    return messages


def _attributes(grid: Grid, done, estimates) -> dict[str, dict[str, Any]]:
    attributes: dict[str, dict[str, Any]] = {}
    if "max_pattern_overlap" in estimates:
        floors = {
            (int(n), int(p)): noise_floor(int(p), int(n))
            for o in done
            for n, p in zip(o.arrays["n_units"], o.arrays["patterns"])
        }
        attributes["max_pattern_overlap"] = {
            "noise_floor": "; ".join(
                f"N = {n}, P = {p}: {v:.4f}" for (n, p), v in sorted(floors.items())
            )
        }
    return attributes


def _series(grid: Grid, done, study: StudyDeclaration) -> xr.Dataset:
    """Series of every point on one time axis: bins of equal sweeps, NaN beyond the end of a run."""
    names = [c for c in SERIES_NAMES if any(f"series/{c}" in o.arrays for o in done)]
    bin_sweeps = int(np.lcm.reduce([int(o.arrays["series_bin"]) for o in done]))
    merged = [bin_sweeps // int(o.arrays["series_bin"]) for o in done]
    length = max(len(o.arrays["series/du_dbeta"]) // k for o, k in zip(done, merged))
    series = {}
    for channel in names:
        chains = max(o.arrays[f"series/{channel}"].shape[2] for o in done)
        placed = np.full((*grid.shape, chains, length), np.nan)
        for o, k in zip(done, merged):
            values = o.arrays[f"series/{channel}"]
            values = values[: len(values) // k * k].reshape(-1, k, *values.shape[1:]).mean(axis=1)
            for p, point in enumerate(o.task.points):
                scale = 1.0 / o.arrays["n_units"][p] if channel == "du_dbeta" else 1.0
                placed[point.index][..., : len(values)] = values[:, p].T * scale
        series[SERIES_NAMES[channel]] = placed
    if "replica_overlap" in series and series["replica_overlap"].shape[-2] == 1:
        pairs = series.pop("replica_overlap")
        energy = series_dataset(grid.axes, series, np.arange(1, length + 1) * bin_sweeps)
        energy["replica_overlap"] = ((*grid.axes, "draw"), pairs[..., 0, :])
        return energy
    return series_dataset(grid.axes, series, np.arange(1, length + 1) * bin_sweeps)


def _states(grid: Grid, done) -> xr.Dataset:
    ds = xr.Dataset(coords={name: (name, np.asarray(v)) for name, v in grid.axes.items()})
    for name in sorted({k for o in done for k in o.arrays if k.startswith("states/")}):
        kind = done[0].arrays[name].dtype
        fill = np.nan if kind.kind == "f" else 0
        placed = _place(grid, done, name, fill=fill, dtype=kind)
        group = name.removeprefix("states/")
        ds[group] = ((*grid.axes, "chain", f"unit_{group}"), placed)
        ds[group].attrs = {
            "long_name": f"final configurations of {group}",
            "units": "1",
            "definition": "state of every unit, C order of its shape, after the last sweep",
        }
    return ds


def _tempering(grid: Grid, done) -> xr.Dataset:
    """Ladder reports: stored per point by the task, taken at the first temperature of each ladder."""
    axes = list(grid.axes)
    where = axes.index("temperature")
    values = {}
    for name in ("swap_acceptance", "ladder_temperature", "round_trips", "barrier"):
        placed = _place(grid, done, f"tempering/{name}")
        if placed is not None:
            values[name] = np.take(placed, 0, axis=where)
    return tempering_dataset(grid.axes, values)

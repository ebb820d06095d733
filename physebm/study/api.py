"""Sampling from Python: the study runner in memory, from a loaded model to a labelled dataset."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from numbers import Integral, Real
from pathlib import Path

import xarray as xr

from physebm.backends.select import choice
from physebm.errors import InputError
from physebm.schema.load import Loaded
from physebm.schema.study_file import study_from_dict
from physebm.study.batches import lanes_for
from physebm.study.grid import expand, recut
from physebm.study.keywords import in_words_of_the_call, known_keywords
from physebm.study.merge import merge
from physebm.study.task import run_task
from physebm.study.task_outcome import read_outcome

# What the study behind a call is named, and where it holds arguments: errors are told in their names.
_STUDY = "sample"
_PLACES = {
    "sample.": "",
    "observe.": "",
    "set.": "",
    "scan.temperature": "temperature",
    "scan.disorder": "disorder",
}


@known_keywords
def sample(
    model: Loaded,
    temperature: float | Sequence[float] = 1.0,
    *,
    record: str | Sequence[str] = ("energy",),
    method: str = "heat-bath",
    start: str | Mapping[str, object] = "random",
    chains: int = 2,
    sweeps: int = 2000,
    discard: int | None = None,
    every: int = 1,
    disorder: int = 1,
    tempering: Mapping[str, object] | None = None,
    scan: Mapping[str, object] | None = None,
    seed: int = 0,
    backend: str = "auto",
) -> xr.Dataset:
    """Sample a model and return observables with errors, as the summary of a study has them.

    Parameters
    ----------
    model
        From `load_model`.
    temperature
        One value, or several: then an axis of the result.
    record
        Names of observables, or one; each with ``_stderr`` and, where sampled, ``_tau`` in sweeps.
    method, start, chains, sweeps, discard, every
        As in ``[sample]`` of a study; `discard` defaults to a quarter of `sweeps`.
    disorder
        Independent realisations of the quenched arrays; more than one makes an axis.
    tempering
        ``{}`` for replica exchange along `temperature`, or options of ``[tempering]``.
    scan
        Further axes by parameter name, as in ``[scan]``.
    seed, backend
        Study seed and kernels. The random words of a point follow from the seed and its scanned
        coordinates: two calls with one seed that differ in fixed parameters or in a single
        temperature share them, and their errors are correlated. Scan, or use different seeds.

    Raises
    ------
    InputError
        for anything a study file would be refused for.
    """
    if not isinstance(model, Loaded):
        hint = 'as in sample(load_model("ising_2d", L=16), 2.0)'
        raise InputError(f"{_STUDY}: model", got=model, expected="what load_model gives", hint=hint)
    places = {"observe.record[0]": "record"} if isinstance(record, str) else {}
    if isinstance(disorder, bool) or not isinstance(disorder, Integral) or disorder < 1:
        raise InputError(f"{_STUDY}: disorder", got=disorder, expected="a whole number, 1 or more")
    axes: dict[str, object] = dict(scan or {})
    fixed = {name: held.text for name, held in model.overrides.items()}
    if disorder > 1:
        axes["disorder"] = disorder
    if isinstance(temperature, Iterable) and not isinstance(temperature, str):
        axes["temperature"] = [_plain(value) for value in temperature]
    else:
        fixed["temperature"] = _plain(temperature)
    schedule: dict[str, object] = {"sweeps": sweeps, "every": every}
    if discard is not None:
        schedule["discard"] = discard
    name = model.declaration.name
    raw: dict[str, object] = {
        "title": name,
        "model": name,
        "seed": seed,
        "set": fixed if "start" in axes else {**fixed, "start": start},
        "scan": axes,
        "sample": {"method": method, "chains": chains, **schedule},
        "observe": {"record": [record] if isinstance(record, str) else list(record)},
    }
    if tempering is not None:
        raw["tempering"] = dict(tempering)
    try:
        return _run(raw, model, backend)
    except InputError as problem:
        raise in_words_of_the_call(problem, _STUDY, places | _PLACES) from None


def _run(raw: Mapping[str, object], model: Loaded, backend: str) -> xr.Dataset:
    name = model.declaration.name
    study = study_from_dict(raw, name=_STUDY)
    grid, taken = expand(study, {name: model.declaration}), choice(backend)
    lanes, _ = lanes_for(study, grid, taken)
    grid = recut(study, grid, lanes) if lanes else grid
    with tempfile.TemporaryDirectory() as folder:
        outcomes = [
            read_outcome(task, run_task(study, task, taken.name, Path(folder) / task.name, "memory"))
            for task in grid.tasks
        ]
        return merge(study, grid, outcomes)["/"]


def _plain(number: object) -> object:
    """Numbers as Python has them; anything else is for the reader of studies to refuse."""
    if isinstance(number, bool | int) or not isinstance(number, Real):
        return number
    return float(number)

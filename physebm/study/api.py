"""Sampling from Python: the study runner in memory, from a loaded model to a labelled dataset."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import xarray as xr

from physebm.backends.select import choice
from physebm.errors import InputError
from physebm.schema.load import Loaded
from physebm.schema.study_declarations import TemperingDeclaration
from physebm.schema.study_file import study_from_dict
from physebm.study.batches import lanes_for
from physebm.study.grid import expand, recut
from physebm.study.keywords import as_python, in_words_of_the_call, known_keywords, plain_arguments
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
@plain_arguments("model")
def sample(
    model: Loaded,
    temperature: float | Sequence[float] | Mapping[str, Sequence[float]] | None = None,
    *,
    record: str | Sequence[str] = ("energy",),
    method: str = "heat-bath",
    start: str | Mapping[str, object] | None = None,
    chains: int = 2,
    sweeps: int | None = None,
    discard: int | None = None,
    every: int = 1,
    disorder: int | None = None,
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
        One value, by default 1, or several (a list, or a spacing ``{"linspace": [1, 2, 5]}``): then an
        axis of the result.
    record
        Names of observables, or one; each with ``_stderr`` and, where sampled, ``_tau`` in sweeps.
    method, start, chains, sweeps, discard, every
        As in ``[set]`` and ``[sample]`` of a study, by default random states and 2000 sweeps; `discard`
        defaults to a quarter of `sweeps`.
    disorder
        Independent realisations of the quenched arrays, by default 1; more than one makes an axis.
    tempering
        ``{}`` for replica exchange along `temperature`, or options of ``[tempering]``.
    scan
        Further axes, as in ``[scan]``: parameters, and arguments that are then not given by themselves
        (temperature, start, disorder, sweeps, discard).
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
    given = {"temperature": temperature, "start": start, "disorder": disorder}
    given |= {"sweeps": sweeps, "discard": discard}
    given = {name: value for name, value in given.items() if value is not None}
    axes = _axes(scan, given)
    _check_tables(record, tempering)
    places = {"observe.record[0]": "record"} if isinstance(record, str) else {}
    fixed = {name: held.text for name, held in model.overrides.items()}
    if disorder is not None:
        if isinstance(disorder, bool) or not isinstance(disorder, int) or disorder < 1:
            raise InputError(f"{_STUDY}: disorder", got=disorder, expected="a whole number, 1 or more")
        if disorder > 1:
            axes["disorder"] = disorder
    if isinstance(temperature, Mapping):
        axes["temperature"] = temperature
    elif isinstance(temperature, Iterable) and not isinstance(temperature, str):
        axes["temperature"] = [as_python(each) for each in temperature]
    elif temperature is not None:
        fixed["temperature"] = temperature
    if start is not None:
        fixed["start"] = start
    schedule = {name: given[name] for name in ("sweeps", "discard") if name in given}
    name = model.declaration.name
    raw: dict[str, object] = {
        "title": name,
        "model": name,
        "seed": seed,
        "set": fixed,
        "scan": axes,
        "sample": {"method": method, "chains": chains, "every": every, **schedule},
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


def _axes(scan: object, given: Mapping[str, object]) -> dict[str, object]:
    """The axes that are scanned; none of them is an argument that is `given` as well."""
    if scan is None:
        return {}
    if not isinstance(scan, Mapping):
        expected = 'a table of axes, as in {"L": [8, 16]}'
        raise InputError(f"{_STUDY}: scan", got=scan, expected=expected)
    for name, value in given.items():
        if name in scan:
            hint = f"`{name}` is scanned too; keep one of them"
            raise InputError(f"{_STUDY}: {name}", got=value, hint=hint)
    return dict(scan)


def _check_tables(record: object, tempering: object) -> None:
    """Raise for arguments that are no lists of names and no tables."""
    if not isinstance(record, Iterable) or isinstance(record, Mapping):
        expected = 'the name of an observable or a list of them, as in ["energy"]'
        hint = "it is None; left out, it is the energy" if record is None else None
        raise InputError(f"{_STUDY}: record", got=record, expected=expected, hint=hint)
    if tempering is not None and not isinstance(tempering, Mapping):
        keys = ", ".join(TemperingDeclaration.__struct_fields__)
        raise InputError(
            f"{_STUDY}: tempering",
            got=tempering,
            expected=f"{{}}, or a table of options: {keys}",
            hint='as in tempering={"ladder": "as-scanned"}',
        )

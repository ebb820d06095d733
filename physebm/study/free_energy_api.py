"""Free energies from Python: a loaded or trained model in, and data; a labelled dataset out."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import xarray as xr

from physebm.data.raw import native_numbers, refuse_non_finite
from physebm.errors import InputError
from physebm.lowering.positive import check_positive_form
from physebm.model.params import Params
from physebm.schema.axes import LEAST_TEMPERATURE
from physebm.schema.convert import convert
from physebm.schema.free_energy_declarations import FreeEnergyDeclaration, decode_free_energy
from physebm.schema.load import Loaded
from physebm.study.free_energy import estimated
from physebm.study.free_energy_refusals import check_methods, check_reweighting
from physebm.study.free_energy_subject import Subject
from physebm.study.grid import FreeEnergies, Grid, Point
from physebm.study.keywords import plain_arguments
from physebm.study.merge_free_energy import FreeEnergyOutcome, free_energy_group
from physebm.study.trained import Trained
from physebm.study.training_data import PARTS, TrainingData
from physebm.study.visible_data import visible_states

_WHERE = "free_energies"


@plain_arguments("model", "data")
def free_energies(
    model: Loaded | Trained,
    method: str | Sequence[str] = "bar",
    temperature: float | Sequence[float] = 1.0,
    *,
    data: np.ndarray | Mapping[str, np.ndarray] | None = None,
    seed: int = 0,
    disorder: int = 0,
    backend: str = "auto",
    **tables: Mapping[str, object],
) -> xr.Dataset:
    """Log Z, free energy, entropy and energy of a model, by one method or several.

    Parameters
    ----------
    model
        From `load_model`, or a trained model: then with its learned arrays.
    method, tables
        As in [free_energy] of a study: ``method=["bar", "ais"], ladder={"chains": 8}``.
    temperature
        One value or several; always an axis of the result.
    data
        Samples ``[sample, unit]`` of the visible units, all of one weight: those of the training, or
        ``{"train": ..., "validation": ..., "test": ...}``. Annealing then starts from the means of the
        training samples, and the result has ``log_likelihood_PART``, as in a study with [train]. A
        trained model does not remember its data; without them annealing starts without fields.
    seed, disorder
        Study seed, and the realisation of the quenched arrays.

    Returns
    -------
    The group ``/free_energies`` of a result: arrays ``[temperature, estimator]``, see
    `physebm.storage.free_energy`, and with ``reweight={...}`` those of `physebm.storage.reweighted`.

    Raises
    ------
    InputError
        for a method that the model cannot have, and for anything that a study is refused for.
    """
    trained = isinstance(model, Trained)
    if not isinstance(model, Loaded | Trained):
        hint = "physebm.load_model(NAME, ...) gives one"
        expected = "a model of load_model, open_trained or train"
        raise InputError(f"{_WHERE}: model", got=model, expected=expected, hint=hint)
    if not isinstance(method, str):
        if not isinstance(method, Sequence) or not all(isinstance(each, str) for each in method):
            raise InputError(f"{_WHERE}: method", got=method, expected="a name, or a list of names")
    temperatures = _temperatures(temperature)
    for name, number in (("seed", seed), ("disorder", disorder)):
        if isinstance(number, bool) or not isinstance(number, int) or number < 0:
            raise InputError(f"{_WHERE}: {name}", got=number, expected="a whole number, 0 or more")
    if trained and disorder:
        raise InputError(f"{_WHERE}: disorder", got=disorder, expected="0: arrays are learned")
    loaded = model.loaded if trained else model
    params = model.params if trained else loaded.params(seed, disorder)
    table = {"method": method if isinstance(method, str) else list(method), **tables}
    asked = convert(table, FreeEnergyDeclaration, _WHERE, InputError, decode_free_energy)
    parts = None if data is None else _data(loaded, params, data)
    check_methods(asked, loaded.hamiltonian, parts is not None and "train" in parts.parts, _WHERE)
    check_reweighting(asked, loaded.hamiltonian, temperatures, _WHERE)
    hottest_first = tuple(float(T) for T in temperatures[::-1])
    check_positive_form(loaded.hamiltonian, params, loaded.coefficients(hottest_first))
    name = (loaded.hamiltonian.name, disorder)
    subject = Subject(loaded, params, hottest_first, seed, name, parts)
    with tempfile.TemporaryDirectory() as folder:
        arrays = estimated(asked, subject, backend, Path(folder), "memory")
    points = tuple(
        Point((i,), (("temperature", T),), float(T), None, disorder, loaded)
        for i, T in enumerate(temperatures)
    )
    grid = Grid({"temperature": tuple(temperatures)}, (), all_points=points)
    outcome = FreeEnergyOutcome(FreeEnergies(1, (), points), arrays)
    return free_energy_group(grid, asked.method, [outcome])


def _data(loaded: Loaded, params: Params, given: object) -> TrainingData:
    """Samples in the support of the visible units, by part; equal weights."""
    where = f"{_WHERE}: data"
    named = isinstance(given, Mapping)
    parts = {}
    for name, samples in (given if named else {PARTS[0]: given}).items():
        at = f'{where}["{name}"]' if named else where
        if name not in PARTS:
            raise InputError(where, got=name, expected=PARTS)
        try:
            values = native_numbers(samples, at)
        except ValueError:  # rows of several lengths
            raise InputError(at, got="rows of several lengths", expected="[sample, unit]") from None
        if values.ndim < 2 or values.size == 0:
            got = f"an array of shape {list(values.shape)}"
            raise InputError(at, got=got, expected="[sample, unit], not empty")
        refuse_non_finite(values, at)
        states = visible_states(loaded.hamiltonian, params, values, at, keys=False)
        parts[name] = (states, np.full(len(values), 1.0 / len(values)))
    if not parts:
        raise InputError(where, got={}, expected=PARTS)
    first = next(iter(given.values())) if named else given
    effective = float(len(parts[PARTS[0]][1])) if PARTS[0] in parts else 0.0
    return TrainingData(parts, np.shape(first)[1:], {}, effective)


def _temperatures(given: object) -> np.ndarray:
    """Ascending, each once, in the range of studies."""
    try:
        plain = np.atleast_1d(np.array(given))
    except ValueError:  # rows of several lengths
        plain = np.empty((0, 0))
    where = f"{_WHERE}: temperature"
    # numpy makes numbers of truth values that stand among numbers
    truth = isinstance(given, list | tuple) and any(isinstance(each, bool) for each in given)
    if plain.dtype.kind not in "iuf" or truth or plain.ndim != 1 or not len(plain):
        raise InputError(where, got=given, expected="a number above 0, or a list of them")
    least, most = LEAST_TEMPERATURE, 1.0 / LEAST_TEMPERATURE
    for value in plain.tolist():
        if not least <= value <= most:
            expected = f"a temperature above 0 ({least:g} to {most:g})"
            raise InputError(where, got=value, expected=expected)
    return np.unique(plain.astype(np.float64))

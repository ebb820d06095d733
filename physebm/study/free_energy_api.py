"""Free energies from Python: a loaded or trained model in, a labelled dataset out."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import xarray as xr

from physebm.errors import InputError
from physebm.lowering.positive import check_positive_form
from physebm.schema.convert import convert
from physebm.schema.free_energy_declarations import FreeEnergyDeclaration, decode_free_energy
from physebm.schema.load import Loaded
from physebm.study.free_energy import Subject, estimated
from physebm.study.free_energy_refusals import check_methods
from physebm.study.grid import FreeEnergies, Grid, Point
from physebm.study.merge_free_energy import FreeEnergyOutcome, free_energy_group
from physebm.study.trained import Trained

_WHERE = "free_energies"


def free_energies(
    model: Loaded | Trained,
    method: str | Sequence[str] = "bar",
    temperature: float | Sequence[float] = 1.0,
    *,
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
    seed, disorder
        Study seed, and the realisation of the quenched arrays.

    Returns
    -------
    The group ``/free_energies`` of a result: arrays ``[temperature, estimator]``, see
    `physebm.storage.free_energy`.

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
        if isinstance(number, bool) or not isinstance(number, int | np.integer) or number < 0:
            raise InputError(f"{_WHERE}: {name}", got=number, expected="a whole number, 0 or more")
    if trained and disorder:
        raise InputError(f"{_WHERE}: disorder", got=disorder, expected="0: arrays are learned")
    loaded = model.loaded if trained else model
    params = model.params if trained else loaded.params(seed, disorder)
    table = {"method": method if isinstance(method, str) else list(method), **tables}
    asked = convert(table, FreeEnergyDeclaration, _WHERE, InputError, decode_free_energy)
    check_methods(asked, loaded.hamiltonian, False, _WHERE)
    hottest_first = tuple(float(T) for T in temperatures[::-1])
    check_positive_form(loaded.hamiltonian, params, loaded.coefficients(hottest_first))
    name = (loaded.hamiltonian.name, disorder)
    subject = Subject(loaded, params, hottest_first, seed, name)
    with tempfile.TemporaryDirectory() as folder:
        arrays = estimated(asked, subject, backend, Path(folder), "memory")
    points = tuple(
        Point((i,), (("temperature", T),), float(T), None, disorder, loaded)
        for i, T in enumerate(temperatures)
    )
    grid = Grid({"temperature": tuple(temperatures)}, (), all_points=points)
    outcome = FreeEnergyOutcome(FreeEnergies(1, (), points), arrays)
    return free_energy_group(grid, asked.method, [outcome])


def _temperatures(given: object) -> np.ndarray:
    """Ascending, each once."""
    try:
        values = np.atleast_1d(np.array(given, dtype=float))
    except (TypeError, ValueError):
        values = np.empty((0, 0))
    text = isinstance(given, str)
    if text or values.ndim != 1 or not len(values) or not np.all(np.isfinite(values) & (values > 0)):
        where = f"{_WHERE}: temperature"
        raise InputError(where, got=given, expected="a number above 0, or a list of them")
    return np.unique(values)

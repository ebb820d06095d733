"""What a training recorded -> the groups ``/training``, ``/arrays`` and ``/chains`` of a result file.

``/training`` holds the histories, one dimension `update` beside the axes that distinguish trainings;
definitions stand in `training_quantities`. ``/arrays`` holds the arrays of the model at the recorded
ages, stored so that one age is read without the others (`read_age`). Where a training recorded nothing
(another method, another age) there is NaN, the last code of a flag, or the empty text.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from physebm.errors import ResultFileError
from physebm.storage.netcdf import lazily
from physebm.storage.quantities import QUANTITIES, axis_attributes
from physebm.storage.training_quantities import FLAGS, TEXTS, training_axis, training_quantity

ARRAYS = "arrays"

Axes = Mapping[str, Sequence[Any]]


def training_dataset(axes: Axes, updates: Sequence[int], histories: Mapping[str, Any]) -> xr.Dataset:
    """The histories of all trainings.

    Parameters
    ----------
    axes
        Training axes and their values, outermost first.
    updates
        The recorded ages, in updates.
    histories
        Recorded name -> values ``[*axes, update, ...]``, NaN (texts: "") where nothing was recorded.

    Raises
    ------
    InputError
        for a name that is not in the table.
    """
    ds = _frame(axes, updates)
    for name, values in histories.items():
        row = training_quantity(name)
        values, attributes = np.asarray(values), _attributes(row)
        dims = (*axes, *row.dims)
        if values.ndim == len(dims) + 1 and name.startswith("hidden_mean_"):
            dims = (*dims, dims[-1].replace("unit_", "state_", 1))
        _check(name, values, ds, dims)
        if name in FLAGS:
            values = _codes(values, len(FLAGS[name]) - 1)
            attributes |= {
                "flag_values": np.arange(len(FLAGS[name]), dtype=np.int8),
                "flag_meanings": " ".join(FLAGS[name]),
            }
        elif name in TEXTS:
            values = values.astype(object)
        ds[name] = (dims, values, attributes)
        if name.endswith("_stderr") and name.removesuffix("_stderr") in ds:
            ds[name.removesuffix("_stderr")].attrs["ancillary_variables"] = name
    for dim, size in ds.sizes.items():
        about = None if dim in ds.coords else training_axis(str(dim))
        if about is not None:
            ds = ds.assign_coords({dim: (dim, np.arange(size), about)})
    return ds


def arrays_dataset(axes: Axes, updates: Sequence[int] | None, arrays: Mapping[str, Any]) -> xr.Dataset:
    """Arrays of the model by slot, ``[*axes, update, ...]``; each age of each training is one chunk.

    With `updates` None they have no age (arrays of a teacher): ``[*axes, ...]``. Own dims are called
    ``SLOT_0``, ``SLOT_1``, ... NaN pads arrays that are smaller in some trainings.
    """
    ds = _frame(axes, updates)
    lead = (*axes, *(() if updates is None else ("update",)))
    for slot, values in arrays.items():
        values = np.asarray(values)
        own = tuple(f"{slot}_{axis}" for axis in range(values.ndim - len(lead)))
        _check(slot, values, ds, (*lead, *own))
        about = {"long_name": f"array {slot}", "units": "1", "definition": f"values of array {slot}"}
        ds[slot] = ((*lead, *own), values, about)
        if lead:
            ds[slot].encoding["chunksizes"] = (1,) * len(lead) + values.shape[len(lead) :]
    return ds


def chains_dataset(axes: Axes, chains: Mapping[str, Any]) -> xr.Dataset:
    """Configurations of the chains where training left them, by group: ``[*axes, chain, unit]``."""
    ds = _frame(axes, None)
    for group, values in chains.items():
        values = np.asarray(values)
        dims = (*axes, "chain", f"unit_{group}")
        _check(group, values, ds, dims)
        about = {"long_name": f"configurations of {group}", "units": "1"}
        ds[group] = (dims, values, about)
    return ds


def final_dataset(axes: Axes, training: xr.Dataset) -> xr.Dataset:
    """The scalars of ``/training`` at the last age at which each training recorded them, on `axes`.

    Names that the sampling of a trained model reports too (`quantities`) are left to it.
    """
    ds = _frame(axes, None)
    for name, variable in training.data_vars.items():
        if variable.dims != (*axes, "update") or name in QUANTITIES:
            continue
        values = variable.values
        there = _recorded(str(name), values)
        last = there.shape[-1] - 1 - there[..., ::-1].argmax(axis=-1)
        final = np.take_along_axis(values, last[..., None], axis=-1)[..., 0]
        attributes = dict(variable.attrs)
        attributes["definition"] = f"at the last recorded age: {attributes['definition']}"
        ds[name] = (tuple(axes), final, attributes)
    return ds


def read_age(
    path: str | os.PathLike,
    slot: str,
    update: int | None = None,
    at: Mapping[str, Any] | None = None,
) -> np.ndarray:
    """One array of a trained model at one age; nothing else of the arrays is read.

    Parameters
    ----------
    path
        A result file.
    slot
        Name of the array.
    update
        The age; None for the last one.
    at
        Values of the training axes; needed where the study trained more than once.

    Raises
    ------
    ResultFileError
        naming what there is, where the array, the age or the training does not exist.
    """
    with lazily(path, ARRAYS) as ds:
        if slot not in ds.data_vars:
            raise ResultFileError(f"{path}: array", got=slot, expected=sorted(map(str, ds.data_vars)))
        held, where = ds[slot], dict(at or {})
        axes = [str(dim) for dim in held.dims if dim in ds.coords and dim != "update"]
        for name in where:
            if name not in axes:
                raise ResultFileError(f"{path}: axis of the training", got=name, expected=axes)
        for name in axes:
            held = held.isel({name: _place(path, name, ds[name].values, where)})
        if "update" in held.dims:
            updates = ds["update"].values
            wanted = {"update": int(updates[-1] if update is None else update)}
            held = held.isel(update=_place(path, "update", updates, wanted))
        values = held.values
    if values.dtype.kind == "f":
        values = _without_padding(values)
    if not values.size:
        raise ResultFileError(
            f"{path}: {slot}", hint="nothing was recorded at this age of this training"
        )
    return values


def recorded(path: str | os.PathLike) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The ages whose arrays a result holds, and the shape of one sample of its training data."""
    with lazily(path, ARRAYS) as ds:
        shape = np.atleast_1d(ds.attrs.get("sample_shape", ()))
        return tuple(int(age) for age in ds["update"].values), tuple(int(n) for n in shape)


def _frame(axes: Axes, updates: Sequence[int] | None) -> xr.Dataset:
    coords = {}
    for name, values in axes.items():
        values = np.asarray(values)
        values = values.astype(object) if values.dtype.kind in "US" else values
        coords[name] = (name, values, axis_attributes(name))
    if updates is not None:
        coords["update"] = ("update", np.asarray(updates, np.int64), axis_attributes("update"))
    return xr.Dataset(coords=coords)


def _attributes(row) -> dict[str, Any]:
    return {key: value for key, value in row.attributes().items() if key != "disorder"}


def _check(name: str, values: np.ndarray, ds: xr.Dataset, dims: tuple[str, ...]) -> None:
    known = {dim: ds.sizes[dim] for dim in dims if dim in ds.sizes}
    fits = values.ndim == len(dims) and all(
        known.get(dim, size) == size for dim, size in zip(dims, values.shape)
    )
    if not fits:
        wanted = ", ".join(f"{dim}: {known.get(dim, 'any')}" for dim in dims)
        raise ValueError(f"{name} has shape {values.shape}, expected ({wanted})")


def _codes(values: np.ndarray, missing: int) -> np.ndarray:
    """Flags as int8; NaN becomes the code of what was not recorded."""
    if values.dtype.kind == "f":
        values = np.where(np.isnan(values), missing, values)
    return values.astype(np.int8)


def _recorded(name: str, values: np.ndarray) -> np.ndarray:
    if name in FLAGS:
        return values != len(FLAGS[name]) - 1
    if name in TEXTS:
        return values != ""
    return np.isfinite(values)


def _place(path, name: str, values: np.ndarray, where: Mapping[str, Any]) -> int:
    """Position of a coordinate's value; the only one where none is asked for."""
    if name not in where:
        if len(values) == 1:
            return 0
        raise ResultFileError(
            f"{path}: {name}",
            expected=f"one of {', '.join(map(str, values))}",
            hint="the study trained for several values: say which one",
        )
    found = np.flatnonzero(values == where[name])
    if not len(found) and values.dtype.kind == "f":
        found = np.flatnonzero(np.isclose(values, float(where[name]), rtol=1e-9, atol=0.0))
    if not len(found):
        raise ResultFileError(f"{path}: {name}", got=where[name], expected=list(map(str, values)))
    return int(found[0])


def _without_padding(values: np.ndarray) -> np.ndarray:
    """Without trailing rows of NaN along any axis; trained arrays hold none of their own."""
    there = np.isfinite(values)
    if not values.ndim:
        return values if there else values[None][:0]
    for axis in range(values.ndim):
        others = tuple(a for a in range(values.ndim) if a != axis)
        size = np.flatnonzero(there.any(axis=others))
        values = values.take(range(int(size[-1]) + 1 if len(size) else 0), axis=axis)
        there = np.isfinite(values)
    return values

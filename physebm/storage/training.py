"""What a training recorded -> the groups ``/training``, ``/arrays`` and ``/chains`` of a result file.

``/training`` holds the histories, one dimension `update` beside the axes that distinguish trainings;
definitions stand in `training_quantities`. ``/arrays`` holds the arrays of the model at the recorded
ages, stored so that one age is read without the others. Where a training recorded nothing
(another method, another age) there is NaN, the last code of a flag, or the empty text.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from physebm.storage.netcdf import lazily
from physebm.storage.quantities import QUANTITIES, axis_attributes
from physebm.storage.training_quantities import FLAGS, TEXTS, training_axis, training_quantity

ARRAYS = "arrays"

_LAST = "at the last recorded age"

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
        # a text is the reason of the verdict at its side, also where it is empty
        flag = str(name).removesuffix("_message")
        judged = name in TEXTS and flag in training
        there = _recorded(flag, training[flag].values) if judged else _recorded(str(name), values)
        last = there.shape[-1] - 1 - there[..., ::-1].argmax(axis=-1)
        final = np.take_along_axis(values, last[..., None], axis=-1)[..., 0]
        attributes = dict(variable.attrs)
        attributes["definition"] = f"{_LAST}: {attributes['definition']}"
        ds[name] = (tuple(axes), final, attributes)
    return ds


def of_training(variable: xr.DataArray) -> bool:
    """Whether a variable of the summary is what a training recorded at its last age."""
    return variable.attrs.get("definition", "").startswith(_LAST)


def data_scale(path: str | os.PathLike) -> tuple[float, float] | None:
    """The numbers that training brought to 0 and 1 in its data; None where it left them as they are."""
    with lazily(path, ARRAYS) as ds:
        ends = tuple(float(x) for x in np.atleast_1d(ds.attrs.get("data_scale", ())))
        return ends or None


def sample_shape(path: str | os.PathLike) -> tuple[int, ...]:
    """Shape of one sample of a result's training data."""
    with lazily(path, ARRAYS) as ds:
        return tuple(int(n) for n in np.atleast_1d(ds.attrs.get("sample_shape", ())))


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

"""Estimates -> the labelled dataset of a study: one dimension per scan axis, errors beside values.

``X`` has ``X_stderr`` (standard error, same dims) and, where sampled, ``X_tau`` (integrated
autocorrelation time in sweeps). NaN never means "failed": `status` and `message` say what became
of a point, `equilibration` and `equilibration_message` whether its averages may be believed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from physebm.storage.quantities import TAU_DEFINITION, axis_attributes, quantity

DONE, FAILED, NOT_RUN = 0, 1, 2
STATUS_MEANINGS = ("done", "failed", "not_run")
EQUILIBRATED, SUSPECT, NOT_EQUILIBRATED = 0, 1, 2
EQUILIBRATION_MEANINGS = ("equilibrated", "suspect", "not_equilibrated")

Estimate = tuple[Any, Any, Any]


def summary_dataset(
    axes: Mapping[str, Sequence[Any]],
    estimates: Mapping[str, Estimate],
    *,
    status: Any = None,
    messages: Any = None,
    equilibration: Any = None,
    equilibration_messages: Any = None,
    coords: Mapping[str, Any] | None = None,
    attrs: Mapping[str, Mapping[str, Any]] | None = None,
    title: str | None = None,
) -> xr.Dataset:
    """The summary of a study, as the root group of a result file.

    Parameters
    ----------
    axes
        Scan axes and their values, outermost first. Texts (`start`) stay texts; `temperature`
        gets a `beta` = 1/T coordinate beside it.
    estimates
        ``name -> (value, stderr, tau)`` with names of `physebm.storage.quantities`; `stderr` is
        None for exact values, `tau` where nothing was sampled. Shapes are those of
        ``Quantity.axes(axes)``: the scan axes that the quantity has, then its own.
    status, messages
        Per point of the grid: `DONE`, `FAILED` or `NOT_RUN`, and a sentence ("" when done).
        Left out, every point is done.
    equilibration, equilibration_messages
        Per point: `EQUILIBRATED`, `SUSPECT` or `NOT_EQUILIBRATED`, and the reason. Left out when
        nothing was sampled.
    coords
        Coordinates of further dimensions: ``{"overlap": values}``, or
        ``{"overlap_value": (("N", "overlap"), values)}`` where they differ from point to point.
    attrs
        Further attributes by variable, for instance the noise floor of `max_pattern_overlap`.
    title
        The title of the study.
    """
    ds = xr.Dataset(coords=axis_coordinates(axes))
    for name, given in (coords or {}).items():
        dims, values = given if isinstance(given, tuple) else ((name,), given)
        ds = ds.assign_coords({name: (dims, _plain(values), axis_attributes(name))})
    for name, estimate in estimates.items():
        _add_estimate(ds, name, estimate, tuple(axes))

    grid = tuple(len(values) for values in axes.values())
    points = tuple(axes)
    status = np.full(grid, DONE) if status is None else status
    _add_flags(ds, "status", status, STATUS_MEANINGS, "what became of the point", points)
    _add_text(ds, "message", messages, "why a point has no result", points)
    if equilibration is not None:
        what = "equilibration verdict"
        _add_flags(ds, "equilibration", equilibration, EQUILIBRATION_MEANINGS, what, points)
        _add_text(ds, "equilibration_message", equilibration_messages, "reason of " + what, points)

    for name, extra in (attrs or {}).items():
        ds[name].attrs.update(extra)
    if title is not None:
        ds.attrs["title"] = title
    return ds


def series_dataset(
    axes: Mapping[str, Sequence[Any]],
    series: Mapping[str, Any],
    draws: Sequence[int],
) -> xr.Dataset:
    """Raw series for the group ``/series``: values of shape [*scan axes, chain, draw].

    `draws` are the sweeps (counted from the end of the discarded ones) at which a draw was taken.
    """
    shape = tuple(len(values) for values in axes.values())
    ds = xr.Dataset(coords=axis_coordinates(axes))
    ds = ds.assign_coords(draw=("draw", np.asarray(draws), axis_attributes("draw")))
    for name, values in series.items():
        values = np.asarray(values)
        if values.shape[:-2] != shape or values.shape[-1] != len(draws):
            raise ValueError(
                f"series {name} has shape {values.shape}, expected {shape} + (chain, {len(draws)})"
            )
        known = quantity(name)
        ds[name] = ((*axes, "chain", "draw"), values, {**known.attributes(), "disorder": ""})
        ds[name].attrs["definition"] = f"one draw of: {known.definition}"
    if "chain" in ds.dims:
        ds = ds.assign_coords(chain=("chain", np.arange(ds.sizes["chain"]), axis_attributes("chain")))
    return ds


def tempering_dataset(axes: Mapping[str, Sequence[Any]], values: Mapping[str, Any]) -> xr.Dataset:
    """Ladder reports for ``/tempering``; shapes are those of ``Quantity.axes(axes)``."""
    kept = {name: points for name, points in axes.items() if name != "temperature"}
    ds = xr.Dataset(coords=axis_coordinates(kept))
    for name, value in values.items():
        _add_estimate(ds, name, (value, None, None), tuple(axes))
    return ds


def record_dataset(record: Mapping[str, Any]) -> xr.Dataset:
    """A flat record of texts, numbers, flags and small arrays as variables, for ``/provenance``.

    Arrays get dims of their own, ``NAME_0``, ``NAME_1``; None is stored as the empty text.
    """
    ds = xr.Dataset()
    for name, value in record.items():
        plain = _plain("" if value is None else value)
        ds[name] = (tuple(f"{name}_{axis}" for axis in range(plain.ndim)), plain)
    return ds


def record_of(ds: xr.Dataset) -> dict[str, Any]:
    """The record again: Python scalars, and arrays where arrays were given."""
    return {
        str(name): (variable.item() if variable.ndim == 0 else variable.values)
        for name, variable in ds.data_vars.items()
    }


def axis_coordinates(axes: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    """Coordinates of the scan axes with their attributes, and `beta` beside `temperature`."""
    coords: dict[str, Any] = {}
    for name, values in axes.items():
        coords[name] = (name, _plain(values), axis_attributes(name))
        if name == "temperature":
            beta = 1.0 / np.asarray(values, dtype=np.float64)
            coords["beta"] = (name, beta, axis_attributes("beta"))
    return coords


def _add_estimate(ds: xr.Dataset, name: str, estimate: Estimate, scan: tuple[str, ...]) -> None:
    row = quantity(name)
    value, stderr, tau = estimate
    dims, attributes = row.axes(scan), row.attributes()
    ds[name] = (dims, _shaped(ds, name, value, dims), attributes)
    about = {"symbol": rf"\sigma({row.symbol})", "normalisation": row.normalisation}
    if stderr is not None:
        ds[name].attrs["ancillary_variables"] = f"{name}_stderr"
        about |= {"long_name": f"standard error of {row.long_name}", "units": row.units}
        about["definition"] = "one standard deviation of the estimate"
        ds[f"{name}_stderr"] = (dims, _shaped(ds, f"{name}_stderr", stderr, dims), about)
    if tau is not None:
        about = {
            "long_name": f"autocorrelation time of {row.long_name}",
            "units": "sweep",
            "symbol": r"\tau",
            "definition": TAU_DEFINITION,
            "normalisation": "in sweeps (every unit updated once)",
        }
        ds[f"{name}_tau"] = (dims, _shaped(ds, f"{name}_tau", tau, dims), about)


def _shaped(ds: xr.Dataset, name: str, value: Any, dims: tuple[str, ...]) -> np.ndarray:
    value = np.asarray(value, dtype=np.float64)
    known = {dim: ds.sizes[dim] for dim in dims if dim in ds.sizes}
    fits = value.ndim == len(dims) and all(
        known.get(dim, size) == size for dim, size in zip(dims, value.shape)
    )
    if not fits:
        wanted = ", ".join(f"{dim}: {known.get(dim, 'any')}" for dim in dims)
        raise ValueError(f"{name} has shape {value.shape}, expected ({wanted})")
    return value


def _add_flags(ds, name, values, meanings, long_name, points) -> None:
    values = np.asarray(values, dtype=np.int8)
    if np.any((values < 0) | (values >= len(meanings))):
        raise ValueError(f"{name} has a value that is none of 0 to {len(meanings) - 1}")
    ds[name] = (points, values)
    ds[name].attrs = {
        "long_name": long_name,
        "flag_values": np.arange(len(meanings), dtype=np.int8),
        "flag_meanings": " ".join(meanings),
    }


def _add_text(ds, name, texts, long_name, points) -> None:
    shape = tuple(ds.sizes[point] for point in points)
    texts = np.full(shape, "", dtype=object) if texts is None else np.asarray(texts, dtype=object)
    ds[name] = (points, texts, {"long_name": long_name})


def _plain(values: Any) -> np.ndarray:
    """An array that netCDF can hold: texts as objects, everything else as numpy sees it."""
    array = np.asarray(values)
    if array.dtype.kind in "US":
        return array.astype(object)
    if array.dtype.kind == "O" and not all(isinstance(item, str) for item in array.flat):
        raise ValueError(f"neither numbers nor texts: {values!r}")
    return array

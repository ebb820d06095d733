"""Where values of an axis stand in a figure: positions, cell edges, ticks and common scales."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator


def positions(axis: xr.DataArray) -> tuple[np.ndarray, list[str] | None]:
    """Where the values of an axis are drawn; texts stand at 0, 1, 2 ... and are named there."""
    if axis.dtype.kind in "if":
        return axis.values.astype(float), None
    return np.arange(axis.size, dtype=float), [str(value) for value in axis.values]


def name_ticks(axis: Any, places: np.ndarray, names: list[str] | None) -> None:
    """Names on an axis of texts; on a linear one few enough numbers not to touch each other."""
    if names is not None:
        axis.set_ticks(places, names)
    elif axis.get_scale() == "linear":
        axis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10]))


def whole_ticks(ax: Axes) -> None:
    """Few ticks, at whole numbers: of units, samples, ranks."""
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10], integer=True))


def edges(centres: np.ndarray) -> np.ndarray:
    """Cell edges half-way between neighbouring centres; the outer cells are symmetric."""
    if len(centres) == 1:
        half = 0.5 * (abs(centres[0]) or 1.0)
        return np.array([centres[0] - half, centres[0] + half])
    middle = 0.5 * (centres[1:] + centres[:-1])
    return np.concatenate([[2 * centres[0] - middle[0]], middle, [2 * centres[-1] - middle[-1]]])


def ends(centres: np.ndarray) -> tuple[float, float]:
    """The outer edges of the first and the last cell, the smaller first."""
    first, *_, last = edges(centres)
    return min(first, last), max(first, last)


def value_range(arrays: Any) -> tuple[float, float]:
    """One colour scale for all panels; anything finite when nothing is known."""
    known = np.concatenate([np.ravel(values)[np.isfinite(np.ravel(values))] for values in arrays])
    return (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)


def text_axis(variable: xr.DataArray, shown: Sequence[str]) -> str | None:
    """The first axis of texts (`start`) of more than one value that is not among the `shown`."""
    for dim in variable.dims:
        texts = dim in variable.coords and variable[dim].dtype.kind in "OUT"
        if dim not in shown and texts and variable.sizes[dim] > 1:
            return str(dim)
    return None


def numbered(ds: xr.Dataset, *dims: str | None) -> xr.Dataset:
    """The dataset with numbers from 0 along those of `dims` that have no coordinate."""
    bare = [dim for dim in dims if dim is not None and dim in ds.dims and dim not in ds.coords]
    return ds.assign_coords({dim: np.arange(ds.sizes[dim]) for dim in bare})

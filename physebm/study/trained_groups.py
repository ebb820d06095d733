"""The groups of a result that a training filled, opened for a figure, and the points that it shows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import xarray as xr

from physebm.errors import ResultFileError
from physebm.plots.labels import short_name
from physebm.schema.load import Loaded
from physebm.storage.netcdf import lazily, open_tree

MOST_ROWS = 24

Point = dict[str, Any]


@dataclass(frozen=True)
class TrainedGroups:
    """A result file and its models.

    Parameters
    ----------
    path
        A result file.
    model
        The model at a point ``{axis: value}`` of the grid; axes left out stand at their first value.
    """

    path: Path
    model: Callable[[Mapping[str, Any]], Loaded]

    @contextmanager
    def group(self, name: str, where: str) -> Iterator[xr.Dataset]:
        """One group with its values still in the file.

        Raises
        ------
        ResultFileError
            listing the groups that there are.
        """
        try:
            with lazily(self.path, name) as ds:
                yield ds
        except ResultFileError as err:
            if err.got != "no such group":
                raise
            there = [node.path for node in open_tree(self.path).subtree]
            hint = "methods without Markov chains leave no samples" if name == "chains" else None
            raise ResultFileError(
                f"{where}: {self.path}", got=f"/{name}", expected=there, hint=hint
            ) from None

    def has(self, name: str) -> bool:
        """Whether the result has this group."""
        try:
            with lazily(self.path, name):
                return True
        except ResultFileError as err:
            if err.got != "no such group":
                raise
            return False


def points(ds: xr.Dataset, panel: str | None) -> tuple[dict[str, Point], str]:
    """The trainings that are shown, by title: those along `panel`, or all.

    At most `MOST_ROWS`; `disorder` stands at its first value, and with `panel` all other axes do. The
    text says so.
    """
    axes = [str(dim) for dim in ds.dims if dim in ds.coords and dim != "update"]
    rows = [panel] if panel else [axis for axis in axes if axis != "disorder" and ds.sizes[axis] > 1]
    held = {axis: ds[axis].values.tolist()[0] for axis in axes if axis not in rows}
    grid = list(product(*(ds[axis].values.tolist() for axis in rows)))
    said = named(ds, {axis: value for axis, value in held.items() if ds.sizes[axis] > 1})
    if len(grid) > MOST_ROWS:
        said = ", ".join(filter(None, [said, f"the first {MOST_ROWS} of {len(grid)}"]))
    shown = [dict(zip(rows, values)) for values in grid[:MOST_ROWS]]
    return {named(ds, point): point | held for point in shown}, said


def at(variable: xr.DataArray, point: Point) -> xr.DataArray:
    """The values at a point, along the axes that the variable has."""
    return variable.sel({axis: value for axis, value in point.items() if axis in variable.dims})


def named(ds: xr.Dataset, point: Point) -> str:
    """A point in words; texts speak for themselves."""
    return ", ".join(
        str(value) if isinstance(value, str) else f"{short_name(ds[axis])} = {value:.4g}"
        for axis, value in point.items()
    )

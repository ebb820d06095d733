"""Figures of a training, from the groups of its result.

    training   ``/training``  a recorded quantity against age. A name of which parts are recorded
                              (`log_likelihood` of training and test data) draws all parts; what a
                              quantity is held against (its value in the data, its noise floor) is
                              drawn beside it
    spectrum   ``/training``  singular values and alignment of an array
    samples, features         see `training_pictures`

Only what a figure shows is read. Axes that it has no room for stand at their first value, which the
title says; disorder samples are averaged over in curves, and the first one is shown in pictures.
"""

from __future__ import annotations

import xarray as xr
from matplotlib.figure import Figure

from physebm import plots
from physebm.errors import ResultFileError
from physebm.schema.plot_declarations import PlotDeclaration
from physebm.storage.training_quantities import PARTS, TEXTS
from physebm.study.trained_groups import TrainedGroups, named
from physebm.study.training_pictures import draw_features, draw_samples

_MODEL_AND_DATA = ("model", "training data")
_BESIDE = {"chain_energy": ("data_energy", ("chains", "training data"))}
"""Quantities with another that they are held against, and what the two are called."""


def training_figure(trained: TrainedGroups, plot: PlotDeclaration, where: str) -> Figure:
    """One figure of a training; its title says where axes stand that it does not show.

    Raises
    ------
    ResultFileError
        naming what there is, where the result holds nothing to draw.
    StudyFileError
        for a shape that does not fit the units.
    """
    draw = {
        "training": _draw_curve,
        "spectrum": _draw_spectrum,
        "samples": draw_samples,
        "features": draw_features,
    }[plot.kind]
    return plots.entitled(*draw(trained, plot, where))


def _draw_curve(trained: TrainedGroups, plot: PlotDeclaration, where: str) -> tuple[Figure, str]:
    with trained.group("training", where) as ds:
        names, labels = _quantities(ds, str(plot.y), f"{where}.y")
        kept = [each for name in names for each in (name, f"{name}_stderr") if each in ds]
        shown = [axis for axis in (plot.by, plot.panel) if axis is not None]
        free = _free(ds, names, shown)
        ds, said = _at_first(ds[kept], free[: max(0, len(free) + len(shown) - 2)])
        ds = ds.load()
    log = bool(plot.log)
    figure = plots.training_curve(ds, names, plot.by, panel=plot.panel, log=log, labels=labels)
    return figure, said


def _draw_spectrum(trained: TrainedGroups, plot: PlotDeclaration, where: str) -> tuple[Figure, str]:
    start, cosine = "singular_values_", f"mode_alignment_{plot.array}"
    name = f"{start}{plot.array}"
    with trained.group("training", where) as ds:
        if name not in ds:
            there = [str(n).removeprefix(start) for n in ds.data_vars if str(n).startswith(start)]
            hint = "arrays that are matrices have a spectrum"
            raise ResultFileError(f"{where}.array", got=plot.array, expected=there, hint=hint)
        free = _free(ds, [name], [str(ds[name].dims[-1]), plot.panel])
        panel = plot.panel or (free.pop() if free else None)
        ds, said = _at_first(ds[[each for each in (name, cosine) if each in ds]], free)
        ds = ds.load()
    return plots.spectrum(ds, str(plot.array), panel=panel, log=bool(plot.log)), said


def _quantities(ds: xr.Dataset, y: str, where: str) -> tuple[list[str], list[str] | None]:
    """The recorded names that `y` means, and what the legend calls them (None: as they differ)."""
    numbers = [str(n) for n, v in ds.data_vars.items() if "update" in v.dims and n not in TEXTS]
    if y in numbers:
        beside, labels = _BESIDE.get(y, (f"{y}_data", _MODEL_AND_DATA))
        if y.endswith("_rms"):
            beside, labels = y.replace("_rms", "_noise"), ("error", "noise floor")
        return ([y, beside], list(labels)) if beside in numbers else ([y], None)
    parts = [f"{y}_{part}" for part in PARTS if f"{y}_{part}" in numbers]
    if parts:
        return parts, None
    legal = [name for name in numbers if not name.endswith("_stderr")]
    raise ResultFileError(where, got=y, expected=legal, hint="what this training recorded")


def _free(ds: xr.Dataset, names: list[str], shown: list[str | None]) -> list[str]:
    """Axes of more than one value that a figure of these quantities does not show."""
    dims = dict.fromkeys(str(dim) for name in names for dim in ds[name].dims)
    taken = ("update", "disorder", *shown)
    return [dim for dim in dims if ds.sizes[dim] > 1 and dim not in taken]


def _at_first(ds: xr.Dataset, held: list[str]) -> tuple[xr.Dataset, str]:
    """The part at the first values of these axes, and these values in words."""
    said = named(ds, {axis: ds[axis].values.tolist()[0] for axis in held})
    return ds.isel(dict.fromkeys(held, 0)), said

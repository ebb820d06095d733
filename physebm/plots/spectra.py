"""Singular values of a trained array against age, and what their modes have to do with the data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from physebm.plots.ages import age_edges, set_age_axis
from physebm.plots.colour_scales import ColourScale, draw_bar
from physebm.plots.labels import axis_label, check_names, check_positive, panel_title
from physebm.plots.legends import value_bar
from physebm.plots.style import COLUMN, DOUBLE, new_figure, styled
from physebm.storage.points import point_values, select_points, split


@styled
def spectrum(
    ds: xr.Dataset,
    array: str,
    *,
    panel: str | None = None,
    alignment: bool = True,
    select: Mapping[str, Any] | None = None,
    log: bool = False,
) -> Figure:
    """``singular_values_ARRAY`` of the group ``/training`` against `update`, a line per mode.

    Modes are coloured by rank, the largest darkest. With `alignment`, and where it is recorded, second
    panels show as colour, for every mode that is held against the data, the largest ``|u_a . e_b|``
    with a principal component of the data (1: the mode is that component).

    Parameters
    ----------
    panel
        An axis with one panel per value. Disorder samples are averaged over.
    log
        Makes the axis of singular values logarithmic. The age is where ages were chosen so.

    Raises
    ------
    InputError
        Where the singular values are not recorded, and where an axis is neither selected nor shown.
    """
    name, cosine = f"singular_values_{array}", f"mode_alignment_{array}"
    ds = select_points(ds, select)
    check_names(ds, "update", name)
    if log:
        check_positive(ds, name)
    panels, two = split(ds, panel), alignment and cosine in ds
    across = len(panels) > 1 or two
    fig = new_figure(DOUBLE if across else COLUMN, 4.6 if two and len(panels) > 1 else 2.7)
    if len(panels) == 1:
        upper, lower = np.split(fig.subplots(1, 1 + two, sharex=True, squeeze=False)[0], [1])
    else:
        grid = fig.subplots(1 + two, len(panels), sharex=True, sharey="row", squeeze=False)
        upper, lower = grid[0], grid[1:].ravel()
    ages = ds["update"].values.astype(float)
    found = [_lines(part, name) for part in panels]
    count = max(values.shape[1] for values in found)
    colours = [mpl.colormaps["viridis"](fraction) for fraction in np.linspace(0.0, 0.9, count)]
    for ax, part, values in zip(upper, panels, found):
        for line, colour in reversed(list(zip(values.T, colours))):  # the largest on top
            known = np.isfinite(line)
            ax.plot(ages[known], line[known], ".-", color=colour, linewidth=0.8, markersize=2)
        set_age_axis(ax, ages)
        if log:
            ax.set_yscale("log")
        if panel:
            ax.set_title(panel_title(part[panel], len(panels)))
    upper[0].set_ylabel(axis_label(ds[name]))
    # beside a panel whose axis says "rank of the mode" a word is enough
    beside = two and len(panels) == 1
    words = "rank" if beside else "rank of the mode"
    value_bar(fig, list(upper), colours, np.arange(1, count + 1), words, above=beside)
    scale = ColourScale(mpl.colormaps["cividis"], Normalize(0, 1))
    for ax, part in zip(lower, panels):
        _draw_alignment(ax, part, cosine, ages, scale)
    if two:
        lower[0].set_ylabel("rank of the mode")
        label = "largest overlap with a principal\ncomponent  $\\max_b |u_a \\cdot e_b|$"
        draw_bar(fig, list(lower), scale, label, shrink=1.0)
    for ax in lower if two and len(panels) > 1 else (*upper, *lower):
        ax.set_xlabel(axis_label(ds["update"]))
    return fig


def _lines(part: xr.Dataset, name: str) -> np.ndarray:
    """Singular values ``[update, mode]``, without modes that there are only in other panels."""
    values, _ = point_values(part, name, ("update", str(part[name].dims[-1])))
    return values.values[:, np.isfinite(values.values).any(axis=0)]


def _draw_alignment(
    ax: Axes, part: xr.Dataset, name: str, ages: np.ndarray, scale: ColourScale
) -> None:
    """The largest overlap of every mode at every age as a cell; where there is none it is grey."""
    mode, component = (str(dim) for dim in part[name].dims[-2:])
    overlap, _ = point_values(part, name, ("update", mode, component))
    best = overlap.max(component).values
    recorded = np.isfinite(best).any(axis=1)
    set_age_axis(ax, ages)
    ranks = np.arange(best.shape[1] + 1) + 0.5
    look = {"cmap": scale.cmap, "norm": scale.norm, "rasterized": True}
    ax.pcolormesh(age_edges(ax, ages[recorded]), ranks, best[recorded].T, **look)
    ax.set_facecolor("0.85")
    ax.set_ylim(ranks[-1], ranks[0])
    ax.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))

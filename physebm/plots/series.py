"""Raw series against sweeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from physebm.plots.labels import axis_label, check_names, short_name, value_text
from physebm.plots.style import COLOURS, DOUBLE, new_figure, styled
from physebm.storage.points import select_points


@styled
def traces(
    ds: xr.Dataset,
    names: Sequence[str] | None = None,
    *,
    select: Mapping[str, Any] | None = None,
    most_chains: int = 8,
) -> Figure:
    """The raw series of one point of `/series` against sweeps, a panel per quantity.

    Axes that `select` leaves free are taken at their middle value; the title says where we are.
    """
    ds = select_points(ds, select)
    names = list(names or ds.data_vars)
    check_names(ds, *names)
    ds = ds[names]
    free = [dim for dim in ds.dims if dim not in ("chain", "draw")]
    ds = ds.isel({dim: ds.sizes[dim] // 2 for dim in free})
    fig = new_figure(DOUBLE, 0.5 + 1.3 * len(names))
    axes = fig.subplots(len(names), 1, sharex=True, squeeze=False)[:, 0]
    chains = ds.sizes.get("chain", 1)
    colours = [COLOURS[number % len(COLOURS)] for number in range(min(chains, most_chains))]
    for ax, name in zip(axes, names):
        values = np.atleast_2d(ds[name].transpose(..., "draw").values)
        for line, colour in zip(values, colours):
            ax.plot(ds["draw"].values, line, color=colour, linewidth=0.6)
        symbol = ds[name].attrs.get("symbol")
        ax.set_ylabel(f"${symbol}$" if symbol else name)
        ax.margins(x=0)
    axes[-1].set_xlabel(axis_label(ds["draw"]))
    fig.align_ylabels(axes)
    place = [f"{short_name(ds[dim])} = {value_text(ds[dim], bare=True)}" for dim in free if dim in ds]
    shown = f"{len(colours)} of {chains} chains" if chains > len(colours) else f"{chains} chains"
    axes[0].set_title(", ".join([*place, shown]))
    return fig

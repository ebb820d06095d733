"""Stored distributions as densities."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from physebm.plots.labels import axis_label, check_names, line_label, value_text
from physebm.plots.legends import legend
from physebm.plots.style import COLUMN, DOUBLE, colours_of, new_figure, styled
from physebm.storage.points import point_values, select_points, split


@styled
def histogram(
    ds: xr.Dataset,
    name: str = "overlap_distribution",
    by: str | None = "temperature",
    *,
    panel: str | None = None,
    select: Mapping[str, Any] | None = None,
) -> Figure:
    """A stored distribution as a density over its last axis, one line per value of `by`.

    The stored masses sit on exact values of q; they are divided by the spacing of those values
    that can occur, so that sizes compare. The band is one standard error over disorder samples.
    """
    ds = select_points(ds, select)
    check_names(ds, name)
    dim = ds[name].dims[-1]
    by = by if by in ds[name].dims else None
    panels = split(ds, panel)
    fig = new_figure(DOUBLE if len(panels) > 1 else COLUMN, 2.7)
    axes = fig.subplots(1, len(panels), sharex=True, sharey=True, squeeze=False)[0]
    handles: dict[str, Line2D] = {}
    for ax, part in zip(axes, panels):
        for group, colour in zip(split(part, by), colours_of(ds, by)):
            value, error = point_values(group, name, (dim,))
            where = group[f"{dim}_value"] if f"{dim}_value" in group.coords else group[dim]
            while where.ndim > 1:
                where = where.isel({where.dims[0]: 0})
            known = np.isfinite(where.values) & np.isfinite(value.values)
            q, mass = where.values[known], value.values[known]
            width = np.gradient(q) if len(q) > 1 else np.ones_like(q)
            ax.plot(q, mass / width, color=colour, drawstyle="steps-mid")
            if error is not None:
                low, high = (mass + sign * error.values[known] for sign in (-1, 1))
                ax.fill_between(
                    q, low / width, high / width, step="mid", color=colour, alpha=0.25, linewidth=0
                )
            if by:
                label = line_label(group[by])
                handles.setdefault(label, Line2D([], [], color=colour, label=label))
        ax.set(xlabel=axis_label(where))
        if panel:
            ax.set_title(value_text(part[panel]))
    axes[0].set_ylim(bottom=0)
    axes[0].set_ylabel(f"density ${ds[name].attrs.get('symbol', 'P')}$")
    legend(fig, list(handles.values()))
    return fig

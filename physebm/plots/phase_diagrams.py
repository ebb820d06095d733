"""A quantity as colour over two axes, with theory lines on top and marks of verdicts above those."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke

from physebm.plots.disorder import disorder_note
from physebm.plots.labels import axis_label, check_names, value_text
from physebm.plots.legends import (
    BAD_CROSS,
    METASTABLE_DOT,
    SUSPECT_DASH,
    explain,
    legend,
    meanings,
)
from physebm.plots.places import edges, ends, name_ticks, positions, text_axis, value_range
from physebm.plots.style import COLUMN, DOUBLE, new_figure, styled
from physebm.plots.theory_lines import TheoryLines, outlined, ready_lines
from physebm.storage.points import (
    bad_points,
    metastable_points,
    point_values,
    select_points,
    split,
    suspect_points,
)

# A mark that a line runs through must still be seen.
ABOVE_LINES = {"zorder": 3, "path_effects": [withStroke(linewidth=2.2, foreground="white")]}


@styled
def phase_diagram(
    ds: xr.Dataset,
    x: str,
    y: str,
    z: str,
    theory_lines: TheoryLines = (),
    *,
    panel: str | None = None,
    select: Mapping[str, Any] | None = None,
    limits: tuple[float, float] | None = None,
    cmap: str = "viridis",
) -> Figure:
    """`z` as colour over `x` and `y`, one panel per value of `panel`, theory lines on top.

    Grey cells have no value. A cross marks points that failed or still drift, a dot those where
    each run is stationary but starts or chains disagree: metastable states, which a study may be
    about (any of the disorder samples behind a point), a dash those that are suspect (a tenth of
    them; `physebm.storage.points`). Without `panel` a remaining axis of texts (`start`) becomes the
    panels. Values beyond `limits` take the colour of the limit, and the colour bar says so.
    """
    ds = select_points(ds, select)
    check_names(ds, x, y, z)
    panel = panel or text_axis(ds[z], (x, y))
    panels = split(ds, panel)
    points = [point_values(part, z, (y, x)) for part in panels]
    low, high = limits or value_range(values for values, _ in points)
    fig = new_figure(DOUBLE if len(panels) > 1 else COLUMN, 2.9)
    axes = fig.subplots(1, len(panels), sharex=True, sharey=True, squeeze=False)[0]
    xs, x_ticks = positions(ds[x])
    ys, y_ticks = positions(ds[y])
    marks: dict[str, Line2D] = {}
    for ax, part, (values, _) in zip(axes, panels, points):
        ax.set_facecolor("0.85")
        mesh = ax.pcolormesh(
            edges(xs), edges(ys), values.values, vmin=low, vmax=high, cmap=cmap, rasterized=True
        )
        crossed, dotted = meanings(ds, z)
        bad, metastable, suspect = (
            flagged(part, z, (y, x)).values
            for flagged in (bad_points, metastable_points, suspect_points)
        )
        looks = (
            (bad, BAD_CROSS | {"label": crossed}),
            (metastable, METASTABLE_DOT | {"label": dotted}),
            (suspect & ~bad & ~metastable, SUSPECT_DASH),
        )
        for flagged, look in looks:
            rows, cols = np.nonzero(flagged)
            if rows.size:
                ax.plot(xs[cols], ys[rows], **look, **ABOVE_LINES)
                marks[look["label"]] = Line2D([], [], **look)
        for number, (label, line_x, line_y) in enumerate(ready_lines(theory_lines, xs)):
            ax.plot(line_x, line_y, **outlined(number), label=label)
        ax.set(xlim=ends(xs), ylim=ends(ys), xlabel=axis_label(ds[x]))
        name_ticks(ax.xaxis, xs, x_ticks)
        name_ticks(ax.yaxis, ys, y_ticks)
        if panel:
            ax.set_title(value_text(part[panel]))
    axes[0].set_ylabel(axis_label(ds[y]))
    least, most = value_range(values for values, _ in points)
    beyond = {(0, 0): "neither", (1, 0): "min", (0, 1): "max", (1, 1): "both"}
    extend = beyond[int(least < low), int(most > high)]
    fig.colorbar(mesh, ax=list(axes), label=axis_label(ds[z]), pad=0.02, extend=extend)
    handles = [
        Line2D([], [], label=label, **outlined(number))
        for number, (label, _, _) in enumerate(ready_lines(theory_lines, xs))
    ]
    legend(fig, handles)
    averaged = [] if "disorder" in (x, y, panel) else disorder_note(ds, [z], bars=False)
    explain(fig, [*marks.values(), *averaged])
    return fig

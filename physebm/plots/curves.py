"""A quantity against an axis: data as points with error bars, theory as lines."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from physebm.plots.disorder import disorder_note
from physebm.plots.labels import axis_label, check_names, line_label, value_text
from physebm.plots.legends import SUSPECT, explain, legend, mark, meanings
from physebm.plots.places import name_ticks, positions
from physebm.plots.style import COLUMN, DASHES, DOUBLE, MARKERS, colours_of, new_figure, styled
from physebm.plots.theory_lines import TheoryLines, ready_lines
from physebm.storage.points import (
    bad_points,
    metastable_points,
    point_values,
    select_points,
    split,
    suspect_points,
)

# Letters of names along the axes of a figure that do not touch each other.
LETTERS = 45

MEASURED = "measured"
OPEN = {"markerfacecolor": "white", "markeredgewidth": 0.7}
HALF = {"fillstyle": "bottom", "markerfacecoloralt": "white", "markeredgewidth": 0.7}
CROSS = {"marker": "x", "markersize": 4.5}
LARGEST, LEAST = 8.5, 4.5
"""Markers of estimators at the same place, the first and the last."""


@styled
def curve(
    ds: xr.Dataset,
    x: str,
    y: str,
    by: str | None = None,
    theory: TheoryLines | Callable[[xr.Dataset], TheoryLines] = (),
    *,
    theory_label: str = "theory",
    panel: str | None = None,
    select: Mapping[str, Any] | None = None,
    log: str = "",
) -> Figure:
    """`y` against `x` with error bars, one set of points per value of `by`.

    `theory` is either lines of their own (black), or a mapping from values of `by` to
    ``(xs, ys)`` or ``f``: those lines take the colour of their points and are called
    `theory_label` (under the key None it may hold lines of their own too); or a function that
    gives either for the dataset of one panel. Points that failed or drift are crosses without error
    bars, those where only starts or chains disagree are open, suspect ones half open; of a training
    crosses are where its chains were out of equilibrium; free energies are marked by their own
    verdicts. Estimators should agree: their markers lie within each other, the first one's is the
    largest. `log` names the logarithmic axes: "", "x", "y" or "xy".
    """
    ds = select_points(ds, select)
    check_names(ds, x, y)
    panels = split(ds, panel)
    fig = new_figure(DOUBLE if len(panels) > 1 else COLUMN, 2.7)
    axes = fig.subplots(1, len(panels), sharex=True, sharey=True, squeeze=False)[0]
    xs, x_ticks = positions(ds[x])
    wrong, doubtful = meanings(ds, y)
    handles: dict[str, Line2D] = {}
    black_handles: dict[str, Line2D] = {}
    marks: dict[str, Line2D] = {}
    for ax, part in zip(axes, panels):
        lines = theory(part) if callable(theory) else theory
        keyed = isinstance(lines, Mapping)
        black = lines.get(None, ()) if keyed else lines
        groups = split(part, by)
        for number, (group, colour) in enumerate(zip(groups, colours_of(ds, by))):
            marker = MARKERS[number % len(MARKERS)]
            value, error = point_values(group, y, (x,))
            bad = bad_points(group, y, (x,)).values
            metastable = metastable_points(group, y, (x,)).values
            known = np.isfinite(value.values)
            own = lines.get(group[by].item()) if keyed and by else None
            if own is not None:
                own = own if isinstance(own, tuple) else (own,)
                for _, line_x, line_y in ready_lines([("", *own)], xs):
                    ax.plot(line_x, line_y, "-", color=colour, linewidth=1.0)
            joined = {"linestyle": ""}
            if not lines and x_ticks is None:
                joined = {"linestyle": "-", "linewidth": 0.5}
            ax.plot(xs, value, color=colour, **joined)
            look = {"linestyle": "", "marker": marker, "color": colour}
            if by == "estimator":
                look["markersize"] = _size(number, len(groups))
            metastable &= ~bad
            suspect = suspect_points(group, y, (x,)).values & ~bad & ~metastable
            looks = (
                (~bad & ~metastable & ~suspect, {}, ""),
                (suspect, HALF, SUSPECT),
                (metastable, OPEN, doubtful),
                (bad, CROSS, wrong),
            )
            for flagged, fill, meaning in looks:
                chosen = flagged & known
                if not chosen.any():
                    continue
                barred = error is not None and fill is not CROSS
                ax.errorbar(
                    xs[chosen],
                    value.values[chosen],
                    error.values[chosen] if barred else None,
                    elinewidth=0.8,
                    **{**look, **fill},
                )
                if meaning:
                    marks[meaning] = mark(meaning, **{"color": "0.3", "marker": "o", **fill})
            label = line_label(group[by]) if by else ds[y].attrs.get("method", MEASURED)
            if known.any() or own is not None:
                handles[label] = Line2D([], [], label=label, **look)
            elif by == "estimator":
                handles.setdefault(label, Line2D([], [], label=f"{label} (no value)", linestyle=""))
        for number, (label, line_x, line_y) in enumerate(ready_lines(black, xs)):
            dash = {"linestyle": DASHES[number % len(DASHES)], "color": "black", "linewidth": 0.9}
            ax.plot(line_x, line_y, zorder=1.5, **dash)
            black_handles[label] = Line2D([], [], label=label, **dash)
        if keyed:
            black_handles[""] = Line2D([], [], color="0.3", linewidth=1.0, label=theory_label)
        ax.set(xlabel=axis_label(ds[x]))
        ax.set(**{f"{letter}scale": "log" for letter in log})
        name_ticks(ax.xaxis, xs, x_ticks)
        if x_ticks and sum(len(name) + 2 for name in x_ticks) > LETTERS / len(panels):
            ax.tick_params(axis="x", rotation=90)
        if panel:
            ax.set_title(value_text(part[panel]))
    axes[0].set_ylabel(axis_label(ds[y]))
    if len(handles) + len(black_handles) > 1 or set(handles) - {MEASURED}:
        legend(fig, list(handles.values()), list(black_handles.values()))
    averaged = [] if "disorder" in (x, by, panel) else disorder_note(ds, [y], bars=True)
    explain(fig, [*marks.values(), *averaged])
    return fig


def _size(number: int, lines: int) -> float:
    """The size of a line's markers, such that those drawn before it at the same place stand out."""
    return LARGEST - (LARGEST - LEAST) * number / max(lines - 1, 1)

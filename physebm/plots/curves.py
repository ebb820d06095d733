"""A quantity against an axis: data as points with error bars, theory as lines."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from physebm.plots.labels import axis_label, check_names, line_label, value_text
from physebm.plots.legends import explain, legend, mark, meanings
from physebm.plots.places import name_ticks, positions
from physebm.plots.style import COLUMN, DASHES, DOUBLE, MARKERS, colours_of, new_figure, styled
from physebm.plots.theory_lines import TheoryLines, ready_lines
from physebm.storage.points import bad_points, metastable_points, point_values, select_points, split

# Letters of names along the axes of a figure that do not touch each other.
LETTERS = 45


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
    gives either for the dataset of one panel. Points that failed or drift are open, those where only
    starts or chains disagree half open; of a training those are open where its chains were out of
    equilibrium; free energies are marked by their own verdicts, and estimators stand a little beside
    each other, because they should agree. `log` names the logarithmic axes: "", "x", "y" or "xy".
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
            places = xs + (_beside(number, len(groups), xs) if by == "estimator" else 0.0)
            ax.plot(places, value, color=colour, **joined)
            looks = ((~bad & ~metastable, "full", ""), (metastable, "bottom", doubtful))
            for flagged, fill, meaning in (*looks, (bad, "none", wrong)):
                chosen = flagged & known
                if not chosen.any():
                    continue
                ax.errorbar(
                    places[chosen],
                    value.values[chosen],
                    None if error is None else error.values[chosen],
                    fmt=marker,
                    color=colour,
                    fillstyle=fill,
                    markerfacecoloralt="white",
                    elinewidth=0.8,
                )
                if meaning:
                    marks[meaning] = mark(meaning, marker="o", color="0.3", fillstyle=fill)
            label = line_label(group[by]) if by else "measured"
            if known.any() or own is not None:
                handles[label] = Line2D([], [], linestyle="", marker=marker, color=colour, label=label)
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
    if len(handles) + len(black_handles) > 1:
        legend(fig, list(handles.values()), list(black_handles.values()))
    explain(fig, list(marks.values()))
    return fig


def _beside(number: int, lines: int, xs: np.ndarray) -> float:
    """How far from its place a line's points are drawn: within a fifth of the least distance."""
    gap = np.min(np.diff(np.sort(xs))) if len(xs) > 1 else 0.0
    return 0.2 * gap * ((number + 0.5) / lines - 0.5)

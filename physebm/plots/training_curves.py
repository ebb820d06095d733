"""A recorded quantity against training age: points with error bars, joined, a line per value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from physebm.plots.ages import set_age_axis
from physebm.plots.disorder import disorder_note
from physebm.plots.labels import (
    axis_label,
    check_names,
    check_positive,
    common_label,
    distinct_labels,
    line_label,
    panel_title,
)
from physebm.plots.legends import explain, legend, value_bar
from physebm.plots.places import numbered
from physebm.plots.style import COLOURS, COLUMN, DASHES, DOUBLE, MARKERS, colours_of, new_figure, styled
from physebm.plots.theory_lines import ready_lines
from physebm.storage.points import point_values, select_points, split
from physebm.storage.training_quantities import SHARED_ERRORS

BAND = 0.2
SHARED = "band: standard error from the\nsamples chosen, the same at all ages"
MOST_NAMED = 8
"""Lines that a legend names; numbers beyond stand on a colour bar."""


@styled
def training_curve(
    ds: xr.Dataset,
    y: str | Sequence[str],
    by: str | None = None,
    theory: Sequence[tuple] = (),
    *,
    panel: str | None = None,
    select: Mapping[str, Any] | None = None,
    log: bool = False,
    labels: Sequence[str] | None = None,
) -> Figure:
    """One or several quantities `y` of the group ``/training`` against `update`.

    Lines are told apart by the values of `by` (colour) and by quantity (colour where there is no
    `by`, else marker and dash). Axes that nothing shows, up to two of more than one value, become
    lines and panels by themselves; disorder samples are averaged over (of verdicts the worst counts).
    Ages without a value are left out, and the line goes on beyond. Lines of verdicts stand beside each
    other. An error that is the same deviation at all ages is a band.

    Parameters
    ----------
    theory
        Lines of their own, black, as in `curve`.
    log
        Makes the vertical axis logarithmic. The age is where ages were chosen so.
    labels
        What the legend calls several quantities; None takes the words in which their names differ.

    Raises
    ------
    InputError
        For a name that is not recorded, for more axes than a figure can show, and for a logarithmic
        axis without values above 0.
    """
    names = [y] if isinstance(y, str) else list(y)
    ds = select_points(ds, select)
    check_names(ds, "update", *names)
    if log:
        check_positive(ds, *names)
    by, panel = _shown(ds, names, by, panel)
    ds = numbered(ds, by, panel)
    for name in names:
        if _flags(ds[name]):
            ds[name] = _worst(ds[name])
    panels = split(ds, panel)
    fig = new_figure(DOUBLE if len(panels) > 1 else COLUMN, 2.7)
    axes = fig.subplots(1, len(panels), sharex=True, sharey=True, squeeze=False)[0]
    ages, colours = ds["update"].values.astype(float), colours_of(ds, by)
    barred = by is not None and ds[by].dtype.kind in "iuf" and len(colours) > MOST_NAMED
    called = labels or distinct_labels([ds[name] for name in names])
    flags = _flags(ds[names[0]])
    lines = _recorded_lines(ds, names, by) if flags else []
    theories: dict[str, Line2D] = {}
    quantities: dict[str, Line2D] = {}
    values: dict[str, Line2D] = {}
    banded = False
    for ax, part in zip(axes, panels):
        for number, (label, line_x, line_y) in enumerate(ready_lines(theory, ages)):
            dash = {"linestyle": DASHES[number % len(DASHES)], "color": "black", "linewidth": 0.9}
            ax.plot(line_x, line_y, zorder=1.5, **dash)
            theories.setdefault(label, Line2D([], [], label=label, **dash))
        for row, (group, colour) in enumerate(zip(split(part, by), colours)):
            for number, name in enumerate(names):
                tint = colour if by else COLOURS[number % len(COLOURS)]
                look = _look(row if by else number, number, tint, barred)
                # verdicts have few values: lines stand beside each other
                place = row if by else number
                shift = _beside(lines.index(place), len(lines)) if place in lines else 0.0
                drawn, band = _draw(ax, group, name, look, shift)
                banded |= band
                if not drawn:
                    continue
                if len(names) > 1:
                    plain = {**look, "color": "0.3", "marker": "o"} if by else look
                    quantities.setdefault(called[number], Line2D([], [], label=called[number], **plain))
                if by and not barred:
                    label = line_label(group[by])
                    values.setdefault(
                        label, Line2D([], [], label=label, **_look(row, 0, colour, False))
                    )
        ax.set_xlabel(axis_label(ds["update"]))
        set_age_axis(ax, ages)
        if log:
            ax.set_yscale("log")
        if panel:
            ax.set_title(panel_title(part[panel], len(panels)))
    axes[0].set_ylabel(common_label([ds[name] for name in names]))
    if flags:
        axes[0].set_yticks(list(flags), list(flags.values()))
        axes[0].set_ylim(min(flags) - 0.5, max(flags) + 0.5)
        for ax in axes:
            for code in list(flags)[1:]:
                ax.axhline(code - 0.5, color="0.85", linewidth=0.6, zorder=0)
    found = [list(each.values()) for each in (values, quantities, theories)]
    compared = sum(map(len, found)) > 1 or theory or (by is not None and ds.sizes[by] > 1)
    if compared:
        legend(fig, *found)
    bands = [Patch(color="0.3", alpha=BAND, linewidth=0, label=SHARED)] if banded else []
    mean = not flags and "disorder" not in (by, panel)
    explain(fig, [*bands, *(disorder_note(ds, names, bars=True) if mean else [])])
    if barred:
        value_bar(fig, list(axes), colours, ds[by].values, axis_label(ds[by]))
    return fig


def _shown(
    ds: xr.Dataset, names: Sequence[str], by: str | None, panel: str | None
) -> tuple[str | None, str | None]:
    """The axes of lines and panels; those that were not named are the axes left free, last first."""
    dims = dict.fromkeys(dim for name in names for dim in ds[name].dims if ds.sizes[dim] > 1)
    free = [str(dim) for dim in dims if dim not in ("update", "disorder", by, panel)]
    if by is None and free:
        by = free.pop()
    if panel is None and free:
        panel = free.pop()
    return by, panel


def _draw(
    ax: Axes, ds: xr.Dataset, name: str, look: Mapping[str, Any], shift: float
) -> tuple[bool, bool]:
    """Draw one line; whether there is a value at any age, and whether its errors are a band.

    Errors that are one deviation at all ages would be mistaken for scatter as bars.
    """
    value, error = point_values(ds, name, ("update",))
    known = np.isfinite(value.values)
    ages, y = ds["update"].values[known], value.values[known] + shift
    bars = None if error is None else np.nan_to_num(error.values[known])
    shared = name in SHARED_ERRORS and bars is not None and "disorder" not in ds[name].dims
    band = shared and bool(bars.any())
    if band:
        ax.fill_between(ages, y - bars, y + bars, color=look["color"], alpha=BAND, linewidth=0)
    ax.errorbar(ages, y, None if shared else bars, elinewidth=0.7, **look)
    return bool(known.any()), band


def _recorded_lines(ds: xr.Dataset, names: Sequence[str], by: str | None) -> list[int]:
    """The numbers of the lines that have a value anywhere."""
    held = [[group[name] for name in names] for group in split(ds, by)]
    held = held if by else [[each] for each in held[0]]
    return [i for i, each in enumerate(held) if any(bool(x.notnull().any()) for x in each)]


def _beside(number: int, lines: int) -> float:
    """How far the line of this number stands from its code."""
    return (number - (lines - 1) / 2) * 0.7 / lines


def _flags(variable: xr.DataArray) -> dict[int, str]:
    """The codes of a verdict and what they mean, without that of what was not recorded."""
    words = variable.attrs.get("flag_meanings", "").split()
    codes = np.atleast_1d(variable.attrs.get("flag_values", ()))
    return {int(c): w.replace("_", " ") for c, w in zip(codes, words) if w != "not_recorded"}


def _worst(verdict: xr.DataArray) -> xr.DataArray:
    """The largest code among disorder samples; NaN where none is recorded."""
    recorded = verdict.where(verdict.isin(list(_flags(verdict))))
    over = [dim for dim in verdict.dims if dim == "disorder"]
    return recorded.max(over).assign_attrs(verdict.attrs)


def _look(row: int, number: int, colour: Any, barred: bool) -> dict[str, Any]:
    """Colour and marker of a line; of the second quantity dashed, with open markers."""
    return {
        "color": colour,
        "marker": "." if barred else MARKERS[row % len(MARKERS)],
        "markersize": 2.5,
        "linestyle": DASHES[number % len(DASHES)],
        "linewidth": 0.8,
        "fillstyle": "none" if number % 2 else "full",
    }

"""The house style: small functions from stored datasets to figures, never shown on a screen.

Every function takes what is stored (xarray in) and gives a `matplotlib.figure.Figure`; theory comes
in as lines ``(label, xs, ys)`` or ``(label, f)`` with a callable ``f(xs) -> ys``, so that a figure
knows no theory. One column is 3.4 inches, two are 7. Colours (Okabe & Ito; viridis, cividis) and
markers can be told apart by colour-blind readers and in grey.

What a point of a figure is: see `physebm.storage.points`.
"""

from __future__ import annotations

import functools
import os
import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import Normal, Stroke
from matplotlib.ticker import MaxNLocator

from physebm.errors import InputError
from physebm.storage.atomic import replacing
from physebm.storage.points import (
    bad_points,
    metastable_points,
    point_values,
    select_points,
    split,
)

COLUMN, DOUBLE = 3.4, 7.0
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<")
DASHES = ("-", "--", ":", "-.", (0, (5, 1, 1, 1, 1, 1)))
STYLE = {
    "font.size": 8,
    "axes.labelsize": 9,
    "axes.titlesize": 8,
    "legend.fontsize": 7.5,
    "legend.frameon": False,
    "mathtext.fontset": "dejavusans",
    "axes.linewidth": 0.7,
    "lines.linewidth": 1.1,
    "lines.markersize": 4,
    "errorbar.capsize": 1.5,
    "xtick.direction": "in",
    "ytick.direction": "in",
    "xtick.top": True,
    "ytick.right": True,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "image.cmap": "viridis",
    "figure.dpi": 100,
    "savefig.dpi": 300,
    "pdf.fonttype": 42,
}

TheoryLines = Sequence[tuple] | Mapping[Any, tuple]
BAD, METASTABLE = "failed or still drifting", "stationary, but starts or chains disagree"
_BAD_CROSS = {
    "linestyle": "",
    "marker": "x",
    "color": "#D55E00",
    "markersize": 3.2,
    "markeredgewidth": 0.8,
    "label": BAD,
}
_METASTABLE_DOT = {
    "linestyle": "",
    "marker": ".",
    "color": "white",
    "markersize": 2.4,
    "markeredgecolor": "black",
    "markeredgewidth": 0.35,
    "label": METASTABLE,
}


def _styled(draw):
    @functools.wraps(draw)
    def styled(*args, **kwargs):
        with mpl.rc_context(STYLE):
            return draw(*args, **kwargs)

    return styled


def axis_label(variable: xr.DataArray) -> str:
    """``long name  symbol  [unit]`` from the stored attributes; dimensionless shows no unit.

    A long name is broken in two lines, so that it fits the side of a one-column figure.
    """
    long_name = variable.attrs.get("long_name", str(variable.name).replace("_", " "))
    symbol, units = variable.attrs.get("symbol", ""), variable.attrs.get("units", "1")
    tail = " ".join(part for part in (f"${symbol}$" * bool(symbol), f"[{units}]") if part != "[1]")
    lines = textwrap.wrap(long_name, 30)
    return " ".join(("\n".join(lines), *filter(None, [tail])))


@_styled
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
    about (any of the disorder samples behind a point; `physebm.storage.points`). Without `panel`
    a remaining axis of texts (`start`) becomes the panels. Values beyond `limits` take the colour
    of the limit, and the colour bar says so.
    """
    ds = select_points(ds, select)
    _check_names(ds, x, y, z)
    panel = panel or _text_axis(ds[z], (x, y))
    panels = split(ds, panel)
    points = [point_values(part, z, (y, x)) for part in panels]
    low, high = limits or _range(values for values, _ in points)
    fig = _figure(DOUBLE if len(panels) > 1 else COLUMN, 2.9)
    axes = fig.subplots(1, len(panels), sharex=True, sharey=True, squeeze=False)[0]
    xs, x_ticks = _positions(ds[x])
    ys, y_ticks = _positions(ds[y])
    marks: dict[str, Line2D] = {}
    for ax, part, (values, _) in zip(axes, panels, points):
        ax.set_facecolor("0.85")
        mesh = ax.pcolormesh(
            _edges(xs), _edges(ys), values.values, vmin=low, vmax=high, cmap=cmap, rasterized=True
        )
        flags = ((bad_points, _BAD_CROSS), (metastable_points, _METASTABLE_DOT))
        for flagged, look in flags:
            rows, cols = np.nonzero(flagged(part, (y, x)).values)
            if rows.size:
                ax.plot(xs[cols], ys[rows], **look)
                marks[look["label"]] = Line2D([], [], **look)
        for number, (label, line_x, line_y) in enumerate(_lines(theory_lines, xs)):
            ax.plot(line_x, line_y, **_outlined(number), label=label)
        ax.set(xlim=_ends(xs), ylim=_ends(ys), xlabel=axis_label(ds[x]))
        _name_ticks(ax.xaxis, xs, x_ticks)
        _name_ticks(ax.yaxis, ys, y_ticks)
        if panel:
            ax.set_title(_value_text(part[panel]))
    axes[0].set_ylabel(axis_label(ds[y]))
    least, most = _range(values for values, _ in points)
    beyond = {(0, 0): "neither", (1, 0): "min", (0, 1): "max", (1, 1): "both"}
    extend = beyond[int(least < low), int(most > high)]
    fig.colorbar(mesh, ax=list(axes), label=axis_label(ds[z]), pad=0.02, extend=extend)
    handles = [
        Line2D([], [], label=label, **_outlined(number))
        for number, (label, _, _) in enumerate(_lines(theory_lines, xs))
    ]
    _legend(fig, handles)
    _explain(fig, list(marks.values()))
    return fig


@_styled
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
    starts or chains disagree half open. `log` names the logarithmic axes: "", "x", "y" or "xy".
    """
    ds = select_points(ds, select)
    _check_names(ds, x, y)
    panels = split(ds, panel)
    fig = _figure(DOUBLE if len(panels) > 1 else COLUMN, 2.7)
    axes = fig.subplots(1, len(panels), sharex=True, sharey=True, squeeze=False)[0]
    xs, x_ticks = _positions(ds[x])
    handles: dict[str, Line2D] = {}
    marks: dict[str, Line2D] = {}
    for ax, part in zip(axes, panels):
        lines = theory(part) if callable(theory) else theory
        keyed = isinstance(lines, Mapping)
        black = lines.get(None, ()) if keyed else lines
        groups = split(part, by)
        for number, (group, colour) in enumerate(zip(groups, _colours(ds, by))):
            marker = MARKERS[number % len(MARKERS)]
            value, error = point_values(group, y, (x,))
            bad = bad_points(group, (x,)).values
            metastable = metastable_points(group, (x,)).values
            own = lines.get(group[by].item()) if keyed and by else None
            if own is not None:
                own = own if isinstance(own, tuple) else (own,)
                for _, line_x, line_y in _lines([("", *own)], xs):
                    ax.plot(line_x, line_y, "-", color=colour, linewidth=1.0)
            joined = {"linestyle": ""}
            if not lines and x_ticks is None:
                joined = {"linestyle": "-", "linewidth": 0.5}
            ax.plot(xs, value, color=colour, **joined)
            looks = ((~bad & ~metastable, "full", ""), (metastable, "bottom", METASTABLE))
            for chosen, fill, meaning in (*looks, (bad, "none", BAD)):
                if not chosen.any():
                    continue
                ax.errorbar(
                    xs[chosen],
                    value.values[chosen],
                    None if error is None else error.values[chosen],
                    fmt=marker,
                    color=colour,
                    fillstyle=fill,
                    markerfacecoloralt="white",
                    elinewidth=0.8,
                )
                if meaning:
                    marks[meaning] = _mark(meaning, marker="o", color="0.3", fillstyle=fill)
            label = f"{_name(group[by])} = {_value_text(group[by], bare=True)}" if by else "measured"
            handles[label] = Line2D([], [], linestyle="", marker=marker, color=colour, label=label)
        for number, (label, line_x, line_y) in enumerate(_lines(black, xs)):
            dash = {"linestyle": DASHES[number % len(DASHES)], "color": "black", "linewidth": 0.9}
            ax.plot(line_x, line_y, zorder=1.5, **dash)
            handles[f"theory {label}"] = Line2D([], [], label=label, **dash)
        if keyed:
            handles["theory"] = Line2D([], [], color="0.3", linewidth=1.0, label=theory_label)
        ax.set(xlabel=axis_label(ds[x]))
        ax.set(**{f"{letter}scale": "log" for letter in log})
        _name_ticks(ax.xaxis, xs, x_ticks)
        if panel:
            ax.set_title(_value_text(part[panel]))
    axes[0].set_ylabel(axis_label(ds[y]))
    _legend(fig, list(handles.values()) if len(handles) > 1 else [])
    _explain(fig, list(marks.values()))
    return fig


@_styled
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
    _check_names(ds, name)
    dim = ds[name].dims[-1]
    by = by if by in ds[name].dims else None
    panels = split(ds, panel)
    fig = _figure(DOUBLE if len(panels) > 1 else COLUMN, 2.7)
    axes = fig.subplots(1, len(panels), sharex=True, sharey=True, squeeze=False)[0]
    handles: dict[str, Line2D] = {}
    for ax, part in zip(axes, panels):
        for group, colour in zip(split(part, by), _colours(ds, by)):
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
                label = f"{_name(group[by])} = {_value_text(group[by], bare=True)}"
                handles.setdefault(label, Line2D([], [], color=colour, label=label))
        ax.set(xlabel=axis_label(where))
        if panel:
            ax.set_title(_value_text(part[panel]))
    axes[0].set_ylim(bottom=0)
    axes[0].set_ylabel(f"density ${ds[name].attrs.get('symbol', 'P')}$")
    _legend(fig, list(handles.values()))
    return fig


@_styled
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
    _check_names(ds, *names)
    ds = ds[names]
    free = [dim for dim in ds.dims if dim not in ("chain", "draw")]
    ds = ds.isel({dim: ds.sizes[dim] // 2 for dim in free})
    fig = _figure(DOUBLE, 0.5 + 1.3 * len(names))
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
    place = [f"{_name(ds[dim])} = {_value_text(ds[dim], bare=True)}" for dim in free if dim in ds]
    shown = f"{len(colours)} of {chains} chains" if chains > len(colours) else f"{chains} chains"
    axes[0].set_title(", ".join([*place, shown]))
    return fig


@_styled
def images(
    states: np.ndarray,
    shape: tuple[int, int],
    *,
    column_titles: Sequence[str] | None = None,
    row_titles: Sequence[str] | None = None,
) -> Figure:
    """Pictures of states [row, column, unit] (or [column, unit]): black is the largest value."""
    states = np.asarray(states)
    states = states.reshape((-1, *states.shape[-2:]))
    rows, cols = states.shape[:2]
    side = min(0.9, DOUBLE / (cols + 0.6))
    fig = _figure(side * cols + (0.6 if row_titles else 0.1), (side + 0.12) * rows + 0.15)
    axes = fig.subplots(rows, cols, squeeze=False)
    low, high = float(np.nanmin(states)), float(np.nanmax(states))
    for (row, col), ax in np.ndenumerate(axes):
        picture = states[row, col].reshape(shape)
        ax.imshow(picture, cmap="Greys", vmin=low, vmax=high, interpolation="nearest")
        ax.set(xticks=[], yticks=[])
        if row == 0 and column_titles:
            ax.set_title(column_titles[col], fontsize=7)
        if col == 0 and row_titles:
            ax.set_ylabel(row_titles[row], rotation=0, ha="right", va="center", fontsize=8)
    return fig


@_styled
def save(
    fig: Figure, path: str | os.PathLike, *, pdf: bool = False, dpi: int = STYLE["savefig.dpi"]
) -> list[Path]:
    """Write the figure as PNG and, if asked, as PDF beside it; each file atomically.

    Nothing that changes between equal figures (dates, versions) is written.
    """
    path = Path(path).with_suffix(".png")
    kinds = {"png": (path, {"Software": None})}
    if pdf:
        kinds["pdf"] = (path.with_suffix(".pdf"), {"CreationDate": None, "Producer": None})
    for kind, (target, metadata) in kinds.items():
        with replacing(target) as temporary:
            fig.savefig(temporary, format=kind, metadata=metadata, dpi=dpi)
    return [target for target, _ in kinds.values()]


def _figure(width: float, height: float) -> Figure:
    fig = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(fig)
    return fig


def _check_names(ds: xr.Dataset, *names: str) -> None:
    for name in names:
        if name not in ds:
            there = [str(known) for known in (*ds.dims, *ds.data_vars)]
            raise InputError(f"plot: {name}", got=name, expected=there)


def _legend(fig: Figure, handles: Sequence[Line2D]) -> None:
    """A legend above the axes, where it can cover no data; as many columns as fit the width."""
    if not handles:
        return
    longest = max(len(re.sub(r"\\[a-z]+", "x", handle.get_label())) for handle in handles)
    fitting = max(1, int(0.95 * fig.get_figwidth() / (0.55 + 0.055 * longest)))
    rows = -(-len(handles) // fitting)
    fig.legend(
        handles=handles,
        loc="outside upper center",
        ncols=-(-len(handles) // rows),
        columnspacing=1.2,
        handletextpad=0.5,
        handlelength=2.2,
    )


def _mark(label: str, **look: Any) -> Line2D:
    return Line2D([], [], linestyle="", markerfacecoloralt="white", label=label, **look)


def _explain(fig: Figure, handles: Sequence[Line2D]) -> None:
    """One line below the axes that says what marked points are."""
    if handles:
        fig.legend(
            handles=handles,
            loc="outside lower right",
            handletextpad=0.1,
            columnspacing=1.2,
            ncols=len(handles) if fig.get_figwidth() > COLUMN else 1,
        )


def _outlined(number: int) -> dict[str, Any]:
    """A line that can be seen on dark and on light colours: black edge, white core."""
    return {
        "color": "white",
        "linestyle": DASHES[number % len(DASHES)],
        "linewidth": 1.3,
        "path_effects": [Stroke(linewidth=2.6, foreground="black"), Normal()],
    }


def _lines(lines: Sequence[tuple], xs: np.ndarray) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """Lines as arrays: callables are evaluated between the first and the last point."""
    ready = []
    for label, *rest in lines:
        curve = rest[-1]
        given = rest[0] if len(rest) == 2 else np.linspace(np.min(xs), np.max(xs), 400)
        values = curve(np.asarray(given)) if callable(curve) else curve
        ready.append((label, np.asarray(given, dtype=float), np.asarray(values, dtype=float)))
    return ready


def _positions(axis: xr.DataArray) -> tuple[np.ndarray, list[str] | None]:
    """Where the values of an axis are drawn; texts stand at 0, 1, 2 ... and are named there."""
    if axis.dtype.kind in "if":
        return axis.values.astype(float), None
    return np.arange(axis.size, dtype=float), [str(value) for value in axis.values]


def _name_ticks(axis: Any, places: np.ndarray, names: list[str] | None) -> None:
    """Names on an axis of texts; on a linear one few enough numbers not to touch each other."""
    if names is not None:
        axis.set_ticks(places, names)
    elif axis.get_scale() == "linear":
        axis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10]))


def _edges(centres: np.ndarray) -> np.ndarray:
    """Cell edges half-way between neighbouring centres; the outer cells are symmetric."""
    if len(centres) == 1:
        half = 0.5 * (abs(centres[0]) or 1.0)
        return np.array([centres[0] - half, centres[0] + half])
    middle = 0.5 * (centres[1:] + centres[:-1])
    return np.concatenate([[2 * centres[0] - middle[0]], middle, [2 * centres[-1] - middle[-1]]])


def _ends(centres: np.ndarray) -> tuple[float, float]:
    edges = _edges(centres)
    return min(edges[0], edges[-1]), max(edges[0], edges[-1])


def _range(arrays: Any) -> tuple[float, float]:
    """One colour scale for all panels; anything finite when nothing is known."""
    known = np.concatenate([np.ravel(values)[np.isfinite(np.ravel(values))] for values in arrays])
    return (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)


def _colours(ds: xr.Dataset, by: str | None) -> list[Any]:
    """Distinct colours for names and few values, an ordered scale for many numbers."""
    count = ds.sizes[by] if by else 1
    if by and ds[by].dtype.kind in "if" and count > 3:
        return [mpl.colormaps["viridis"](fraction) for fraction in np.linspace(0.0, 0.85, count)]
    return [COLOURS[number % len(COLOURS)] for number in range(count)]


def _text_axis(variable: xr.DataArray, shown: Sequence[str]) -> str | None:
    for dim in variable.dims:
        texts = dim in variable.coords and variable[dim].dtype.kind in "OUT"
        if dim not in shown and texts and variable.sizes[dim] > 1:
            return str(dim)
    return None


def _name(axis: xr.DataArray) -> str:
    symbol = axis.attrs.get("symbol")
    return f"${symbol}$" if symbol else axis.attrs.get("long_name", str(axis.name))


def _value_text(axis: xr.DataArray, *, bare: bool = False) -> str:
    """A coordinate's value for a title (``start: random``, ``T = 0.5``) or alone."""
    value = axis.item()
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    if bare:
        return text
    return f"{_name(axis)}: {text}" if isinstance(value, str) else f"{_name(axis)} = {text}"

"""Legends outside the axes, where they cover no data, and what marked points are called."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from physebm.plots.style import COLUMN, STYLE
from physebm.storage.points import verdicts_of
from physebm.storage.training import of_training

BAD, METASTABLE = "failed or still drifting", "stationary, but starts or chains disagree"
SUSPECT = "suspect: may not be in equilibrium"
CHAINS_OUT = "chains of the training out of equilibrium"
ESTIMATE_FAILED, ESTIMATE_SUSPECT = "estimate failed", "suspect estimate, or an approximation"
BAD_CROSS = {
    "linestyle": "",
    "marker": "x",
    "color": "#D55E00",
    "markersize": 3.2,
    "markeredgewidth": 0.8,
    "label": BAD,
}
METASTABLE_DOT = {
    "linestyle": "",
    "marker": ".",
    "color": "white",
    "markersize": 2.4,
    "markeredgecolor": "black",
    "markeredgewidth": 0.35,
    "label": METASTABLE,
}
SUSPECT_DASH = {
    "linestyle": "",
    "marker": "_",
    "color": "black",
    "markersize": 3.2,
    "markeredgewidth": 0.8,
    "label": SUSPECT,
}


def meanings(ds: xr.Dataset, name: str) -> tuple[str, str]:
    """What `bad_points` and `metastable_points` of a quantity are called."""
    if of_training(ds[name]):
        return CHAINS_OUT, METASTABLE
    if verdicts_of(ds, name) is not None:
        return ESTIMATE_FAILED, ESTIMATE_SUSPECT
    return BAD, METASTABLE


def legend(fig: Figure, *groups: Sequence[Artist]) -> None:
    """A legend above the axes, where it can cover no data; as many columns as fit the width.

    One group of handles is read down the columns; of several each has rows of its own.
    """
    groups = [list(handles) for handles in groups if handles]
    if not groups:
        return
    labels = [handle.get_label() for handles in groups for handle in handles]
    longest = max(len(re.sub(r"\\[a-z]+", "x", label)) for label in labels)
    fitting = max(1, int(0.95 * fig.get_figwidth() / (0.55 + 0.055 * longest)))
    across = max(-(-len(handles) // -(-len(handles) // fitting)) for handles in groups)
    ordered = groups[0]
    if len(groups) > 1:  # matplotlib fills column by column
        rows = []
        for handles in groups:
            handles += [Line2D([], [], linestyle="", label="") for _ in range(-len(handles) % across)]
            rows += [handles[start : start + across] for start in range(0, len(handles), across)]
        ordered = [handle for column in zip(*rows) for handle in column]
    fig.legend(
        handles=ordered,
        loc="outside upper center",
        ncols=across,
        columnspacing=1.2,
        handletextpad=0.5,
        handlelength=2.2,
    )


def mark(label: str, **look: Any) -> Line2D:
    """A marker alone, for a legend."""
    return Line2D([], [], linestyle="", label=label, **look)


def explain(fig: Figure, handles: Sequence[Artist]) -> None:
    """What marked points are, below the axes: in one line where the figure is wide enough."""
    if handles:
        fig.legend(
            handles=handles,
            loc="outside lower right",
            handletextpad=0.1,
            columnspacing=1.2,
            ncols=_columns(fig, handles) if fig.get_figwidth() > COLUMN else 1,
        )


def _columns(fig: Figure, handles: Sequence[Artist]) -> int:
    """The most columns, filled one after the other, that fit the width."""
    inches = [
        0.35 + 0.06 * max(map(len, str(handle.get_label()).splitlines()), default=0)
        for handle in handles
    ]
    for columns in range(len(handles), 1, -1):
        rows = -(-len(handles) // columns)
        widths = [max(inches[first : first + rows]) for first in range(0, len(handles), rows)]
        if sum(widths) <= 0.97 * fig.get_figwidth():
            return columns
    return 1


def value_bar(
    fig: Figure,
    axes: Sequence[Axes],
    colours: Sequence[Any],
    values: Sequence[Any],
    label: str,
    *,
    above: bool = False,
) -> None:
    """A colour bar for more lines than a legend can name: a colour per value, some of them named.

    The first and the last always are. The label stands at its side, or `above` it.
    """
    count = len(colours)
    norm = BoundaryNorm(np.arange(count + 1) - 0.5, max(count, 1))
    shown = np.unique(np.linspace(0, count - 1, min(count, 6)).round().astype(int))
    bar = fig.colorbar(ScalarMappable(norm, ListedColormap(colours)), ax=list(axes), pad=0.02)
    if above:
        bar.ax.set_title(label, fontsize=STYLE["legend.fontsize"])
    else:
        bar.set_label(label)
    bar.set_ticks(shown, labels=[f"{values[place]:.4g}" for place in shown])
    bar.ax.tick_params(length=0, which="both")

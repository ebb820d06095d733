"""The house style: widths, colours, markers, and figures that are never shown on a screen.

One column is 3.4 inches, two are 7. Colours (Okabe & Ito; viridis, cividis) and markers can be told
apart by colour-blind readers and in grey.
"""

from __future__ import annotations

import functools
import textwrap
from typing import Any

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.transforms import Affine2D

COLUMN, DOUBLE = 3.4, 7.0
LETTERS = 14
"""Letters of a title to an inch."""
PAD = 0.08
"""Between a legend and the axes below it, in inches."""
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
    "axes.formatter.useoffset": False,
    "figure.dpi": 100,
    "savefig.dpi": 300,
    "pdf.fonttype": 42,
}


def styled(draw):
    """Decorate a drawing function: it draws in the house style and leaves matplotlib's alone."""

    @functools.wraps(draw)
    def in_style(*args, **kwargs):
        with mpl.rc_context(STYLE):
            return draw(*args, **kwargs)

    return in_style


def new_figure(width: float, height: float, layout: str | None = "constrained") -> Figure:
    """An empty figure in inches, with a canvas of its own and no window."""
    fig = Figure(figsize=(width, height), layout=layout)
    FigureCanvasAgg(fig)
    return fig


def entitled(fig: Figure, title: str) -> Figure:
    """The figure with a title, above one that it has; long lines are broken.

    The figure grows by the title: axes and legends below it keep their places and sizes.
    """
    if not title:
        return fig
    across = int(LETTERS * fig.get_figwidth())
    lines = [part for line in title.splitlines() for part in textwrap.wrap(line, across)]
    held = fig.get_suptitle().splitlines()
    lines += held
    before = fig.get_figheight()
    height = before - _title_height(held) + _title_height(lines)
    below = 1.0 - _title_height(lines) / height
    engine = fig.get_layout_engine()
    # the layout makes room for a title, or for a legend, but not for both
    boxes = [(each, each.get_window_extent()) for each in fig.legends]
    upper = [(each, box) for each, box in boxes if box.y0 + box.y1 > fig.bbox.height]
    fig.set_figheight(height)
    if engine is None:
        shrunk = Affine2D().scale(1.0, before / height)
        for ax in fig.axes:
            ax.set_position(ax.get_position(original=True).transformed(shrunk))
    else:
        tallest = max((box.height / fig.dpi + PAD for _, box in upper), default=0.0)
        engine.set(rect=(0.0, 0.0, 1.0, below - tallest / height))
        for each, _ in upper:
            each.set_bbox_to_anchor((0.0, 0.0, 1.0, below), fig.transFigure)
    heading = fig.suptitle("\n".join(lines), fontsize=9, y=1.0 - 0.05 / height, va="top")
    heading.set_in_layout(False)
    return fig


def _title_height(lines: list[str]) -> float:
    return 0.05 + 0.15 * len(lines) if lines else 0.0


def panels_in_rows(
    count: int, height: float, most: int = 3, **shared: Any
) -> tuple[Figure, list[Axes]]:
    """A figure of `count` panels, at most `most` beside each other; each is `height` inches high.

    One panel is as wide as a column, several share two. `shared` goes to ``Figure.subplots``.
    """
    across = min(count, most)
    rows = -(-count // across)
    fig = new_figure(COLUMN if count == 1 else DOUBLE, rows * height)
    axes = list(fig.subplots(rows, across, squeeze=False, **shared).ravel())
    for ax in axes[count:]:
        ax.remove()
    return fig, axes[:count]


def colours_of(ds: xr.Dataset, by: str | None) -> list[Any]:
    """Distinct colours for names and few values, an ordered scale for many numbers."""
    count = ds.sizes[by] if by else 1
    if by and ds[by].dtype.kind in "if" and count > 3:
        return [mpl.colormaps["viridis"](fraction) for fraction in np.linspace(0.0, 0.85, count)]
    return [COLOURS[number % len(COLOURS)] for number in range(count)]

"""Many small pictures on one plane: cheaper and sharper than an axis for each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.textpath import TextPath

from physebm.plots.colour_scales import TALLEST_BAR, ColourScale, draw_bar
from physebm.plots.labels import wrapped
from physebm.plots.style import DOUBLE, STYLE, new_figure

_TITLE = 20
"""Letters of a line of a row's name."""
_MARGIN, _LINE, _BAR, _LARGEST, _CAPTION = 0.07, 0.18, 0.95, 1.2, 0.11
"""Inches: around all, of a line of text, of a colour bar with its numbers, of the largest picture, of
a caption."""


def columns_for(count: int, shape: tuple[int, int], aspect: float = 2.0) -> int:
    """Columns that make a grid about `aspect` times as wide as high, with few empty places."""
    wanted = np.sqrt(aspect * count * shape[0] / shape[1])
    return min(
        range(1, count + 1), key=lambda n: abs(np.log(n / wanted)) + (-count % n) / count, default=1
    )


def mosaic(pictures: np.ndarray, gap: int, row_gap: int | None = None) -> np.ndarray:
    """Pictures ``[row, column, y, x]`` on one plane, `gap` empty (NaN) pixels between neighbours.

    `row_gap` pixels between rows, where these are to be others.
    """
    rows, columns, height, width = pictures.shape
    below = gap if row_gap is None else row_gap
    plane = np.full((rows, height + below, columns, width + gap), np.nan)
    plane[:, :height, :, :width] = pictures.transpose(0, 2, 1, 3)
    plane = plane.reshape(rows * (height + below), columns * (width + gap))
    return plane[: plane.shape[0] - below, : plane.shape[1] - gap]


def on_plane(shape: Sequence[int] | None) -> bool:
    """Whether units of this shape make a picture: two axes, neither of length 1."""
    return shape is not None and len(shape) == 2 and 1 not in shape


def padded_grid(pictures: np.ndarray, columns: int) -> np.ndarray:
    """Pictures ``[picture, y, x]`` as ``[row, column, y, x]``; places left over are NaN."""
    rows = -(-len(pictures) // columns)
    grid = np.full((rows * columns, *pictures.shape[1:]), np.nan)
    grid[: len(pictures)] = pictures
    return grid.reshape(rows, columns, *pictures.shape[1:])


def mosaic_figure(
    pictures: np.ndarray,
    scale: ColourScale,
    row_titles: Sequence[str] = (),
    column_titles: Sequence[str] = (),
    *,
    captions: np.ndarray | None = None,
    label: str = "",
    below: str = "",
) -> Figure:
    """Pictures ``[row, column, y, x]``, each framed; those of NaN only are left empty.

    With a `label` a colour bar stands beside them; `below` is a line under them, `captions`
    ``[row, column]`` are small texts, one over each picture.
    """
    rows, columns, tall, wide = pictures.shape
    gap = max(1, round(min(tall, wide) / 10))
    across = columns * (wide + gap) - gap
    names = [wrapped(title, _TITLE) for title in row_titles]
    left = _MARGIN + max((_inches(name) + _MARGIN for name in names), default=0.0)
    right = _BAR if label else _MARGIN
    width = min(DOUBLE - left - right, columns * _LARGEST * max(1.0, wide / tall))
    needed = max((0.85 * _LINE * (1 + name.count("\n")) for name in names), default=0.0)
    row_gap = max(gap, int(np.ceil(needed * across / width)) - tall)  # room for the names of rows
    over = 0.0 if captions is None else _CAPTION
    row_gap = max(row_gap, int(np.ceil(over * across / width)))
    down = rows * (tall + row_gap) - row_gap
    height = width * down / across
    beyond = max(0.0, (needed - width * tall / across) / 2)
    lower = _MARGIN + beyond + _LINE * bool(below)
    upper = _MARGIN + max(beyond, over) + _LINE * bool(column_titles)
    high = max(height, 1.0) if label else height
    total = (left + width + right, lower + high + upper)
    # sizes are known: an automatic layout would not find them around pictures of a fixed aspect
    fig = new_figure(*total, layout=None)
    ax = fig.add_axes(_box(left, lower + (high - height) / 2, width, height, total))
    _draw(ax, pictures, scale, row_gap, gap)
    ax.tick_params(length=0, labeltop=True, labelbottom=False)
    if column_titles:
        ax.set_xticks(np.arange(columns) * (wide + gap) + (wide - 1) / 2, column_titles)
    for row, column in np.argwhere(np.isfinite(pictures).any(axis=(2, 3))) if over else ():
        place = (column * (wide + gap) + (wide - 1) / 2, row * (tall + row_gap) - 0.5)
        text = str(captions[row, column])
        ax.annotate(
            text, place, (0, 1), textcoords="offset points", fontsize=5.5, ha="center", va="bottom"
        )
    if names:
        ax.set_yticks(np.arange(rows) * (tall + row_gap) + (tall - 1) / 2, names)
    if below:
        ax.set_xlabel(below)
    if label:
        tallest = min(high, TALLEST_BAR)
        place = _box(left + width + 0.1, lower + (high - tallest) / 2, 0.12, tallest, total)
        draw_bar(fig, ax, scale, label, cax=fig.add_axes(place))
    return fig


def _draw(ax: Axes, pictures: np.ndarray, scale: ColourScale, row_gap: int, gap: int) -> None:
    """The plane of pictures without ticks, a frame around each."""
    plane = mosaic(pictures, gap, row_gap)
    ax.imshow(plane, cmap=scale.cmap, norm=scale.norm, interpolation="nearest")
    tall, wide = pictures.shape[2:]
    frames = [
        Rectangle((column * (wide + gap) - 0.5, row * (tall + row_gap) - 0.5), wide, tall)
        for row, column in np.argwhere(np.isfinite(pictures).any(axis=(2, 3)))
    ]
    look = {"facecolor": "none", "edgecolor": "0.5", "linewidth": 0.4, "clip_on": False}
    ax.add_collection(PatchCollection(frames, **look))
    ax.spines[:].set_visible(False)
    ax.set(xticks=[], yticks=[], xlim=(-0.5, plane.shape[1] - 0.5), ylim=(plane.shape[0] - 0.5, -0.5))


def _inches(text: str) -> float:
    """Width of a text as tick labels are written."""
    lines = text.split("\n")
    size = STYLE["font.size"]
    return max(TextPath((0, 0), line or " ", size=size).get_extents().width for line in lines) / 72


def _box(x: float, y: float, width: float, height: float, total: tuple[float, float]) -> list[float]:
    """Inches as parts of a figure."""
    return [x / total[0], y / total[1], width / total[0], height / total[1]]

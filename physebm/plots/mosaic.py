"""Many small pictures on one plane: cheaper and sharper than an axis for each."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.patches import Rectangle

from physebm.plots.colour_scales import ColourScale


def columns_for(count: int, shape: tuple[int, int], aspect: float = 2.0) -> int:
    """Columns that make a grid about `aspect` times as wide as high, with few empty places."""
    wanted = np.sqrt(aspect * count * shape[0] / shape[1])
    return min(
        range(1, count + 1), key=lambda n: abs(np.log(n / wanted)) + (-count % n) / count, default=1
    )


def mosaic(pictures: np.ndarray, gap: int) -> np.ndarray:
    """Pictures ``[row, column, y, x]`` on one plane with `gap` empty (NaN) pixels between them."""
    rows, columns, height, width = pictures.shape
    plane = np.full((rows, height + gap, columns, width + gap), np.nan)
    plane[:, :height, :, :width] = pictures.transpose(0, 2, 1, 3)
    plane = plane.reshape(rows * (height + gap), columns * (width + gap))
    return plane[: plane.shape[0] - gap, : plane.shape[1] - gap]


def on_plane(shape: Sequence[int] | None) -> bool:
    """Whether units of this shape make a picture: two axes, neither of length 1."""
    return shape is not None and len(shape) == 2 and 1 not in shape


def padded_grid(pictures: np.ndarray, columns: int) -> np.ndarray:
    """Pictures ``[picture, y, x]`` as ``[row, column, y, x]``; places left over are NaN."""
    rows = -(-len(pictures) // columns)
    grid = np.full((rows * columns, *pictures.shape[1:]), np.nan)
    grid[: len(pictures)] = pictures
    return grid.reshape(rows, columns, *pictures.shape[1:])


def figure_size(grid: tuple[int, int], shape: tuple[int, int], width: float) -> tuple[float, float]:
    """Width and height in inches of a mosaic that is `width` wide, or less for few large pictures."""
    rows, columns = grid
    side = min(width / columns, 1.2 * max(1.0, shape[1] / shape[0]))
    return side * columns, side * shape[0] / shape[1] * rows


def draw_mosaic(
    ax: Axes,
    pictures: np.ndarray,
    scale: ColourScale,
    row_titles: Sequence[str] = (),
    column_titles: Sequence[str] = (),
) -> None:
    """Draw pictures ``[row, column, y, x]``, each framed; those of NaN only are left empty."""
    rows, columns, height, width = pictures.shape
    gap = max(1, round(max(height, width) / 10))
    ax.imshow(mosaic(pictures, gap), cmap=scale.cmap, norm=scale.norm, interpolation="nearest")
    left, top = np.arange(columns) * (width + gap), np.arange(rows) * (height + gap)
    frames = [
        Rectangle((left[column] - 0.5, top[row] - 0.5), width, height)
        for row, column in np.argwhere(np.isfinite(pictures).any(axis=(2, 3)))
    ]
    ax.add_collection(PatchCollection(frames, facecolor="none", edgecolor="0.5", linewidth=0.4))
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0, labeltop=True, labelbottom=False)
    ax.set_xticks(left + (width - 1) / 2 if column_titles else [], column_titles or [])
    rows_named = [textwrap.fill(title, 20) for title in row_titles]
    ax.set_yticks(top + (height - 1) / 2 if row_titles else [], rows_named)
    edge = 0.5 + gap / 4
    ax.set(xlim=(-edge, columns * (width + gap) - gap - 1 + edge))
    ax.set(ylim=(rows * (height + gap) - gap - 1 + edge, -edge))

"""Configurations of chains or data: pictures where units lie on a plane, else a raster."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from physebm.plots.colour_scales import ColourScale, draw_bar, state_scale
from physebm.plots.mosaic import columns_for, mosaic_figure, on_plane, padded_grid
from physebm.plots.places import whole_ticks
from physebm.plots.style import COLUMN, DOUBLE, new_figure, styled


@styled
def samples(
    states: np.ndarray,
    shape: tuple[int, int] | None = None,
    *,
    prior: str = "bernoulli",
    row_titles: Sequence[str] = (),
    column_titles: Sequence[str] = (),
    units: str = "unit",
) -> Figure:
    """Configurations ``[sample, unit]``, or ``[row, sample, unit]`` for rows of their own.

    With `shape` (rows and columns of a picture, in C order of the units) a grid of pictures; without
    it, or where it is not of two axes, a raster: units across, samples down, one for each row.
    Colours follow `prior`, the kind of the units (`colour_scales.state_scale`). NaN leaves a place
    empty.

    Parameters
    ----------
    row_titles, column_titles
        Names of rows and of samples of a grid ``[row, sample, unit]``.
    units
        What the units of a raster are called ("site", "neuron").
    """
    states = np.asarray(states, dtype=np.float64)
    scale = state_scale(states, prior)
    if not on_plane(shape):
        return _raster(states.reshape(-1, *states.shape[-2:]), scale, row_titles, units)
    pictures = states.reshape(*states.shape[:-1], *shape)
    if states.ndim == 2:
        pictures = padded_grid(pictures, columns_for(len(states), shape))
    label = "" if prior in ("bernoulli", "ising") else "state $x_i$"
    return mosaic_figure(pictures, scale, row_titles, column_titles, label=label)


def _raster(rows: np.ndarray, scale: ColourScale, row_titles: Sequence[str], units: str) -> Figure:
    count, chains, width = rows.shape
    size = COLUMN if width <= 100 else DOUBLE
    each = float(np.clip(0.04 * chains, 0.8, 2.6))
    fig = new_figure(size, 0.5 + count * (each + 0.15 * bool(row_titles)))
    axes = fig.subplots(count, 1, sharex=True, squeeze=False)[:, 0]
    for ax, row, title in zip(axes, rows, row_titles or [""] * count):
        ax.imshow(
            row,
            cmap=scale.cmap,
            norm=scale.norm,
            aspect="auto",
            interpolation="nearest",
            extent=(0.5, width + 0.5, chains + 0.5, 0.5),
        )
        ax.set(ylabel="sample", title=title)
        whole_ticks(ax)
    axes[-1].set_xlabel(f"{units} $i$")
    draw_bar(fig, list(axes), scale, "state $x_i$")
    return fig

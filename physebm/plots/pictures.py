"""Configurations of units on a plane as pictures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from physebm.plots.style import DOUBLE, new_figure, styled


@styled
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
    fig = new_figure(side * cols + (0.6 if row_titles else 0.1), (side + 0.12) * rows + 0.15)
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

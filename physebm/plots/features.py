"""What hidden units look for: the columns of a weight array, as pictures or as one heat map."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from physebm.plots.colour_scales import ColourScale, diverging_scale, draw_bar
from physebm.plots.labels import wrapped
from physebm.plots.mosaic import columns_for, mosaic_figure, on_plane, padded_grid
from physebm.plots.places import whole_ticks
from physebm.plots.style import DOUBLE, panels_in_rows, styled

IN_A_ROW = 12
"""Columns of each array where several are shown under each other."""


@styled
def features(
    weights: np.ndarray | Sequence[np.ndarray],
    shape: tuple[int, int] | None = None,
    *,
    count: int | None = None,
    titles: Sequence[str] = (),
    symbol: str = "W_{ik}",
    visible: str = "visible unit $i$",
    hidden: str = "hidden unit $k$",
) -> Figure:
    r"""Columns of ``W [visible, hidden]`` or ``W [visible, state, hidden]``, largest norm first.

    With `shape` a picture per column; columns with states are pictures of states against sites.
    Without either a heat map of all of them. One diverging scale for all, white at zero. Units have the
    numbers that they have in the array, from 0.

    Parameters
    ----------
    weights
        One array, or a list of several: a row of pictures, or a panel, for each.
    shape
        Rows and columns of a picture, in C order of the visible units.
    count
        Number of columns shown of each array; None shows all, of several arrays `IN_A_ROW`.
    titles
        What the arrays of a list are called.
    symbol
        An entry of the array, as mathtext, for the colour bar.
    visible, hidden
        What rows and columns of the array are called, with their indices in `symbol`.
    """
    several = not (isinstance(weights, np.ndarray) and weights.ndim > 1)
    given = [np.asarray(W, dtype=np.float64) for W in (weights if several else [weights])]
    pictured = given[0].ndim == 3 or on_plane(shape)
    if count is None and len(given) > 1 and pictured:
        count = IN_A_ROW
    orders = [_by_norm(W)[:count] for W in given]
    sorted_ = [W[..., order] for W, order in zip(given, orders)]
    scale = diverging_scale(np.concatenate([W.ravel() for W in sorted_]))
    label = f"weight ${symbol}$"
    if not pictured:
        return _heat_maps(sorted_, orders, scale, titles, label, (visible, hidden))
    rows = [_pictures(W, shape) for W in sorted_]
    size = rows[0].shape[1:]
    if len(rows) == 1:
        grid = padded_grid(rows[0], columns_for(len(rows[0]), size))
    else:
        grid = np.stack([padded_grid(row, max(map(len, rows)))[0] for row in rows])
    numbers = np.full(grid.shape[:2], "", dtype=object)
    if len(rows) == 1:
        numbers.ravel()[: len(orders[0])] = orders[0]
    else:
        for row, order in zip(numbers, orders):
            row[: len(order)] = order
    below = f"over each: the {hidden}, by norm"
    below += "; in each: sites across, states down" if given[0].ndim == 3 else ""
    return mosaic_figure(grid, scale, titles, captions=numbers, label=label, below=below)


def _by_norm(W: np.ndarray) -> np.ndarray:
    return np.argsort(-np.linalg.norm(W.reshape(-1, W.shape[-1]), axis=0), kind="stable")


def _pictures(W: np.ndarray, shape: tuple[int, int] | None) -> np.ndarray:
    """Columns as pictures ``[column, y, x]``; with states ``[column, state, site]``."""
    return W.T if W.ndim == 3 else W.T.reshape(-1, *shape)


def _heat_maps(
    weights: Sequence[np.ndarray],
    orders: Sequence[np.ndarray],
    scale: ColourScale,
    titles: Sequence[str],
    label: str,
    sides: tuple[str, str],
) -> Figure:
    most = max(W.shape[1] for W in weights)
    fig, axes = panels_in_rows(len(weights), 2.7)
    if most > 100:
        fig.set_figwidth(DOUBLE)
    for ax, W, order, title in zip(axes, weights, orders, titles or [""] * len(weights)):
        edges = (-0.5, W.shape[1] - 0.5, len(W) - 0.5, -0.5)
        look = {"aspect": "auto", "interpolation": "nearest", "extent": edges}
        ax.imshow(W, cmap=scale.cmap, norm=scale.norm, **look)
        ax.set(xlabel=f"{sides[1]}, by norm", ylabel=sides[0])
        ax.set_title(wrapped(title, 26))
        whole_ticks(ax)
        shown = np.unique(np.linspace(0, len(order) - 1, min(len(order), 8)).round().astype(int))
        ax.set_xticks(shown, [str(order[place]) for place in shown])
        if not ax.get_subplotspec().is_first_col():
            ax.set_ylabel("")
    draw_bar(fig, axes, scale, label)
    return fig

"""Moments of a model against those of data, point by point."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from physebm.plots.style import COLOURS, COLUMN, DOUBLE, new_figure, styled

TITLES = (
    "means $\\langle x_i \\rangle$",
    "covariances $C_{ij}$",
    "third moments $T_{ijk}$",
)
DENSE = 3000
"""Points beyond which their density is drawn instead: they would cover each other."""


@styled
def moment_scatter(
    data: Sequence[np.ndarray],
    model: Sequence[np.ndarray],
    *,
    titles: Sequence[str] = TITLES,
    errors: Sequence[np.ndarray | float | None] = (),
) -> Figure:
    """Moments of the model over those of the data, a panel per order, with the diagonal.

    Each panel says Pearson's r and the root mean square difference. More than `DENSE` points are
    drawn as their number per hexagon.

    Parameters
    ----------
    data, model
        First, second and third (central) moments, any shape, or the first few of them; `nan` is left
        out.
    titles
        What the moments of each order are.
    errors
        Standard error of each difference, drawn as bars where points are; None where unknown.

    Raises
    ------
    ValueError
        When moments of data and model differ in shape.
    """
    pairs = [(np.asarray(a, float), np.asarray(b, float)) for a, b in zip(data, model, strict=True)]
    for a, b in pairs:
        if a.shape != b.shape:
            raise ValueError(f"moments of data of shape {a.shape} and of the model of {b.shape}")
    fig = new_figure(COLUMN if len(pairs) == 1 else DOUBLE, 2.7)
    axes = fig.subplots(1, len(pairs), squeeze=False)[0]
    for number, (ax, (a, b)) in enumerate(zip(axes, pairs)):
        error = errors[number] if number < len(errors) else None
        known = np.isfinite(a) & np.isfinite(b)
        x, y = a[known], b[known]
        bars = None if error is None else np.broadcast_to(error, a.shape)[known]
        _draw(fig, ax, x, y, bars)
        ax.set(xlabel="data", title=titles[number])
        ax.set_box_aspect(1)
    axes[0].set_ylabel("model")
    return fig


def _draw(fig: Figure, ax, x: np.ndarray, y: np.ndarray, bars: np.ndarray | None) -> None:
    low, high = (float(f(np.concatenate([x, y]))) for f in (np.min, np.max)) if x.size else (0.0, 1.0)
    pad = 0.05 * (high - low) or 1.0
    low, high = low - pad, high + pad
    if len(x) > DENSE:
        bins = {"gridsize": 60, "extent": (low, high, low, high), "mincnt": 1}
        drawn = ax.hexbin(x, y, norm=LogNorm(), linewidths=0.1, **bins)
        bar = fig.colorbar(drawn, cax=ax.inset_axes([0.56, 0.12, 0.38, 0.04]), orientation="horizontal")
        bar.set_label("per hexagon", fontsize=7, labelpad=1)
        bar.ax.xaxis.set_label_position("top")
        bar.ax.tick_params(labelsize=6, which="both", length=0)
    else:
        look = {"color": COLOURS[0], "markersize": 2, "elinewidth": 0.4, "capsize": 0, "alpha": 0.6}
        ax.errorbar(x, y, bars, fmt=".", rasterized=True, **look)
    ax.plot([low, high], [low, high], color="black", linewidth=0.7, zorder=1.5)
    ax.set(xlim=(low, high), ylim=(low, high))
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(nbins=4, steps=[1, 2, 5, 10]))
    ax.ticklabel_format(scilimits=(-2, 3), useMathText=True)
    ax.text(0.04, 0.96, _words(x, y), transform=ax.transAxes, va="top", fontsize=7.5)


def _words(x: np.ndarray, y: np.ndarray) -> str:
    """Pearson's r, and the root mean square difference; of constant moments r is 0/0 and not said."""
    lines = []
    if len(x) > 1 and np.ptp(x) > 0 and np.ptp(y) > 0:
        lines.append(f"$r$ = {np.corrcoef(x, y)[0, 1]:.4f}")
    if len(x):
        lines.append(f"rms {np.sqrt(np.mean((x - y) ** 2)):.2g}")
    return "\n".join(lines)

"""Couplings within a group as a map: who interacts with whom."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from physebm.plots.colour_scales import diverging_scale, draw_bar, sequential_scale
from physebm.plots.labels import wrapped
from physebm.plots.places import whole_ticks
from physebm.plots.style import panels_in_rows, styled


@styled
def couplings(
    J: np.ndarray | Sequence[np.ndarray],
    reference: np.ndarray | Sequence[np.ndarray] | None = None,
    *,
    titles: Sequence[str] = (),
    symbol: str = "J",
    units: str = "unit",
) -> Figure:
    """A square array ``J [i, j]`` of numbers, or ``J [i, j, state, state]`` of Potts couplings.

    Numbers are drawn on a diverging scale, white at zero; of state couplings the Frobenius norm
    ``sqrt(sum_ab J_ij(a, b)^2)`` from zero upwards (in the gauge that J is in; the zero-sum gauge
    makes it least). The diagonal is grey: it is no coupling.

    Parameters
    ----------
    J
        One array, or a list of several: a panel for each, on one scale.
    reference
        The same of a known model, or a matrix of contacts: it takes the upper triangle, J the lower
        one. Of a list one for each.
    titles
        What the arrays of a list are called.
    symbol
        The array, as mathtext, for the colour bar.
    units
        What the units are called ("site", "neuron").
    """
    several = isinstance(J, list | tuple)
    given = [np.asarray(one) for one in (J if several else [J])]
    known = [reference] * len(given) if not several or reference is None else list(reference)
    maps = [_map(one, other) for one, other in zip(given, known, strict=True)]
    states = given[0].ndim == 4
    values = np.concatenate([each[np.isfinite(each)] for each in maps])
    # All values within the scale: of a sparse graph the few large couplings are the point.
    scale = sequential_scale(values, within=100.0) if states else diverging_scale(values, within=100.0)
    # two maps fill the width at this height; what is left over stands outside, not between them
    fig, axes = panels_in_rows(len(maps), {1: 2.8, 2: 3.0}.get(len(maps), 2.3))
    fig.set_layout_engine("compressed")
    for ax, each, title in zip(axes, maps, titles or [""] * len(maps)):
        ax.set_facecolor("0.8")
        edges = (0.5, len(each) + 0.5, len(each) + 0.5, 0.5)
        ax.imshow(each, cmap=scale.cmap, norm=scale.norm, interpolation="nearest", extent=edges)
        ax.set(xlabel=f"{units} $j$", ylabel=f"{units} $i$", title=wrapped(title, 26))
        ax.label_outer()
        whole_ticks(ax)
    if reference is not None:
        fig.supxlabel("upper triangle: reference, lower: inferred", fontsize=7.5)
    label = (
        f"norm of the coupling $\\| {symbol}_{{ij}} \\|$" if states else f"coupling ${symbol}_{{ij}}$"
    )
    draw_bar(fig, axes, scale, label)
    return fig


def _map(J: np.ndarray, reference: np.ndarray | None) -> np.ndarray:
    """What is drawn of one array: numbers, NaN on the diagonal."""
    drawn = _numbers(J)
    if reference is not None:
        upper = np.triu_indices(len(drawn), 1)
        drawn[upper] = _numbers(reference)[upper]
    np.fill_diagonal(drawn, np.nan)
    return drawn


def _numbers(J: np.ndarray) -> np.ndarray:
    J = np.array(J, dtype=np.float64)
    return np.sqrt((J * J).sum(axis=(2, 3))) if J.ndim == 4 else J

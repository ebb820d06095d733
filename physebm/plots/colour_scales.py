"""Colours of states and couplings: a scale says by itself where zero, off and largest are.

Diverging scales (blue, white, red) are symmetric about zero, so white is zero. `within` is the
percentage of values that a scale must hold: few outliers do not wash out the rest, the colour bar says
that they are there.
"""

from __future__ import annotations

from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import BoundaryNorm, Colormap, ListedColormap, Normalize
from matplotlib.figure import Figure

from physebm.plots.style import COLOURS

DIVERGING = "RdBu_r"
MOST = 99.5
TALLEST_BAR = 2.4


@dataclass(frozen=True)
class ColourScale:
    """Colour map and normalisation; `extend` says on which sides values lie beyond."""

    cmap: Colormap
    norm: Normalize
    extend: str = "neither"
    ticks: tuple[float, ...] | None = None


def draw_bar(
    fig: Figure,
    axes: Axes | list[Axes],
    scale: ColourScale,
    label: str,
    *,
    shrink: float | None = None,
    cax: Axes | None = None,
) -> None:
    """The colour bar of a scale, beside its axes or in an axis of its own `cax`.

    It is `shrink` of its axes high, or no higher than a figure of one column.
    """
    place = {"cax": cax}
    if cax is None:
        shrink = shrink or min(1.0, TALLEST_BAR / fig.get_figheight())
        place = {"ax": axes, "pad": 0.02, "shrink": shrink}
    fig.colorbar(
        ScalarMappable(scale.norm, scale.cmap),
        label=label,
        extend=scale.extend,
        extendfrac=0.04,
        ticks=scale.ticks,
        **place,
    )


def diverging_scale(values: np.ndarray, within: float = MOST) -> ColourScale:
    """Blue below zero, white at zero, red above; symmetric."""
    size = np.abs(values[np.isfinite(values)])
    limit, most = _limit(size, within), float(size.max(initial=0.0))
    norm = Normalize(-limit, limit)
    return ColourScale(mpl.colormaps[DIVERGING], norm, "both" if most > limit else "neither")


def sequential_scale(values: np.ndarray, cmap: str = "viridis", within: float = MOST) -> ColourScale:
    """From zero, or from the least value where that is negative, upwards."""
    known = values[np.isfinite(values)]
    limit, most = _limit(np.maximum(known, 0.0), within), float(known.max(initial=0.0))
    norm = Normalize(min(0.0, float(known.min(initial=0.0))), limit)
    return ColourScale(mpl.colormaps[cmap], norm, "max" if most > limit else "neither")


def state_scale(states: np.ndarray, prior: str) -> ColourScale:
    """The scale of configurations by the prior of their units.

    bernoulli: 0 white to 1 black (probabilities are grey between). ising: -1 blue, +1 red. potts: a
    colour per state. gaussian: diverging. truncated_gaussian: from white upwards.
    """
    match prior:
        case "bernoulli":
            return ColourScale(mpl.colormaps["Greys"], Normalize(0, 1), ticks=(0, 1))
        case "ising":
            # without its dark ends: whole pictures of them are heavy
            pale = ListedColormap(mpl.colormaps[DIVERGING](np.linspace(0.15, 0.85, 256)))
            return ColourScale(pale, Normalize(-1, 1), ticks=(-1, 1))
        case "potts":
            return _state_colours(int(np.nanmax(states)) + 1)
        case "truncated_gaussian":
            return sequential_scale(states, "Greys")
        case _:
            return diverging_scale(states)


def _state_colours(count: int) -> ColourScale:
    """One colour per state: seven that anyone can tell apart, twenty more where more are needed."""
    colours = list(COLOURS) if count <= len(COLOURS) else ["#FFFFFF", *mpl.colormaps["tab20"].colors]
    colours = [colours[state % len(colours)] for state in range(count)]
    step = -(-count // 11)
    norm = BoundaryNorm(np.arange(count + 1) - 0.5, max(count, 1))
    return ColourScale(ListedColormap(colours), norm, ticks=tuple(range(0, count, step)))


def _limit(size: np.ndarray, percentage: float) -> float:
    """Where a scale of these sizes ends: at their largest, unless a few stand far out."""
    if not size.size:
        return 1.0
    most, within = float(size.max()), float(np.percentile(size, percentage))
    limit = within if 0.0 < within < 0.8 * most else most
    return limit or 1.0

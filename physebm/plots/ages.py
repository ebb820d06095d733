"""Training age as an axis: logarithmic where ages were chosen so, age 0 a step before the first."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import SymmetricalLogLocator

from physebm.plots.places import edges, name_ticks

ZERO_STEP = 0.5
"""Decades of the axis between age 0 and the first age."""


def log_spaced(ages: np.ndarray) -> bool:
    """Whether ages grow by factors: their median is nearer the geometric than the arithmetic middle.

    False for fewer than three positive ages, and for those within one decade.
    """
    known = ages[ages > 0]
    if len(known) < 3 or known.max() < 10 * known.min():
        return False
    geometric, arithmetic = np.sqrt(known.min() * known.max()), (known.min() + known.max()) / 2
    return bool(np.median(known) < np.sqrt(geometric * arithmetic))


def set_age_axis(ax: Axes, ages: np.ndarray) -> None:
    """Make the horizontal axis one of ages, logarithmic where they are.

    Age 0 has no place on a logarithmic axis: up to the first age it is linear.
    """
    positive = ages[ages > 0]
    if not log_spaced(ages):
        name_ticks(ax.xaxis, ages, None)
    elif positive.size == ages.size:
        ax.set_xscale("log")
    else:
        first = positive.min()
        ax.set_xscale("symlog", linthresh=first, linscale=ZERO_STEP)
        minor = SymmetricalLogLocator(ax.xaxis.get_transform(), subs=np.arange(2, 10))
        minor.set_params(numticks=200)
        ax.xaxis.set_minor_locator(minor)
    ax.margins(x=0.03)


def age_edges(ax: Axes, ages: np.ndarray) -> np.ndarray:
    """Edges of cells around ages, half-way between neighbours on the scale of the axis."""
    scale = ax.xaxis.get_transform()
    return scale.inverted().transform(edges(scale.transform(ages)))

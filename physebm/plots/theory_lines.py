"""Theory over data: lines ``(label, xs, ys)`` or ``(label, f)`` with a callable ``f(xs) -> ys``.

So a figure knows no theory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.patheffects import Normal, Stroke

from physebm.plots.style import DASHES

TheoryLines = Sequence[tuple] | Mapping[Any, tuple]


def outlined(number: int) -> dict[str, Any]:
    """A line that can be seen on dark and on light colours: black edge, white core."""
    return {
        "color": "white",
        "linestyle": DASHES[number % len(DASHES)],
        "linewidth": 1.3,
        "path_effects": [Stroke(linewidth=2.6, foreground="black"), Normal()],
    }


def ready_lines(lines: Sequence[tuple], xs: np.ndarray) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """Lines as arrays: callables are evaluated between the first and the last point."""
    ready = []
    for label, *rest in lines:
        curve = rest[-1]
        given = rest[0] if len(rest) == 2 else np.linspace(np.min(xs), np.max(xs), 400)
        values = curve(np.asarray(given)) if callable(curve) else curve
        ready.append((label, np.asarray(given, dtype=float), np.asarray(values, dtype=float)))
    return ready

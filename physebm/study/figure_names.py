"""File names of figures: after what they show, and where several show the same, after what differs."""

from __future__ import annotations

from collections.abc import Sequence

from physebm.schema.plot_declarations import PlotDeclaration

_WORDS = {"x": "over", "y": "over", "by": "by", "panel": "panels"}


def figure_names(plots: Sequence[PlotDeclaration]) -> list[str]:
    """A name for every figure.

    The first of a subject is called after it alone. A further one adds the first key in which it
    differs from that: ``energy``, then ``energy_over_L``, ``energy_by_h``, ``energy_panels_start``.
    Figures that differ in nothing of this are numbered.
    """
    first: dict[str, PlotDeclaration] = {}
    names: list[str] = []
    for plot in plots:
        before = first.setdefault(plot.subject, plot)
        name = plot.subject if before is plot else f"{plot.subject}{_difference(plot, before)}"
        number, whole = 1, name
        while whole in names:
            number += 1
            whole = f"{name}_{number}"
        names.append(whole)
    return names


def _difference(plot: PlotDeclaration, before: PlotDeclaration) -> str:
    if plot.kind != before.kind:
        return f"_{plot.kind}"
    for key, word in _WORDS.items():
        held = getattr(plot, key)
        if held is not None and held != getattr(before, key):
            return f"_{word}_{held}"
    return "_log" if plot.log and not before.log else ""

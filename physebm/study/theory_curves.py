"""The theory curves that a study's [plot] tables may name, evaluated at the study's own parameters.

    ags          Hopfield model, replica symmetric, N to infinity at the realised load P/N: the branch
                 of retrieval, also where it is metastable
    ags-equilibrium  the same, the branch with the lower free energy
    kaufman      Ising model on the L x L torus, exact at every L
    onsager      Ising model on the infinite square lattice
    curie-weiss  Curie-Weiss model, exact at every N
    sk-rs        Sherrington-Kirkpatrick, replica symmetric, N to infinity; only where that is stable
    parisi       Sherrington-Kirkpatrick without field, N to infinity, four steps of symmetry breaking
    exact        any small or narrow model without disorder, summed over its states

Every one is a row of `THEORIES`: the observables it knows, their values over temperature for one set
of parameters, and (ags) the lines that it draws in a phase diagram. A quantity is NaN where the
theory does not hold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from physebm.errors import StudyFileError
from physebm.schema.load import Loaded
from physebm.schema.study_declarations import PlotDeclaration, StudyDeclaration
from physebm.study import exact_curves, hopfield_curves, spin_curves
from physebm.study.hopfield_curves import Line

Values = Callable[[Loaded, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Theory:
    """One named theory.

    Attributes
    ----------
    label
        What a legend calls it.
    values
        Observable -> function ``(model, temperatures) -> values``.
    applies
        The reason why the theory says nothing about a model, or None.
    temperatures
        ``(model, low, high) -> temperatures`` at which a smooth line is evaluated.
    boundaries
        ``loads -> [(label, loads, temperatures)]``, the lines of a phase diagram, or None.
    """

    label: str
    values: Mapping[str, Values]
    applies: Callable[[Loaded], str | None]
    temperatures: Callable[[Loaded, float, float], np.ndarray]
    boundaries: Callable[[float], list[Line]] | None = None


def theory(name: str, where: str) -> Theory:
    """The theory of that name; an unknown one is refused with the list of those there are."""
    if name not in THEORIES:
        raise StudyFileError(f"{where}.theory", got=name, expected=list(THEORIES))
    return THEORIES[name]


def check_theories(study: StudyDeclaration) -> None:
    """Raise where a [plot] table names a theory that does not exist, or not for this figure."""
    for where, plot in addresses(study):
        check_theory(plot, where)


def check_theory(plot: PlotDeclaration, where: str) -> None:
    """The same for one table."""
    for name in plot.theory:
        known = theory(name, where)
        if plot.kind == "curve" and plot.y not in known.values:
            hint = f"`{name}` has curves for these"
            raise StudyFileError(f"{where}.y", got=plot.y, expected=list(known.values), hint=hint)
        if plot.kind == "phase_diagram" and known.boundaries is None:
            legal = [each for each, held in THEORIES.items() if held.boundaries]
            hint = "these have lines for a phase diagram"
            raise StudyFileError(f"{where}.theory", got=name, expected=legal, hint=hint)
        if plot.kind == "histogram":
            raise StudyFileError(f"{where}.theory", got=name, hint="no theory draws histograms")


def check_applies(name: str, plot: PlotDeclaration, model: Loaded, where: str) -> None:
    """Raise where a theory says nothing about a model, with those that do about this figure of it."""
    reason = THEORIES[name].applies(model)
    if reason is None:
        return
    legal = [
        each
        for each, held in THEORIES.items()
        if (held.boundaries if plot.kind == "phase_diagram" else plot.y in held.values)
        and held.applies(model) is None
    ]
    if not legal:
        reason += "; leave `theory` out: none speaks of this figure"
    raise StudyFileError(f"{where}.theory", got=name, expected=legal, hint=reason)


def addresses(study: StudyDeclaration) -> list[tuple[str, PlotDeclaration]]:
    """The [plot] tables with their addresses for messages, ``FILE: plot.KIND[number]``."""
    seen: dict[str, int] = {}
    found = []
    for plot in study.plots:
        number = seen[plot.kind] = seen.get(plot.kind, -1) + 1
        place = f"[{number}]" if number else ""
        found.append((f"{study.where}: plot.{plot.kind}{place}", plot))
    return found


def _even(loaded: Loaded, low: float, high: float) -> np.ndarray:
    return np.linspace(low, high, 300)


THEORIES: dict[str, Theory] = {
    "ags": Theory(
        "AGS, retrieval",
        hopfield_curves.RETRIEVAL,
        hopfield_curves.with_patterns,
        hopfield_curves.up_to_spinodal,
        hopfield_curves.phase_lines,
    ),
    "ags-equilibrium": Theory(
        "AGS, equilibrium", hopfield_curves.EQUILIBRIUM, hopfield_curves.without_diagonal, _even
    ),
    "kaufman": Theory("Kaufman (exact)", spin_curves.KAUFMAN, spin_curves.on_the_square_lattice, _even),
    "onsager": Theory("Onsager", spin_curves.ONSAGER, spin_curves.on_the_square_lattice, _even),
    "curie-weiss": Theory("exact", spin_curves.CURIE_WEISS, spin_curves.all_coupled, _even),
    "sk-rs": Theory("replica symmetric, where stable", spin_curves.SK_RS, spin_curves.glass, _even),
    "parisi": Theory("Parisi", spin_curves.PARISI, spin_curves.glass_without_field, _even),
    "exact": Theory("exact sum", exact_curves.VALUES, exact_curves.summable, exact_curves.places),
}

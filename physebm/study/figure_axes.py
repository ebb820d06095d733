"""[plot] tables of another study file against the axes that a result has."""

from __future__ import annotations

from physebm.errors import StudyFileError
from physebm.schema.plot_declarations import ESTIMATOR, REWEIGHTED, PlotDeclaration
from physebm.schema.study_declarations import StudyDeclaration


def check_axes(plot: PlotDeclaration, study: StudyDeclaration, where: str) -> None:
    """Raise where a figure shows an axis that the `study` of the result does not have.

    Raises
    ------
    StudyFileError
        with the axes that the result has.
    """
    scanned = [axis.name for axis in study.scan]
    legal = scanned + [ESTIMATOR, REWEIGHTED] * (study.free_energy is not None)
    for key in ("x", "y", "by", "panel"):
        name = getattr(plot, key)
        if key != plot.observed and name is not None and name not in legal:
            hint = f"this result has no axis {name}; its axes are " + (", ".join(scanned) or "none")
            raise StudyFileError(f"{where}.{key}", got=name, expected=legal, hint=hint)

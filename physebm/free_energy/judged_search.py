"""From a search for fixed points to an estimate: the value, its energy and entropy, and a verdict.

`trusted` only where the method is exact for the model (which each method knows); `suspect` otherwise:
there is a number, maybe with a bound of known direction, but nothing in the method tells how far off it
is; `failed` without a stable, converged fixed point with a finite log Z, and where that is beyond what
discrete units can have (`limits`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from physebm.free_energy.estimate import Estimate, Finding, Verdict, judged
from physebm.free_energy.fixed_points import Search
from physebm.free_energy.limits import entropy_findings
from physebm.model.energy import energy_derivatives
from physebm.model.hamiltonian import Hamiltonian
from physebm.model.params import Coefficients


@dataclass(frozen=True)
class StationaryEstimate(Estimate):
    """An estimate by a stationary functional, which knows its energies too.

    Attributes
    ----------
    energy
        ``<du/dbeta>``, total, at the fixed point whose log Z is the estimate; NaN without one. The
        entropy is ``log Z + beta <du/dbeta>``.
    fixed_point_energy, fixed_point_entropy
        Both totals at every fixed point, ``[fixed point]``, in the order of the diagnostics.
    """

    energy: float = float("nan")
    fixed_point_energy: np.ndarray = field(default_factory=lambda: np.zeros(0))
    fixed_point_entropy: np.ndarray = field(default_factory=lambda: np.zeros(0))


def estimate(
    method: str,
    found: Search,
    hamiltonian: Hamiltonian,
    row: Coefficients,
    *,
    exact: bool,
    lower_bound: bool,
    findings: Iterable[Finding] = (),
    more: Mapping[str, object] | None = None,
) -> StationaryEstimate:
    """The estimate of a search.

    Diagnostics: what every fixed point is, ``[fixed point]``, the largest log Z first.

    Parameters
    ----------
    hamiltonian, row
        The model that was searched, and its coefficients: one row.
    exact
        Whether the method is exact for this model.
    lower_bound
        Whether every value of the functional is a lower bound on log Z.
    findings, more
        Further findings and diagnostics of the method.
    """
    table = _table(found) | dict(more or {})
    findings, best = list(findings), found.best
    energy = _energies(found, hamiltonian, row)
    chosen = next((k for k, point in enumerate(found.points) if point is best), 0)
    if best is not None:
        value = best.log_z
        if not exact:
            findings.append(Finding(Verdict.SUSPECT, f"{method}: an approximation without an error"))
        if found.unconverged and not exact:
            text = f"{found.unconverged} starts did not converge: there may be other fixed points"
            findings.append(Finding(Verdict.SUSPECT, text))
        if np.isnan(best.smallest_eigenvalue) and not exact:
            findings.append(Finding(Verdict.SUSPECT, "the stability of the fixed point is not known"))
    elif found.points:
        value = found.points[0].log_z
        lowest = found.points[0].smallest_eigenvalue
        text = f"no fixed point is stable (smallest eigenvalue of the Hessian {lowest:.3g})"
        findings.append(Finding(Verdict.FAILED, text))
    else:
        # a bound holds everywhere; of other functionals the value on the way means nothing
        value = found.best_unconverged if lower_bound else float("nan")
        text = f"none of {found.unconverged} starts converged (smallest residual {found.residual:.3g})"
        findings.append(Finding(Verdict.FAILED, text))
    if found.points:
        findings += entropy_findings(value, float(row.beta[0] * energy[chosen]), hamiltonian)
    verdict, reason = judged(findings)
    log_z = np.array([point.log_z for point in found.points])
    trusted = exact and verdict is Verdict.TRUSTED
    return StationaryEstimate(
        method,
        value,
        stderr=0.0 if trusted else float("nan"),
        low=value if trusted or lower_bound else float("nan"),
        high=value if trusted else float("nan"),
        verdict=verdict,
        reason=reason,
        diagnostics=table,
        energy=float(energy[chosen]) if found.points else float("nan"),
        fixed_point_energy=energy,
        fixed_point_entropy=log_z + row.beta[0] * energy,
    )


def _energies(found: Search, hamiltonian: Hamiltonian, row: Coefficients) -> np.ndarray:
    """``<du/dbeta> [fixed point]``, the priors that depend on temperature included."""
    points = found.points
    E_lt = np.array([point.term_energies for point in points]).reshape(
        len(points), len(hamiltonian.terms)
    )
    return energy_derivatives(hamiltonian, row, E_lt, np.zeros(len(points), dtype=int))[0]


def _table(found: Search) -> dict[str, object]:
    """All fixed points side by side, ``[fixed point]``, the largest log Z first."""
    points = found.points
    return {
        "fixed_point_log_z": np.array([point.log_z for point in points]),
        "fixed_point_norm": np.array([point.norm for point in points]),
        "smallest_eigenvalue": np.array([point.smallest_eigenvalue for point in points]),
        "iterations": np.array([point.iterations for point in points], dtype=int),
        "residual": np.array([point.residual for point in points]),
        "starts": np.array([point.starts for point in points], dtype=int),
        "unconverged_starts": found.unconverged,
    }

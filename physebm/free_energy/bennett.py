"""Bennett's acceptance ratio: log Z between neighbouring rows from the draws of both.

    <1/(1 + exp(w_F + d))>_0 = <1/(1 + exp(w_R - d))>_1,  d = log Z_1/Z_0,

for equally many draws of two rows, with the works w_F, w_R of `estimators`
(C. H. Bennett, J. Comput. Phys. 22, 245 (1976)). Solved by pymbar, whose errors are those of
independent draws; the influences here are what `estimators.influence_error` makes an error of for draws
that are not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from physebm.free_energy.estimators import Rows, influence_error
from physebm.free_energy.pymbar_solver import TOLERANCE, quiet_pymbar
from physebm.observables.reweighting import log_mean_exp


@dataclass(frozen=True)
class Difference:
    """``log Z_1 - log Z_0`` of two rows, its error, and their overlap (see `pair_overlap`)."""

    log_z: float
    stderr: float
    overlap: float


def bar(w_F: np.ndarray, w_R: np.ndarray, inefficiency: float = 1.0) -> Difference:
    """Bennett's acceptance ratio of one pair of rows, from works ``[draw]``.

    Parameters
    ----------
    inefficiency
        ``2 tau`` of the draws: the error grows by its root.

    Returns
    -------
    Difference
        with value and error NaN where the works of the two sides do not bracket a solution.
    """
    w_F, w_R = np.asarray(w_F, dtype=np.float64), np.asarray(w_R, dtype=np.float64)
    forward, backward = log_mean_exp(-w_F), -log_mean_exp(-w_R)
    if abs(forward - backward) <= TOLERANCE * (1.0 + abs(forward)):
        log_z, stderr = float(forward), 0.0
        if np.ptp(w_F) > TOLERANCE or np.ptp(w_R) > TOLERANCE:
            stderr = _bennett_error(w_F, w_R, log_z)
    else:
        with quiet_pymbar() as pymbar:
            try:
                found = pymbar.bar(w_F, w_R, relative_tolerance=TOLERANCE, maximum_iterations=1000)
            except (
                ArithmeticError,
                pymbar.utils.BoundsError,
                pymbar.utils.ConvergenceError,
                pymbar.utils.ParameterError,
            ):
                return Difference(np.nan, np.nan, 0.0)
        log_z, stderr = -float(found["Delta_f"]), float(found["dDelta_f"])
    return Difference(log_z, stderr * np.sqrt(inefficiency), pair_overlap(w_F, w_R, log_z))


def pair_overlap(w_F: np.ndarray, w_R: np.ndarray, log_z: float) -> float:
    """``O_01`` of two rows alone, works ``[draw]``: 1/2 for equal rows with equally many draws.

    Unlike an element of the matrix of all rows it does not shrink as rows are put in between.
    """
    own, other = _memberships(w_F, w_R, log_z)
    total = np.sum(own * (1.0 - own)) + np.sum(other * (1.0 - other))
    return float(total / len(w_F))


def bar_rows(w_F: np.ndarray, w_R: np.ndarray) -> Rows:
    """`bar` of neighbours, works ``w_F, w_R [gap, chain, draw]``; NaN above an unsolved pair."""
    pairs = [bar(own.ravel(), other.ravel()) for own, other in zip(w_F, w_R)]
    log_z = np.append(0.0, np.cumsum([pair.log_z for pair in pairs]))
    influence = np.zeros((*w_F.shape[1:], len(w_F) + 1))
    for g, pair in enumerate(pairs):
        influence[..., g + 1] = influence[..., g] + _bar_influence(w_F[g], w_R[g], pair.log_z)
    overlap = np.minimum.accumulate(np.append(0.5, [pair.overlap for pair in pairs]))
    return Rows(log_z, influence, {"overlap": overlap})


def slope_pull(w_F: np.ndarray, w_R: np.ndarray, log_z: np.ndarray) -> np.ndarray:
    """``d log Z / d beta = -E`` held against the draws, ``[row]``: the worst gap below, in errors.

    At either end of a gap log Z has a slope along the line between the rows: BAR's, which both rows'
    draws give, and minus the end's own mean work. With ``a = 1/(1 + exp(w_F + d))`` of the lower and
    ``b = 1/(1 + exp(w_R - d))`` of the upper row's draws they differ by

        T = <w_F a>_0 + <w_R b>_1 ,

    at both ends alike, which is 0 for draws of the two distributions that the rows say, and of no
    others (M. R. Shirts, J. Chem. Theory Comput. 9, 909 (2013)). With ``S = log Z + beta E`` this is
    ``dF/dT = -S``, too. NaN above an unsolved pair.

    Parameters
    ----------
    w_F, w_R
        Works ``[gap, chain, draw]``.
    log_z
        BAR's, ``[row]``.
    """
    influence, gap = np.empty((*w_F.shape[1:], len(w_F))), np.empty(len(w_F))
    for g, (own_w, other_w, d) in enumerate(zip(w_F, -w_R, np.diff(log_z))):
        own, other = _memberships(own_w, -other_w, d)
        # <a>_0 = <b>_1, so that any reference of the works will do: the one where dT/dd = 0
        weights = own * (1.0 - own), other * (1.0 - other)
        total = weights[0].sum() + weights[1].sum()
        middle = np.sum(weights[0] * own_w) + np.sum(weights[1] * other_w)
        middle = middle / total if total > 0.0 else np.nan
        influence[..., g] = (own_w - middle) * own - (other_w - middle) * other
        gap[g] = influence[..., g].mean()
    error = influence_error(influence - gap)
    still = np.where(np.isfinite(gap), 0.0, np.nan)
    pull = np.divide(np.abs(gap), error, out=still, where=error > TOLERANCE)
    return np.maximum.accumulate(np.append(0.0, pull))


def _bar_influence(w_F: np.ndarray, w_R: np.ndarray, log_z: float) -> np.ndarray:
    """What the draws of one time add to BAR's ``log Z_1 - log Z_0``, ``[chain, draw]``."""
    own, other = _memberships(w_F, w_R, log_z)
    steepness = _steepness(own, other)
    if not steepness > 0.0:
        return np.full(w_F.shape, np.nan)
    return ((own - own.mean()) - (other - other.mean())) / steepness


def _memberships(w_F, w_R, log_z) -> tuple[np.ndarray, np.ndarray]:
    """``1/(1 + r exp(w_F + d))``, ``1/(1 + exp(w_R - d)/r)``: that a draw belongs to the other row."""
    shift = np.log(w_F.size / w_R.size)
    return expit(-(w_F + log_z + shift)), expit(-(w_R - log_z - shift))


def _steepness(own, other) -> float:
    """Derivative in d of ``<own> - <other>``: both are decided at the same d."""
    return float(np.mean(own * (1.0 - own)) + np.mean(other * (1.0 - other)))


def _bennett_error(w_F, w_R, log_z) -> float:
    own, other = _memberships(w_F, w_R, log_z)
    steepness = _steepness(own, other)
    return float(np.sqrt(np.var(own) / own.size + np.var(other) / other.size) / steepness)

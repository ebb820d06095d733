"""log Z differences from recorded potentials: arrays in, value and error out; no chains, no models.

Neighbouring rows k and k+1 of a path are compared by the *works*, differences of reduced potentials,

    w_F = u_{k+1}(x) - u_k(x),  x from row k;        w_R = u_k(x) - u_{k+1}(x),  x from row k+1.

    stepping-stone   log Z_{k+1}/Z_k = log <exp(-w_F)>_k = -log <exp(-w_R)>_{k+1}
                     (R. W. Zwanzig, J. Chem. Phys. 22, 1420 (1954)); a finite sample is low on average
                     forward and high backward (Jensen), so the two are a bracket
    integration      log Z_{k+1}/Z_k = -int_0^1 <u_{k+1} - u_k>_s ds along the straight line between
                     rows; derivatives at its ends are the variance and minus the third cumulant
    bar, mbar        in `bennett` and `multistate`

Draws follow each other in Markov chains, and the rows of a ladder exchange their configurations, so
that no formula for independent draws gives the error. Each estimator is linearised instead: to first
order ``log Z_k - truth`` is the mean over draws of an *influence* ``[chain, draw, row]``, in which the
draws of all rows at one time stand together. Its autocorrelation and the scatter of its chains give
the error (`influence_error`), those of a plain average.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from physebm.observables.chains import honest_error, mean_error
from physebm.observables.correlation import error_bar, integrated_time
from physebm.observables.reweighting import effective_sample_size, largest_share, log_mean_exp


@dataclass(frozen=True)
class SteppingStone:
    """Exponential averages between neighbours, both directions, ``[gap]`` each.

    Attributes
    ----------
    forward, backward
        ``log Z_{k+1} - log Z_k`` from the draws of row k (low on average) and of row k+1 (high).
    forward_stderr, backward_stderr
        ``sd(weights) / (mean sqrt(n))``, for independent draws.
    effective, share
        The smaller effective sample size and the larger largest share of one weight, of either side.
    """

    forward: np.ndarray
    backward: np.ndarray
    forward_stderr: np.ndarray
    backward_stderr: np.ndarray
    effective: np.ndarray
    share: np.ndarray


@dataclass(frozen=True)
class Integrated:
    """A thermodynamic integral at every row ``[row]``: 0 at the first.

    Attributes
    ----------
    log_z
        ``log Z_k - log Z_0``.
    stderr
        Propagated from the errors of the slopes.
    discretisation
        What the quadrature may be wrong by; NaN where nothing tells.
    trapezoid
        The same integral by the trapezoid rule.
    """

    log_z: np.ndarray
    stderr: np.ndarray
    discretisation: np.ndarray
    trapezoid: np.ndarray


@dataclass(frozen=True)
class Rows:
    """One estimator at every row of a ladder.

    Attributes
    ----------
    log_z
        ``log Z_k - log Z_0 [row]``.
    influence
        ``[chain, draw, row]``, with mean 0 over draws.
    per_row, of_all
        Diagnostics ``[row]`` and of the ladder, by name.
    """

    log_z: np.ndarray
    influence: np.ndarray
    per_row: Mapping[str, np.ndarray] = field(default_factory=dict)
    of_all: Mapping[str, object] = field(default_factory=dict)


def integration(
    x: np.ndarray,
    slope: np.ndarray,
    stderr: np.ndarray | None = None,
    curvature: np.ndarray | None = None,
    third: np.ndarray | None = None,
) -> Integrated:
    """``int slope dx`` over rows at parameters x, any spacing, rising or falling.

    The rule of highest order but one that the derivatives allow; its distance from the highest, added
    up over the gaps, is the discretisation error. With h the gap and g the slope:

        trapezoid    h (g_0 + g_1)/2                            + O(h^3)
        Hermite      ... + h^2 (g'_0 - g'_1)/12                 + O(h^5)
        quintic      h (g_0 + g_1)/2 + h^2 (g'_0 - g'_1)/10 + h^3 (g''_0 + g''_1)/120   + O(h^7)

    With slopes alone it is the trapezoid, held against itself at every second row (Richardson: a third
    of the difference); with `curvature` alone Hermite's, held against the trapezoid.

    Parameters
    ----------
    x
        ``[row]``, a factor or an inverse temperature.
    slope, stderr
        ``d log Z / dx [row]``, such as ``-<H>`` for ``x = beta``, and its error (0 where not given).
        Rows count as independent.
    curvature, third
        ``d^2 log Z / dx^2 [row]``, such as ``Var(H)``, and ``d^3 log Z / dx^3``, ``-kappa_3(H)``.
    """
    x, slope = np.asarray(x, dtype=np.float64), np.asarray(slope, dtype=np.float64)
    h = np.diff(x)
    gaps = _rules(h, slope, curvature, third)
    trapezoid = _running(gaps[0])
    if len(gaps) == 1:
        wrong = np.full(len(x), np.nan)
        for k in range(2, len(x), 2):
            wrong[k] = abs(trapezoid[k] - np.trapezoid(slope[: k + 1 : 2], x[: k + 1 : 2])) / 3.0
        wrong[0] = 0.0
        value = trapezoid
    else:
        wrong = _running(np.abs(gaps[-1] - gaps[-2]))
        value = _running(gaps[1])
    return Integrated(value, _slope_errors(h, stderr), wrong, trapezoid)


def _rules(h, slope, curvature, third) -> list[np.ndarray]:
    """The integral of each gap by the rules that the derivatives allow, lowest order first."""
    ends = 0.5 * h * (slope[:-1] + slope[1:])
    rules = [ends]
    if curvature is not None:
        bend = h**2 * (curvature[:-1] - curvature[1:])
        rules.append(ends + bend / 12.0)
        if third is not None:
            rules.append(ends + bend / 10.0 + h**3 * (third[:-1] + third[1:]) / 120.0)
    return rules


def _slope_errors(h, stderr) -> np.ndarray:
    """Errors of the running trapezoid: each row's slope enters with the weight of both its gaps."""
    rows = len(h) + 1
    if stderr is None:
        return np.zeros(rows)
    variance = np.zeros(rows)
    for k in range(1, rows):
        weight = np.zeros(k + 1)
        weight[:-1] += 0.5 * h[:k]
        weight[1:] += 0.5 * h[:k]
        variance[k] = np.sum((weight * stderr[: k + 1]) ** 2)
    return np.sqrt(variance)


def hysteresis(
    forward: np.ndarray,
    backward: np.ndarray,
    forward_stderr: np.ndarray,
    backward_stderr: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """The gap ``forward - backward`` of two branches of log Z, and how many errors wide it is.

    Branches integrated from either end of a path meet where both follow the equilibrium state; where
    one is metastable they do not, and the larger log Z is that of the phase which wins. A gap without
    errors counts as infinitely many, no gap as none.
    """
    gap = np.asarray(forward, dtype=np.float64) - backward
    error = np.hypot(forward_stderr, backward_stderr)
    wide = np.where(gap == 0.0, 0.0, np.inf)
    return gap, np.divide(np.abs(gap), error, out=wide, where=error > 0)


def stepping_stone(w_F: np.ndarray, w_R: np.ndarray) -> SteppingStone:
    """Exponential averages of works ``w_F, w_R [gap, draw]``, each gap in both directions."""
    sides = [-np.asarray(w_F, dtype=np.float64), -np.asarray(w_R, dtype=np.float64)]
    values = [log_mean_exp(log_w) for log_w in sides]
    effective = [effective_sample_size(log_w) for log_w in sides]
    # the relative variance of the weights is n / effective - 1
    errors = [
        np.sqrt(np.maximum(1.0 / n - 1.0 / log_w.shape[-1], 0.0)) for n, log_w in zip(effective, sides)
    ]
    share = np.maximum(*(largest_share(log_w) for log_w in sides))
    return SteppingStone(values[0], -values[1], *errors, np.minimum(*effective), share)


def inefficiency(x_cd: np.ndarray) -> np.ndarray:
    """``2 tau`` of series ``[..., chain, draw]``, at least 1; 1 for a constant series."""
    return np.maximum(2.0 * np.nan_to_num(integrated_time(x_cd).tau, nan=0.5), 1.0)


def integrated_rows(w_F: np.ndarray, w_R: np.ndarray) -> Rows:
    """`integration` along the straight lines between rows, of works ``w_F, w_R [gap, chain, draw]``.

    Each gap is ``int_0^1``, slope ``-<w>``, curvature ``Var(w)`` and third derivative
    ``-kappa_3(w)`` at its ends, w the upper row's potential less the lower's: Hermite's rule.
    """
    ends = [np.asarray(w_F, dtype=np.float64), -np.asarray(w_R, dtype=np.float64)]
    mean = [w.mean(axis=(1, 2)) for w in ends]
    spread = [w - m[:, None, None] for w, m in zip(ends, mean)]
    variance = [np.mean(d**2, axis=(1, 2)) for d in spread]
    third = [np.mean(d**3, axis=(1, 2)) for d in spread]
    slope = -0.5 * (mean[0] + mean[1])
    bend = variance[0] - variance[1]
    quintic = slope + bend / 10.0 - (third[0] + third[1]) / 120.0
    hermite = slope + bend / 12.0
    draws = [d**2 - v[:, None, None] for d, v in zip(spread, variance)]
    influence = -0.5 * (spread[0] + spread[1]) + (draws[0] - draws[1]) / 12.0
    per_row = {
        "discretisation": _running(np.abs(quintic - hermite)),
        "trapezoid": _running(slope),
    }
    return Rows(_running(hermite), _added(influence), per_row)


def stepping_rows(w_F: np.ndarray, w_R: np.ndarray) -> tuple[Rows, Rows, Rows]:
    """`stepping_stone` of works ``[gap, chain, draw]``: forward, backward, and the mean of the two.

    The mean has half the variance and none of the bias that is alike in both directions.
    """
    gaps = len(w_F)
    stones = stepping_stone(w_F.reshape(gaps, -1), w_R.reshape(gaps, -1))
    forward = Rows(_running(stones.forward), _added(_exponential_influence(w_F)))
    backward = Rows(_running(stones.backward), _added(-_exponential_influence(w_R)))
    per_row = {
        "effective": np.minimum.accumulate(np.append(w_F[0].size, stones.effective)),
        "largest_share": np.maximum.accumulate(np.append(0.0, stones.share)),
    }
    mean = Rows(
        0.5 * (forward.log_z + backward.log_z),
        0.5 * (forward.influence + backward.influence),
        per_row,
    )
    return forward, backward, mean


def _exponential_influence(work: np.ndarray) -> np.ndarray:
    """What each draw adds to ``log <exp(-work)>``, of ``work [gap, chain, draw]``."""
    return np.exp(-work - log_mean_exp(-work.reshape(len(work), -1))[:, None, None]) - 1.0


def influence_error(influence: np.ndarray) -> np.ndarray:
    """Standard errors ``[row]`` of estimates with an influence ``[chain, draw, row]``.

    ``sqrt(2 tau variance / n)``, chains pooled about one mean, or the scatter of the chains where that
    is significantly larger; NaN where the influence is.
    """
    known = np.isfinite(influence).all(axis=(0, 1))
    series = np.moveaxis(np.where(known, influence, 0.0), -1, 0)
    error = error_bar(series)
    chains = len(influence)
    scatter = mean_error(series.mean(axis=-1).T) if chains > 1 else None
    return np.where(known, honest_error(error, None, scatter, chains), np.nan)


def _running(increments: np.ndarray) -> np.ndarray:
    return np.concatenate([[0.0], np.cumsum(increments)])


def _added(influence: np.ndarray) -> np.ndarray:
    """Influences of gaps ``[gap, chain, draw]`` as those of rows ``[chain, draw, row]``."""
    rows = np.zeros((*influence.shape[1:], len(influence) + 1))
    np.cumsum(np.moveaxis(influence, 0, -1), axis=-1, out=rows[..., 1:])
    return rows

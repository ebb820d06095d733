"""What log-weights of independent chains say: the log of their mean, its error, and what it is worth.

With ``w_c = exp(log_w_c)`` of n chains, ``log Z = log (1/n) sum_c w_c``. The error is that of the delta
method, ``sd(w) / (mean(w) sqrt n)``; its square is ``(1/ESS - 1/n) n/(n-1)``, ESS the effective sample
size. A mean of weights is carried by the largest of them; three diagnostics tell when too few carry it:

    error       larger than `ERROR`: log Z is not linear in the mean any more (ESS below 25)
    share       one chain has more than `SHARE` of all weight
    variance    for log-normal weights of variance s^2 the error is ``sqrt((exp(s^2) - 1)/n)``, so that
                n >> exp(s^2) chains are needed. The variance shows it before a large weight was drawn

Log of a mean, not mean of logs: the latter is low by about s^2/2 and a bound only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from physebm.free_energy.estimate import Finding, Verdict
from physebm.observables.reweighting import effective_sample_size, largest_share, log_mean_exp
from physebm.observables.sums import ordered_mean, ordered_sum

# Relative errors of the mean weight, shares of one weight and numbers of weights: suspect, failed.
ERROR, WORST_ERROR = 0.2, 0.5
SHARE, WORST_SHARE = 0.2, 0.5
CHAINS = 10


@dataclass(frozen=True)
class LogMean:
    """Statistics of log-weights ``[chain]``.

    Attributes
    ----------
    value, stderr
        ``log mean w`` and its error by the delta method; NaN for one chain.
    bias, jackknife
        Bias of `value` and its error by leaving out one chain at a time: the value is low by about
        ``stderr^2 / 2``. Infinite where one chain has all weight.
    mean_log, mean_log_stderr, variance
        ``mean log w``, which is at most `value` (Jensen), its error, and the variance of log w.
    effective, share
        ``(sum w)^2 / sum w^2`` and ``max w / sum w``.
    lognormal
        The error that log-normal weights of this variance would have.
    chains
        n.
    """

    value: float
    stderr: float
    bias: float
    jackknife: float
    mean_log: float
    mean_log_stderr: float
    variance: float
    effective: float
    share: float
    lognormal: float
    chains: int


def log_mean(log_w: np.ndarray) -> LogMean:
    """Statistics of independent log-weights ``[chain]``, float64; ``-inf`` is a chain without weight.

    Raises
    ------
    ValueError
        where there is none, or one is NaN or +inf.
    """
    log_w = np.asarray(log_w, dtype=np.float64)
    if np.isnan(log_w).any():
        raise ValueError("a log-weight is NaN")
    n = len(log_w)
    value = float(log_mean_exp(log_w))
    # relative to the mean: w / mean(w), of mean 1
    relative = np.exp(log_w - value) if np.isfinite(value) else np.full(n, np.nan)
    bias, jackknife = _jackknife(relative)
    with np.errstate(over="ignore", invalid="ignore"):
        variance = _variance(log_w)
        lognormal = float(np.sqrt(np.expm1(variance) / n))
    return LogMean(
        value,
        float(np.sqrt(_variance(relative) / n)),
        bias,
        jackknife,
        float(ordered_mean(log_w)),
        float(np.sqrt(variance / n)),
        variance,
        float(effective_sample_size(log_w)),
        float(largest_share(log_w)),
        lognormal,
        n,
    )


def _variance(x: np.ndarray) -> float:
    if len(x) < 2:
        return float("nan")
    with np.errstate(invalid="ignore"):
        return float(ordered_sum((x - ordered_mean(x)) ** 2) / (len(x) - 1))


def _jackknife(relative: np.ndarray) -> tuple[float, float]:
    """Bias and error of ``log mean w`` from its values without one chain, relative to that with all."""
    n = len(relative)
    if n < 2 or np.isnan(relative).any():
        return float("nan"), float("nan")
    left = (n - relative) / (n - 1)
    if left.min() <= 1e-12:
        return -np.inf, np.inf
    without = np.log(left)
    mean = float(ordered_mean(without))
    error = np.sqrt((n - 1) / n * float(ordered_sum((without - mean) ** 2)))
    return (n - 1) * mean, float(error)


def findings(of: LogMean, what: str = "weights", worst: Verdict = Verdict.FAILED) -> list[Finding]:
    """What speaks against a mean of weights; `what` names them, `worst` is the worst verdict."""
    found: list[Finding] = []

    def add(failed: bool, reason: str) -> None:
        verdict = Verdict.FAILED if failed else Verdict.SUSPECT
        found.append(Finding(min(verdict, worst), f"{what}: {reason}"))

    if of.chains < CHAINS:
        add(False, f"{of.chains} chains are too few for an error; take {CHAINS} or more")
    error = np.sqrt(max(1.0 / of.effective - 1.0 / of.chains, 0.0))
    if not error <= ERROR:
        reason = f"{of.effective:.1f} of {of.chains} chains count (effective sample size); "
        add(not error <= WORST_ERROR, reason + "more rows, or more chains")
    # the largest of few equal weights has a large share, too
    share = max(SHARE, 3.0 / of.chains)
    if not of.share <= share:
        reason = f"one chain has {of.share:.0%} of the weight; more rows, or more chains"
        add(not of.share <= max(share, WORST_SHARE), reason)
    if not of.lognormal <= ERROR:
        reason = (
            f"log-weights have variance {of.variance:.2g}, for which {of.chains} chains are too few "
            "(the mean of log-normal weights needs exp(variance))"
        )
        add(not of.lognormal <= WORST_ERROR, reason)
    return found


def systematic(log_w: np.ndarray, offset: float) -> np.ndarray:
    """Parents ``[chain]`` of as many chains, drawn in proportion to weights ``[chain]``, in order.

    Chain c is copied as often as one of the points ``(offset + j)/n`` falls into its part of the
    cumulated weights: ``n w_c / sum w`` rounded down or up, in expectation over `offset` uniform on
    [0, 1) exactly that (J. Carpenter, P. Clifford, P. Fearnhead, IEE Proc. 146, 2 (1999)).
    """
    n = len(log_w)
    cumulated = np.add.accumulate(np.exp(log_w - np.max(log_w)))
    points = (offset + np.arange(n)) / n * cumulated[-1]
    return np.minimum(np.searchsorted(cumulated, points, side="right"), n - 1)

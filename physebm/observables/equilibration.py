"""Has a run reached equilibrium? A verdict per point, with a stated rate of false alarms.

Four tests, each with a p-value under the hypothesis of a stationary run:

halves
    mean of the first half against the second: Student's t on 16 + 16 blocks.
drift
    means over draws (1/8, 1/4], (1/4, 1/2], (1/2, 1] of the run agree: one-way analysis of variance
    on 4 + 8 + 16 blocks. The logarithmic bins are those used for slow relaxation (H. G. Katzgraber,
    M. Palassini, A. P. Young, Phys. Rev. B 63, 184422 (2001)).
rhat
    rank-normalised split R-hat above 1.01 (A. Vehtari et al., Bayesian Analysis 16, 667 (2021), see
    `rank_diagnostics`) and above what independent chains of that length scatter to (F test with tau).
starts
    where a second start exists: the means of both agree (Welch's t on 32 + 32 blocks).

A run is *not equilibrated* when a p-value is below ``rate / tests``, so that a stationary run is
called so with probability at most about `rate` (default 1e-3); *suspect* when one is below 20 times
that, or when the run is too short to tell (blocks shorter than 2 tau, fewer than 100 effective draws)
or frozen. *Equilibrated* means that nothing was found: a run trapped near its start, with
every chain, passes. That is what the second start is for.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from scipy import special

from physebm.arrays import Array, Float64
from physebm.observables import rank_diagnostics
from physebm.observables.correlation import integrated_time
from physebm.observables.sums import ordered_mean, ordered_sum

RATE = 1e-3
SUSPECT_FACTOR = 20.0
RHAT_LIMIT = 1.01
MIN_ESS = 100.0
BLOCKS = 32
_SHORTEST_BLOCK = 2.0  # in units of tau


class Equilibration(IntEnum):
    """What the series of a point says about its equilibrium."""

    EQUILIBRATED = 0
    SUSPECT = 1
    NOT_EQUILIBRATED = 2


@dataclass(frozen=True)
class Verdict:
    """Codes and reasons; every array has the point axes of the series.

    Attributes
    ----------
    code
        Values of `Equilibration`, int8.
    message
        One sentence per point, empty where nothing was found (object array of str).
    p_values
        By test: ``halves``, ``drift``, ``rhat`` and, with a second start, ``starts``.
    rhat, ess
        Rank-normalised split R-hat and bulk effective sample size (one start).
    """

    code: Array
    message: Array
    p_values: dict[str, Float64]
    rhat: Float64
    ess: Float64


def verdict(x_cd: Array, other_cd: Array | None = None, rate: float = RATE) -> Verdict:
    """The verdict on series ``[..., chain, draw]``, draws in order of time after the discarded ones.

    Parameters
    ----------
    x_cd
        Draws or bins of equal size, at least 64 per chain.
    other_cd
        The same points from a second start, ``[..., chain, draw]``; its chains may differ in number.
    rate
        Probability per point of calling a stationary run not equilibrated.
    """
    x = _checked(x_cd)
    other = None if other_cd is None else _checked(other_cd)
    blocks, tau, short = _blocks_of(x)
    p_values = {"halves": _halves(blocks, tau), "drift": _drift(blocks, tau)}
    rhat, ess = _by_ranks(x)
    p_values["rhat"] = _rhat_p(x, rhat, tau)
    if other is not None:
        other_blocks, other_tau, other_short = _blocks_of(other)
        short = short | other_short
        p_values["starts"] = _starts(blocks, tau, other_blocks, other_tau)
        # The second start has its own first half; the worse of the two counts, twice as likely.
        for name, test in (("halves", _halves), ("drift", _drift)):
            both = 2 * np.minimum(p_values[name], test(other_blocks, other_tau))
            p_values[name] = np.minimum(both, 1.0)
    frozen = (x == x[..., :1, :1]).all(axis=(-2, -1))
    if other is not None:  # two starts frozen at one value agree
        frozen &= ~(other == x[..., :1, :1]).all(axis=(-2, -1))
    return _judge(p_values, rhat, ess, short, frozen, rate)


def _checked(x_cd: Array) -> Float64:
    x = np.asarray(x_cd, dtype=np.float64)
    if x.ndim < 2 or x.shape[-1] < 2 * BLOCKS:
        raise ValueError(f"series [..., chain, draw >= {2 * BLOCKS}] needed, got shape {x.shape}")
    if not np.isfinite(x).all():
        raise ValueError("series with values that are not finite have no verdict")
    return x


def _blocks_of(x: Float64):
    """Chain-averaged block means [..., 32], tau of one chain in blocks, and whether that is long.

    tau is that about each chain's own mean: chains that disagree must not excuse each other.
    """
    size = x.shape[-1] // BLOCKS
    kept = x[..., x.shape[-1] - BLOCKS * size :]
    blocks = ordered_mean(kept.reshape(*x.shape[:-1], BLOCKS, size), -1)
    own = x - x[..., :1]
    own = own - ordered_mean(own, -1)[..., None]
    tau = np.nan_to_num(integrated_time(own).tau, nan=0.5) / size
    return ordered_mean(blocks, -2), tau, tau * _SHORTEST_BLOCK > 1.0


def _variance(group: Float64, tau: Float64) -> tuple[Float64, Float64]:
    """Mean and sum of squares within a group of blocks."""
    mean = ordered_mean(group, -1)
    spread = group - mean[..., None]
    return mean, ordered_sum(spread * spread, -1) / _kept_share(tau)


def _kept_share(tau: Float64) -> Float64:
    """``1 - tau/b``: the part of ``2 tau Gamma(0)/b`` that the variance of blocks of length b shows."""
    return 1.0 - np.minimum(tau, 0.5)


def _halves(blocks: Float64, tau: Float64) -> Float64:
    half = BLOCKS // 2
    mean_1, squares_1 = _variance(blocks[..., :half], tau)
    mean_2, squares_2 = _variance(blocks[..., half:], tau)
    dof = 2 * (half - 1)
    variance = (squares_1 + squares_2) / dof * 2 / half
    return _student(mean_1 - mean_2, variance, dof)


def _drift(blocks: Float64, tau: Float64) -> Float64:
    groups = [blocks[..., BLOCKS >> (k + 1) : BLOCKS >> k] for k in range(3)]
    sizes = [g.shape[-1] for g in groups]
    parts = [_variance(g, tau) for g in groups]
    grand = sum(n * mean for n, (mean, _) in zip(sizes, parts)) / sum(sizes)
    between = sum(n * (mean - grand) ** 2 for n, (mean, _) in zip(sizes, parts)) / 2
    dof = sum(sizes) - 3
    within = sum(squares for _, squares in parts) / dof
    return _fisher(between, within, 2, dof)


def _starts(a: Float64, tau_a: Float64, b: Float64, tau_b: Float64) -> Float64:
    mean_a, squares_a = _variance(a, tau_a)
    mean_b, squares_b = _variance(b, tau_b)
    var_a, var_b = (s / (BLOCKS * (BLOCKS - 1)) for s in (squares_a, squares_b))
    fourth = (var_a**2 + var_b**2) / (BLOCKS - 1)
    dof = _divide((var_a + var_b) ** 2, fourth, BLOCKS - 1.0)
    return _student(mean_a - mean_b, var_a + var_b, dof)


def _rhat_p(x: Float64, rhat: Float64, tau: Float64) -> Float64:
    """``n R^2 - n + 1 = B/W ~ 2 tau F``: the larger of two R-hats, hence the factor 2."""
    chains, draws = _splits(x).shape[-2:]
    m, n = 2 * chains, draws // 2
    tau_draws = np.maximum(tau * (x.shape[-1] // BLOCKS), 0.5)
    ratio = np.maximum(n * (rhat**2 - 1) + 1, 0.0) / (2 * tau_draws)
    independent = np.maximum(m * n / (2 * tau_draws) - m, 2.0)
    p = np.minimum(2 * special.fdtrc(m - 1, independent, np.minimum(ratio, 1e12)), 1.0)
    return np.where(rhat > RHAT_LIMIT, p, 1.0)


def _splits(x: Float64) -> Float64:
    """R-hat wants two chains: the halves of a single one serve."""
    if x.shape[-2] > 1:
        return x
    half = x.shape[-1] // 2
    return x[..., x.shape[-1] - 2 * half :].reshape(*x.shape[:-2], 2, half)


def _by_ranks(x: Float64) -> tuple[Float64, Float64]:
    """R-hat and ESS; of chains that never move 1 and all draws where they agree, inf and 1 if not."""
    lead = x.shape[:-2]
    flat = x.reshape(-1, *x.shape[-2:])
    still = (flat == flat[:, :, :1]).all(axis=(1, 2))
    equal = (flat == flat[:, :1, :1]).all(axis=(1, 2))
    rhat = np.where(equal, 1.0, np.inf)
    ess = np.where(equal, flat[0].size, 1.0)
    moving = np.flatnonzero(~still)
    if len(moving):
        held = flat[moving]
        if held.shape[1] > 1:
            rhat[moving], ess[moving] = rank_diagnostics.rhat_and_ess(held)
        else:
            rhat[moving] = rank_diagnostics.rhat(_splits(held))
            ess[moving] = rank_diagnostics.ess(held)
    # Two values only: the folded ranks are all equal and their R-hat is 0/0.
    rhat = np.where(np.isnan(rhat), 1.0, rhat)
    return rhat.reshape(lead), np.nan_to_num(ess, nan=1.0).reshape(lead)


def _student(difference: Float64, variance: Float64, dof) -> Float64:
    t2 = _divide(difference**2, variance, np.where(difference == 0, 0.0, np.inf))
    return special.betainc(dof / 2, 0.5, dof / (dof + np.minimum(t2, 1e300)))


def _fisher(between: Float64, within: Float64, dof_1: int, dof_2: int) -> Float64:
    ratio = _divide(between, within, np.where(between == 0, 0.0, np.inf))
    return special.fdtrc(dof_1, dof_2, np.minimum(ratio, 1e300))


def _divide(a, b, otherwise) -> Float64:
    a, b, otherwise = np.broadcast_arrays(a, b, otherwise)
    return np.divide(a, b, out=np.array(otherwise, dtype=np.float64), where=b > 0)


_SENTENCE = {
    "halves": "first and second half differ",
    "drift": "the last three logarithmic bins drift",
    "rhat": "chains disagree (R-hat)",
    "starts": "the two starts disagree",
}


def _judge(p_values, rhat, ess, short, frozen, rate) -> Verdict:
    limit = rate / len(p_values)
    lowest = np.minimum.reduce(list(p_values.values()))
    code = np.zeros(np.shape(lowest), dtype=np.int8)
    code[(lowest < SUSPECT_FACTOR * limit) | short | (ess < MIN_ESS) | frozen] = 1
    code[lowest < limit] = 2
    message = np.full(code.shape, "", dtype=object)
    for point in zip(*np.nonzero(np.atleast_1d(code))):
        at = point if code.ndim else ()
        said = [
            f"{_SENTENCE[name]}, p = {p[at]:.1e}"
            for name, p in p_values.items()
            if p[at] < SUSPECT_FACTOR * limit
        ]
        if frozen[at]:
            said.append("nothing moved")
        elif short[at]:
            said.append("too short to tell: blocks of 1/32 of the run are below 2 tau")
        elif ess[at] < MIN_ESS:
            said.append(f"too short to tell: {ess[at]:.0f} effective draws, {MIN_ESS:.0f} needed")
        message[at] = "; ".join(said)
    return Verdict(code, message, p_values, rhat, ess)

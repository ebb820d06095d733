"""Rank-normalised split R-hat and bulk effective sample size, of many points at once.

A. Vehtari, A. Gelman, D. Simpson, B. Carpenter, P.-C. Buerkner, Bayesian Analysis 16, 667 (2021). The
draws of a point are replaced by normal scores ``z = Phi^-1((r - 3/8) / (S + 1/4))`` of their average
ranks r among all S draws of all chains; every chain is cut into its two halves first.

R-hat
    ``sqrt((n - 1)/n + B/(n W))``, W the mean variance within the half chains of length n, B/n the
    variance of their means; the larger of that of z and that of the z of ``|x - median|``, which sees
    chains that differ in their spread.
ESS
    ``S / tau``, ``tau = -1 + 2 sum_k (rho_2k + rho_2k+1)`` over Geyer's initial positive and monotone
    pairs (C. J. Geyer, Statistical Science 7, 473 (1992)), with
    ``rho_t = 1 - (W - mean Gamma_t) / V``, V the pooled variance of R-hat.

Sums run in the order in which ArviZ (arviz_stats, which has these for one point at a time) does them:
the numbers are its numbers, bit for bit, and those of a point depend on no other point.
"""

from __future__ import annotations

import numpy as np
from scipy.fft import next_fast_len
from scipy.special import ndtri
from scipy.stats import rankdata

from physebm.arrays import Array, Float64

_CHUNK = 1 << 18  # draws ranked and transformed together
_BLOM = 3 / 8


def rhat(x: Array) -> Float64:
    """R-hat of series ``[point, chain, draw]`` of two chains or more, ``[point]``.

    NaN where the normal scores do not vary within any half chain; where only those of the folded draws
    do not (draws of two values), that of the bulk alone.
    """
    return _by_chunks(_rhat, x)


def ess(x: Array) -> Float64:
    """Bulk effective sample size of series ``[point, chain, draw]``, ``[point]``."""
    return _by_chunks(_ess, x)


def rhat_and_ess(x: Array) -> tuple[Float64, Float64]:
    """Both, for series of two chains or more: normal scores are formed once."""
    found = _by_chunks(_both, x)
    return found[:, 0], found[:, 1]


def _by_chunks(function, x: Array) -> Float64:
    x = np.asarray(x, dtype=np.float64)
    step = max(1, _CHUNK // max(1, x[0].size))
    return np.concatenate([function(x[at : at + step]) for at in range(0, len(x), step)])


def _rhat(x: Float64) -> Float64:
    halves = _halves(x)
    return _larger(_plain_rhat(_scores(halves)), _plain_rhat(_scores(_folded(halves))))


def _ess(x: Float64) -> Float64:
    return _size_from(_scores(_halves(x)))


def _both(x: Float64) -> Float64:
    halves = _halves(x)
    z = _scores(halves)
    r = _larger(_plain_rhat(z), _plain_rhat(_scores(_folded(halves))))
    return np.stack([r, _size_from(z)], axis=1)


def _halves(x: Float64) -> Float64:
    """First halves of all chains, then second halves; the middle draw of an odd number is left out."""
    half = x.shape[-1] // 2
    return np.concatenate((x[..., :half], x[..., -half:]), axis=1)


def _scores(x: Float64) -> Float64:
    """Normal scores of the ranks among all draws of a point."""
    flat = x.reshape(len(x), -1)
    size = flat.shape[1]
    ranks = rankdata(flat, method="average", axis=-1)
    return ndtri((ranks - _BLOM) / (size - 2 * _BLOM + 1)).reshape(x.shape)


def _folded(x: Float64) -> Float64:
    return np.abs(x - np.median(x.reshape(len(x), -1), axis=1)[:, None, None])


def _larger(bulk: Float64, tail: Float64) -> Float64:
    """The larger of two; the first where they cannot be compared."""
    return np.where(tail > bulk, tail, bulk)


def _plain_rhat(z: Float64) -> Float64:
    n = z.shape[-1]
    between = n * np.var(np.mean(z, axis=-1), axis=-1, ddof=1)
    within = np.mean(np.var(z, axis=-1, ddof=1), axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.sqrt((between / within + n - 1) / n)


def _size_from(z: Float64) -> Float64:
    """Effective sample size from normal scores ``[point, half chain, draw]``."""
    chains, n = z.shape[1:]
    size = chains * n
    gamma = _mean_autocovariance(z)
    with np.errstate(divide="ignore", invalid="ignore"):
        within = gamma[:, 0] * n / (n - 1.0)
        pooled = within * (n - 1.0) / n
        if chains > 1:
            pooled = pooled + np.var(z.mean(axis=-1), axis=-1, ddof=1)
        rho = 1.0 - (within[:, None] - gamma) / pooled[:, None]
        rho[:, 0] = 1.0
        time = np.where(np.isnan(rho[:, 1]), np.nan, _geyer(rho))
        floor = 1 / np.log10(size)
        found = size / np.where(floor > time, floor, time)
    flat = z.reshape(len(z), -1)
    still = flat.max(axis=1) - flat.min(axis=1) < np.finfo(float).resolution
    return np.where(still, float(size), found)


def _mean_autocovariance(z: Float64) -> Float64:
    """``Gamma_t`` with the divisor n, mean over half chains, ``[point, t]``."""
    n = z.shape[-1]
    length = next_fast_len(2 * n, real=True)
    spectrum = np.fft.rfft(z - z.mean(axis=-1, keepdims=True), n=length, axis=-1)
    spectrum *= np.conjugate(spectrum)
    gamma = np.fft.irfft(spectrum, n=length, axis=-1)[..., :n] / n
    return np.ascontiguousarray(gamma.transpose(0, 2, 1)).mean(axis=-1)


def _geyer(rho: Float64) -> Float64:
    """``-1 + 2 sum rho`` over the initial pairs of ``rho [point, t]``; changes its argument.

    The last pair counts its even lag alone, once, where that is positive.
    """
    n = rho.shape[1]
    most = max(0, (n - 3) // 2)
    pairs = rho[:, : 2 * most + 2].reshape(len(rho), most + 1, 2)
    sums = pairs[..., 0] + pairs[..., 1]
    ended = ~(sums > 0.0)
    ended[:, most] = True
    last = ended.argmax(axis=1)
    lowest = np.minimum.accumulate(sums, axis=1)
    rises = sums[:, 1:] > lowest[:, :-1]
    inner = np.arange(1, most + 1) < last[:, None]
    even = pairs[np.arange(len(rho)), last, 0]
    # Of a last pair with a negative sum nothing is kept but a positive even lag.
    tail = np.where(even > 0, even, 0.0)
    monotone = np.where((rises & inner)[..., None], (lowest[:, :-1] / 2.0)[..., None], pairs[:, 1:])
    pairs[:, 1:] = monotone
    total = np.empty(len(rho))
    for pair in np.unique(last):
        rows = np.flatnonzero(last == pair)
        total[rows] = np.ascontiguousarray(rho[rows, : 2 * pair]).sum(axis=1)
    return -1.0 + 2.0 * total + tail

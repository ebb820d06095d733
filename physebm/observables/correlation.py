"""Autocorrelation of Markov chains: rho(t), the integrated time tau and what follows from it.

``rho(t) = Gamma(t)/Gamma(0)``, ``tau = 1/2 + sum_{t >= 1} rho(t)``, so independent draws have
``tau = 1/2``, ``Var(mean) = 2 tau Gamma(0) / n`` and ``n_eff = n / (2 tau)``. The sum is cut at the
smallest W with ``W >= c tau(W)`` (N. Madras, A. D. Sokal, J. Stat. Phys. 50, 109 (1988)); the bias
from subtracting the sample mean is removed to first order (U. Wolff, Comput. Phys. Commun. 156, 143
(2004)). Series are ``[..., chain, draw]``: the chains of a point are pooled about their common mean,
so chains that disagree lengthen tau instead of hiding it. Times are in draws: multiply by `every`
for sweeps.

A constant series has no autocorrelation: rho = 0/0. Its tau and n_eff are NaN (undefined, not
failed), its error bar is 0.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from physebm.arrays import Array, Float64
from physebm.observables.sums import ordered_mean

WINDOW = 6.0
_CHUNK = 1 << 21  # series values per Fourier transform: bounds the memory of studies of many points


class IntegratedTime(NamedTuple):
    """tau and how far to trust it; every field has the leading axes of the series.

    Attributes
    ----------
    tau
        Integrated autocorrelation time in draws; NaN for a constant series.
    stderr
        ``tau sqrt((4W + 2)/n)`` (Madras and Sokal 1988), n all draws of the pooled chains.
    window
        W, the last lag that was summed.
    reliable
        Whether a window closed within half a chain; if not, tau is a lower bound.
    variance
        ``Gamma(0)``, about the pooled mean, divided by n.
    draws
        n, chains times draws.
    """

    tau: Float64
    stderr: Float64
    window: Array
    reliable: Array
    variance: Float64
    draws: int


def autocovariance(x_cd: Array) -> Float64:
    """``Gamma(t)`` of ``[..., chain, draw]``, chains pooled; returns ``[..., t]``, t < draws.

    ``Gamma(t) = sum_c sum_i d_i d_{i+t} / (chains (draws - t))`` with d the deviation from the mean of
    all chains. By FFT, zero-padded (no wrap-around).
    """
    x = _series(x_cd)
    lead, (chains, n) = x.shape[:-2], x.shape[-2:]
    x = x.reshape(-1, chains, n)
    out = np.empty((len(x), n))
    step = max(1, _CHUNK // (chains * n))
    for at in range(0, len(x), step):
        out[at : at + step] = _autocovariance(x[at : at + step])
    return out.reshape(*lead, n)


def autocorrelation(x_cd: Array) -> Float64:
    """``rho(t) = Gamma(t)/Gamma(0)`` of ``[..., chain, draw]``; NaN for a constant series."""
    gamma = autocovariance(x_cd)
    return _ratio(gamma, gamma[..., :1])


def integrated_time(x_cd: Array, c: float = WINDOW) -> IntegratedTime:
    """Integrated autocorrelation time of ``[..., chain, draw]`` with the automatic window.

    Guarantee: for an exponential rho the cut loses about ``exp(-c)`` of tau; at least c lags are
    summed; tau is never below ``1/(2 log10 n)`` (anticorrelated chains). A series ``[draw]`` is one
    chain.
    """
    x = _series(x_cd)
    lead, (chains, n) = x.shape[:-2], x.shape[-2:]
    x = x.reshape(-1, chains, n)
    parts = []
    step = max(1, _CHUNK // (chains * n))
    for at in range(0, len(x), step):
        parts.append(_windowed(_autocovariance(x[at : at + step]), chains * n, c))
    tau, window, reliable, variance = (
        np.concatenate([part[k] for part in parts]).reshape(lead) for k in range(4)
    )
    stderr = tau * np.sqrt((4 * window + 2) / (chains * n))
    return IntegratedTime(tau, stderr, window, reliable, variance, chains * n)


def n_eff(x_cd: Array) -> Float64:
    """Number of independent draws ``n/(2 tau)`` in ``[..., chain, draw]``; NaN if constant."""
    time = integrated_time(x_cd)
    return time.draws / (2.0 * time.tau)


def error_bar(x_cd: Array) -> Float64:
    """Standard error of the mean of ``[..., chain, draw]``: ``sqrt(2 tau Gamma(0) / n)``."""
    time = integrated_time(x_cd)
    tau = np.where(time.variance > 0, time.tau, 0.0)
    # Gamma(0) was measured about the sample mean, which is low by the variance of that mean.
    return np.sqrt(time.variance * (1 + 2 * tau / time.draws) * 2 * tau / time.draws)


def _series(x: Array) -> Float64:
    x = np.asarray(x, dtype=np.float64)
    return x[None] if x.ndim == 1 else x


def _autocovariance(x: Float64) -> Float64:
    _, chains, n = x.shape
    # Deviations from the first draw are exactly zero for a constant series; means are not.
    d = x - x[:, :1, :1]
    d = d - ordered_mean(ordered_mean(d, 2), 1)[:, None, None]
    size = 1 << (2 * n - 1).bit_length()
    power = np.abs(np.fft.rfft(d, size, axis=-1)) ** 2
    pooled = power[:, 0].copy()
    for chain in range(1, chains):
        pooled += power[:, chain]
    gamma = np.fft.irfft(pooled, size, axis=-1)[:, :n] / (chains * (n - np.arange(n)))
    gamma[(x == x[:, :1, :1]).all(axis=(1, 2))] = 0.0
    return gamma


def _windowed(gamma: Float64, draws: int, c: float):
    n = gamma.shape[1]
    lags = max(1, n // 2)
    variance = gamma[:, 0]
    rho = _ratio(gamma[:, :lags], variance[:, None])
    tau_w = np.add.accumulate(rho, axis=1) - 0.5
    w = np.arange(lags)
    # Below 1 an alternating or noisy tau(W) would close the window before rho has decayed.
    closed = w >= c * np.maximum(tau_w, 1.0)
    reliable = closed.any(axis=1)
    window = np.where(reliable, closed.argmax(axis=1), lags - 1)
    tau = np.take_along_axis(tau_w, window[:, None], axis=1)[:, 0]
    # Every Gamma(t) is low by Var(mean) = 2 tau Gamma(0)/n: W + 1/2 of them above, one below.
    tau = tau * (1 + (2 * window + 1) / draws) / (1 + 2 * np.maximum(tau, 0.0) / draws)
    floor = 0.5 / max(1.0, np.log10(draws))
    return np.maximum(tau, floor), window, reliable, variance


def _ratio(a: Float64, b: Float64) -> Float64:
    shape = np.broadcast_shapes(a.shape, b.shape)
    return np.divide(a, b, out=np.full(shape, np.nan), where=np.broadcast_to(b, shape) > 0)

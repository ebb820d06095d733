"""Weights given by their logarithms: what a reweighting, an annealed run or an update is worth.

With ``w = exp(log_w)`` along one axis of n samples. Everything is computed from ``log_w - max log_w``,
so log-weights of any size are legal; ``-inf`` is a sample without weight. Sums run in a fixed order.
"""

from __future__ import annotations

import numpy as np

from physebm.arrays import Array, Float64
from physebm.observables.sums import ordered_sum


def log_mean_exp(log_w: Array, axis: int = -1) -> Float64:
    """``log((1/n) sum w)`` along `axis`; ``-inf`` where no sample has weight."""
    w, largest = _scaled(log_w, axis)
    total = ordered_sum(w, axis)
    with np.errstate(divide="ignore"):
        return np.log(total / np.shape(w)[axis]) + np.take(largest, 0, axis=axis)


def effective_sample_size(log_w: Array, axis: int = -1) -> Float64:
    """Kish's ``(sum w)^2 / sum w^2`` along `axis`: n for equal weights, 1 where one has all.

    For samples of p with ``w = dp'/dp`` it tends to ``n / (1 + chi^2(p' || p))``. NaN where no sample
    has weight.
    """
    w, _ = _scaled(log_w, axis)
    return _divide(ordered_sum(w, axis) ** 2, ordered_sum(w * w, axis))


def largest_share(log_w: Array, axis: int = -1) -> Float64:
    """``max w / sum w`` along `axis`, in [1/n, 1]: near 1 the average is that of one sample.

    NaN where no sample has weight.
    """
    w, _ = _scaled(log_w, axis)
    return _divide(w.max(axis=axis), ordered_sum(w, axis))


def _scaled(log_w: Array, axis: int) -> tuple[Float64, Float64]:
    """``w / max w`` and ``log max w`` (0 where no sample has weight), the axis kept."""
    log_w = np.asarray(log_w, dtype=np.float64)
    if not log_w.size:
        raise ValueError(f"log-weights of shape {log_w.shape} hold no sample")
    if np.isposinf(log_w).any():
        raise ValueError("a log-weight is +inf")
    largest = log_w.max(axis=axis, keepdims=True)
    largest = np.where(np.isneginf(largest), 0.0, largest)
    return np.exp(log_w - largest), largest


def _divide(a: Float64, b: Float64) -> Float64:
    return np.divide(a, b, out=np.full(np.shape(b), np.nan), where=b != 0)

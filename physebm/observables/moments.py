"""Moments of samples up to third order, with their sampling variance.

``mean_i = <x_i>``, ``C_ij = <y_i y_j>``, ``T_ijk = <y_i y_j y_k>`` with ``y = x - mean`` the deviation
from the sample's own mean and ``<.>`` the (weighted) average, divided by n. The sampling variance of
each is ``Var(z)/(n - 1)``, z its influence function (F. R. Hampel, J. Am. Stat. Assoc. 69, 383 (1974)),

    ``z_i = y_i``,  ``z_ij = y_i y_j - C_ij``,
    ``z_ijk = y_i y_j y_k - T_ijk - C_jk y_i - C_ik y_j - C_ij y_k``,

to leading order in 1/n. Weighted samples count as ``n = (sum w)^2 / sum w^2`` (Kish).

Precision: means in float64; products of deviations in float32 over 256 samples at a time, added up in
float64. Moments are good to 5e-6 of the product of their features' standard deviations. Blocks are
fixed: within a single-threaded BLAS the bits are those of any other run.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from physebm.arrays import Array, Float64, Int64

_ROWS = 256  # samples per float32 product


@dataclass(frozen=True)
class Moments:
    """Moments of one sample; see the module for definitions.

    Attributes
    ----------
    mean, covariance, third
        ``[feature]``, ``[feature, feature]`` and ``[triplet]``.
    triplets
        Features of every third moment, ``[triplet, 3]``.
    group_f
        Group of every feature; moments within a group are not compared.
    diagonal
        Whether variances are compared among the second moments.
    size
        Number of samples, or Kish's effective one.
    variance
        Sampling variance of one first, second and third moment, averaged over those compared.
    """

    mean: Float64
    covariance: Float64
    third: Float64
    triplets: Int64
    group_f: Int64
    diagonal: bool
    size: float
    variance: tuple[float, float, float]


def mean_and_covariance(x: Array, weights: Array | None = None) -> tuple[Float64, Float64]:
    """Mean ``[feature]`` and covariance ``[feature, feature]`` of ``x [sample, feature]``.

    Divided by n (by the sum of `weights [sample]`, non-negative).
    """
    x, p = _checked(x, weights)
    mean = _mean(x, p)
    return mean, _covariance(x, p, mean)


def empirical_moments(
    x: Array,
    weights: Array | None = None,
    triplets: Array | None = None,
    group_f: Array | None = None,
    diagonal: bool = False,
    size: float | None = None,
) -> Moments:
    """The moments of ``x [sample, feature]``; of data once, of the chains at every recorded age.

    Parameters
    ----------
    x
        Samples: data rows, or chains. Any real dtype; copied only 256 rows at a time.
    weights
        ``[sample]``, non-negative; None weighs all alike.
    triplets
        ``[triplet, 3]`` as from `moment_match.choose_triplets`; None computes no third moment.
    group_f
        Group of every feature, ascending. For one-hot columns the unit they belong to: moments within
        one unit follow from the first ones and would flatter the match. None compares all pairs.
    diagonal
        Whether variances count as second moments (continuous units; for discrete ones they follow from
        the means).
    size
        Number of independent samples, where it is known better than by counting: correlated chains, or
        ``inf`` for the states and probabilities of an enumeration.

    Raises
    ------
    ValueError
        Shapes that do not fit, negative weights, groups that do not ascend.
    """
    x, p = _checked(x, weights)
    features = x.shape[1]
    group = np.arange(features) if group_f is None else np.asarray(group_f, dtype=np.int64)
    if group.shape != (features,) or (np.diff(group) < 0).any():
        raise ValueError(f"groups of {features} features must be as many and ascending")
    triplets = np.zeros((0, 3), np.int64) if triplets is None else np.asarray(triplets, dtype=np.int64)
    n = float(size) if size is not None else float(1.0 / (p * p).sum())
    mean = _mean(x, p)
    covariance = _covariance(x, p, mean)
    third, third_spread = _third(x, p, mean, covariance, triplets)
    spreads = (
        float(np.diag(covariance).mean()),
        _pair_spread(x, p, mean, covariance, group, diagonal),
        third_spread,
    )
    variance = tuple(s / (n - 1) if n > 1 else np.nan for s in spreads)
    return Moments(mean, covariance, third, triplets, group, diagonal, n, variance)


def _checked(x: Array, weights: Array | None) -> tuple[Array, Float64]:
    x = np.asarray(x)
    if x.ndim != 2 or not x.size:
        raise ValueError(f"samples [sample, feature] needed, got shape {x.shape}")
    if weights is None:
        return x, np.full(len(x), 1.0 / len(x))
    p = np.asarray(weights, dtype=np.float64)
    if p.shape != x.shape[:1] or not (p >= 0).all() or not 0 < p.sum() < np.inf:
        raise ValueError(f"{len(x)} samples need as many finite, non-negative weights, not all zero")
    return x, p / p.sum()


def _deviations(x: Array, p: Float64, mean: Float64) -> Iterator[tuple[Array, Array]]:
    """Blocks of ``y [sample, feature]`` and of ``n p [sample]``, both float32."""
    for at in range(0, len(x), _ROWS):
        y = (x[at : at + _ROWS] - mean).astype(np.float32)
        yield y, (p[at : at + _ROWS] * len(x)).astype(np.float32)


def _mean(x: Array, p: Float64) -> Float64:
    origin = x[0].astype(np.float64)  # a constant feature has exactly its value as mean
    total = np.zeros(x.shape[1])
    for at in range(0, len(x), _ROWS):
        total += p[at : at + _ROWS] @ (x[at : at + _ROWS] - origin)
    return origin + total


def _covariance(x: Array, p: Float64, mean: Float64) -> Float64:
    total = np.zeros((x.shape[1], x.shape[1]))
    for y, w in _deviations(x, p, mean):
        y *= np.sqrt(w)[:, None]
        total += y.T @ y
    return total / len(x)


def compared_pairs(group: Int64, diagonal: bool) -> Array:
    """Which entries of a ``[feature, feature]`` matrix count as second moments, each pair once."""
    pairs = group[:, None] < group[None, :]
    return pairs | np.eye(len(group), dtype=bool) if diagonal else pairs


def _pair_spread(x, p, mean, covariance, group, diagonal) -> float:
    """Mean over pairs of ``<y_i^2 y_j^2> - C_ij^2``.

    The sum over pairs of ``y_i^2 y_j^2`` needs no matrix: with S_g the sum of ``y_i^2`` in a group it
    is ``((sum_g S_g)^2 - sum_g S_g^2) / 2``.
    """
    pairs = compared_pairs(group, diagonal)
    count = np.count_nonzero(pairs)
    if not count:
        return np.nan
    starts = np.flatnonzero(np.diff(group, prepend=group[0] - 1))
    fourth = 0.0
    for at in range(0, len(x), _ROWS):
        squares = (x[at : at + _ROWS] - mean) ** 2
        sums = np.add.reduceat(squares, starts, axis=1)
        value = (sums.sum(axis=1) ** 2 - (sums * sums).sum(axis=1)) / 2
        if diagonal:
            value += (squares * squares).sum(axis=1)
        fourth += float(p[at : at + _ROWS] @ value)
    return max(0.0, (fourth - float((covariance[pairs] ** 2).sum())) / count)


def _third(x, p, mean, covariance, triplets) -> tuple[Float64, float]:
    """Third moments, and the mean over triplets of the variance of their influence functions."""
    if not len(triplets):
        return np.zeros(0), np.nan
    i, j, k = triplets.T
    c_jk, c_ik, c_ij = (
        covariance[a, b].astype(np.float32)[:, None] for a, b in ((j, k), (i, k), (i, j))
    )
    total, influence, squares = np.zeros(len(i)), np.zeros(len(i)), np.zeros(len(i))
    for y, w in _deviations(x, p, mean):
        y_fs = np.ascontiguousarray(y.T)
        y_i, y_j, y_k = y_fs[i], y_fs[j], y_fs[k]
        z = y_i * y_j * y_k
        total += z @ w
        z -= c_jk * y_i
        z -= c_ik * y_j
        z -= c_ij * y_k
        influence += z @ w
        z *= z
        squares += z @ w
    spread = squares / len(x) - (influence / len(x)) ** 2
    return total / len(x), max(0.0, float(spread.mean()))

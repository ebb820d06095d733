"""Spectra of weight arrays and of data: what a machine with hidden units has learnt, mode by mode.

``W = sum_a s_a u_a v_a^T`` over modes a, ``W [visible, hidden]``, s descending, u and v of unit length.
Arrays with state axes are flattened to ``[visible * state, hidden]`` by the caller. Learning selects
the principal components of the data first; they grow one by one through second-order transitions:
A. Decelle, G. Fissore, C. Furtlehner, EPL 119, 60001 (2017) and J. Stat. Phys. 172, 1576 (2018);
D. Bachtis, G. Biroli, A. Decelle, B. Seoane, NeurIPS 37 (2024), arXiv:2405.14689.

The order parameter of a mode is ``m_a = (1/sqrt N) sum_i u_ia (x_i - c_i)``: N features, c a fixed
centre. A state ``x - c = +- sqrt(N) u_a`` has ``m_a = +-1``, uncorrelated features of variance v give
``<m_a^2> = v/N``. Its sign is that of u_a, which is arbitrary, and at zero field a machine has both:
the second moment is what orders. Normalisations differ between papers by powers of N.

Every vector is signed so that its entry of largest magnitude (the first of equal ones) is positive.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from physebm.arrays import Array, Float64, Int64
from physebm.observables.moments import mean_and_covariance

_ROWS = 4096  # samples centred at a time
_TIE = 1e-9  # entries this close in magnitude are equal for the choice of a sign


class Modes(NamedTuple):
    """``W = visible @ diag(values) @ hidden.T``.

    Attributes
    ----------
    values
        Singular values ``[mode]``, descending.
    visible, hidden
        Unit vectors ``[visible, mode]`` and ``[hidden, mode]``; the sign of a mode is that of its
        visible vector.
    """

    values: Float64
    visible: Float64
    hidden: Float64


class Components(NamedTuple):
    """Principal components of centred data.

    Attributes
    ----------
    vectors
        Orthonormal ``[feature, component]``.
    variances
        Variance along each, divided by n, descending.
    share
        Variance along each as part of the total; NaN for constant data.
    mean
        Mean of the data ``[feature]``.
    """

    vectors: Float64
    variances: Float64
    share: Float64
    mean: Float64


class Alignment(NamedTuple):
    """``cosine = |u_a . e_b|`` and its largest entry for every mode.

    Attributes
    ----------
    cosine
        ``[mode, component]``, in [0, 1]. Within a degenerate eigenvalue single entries mean nothing:
        the root of their summed squares over that subspace does.
    best
        Component that fits each mode best, ``[mode]``.
    best_cosine
        Its cosine, ``[mode]``. A random direction among N reaches about ``sqrt(2 ln B / N)`` of B.
    """

    cosine: Float64
    best: Int64
    best_cosine: Float64


class ModeMoments(NamedTuple):
    """Moments of mode magnetisations over samples, each ``[mode]``.

    Attributes
    ----------
    mean, mean_abs, second
        ``<m>``, ``<|m|>`` and ``<m^2>``.
    susceptibility
        ``N (<m^2> - <|m|>^2)``, peaked where the mode orders.
    """

    mean: Float64
    mean_abs: Float64
    second: Float64
    susceptibility: Float64


def singular_values(W: Array) -> Float64:
    """Singular values of ``W [visible, hidden]``, descending, in float64."""
    return np.linalg.svd(_matrix(W), compute_uv=False)


def singular_modes(W: Array, count: int | None = None) -> Modes:
    """The `count` largest singular values of ``W [visible, hidden]`` with both unit vectors."""
    u, s, vt = np.linalg.svd(_matrix(W), full_matrices=False)
    u, s, v = u[:, :count], s[:count], vt[:count].T
    sign = _sign(u)
    return Modes(s, u * sign, v * sign)


def principal_components(
    x: Array, weights: Array | None = None, count: int | None = None
) -> Components:
    """The `count` leading eigenvectors of the covariance of ``x [sample, feature]``.

    `weights [sample]` as in `moments.mean_and_covariance`, whose precision the result has: components
    of less than 1e-6 of the total variance are rounding.
    """
    mean, covariance = mean_and_covariance(x, weights)
    features = len(mean)
    count = features if count is None else min(count, features)
    from scipy.linalg import eigh  # the leading few only; slow to import: where it is used

    values, vectors = eigh(covariance, subset_by_index=(features - count, features - 1))
    values, vectors = np.maximum(values[::-1], 0.0), vectors[:, ::-1]
    total = np.trace(covariance)
    share = values / total if total > 0 else np.full(count, np.nan)
    return Components(vectors * _sign(vectors), values, share, mean)


def mode_alignment(U: Array, components: Array) -> Alignment:
    """``|u_a . e_b|`` of unit vectors ``U [feature, mode]``, ``components [feature, component]``."""
    U, components = _matrix(U), _matrix(components)
    if len(U) != len(components):
        raise ValueError(f"modes of {len(U)} features and components of {len(components)}")
    cosine = np.minimum(np.abs(U.T @ components), 1.0)
    best = cosine.argmax(axis=1)
    return Alignment(cosine, best, cosine[np.arange(len(best)), best])


def mode_magnetisations(
    x: Array, U: Array, centre: Array | None = None, count: int | None = None
) -> Float64:
    """``m_a = (1/sqrt N) sum_i u_ia (x_i - c_i)`` of every sample, ``[sample, mode]``.

    Parameters
    ----------
    x
        Samples ``[sample, feature]``: chains or data, in the values that W multiplies (for the spins of
        Bernoulli units pass ``2x - 1``, which doubles m).
    U
        Unit vectors ``[feature, mode]``: of the weights, or principal components of the data.
    centre
        ``c [feature]``; None takes the mean of x, which makes ``<m> = 0``. To see a symmetry break pass
        one centre for all ages: the mean of the data, or zero for Ising units without fields.
    count
        Number of leading modes.
    """
    x, U = np.asarray(x), _matrix(U)[:, :count]
    if x.ndim != 2 or x.shape[1] != len(U):
        raise ValueError(f"samples of shape {x.shape} on modes of {len(U)} features")
    c = x.mean(axis=0, dtype=np.float64) if centre is None else np.asarray(centre, dtype=np.float64)
    m = np.empty((len(x), U.shape[1]))
    for at in range(0, len(x), _ROWS):
        m[at : at + _ROWS] = (x[at : at + _ROWS] - c) @ U
    return m / np.sqrt(len(U))


def mode_moments(m: Array, features: int) -> ModeMoments:
    """Moments over samples of ``m [sample, mode]``; `features` is N of the susceptibility."""
    m = np.asarray(m, dtype=np.float64)
    mean_abs, second = np.abs(m).mean(axis=0), (m * m).mean(axis=0)
    return ModeMoments(m.mean(axis=0), mean_abs, second, features * (second - mean_abs**2))


def participation_ratio(w: Array, axis: int = 0, power: float = 2.0) -> Float64:
    """``(sum |w|^a)^2 / sum |w|^(2a)`` along `axis`: how many entries carry w; from 1 to their number.

    Equal entries count as their number, one large entry as 1, all zeros as 0. Of W along its visible
    axis (a = 2) it is the number of visible units a hidden unit looks at; divided by their number, the
    sparsity p. Of hidden activities ``h [sample, hidden]`` along the hidden axis with a = 3 it is the
    number of strongly activated hidden units of each sample, whose mean over samples is L
    (J. Tubiana, R. Monasson, Phys. Rev. Lett. 118, 138301 (2017)): the third power silences the many
    weak activities of rectified units. For 0/1 units it counts the ones; for +-1 units all.
    """
    w = np.abs(np.asarray(w, dtype=np.float64))
    largest = w.max(axis=axis, keepdims=True)
    w = np.divide(w, largest, out=np.zeros_like(w), where=largest > 0) ** power
    below = (w * w).sum(axis=axis)
    return np.divide(w.sum(axis=axis) ** 2, below, out=np.zeros_like(below), where=below > 0)


def _matrix(a: Array) -> Float64:
    a = np.asarray(a, dtype=np.float64)
    if a.ndim != 2:
        raise ValueError(f"a matrix is needed, got shape {a.shape}")
    return a


def _sign(vectors: Float64) -> Float64:
    size = np.abs(vectors)
    at = (size >= size.max(axis=0) * (1 - _TIE)).argmax(axis=0)
    return np.where(vectors[at, np.arange(vectors.shape[1])] < 0, -1.0, 1.0)

"""The Hessian of the Bethe free energy, from beliefs that may be saturated.

With the pair marginals eliminated, G = -log Z_Bethe as a function of the unit marginals has

    G'' = sum_edges (C_e)^-1 - sum_i (d_i - 1) (C_i)^-1,

C_e the covariance of the two units of an edge in its belief, C_i that of one unit. In units of C_i,
with q_i - 1 coordinates per unit that are orthonormal and uncorrelated in its belief, the covariance of
two units is

    Q(a, b) = p(a, b) / sqrt(p(a) p(b)) - sqrt(p(a) p(b)),

whose singular values s are at most 1 (they are the maximal correlations), and

    L^T G'' L = 1 + sum_edges [ s^2/(1 - s^2)  -s/(1 - s^2) ; -s/(1 - s^2)  s^2/(1 - s^2) ]

in the singular vectors of every edge. Two units that are frozen to one another have s = 1: a stiff
spring, which only says that they move together. Springs are cut off at ``1 - s = STIFF``: that changes
the smallest eigenvalue by less than ``d STIFF / 4``, and keeps rounding from being taken for a saddle
point. Probabilities enter by their logarithms, so that ``p(a)`` may be too small for a number.

No spring pulls an eigenvalue down by more than 1/2, hence none lies below ``1 - d/2``, d the largest
number of neighbours.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import ArpackError, eigsh

from physebm.free_energy.stability import DENSE_SIZE, coordinates, lanczos_start

STIFF = 1e-8


def bethe_smallest_eigenvalue(weights: np.ndarray, pairs: np.ndarray, edges: np.ndarray) -> float:
    """The smallest eigenvalue of ``L^T G'' L``; NaN where a Lanczos iteration does not find it.

    1 for units without couplings; larger values exist, where loops hold every mode back.

    Parameters
    ----------
    weights
        Log-weights of the beliefs ``[state, unit]``, up to constants; -inf for surplus states.
    pairs
        ``[state, state, edge]``, of the pairs ``edges [edge, 2]``.
    """
    states, units = weights.shape
    bases = coordinates(np.exp(_log_normalised(weights, 0)).T)
    s, U, V = _correlations(pairs, bases[edges[:, 0]], bases[edges[:, 1]])
    spring = s / ((1.0 - s) * (1.0 + s))
    along = np.concatenate([U, V], axis=1)
    stretch = np.zeros((len(edges), along.shape[1], along.shape[1]))
    k = states - 1
    stretch[:, :k, :k] = np.einsum("eam,em,ebm->eab", U, spring * s, U)
    stretch[:, k:, k:] = np.einsum("eam,em,ebm->eab", V, spring * s, V)
    stretch[:, :k, k:] = -np.einsum("eam,em,ebm->eab", U, spring, V)
    stretch[:, k:, :k] = stretch[:, :k, k:].transpose(0, 2, 1)
    place = k * np.repeat(edges, k, axis=1) + np.tile(np.arange(k), 2)
    rows = np.broadcast_to(place[:, :, None], stretch.shape).ravel()
    columns = np.broadcast_to(place[:, None, :], stretch.shape).ravel()
    size = k * units
    hessian = sparse.csr_array(sparse.coo_array((stretch.ravel(), (rows, columns)), (size, size)))
    hessian = hessian + sparse.eye_array(size, format="csr")
    # a surplus state is no coordinate
    kept = np.flatnonzero(np.isfinite(weights[1:]).T.ravel())
    degree = np.bincount(edges.ravel(), minlength=1).max()
    return _smallest(hessian[kept][:, kept], 1.0 - 0.5 * degree)


def _correlations(pairs: np.ndarray, left: np.ndarray, right: np.ndarray):
    """Singular values ``[edge, mode]`` of the normalised covariances, and their vectors."""
    log_p = _log_normalised(pairs, (0, 1))
    with np.errstate(invalid="ignore"):
        ratio = log_p - 0.5 * (_log_sum(log_p, 1)[:, None] + _log_sum(log_p, 0)[None])
    # of states without weight nothing is left; the bases take the product of the marginals away
    Q = np.exp(np.where(np.isfinite(log_p), ratio, -np.inf)).transpose(2, 0, 1)
    U, s, V = np.linalg.svd(left.transpose(0, 2, 1) @ Q @ right)
    return np.minimum(s, 1.0 - STIFF), U, V.transpose(0, 2, 1)


def _smallest(hessian: sparse.csr_array, below: float) -> float:
    size = hessian.shape[0]
    if not size or not np.isfinite(hessian.data).all():
        return 1.0 if not size else float("nan")
    if size <= DENSE_SIZE:
        return float(np.linalg.eigvalsh(hessian.toarray())[0])
    try:
        # stiff springs make the spectrum wide: its lower end is found next to a number below it
        found = eigsh(
            hessian.tocsc(),
            k=1,
            sigma=below - 0.01,
            v0=lanczos_start(size),
            tol=1e-9,
            return_eigenvectors=False,
        )
    except ArpackError:
        return float("nan")
    return float(found[0])


def _log_normalised(weights: np.ndarray, axis) -> np.ndarray:
    top = weights.max(axis=axis, keepdims=True)
    return weights - top - np.log(np.exp(weights - top).sum(axis=axis, keepdims=True))


def _log_sum(log_p: np.ndarray, axis: int) -> np.ndarray:
    top = log_p.max(axis=axis, keepdims=True)
    safe = np.where(np.isfinite(top), top, 0.0)
    with np.errstate(divide="ignore"):
        return np.log(np.exp(log_p - safe).sum(axis=axis)) + safe.squeeze(axis)

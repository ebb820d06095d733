"""Smallest eigenvalues of Hessians: coordinates of Potts units, and matrices known by their action."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh

from physebm.rng.philox import philox4x32, uniform
from physebm.rng.streams import Purpose, key_of, last_word

# Matrices up to this size are diagonalised, larger ones get a Lanczos iteration.
DENSE_SIZE = 600


def one_less_largest(apply: Callable[[np.ndarray], np.ndarray], size: int) -> float:
    """``1 - largest eigenvalue`` of a symmetric matrix given by its action on rows ``[row, size]``.

    NaN where a Lanczos iteration does not find it.
    """
    if size <= DENSE_SIZE:
        matrix = apply(np.eye(size))
        if not np.isfinite(matrix).all():
            return float("nan")
        return 1.0 - float(np.linalg.eigvalsh(0.5 * (matrix + matrix.T))[-1])
    operator = LinearOperator((size, size), matvec=lambda x: apply(x.reshape(1, -1))[0], dtype=float)
    try:
        found = eigsh(
            operator, k=1, which="LA", v0=lanczos_start(size), tol=1e-6, return_eigenvectors=False
        )
    except ArpackNoConvergence:
        return float("nan")
    return 1.0 - float(found[0])


def lanczos_start(size: int) -> np.ndarray:
    """The first vector of a Lanczos iteration: addressed, the same every time."""
    word = philox4x32(np.arange(size), 0, 0, last_word(Purpose.INITIAL_STATE), *key_of(0, "Lanczos"))[0]
    return uniform(word) - 0.5


def coordinates(p: np.ndarray) -> np.ndarray:
    """Orthonormal vectors orthogonal to ``sqrt(p)`` of every unit, ``[unit, state, coordinate]``.

    ``diag(sqrt p)`` times them is an L with ``L L^T = diag(p) - p p^T``, the covariance of indicators,
    and has no direction that couplings do not see. They are the reflection that takes ``sqrt(p)`` to
    minus the first state, less its first column: a state with ``p = 0`` is a coordinate of its own.
    """
    w = np.sqrt(p)
    w[:, 0] += 1.0
    reflection = np.eye(w.shape[1]) - 2.0 * w[:, :, None] * w[:, None, :] / (w**2).sum(1)[:, None, None]
    return reflection[:, :, 1:]

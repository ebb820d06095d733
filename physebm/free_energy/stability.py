"""Smallest eigenvalues of Hessians that are known by their action on vectors."""

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

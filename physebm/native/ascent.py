"""Passes over the arrays of a training, each once through memory.

Numpy goes through temporaries as large as the couplings for each of these; beside its products that is
what an update costs.
"""

from __future__ import annotations

import numpy as np

from physebm.native.kept import kept_njit


def moved(x: np.ndarray, direction: np.ndarray, rate: float) -> np.ndarray:
    """``x + rate direction``, float64; arrays of one shape."""
    out = np.empty(x.shape)
    _move(out.reshape(-1), x.ravel(), direction.ravel(), rate)
    return out


def count_beyond(x: np.ndarray, limit: float) -> int:
    """How many numbers are not within ``[-limit, limit]``; nan is not."""
    return _count_beyond(x.ravel(), limit)


@kept_njit(nogil=True, error_model="numpy")
def _move(out, x, direction, rate):
    for i in range(out.size):
        out[i] = x[i] + rate * direction[i]


@kept_njit(nogil=True, error_model="numpy")
def _count_beyond(x, limit):
    count = 0
    for i in range(x.size):
        count += not (abs(x[i]) <= limit)
    return count

"""Passes over the arrays of a machine of two groups, each once through memory: see `learning.machine`.

Rows are samples followed by chains; samples count ``1 / samples`` in an average, chains minus
``1 / chains``. Sums are taken in double precision, row after row: no bit depends on threads.
"""

from __future__ import annotations

import numpy as np

from physebm.native.kept import kept_njit
from physebm.native.rows import add_row, copy_row

__all__ = ["climbed", "couplings_both_ways", "gathered", "signed_means"]

_REASSOCIATED = {"reassoc", "contract"}
_ROWS = 16


@kept_njit(nogil=True)
def gathered(X, data, rows, chains):
    """``X``: the samples `rows` of the data, then the chains."""
    samples = rows.shape[0]
    for r in range(samples):
        copy_row(X[r], data[rows[r]])
    for c in range(chains.shape[0]):
        copy_row(X[samples + c], chains[c])


@kept_njit(nogil=True, error_model="numpy")
def signed_means(X, p, samples):
    """``<v>`` and ``<h>`` of samples less those of chains, and ``<h>`` of the samples alone.

    X holds int8 states ``[row, visible]``, p conditional means ``[row, hidden]``.
    """
    chains = X.shape[0] - samples
    v_data, v_model = np.zeros(X.shape[1], np.int32), np.zeros(X.shape[1], np.int32)
    h_data, h_model = np.zeros(p.shape[1]), np.zeros(p.shape[1])
    for r in range(X.shape[0]):
        add_row(v_data if r < samples else v_model, X[r])
        add_row(h_data if r < samples else h_model, p[r])
    h_data /= samples
    return v_data / samples - v_model / chains, h_data - h_model / chains, h_data


@kept_njit(nogil=True, error_model="numpy", fastmath=_REASSOCIATED)
def climbed(W, a, b, step_W, step_a, step_b, mu_v, mu_h, rate):
    """``W, a, b`` one step on, float64; offsets (0 where nothing is centred) go into the fields.

    A step in (W, a~, b~) moves ``a = a~ - W mu_h`` and ``b = b~ - mu_v W``.
    """
    n, m = W.shape
    new_W, new_a, new_b = np.empty((n, m)), np.empty(n), np.empty(m)
    shift = np.zeros(m)
    for i in range(n):
        total = 0.0
        for j in range(m):
            step = step_W[i, j]
            total += step * mu_h[j]
            shift[j] += mu_v[i] * step
            new_W[i, j] = W[i, j] + rate * step
        new_a[i] = a[i] + rate * (step_a[i] - total)
    for j in range(m):
        new_b[j] = b[j] + rate * (step_b[j] - shift[j])
    return new_W, new_a, new_b


@kept_njit(nogil=True)
def couplings_both_ways(to_b, to_a, W):
    """``to_b = W`` and ``to_a = W^T`` in single precision, some rows at a time, which stay in cache."""
    n, m = W.shape
    for i in range(0, n, _ROWS):
        rows = to_b[i : i + _ROWS]
        for k in range(rows.shape[0]):
            copy_row(rows[k], W[i + k])
        for j in range(m):
            copy_row(to_a[j, i : i + _ROWS], rows[:, j])

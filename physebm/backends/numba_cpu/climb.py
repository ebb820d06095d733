"""Passes of an update of a small machine of two-state units: blocks of rows, then one step uphill.

An update is that of `learning.machine`. Its rows, samples and then chains, are cut into blocks by their
number alone; every block brings what averages are made of,

    v = sum_r x_r,   h = sum_r p_r,   D = sum_r x_r p_r^T,   p_r = <h | x_r>,

from tables of subset sums in single precision (`native.subset_sums`), any block on any thread. `climb`
adds the blocks up in their order, in double precision, and goes on to the new arrays. These stand in
one row: ``W [visible, hidden]``, then a, then b.
"""

from __future__ import annotations

import numpy as np
from numba import float32, njit

from physebm.backends.numba_cpu.exponential import exp_minus
from physebm.native.machine import couplings_both_ways
from physebm.native.row_nibbles import column_nibbles
from physebm.native.subset_sums import (
    field_room,
    nibble_room,
    source_nibbles,
    subset_product,
    table_room,
)

__all__ = ["ADAM", "BLOCK", "MOMENTUM", "SGD", "climb", "sum_blocks", "written"]

BLOCK = 256  # rows; their fields and means stay in the second cache
SGD, MOMENTUM, ADAM = 0, 1, 2
_REASSOCIATED = {"reassoc", "contract"}
_ONE, _TWO = np.float32(1.0), np.float32(2.0)


@njit(cache=True, nogil=True, error_model="numpy")
def sum_blocks(begin, end, cuts, data, rows, chains, lanes, low, ising, J, b, D, v, h):
    """Write ``D[block], v[block], h[block]`` for blocks ``begin .. end-1``.

    Parameters
    ----------
    cuts
        First and last row of each block, ``[block, 2]``; rows from ``len(rows)`` on are chains.
    data, rows, chains, lanes
        Samples ``x[sample, visible]`` and which of them, chains likewise; int8 in {low, 1}.
    ising
        Whether hidden units are -1 or 1, else 0 or 1.
    J, b
        Couplings ``[visible, hidden]`` and hidden fields, float32.
    """
    n, m = J.shape
    N, F, room = nibble_room(BLOCK, n), field_room(BLOCK, m), table_room()
    P, M, T = np.zeros((BLOCK, m), np.float32), np.zeros((BLOCK // 4, n), np.uint8), field_room(n, m)
    total = np.empty(n, np.int16)
    for block in range(begin, end):
        first, last = cuts[block]
        of_chains = first >= rows.shape[0]
        x = chains if of_chains else data
        chosen = lanes[first - rows.shape[0] : last - rows.shape[0]] if of_chains else rows[first:last]
        size = last - first
        source_nibbles(N, x, chosen, size)
        subset_product(F, N, J, size, low, room)
        _all_means(P, F, b, h[block], size, ising)
        column_nibbles(M, total, x, chosen)
        _copy(v[block], total)
        subset_product(T, M.T, P[:size], n, low, room)
        _copy_rows(D[block], T)


# without counts of references, which atomic instructions keep for every row that is passed on
@njit(error_model="numpy", _nrt=False)
def _all_means(P, F, b, total, size, ising):
    """``P[r] = <h | x_r>`` of fields F without b, and their sum."""
    for j in range(total.shape[0]):
        total[j] = 0
    for r in range(size):
        if ising:
            _ising_means(P[r], F[r], b)
        else:
            _bernoulli_means(P[r], F[r], b)
        _add(total, P[r])


@njit(_nrt=False)
def _copy_rows(places, rows):
    for i in range(places.shape[0]):
        _copy(places[i], rows[i])


@njit(error_model="numpy", _nrt=False, forceinline=True)
def _bernoulli_means(p, field, b):
    for j in range(p.shape[0]):
        theta = field[j] + b[j]
        e = exp_minus(abs(theta))
        p[j] = (e if theta < float32(0.0) else _ONE) / (_ONE + e)


@njit(error_model="numpy", _nrt=False, forceinline=True)
def _ising_means(p, field, b):
    for j in range(p.shape[0]):
        theta = field[j] + b[j]
        e = exp_minus(_TWO * abs(theta))
        size = (_ONE - e) / (_ONE + e)
        p[j] = -size if theta < float32(0.0) else size


@njit(_nrt=False, forceinline=True)
def _add(total, row):
    for i in range(row.shape[0]):
        total[i] += row[i]


@njit(_nrt=False, forceinline=True)
def _copy(place, row):
    for i in range(place.shape[0]):
        place[i] = row[i]


@njit(error_model="numpy")
def _signed_mean(part, parts, samples, chains, of_samples):
    """Averages over samples less those over chains; the first `of_samples` parts are of samples."""
    data, model = np.zeros(parts.shape[1]), np.zeros(parts.shape[1])
    for block in range(parts.shape[0]):
        _add(data if block < of_samples else model, parts[block])
    data /= samples
    for i in range(part.shape[0]):
        part[i] = data[i] - model[i] / chains
    return data


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_REASSOCIATED)
def climb(
    now, new, first, second, gradient, mu_v, mu_h, D, v, h, of_samples, samples, chains, centred,
    follow, begins, rule, decay, decay_square, epsilon, clip, rate, number, largest,
):  # fmt: skip
    """The step from `now` to `new`; the norm of the gradient and how many new numbers are too large.

    Parameters
    ----------
    first, second
        Moments of the optimiser, in the order of `now`.
    mu_v, mu_h
        Offsets; those of hidden units move towards the samples by `follow`, and to them if it `begins`.
    of_samples, samples, chains
        The blocks that are samples, and numbers of rows.
    rule, decay, decay_square, epsilon
        The optimiser: momentum or beta1, and beta2.
    clip
        Largest norm; 0 for any.
    """
    n, m = D.shape[1], D.shape[2]
    g_W = gradient[: n * m].reshape((n, m))
    g_a, g_b = gradient[n * m : n * m + n], gradient[n * m + n :]
    _signed_mean(g_a, v, samples, chains, of_samples)
    mean_h = _signed_mean(g_b, h, samples, chains, of_samples)
    if centred:
        for j in range(m):
            mu_h[j] = mean_h[j] if begins else mu_h[j] + follow * (mean_h[j] - mu_h[j])
    squares = 0.0
    for i in range(n):
        row = g_W[i]
        row[:] = 0
        for block in range(D.shape[0]):
            _add_scaled(row, D[block, i], 1.0 / samples if block < of_samples else -1.0 / chains)
        if centred:
            _add_scaled(row, g_b, -mu_v[i])
            _add_scaled(row, mu_h, -g_a[i])
    for k in range(gradient.shape[0]):
        squares += gradient[k] * gradient[k]
    norm = np.sqrt(squares)
    if clip > 0.0 and norm > clip:
        gradient *= clip / norm
    step = gradient
    if rule == MOMENTUM:
        step = first
        for k in range(step.shape[0]):
            first[k] = decay * first[k] + gradient[k]
    elif rule == ADAM:
        rate /= 1.0 - decay**number
        whole = 1.0 / np.sqrt(1.0 - decay_square**number)
        for k in range(step.shape[0]):
            g = gradient[k]
            first[k] = decay * first[k] + (1.0 - decay) * g
            second[k] = decay_square * second[k] + (1.0 - decay_square) * g * g
            gradient[k] = first[k] / (np.sqrt(second[k]) * whole + epsilon)
    for k in range(step.shape[0]):
        new[k] = now[k] + rate * step[k]
    if centred:
        _take_offsets(new, step, mu_v, mu_h, n, m, rate)
    return norm, _count_beyond(new, largest)


@njit(cache=True, nogil=True)
def written(to_b, to_a, field_a, field_b, single_b, W, a, b):
    """What kernels read of (W, a, b), and b in single precision."""
    couplings_both_ways(to_b, to_a, W)
    _copy(field_a, a)
    _copy(field_b, b)
    _copy(single_b, b)


@njit
def _add_scaled(place, numbers, factor):
    for i in range(place.shape[0]):
        place[i] += factor * numbers[i]


@njit(error_model="numpy", fastmath=_REASSOCIATED)
def _take_offsets(new, step, mu_v, mu_h, n, m, rate):
    """A step in (W, a~, b~) moves ``a = a~ - W mu_h`` and ``b = b~ - mu_v W``."""
    new_b = new[n * m + n :]
    for i in range(n):
        row, total = step[i * m : (i + 1) * m], 0.0
        for j in range(m):
            total += row[j] * mu_h[j]
        new[n * m + i] -= rate * total
        _add_scaled(new_b, row, -rate * mu_v[i])


@njit
def _count_beyond(x, limit):
    """How many numbers are larger than the limit, or none at all."""
    count = 0
    for k in range(x.shape[0]):
        count += not abs(x[k]) <= limit
    return count

"""One step uphill of a small machine of two-state units, from the sums of `sums`.

Blocks are added up in their order, in double precision. Arrays stand in one row: ``W [visible,
hidden]``, then a, then b.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from physebm.backends.numba_cpu.code import CODE
from physebm.native.kept import kept_njit
from physebm.native.machine import couplings_both_ways
from physebm.native.rows import add_row, copy_row

__all__ = ["ADAM", "MOMENTUM", "SGD", "Rules", "Steps", "climb", "written"]

SGD, MOMENTUM, ADAM = 0, 1, 2
_REASSOCIATED = {"reassoc", "contract"}


class Rules(NamedTuple):
    """What an update does beside the rate; see `backends.training.Climb`.

    Attributes
    ----------
    rule, decay, decay_square, epsilon
        The optimiser: momentum or beta1, and beta2.
    clip
        Largest norm; 0 for any.
    """

    samples: int
    chains: int
    centred: bool
    follow: float
    rule: int
    decay: float
    decay_square: float
    epsilon: float
    clip: float
    largest: float


class Steps(NamedTuple):
    """What steps are made of beside the arrays.

    Attributes
    ----------
    first, second
        Moments of the optimiser, in the order of the arrays; empty where it has none.
    gradient
        Room.
    mu_v, mu_h
        Offsets; those of hidden units move towards the samples by `Rules.follow`.
    """

    first: np.ndarray
    second: np.ndarray
    gradient: np.ndarray
    mu_v: np.ndarray
    mu_h: np.ndarray


@kept_njit(CODE, nogil=True, error_model="numpy", fastmath=_REASSOCIATED)
def climb(now, new, steps, data, model, rules, begins, rate, number):
    """The step from `now` to `new`; the norm of the gradient and how many new numbers are too large.

    Parameters
    ----------
    data, model
        Sums over samples and over chains.
    begins
        Whether hidden offsets are those of these samples alone.
    """
    n, m = data.D.shape[1], data.D.shape[2]
    gradient = steps.gradient
    g_W = gradient[: n * m].reshape((n, m))
    g_a, g_b = gradient[n * m : n * m + n], gradient[n * m + n :]
    _signed_mean(g_a, data.v, model.v, rules)
    mean_h, mu_h = _signed_mean(g_b, data.h, model.h, rules), steps.mu_h
    if rules.centred:
        for j in range(m):
            mu_h[j] = mean_h[j] if begins else mu_h[j] + rules.follow * (mean_h[j] - mu_h[j])
    squares = 0.0
    for i in range(n):
        row = g_W[i]
        row[:] = 0
        for block in range(data.D.shape[0]):
            _add_scaled(row, data.D[block, i], 1.0 / rules.samples)
        for block in range(model.D.shape[0]):
            _add_scaled(row, model.D[block, i], -1.0 / rules.chains)
        if rules.centred:
            _add_scaled(row, g_b, -steps.mu_v[i])
            _add_scaled(row, mu_h, -g_a[i])
    for k in range(gradient.shape[0]):
        squares += gradient[k] * gradient[k]
    norm = np.sqrt(squares)
    if rules.clip > 0.0 and norm > rules.clip:
        gradient *= rules.clip / norm
    step, first, second, decay = gradient, steps.first, steps.second, rules.decay
    if rules.rule == MOMENTUM:
        step = first
        for k in range(step.shape[0]):
            first[k] = decay * first[k] + gradient[k]
    elif rules.rule == ADAM:
        of_square = rules.decay_square
        rate /= 1.0 - decay**number
        whole = 1.0 / np.sqrt(1.0 - of_square**number)
        for k in range(step.shape[0]):
            g = gradient[k]
            first[k] = decay * first[k] + (1.0 - decay) * g
            second[k] = of_square * second[k] + (1.0 - of_square) * g * g
            gradient[k] = first[k] / (np.sqrt(second[k]) * whole + rules.epsilon)
    for k in range(step.shape[0]):
        new[k] = now[k] + rate * step[k]
    if rules.centred:
        _take_offsets(new, step, steps.mu_v, mu_h, n, m, rate)
    return norm, _count_beyond(new, rules.largest)


@kept_njit(CODE, nogil=True)
def written(machine, now):
    """Let kernels read the arrays `now`."""
    n, m = machine.to_b.shape
    b = now[n * m + n :]
    couplings_both_ways(machine.to_b, machine.to_a, now[: n * m].reshape((n, m)))
    copy_row(machine.field_a, now[n * m : n * m + n])
    copy_row(machine.field_b, b)
    copy_row(machine.b[:m], b)


@njit(error_model="numpy")
def _signed_mean(part, data, model, rules):
    """Averages over samples less those over chains, from sums by block; those over samples."""
    of_data, of_model = np.zeros(part.shape[0]), np.zeros(part.shape[0])
    for block in range(data.shape[0]):
        add_row(of_data, data[block])
    for block in range(model.shape[0]):
        add_row(of_model, model[block])
    of_data /= rules.samples
    for i in range(part.shape[0]):
        part[i] = of_data[i] - of_model[i] / rules.chains
    return of_data


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

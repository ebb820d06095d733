"""The Curie-Weiss ferromagnet: exact sums over the magnetisation, and the thermodynamic limit.

``H = -(1/N) sum_{i<j} s_i s_j - h sum_i s_i = -(M^2 - N) / (2 N) - h M`` with ``M = sum_i s_i``: no
self term, which would only shift H by -1/2. Critical point beta = 1. Energies, specific heats and
free energies are per spin, log Z is the total, ``m = M / N``. Everything broadcasts over `beta` >= 0
and `field`; a finite size costs N + 1 terms per point.

Source: definition; M. Kac in "Statistical Physics: Phase Transitions and Superfluidity", Brandeis
1966 (1968).
"""

from __future__ import annotations

import numpy as np
from scipy.special import gammaln

from physebm.errors import InputError


def log_z(beta, size: int, field=0.0):
    """Total log Z: ``log sum_M binomial(N, (N + M)/2) exp(-beta H)``."""
    return _out(_distribution(beta, size, field)[0])


def free_energy(beta, size: int, field=0.0):
    """Free energy per spin, ``-log Z / (beta N)``; -inf at beta = 0."""
    with np.errstate(divide="ignore"):
        return _out(-_distribution(beta, size, field)[0] / (size * np.asarray(beta, dtype=float)))


def energy(beta, size: int, field=0.0):
    """``<H> / N``."""
    _, p, h, _ = _distribution(beta, size, field)
    return _out((p * h).sum(axis=-1) / size)


def entropy(beta, size: int, field=0.0):
    """Entropy per spin, ``(log Z + beta <H>) / N``."""
    log_z, p, h, _ = _distribution(beta, size, field)
    return _out((log_z + np.asarray(beta, dtype=float) * (p * h).sum(axis=-1)) / size)


def specific_heat(beta, size: int, field=0.0):
    """``beta^2 (<H^2> - <H>^2) / N``."""
    _, p, h, _ = _distribution(beta, size, field)
    spread = h - (p * h).sum(axis=-1, keepdims=True)
    return _out(np.asarray(beta, dtype=float) ** 2 * (p * spread**2).sum(axis=-1) / size)


def magnetisation(beta, size: int, field=0.0):
    """``<m>``; 0 without a field, at every finite size."""
    return _moment(beta, size, field, lambda m: m)


def abs_magnetisation(beta, size: int, field=0.0):
    """``<|m|>``."""
    return _moment(beta, size, field, np.abs)


def m2(beta, size: int, field=0.0):
    """``<m^2>``."""
    return _moment(beta, size, field, lambda m: m**2)


def m4(beta, size: int, field=0.0):
    """``<m^4>``."""
    return _moment(beta, size, field, lambda m: m**4)


def binder(beta, size: int, field=0.0):
    """``1 - <m^4> / (3 <m^2>^2)``."""
    return 1.0 - m4(beta, size, field) / (3.0 * m2(beta, size, field) ** 2)


def susceptibility(beta, size: int, field=0.0):
    """``beta N (<m^2> - <|m|>^2)``."""
    connected = m2(beta, size, field) - abs_magnetisation(beta, size, field) ** 2
    return _out(np.asarray(beta, dtype=float) * size * connected)


def magnetisation_distribution(beta: float, size: int, field: float = 0.0):
    """The N + 1 values of m and their probabilities."""
    _, p, _, m = _distribution(float(beta), size, float(field))
    return m, p


def limit_magnetisation(beta, field=0.0):
    """The stable solution of ``m = tanh(beta (m + h))``; the positive one at h = 0."""
    beta, field = _limit_arguments(beta, field)
    return _out(_limit(beta, field))


def limit_free_energy(beta, field=0.0):
    """``m^2 / 2 - log(2 cosh(beta (m + h))) / beta``; -inf at beta = 0."""
    beta, field = _limit_arguments(beta, field)
    m = _limit(beta, field)
    log_cosh = np.logaddexp(beta * (m + field), -beta * (m + field))
    with np.errstate(divide="ignore"):
        return _out(m**2 / 2.0 - log_cosh / beta)


def limit_energy(beta, field=0.0):
    """``-m^2 / 2 - h m``."""
    beta, field = _limit_arguments(beta, field)
    m = _limit(beta, field)
    return _out(-(m**2) / 2.0 - field * m)


def limit_specific_heat(beta, field=0.0):
    """``-beta^2 de/dbeta``; without a field 3/2 just below T_c and 0 at it and above."""
    beta, field = _limit_arguments(beta, field)
    m = _limit(beta, field)
    local, variance = m + field, (1.0 - m) * (1.0 + m)
    gap = 1.0 - beta * variance
    return _out(beta**2 * local**2 * variance / np.where(local == 0.0, 1.0, gap))


def limit_susceptibility(beta, field=0.0):
    """``dm/dh = beta (1 - m^2) / (1 - beta (1 - m^2))``; inf at the critical point."""
    beta, field = _limit_arguments(beta, field)
    m = _limit(beta, field)
    variance = (1.0 - m) * (1.0 + m)
    with np.errstate(divide="ignore"):
        return _out(beta * variance / (1.0 - beta * variance))


def _distribution(beta, size, field):
    """Log Z [...], p [..., M], H [..., M] and m [M] over the N + 1 values of the magnetisation."""
    if size != int(size) or size < 1:
        raise InputError("curie_weiss: size", got=size, expected="an integer >= 1")
    beta, field = _limit_arguments(beta, field)
    up = np.arange(size + 1)
    total = (2 * up - size).astype(float)
    log_count = gammaln(size + 1) - gammaln(up + 1) - gammaln(size - up + 1)
    hamiltonian = -(total**2 - size) / (2.0 * size) - field[..., None] * total
    exponent = log_count - beta[..., None] * hamiltonian
    top = exponent.max(axis=-1, keepdims=True)
    weight = np.exp(exponent - top)
    z = weight.sum(axis=-1, keepdims=True)
    return (np.log(z) + top)[..., 0], weight / z, hamiltonian, total / size


def _moment(beta, size, field, function):
    _, p, _, m = _distribution(beta, size, field)
    return _out((p * function(m)).sum(axis=-1))


def _limit(beta, field):
    """Newton from above on ``m - tanh(beta (m + |h|))``, convex there: monotone, never overshoots."""
    m, strength = np.ones_like(beta), np.abs(field)
    for _ in range(100):
        tanh = np.tanh(beta * (m + strength))
        gap = 1.0 - beta * (1.0 - tanh) * (1.0 + tanh)
        step = np.where(gap > 0.0, (m - tanh) / np.where(gap > 0.0, gap, 1.0), 0.0)
        m = np.clip(m - step, 0.0, 1.0)
        if np.all(np.abs(step) <= 1e-16):
            break
    # Without a field, from T_c up, Newton only creeps towards the exact answer.
    return np.where((strength == 0.0) & (beta <= 1.0), 0.0, np.where(field < 0.0, -m, m))


def _limit_arguments(beta, field):
    beta, field = np.broadcast_arrays(
        np.asarray(beta, dtype=np.float64), np.asarray(field, dtype=np.float64)
    )
    if not np.all(np.isfinite(beta) & (beta >= 0.0)):
        raise InputError("curie_weiss: beta", got=beta, expected="finite, >= 0")
    if not np.all(np.isfinite(field)):
        raise InputError("curie_weiss: field", got=field, expected="finite")
    return beta, field


def _out(value):
    """A float for scalar input, an array otherwise."""
    return float(value) if np.ndim(value) == 0 else value

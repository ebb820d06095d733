"""The Sherrington-Kirkpatrick spin glass in the thermodynamic limit: replica symmetry and Parisi.

``H = - sum_{i<j} J_ij s_i s_j - h sum_i s_i`` with J_ij of mean 0 and variance 1/N; T_c = 1. Energies
and free energies are per spin and averaged over the disorder.

Replica symmetry is exact where `valid_rs` holds, on the high side of the de Almeida-Thouless line;
below it use `parisi` (h = 0), whose K steps converge like K^-4 to Parisi's exact solution, the free
energy from below.

With steps ``q(x) = q_i`` for ``m_i < x < m_{i+1}`` (q_0 = 0, m_0 = 0, m_{K+1} = 1)::

    g_{K+1}(y) = ln 2 cosh(y / T)
    g_i(y) = (1 / m_i) ln <exp(m_i g_{i+1}(y + z sqrt(q_i - q_{i-1})))>_z
    f = -(1 - 2 q_K + integral q(x)^2 dx) / (4 T) - T g_1(0),   maximal over all q_i and m_i
    e = -(1 - integral q(x)^2 dx) / (2 T)

Sources: D. Sherrington and S. Kirkpatrick, Phys. Rev. Lett. 35, 1792 (1975); J. R. L. de Almeida and
D. J. Thouless, J. Phys. A 11, 983 (1978); G. Parisi, J. Phys. A 13, L115 and 1101 (1980).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.optimize import brentq, minimize

from physebm.errors import InputError
from physebm.theory.gaussian import gaussian_moments

COLDEST = 0.05


@dataclass(frozen=True, slots=True)
class ReplicaSymmetric:
    """The replica-symmetric solution at one temperature and field.

    Attributes
    ----------
    q, m
        Edwards-Anderson parameter and magnetisation.
    free_energy, energy, entropy
        Per spin; the entropy turns negative at low temperature, where the theory fails.
    stability
        ``1 - <sech^4(u / T)> / T^2``, the replicon eigenvalue; negative: not a solution of the model.
    """

    q: float
    m: float
    free_energy: float
    energy: float
    entropy: float
    stability: float


@dataclass(frozen=True, slots=True)
class Parisi:
    """K-step replica-symmetry-broken solution without field.

    Attributes
    ----------
    q, m
        Overlaps ``q_1 < ... < q_K`` and breakpoints ``m_1 < ... < m_K``; empty from T_c up.
    free_energy, energy, entropy
        Per spin.
    free_energy_error, energy_error
        Change from K - 1 to K steps (from replica symmetry for K = 1). What is missing to the limit
        is of that size at K = 6 and less for fewer steps, half of it at K = 4.
    """

    q: tuple[float, ...]
    m: tuple[float, ...]
    free_energy: float
    energy: float
    entropy: float
    free_energy_error: float
    energy_error: float


def replica_symmetric(temperature: float, field: float = 0.0) -> ReplicaSymmetric:
    """Solve ``q = <tanh^2((h + sqrt(q) z) / T)>``; the solution with q > 0 where there is one."""
    temperature, field = _checked(temperature, field)
    q = _overlap(temperature, field)
    here = gaussian_moments(field, np.sqrt(q), temperature)
    c = here.c
    free = -temperature * c**2 / 4.0 - here.log_cosh
    energy = -c * (1.0 + q) / 2.0 - field * here.m
    if temperature > 0.0:
        entropy, stability = (energy - free) / temperature, 1.0 - here.four / temperature
    else:
        entropy, stability = -(c**2) / 4.0, -np.inf
    return ReplicaSymmetric(*map(float, (q, here.m, free, energy, entropy, stability)))


def overlap(temperature, field=0.0):
    """Replica-symmetric q; broadcasts."""
    return _over(lambda t, h: replica_symmetric(t, h).q, temperature, field)


def stability(temperature, field=0.0):
    """Replicon eigenvalue of the replica-symmetric solution (de Almeida, Thouless); broadcasts."""
    return _over(lambda t, h: replica_symmetric(t, h).stability, temperature, field)


def valid_rs(temperature, field=0.0):
    """True where the replica-symmetric solution is stable, so that its values hold; broadcasts."""
    found = np.asarray(stability(temperature, field)) >= 0.0
    return bool(found) if found.ndim == 0 else found


def at_temperature(field):
    """T_AT(h): the de Almeida-Thouless line, 1 at h = 0; broadcasts.

    0 where it is below 1e-12 (``|h|`` above 7).
    """

    def solve(h):
        if h == 0.0:
            return 1.0
        low = 1e-12
        if replica_symmetric(low, h).stability > 0.0:
            return 0.0
        return brentq(lambda t: replica_symmetric(t, h).stability, low, 1.0, xtol=1e-15)

    return _over(lambda h: solve(abs(h)), field)


def at_field(temperature):
    """h_AT(T) >= 0: the same line read the other way; 0 from T = 1 up, inf at T = 0; broadcasts."""

    def solve(t):
        t, _ = _checked(t, 0.0)
        if t >= 1.0 or t == 0.0:
            return 0.0 if t > 0.0 else np.inf
        return brentq(lambda h: replica_symmetric(t, h).stability, 0.0, 40.0, xtol=1e-14)

    return _over(solve, temperature)


@lru_cache(maxsize=512)
def parisi(temperature: float, steps: int = 4) -> Parisi:
    """The K-step solution at h = 0 and ``temperature >= 0.05``; computed once, then remembered.

    Rounding leaves 1e-12 in f and 1e-9 in e at every temperature; from T = 0.97 up the functional
    is so flat that q and m keep few digits.
    """
    temperature, _ = _checked(temperature, 0.0)
    if temperature < COLDEST:
        hint = "the convergence in K slows down towards T = 0"
        raise InputError("sk.parisi: temperature", got=temperature, expected=">= 0.05", hint=hint)
    if steps != int(steps) or not 1 <= steps <= 6:
        raise InputError("sk.parisi: steps", got=steps, expected="an integer from 1 to 6")
    if temperature >= 1.0:
        state = replica_symmetric(temperature)
        return Parisi((), (), state.free_energy, state.energy, state.entropy, 0.0, 0.0)
    q, m = _maximise(temperature, int(steps))
    free = _functional(q, m, temperature)[0] * temperature
    energy = -(1.0 - _square(q, m)) / (2.0 * temperature)
    before = replica_symmetric(temperature) if steps == 1 else parisi(temperature, steps - 1)
    return Parisi(
        tuple(map(float, q)),
        tuple(map(float, m)),
        float(free),
        float(energy),
        float((energy - free) / temperature),
        abs(float(free - before.free_energy)),
        abs(float(energy - before.energy)),
    )


def _overlap(temperature, field):
    if temperature == 0.0:
        return 1.0
    if field == 0.0 and temperature >= 1.0:
        return 0.0

    def excess(q):
        return gaussian_moments(field, np.sqrt(q), temperature).q - q

    # Without a field q = 0 solves too; <tanh^2> / q falls from T^-2 > 1, so it is left aside.
    low = 0.0 if field != 0.0 else 1e-3 * (1.0 - temperature)
    if excess(low) <= 0.0:
        return low
    return brentq(excess, low, 1.0, xtol=1e-16, rtol=1e-15)


def _square(q, m):
    """Integral of q(x)^2 over x."""
    return float(np.diff(np.append(m, 1.0)) @ q**2)


def _functional(q, m, temperature):
    """Beta f and its gradient with respect to q and m, on a grid of local fields.

    Each level convolves on a grid that reaches far enough for the next; the trapezoidal rule needs
    a step of 0.6 of the narrowest Gaussian and a fifth of T for 1e-13. The gradient uses the tilted
    measures, propagated forward from y = 0.
    """
    sigmas = np.sqrt(np.diff(np.concatenate([[0.0], q])))
    step = min(sigmas.min() / 1.6, temperature / 5.0)
    reaches = [int(np.ceil(9.0 * sigma / step)) for sigma in sigmas]
    kernels = []
    for sigma, reach in zip(sigmas, reaches):
        z = step * np.arange(-reach, reach + 1) / sigma
        kernel = np.exp(-(z**2) / 2.0)
        kernels.append(kernel / kernel.sum())
    y = step * np.arange(-sum(reaches), sum(reaches) + 1) / temperature
    levels, slopes = [np.logaddexp(y, -y)], [np.tanh(y)]
    weights = []
    for i in reversed(range(len(q))):
        top = m[i] * levels[0].max()
        weight = np.exp(m[i] * levels[0] - top)
        total = np.convolve(weight, kernels[i], mode="valid")
        slopes.insert(0, np.convolve(weight * slopes[0], kernels[i], mode="valid") / total)
        levels.insert(0, (np.log(total) + top) / m[i])
        weights.insert(0, (weight, total))
    grad_q, grad_m = np.empty_like(q), np.empty_like(m)
    measure, previous = np.ones(1), 0.0
    upper = np.append(m, 1.0)
    for i, (weight, total) in enumerate(weights):
        lower_mean = measure @ levels[i]
        measure = np.convolve(measure / total, kernels[i], mode="full") * weight
        grad_q[i] = (upper[i + 1] - m[i]) * (measure @ slopes[i + 1] ** 2 - q[i])
        grad_m[i] = (q[i] ** 2 - previous**2) / (4.0 * temperature**2)
        grad_m[i] -= (measure @ levels[i + 1] - lower_mean) / m[i]
        previous = q[i]
    value = -(1.0 - 2.0 * q[-1] + _square(q, m)) / (4.0 * temperature**2) - levels[0][0]
    return value, grad_q / (2.0 * temperature**2), grad_m


def _start(temperature, steps):
    """Where to look: an expansion near T_c, the solution at a higher temperature below 0.3."""
    if temperature < 0.3:
        q, m = _maximise(min(1.5 * temperature, 0.3), steps)
        ratio = temperature / min(1.5 * temperature, 0.3)
        # Towards T = 0 the function q of x / T tends to a limit, and 1 - q_K vanishes as T^2.
        return q * (1.0 - ratio**2 * (1.0 - q[-1])) / q[-1], ratio * m
    tau, count = 1.0 - temperature, np.arange(1, steps + 1)
    largest = tau + tau**2 - tau**3
    longest = largest / (0.5 + 1.5 * tau + 0.4 * tau**2)
    return largest * count / steps, longest * (2 * count - 1) / (2.0 * steps)


@lru_cache(maxsize=512)
def _maximise(temperature, steps):
    """The q and m at which the functional is largest: BFGS, then Newton."""
    q, m = _start(temperature, steps)

    def split(x):
        return np.cumsum(np.exp(x[:steps])), np.cumsum(np.exp(x[steps:]))

    # The size of the gain over replica symmetry, so that every temperature looks alike.
    scale = (1.0 - temperature) ** 5

    def objective(x):
        q, m = split(x)
        if q[-1] >= 1.0 or m[-1] >= 1.0:
            return np.inf, np.zeros_like(x)
        value, grad_q, grad_m = _functional(q, m, temperature)
        gradient = [np.cumsum(g[::-1])[::-1] for g in (grad_q, grad_m)]
        return -value / scale, -np.concatenate(gradient) * np.exp(x) / scale

    start = np.log(np.concatenate([np.diff(q, prepend=0.0), np.diff(m, prepend=0.0)]))
    x = minimize(objective, start, jac=True, method="BFGS", options={"gtol": 1e-8}).x
    best, smallest = x, np.inf
    for _ in range(40):
        gradient = objective(x)[1]
        if np.abs(gradient).max() < smallest:
            best, smallest = x, np.abs(gradient).max()
        curvature = np.array(
            [
                (objective(x + shift)[1] - objective(x - shift)[1]) / 2e-4
                for shift in 1e-4 * np.eye(2 * steps)
            ]
        )
        value, vector = np.linalg.eigh((curvature + curvature.T) / 2.0)
        value = np.maximum(np.abs(value), 1e-12 * np.abs(value).max())
        move = -vector @ ((vector.T @ gradient) / value)
        # Many steps near T_c leave soft directions: moves are kept short, and always downhill.
        largest = np.abs(move).max()
        x = x + move * min(1.0, 0.3 / largest)
        if largest < 1e-9:
            break
    return split(best)


def _checked(temperature, field):
    if not (np.isfinite(temperature) and temperature >= 0.0):
        raise InputError("sk theory: temperature", got=temperature, expected="finite, >= 0")
    if not np.isfinite(field):
        raise InputError("sk theory: field", got=field, expected="finite")
    return float(temperature), float(field)


def _over(function, *arguments):
    """Apply a scalar function over broadcast arguments; a float for scalars."""
    arrays = np.broadcast_arrays(*(np.asarray(x, dtype=np.float64) for x in arguments))
    flat = [float(function(*map(float, point))) for point in zip(*(a.ravel() for a in arrays))]
    return flat[0] if arrays[0].ndim == 0 else np.array(flat).reshape(arrays[0].shape)

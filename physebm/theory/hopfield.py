"""The Hopfield model in the thermodynamic limit: replica-symmetric theory at load alpha = P/N.

``H = -(1/N) sum_{i<j} sum_mu xi_i^mu xi_j^mu s_i s_j``, xi = +-1 unbiased, one condensed pattern with
overlap m. Energies and free energies are per spin; ``alpha / 2`` is the removed diagonal. With
``u = m + sigma z``, z standard normal, ``sigma^2 = alpha r`` and ``C = (1 - q) / T``::

    m = <tanh(u / T)>    q = <tanh^2(u / T)>    r = q / (1 - C)^2
    f = alpha/2 + m^2/2 + alpha r C / 2 + (alpha/2) [T ln(1 - C) - q / (1 - C)] - T <ln 2 cosh(u/T)>
    e = -m^2/2 - (alpha/2) [C / (1 - C) + r C]

Solving by sigma: at given (sigma, T) the overlap is the largest root of a concave equation, and
then ``alpha = sigma^2 (1 - C)^2 / q`` is explicit. Along a line of constant T it rises from 0 to the
spinodal alpha_M(T) (the retrieval branch) and falls back to 0 (the unstable one); so no iteration
is started from a guess and no branch is missed. T = 0 is an ordinary point.

The theory is replica symmetric: below the de Almeida-Thouless line (`State.replicon` < 0) it is an
approximation; there it makes the spinodal bend back slightly near T = 0.

Sources: D. J. Amit, H. Gutfreund, H. Sompolinsky, Phys. Rev. Lett. 55, 1530 (1985) and Ann. Phys. 173,
30 (1987); for alpha = 0 Phys. Rev. A 32, 1007 (1985).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.optimize import brentq, minimize_scalar

from physebm.errors import InputError
from physebm.theory.gaussian import gaussian_moments


@dataclass(frozen=True, slots=True)
class State:
    """One replica-symmetric solution.

    Attributes
    ----------
    alpha, temperature
        Where it lives.
    m, q, r
        Overlap with the condensed pattern, Edwards-Anderson parameter, mean square overlap with the
        others in units of alpha (AGS 1987, eqs. 3.7-3.9).
    c
        Susceptibility ``C = (1 - q) / T``; finite at T = 0.
    free_energy, energy
        Per spin.
    replicon
        ``1 - (alpha / T^2) <cosh^-4(u / T)> / (1 - C)^2``; negative where replica symmetry is broken
        (AGS 1987, sec. 6); -inf at T = 0 and alpha > 0.
    """

    alpha: float
    temperature: float
    m: float
    q: float
    r: float
    c: float
    free_energy: float
    energy: float
    replicon: float

    @property
    def entropy(self) -> float:
        """Per spin, ``(e - f) / T``; NaN at T = 0."""
        return (self.energy - self.free_energy) / self.temperature if self.temperature else float("nan")


def retrieval(alpha: float, temperature: float) -> State | None:
    """The (meta)stable retrieval solution, or None beyond the spinodal T_M(alpha)."""
    alpha, temperature = _checked(alpha, temperature)
    if temperature >= 1.0:
        return None
    if alpha == 0.0:
        return _state(alpha, temperature, curie_weiss_overlap(temperature), 0.0)
    sigma_spinodal, alpha_spinodal = _spinodal(temperature)
    if alpha > alpha_spinodal:
        return None

    def excess(sigma):
        return _load(sigma, temperature)[0] - alpha if sigma > 0.0 else -alpha

    if excess(sigma_spinodal) <= 0.0:
        sigma = sigma_spinodal
    else:
        sigma = brentq(excess, 0.0, sigma_spinodal, xtol=1e-15, rtol=1e-14)
    return _state(alpha, temperature, _overlap(sigma, temperature), sigma)


def spin_glass(alpha: float, temperature: float) -> State:
    """The solution without retrieval: m = 0; paramagnetic (q = 0) from ``T_g = 1 + sqrt(alpha)`` up.

    At alpha = 0 there is no spin glass and the result is the paramagnet at every temperature.
    """
    alpha, temperature = _checked(alpha, temperature)
    if alpha == 0.0 or temperature >= glass_temperature(alpha):
        return _state(alpha, temperature, 0.0, 0.0)

    def excess(sigma):
        here = gaussian_moments(0.0, sigma, temperature)
        return sigma * (1.0 - here.c) / np.sqrt(here.q) - np.sqrt(alpha)

    # sigma falls with T from its value at T = 0; below it, C = 1 bounds it for T < 1.
    high = 1.01 * (np.sqrt(2.0 / np.pi) + np.sqrt(alpha))
    low = _sigma_without_overlap(temperature) if temperature < 1.0 else 1e-7 * high
    if excess(low) >= 0.0:
        return _state(alpha, temperature, 0.0, 0.0)
    sigma = brentq(excess, low, high, xtol=1e-15, rtol=1e-14)
    return _state(alpha, temperature, 0.0, sigma)


def equilibrium(alpha: float, temperature: float) -> State:
    """The solution with the lower free energy: retrieval below T_c(alpha), else the one without."""
    stored, other = retrieval(alpha, temperature), spin_glass(alpha, temperature)
    return other if stored is None or other.free_energy < stored.free_energy else stored


def retrieval_overlap(alpha, temperature):
    """Overlap m of the retrieval solution; broadcasts; NaN where there is none."""
    return _over(lambda a, t: getattr(retrieval(a, t), "m", np.nan), alpha, temperature)


def curie_weiss_overlap(temperature):
    """The positive solution of ``m = tanh(m / T)``, the retrieval overlap at alpha = 0; broadcasts."""

    def solve(t):
        if t >= 1.0:
            return 0.0
        m = 1.0
        for _ in range(200):
            tanh = np.tanh(m / t) if t > 0.0 else 1.0
            slope = (1.0 - tanh**2) / t if t > 0.0 else 0.0
            step = (m - tanh) / (1.0 - slope)
            m -= step
            if abs(step) <= 1e-16 * m or step <= 0.0:
                break
        return m

    return _over(solve, temperature)


def glass_temperature(alpha):
    """``T_g = 1 + sqrt(alpha)``: the paramagnet freezes here (AGS 1985)."""
    return 1.0 + np.sqrt(alpha)


def spinodal_load(temperature):
    """alpha_M(T): the largest load with a retrieval solution at T; 0 from T = 1 up; broadcasts."""
    return _over(lambda t: _spinodal(_checked(0.0, t)[1])[1], temperature)


def spinodal_temperature(alpha):
    """T_M(alpha): the highest temperature with a retrieval solution; NaN beyond; broadcasts."""

    def solve(a):
        a, _ = _checked(a, 0.0)
        if a == 0.0:
            return 1.0
        turn, top = _turning_point()
        if a > top:
            return np.nan
        return brentq(lambda t: np.sqrt(_spinodal(t)[1]) - np.sqrt(a), turn, 1.0, xtol=1e-13)

    return _over(solve, alpha)


def transition_temperature(alpha):
    """T_c(alpha): below it retrieval has a lower free energy than the spin glass; broadcasts.

    NaN where it never has. The transition is of first order. Replica symmetry bends the line back
    near T = 0, by 1e-3 in alpha: the upper branch is returned.
    """

    def solve(a):
        a, _ = _checked(a, 0.0)
        if a == 0.0:
            return 1.0
        if a > critical_load():
            return np.nan
        low = 0.0 if a <= transition_load() else _best_temperature(a)
        if a > transition_load() and _advantage(a, low) < 0.0:
            return np.nan
        # Just below the spinodal, where rounding cannot lose the solution.
        high = (1.0 - 1e-9) * spinodal_temperature(a)
        return brentq(lambda t: _advantage(a, t), low, high, xtol=1e-13)

    return _over(solve, alpha)


def critical_load() -> float:
    """alpha_c = 0.1379: the capacity at T = 0 (AGS 1985), where the overlap jumps to 0 from 0.967."""
    return _spinodal(0.0)[1]


@lru_cache(maxsize=1)
def transition_load() -> float:
    """alpha_1 = 0.0519: up to here retrieval is the ground state at T = 0 (AGS 1985, as 0.051)."""
    return brentq(lambda a: _advantage(a, 0.0), 1e-3, critical_load() - 1e-9, xtol=1e-15)


def _advantage(alpha, temperature):
    """Free energy of the spin glass minus that of retrieval."""
    stored = retrieval(alpha, temperature)
    return spin_glass(alpha, temperature).free_energy - stored.free_energy


def _best_temperature(alpha):
    """Where the advantage of retrieval is largest."""
    high = 0.9 * spinodal_temperature(alpha)
    found = minimize_scalar(lambda t: -_advantage(alpha, float(t)), bounds=(0.0, high))
    return float(found.x)


def _overlap(sigma, temperature):
    """Largest root of ``m = <tanh>``: Newton from above on a convex function, so monotone."""
    m = 1.0
    for _ in range(100):
        here = gaussian_moments(m, sigma, temperature)
        step = (m - here.m) / max(1.0 - here.c, 1e-12)
        m = max(m - step, 0.0)
        if step <= 1e-15:
            break
    return min(m, 1.0)


def _load(sigma, temperature):
    """The load at which `sigma` is a solution, and the sign-carrying part of its derivative."""
    here = gaussian_moments(_overlap(sigma, temperature), sigma, temperature)
    gap, q = 1.0 - here.c, here.q
    total = here.c_sigma * gap + sigma * here.c_m**2  # (1 - C) dC/dsigma at constant T
    slope = 2.0 * gap**2 / sigma - (2.0 - temperature * gap / q) * total
    return sigma**2 * gap**2 / q, slope


def _sigma_without_overlap(temperature):
    """The sigma at which C = 1 for m = 0: beyond it no overlap survives. T < 1."""
    return brentq(
        lambda sigma: gaussian_moments(0.0, sigma, temperature).c - 1.0, 1e-9, 1.0, xtol=1e-15
    )


@lru_cache(maxsize=4096)
def _spinodal(temperature):
    """(sigma, alpha) at the top of the line of constant temperature."""
    if temperature >= 1.0:
        return 0.0, 0.0
    end = _sigma_without_overlap(temperature)
    sigma = brentq(lambda s: _load(s, temperature)[1], 1e-3 * end, (1.0 - 1e-6) * end, xtol=1e-15)
    return sigma, _load(sigma, temperature)[0]


@lru_cache(maxsize=1)
def _turning_point():
    """(T, alpha) of the largest load of all: slightly above T = 0 in replica symmetry."""
    found = minimize_scalar(
        lambda t: -_spinodal(float(t))[1],
        bounds=(0.0, 0.2),
        method="bounded",
        options={"xatol": 1e-9},
    )
    return float(found.x), -float(found.fun)


def _state(alpha, temperature, m, sigma):
    if sigma == 0.0:
        return _noiseless(alpha, temperature, m)
    here = gaussian_moments(m, sigma, temperature)
    q, c, r = here.q, here.c, sigma**2 / alpha
    free = (
        alpha / 2.0
        + m**2 / 2.0
        + alpha * r * c / 2.0
        + (alpha / 2.0) * (temperature * np.log1p(-c) - q / (1.0 - c))
        - here.log_cosh
    )
    energy = -(m**2) / 2.0 - (alpha / 2.0) * (c / (1.0 - c) + r * c)
    breaking = alpha * here.four / (temperature * (1.0 - c) ** 2) if temperature > 0.0 else np.inf
    return State(*map(float, (alpha, temperature, m, q, r, c, free, energy, 1.0 - breaking)))


def _noiseless(alpha, temperature, m):
    """Paramagnet at any alpha (m = 0), or the state of few patterns (alpha = 0)."""
    if temperature == 0.0:
        return State(alpha, 0.0, m, m**2, 1.0, 0.0, -(m**2) / 2.0, -(m**2) / 2.0, 1.0)
    q = m**2
    c = (1.0 - q) / temperature
    log_cosh = m / temperature + np.log1p(np.exp(-2.0 * m / temperature))
    free = m**2 / 2.0 - temperature * log_cosh
    energy, r, replicon = -(m**2) / 2.0, q / (1.0 - c) ** 2 if c != 1.0 else 0.0, 1.0
    if alpha > 0.0:
        free += (alpha / 2.0) * (1.0 + temperature * np.log1p(-c))
        energy -= (alpha / 2.0) * c / (1.0 - c)
        replicon = 1.0 - alpha * (c / (1.0 - c)) ** 2
    return State(*map(float, (alpha, temperature, m, q, r, c, free, energy, replicon)))


def _checked(alpha, temperature):
    if not (np.isfinite(alpha) and alpha >= 0.0):
        raise InputError("hopfield theory: alpha", got=alpha, expected="finite, >= 0")
    if not (np.isfinite(temperature) and temperature >= 0.0):
        raise InputError("hopfield theory: temperature", got=temperature, expected="finite, >= 0")
    return float(alpha), float(temperature)


def _over(function, *arguments):
    """Apply a scalar function over broadcast arguments; a float for scalars."""
    arrays = np.broadcast_arrays(*(np.asarray(x, dtype=np.float64) for x in arguments))
    flat = [float(function(*map(float, point))) for point in zip(*(a.ravel() for a in arrays))]
    return flat[0] if arrays[0].ndim == 0 else np.array(flat).reshape(arrays[0].shape)

"""Unit types: a prior is a cumulant generating function.

Everything that inference needs of a unit with field `theta` and extra precision `lam` follows from

    Gamma(theta, lam) = log int rho(x) exp(theta x - lam x^2 / 2) dx,

its first derivative (conditional mean) and its second (conditional variance). Discrete priors are
counting measures (so Gamma(0) = log 2 for an Ising unit), continuous priors normalised densities.

Features
    A scalar unit couples through its value (one feature), a Potts unit through the indicator of its
    state (`q` features); `theta` has a last axis of that length for Potts units and none otherwise.

Numerics follow log1p, expm1 and erfcx forms, so nothing overflows at large `theta`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from scipy.special import erfcx, log_ndtr, logsumexp, softmax


class UnitKind(StrEnum):
    """The names of the priors in a model file."""

    ISING = "ising"
    BERNOULLI = "bernoulli"
    POTTS = "potts"
    GAUSSIAN = "gaussian"
    TRUNCATED_GAUSSIAN = "truncated_gaussian"


@dataclass(frozen=True, slots=True)
class Prior:
    """Structure of a prior: its kind and number of states (`q`, Potts only; 0 otherwise)."""

    kind: UnitKind
    q: int = 0

    def __post_init__(self):
        object.__setattr__(self, "kind", UnitKind(self.kind))

    @property
    def discrete(self) -> bool:
        """True for finitely many states."""
        return self.kind in (UnitKind.ISING, UnitKind.BERNOULLI, UnitKind.POTTS)

    @property
    def features(self) -> int:
        """Numbers through which a unit couples: q for Potts, 1 otherwise."""
        return self.q if self.kind is UnitKind.POTTS else 1

    @property
    def states(self) -> tuple[int, ...]:
        """The support of a discrete prior, in enumeration order."""
        match self.kind:
            case UnitKind.ISING:
                return (-1, 1)
            case UnitKind.BERNOULLI:
                return (0, 1)
            case UnitKind.POTTS:
                return tuple(range(self.q))
            case _:
                raise TypeError(f"a {self.kind} unit has no finite support")


def log_normaliser(prior: Prior, theta, lam=0.0, variance=1.0, lower=0.0):
    """``Gamma(theta, lam)``; `variance` and `lower` are the parameters of continuous priors.

    Gaussian: ``theta^2 / 2p - log(v p) / 2`` with ``p = 1/v + lam``. Truncated Gaussian on
    [lower, inf): the same plus ``log Q(sqrt(p) (lower - theta/p)) - log Q(lower / sqrt v)``, Q the
    normal tail.
    """
    theta = np.asarray(theta, dtype=np.float64)
    match prior.kind:
        case UnitKind.ISING:
            size = np.abs(theta)
            return size + np.log1p(np.exp(-2.0 * size))
        case UnitKind.BERNOULLI:
            return np.maximum(theta, 0.0) + np.log1p(np.exp(-np.abs(theta)))
        case UnitKind.POTTS:
            return logsumexp(theta, axis=-1)
    precision = 1.0 / np.asarray(variance, dtype=np.float64) + lam
    gaussian = 0.5 * theta**2 / precision - 0.5 * np.log(variance * precision)
    if prior.kind is UnitKind.GAUSSIAN:
        return gaussian
    edge = np.sqrt(precision) * (lower - theta / precision)
    base = -log_ndtr(-np.asarray(lower) / np.sqrt(variance))
    # Far below the edge theta^2/2p and log Q cancel: exp(edge^2/2) Q(edge) = erfcx(edge/sqrt2)/2.
    with np.errstate(over="ignore"):
        tail = np.log(0.5 * erfcx(np.maximum(edge, 0.0) / np.sqrt(2.0)))
    cancelled = lower * theta - 0.5 * precision * lower**2 - 0.5 * np.log(variance * precision)
    return np.where(edge > 0, cancelled + tail, gaussian + log_ndtr(-edge)) + base


def mean(prior: Prior, theta, lam=0.0, variance=1.0, lower=0.0):
    """Conditional mean ``dGamma/dtheta`` (state probabilities for Potts units).

    Discrete units keep the precision of single-precision fields.
    """
    theta = np.asarray(theta)
    if theta.dtype != np.float32 or not prior.discrete:
        theta = theta.astype(np.float64)
    match prior.kind:
        case UnitKind.ISING:
            return np.tanh(theta)
        case UnitKind.BERNOULLI:
            p = 0.5 * theta
            p = np.tanh(p, out=p if theta.ndim else None)
            p *= 0.5
            p += 0.5
            return p
        case UnitKind.POTTS:
            return softmax(theta, axis=-1)
    precision = 1.0 / np.asarray(variance, dtype=np.float64) + lam
    if prior.kind is UnitKind.GAUSSIAN:
        return theta / precision
    edge = np.sqrt(precision) * (lower - theta / precision)
    return lower + _excess(edge)[0] / np.sqrt(precision)


def variance_of(prior: Prior, theta, lam=0.0, variance=1.0, lower=0.0):
    """Conditional variance ``d2Gamma/dtheta2`` (diagonal, per state, for Potts units)."""
    theta = np.asarray(theta, dtype=np.float64)
    match prior.kind:
        case UnitKind.ISING:
            # 1 - tanh^2 = sech^2, written so that it does not cancel at large fields
            decay = np.exp(-2.0 * np.abs(theta))
            return 4.0 * decay / (1.0 + decay) ** 2
        case UnitKind.BERNOULLI:
            decay = np.exp(-np.abs(theta))
            return decay / (1.0 + decay) ** 2
        case UnitKind.POTTS:
            p = softmax(theta, axis=-1)
            return p * (1.0 - p)
    precision = 1.0 / np.asarray(variance, dtype=np.float64) + lam
    if prior.kind is UnitKind.GAUSSIAN:
        return np.broadcast_to(1.0 / precision, theta.shape).copy()
    edge = np.sqrt(precision) * (lower - theta / precision)
    return _excess(edge)[1] / precision


def _excess(edge):
    """Mean and variance of ``Z - edge`` for a standard normal Z conditioned on ``Z >= edge``.

    The mean is ``phi/Q - edge``, which cancels for large `edge`; beyond 45 the asymptotic series
    ``1/a - 2/a^3 + 10/a^5 - 74/a^7 + 706/a^9 - 8162/a^11`` and its derivative are exact to rounding.
    """
    edge = np.asarray(edge, dtype=np.float64)
    safe = np.where(edge > 45.0, 1.0, edge)
    hazard = np.sqrt(2.0 / np.pi) / erfcx(safe / np.sqrt(2.0))
    hazard = np.where(
        safe < -37.0, np.exp(-0.5 * np.minimum(safe**2, 1400.0)) / np.sqrt(2 * np.pi), hazard
    )
    far = np.where(edge > 45.0, edge, 46.0)
    inv = 1.0 / far**2
    mean_far = (1.0 - inv * (2.0 - inv * (10.0 - inv * (74.0 - inv * (706.0 - 8162.0 * inv))))) / far
    tail = 518.0 - inv * (6354.0 - 89782.0 * inv)
    var_far = inv * (1.0 - inv * (6.0 - inv * (50.0 - inv * tail)))
    mean_near = hazard - safe
    var_near = 1.0 - hazard * (hazard - safe)
    return np.where(edge > 45.0, mean_far, mean_near), np.where(edge > 45.0, var_far, var_near)

"""Gaussian AR(1) chains: ``rho(t) = rho^t``, ``tau = (1/2) (1 + rho)/(1 - rho)``, exactly."""

import numpy as np
from scipy.signal import lfilter


def ar1(rng, rho, shape):
    """Stationary chains of unit variance, draws along the last axis."""
    e = rng.normal(size=shape)
    e[..., 1:] *= np.sqrt(1 - rho**2)
    return lfilter([1.0], [1.0, -rho], e, axis=-1)


def tau_of(rho):
    """The exact integrated time."""
    return 0.5 * (1 + rho) / (1 - rho)


def variance_of_mean(rho, n):
    """Exact variance of the mean of n draws."""
    t = np.arange(1, n)
    return (1 + 2 * ((1 - t / n) * rho**t).sum()) / n

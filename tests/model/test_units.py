"""Gamma, mean and variance of every prior, against sums and quadrature over the definition."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import logsumexp, roots_laguerre

from physebm.model.units import Prior, UnitKind, log_normaliser, mean, variance_of

FIELDS = np.array([-7.5, -1.2, -1e-9, 0.0, 0.3, 2.0, 11.0])
GAUSSIAN, TRUNCATED = Prior(UnitKind.GAUSSIAN), Prior(UnitKind.TRUNCATED_GAUSSIAN)
LEGENDRE = np.polynomial.legendre.leggauss(400)


@pytest.mark.parametrize("kind", ["ising", "bernoulli"])
def test_two_state_units_sum_their_two_states(kind):
    prior = Prior(kind)
    x = np.array(prior.states)
    weights = FIELDS[:, None] * x
    p = np.exp(weights - logsumexp(weights, axis=1)[:, None])
    np.testing.assert_allclose(log_normaliser(prior, FIELDS), logsumexp(weights, axis=1), rtol=1e-14)
    np.testing.assert_allclose(mean(prior, FIELDS), p @ x, rtol=1e-12, atol=1e-15)
    spread = (x[1] - x[0]) ** 2 * p[:, 0] * p[:, 1]
    np.testing.assert_allclose(variance_of(prior, FIELDS), spread, rtol=1e-12)


def test_potts_units_sum_their_states():
    theta = np.random.default_rng(0).normal(size=(5, 4)) * 3
    prior = Prior("potts", 4)
    p = np.exp(theta) / np.exp(theta).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(log_normaliser(prior, theta), np.log(np.exp(theta).sum(axis=1)))
    np.testing.assert_allclose(mean(prior, theta), p, rtol=1e-13)
    np.testing.assert_allclose(variance_of(prior, theta), p * (1 - p), rtol=1e-13)


def test_discrete_priors_are_counting_measures_and_continuous_ones_densities():
    assert log_normaliser(Prior("ising"), 0.0) == pytest.approx(np.log(2), rel=1e-15)
    assert log_normaliser(Prior("bernoulli"), 0.0) == pytest.approx(np.log(2), rel=1e-15)
    assert log_normaliser(Prior("potts", 5), np.zeros(5)) == pytest.approx(np.log(5), rel=1e-15)
    assert log_normaliser(GAUSSIAN, 0.0, 0.0, 1.7) == pytest.approx(0.0, abs=1e-15)
    for lower in (-2.0, 0.0, 3.0):
        gamma = log_normaliser(TRUNCATED, 0.0, 0.0, 1.7, lower)
        assert gamma == pytest.approx(0.0, abs=1e-14)


def quadrature(theta, lam, variance, lower):
    """Gamma, mean and variance by Gauss-Legendre on the 12 sigma where the integrand lives.

    Beyond the edge, where it is an exponential times a slow Gaussian, by Gauss-Laguerre.
    """
    p = 1 / variance + lam
    t = theta - p * lower
    if t < -6 * np.sqrt(p):
        y, w = roots_laguerre(90)
        y, w = y / -t, w / -t
        log_f = -0.5 * p * y**2
        at_edge = theta * lower - 0.5 * p * lower**2
    else:
        centre, sigma = theta / p, p**-0.5
        low, high = max(lower, centre - 14 * sigma), max(lower, centre) + 14 * sigma
        y = 0.5 * (high - low) * (LEGENDRE[0] + 1) + low
        w = 0.5 * (high - low) * LEGENDRE[1]
        log_f, at_edge = theta * y - 0.5 * p * y**2, 0.0
        y = y - lower
    x, w0 = LEGENDRE
    top = lower + 14 * np.sqrt(variance) if lower > -1 else 14 * np.sqrt(variance)
    z = 0.5 * (top - lower) * (x + 1) + lower
    prior = np.log(0.5 * (top - lower) * (w0 @ np.exp(-0.5 * (z**2 - max(lower, 0) ** 2) / variance)))
    log_prior = prior - 0.5 * max(lower, 0) ** 2 / variance
    log_z = logsumexp(log_f, b=w) + at_edge - log_prior
    q = w * np.exp(log_f - log_f.max())
    q = q / q.sum()
    m = q @ y
    return log_z, m + lower, q @ (y - m) ** 2


CASES = [
    (theta, lam, variance, lower)
    for theta in (-300.0, -30.0, -4.0, -0.7, 0.0, 1.3, 20.0)
    for lam, variance in ((0.0, 1.0), (0.6, 0.4))
    for lower in (-1.1, 0.0, 2.5)
]


@pytest.mark.parametrize(("theta", "lam", "variance", "lower"), CASES)
def test_truncated_gaussians_agree_with_quadrature(theta, lam, variance, lower):
    log_z, m, v = quadrature(theta, lam, variance, lower)
    at = (TRUNCATED, theta, lam, variance, lower)
    assert log_normaliser(*at) == pytest.approx(log_z, rel=1e-10, abs=1e-10)
    assert mean(*at) == pytest.approx(m, rel=1e-10)
    assert mean(*at) - lower == pytest.approx(m - lower, rel=1e-9)
    assert variance_of(*at) == pytest.approx(v, rel=1e-8, abs=1e-10)


def test_a_truncated_gaussian_far_above_its_edge_is_gaussian():
    at = (12.0, 0.4, 0.8)
    free = log_normaliser(GAUSSIAN, *at)
    assert log_normaliser(TRUNCATED, *at, -40.0) == pytest.approx(free, rel=1e-14)
    assert mean(TRUNCATED, *at, -40.0) == pytest.approx(mean(GAUSSIAN, *at), rel=1e-13)
    assert variance_of(TRUNCATED, *at, -40.0) == pytest.approx(
        variance_of(GAUSSIAN, *at)[()], rel=1e-12
    )


def test_the_moments_of_a_truncated_gaussian_are_continuous_where_the_series_begins():
    # edge = -theta for lower = 0 and precision 1: the series takes over at 45.
    theta = -np.array([44.999999, 45.000001])
    step = np.diff(mean(TRUNCATED, theta)) - variance_of(TRUNCATED, -45.0) * np.diff(theta)
    assert abs(step[0]) < 5e-14
    below, above = variance_of(TRUNCATED, theta)
    assert above == pytest.approx(below, rel=2e-7)
    # Beyond 45 the moments are exact: theta <y> + 1 = <y^2> by parts.
    for a in (45.1, 60.0, 200.0):
        y, v = mean(TRUNCATED, -a), variance_of(TRUNCATED, -a)
        assert v == pytest.approx(1.0 - a * y - y**2, abs=2e-15)


def test_a_truncated_gaussian_far_below_its_edge_is_exponential_with_its_corrections():
    # mean 1/a - 2/a^3 + 10/a^5, variance 1/a^2 - 6/a^4 + 50/a^6 with a = -theta
    for a in (300.0, 1e4):
        assert mean(TRUNCATED, -a) == pytest.approx(1 / a - 2 / a**3 + 10 / a**5, rel=1e-11)
        expected = 1 / a**2 - 6 / a**4 + 50 / a**6
        assert variance_of(TRUNCATED, -a) == pytest.approx(expected, rel=1e-11)


@pytest.mark.parametrize("kind", ["ising", "bernoulli", "gaussian", "truncated_gaussian"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_prior_is_finite_up_to_fields_of_ten_thousand(kind, dtype):
    theta = np.concatenate([-np.logspace(4, -4, 400), np.logspace(-4, 4, 400)]).astype(dtype)
    options = ((0.0, 1.0, 0.0), (0.7, 0.3, -2.0), (0.0, 2.0, 1.5))
    for lam, variance, lower in options:
        for f in (log_normaliser, mean, variance_of):
            assert np.all(np.isfinite(f(Prior(kind), theta, lam, variance, lower)))
        assert np.all(variance_of(Prior(kind), theta, lam, variance, lower) >= 0)
        if kind == "truncated_gaussian":
            excess = mean(Prior(kind), theta, lam, variance, lower) - lower
            assert np.all(excess > 0)
            assert np.all(np.diff(excess) > 0)


def test_potts_units_are_finite_up_to_fields_of_ten_thousand():
    theta = np.array([[1e4, -1e4, 0.0], [-1e4, -1e4, -1e4]])
    for f in (log_normaliser, mean, variance_of):
        assert np.all(np.isfinite(f(Prior("potts", 3), theta)))


@pytest.mark.parametrize("kind", ["ising", "bernoulli", "gaussian", "truncated_gaussian"])
def test_mean_and_variance_are_derivatives_of_gamma(kind):
    prior, step = Prior(kind), 1e-3
    at = (0.4, 0.9, -0.6)
    weights = np.array([1, -8, 0, 8, -1]) / (12 * step)
    nodes = FIELDS[:, None] + step * np.arange(-2, 3)
    np.testing.assert_allclose(
        log_normaliser(prior, nodes, *at) @ weights, mean(prior, FIELDS, *at), rtol=1e-8, atol=1e-9
    )
    np.testing.assert_allclose(
        mean(prior, nodes, *at) @ weights, variance_of(prior, FIELDS, *at), rtol=1e-8, atol=1e-9
    )

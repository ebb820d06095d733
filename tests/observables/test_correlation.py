"""Autocorrelation times of AR(1) chains, whose tau is known exactly."""

import numpy as np
import pytest
from observables_series import ar1, tau_of, variance_of_mean

from physebm.observables.correlation import (
    autocorrelation,
    autocovariance,
    error_bar,
    integrated_time,
    n_eff,
)


def test_autocovariance_equals_the_sum_written_out():
    x = np.random.default_rng(1).normal(size=(3, 2, 37))
    gamma = autocovariance(x)
    for p in range(3):
        d = x[p] - x[p].mean()
        direct = [sum(d[c, : 37 - t] @ d[c, t:] for c in range(2)) / 2 / (37 - t) for t in range(37)]
        assert np.allclose(gamma[p], direct, rtol=0, atol=1e-13)
    assert np.all(autocorrelation(x)[:, 0] == 1.0)


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.9, 0.97])
def test_tau_of_an_ar1_chain_is_found_and_its_error_is_calibrated(rho):
    x = ar1(np.random.default_rng(2), rho, (200, 1, 1 << 14))
    found = integrated_time(x)
    pull = (found.tau - tau_of(rho)) / found.stderr
    assert found.reliable.all()
    assert abs(found.tau.mean() / tau_of(rho) - 1) < 0.015
    assert 0.5 < np.mean(pull**2) < 1.6


def test_the_subtracted_mean_does_not_shorten_tau_of_a_short_run():
    x = np.random.default_rng(9).normal(size=(4000, 1, 300))
    # without the correction it is low by 2W/n = 4 %; 4000 runs scatter by 0.5 %
    assert abs(integrated_time(x).tau.mean() / tau_of(0.0) - 1) < 0.015


def test_anticorrelated_chains_have_tau_below_a_half():
    x = ar1(np.random.default_rng(3), -0.5, (20, 1, 1 << 15))
    assert np.allclose(integrated_time(x).tau.mean(), tau_of(-0.5), rtol=0.05)


@pytest.mark.parametrize("chains", [1, 4])
def test_error_bars_are_calibrated_and_not_inflated(chains):
    rho, n = 0.8, 2048
    x = ar1(np.random.default_rng(4), rho, (600, chains, n))
    error = error_bar(x)
    pull = x.mean(axis=(1, 2)) / error
    assert 0.88 < np.mean(pull**2) < 1.14  # 2 sigma of 600 pulls is 0.12
    exact = np.sqrt(variance_of_mean(rho, n) / chains)
    assert abs(error.mean() / exact - 1) < 0.03


def test_chains_that_disagree_lengthen_tau():
    x = ar1(np.random.default_rng(5), 0.5, (2, 4096))
    apart = x + np.array([[-3.0], [3.0]])
    assert integrated_time(x).tau < 2.0
    assert integrated_time(apart).tau > 200 and not integrated_time(apart).reliable


def test_a_constant_series_has_undefined_tau_and_no_error():
    x = np.full((3, 2, 100), 0.1)
    found = integrated_time(x)
    assert np.isnan(found.tau).all() and not found.reliable.any()
    assert np.isnan(n_eff(x)).all() and np.all(error_bar(x) == 0.0)


def test_effective_draws_are_draws_over_two_tau():
    x = ar1(np.random.default_rng(6), 0.9, (1, 1 << 16))
    assert np.isclose(n_eff(x), (1 << 16) / (2 * tau_of(0.9)), rtol=0.1)


def test_a_short_run_is_called_unreliable():
    x = np.cumsum(np.random.default_rng(7).normal(size=(1, 200)), axis=-1)
    assert not integrated_time(x).reliable


def test_more_points_do_not_change_the_bits_of_a_point():
    x = ar1(np.random.default_rng(8), 0.7, (9, 3, 333))
    many, one = integrated_time(x), integrated_time(x[5:6])
    assert many.tau[5] == one.tau[0] and error_bar(x)[5] == error_bar(x[5])

"""The Gaussian averages of replica theory against brute force and their own limits."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import erf

from physebm.theory.gaussian import gaussian_moments

NAMES = ("m", "q", "c", "c_m", "c_sigma", "four", "log_cosh")


@pytest.mark.parametrize("sigma_over_t", [0.0, 1e-3, 0.5, 0.999, 1.001, 3.0, 40.0])
@pytest.mark.parametrize("mean", [0.0, 0.3, 1.7])
def test_averages_agree_with_brute_force_on_both_sides_of_the_change_of_method(sigma_over_t, mean):
    temperature = 0.4
    sigma = sigma_over_t * temperature
    z = np.linspace(-11, 11, 200001)
    weight = np.exp(-(z**2) / 2)
    weight /= weight.sum()
    x = (mean + sigma * z) / temperature
    t, s = np.tanh(x), 1 - np.tanh(x) ** 2
    exact = (
        weight @ t,
        weight @ t**2,
        weight @ s / temperature,
        -2 * (weight @ (t * s)) / temperature**2,
        -2 * (weight @ (z * t * s)) / temperature**2,
        weight @ s**2 / temperature,
        temperature * (weight @ np.logaddexp(x, -x)),
    )
    found = gaussian_moments(mean, sigma, temperature)
    for name, value in zip(NAMES, exact):
        assert getattr(found, name) == pytest.approx(value, rel=1e-11, abs=1e-12), name


def test_zero_temperature_gives_the_sign_and_the_modulus():
    found = gaussian_moments(0.3, 0.8, 0.0)
    density = np.exp(-((0.3 / 0.8) ** 2) / 2) / np.sqrt(2 * np.pi) / 0.8
    assert found.m == pytest.approx(erf(0.3 / 0.8 / np.sqrt(2)), abs=1e-14)
    assert found.c == pytest.approx(2 * density, rel=1e-14)
    assert found.four == pytest.approx(4 * density / 3, rel=1e-14)
    assert found.log_cosh == pytest.approx(0.3 * found.m + 2 * 0.64 * density, rel=1e-14)


def test_both_methods_meet_where_they_change():
    below, above = (gaussian_moments(0.2, 0.5 * (1 + shift), 0.5) for shift in (-1e-15, 1e-15))
    for name in NAMES:
        assert getattr(below, name) == pytest.approx(getattr(above, name), abs=2e-13), name

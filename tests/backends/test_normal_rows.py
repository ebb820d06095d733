"""Rows of Gaussian and truncated Gaussian draws: the numbers of scalar functions, tails included."""

import numpy as np
import pytest
from numba import njit
from scipy.special import ndtr, ndtri

from physebm.backends.numba_cpu import library
from physebm.backends.numba_cpu.tiles import normal_rows


def room(n: int) -> list[np.ndarray]:
    return [np.empty(n + 5), np.empty(n + 5, np.int64), np.empty(n + 5)]


def draws(p: np.ndarray, law: str, lower=None, mean=None, scale=None, held=None) -> np.ndarray:
    n = len(p)
    mean = np.zeros(n) if mean is None else mean.copy()
    scale = np.ones(n) if scale is None else scale
    held = np.zeros(0, bool) if held is None else held
    x = np.full(n, np.nan)
    if law == "gaussian":
        normal_rows.draw_gaussian_row(x, held, mean, scale, p.copy(), *room(n))
    else:
        normal_rows.draw_truncated_row(x, held, lower, mean, scale, p.copy(), *room(n))
    return x


def test_normal_scores_are_exact_from_the_centre_to_the_last_uniform():
    """Uniforms down to 2^-53 and up to 1 - 2^-53, against scipy's inverse."""
    rng = np.random.default_rng(31)
    p = np.concatenate(
        [rng.random(5000), 0.5 + rng.normal(size=100) * 1e-9, 2.0 ** -rng.uniform(1, 53, 5000)]
    )
    p = np.concatenate([p, 1.0 - p, [2.0**-53, 1.0 - 2.0**-53, 0.5, 0.075, 0.925]])
    p = p[(p > 0) & (p < 1)]
    np.testing.assert_allclose(draws(p, "gaussian"), ndtri(p), rtol=5e-15, atol=1e-16)
    assert (np.minimum(p, 1 - p) < 1.4e-11).sum() > 1000


def test_upper_tails_are_exact_up_to_the_last_edge():
    """Far below the edge, where ``1 - Q`` is asked for, down to where it is 1."""

    @njit
    def tails(edge):
        return [normal_rows._upper_tail(each) for each in edge]

    edge = np.concatenate([np.linspace(-9, 5, 20_001), [-1e300, -np.inf, -0.0, 0.0]])
    np.testing.assert_allclose(tails(edge), ndtr(-edge), rtol=1e-14)


@pytest.mark.parametrize("n", [1, 7, 8, 9, 500, 513])
def test_tails_are_listed_in_order(n):
    p = np.random.default_rng(34).random(n)
    places, beyond = np.empty(n, np.int64), np.empty(n)
    count = normal_rows._list_tails(p, places, beyond)
    expected = np.flatnonzero(np.abs(p - 0.5) > 0.425)
    assert np.array_equal(places[:count], expected) and np.array_equal(beyond[:count], p[expected])


def test_uniforms_are_those_of_two_words():
    words = np.random.default_rng(32).integers(0, 2**32, (2, 70)).astype(np.uint32)
    u = np.empty(80)
    normal_rows.uniform_row(u, words[0], words[1], 70)
    assert u[:70].tolist() == [library.uniform53(high, low) for high, low in zip(*words)]


@pytest.mark.parametrize("law", ["gaussian", "truncated"])
def test_rows_are_drawn_as_single_units(law):
    """Means far below and far above the edge; held units keep their value."""
    rng = np.random.default_rng(33)
    n = 4000
    mean, scale, lower = rng.normal(size=n) * 8, rng.uniform(0.1, 3, n), rng.normal(size=n)
    words = rng.integers(0, 2**32, (2, n)).astype(np.uint32)
    u = np.array([library.uniform53(high, low) for high, low in zip(*words)])
    held = rng.random(n) < 0.2
    x = draws(u, law, lower, mean, scale, held)
    theta, lam = mean / scale**2, 1 / scale**2
    if law == "gaussian":
        law_of_one = zip(theta, lam, *words)
        expected = [library.heat_bath_gaussian(*each) for each in law_of_one]
    else:
        law_of_one = zip(theta, lam, lower, *words)
        expected = [library.heat_bath_truncated(*each) for each in law_of_one]
        edge = (lower - mean) / scale
        assert (edge > 3).sum() > 500 and (edge < -3).sum() > 500
        assert np.all(x[~held] >= lower[~held])
    assert np.isnan(x[held]).all()
    np.testing.assert_allclose(x[~held], np.array(expected)[~held], rtol=1e-9, atol=1e-9)

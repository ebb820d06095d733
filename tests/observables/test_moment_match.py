"""The match of moments: numpy's correlation and fit, the noise of finite samples, the triplets."""

import math

import numpy as np
import pytest

from physebm.observables.moment_match import choose_triplets, moment_errors
from physebm.observables.moments import empirical_moments
from physebm.rng.philox import philox4x32, uniform


def mixed(rng, samples, features=8):
    """Gaussian columns with a common part and a skew: every order has something to match."""
    common = rng.exponential(size=(samples, 1)) - 1
    return common * np.linspace(0.2, 1.0, features) + rng.normal(size=(samples, features))


ALL = choose_triplets(8, np.full(10_000, 0.5))


def test_rms_largest_pearson_and_slope_are_those_of_numpy():
    rng = np.random.default_rng(41)
    a, b = (empirical_moments(mixed(rng, n), None, ALL) for n in (3000, 200))
    upper = np.triu_indices(8, 1)
    for found, x, y in zip(
        moment_errors(a, b),
        (a.mean, a.covariance[upper], a.third),
        (b.mean, b.covariance[upper], b.third),
    ):
        assert np.isclose(found.rms, np.sqrt(np.mean((x - y) ** 2)), rtol=1e-12)
        assert np.isclose(found.largest, np.abs(x - y).max(), rtol=1e-12)
        assert np.isclose(found.pearson, np.corrcoef(x, y)[0, 1], rtol=1e-9)
        assert np.isclose(found.slope, np.polyfit(x, y, 1)[0], rtol=1e-9)


def test_two_samples_of_one_distribution_differ_by_the_noise():
    rng = np.random.default_rng(42)
    ratio = np.empty((300, 3))
    for run in range(300):
        a, b = (empirical_moments(mixed(rng, n), None, ALL) for n in (1000, 300))
        ratio[run] = [m.rms**2 / m.noise**2 for m in moment_errors(a, b)]
    # Mean 1 up to terms of order 1/n (3 % of the third moments); its scatter here is below 5 %.
    assert np.all(np.abs(ratio.mean(axis=0) - 1) < 4 * ratio.std(axis=0) / np.sqrt(300) + 0.03)


def test_a_different_distribution_is_beyond_the_noise():
    rng = np.random.default_rng(43)
    a = empirical_moments(mixed(rng, 4000), None, ALL)
    b = empirical_moments(rng.normal(size=(4000, 8)) * 1.2, None, ALL)
    first, second, third = moment_errors(a, b)
    assert first.rms < 2 * first.noise
    assert second.rms > 4 * second.noise and third.rms > 4 * third.noise


def test_moments_within_one_unit_are_not_compared():
    rng = np.random.default_rng(44)
    colours = rng.integers(0, 3, (2, 500, 4))
    group = np.repeat(np.arange(4), 3)
    hot = (colours[..., None] == np.arange(3)).reshape(2, 500, 12).astype(np.uint8)
    triplets = choose_triplets(12, np.full(10_000, 0.5), group)
    assert len(triplets) == 4 * 27  # three of four units, one of three colours each
    a, b = (empirical_moments(h, None, triplets, group) for h in hot)
    apart = group[:, None] < group
    second = moment_errors(a, b)[1]
    assert np.isclose(second.pearson, np.corrcoef(a.covariance[apart], b.covariance[apart])[0, 1])
    whole = moment_errors(*(empirical_moments(h) for h in hot))[1]
    assert whole.pearson > 0.9 > abs(second.pearson)  # independent colours: only noise is left


def test_correlations_of_what_does_not_vary_are_undefined():
    rng = np.random.default_rng(45)
    flat = empirical_moments(np.full((10, 8), 0.3), None, ALL)
    varied = empirical_moments(rng.normal(size=(10, 8)), None, ALL)
    for found in moment_errors(flat, varied):
        assert np.isnan(found.pearson) and np.isnan(found.slope) and found.rms > 0
    for found in moment_errors(varied, flat):
        assert np.isnan(found.pearson) and np.isclose(found.slope, 0, atol=1e-12)


def test_orders_that_do_not_exist_are_undefined():
    rng = np.random.default_rng(46)
    one = empirical_moments(rng.normal(size=(10, 1)))
    first, second, third = moment_errors(one, one)
    assert first.rms == 0.0 and np.isnan(second).all() and np.isnan(third).all()


def test_moments_of_different_things_are_not_compared():
    rng = np.random.default_rng(47)
    x = rng.normal(size=(20, 8))
    with pytest.raises(ValueError, match="group_f"):
        moment_errors(empirical_moments(x), empirical_moments(x[:, :7]))
    with pytest.raises(ValueError, match="triplets"):
        moment_errors(empirical_moments(x), empirical_moments(x, None, ALL))
    with pytest.raises(ValueError, match="diagonal"):
        moment_errors(empirical_moments(x), empirical_moments(x, diagonal=True))


@pytest.mark.parametrize(("features", "count"), [(784, 2000), (13, 286), (13, 285), (30, 7)])
def test_triplets_are_distinct_and_spread_over_all(features, count):
    words = philox4x32(np.arange(count), 0, 0, 0, 7, 9)[0]
    t = choose_triplets(features, uniform(words))
    assert t.shape == (min(count, math.comb(features, 3)), 3)
    assert np.all((t[:, 0] >= 0) & (t[:, 0] < t[:, 1]) & (t[:, 1] < t[:, 2]) & (t[:, 2] < features))
    assert len(np.unique(t, axis=0)) == len(t)


def test_every_triplet_is_as_likely_as_another():
    rng = np.random.default_rng(48)
    draws = 4000
    seen = np.zeros((7, 7, 7))
    for _ in range(draws):
        i, j, k = choose_triplets(7, rng.random(5)).T
        seen[i, j, k] += 1
    counts = seen[seen > 0]
    assert len(counts) == 35 and counts.sum() == 5 * draws
    z = (counts - draws / 7) / np.sqrt(draws / 7 * 6 / 7)
    assert np.abs(z).max() < 4.5 and 0.5 < np.mean(z**2) < 1.6


def test_too_few_features_have_no_triplet():
    assert choose_triplets(2, np.full(5, 0.5)).shape == (0, 3)

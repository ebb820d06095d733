"""Moments and their sampling variance, against plain float64 sums and against repeated samples."""

from itertools import combinations

import numpy as np
import pytest

from physebm.observables.moments import compared_pairs, empirical_moments, mean_and_covariance

TRIPLETS = np.array(list(combinations(range(6), 3)))


def correlated_bits(rng, samples, features):
    """0/1 columns that share a hidden bit: all three orders of moments differ from zero."""
    hidden = rng.random((samples, 1)) < 0.3
    return (rng.random((samples, features)) < np.where(hidden, 0.7, 0.2)).astype(np.uint8)


def plain(x, p, triplets):
    x = x.astype(np.float64)
    p = p / p.sum()
    mean = p @ x
    y = x - mean
    third = np.einsum("s,st,st,st->t", p, *(y[:, triplets[:, a]] for a in range(3)))
    return mean, (y * p[:, None]).T @ y, third


@pytest.mark.parametrize("samples", [3, 1024, 2500])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_moments_are_the_plain_sums(samples, weighted, dtype):
    rng = np.random.default_rng(31)
    x = correlated_bits(rng, samples, 6).astype(dtype)
    if dtype != np.uint8:  # a mean far larger than the scatter
        x = (x + 1000 + 0.25 * rng.normal(size=x.shape)).astype(dtype)
    weights = rng.random(samples) if weighted else None
    p = np.ones(samples) if weights is None else weights
    found = empirical_moments(x, weights, TRIPLETS)
    mean, covariance, third = plain(x, p, TRIPLETS)
    sd = np.sqrt(np.diag(covariance))
    assert np.allclose(found.mean, mean, rtol=1e-14)
    assert np.abs((found.covariance - covariance) / np.outer(sd, sd)).max() < 5e-6
    assert np.abs((found.third - third) / sd[TRIPLETS].prod(axis=1)).max() < 5e-6
    assert np.isclose(found.size, p.sum() ** 2 / (p @ p), rtol=1e-13)
    assert np.array_equal(mean_and_covariance(x, weights)[1], found.covariance)


def test_the_variance_is_that_of_repeated_samples():
    rng = np.random.default_rng(32)
    repeats, samples = 400, 500
    runs = [empirical_moments(correlated_bits(rng, samples, 6), None, TRIPLETS) for _ in range(repeats)]
    pairs = compared_pairs(np.arange(6), False)
    for order, values in enumerate(
        (
            np.array([m.mean for m in runs]),
            np.array([m.covariance[pairs] for m in runs]),
            np.array([m.third for m in runs]),
        )
    ):
        seen = values.var(axis=0, ddof=1).mean()
        stated = np.mean([m.variance[order] for m in runs])
        # A variance from 400 runs scatters by 7 %; over 6 and more correlated moments by 3-5 %.
        assert 0.85 < stated / seen < 1.15


def test_the_spread_over_pairs_is_the_brute_force_one():
    rng = np.random.default_rng(33)
    x, w = correlated_bits(rng, 70, 6) + 0.5 * rng.normal(size=(70, 6)), rng.random(70)
    group = np.array([0, 0, 1, 2, 2, 2])
    found = empirical_moments(x, w, TRIPLETS, group, diagonal=True, size=101.0)
    p = w / w.sum()
    y = x - p @ x
    c = (y * p[:, None]).T @ y
    second = [
        p @ (y[:, i] * y[:, j] - c[i, j]) ** 2
        for i in range(6)
        for j in range(i, 6)
        if i == j or group[i] != group[j]
    ]
    third = []
    for i, j, k in TRIPLETS:
        z = y[:, i] * y[:, j] * y[:, k]
        z = z - c[j, k] * y[:, i] - c[i, k] * y[:, j] - c[i, j] * y[:, k]
        third.append(p @ (z - p @ z) ** 2)
    expected = np.array([np.diag(c).mean(), np.mean(second), np.mean(third)]) / 100
    assert np.allclose(found.variance, expected, rtol=1e-5)


def test_an_enumerated_distribution_has_exact_moments_without_noise():
    states = ((np.arange(16)[:, None] >> np.arange(4)) & 1).astype(np.uint8)
    marginal = np.array([0.1, 0.3, 0.5, 0.8])
    p = np.where(states, marginal, 1 - marginal).prod(axis=1)
    found = empirical_moments(states, p, np.array([[0, 1, 2], [1, 2, 3]]), size=np.inf)
    assert np.allclose(found.mean, marginal, rtol=1e-14)
    assert np.allclose(found.covariance, np.diag(marginal * (1 - marginal)), atol=1e-7)
    assert np.abs(found.third).max() < 1e-7
    assert found.variance == (0.0, 0.0, 0.0)


def test_constant_features_have_exactly_no_covariance():
    x = np.full((1000, 4), 0.1)
    x[:, 1] = np.random.default_rng(34).normal(size=1000)
    found = empirical_moments(x, np.random.default_rng(35).random(1000), np.array([[0, 2, 3]]))
    assert np.all(found.mean[[0, 2, 3]] == 0.1)
    assert np.all(np.delete(found.covariance, 1, axis=0) == 0.0) and found.third[0] == 0.0


def test_one_sample_has_no_stated_variance():
    found = empirical_moments(np.ones((1, 3)), None, np.array([[0, 1, 2]]))
    assert np.isnan(found.variance).all() and found.size == 1


@pytest.mark.parametrize(
    ("x", "extra", "said"),
    [
        (np.zeros(3), {}, "sample, feature"),
        (np.zeros((2, 3)), {"weights": [1.0, -1.0]}, "non-negative"),
        (np.zeros((2, 3)), {"weights": [1.0]}, "as many"),
        (np.zeros((2, 3)), {"weights": [0.0, 0.0]}, "not all zero"),
        (np.zeros((2, 3)), {"group_f": [0, 1, 0]}, "ascending"),
    ],
)
def test_what_is_no_sample_is_refused(x, extra, said):
    with pytest.raises(ValueError, match=said):
        empirical_moments(x, **extra)

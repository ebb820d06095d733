"""Mean 0 and variance 1, unit by unit or in every direction, with the division by n."""

import numpy as np
import pytest

from physebm.data.standardise import standardise, whiten
from physebm.errors import StudyFileError


@pytest.fixture
def samples():
    rng = np.random.default_rng(3)
    return rng.normal(size=(50, 4)) @ rng.normal(size=(4, 4)) + np.array([100.0, 0, -3, 5])


def test_standardised_units(samples):
    y = standardise(samples).apply(samples)
    assert np.allclose(y.mean(axis=0), 0, atol=1e-12)
    assert np.allclose((y**2).mean(axis=0), 1, rtol=1e-12)
    two = np.array([[1.0], [3.0]])
    assert standardise(two).apply(two).tolist() == [[-1.0], [1.0]]


def test_whitened_directions(samples):
    found = whiten(samples)
    y = found.apply(samples)
    assert np.allclose(y.mean(axis=0), 0, atol=1e-10)
    assert np.allclose(y.T @ y / len(y), np.eye(4), atol=1e-10)
    assert np.allclose(found.forward, found.forward.T)
    assert np.linalg.eigvalsh(found.forward).min() > 0  # of all roots the symmetric positive one


@pytest.mark.parametrize("make", [standardise, whiten])
def test_maps_are_undone_and_keep_shapes(samples, make):
    pictures = samples.reshape(50, 2, 2)
    found = make(pictures)
    assert found.apply(pictures).shape == (50, 2, 2)
    assert np.allclose(found.undo(found.apply(pictures)), pictures, rtol=1e-10)
    new = samples[:3] + 1
    assert np.allclose(found.undo(found.apply(new)), new, rtol=1e-10)


@pytest.mark.parametrize("make", [standardise, whiten])
def test_a_weight_of_two_is_a_sample_twice(samples, make):
    twice = np.concatenate([samples, samples[:7]])
    weighted = make(samples, np.where(np.arange(50) < 7, 2.0, 1.0))
    assert np.allclose(weighted.mean, make(twice).mean)
    assert np.allclose(weighted.forward, make(twice).forward)


def test_a_constant_unit_is_centred_and_comes_back():
    x = np.array([[0.1, 1.0], [0.1, 2.0], [0.1, 3.0]])
    y = standardise(x).apply(x)
    assert y[:, 0].tolist() == [0, 0, 0] and standardise(x).undo(y)[:, 0].tolist() == [0.1] * 3


def test_a_singular_covariance(samples):
    doubled = np.column_stack([samples, samples[:, 0] + samples[:, 1]])
    for x, rank in ((doubled, "rank 4 for 5 units (50 samples)"), (samples[:3], "rank 2 for 4 units")):
        with pytest.raises(StudyFileError) as caught:
            whiten(x)
        assert rank in str(caught.value) and "standardise" in str(caught.value)
    y = whiten(doubled, ridge=0.1).apply(doubled)
    spectrum = np.linalg.eigvalsh(np.cov(doubled.T, bias=True))
    expected = np.sort(spectrum / (spectrum + 0.1))
    assert np.allclose(np.linalg.eigvalsh(y.T @ y / 50), expected, atol=1e-8)

"""Quenched arrays: laws, growth along every axis, mirrored couplings, streams by name."""

from __future__ import annotations

import numpy as np
import pytest

from physebm.model.disorder import LAWS, draw, mirror

OPTIONS = {
    "constant": {"value": 1.5},
    "normal": {"mean": 0.5, "std": 2.0},
    "uniform": {"low": -1.0, "high": 3.0},
    "rademacher": {"p": 0.3},
}
RANDOM = [law for law in OPTIONS if law != "constant"]


def sample(law, shape, *, seed=1, realisation=0, name="J", mirrored=False):
    return draw(
        law, OPTIONS[law], shape, seed=seed, realisation=realisation, name=name, mirrored=mirrored
    )


def test_every_law_has_the_options_that_it_lists():
    assert {law: set(options) for law, options in OPTIONS.items()} == {
        law: set(names) for law, names in LAWS.items()
    }


@pytest.mark.parametrize("law", RANDOM)
@pytest.mark.parametrize("shape", [(5,), (4, 6), (2, 3, 4), (2, 3, 4, 2), (2, 3, 2, 2, 2)])
def test_a_larger_array_extends_a_smaller_one(law, shape):
    # Axes beyond the fourth share one counter word: they are state or direction axes that do not grow.
    small = sample(law, shape)
    for axis in range(min(len(shape), 4 if len(shape) == 4 else 3)):
        larger = tuple(n + 3 * (a == axis) for a, n in enumerate(shape))
        large = sample(law, larger)
        np.testing.assert_array_equal(large[tuple(slice(n) for n in shape)], small)
        assert large.shape == larger


@pytest.mark.parametrize("law", RANDOM)
def test_streams_differ_by_seed_realisation_and_name(law):
    base = sample(law, (40, 10))
    np.testing.assert_array_equal(base, sample(law, (40, 10)))
    for change in ({"seed": 2}, {"realisation": 1}, {"name": "K"}):
        other = sample(law, (40, 10), **change)
        x, y = base - base.mean(), other - other.mean()
        # 400 elements: a correlation of 5 standard errors has probability 6e-7.
        assert abs((x * y).mean() / np.sqrt((x**2).mean() * (y**2).mean())) < 5 / np.sqrt(400)


@pytest.mark.parametrize(
    ("law", "moments"),
    [
        ("normal", (0.5, 4.0, 0.0)),
        ("uniform", (1.0, 16 / 12, 0.0)),
        ("rademacher", (-0.4, 0.84, 0.8 / np.sqrt(0.84))),
    ],
)
def test_laws_have_their_moments(law, moments):
    """Mean, variance, skewness of 200 000 elements within 5 standard errors."""
    x = sample(law, (2000, 100)).astype(float)
    mean, variance, skewness = moments
    n = x.size
    assert abs(x.mean() - mean) < 5 * np.sqrt(variance / n)
    fourth = ((x - x.mean()) ** 4).mean()
    assert abs(x.var() - variance) < 5 * np.sqrt(max(fourth - variance**2, 0.0) / n) + 1e-12
    z = (x - mean) / np.sqrt(variance)
    assert abs((z**3).mean() - skewness) < 5 * np.sqrt((z**6).mean() / n)


def test_the_normal_law_has_gaussian_tails():
    """The fraction beyond 3 standard deviations is 0.0027, within 5 standard errors."""
    z = (sample("normal", (2000, 100)) - 0.5) / 2.0
    p, n = 0.0026997960632601965, z.size
    assert abs((np.abs(z) > 3).mean() - p) < 5 * np.sqrt(p * (1 - p) / n)
    assert np.all(np.isfinite(z))


def test_uniform_values_stay_inside_and_signs_are_small_integers():
    u = sample("uniform", (300, 100))
    assert u.min() > -1.0 and u.max() < 3.0
    signs = sample("rademacher", (300, 100))
    assert signs.dtype == np.int8 and set(np.unique(signs)) == {-1, 1}
    assert np.all(sample("constant", (2, 3)) == 1.5)


def test_no_elements_of_an_array_share_their_word():
    for shape in ((30, 20), (5, 6, 7), (3, 4, 5, 6), (2, 3, 4, 3, 2)):
        values = sample("uniform", shape)
        assert len(np.unique(values)) == values.size


@pytest.mark.parametrize("law", RANDOM)
def test_mirrored_couplings_are_symmetric_without_diagonal(law):
    J = sample(law, (9, 9), mirrored=True)
    np.testing.assert_array_equal(J, J.T)
    assert not np.diag(J).any()
    upper = np.triu_indices(9, 1)
    np.testing.assert_array_equal(J[upper], sample(law, (9, 9))[upper])
    np.testing.assert_array_equal(sample(law, (12, 12), mirrored=True)[:9, :9], J)


def test_mirroring_swaps_the_state_axes():
    J = sample("normal", (5, 5, 3, 3), mirrored=True)
    np.testing.assert_array_equal(J, J.transpose(1, 0, 3, 2))
    assert not J[np.arange(5), np.arange(5)].any()
    assert np.any(J[0, 1] != J[0, 1].T)


def test_mirroring_keeps_the_type_and_ignores_the_lower_triangle():
    values = np.arange(16).reshape(4, 4).astype(np.int8)
    J = mirror(values)
    assert J.dtype == np.int8
    np.testing.assert_array_equal(J[np.triu_indices(4, 1)], values[np.triu_indices(4, 1)])


def test_an_unknown_law_is_refused():
    with pytest.raises(ValueError, match="unknown law"):
        draw("cauchy", {}, (2,), seed=0, realisation=0, name="J")

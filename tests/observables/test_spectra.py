"""Spectra, alignment, mode magnetisations and participation: closed forms and plain loops."""

import numpy as np
import pytest

from physebm.observables import spectra


@pytest.fixture
def rng():
    return np.random.default_rng(61)


def orthonormal(rng, rows, columns):
    return np.linalg.qr(rng.normal(size=(rows, columns)))[0]


def test_modes_of_a_planted_spectrum_are_found(rng):
    u, v, s = orthonormal(rng, 30, 5), orthonormal(rng, 12, 5), np.array([7.0, 4.0, 2.0, 1.0, 0.1])
    W = (u * s) @ v.T
    assert np.allclose(spectra.singular_values(W)[:5], s, atol=1e-13)
    found = spectra.singular_modes(W, 3)
    assert np.allclose(found.values, s[:3], rtol=1e-13)
    assert np.allclose(np.abs(np.sum(found.visible * u[:, :3], axis=0)), 1, atol=1e-13)
    full = spectra.singular_modes(W)
    assert np.allclose((full.visible * full.values) @ full.hidden.T, W, atol=1e-13)


def test_the_sign_of_a_mode_does_not_depend_on_that_of_the_solver(rng):
    W = rng.normal(size=(9, 6))
    a, b = spectra.singular_modes(W), spectra.singular_modes(-W)
    assert np.allclose(a.visible, b.visible, atol=1e-12)
    assert np.allclose(a.hidden, -b.hidden, atol=1e-12)
    assert np.all(np.max(a.visible, axis=0) == np.max(np.abs(a.visible), axis=0))
    flat = spectra.singular_modes(np.outer([-0.5, 0.5, -0.5, 0.5], [1.0, 0.0]), 1)
    assert np.allclose(flat.visible[:, 0], [0.5, -0.5, 0.5, -0.5])  # a tie: the first one counts


@pytest.mark.parametrize("weighted", [False, True])
def test_principal_components_diagonalise_the_covariance(rng, weighted):
    x = rng.normal(size=(700, 8)) @ rng.normal(size=(8, 8)) + 5
    weights = rng.random(700) if weighted else None
    found = spectra.principal_components(x, weights, 3)
    values, vectors = np.linalg.eigh(np.cov(x.T, aweights=weights, bias=True))
    assert np.allclose(found.variances, values[::-1][:3], rtol=1e-5)
    assert np.allclose(found.share, values[::-1][:3] / values.sum(), rtol=1e-5)
    assert np.allclose(np.abs(np.sum(found.vectors * vectors[:, ::-1][:, :3], axis=0)), 1, atol=1e-8)
    assert np.allclose(found.mean, np.average(x, axis=0, weights=weights))
    assert np.all(np.max(found.vectors, axis=0) == np.max(np.abs(found.vectors), axis=0))


def test_all_components_are_the_default_and_constant_data_have_no_shares(rng):
    assert spectra.principal_components(rng.random((20, 5))).vectors.shape == (5, 5)
    still = spectra.principal_components(np.full((20, 5), 0.1), count=9)
    assert still.variances.tolist() == [0.0] * 5 and np.isnan(still.share).all()


def test_alignment_finds_the_rotation_between_two_frames(rng):
    e = orthonormal(rng, 40, 4)
    angle = 0.3
    u = np.stack([np.cos(angle) * e[:, 2] - np.sin(angle) * e[:, 0], -e[:, 1]], axis=1)
    found = spectra.mode_alignment(u, e)
    expected = [[np.sin(angle), 0, np.cos(angle), 0], [0, 1, 0, 0]]
    assert np.allclose(found.cosine, expected, atol=1e-14)
    assert found.best.tolist() == [2, 1]
    assert np.allclose(found.best_cosine, [np.cos(angle), 1])


def test_a_state_along_a_mode_has_magnetisation_one(rng):
    signs = rng.choice([-1, 1], 64).astype(np.int8)
    u = signs[:, None] / 8.0
    x = np.stack([signs, -signs])
    assert spectra.mode_magnetisations(x, u, centre=np.zeros(64)).tolist() == [[1.0], [-1.0]]


def test_mode_magnetisations_are_projections_of_what_is_centred(rng):
    x, u = rng.integers(0, 2, (5000, 30)).astype(np.uint8), orthonormal(rng, 30, 4)
    centre = rng.random(30)
    found = spectra.mode_magnetisations(x, u, centre, 3)
    assert np.allclose(found, (x - centre) @ u[:, :3] / np.sqrt(30), atol=1e-14)
    own = spectra.mode_magnetisations(x, u)
    assert np.abs(own.mean(axis=0)).max() < 1e-14
    # Independent bits: variance 1/4 along every direction; the error of 5000 samples is 2 %.
    assert np.allclose((own**2).mean(axis=0), 0.25 / 30, rtol=0.1)


def test_second_moments_along_components_are_the_variances(rng):
    x = rng.normal(size=(600, 10)) @ rng.normal(size=(10, 10))
    found = spectra.principal_components(x, count=3)
    m = spectra.mode_magnetisations(x, found.vectors)
    assert np.allclose(spectra.mode_moments(m, 10).second * 10, found.variances, rtol=1e-5)


def test_mode_moments_of_two_symmetric_states():
    m = np.array([[0.5, 0.2], [-0.5, 0.4], [0.5, -0.2], [-0.5, -0.4]])
    found = spectra.mode_moments(m, 100)
    assert np.allclose(found.mean, 0.0) and np.allclose(found.mean_abs, [0.5, 0.3])
    assert np.allclose(found.second, [0.25, 0.1]) and np.allclose(found.susceptibility, [0.0, 1.0])


def test_the_susceptibility_of_a_free_gaussian_mode_is_known(rng):
    # m ~ N(0, v/N): N (<m^2> - <|m|>^2) = v (1 - 2/pi); 1e5 samples know it to 0.7 %.
    m = rng.normal(size=(100_000, 1)) * np.sqrt(2.0 / 50)
    found = spectra.mode_moments(m, 50).susceptibility[0]
    assert abs(found / (2 * (1 - 2 / np.pi)) - 1) < 0.03


def test_participation_counts_entries():
    w = np.array([[1.0, 0.0, 2.0], [1.0, 3.0, 1.0], [-1.0, 0.0, 1.0], [0.0, 0.0, 0.0]])
    assert np.allclose(spectra.participation_ratio(w, 0), [3.0, 1.0, 36 / 18])
    assert np.allclose(spectra.participation_ratio(w.T, 1, power=3), [3.0, 1.0, 100 / 66])
    assert spectra.participation_ratio(np.zeros((3, 2))).tolist() == [0.0, 0.0]
    assert np.allclose(spectra.participation_ratio(np.full(7, 1e-200)), 7.0)


def test_participation_of_random_weights_is_that_of_their_moments(rng):
    # Gaussian entries: N <w^2>^2 / <w^4> = N/3; with a fraction p of entries kept p N / 3.
    w = rng.normal(size=(40_000, 2)) * [1.0, 1.0]
    w[:, 1] *= rng.random(40_000) < 0.1
    assert np.allclose(spectra.participation_ratio(w) / 40_000, [1 / 3, 0.1 / 3], rtol=0.08)


def test_shapes_that_do_not_fit_are_refused(rng):
    with pytest.raises(ValueError, match="matrix"):
        spectra.singular_values(np.zeros((2, 3, 4)))
    with pytest.raises(ValueError, match="modes of 3 features"):
        spectra.mode_alignment(np.zeros((3, 1)), np.zeros((4, 1)))
    with pytest.raises(ValueError, match="modes of 3 features"):
        spectra.mode_magnetisations(np.zeros((5, 4)), np.zeros((3, 1)))

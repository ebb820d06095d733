"""Jackknife and the declared quantities against closed forms."""

import numpy as np
import pytest

from physebm.observables.derived import DERIVED, Derived, estimate, jackknife


def test_jackknife_of_a_variance_is_the_unbiased_variance():
    x = np.random.default_rng(1).normal(size=(40, 3))
    value, _ = jackknife(lambda m1, m2: m2 - m1**2, x, x * x)
    assert np.allclose(value, x.var(axis=0, ddof=1), rtol=1e-11)


def test_jackknife_of_a_mean_is_the_mean_and_its_standard_error():
    x = np.random.default_rng(2).normal(size=50)
    value, stderr = jackknife(lambda m: m, x)
    assert np.isclose(value, x.mean(), rtol=1e-13, atol=1e-15)
    assert np.isclose(stderr, x.std(ddof=1) / np.sqrt(50), rtol=1e-12)


def test_jackknife_removes_the_bias_of_a_ratio_and_its_error_is_calibrated():
    # <m^4>/<m^2>^2 of a Gaussian is 3; the naive ratio of 40 blocks is low by about 6/40.
    m = np.random.default_rng(3).normal(size=(40, 4000)) ** 2
    m2, m4 = m, m * m
    naive = m4.mean(0) / m2.mean(0) ** 2
    value, stderr = jackknife(lambda a, b: b / a**2, m2, m4)
    assert naive.mean() < 2.88
    assert abs(value.mean() - 3) < 0.05
    many = np.random.default_rng(4).normal(size=(32, 1500, 50)) ** 2
    value, stderr = jackknife(lambda a, b: b / a**2, many.mean(-1), (many**2).mean(-1))
    assert 0.85 < np.mean(((value - 3) / stderr) ** 2) < 1.3


def test_one_block_is_not_enough():
    with pytest.raises(ValueError, match="two or more"):
        jackknife(lambda m: m, np.zeros((1, 3)))


def test_specific_heat_of_free_spins_is_beta_h_over_cosh_squared():
    rng, beta, h, n = np.random.default_rng(5), np.array([0.3, 1.1]), 0.8, 64
    up = 1 / (1 + np.exp(-2 * beta * h))
    energy = -h * (2.0 * rng.binomial(n, up, size=(64, 2000, 2)) - n)
    moments = {
        "du_dbeta": energy.mean(1),
        "du_dbeta_squared": (energy**2).mean(1),
        "d2u_dbeta2": np.zeros((64, 2)),
    }
    value, stderr = estimate(DERIVED["specific_heat"], moments, {"beta": beta, "n_units": n})
    exact = (beta * h / np.cosh(beta * h)) ** 2
    assert np.all(abs(value - exact) < 4 * stderr) and np.all(stderr < 0.01 * exact)


def test_specific_heat_with_a_prior_that_depends_on_temperature_includes_the_second_derivative():
    # z ~ N(0, T), H = 0: u = beta z^2/2 - (1/2) log(beta) + const, so log Z is constant, C = 0.
    rng, beta = np.random.default_rng(6), 2.5
    z2 = rng.normal(size=(64, 3000)) ** 2 / beta
    u1 = z2 / 2 - 1 / (2 * beta)
    moments = {
        "du_dbeta": u1.mean(1),
        "du_dbeta_squared": (u1**2).mean(1),
        "d2u_dbeta2": np.full(64, 1 / (2 * beta**2)),
    }
    value, stderr = estimate(DERIVED["specific_heat"], moments, {"beta": beta, "n_units": 1})
    assert abs(value) < 4 * stderr < 0.05
    moments["d2u_dbeta2"] = np.zeros(64)
    wrong, stderr = estimate(DERIVED["specific_heat"], moments, {"beta": beta, "n_units": 1})
    assert abs(wrong) > 8 * stderr


def test_susceptibility_of_a_gaussian_magnetisation():
    # <m^2> - <|m|>^2 = sigma^2 (1 - 2/pi)
    m = np.random.default_rng(7).normal(size=(64, 4000)) * 0.1
    moments = {"abs_m": abs(m).mean(1), "m2": (m * m).mean(1)}
    value, stderr = estimate(DERIVED["susceptibility"], moments, {"beta": 2.0, "n_units": 100})
    assert abs(value - 2 * (1 - 2 / np.pi)) < 4 * stderr < 0.05


def test_binder_is_two_thirds_when_ordered_and_zero_when_gaussian():
    one = np.ones(32)
    value, stderr = estimate(DERIVED["binder"], {"m2": one, "m4": one}, {})
    assert np.isclose(value, 2 / 3, rtol=1e-15) and stderr == 0.0
    m = np.random.default_rng(8).normal(size=(32, 5000))
    moments = {"m2": (m**2).mean(1), "m4": (m**4).mean(1)}
    value, stderr = estimate(DERIVED["binder"], moments, {})
    assert abs(value) < 4 * stderr < 0.05


def test_binder_overlap_averages_disorder_before_the_ratio():
    # q = +-1 with probability p_s in sample s, else 0: <q^2> = <q^4> = p_s.
    p = np.array([0.2, 0.4, 0.9])
    blocks = np.repeat(p[:, None], 32, axis=1)
    value, _ = estimate(DERIVED["binder_overlap"], {"q2": blocks, "q4": blocks}, {}, disorder=True)
    f = [(3 - 1 / np.delete(p, k).mean()) / 2 for k in range(3)]
    expected = 3 * (3 - 1 / p.mean()) / 2 - 2 * np.mean(f)
    assert np.isclose(value, expected, rtol=1e-13)


def test_disorder_error_is_that_of_the_samples_not_of_the_blocks():
    rng = np.random.default_rng(9)
    sample = rng.normal(size=(60, 1))
    q2 = 1 + 0.1 * sample + 1e-4 * rng.normal(size=(60, 32))
    value, stderr = estimate(DERIVED["sg_susceptibility"], {"q2": q2}, {"n_units": 1.0}, disorder=True)
    assert np.isclose(value, q2.mean(), rtol=1e-13)
    assert np.isclose(stderr, q2.mean(1).std(ddof=1) / np.sqrt(60), rtol=1e-10)


def test_a_single_sample_falls_back_to_its_blocks():
    q2 = np.random.default_rng(10).random((1, 32, 4))
    args = DERIVED["sg_susceptibility"], {"q2": q2}, {"n_units": 8.0}
    alone = estimate(args[0], {"q2": q2[0]}, args[2])
    assert np.array_equal(estimate(*args, disorder=True), alone)


def test_specific_heat_over_disorder_averages_the_values_of_samples():
    # two samples, each without fluctuation, of different energies: pooling would see a variance
    u = np.repeat(np.array([[-3.0], [5.0]]), 32, axis=1)
    moments = {"du_dbeta": u, "du_dbeta_squared": u * u, "d2u_dbeta2": 0 * u}
    value, stderr = estimate(
        DERIVED["specific_heat"], moments, {"beta": 1.0, "n_units": 1}, disorder=True
    )
    assert value == 0.0 and stderr == 0.0


@pytest.mark.parametrize(
    ("name", "zero", "k1"),
    [
        ("correlation_length_over_L", "q2", "qk2"),
        ("correlation_length_over_L_ferromagnet", "m2", "mk2"),
    ],
)
def test_correlation_length_of_a_free_lattice_field_is_one_over_its_mass(name, zero, k1):
    # chi(k) = 1/(mass^2 + 4 sin^2(k/2)) has second-moment length 1/mass at every L
    for length in (2, 6, 16):
        mass = 0.37
        chi_k = 1 / (mass**2 + 4 * np.sin(np.pi / length) ** 2)
        moments = {zero: np.full(32, 1 / mass**2), k1: np.full(32, chi_k)}
        value, _ = estimate(DERIVED[name], moments, {"length": length})
        assert np.isclose(value, 1 / mass / length, rtol=1e-12)


def test_an_unresolved_correlation_length_is_zero():
    moments = {"q2": np.full(32, 0.9), "qk2": np.full(32, 1.0)}
    value, stderr = estimate(DERIVED["correlation_length_over_L"], moments, {"length": 8})
    assert value == 0.0 and stderr == 0.0


def test_a_declaration_of_ones_own_works_and_points_do_not_disturb_each_other():
    ratio = Derived("ratio", ("a", "b"), ("c",), lambda a, b, c: c * a / b, "moments", "c <a>/<b>")
    a, b = np.random.default_rng(11).random((2, 32, 7)) + 1
    c = np.arange(7.0)
    many = estimate(ratio, {"a": a, "b": b}, {"c": c})
    one = estimate(ratio, {"a": a[:, 3:4], "b": b[:, 3:4]}, {"c": c[3:4]})
    assert many[0][3] == one[0][0] and many[1][3] == one[1][0]

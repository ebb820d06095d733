"""Ladders: exact rejections of three toy systems, equal rejection, and scanned temperatures that stay.

Gaussian energies reject with erf(sigma Delta beta / 2); energies of k quadratic degrees of freedom
with the incomplete beta law, whose equal-rejection ladder is geometric; the 8 x 8 Ising torus has its
exact density of states, with a peaked specific heat in the middle of the ladder.
"""

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from scipy.integrate import trapezoid
from scipy.special import betainc, erf
from scipy.stats import norm

from physebm.sampling.ladder import (
    adapt,
    barrier,
    cumulative_barrier,
    local_barriers,
    round_lengths,
)

REFERENCE = Path(__file__).parents[1] / "reference"
SIGMA, K = 6.0, 40.0


def adapt_in_rounds(run_round, scanned, target, lengths, **options):
    betas = np.asarray(scanned, dtype=np.float64)
    for sweeps in lengths:
        betas = adapt(scanned, betas, run_round(betas, sweeps), target, **options)
    return betas


def gaussian(betas, sweeps=0):
    """Energies N(-beta sigma^2, sigma^2)."""
    return erf(SIGMA * np.abs(np.diff(betas)) / 2)


def quadratic(betas, sweeps=0):
    """Energies Gamma(K, rate beta); a swap is accepted with twice P(E_cold > E_hot)."""
    low = np.minimum(betas[1:], betas[:-1])
    return 1 - 2 * betainc(K, K, low / (betas[1:] + betas[:-1]))


@cache
def ising_levels():
    dos = json.loads((REFERENCE / "ising2d.json").read_text())["data"]["dos"]
    table = next(entry for entry in dos if entry["L"] == 8)
    g = np.array([float(count) for count in table["g"]])
    return table["E0"] + table["dE"] * np.arange(len(g)), g


def ising(betas, sweeps=0):
    """Exact mean rejections of the 8 x 8 Ising torus."""
    E, g = ising_levels()
    p = g * np.exp(-np.outer(betas, E - E[0]))
    p /= p.sum(axis=1, keepdims=True)
    work = np.subtract.outer(E, E)
    return np.array(
        [
            1 - np.einsum("i,j,ij", p[k], p[k + 1], np.exp(np.minimum(0, (a - b) * work)))
            for k, (a, b) in enumerate(zip(betas[:-1], betas[1:]))
        ]
    )


TOYS = {
    "gaussian": (gaussian, [0.1, 0.5, 0.6, 2.0]),
    "quadratic": (quadratic, [0.25, 1.0, 1.1, 4.0]),
    "ising": (ising, [0.2, 0.35, 0.5, 0.7]),
}
every_toy = pytest.mark.parametrize("name", TOYS)


def test_gaussian_rejection_is_the_closed_form():
    """The formula of the module against the integral over the normal work."""
    s = SIGMA * 0.3 * np.sqrt(2)
    w = np.linspace(-s * s / 2 - 12 * s, -s * s / 2 + 12 * s, 400_001)
    accepted = trapezoid(norm.pdf(w, -s * s / 2, s) * np.exp(np.minimum(w, 0)), w)
    assert gaussian(np.array([0.0, 0.3]))[0] == pytest.approx(1 - accepted, abs=1e-9)


def test_barriers_of_coarse_and_fine_gaps_add_up():
    coarse, fine = np.linspace(0, 1, 3), np.linspace(0, 1, 2001)
    exact = SIGMA / np.sqrt(np.pi)
    assert cumulative_barrier(gaussian(coarse))[-1] == pytest.approx(exact, rel=1e-12)
    assert barrier(gaussian(fine)) == pytest.approx(exact, rel=1e-6)
    assert local_barriers(np.array([1e-6]))[0] == pytest.approx(1e-6, rel=1e-9)
    assert np.isfinite(local_barriers(np.array([0.0, 1.0]))).all()


def test_ising_barrier_is_that_of_a_fine_ladder():
    _, scanned = TOYS["ising"]
    fine = barrier(ising(np.linspace(scanned[0], scanned[-1], 801)))
    coarse = cumulative_barrier(ising(np.linspace(scanned[0], scanned[-1], 21)))[-1]
    assert coarse == pytest.approx(fine, rel=5e-3)


@every_toy
@pytest.mark.parametrize("backwards", [False, True], ids=["hot to cold", "cold to hot"])
@pytest.mark.parametrize("target", [0.2, 0.5, 0.75])
def test_adaptation_equalises_rejection_and_keeps_scanned_temperatures(name, backwards, target):
    rejections, scanned = TOYS[name]
    scanned = np.array(scanned[::-1] if backwards else scanned)
    betas = adapt_in_rounds(rejections, scanned, target, round_lengths(630, 6))
    steps = np.diff(betas)
    assert np.all(steps < 0) if backwards else np.all(steps > 0)
    places = [np.flatnonzero(betas == beta) for beta in scanned]
    assert all(len(place) == 1 for place in places)
    r = rejections(betas)
    assert r.max() <= 1.02 * target
    for (low,), (high,) in zip(places[:-1], places[1:]):
        inside = r[low:high]
        np.testing.assert_allclose(inside, inside.mean(), rtol=0.02)
        if len(inside) > 1:
            # one rung fewer would reject too much
            whole = local_barriers(inside).sum() / (len(inside) - 1)
            assert whole > local_barriers(target) * 0.98


def test_gaussian_ladder_is_even_and_has_the_exact_number_of_rungs():
    # Delta Lambda = 6 * 1 / sqrt(pi); a gap of rejection 0.5 has sigma dbeta = 2 erfinv(0.5) = 0.9539
    betas = adapt_in_rounds(gaussian, [0.0, 1.0], 0.5, [1, 2, 4, 8])
    assert len(betas) == 8
    np.testing.assert_allclose(betas, np.linspace(0, 1, 8), atol=1e-6)


def test_quadratic_ladder_is_geometric():
    betas = adapt_in_rounds(quadratic, [0.25, 4.0], 0.3, [1] * 6)
    np.testing.assert_allclose(np.diff(np.log(betas)), np.log(16) / (len(betas) - 1), rtol=2e-3)


def test_an_even_ladder_is_not_equal_on_ising():
    """The equalising test can fail: the peak of the specific heat shows in an even ladder."""
    r = ising(np.linspace(0.2, 0.7, 13))
    assert r.max() / r.min() > 2


def test_where_every_exchange_fails_the_ladder_grows_until_walkers_pass():
    scanned = [0.0, 20.0]
    assert gaussian(np.array(scanned))[0] == 1.0
    betas = adapt_in_rounds(gaussian, scanned, 0.4, [1] * 8)
    assert gaussian(betas).max() <= 0.41


def test_a_limit_on_rungs_raises_the_target_and_keeps_scanned_temperatures():
    for name, (rejections, scanned) in TOYS.items():
        betas = adapt_in_rounds(rejections, scanned, 0.05, [1] * 8, max_rungs=12)
        assert 10 <= len(betas) <= 12, name
        assert np.isin(scanned, betas).all()
        assert np.array_equal(adapt(scanned, scanned, rejections(np.array(scanned)), 0.05, 2), scanned)


def test_sampling_noise_moves_rungs_a_little_and_no_scanned_temperature():
    rng = np.random.default_rng(5)

    def noisy(betas, sweeps):
        return rng.binomial(sweeps, gaussian(betas)) / sweeps

    betas = adapt_in_rounds(noisy, [0.0, 1.0], 0.3, round_lengths(64_000, 6))
    assert betas[0] == 0.0 and betas[-1] == 1.0
    np.testing.assert_allclose(gaussian(betas), gaussian(betas).mean(), rtol=0.1)


def test_a_gap_without_rejection_needs_no_rung():
    scanned = [0.1, 0.2, 0.3]
    assert np.array_equal(adapt(scanned, scanned, np.zeros(2), 0.3), scanned)
    assert np.array_equal(adapt([0.5], [0.5], np.zeros(0), 0.3), [0.5])


def test_rounds_double_and_fill_the_sweeps():
    lengths = round_lengths(1000, 5)
    assert len(lengths) == 5 and 990 <= sum(lengths) <= 1000
    assert all(1.9 < b / a < 2.1 for a, b in zip(lengths, lengths[1:]))
    assert round_lengths(3, 5) == [1]


@pytest.mark.parametrize(
    ("betas", "rejection", "target", "message"),
    [
        ([0.1, 0.3, 0.2], [0.1, 0.1], 0.3, "monotone"),
        ([0.1, 0.3], [0.1], 0.3, "not rungs"),
        ([0.1, 0.2, 0.3], [0.1], 0.3, "2 rejections"),
        ([0.1, 0.2, 0.3], [0.1, np.nan], 0.3, "2 rejections"),
        ([0.1, 0.2, 0.3], [0.1, 0.1], 1.0, "between 0 and 1"),
    ],
)
def test_a_ladder_that_makes_no_sense_is_refused(betas, rejection, target, message):
    with pytest.raises(ValueError, match=message):
        adapt([0.1, 0.2, 0.3], betas, rejection, target)

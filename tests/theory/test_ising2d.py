"""The closed forms of the square-lattice Ising model against independent numbers and identities."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from scipy.integrate import quad

from physebm.errors import InputError
from physebm.theory import ising2d

REFERENCE = json.loads((Path(__file__).parents[1] / "reference" / "ising2d.json").read_text())["data"]
FINITE = [(row["L"], row) for row in REFERENCE["finite_L"]]
CRITICAL = ising2d.CRITICAL_BETA


def _enumerated(shape, beta):
    """log Z, e, c of a small torus, bond by bond; independent of everything in the package."""
    sites = list(itertools.product(*map(range, shape)))
    bonds = [
        (sites.index((x, y)), sites.index(step))
        for x, y in sites
        for step in (((x + 1) % shape[0], y), (x, (y + 1) % shape[1]))
    ]
    spins = 1 - 2 * ((np.arange(2 ** len(sites))[:, None] >> np.arange(len(sites))) & 1)
    energy = -sum(spins[:, i] * spins[:, j] for i, j in bonds).astype(float)
    weight = np.exp(-beta * (energy - energy.min()))
    z = weight.sum()
    mean = (weight * energy).sum() / z
    variance = (weight * (energy - mean) ** 2).sum() / z
    log_z = np.log(z) - beta * energy.min()
    return log_z, mean / len(sites), beta**2 * variance / len(sites)


@pytest.mark.parametrize("length, row", FINITE)
def test_torus_agrees_with_sixty_digit_kaufman(length, row):
    beta = row["beta"]
    assert ising2d.torus_log_z(beta, length) == pytest.approx(row["lnZ"], rel=1e-13)
    assert ising2d.torus_energy(beta, length) == pytest.approx(row["e"], rel=1e-12)
    assert ising2d.torus_specific_heat(beta, length) == pytest.approx(row["c"], rel=1e-11)
    assert ising2d.torus_free_energy(beta, length) == pytest.approx(row["f"], rel=1e-13)


@pytest.mark.parametrize("shape", [(2, 2), (2, 3), (3, 2), (3, 4), (4, 3), (2, 7)])
@pytest.mark.parametrize("beta", [0.05, CRITICAL, 0.9])
def test_oblong_and_odd_tori_agree_with_enumeration(shape, beta):
    log_z, e, c = _enumerated(shape, beta)
    assert ising2d.torus_log_z(beta, *shape) == pytest.approx(log_z, rel=1e-13)
    assert ising2d.torus_energy(beta, *shape) == pytest.approx(e, rel=1e-12)
    assert ising2d.torus_specific_heat(beta, *shape) == pytest.approx(c, rel=1e-10)


@pytest.mark.parametrize("table", REFERENCE["dos"], ids=lambda table: f"L={table['L']}")
def test_torus_agrees_with_exact_density_of_states_at_any_temperature(table):
    levels = table["E0"] + table["dE"] * np.arange(len(table["g"]))
    counts = np.array([float(g) for g in table["g"]])
    keep = counts > 0
    log_g, levels = np.log(counts[keep]), levels[keep]
    beta = np.array([0.02, 0.3, CRITICAL, 0.6, 1.5])
    exponent = log_g - beta[:, None] * levels
    top = exponent.max(axis=1, keepdims=True)
    p = np.exp(exponent - top)
    z = p.sum(axis=1)
    sites = table["L"] ** 2
    mean = p @ levels / z
    variance = (p * (levels - mean[:, None]) ** 2).sum(axis=1) / z
    np.testing.assert_allclose(ising2d.torus_log_z(beta, table["L"]), np.log(z) + top[:, 0], rtol=1e-13)
    np.testing.assert_allclose(ising2d.torus_energy(beta, table["L"]), mean / sites, rtol=1e-11)
    np.testing.assert_allclose(
        ising2d.torus_specific_heat(beta, table["L"]), beta**2 * variance / sites, rtol=1e-9
    )


def test_transposing_the_torus_changes_nothing():
    beta = np.linspace(0.1, 1.0, 19)
    for function in (ising2d.torus_log_z, ising2d.torus_energy, ising2d.torus_specific_heat):
        np.testing.assert_allclose(function(beta, 6, 20), function(beta, 20, 6), rtol=1e-10)


@pytest.mark.parametrize("row", REFERENCE["infinite"], ids=lambda row: f"beta={row['beta']:.3f}")
def test_infinite_lattice_agrees_with_the_reference(row):
    beta = row["beta"]
    assert ising2d.onsager_log_z(beta) == pytest.approx(row["phi"], rel=1e-13)
    assert ising2d.onsager_free_energy(beta) == pytest.approx(row["f"], rel=1e-13)
    assert ising2d.onsager_energy(beta) == pytest.approx(row["e"], rel=1e-12)
    assert ising2d.spontaneous_magnetisation(beta) == pytest.approx(row["m_spont"], abs=1e-13)
    if row["c"] is not None:
        assert ising2d.onsager_specific_heat(beta) == pytest.approx(row["c"], rel=1e-12)


@pytest.mark.parametrize("beta", [0.01, 0.43, 0.4406, 0.441, 0.45, 1.0, 3.0])
def test_onsager_log_z_agrees_with_adaptive_quadrature_on_both_sides_of_criticality(beta):
    modulus = 2.0 * np.sinh(2 * beta) / np.cosh(2 * beta) ** 2
    integral, _ = quad(
        lambda phi: np.log((1 + np.sqrt(1 - (modulus * np.sin(phi)) ** 2)) / 2),
        0,
        np.pi / 2,
        epsabs=1e-13,
        limit=400,
    )
    expected = np.log(2 * np.cosh(2 * beta)) + integral / np.pi
    assert ising2d.onsager_log_z(beta) == pytest.approx(expected, abs=2e-12)


def test_energy_and_specific_heat_are_the_derivatives_of_log_z():
    beta, step = np.array([0.1, 0.3, 0.42, 0.46, 0.7, 1.2]), 1e-4
    up, down = ising2d.onsager_log_z(beta + step), ising2d.onsager_log_z(beta - step)
    np.testing.assert_allclose(ising2d.onsager_energy(beta), -(up - down) / (2 * step), rtol=2e-6)
    up, down = ising2d.onsager_energy(beta + step), ising2d.onsager_energy(beta - step)
    heat = -(beta**2) * (up - down) / (2 * step)
    np.testing.assert_allclose(ising2d.onsager_specific_heat(beta), heat, rtol=1e-5)


def test_large_torus_approaches_the_infinite_lattice_away_from_criticality():
    beta = np.array([0.3, 0.6])
    sites = 200 * 200
    # Below T_c the two ordered states leave log 2 in log Z.
    log_z = ising2d.torus_log_z(beta, 200) - np.array([0.0, np.log(2.0)])
    np.testing.assert_allclose(log_z / sites, ising2d.onsager_log_z(beta), rtol=1e-12)
    np.testing.assert_allclose(
        ising2d.torus_energy(beta, 200), ising2d.onsager_energy(beta), rtol=1e-11
    )
    np.testing.assert_allclose(
        ising2d.torus_specific_heat(beta, 200), ising2d.onsager_specific_heat(beta), rtol=1e-8
    )


def test_free_spins_and_the_ground_state_are_the_limits():
    assert ising2d.torus_log_z(0.0, 8) == pytest.approx(64 * np.log(2))
    assert ising2d.onsager_log_z(0.0) == pytest.approx(np.log(2))
    assert ising2d.torus_energy([0.0, 20.0, 100.0], 8) == pytest.approx([0.0, -2.0, -2.0])
    assert ising2d.torus_log_z(20.0, 8) == pytest.approx(2 * 64 * 20.0 + np.log(2), rel=1e-14)
    assert ising2d.onsager_energy(CRITICAL) == pytest.approx(-np.sqrt(2), abs=1e-14)
    assert ising2d.onsager_specific_heat(CRITICAL) > 15.0


def test_unusable_arguments_are_refused():
    with pytest.raises(InputError, match="beta"):
        ising2d.torus_energy(-0.1, 8)
    with pytest.raises(InputError, match="at least two sites"):
        ising2d.torus_log_z(0.4, 8, 1)

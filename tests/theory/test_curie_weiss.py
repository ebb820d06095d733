"""The Curie-Weiss sums against enumeration, independent numbers and their own limit."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from physebm.errors import InputError
from physebm.theory import curie_weiss

PATH = Path(__file__).parents[1] / "reference" / "curie_weiss.json"
REFERENCE = json.loads(PATH.read_text())["data"]


@pytest.mark.parametrize("row", REFERENCE["finite_N"])
def test_finite_sizes_agree_with_the_reference(row):
    size, beta, field = row["N"], row["beta"], row["h"]
    at = (beta, size, field)
    # The reference keeps the i = j term, -1/2: E = E_ref + 1/2 and log Z = log Z_ref - beta/2.
    log_z = row["lnZ"] - beta / 2
    assert curie_weiss.log_z(*at) == pytest.approx(log_z, rel=1e-12)
    assert curie_weiss.free_energy(*at) == pytest.approx(-log_z / (beta * size), rel=1e-12)
    assert curie_weiss.energy(*at) == pytest.approx(row["e"] + 0.5 / size, rel=1e-10, abs=1e-12)
    assert curie_weiss.specific_heat(*at) == pytest.approx(row["c"], rel=1e-9)
    assert curie_weiss.magnetisation(*at) == pytest.approx(row["m"], abs=1e-11)
    assert curie_weiss.abs_magnetisation(*at) == pytest.approx(row["abs_m"], rel=1e-10)
    assert curie_weiss.m2(*at) == pytest.approx(row["m2"], rel=1e-10)
    assert curie_weiss.m4(*at) == pytest.approx(row["m4"], rel=1e-10)
    assert curie_weiss.binder(*at) == pytest.approx(row["U4"], abs=1e-10)
    chi = beta * size * (row["m2"] - row["abs_m"] ** 2)
    assert curie_weiss.susceptibility(*at) == pytest.approx(chi, rel=1e-8)


@pytest.mark.parametrize("row", REFERENCE["thermodynamic_limit"])
def test_thermodynamic_limit_agrees_with_the_reference(row):
    at = (row["beta"], row["h"])
    assert curie_weiss.limit_magnetisation(*at) == pytest.approx(row["m"], abs=1e-12)
    assert curie_weiss.limit_free_energy(*at) == pytest.approx(row["f"], abs=1e-12)
    assert curie_weiss.limit_energy(*at) == pytest.approx(row["e"], abs=1e-12)


@pytest.mark.parametrize("beta, field", [(0.7, 0.0), (1.3, 0.2), (2.0, -0.1)])
def test_nine_spins_agree_with_the_sum_over_pairs(beta, field):
    spins = 1.0 - 2.0 * ((np.arange(2**9)[:, None] >> np.arange(9)) & 1)
    pairs = sum(spins[:, i] * spins[:, j] for i in range(9) for j in range(i))
    hamiltonian = -pairs / 9 - field * spins.sum(axis=1)
    weight = np.exp(-beta * hamiltonian)
    assert curie_weiss.log_z(beta, 9, field) == pytest.approx(np.log(weight.sum()), rel=1e-13)
    mean = (weight @ hamiltonian) / weight.sum()
    assert curie_weiss.energy(beta, 9, field) == pytest.approx(mean / 9, rel=1e-12)
    m = (weight @ spins.mean(axis=1)) / weight.sum()
    assert curie_weiss.magnetisation(beta, 9, field) == pytest.approx(m, abs=1e-13)


def test_energy_and_specific_heat_are_the_derivatives_of_log_z():
    beta, step = np.array([0.4, 0.95, 1.4]), 1e-4
    up, down = (curie_weiss.log_z(beta + sign * step, 50, 0.1) for sign in (1, -1))
    np.testing.assert_allclose(
        curie_weiss.energy(beta, 50, 0.1), -(up - down) / (100 * step), rtol=1e-7
    )
    up, down = (curie_weiss.energy(beta + sign * step, 50, 0.1) for sign in (1, -1))
    heat = -(beta**2) * (up - down) / (2 * step)
    np.testing.assert_allclose(curie_weiss.specific_heat(beta, 50, 0.1), heat, rtol=1e-6)


def test_limit_energy_heat_and_susceptibility_are_derivatives():
    beta, field, step = np.array([0.5, 0.9, 1.3, 2.0]), np.array([0.3, 0.0, 0.0, -0.2]), 1e-5
    up, down = (beta + step, field), (beta - step, field)
    slope = up[0] * curie_weiss.limit_free_energy(*up)
    slope = (slope - down[0] * curie_weiss.limit_free_energy(*down)) / (2 * step)
    np.testing.assert_allclose(curie_weiss.limit_energy(beta, field), slope, atol=1e-9)
    heat = curie_weiss.limit_energy(*up) - curie_weiss.limit_energy(*down)
    np.testing.assert_allclose(
        curie_weiss.limit_specific_heat(beta, field), -(beta**2) * heat / (2 * step), atol=1e-7
    )
    # One-sided towards stronger field, so that the h = 0 branch is not left.
    sign = np.where(field < 0, -1.0, 1.0)
    shifted = curie_weiss.limit_magnetisation(beta, field + sign * step)
    chi = sign * (shifted - curie_weiss.limit_magnetisation(beta, field)) / step
    np.testing.assert_allclose(curie_weiss.limit_susceptibility(beta, field), chi, rtol=2e-3)


def test_finite_sizes_approach_the_limit():
    beta, field = np.array([0.5, 1.5]), 0.2
    at = (beta, 20000, field)
    np.testing.assert_allclose(
        curie_weiss.magnetisation(*at), curie_weiss.limit_magnetisation(beta, field), atol=1e-4
    )
    np.testing.assert_allclose(
        curie_weiss.free_energy(*at), curie_weiss.limit_free_energy(beta, field), atol=1e-4
    )


def test_reversing_the_field_reverses_the_magnetisation_and_nothing_else():
    assert curie_weiss.magnetisation(1.2, 31, 0.3) == pytest.approx(
        -curie_weiss.magnetisation(1.2, 31, -0.3), abs=1e-15
    )
    assert curie_weiss.energy(1.2, 31, 0.3) == pytest.approx(curie_weiss.energy(1.2, 31, -0.3))
    assert curie_weiss.limit_magnetisation(1.2, 0.3) == -curie_weiss.limit_magnetisation(1.2, -0.3)


def test_critical_point_and_free_spins():
    assert curie_weiss.limit_magnetisation([0.0, 1.0]).tolist() == [0.0, 0.0]
    assert curie_weiss.limit_susceptibility(1.0) == np.inf
    # Just below T_c, m^2 = 3 (1 - T) and c = 3/2.
    assert curie_weiss.limit_magnetisation(1.000001) ** 2 == pytest.approx(3e-6, rel=1e-4)
    assert curie_weiss.limit_specific_heat(1.000001) == pytest.approx(1.5, rel=1e-4)
    assert curie_weiss.log_z(0.0, 100) == pytest.approx(100 * np.log(2))
    m, p = curie_weiss.magnetisation_distribution(0.0, 4)
    assert p == pytest.approx(np.array([1, 4, 6, 4, 1]) / 16)
    assert m.tolist() == [-1.0, -0.5, 0.0, 0.5, 1.0]


def test_unusable_arguments_are_refused():
    with pytest.raises(InputError, match="size"):
        curie_weiss.log_z(1.0, 0)
    with pytest.raises(InputError, match="beta"):
        curie_weiss.limit_energy(-1.0)

"""TAP as the second order of Plefka's expansion: slopes, the third order that is left, its limits."""

import numpy as np
import pytest
from approximations import KEY, couplings_times, exact_log_z
from learning_models import declared
from scipy.special import erfcx, log_ndtr
from small_models import loaded

from physebm.free_energy.estimate import Verdict
from physebm.free_energy.naive import NaiveMeanField, estimate_mean_field, fixed_points
from physebm.free_energy.tap import Tap, estimate_tap
from physebm.model.conditionals import Conditionals


def gaps(model, params, betas, factor=None):
    """``exact - mean field`` and ``exact - TAP`` at every beta, ``[beta, 2]``."""
    found = []
    for beta in betas:
        row = model.coefficients([1.0 / beta]) if factor is None else factor(beta)
        exact = exact_log_z(model.hamiltonian, params, row)
        found.append(
            [
                exact - method(model.hamiltonian, params, row, KEY, random=0).log_z
                for method in (estimate_mean_field, estimate_tap)
            ]
        )
    return np.array(found)


@pytest.mark.parametrize("seed", range(3))
def test_the_error_on_sk_is_that_of_closed_triangles(seed):
    """Ten spins without fields: ``beta^3 sum_{i<j<k} J_ij J_jk J_ki + O(beta^4)`` is missing."""
    model = loaded("sk", (("N", 10), ("h", 0.0)))
    params, betas = model.params(seed), np.array([0.04, 0.02, 0.01])
    found = gaps(model, params, betas)
    slopes = np.log2(np.abs(found[:-1] / found[1:]))
    J = params.arrays["J"][0]
    squares, triangles = np.triu(J**2, 1).sum(), np.trace(J @ J @ J) / 6.0
    assert slopes[-1, 0] == pytest.approx(2.0, abs=0.03)
    assert found[-1, 0] / betas[-1] ** 2 == pytest.approx(0.5 * squares, rel=0.03)
    # the next order adds a share of beta: extrapolated from two rows
    third = found[:, 1] / betas**3
    assert 2.0 * third[2] - third[1] == pytest.approx(triangles, abs=2e-3 * np.abs(J).sum() / 10)
    assert slopes[-1, 1] == pytest.approx(3.0, abs=0.2)


def test_in_fields_every_order_below_the_third_is_met():
    """Fields stay as they are, couplings shrink: slopes 2 and 3."""
    model = declared(
        "[units]\ns = { prior = 'ising', shape = 10 }\n[arrays]\n"
        "J = { law = 'normal', std = '1 / sqrt(10)', shape = [10, 10] }\n"
        "h = { law = 'normal', std = 0.7, shape = 10 }\n[[terms]]\ncouple = ['s', 's']\nJ = 'J'\n"
        "[[terms]]\nfield = 's'\nh = 'h'\n"
    )
    for seed in range(3):
        found = gaps(model, model.params(seed), [0.04, 0.02], lambda eps: couplings_times(model, eps))
        naive, tap = np.log2(np.abs(found[0] / found[1]))
        assert naive == pytest.approx(2.0, abs=0.05)
        assert tap == pytest.approx(3.0, abs=0.15)


def log_truncated(theta, lower, variance):
    """``log int_lower rho(x) exp(theta x) dx``, rho normalised on [lower, inf)."""
    sd = np.sqrt(variance)
    return 0.5 * theta**2 * variance + log_ndtr(theta * sd - lower / sd) - log_ndtr(-lower / sd)


TRUNCATED = """
[units]
s = { prior = "PRIOR", variance = 0.8, shape = 2LOWER }
t = { prior = "truncated_gaussian", variance = 0.6, lower = 0.3, shape = 1 }
[[terms]]
field = "t"
h = -0.4
[[terms]]
field = "s"
h = 0.5
[[terms]]
couple = ["s", "t"]
J = -0.9
"""


@pytest.mark.parametrize("prior", ["gaussian", "truncated_gaussian"])
def test_truncated_units_beside_continuous_ones_are_met_to_the_same_order(prior):
    """Two units on one truncated one: one integral is closed, the other a quadrature."""
    lower = ", lower = 0.2" if prior == "truncated_gaussian" else ""
    model = declared(TRUNCATED.replace("PRIOR", prior).replace("LOWER", lower))
    params = model.params(0)
    x, w = np.polynomial.legendre.leggauss(400)
    t = 0.3 + 6.0 * (x + 1.0)
    prior_t = -0.5 * t**2 / 0.6 - np.log(np.sqrt(0.5 * np.pi * 0.6) * erfcx(0.3 / np.sqrt(1.2)))
    prior_t += 0.3**2 / 1.2
    found = []
    for eps in (0.08, 0.04):
        theta = 0.5 - 0.9 * eps * t
        one = log_truncated(theta, 0.2, 0.8) if lower else 0.5 * theta**2 * 0.8
        exact = np.log(6.0 * w @ np.exp(prior_t - 0.4 * t + 2.0 * one))
        row = couplings_times(model, eps)
        found.append(
            [
                exact - method(model.hamiltonian, params, row, KEY, random=1).log_z
                for method in (estimate_mean_field, estimate_tap)
            ]
        )
    naive, tap = np.log2(np.abs(np.divide(*found)))
    assert naive == pytest.approx(2.0, abs=0.15)
    assert tap == pytest.approx(3.0, abs=0.3) or tap > 3.0
    assert abs(found[1][1]) < 0.05 * found[1][0]


@pytest.mark.parametrize("T", [1.2, 1.4, 2.0])
def test_above_the_line_of_de_almeida_and_thouless_the_expansion_holds(T):
    """``1 - largest eigenvalue of beta^2 J_ij^2``, and the paramagnet in closed form."""
    model = loaded("sk", (("N", 60), ("h", 0.0)))
    params, row = model.params(3), model.coefficients([T])
    found = estimate_tap(model.hamiltonian, params, row, KEY, random=2)
    J = params.arrays["J"][0]
    largest = np.linalg.eigvalsh(J**2)[-1] / T**2
    assert found.diagnostics["expansion"] == pytest.approx(1.0 - largest, abs=1e-6)
    assert found.log_z == pytest.approx(60 * np.log(2.0) + 0.25 * (J**2).sum() / T**2, abs=1e-9)
    assert found.verdict is Verdict.SUSPECT and "too strong" not in found.reason


@pytest.mark.parametrize("h, temperatures", [(0.0, (0.3, 0.6, 0.8)), (0.3, (0.2, 0.4))])
def test_below_the_line_no_convergence_hides_that_the_expansion_has_failed(h, temperatures):
    """Iterations converge to a paramagnet that looks stable: a reason of its own says it is not."""
    model, converged = loaded("sk", (("N", 60), ("h", h))), 0
    for T in temperatures:
        for seed in range(3):
            found = estimate_tap(
                model.hamiltonian, model.params(seed), model.coefficients([T]), KEY, random=1
            )
            assert found.verdict is not Verdict.TRUSTED
            if np.isfinite(found.diagnostics["expansion"]):
                converged += 1
                assert found.diagnostics["smallest_eigenvalue"][0] > 0.0
                assert found.diagnostics["expansion"] < 0.0 and "too strong" in found.reason
    assert converged >= 3


@pytest.mark.parametrize("kind", [NaiveMeanField, Tap])
@pytest.mark.parametrize("q", [0, 2, 4])
def test_the_hessian_of_frustrated_units_in_closed_form(kind, q):
    """Antiferromagnet on K_5 without order, d = 4 neighbours, in the mode against all of them.

    ``1 - k + (d + q/2 - 1) k^2`` with k = abs(J) / q of Potts units; Ising units are those with q = 2
    and twice the J. Without the Onsager term the squares are missing.
    """
    units, J = (f"prior = 'potts', q = {q}", -1.4) if q else ("prior = 'ising'", -0.7)
    k = 1.4 / q if q else 0.7
    model = declared(
        f"[units]\ns = {{ {units}, shape = 5 }}\n[[terms]]\ncouple = ['s', 's']\nJ = {J}\n"
    )
    row = model.coefficients([1.0])
    approximation = kind(Conditionals(model.hamiltonian, row.value[0], model.params(0)))
    points = fixed_points(approximation, KEY, random=0).points
    flat = next(point for point in points if point.norm < 1e-6)
    expected = 1.0 - k + ((3.0 + 0.5 * (q or 2)) * k**2 if kind is Tap else 0.0)
    assert flat.smallest_eigenvalue == pytest.approx(expected, abs=1e-7)
    assert (flat.smallest_eigenvalue > 1.0) == (kind is Tap)

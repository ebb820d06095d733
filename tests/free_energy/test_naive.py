"""Naive mean field: the Gibbs-Bogoliubov inequality everywhere, closed forms, independent numbers."""

import json
from pathlib import Path

import numpy as np
import pytest
from approximations import KEY, couplings_times, exact_log_z
from learning_models import FAMILIES, declared, family
from small_models import ZOO, loaded

from physebm.free_energy.estimate import Verdict
from physebm.free_energy.naive import estimate_mean_field
from physebm.model.energy import dense_couplings

REFERENCE = json.loads((Path(__file__).parents[1] / "reference/tap_rbm.json").read_text())["data"]
# no closed form of the integral over pairs of these units
CLOSED = [name for name in FAMILIES if name != "gaussian x truncated_gaussian"]


@pytest.mark.parametrize("name", [*CLOSED, "deep"])
def test_a_product_distribution_bounds_log_z_from_below(name):
    model = family(name)
    for seed in range(3):
        params, row = model.params(seed), model.coefficients([1.0])
        found = estimate_mean_field(model.hamiltonian, params, row, KEY, random=3)
        exact = exact_log_z(model.hamiltonian, params, row)
        assert found.low == found.log_z and np.isnan(found.high) and np.isnan(found.stderr)
        assert exact - 3.0 < found.log_z < exact - 1e-5
        assert found.verdict is Verdict.SUSPECT and "without an error" in found.reason


@pytest.mark.parametrize("name", ZOO)
def test_the_bound_holds_on_the_zoo_at_high_and_low_temperature(name):
    model = loaded(name)
    temperatures = [1.0, 4.0] if "T" not in name else [1.0]
    for T in temperatures:
        params, row = model.params(4), model.coefficients([T])
        found = estimate_mean_field(model.hamiltonian, params, row, KEY, random=3)
        assert found.log_z < exact_log_z(model.hamiltonian, params, row) + 1e-10


@pytest.mark.parametrize("name", ["bernoulli x potts", "gaussian", "boltzmann machine", "p-spin"])
def test_without_couplings_it_is_exact_and_trusted(name):
    model = family(name)
    params, row = model.params(1), couplings_times(model, 0.0)
    found = estimate_mean_field(model.hamiltonian, params, row, KEY)
    assert found.verdict is Verdict.TRUSTED and found.reason == "" and found.stderr == 0.0
    assert found.log_z == pytest.approx(exact_log_z(model.hamiltonian, params, row), abs=1e-12)
    assert found.low == found.high == found.log_z
    assert found.diagnostics["smallest_eigenvalue"] == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("case", REFERENCE["tap_rbm"], ids=lambda case: f"scale {case['scale']}")
def test_independent_numbers_of_restricted_machines(case):
    model, params = reference_rbm(case)
    found = estimate_mean_field(model.hamiltonian, params, model.coefficients([1.0]), KEY)
    assert found.log_z == pytest.approx(case["lnZ_nMF"], rel=1e-8)
    assert found.log_z < case["lnZ_exact"]


def reference_rbm(case):
    """The declared machine of one case of the reference, and its arrays."""
    N, M = np.shape(case["W"])
    model = declared(
        f"[units]\nv = {{ prior = 'bernoulli', shape = {N}, visible = true }}\n"
        f"h = {{ prior = 'bernoulli', shape = {M} }}\n[arrays]\n"
        f"W = {{ law = 'normal', std = 1, shape = [{N}, {M}] }}\n"
        f"a = {{ law = 'normal', std = 1, shape = {N} }}\n"
        f"b = {{ law = 'normal', std = 1, shape = {M} }}\n"
        "[[terms]]\ncouple = ['v', 'h']\nJ = 'W'\n"
        "[[terms]]\nfield = 'v'\nh = 'a'\n[[terms]]\nfield = 'h'\nh = 'b'\n"
    )
    arrays = {name: np.array([case[name]]) for name in ("W", "a", "b")}
    return model, model.params(0).with_arrays(**arrays)


def test_of_coupled_gaussian_units_only_the_correlations_are_missing():
    """``log Z - bound = (1/2) (sum log A_ii - log det A)``, A the precision matrix."""
    model = family("gaussian")
    params, row = model.params(2), model.coefficients([1.0])
    found = estimate_mean_field(model.hamiltonian, params, row, KEY)
    J = dense_couplings(model.hamiltonian, params, 0, 0)[:, 0, :, 0]
    A = np.diag(1.0 / params.arrays["v"][0]) - J
    gap = 0.5 * (np.log(np.diag(A)).sum() - np.linalg.slogdet(A)[1])
    assert exact_log_z(model.hamiltonian, params, row) - found.log_z == pytest.approx(gap, rel=1e-9)


def test_every_value_on_the_way_is_a_bound_but_only_a_fixed_point_is_an_estimate():
    model = family("boltzmann machine")
    params, row = model.params(0), model.coefficients([1.0])
    exact = exact_log_z(model.hamiltonian, params, row)
    for iterations in (1, 2, 5):
        found = estimate_mean_field(model.hamiltonian, params, row, KEY, iterations=iterations)
        assert found.verdict is Verdict.FAILED and "none of 9 starts converged" in found.reason
        assert found.low == found.log_z < exact
        assert found.diagnostics["unconverged_starts"] == 9
        assert len(found.diagnostics["fixed_point_log_z"]) == 0


def test_the_gap_of_an_infinite_range_model_does_not_grow_with_its_size():
    """Curie-Weiss above T_c: what is missing is the fluctuation ``-(1/2) log(1 - beta)``."""
    beta = 1.0 / 1.6
    for N in (100, 400):
        model = loaded("curie_weiss", (("N", N), ("h", 0.0)))
        row = model.coefficients([1.0 / beta])
        found = estimate_mean_field(model.hamiltonian, model.params(0), row, KEY)
        up = np.arange(N + 1)
        M = 2 * up - N
        logs = np.cumsum(np.concatenate([[0.0], np.log(np.arange(1, N + 1))]))
        log_w = logs[N] - logs[up] - logs[N - up] + 0.5 * beta * (M**2 - N) / N
        exact = np.logaddexp.reduce(log_w)
        # the i = j terms that H leaves out are -beta/2
        fluctuation = -0.5 * np.log(1.0 - beta) - 0.5 * beta
        assert exact - found.log_z == pytest.approx(fluctuation, abs=2.0 / N)

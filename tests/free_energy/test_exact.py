"""Exact log Z of every family against full enumeration and closed forms; what is refused, and why."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from learning_models import FAMILIES, declared, family, rbm
from scipy.special import gammaln, logsumexp

from physebm.errors import LoweringError
from physebm.free_energy import likelihood, state_sums
from physebm.free_energy.estimate import Verdict
from physebm.free_energy.exact import (
    check_exact,
    exact_estimate,
    exact_log_z,
    log_states,
    reach,
    smaller_side,
)
from physebm.free_energy.likelihood import log_partition
from physebm.free_energy.state_sums import enumerated_log_z, sum_by_chunks
from physebm.theory.conditional_form import conditional_form
from physebm.theory.enumeration import enumerate_states
from physebm.theory.ising2d import torus_log_z

WHERE = "study.toml: free_energy.method"
SPINGLASS = Path(__file__).parents[1] / "reference" / "spinglass.json"
SMOOTH = "gaussian x truncated_gaussian"
TEMPERATURES = [0.95, 1.0, 3.0]


def built(loaded, seed=3, temperatures=TEMPERATURES):
    return loaded.hamiltonian, loaded.params(seed), loaded.coefficients(temperatures)


def binomials(n):
    k = np.arange(n + 1)
    return k, gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)


def spins(n, lattice="", scale=1.0):
    on = f"on = {{ {lattice} }}\n" if lattice else ""
    return declared(
        f'[units]\ns = {{ prior = "ising", shape = {n} }}\n'
        f'[[terms]]\ncouple = ["s", "s"]\n{on}J = {scale}\n'
    )


@pytest.mark.parametrize("name", [*(n for n in FAMILIES if n != SMOOTH), "deep"])
def test_every_family_at_every_temperature(name):
    model = built(family(name))
    expected = enumerate_states(*model).log_z
    np.testing.assert_allclose(exact_log_z(*model, WHERE), expected, rtol=1e-12, atol=1e-12)
    summed = enumerated_log_z(smaller_side(model[0]), *model[1:])
    np.testing.assert_allclose(summed, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", [n for n in FAMILIES if n != SMOOTH])
def test_the_sum_in_numpy_is_that_of_the_kernel(name, monkeypatch):
    H, params, c = built(family(name))
    monkeypatch.setattr(state_sums, "CHUNK", 5)
    form = conditional_form(smaller_side(H), params)
    found = [sum_by_chunks(form, c, row) for row in range(3)]
    np.testing.assert_allclose(found, enumerate_states(H, params, c).log_z, rtol=1e-12, atol=1e-12)


def test_the_middle_layer_of_a_deep_machine_is_enumerated():
    H = family("deep").hamiltonian
    small = smaller_side(H)
    ends = {g.name for g in small.groups if g.integrated}
    assert ends == {"v", "h"}
    assert log_states(small) == H.group("g").size


def test_marks_of_integrated_groups_change_nothing():
    H, params, c = built(rbm("ising", "bernoulli"))
    expected = enumerate_states(H, params, c).log_z
    for name in "vh":
        groups = tuple(replace(g, integrated=g.name == name) for g in H.groups)
        found = exact_log_z(replace(H, groups=groups), params, c, WHERE)
        np.testing.assert_allclose(found, expected, rtol=1e-13)


def test_28_spins():
    """Mean-field ferromagnet, i < j: a sum over the number of spins that are up."""
    n, beta = 28, 1 / 0.8
    model = built(spins(n, scale=1 / n), temperatures=[0.8])
    k, ways = binomials(n)
    energy = -((2 * k - n) ** 2 - n) / (2 * n)
    estimate = exact_estimate(*model, WHERE)[0]
    assert estimate.log_z == pytest.approx(logsumexp(ways - beta * energy), rel=1e-13)
    assert estimate.diagnostics == {"way": "enumeration", "states": 2**28}


@pytest.mark.parametrize("visible", ["bernoulli", "ising", "gaussian"])
def test_20_hidden_units_with_784_visible(visible):
    """Equal weights: a sum over the number of hidden units that are on."""
    w, b, beta = 0.02, -0.15, 1.0
    extra = ", variance = 0.8" if visible == "gaussian" else ""
    loaded = declared(
        f'[units]\nv = {{ prior = "{visible}", shape = 784, visible = true{extra} }}\n'
        'h = { prior = "bernoulli", shape = 20 }\n'
        f'[[terms]]\ncouple = ["v", "h"]\nJ = {w}\n[[terms]]\nfield = "v"\nh = {b}\n'
    )
    model = built(loaded, temperatures=[1.0])
    k, ways = binomials(20)
    theta = beta * (w * k + b)
    gamma = {
        "bernoulli": np.logaddexp(0.0, theta),
        "ising": np.logaddexp(theta, -theta),
        "gaussian": 0.4 * theta**2,
    }[visible]
    assert exact_log_z(*model, WHERE)[0] == pytest.approx(logsumexp(ways + 784 * gamma), rel=1e-13)


@pytest.mark.slow
def test_25_hidden_units_with_200_visible():
    loaded = declared(
        '[units]\nv = { prior = "ising", shape = 200, visible = true }\n'
        'h = { prior = "ising", shape = 25 }\n'
        '[[terms]]\ncouple = ["v", "h"]\nJ = 0.05\n'
    )
    k, ways = binomials(25)
    theta = 0.05 * (2 * k - 25)
    expected = logsumexp(ways + 200 * np.logaddexp(theta, -theta))
    found = exact_log_z(*built(loaded, temperatures=[1.0]), WHERE)[0]
    assert found == pytest.approx(expected, rel=1e-13)


def test_a_frustrated_triangle_keeps_its_entropy():
    """E = -1 in six states of eight and 3 in two: ``log Z -> beta + log 6`` at low temperature."""
    beta = np.array([0.0, 0.5, 2.0, 50.0, 2000.0])
    loaded = spins(3, scale=-1.0)
    H, params, c = built(loaded, temperatures=1.0 / np.maximum(beta, 1e-12))
    expected = np.logaddexp(np.log(6.0) + beta, np.log(2.0) - 3.0 * beta)
    np.testing.assert_allclose(exact_log_z(H, params, c, WHERE), expected, rtol=1e-13)


def test_reference_values_of_spin_glasses():
    data = json.loads(SPINGLASS.read_text())["data"]
    for case in data["sk_finite"]:
        temperatures = [1.0 / row["beta"] for row in case["thermo"]]
        loaded = declared(
            f'[units]\ns = {{ prior = "ising", shape = {case["N"]} }}\n'
            f'[arrays]\nJ = {{ law = "normal", std = 1, shape = [{case["N"]}, {case["N"]}] }}\n'
            '[[terms]]\ncouple = ["s", "s"]\nJ = "J"\n'
        )
        H, params, c = built(loaded, temperatures=temperatures)
        params = params.with_arrays(J=np.array(case["J"])[None])
        expected = [row["lnZ"] for row in case["thermo"]]
        np.testing.assert_allclose(exact_log_z(H, params, c, WHERE), expected, rtol=1e-12)


@pytest.mark.parametrize("beside", ["", '[[terms]]\ncouple = ["s", "h"]\nJ = 0.4\n'])
def test_many_body_terms_alone_and_beside_a_layer(beside):
    """17 spins are more than the tables of `enumerate_states` hold; with a layer, sums in numpy."""
    layer = 'h = { prior = "bernoulli", shape = 2 }\n' if beside else ""
    n = 9 if beside else 17
    loaded = declared(
        f'[units]\ns = {{ prior = "ising", shape = {n} }}\n{layer}'
        f'[arrays]\nJ = {{ law = "normal", std = 0.1, shape = [{n}, {n}, {n}] }}\n'
        f'[[terms]]\ncouple = ["s", "s", "s"]\nJ = "J"\n{beside}[[terms]]\nfield = "s"\nh = 0.2\n'
    )
    model = built(loaded)
    expected = enumerate_states(*model, probabilities=True).log_z
    np.testing.assert_allclose(exact_log_z(*model, WHERE), expected, rtol=1e-12)


def test_independent_units_have_a_closed_form():
    loaded = declared(
        '[units]\ns = { prior = "ising", shape = 100000 }\n'
        'z = { prior = "truncated_gaussian", shape = 3, variance = 2.0, lower = 0.5 }\n'
        '[[terms]]\nfield = "s"\nh = 0.3\n'
    )
    model = built(loaded, temperatures=[0.5])
    estimate = exact_estimate(*model, WHERE)[0]
    assert estimate.log_z == pytest.approx(1e5 * np.log(2 * np.cosh(0.6)), rel=1e-13)
    assert estimate.diagnostics == {"way": "closed form"}


def test_lattices_go_by_transfer_matrix():
    square = 'lattice = "square", boundary = "periodic"'
    loaded = declared(
        f'[units]\ns = {{ prior = "ising", shape = [6, 8] }}\n'
        f'[[terms]]\ncouple = ["s", "s"]\nJ = 1\non = {{ {square} }}\n'
    )
    H, params, c = built(loaded, temperatures=[1.0, 2.27])
    found = exact_estimate(H, params, c, WHERE)
    expected = torus_log_z(c.beta, 6, 8)
    np.testing.assert_allclose([each.log_z for each in found], expected, rtol=1e-13)
    assert found[0].diagnostics == {"way": "transfer matrix", "width": 7, "held": 6}
    assert log_partition(H, params, c) == pytest.approx(expected[0], rel=1e-13)


def test_an_estimate_is_trusted_and_has_no_error():
    for estimate in exact_estimate(*built(rbm("bernoulli", "potts")), WHERE):
        assert (estimate.method, estimate.stderr) == ("exact", 0.0)
        assert estimate.verdict is Verdict.TRUSTED and estimate.reason == ""
        assert estimate.diagnostics == {"way": "enumeration", "states": 16}


METHODS = ["integration", "mbar", "ais", "population-annealing", "mean-field", "tap", "bethe"]


@pytest.mark.parametrize(
    ("loaded", "got", "legal"),
    [
        (rbm("ising", "bernoulli", 40, 29), "2^29 states", "2^28 states"),
        (rbm("potts", "potts", 18, 18), "2^28.53 states", "2^28 states"),
        (spins(29), "2^29 states", "2^28 states"),
        (rbm("truncated_gaussian", "ising", 64, 25), "2^25 states", "2^24 states"),
        (rbm("gaussian", "truncated_gaussian"), "no closed form", "discrete units only"),
    ],
    ids=["machine", "potts", "spins", "truncated", "joined"],
)
def test_out_of_reach(loaded, got, legal):
    with pytest.raises(LoweringError) as raised:
        check_exact(loaded.hamiltonian, WHERE)
    message = str(raised.value)
    assert WHERE in message and got in message and legal in message
    assert all(f'"{method}"' in message for method in METHODS)
    with pytest.raises(LoweringError):
        exact_log_z(*built(loaded), WHERE)
    assert log_partition(*built(loaded)) is None


def test_just_within_reach():
    for loaded in (
        rbm("ising", "bernoulli", 40, 28),
        rbm("potts", "potts", 40, 17),
        rbm("gaussian", "ising", 784, 28),
        rbm("truncated_gaussian", "ising", 64, 24),
    ):
        check_exact(loaded.hamiltonian, WHERE)
        assert reach(loaded.hamiltonian).way == "enumeration"


def test_a_wide_lattice_says_so():
    loaded = declared(
        '[units]\ns = { prior = "ising", shape = [16, 16] }\n'
        '[[terms]]\ncouple = ["s", "s"]\nJ = 1\non = { lattice = "square", boundary = "periodic" }\n'
    )
    with pytest.raises(LoweringError, match="too wide for a transfer matrix"):
        check_exact(loaded.hamiltonian, WHERE)


def test_records_of_training_count_integrals_too(monkeypatch):
    """2^20 states, but beside 784 truncated units not more than 2^15 of them."""

    def refuse(*_):
        raise AssertionError("more than a record of training may cost")

    monkeypatch.setattr(likelihood, "exact_log_z", refuse)
    for within, nh in ((True, 15), (False, 16)):
        model = built(rbm("truncated_gaussian", "bernoulli", 784, nh, std=0.01))
        if within:
            with pytest.raises(AssertionError):
                log_partition(*model)
        else:
            assert log_partition(*model) is None


@pytest.mark.parametrize("name", ["boltzmann machine", "lattice", "potts x bernoulli"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_arrays_that_are_not_finite_stop_the_estimate(name, bad):
    H, params, c = built(family(name))
    slot = next(iter(params.arrays))
    values = params.arrays[slot].copy()
    values.flat[1] = bad
    with pytest.raises(LoweringError, match=f"{bad} in array {slot}"):
        exact_log_z(H, params.with_arrays(**{slot: values}), c, WHERE)

"""Mean-field inversion of the inverse Ising problem: independent numbers and exact limits."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from learning_models import declared, family

from physebm.errors import InputError, LoweringError
from physebm.free_energy.exact import exact_averages
from physebm.learning.inversion import METHODS, check_inversion, invert
from physebm.model.conditionals import Conditionals
from physebm.model.statistics import RowAverages
from physebm.theory.enumeration import enumerate_states


def machine(prior="ising", n=10, field=True, scale="1", shape=None):
    """A Boltzmann machine of n units, with trainable couplings and fields."""
    shape = shape or [n]
    n = math.prod(shape)
    text = f"""
[units]
s = {{ prior = "{prior}", shape = {shape}, visible = true }}
[arrays]
J = {{ law = "normal", std = 0.3, shape = [{n}, {n}], trainable = true }}
b = {{ law = "normal", std = 0.4, shape = {shape}, trainable = true }}
[[terms]]
couple = ["s", "s"]
J = "J"
scale = {scale}
"""
    if field:
        return declared(text + '[[terms]]\nfield = "s"\nh = "b"\nscale = 1.7\n')
    return declared(text.replace("\nb = ", "\n# b = "))


def reference():
    """Independent numbers of the inverse Ising problem."""
    path = Path(__file__).parents[1] / "reference" / "boltzmann_inverse.json"
    (case,) = json.loads(path.read_text())["data"]["models"]
    return case


def all_spins(n):
    return 2 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1) - 1


def rows(loaded, x, weights=None):
    """Averages over samples."""
    conditionals = Conditionals(loaded.hamiltonian, np.ones(2), loaded.params(0))
    return RowAverages(loaded.hamiltonian, conditionals.states({"s": x}), weights)


def inverted(loaded, averages, method, pseudocount=0.0):
    """Couplings and fields times their coefficients."""
    c = loaded.coefficients([1.0]).value[0]
    found = invert(loaded.hamiltonian, c, averages, method, pseudocount)
    assert found.unsolved == 0
    for slot, values in found.arrays.items():
        assert values.shape == loaded.hamiltonian.slot(slot).shape
    return c[0] * found.arrays["J"], c[1] * found.arrays["b"] if len(c) > 1 else None


def with_chain_couplings(loaded, n=6):
    """Params whose couplings join neighbours on an open chain only: a tree."""
    params = loaded.params(4)
    J = params.arrays["J"][0]
    J = J * (np.abs(np.subtract.outer(np.arange(n), np.arange(n))) == 1)
    return params.with_arrays(J=J[None])


@pytest.mark.parametrize(
    "method, theirs", [("naive-mean-field", "nMF"), ("tap", "TAP"), ("bethe", "Bethe")]
)
def test_independent_values(method, theirs):
    case, loaded = reference(), machine(scale="2.5")
    w = np.array(case["sample_counts"]) / sum(case["sample_counts"])
    J, h = inverted(loaded, rows(loaded, all_spins(10), w), method)
    expected = case["inverse_from_samples"][theirs]
    np.testing.assert_allclose(J, expected["J"], rtol=1e-8, atol=1e-12)
    if "h" in expected:
        np.testing.assert_allclose(h, expected["h"], rtol=1e-8, atol=1e-12)
    params = loaded.params(0)
    c = loaded.coefficients([1.0])
    J, h = np.array([case["J"]]) / c.value[0, 0], np.array([case["h"]]) / c.value[0, 1]
    exact = exact_averages(loaded.hamiltonian, params.with_arrays(J=J, b=h), c)
    J, _ = inverted(loaded, exact, method)
    np.testing.assert_allclose(J, case["inverse_from_exact_moments"][theirs], rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("prior", ["ising", "bernoulli"])
@pytest.mark.parametrize("shape", [[6], [3, 2]])
def test_bethe_is_exact_on_a_tree(prior, shape):
    loaded = machine(prior, scale="0.8", shape=shape)
    params = with_chain_couplings(loaded)
    c = loaded.coefficients([1.0])
    found = invert(
        loaded.hamiltonian, c.value[0], exact_averages(loaded.hamiltonian, params, c), "bethe"
    )
    np.testing.assert_allclose(found.arrays["J"], params.arrays["J"][0], atol=1e-11)
    np.testing.assert_allclose(found.arrays["b"], params.arrays["b"][0], atol=1e-11)
    assert found.unsolved == 0


@pytest.mark.parametrize("method", METHODS)
def test_two_state_units_of_both_kinds_get_the_same_distribution(method):
    """Data of spins and the same data as 0 and 1: both inverted models have the same p."""
    spins, bits = machine("ising", 6), machine("bernoulli", 6, scale="0.4")
    x = all_spins(6)
    w = np.random.default_rng(2).dirichlet(np.full(64, 3.0))
    probabilities = []
    for loaded, data in ((spins, x), (bits, (x + 1) // 2)):
        c = loaded.coefficients([1.0])
        found = invert(loaded.hamiltonian, c.value[0], rows(loaded, data, w), method, 0.05)
        arrays = {name: values[None] for name, values in found.arrays.items()}
        params = loaded.params(0).with_arrays(**arrays)
        np.testing.assert_array_equal(arrays["J"][0], arrays["J"][0].T)
        exact = enumerate_states(loaded.hamiltonian, params, c, probabilities=True)
        ((_, states),) = exact.states()
        np.testing.assert_array_equal(states["s"], data)
        probabilities.append(exact.probabilities[0])
    np.testing.assert_allclose(probabilities[1], probabilities[0], rtol=1e-11)


@pytest.mark.parametrize("method, order", [("naive-mean-field", 2), ("tap", 3), ("bethe", 3)])
def test_errors_have_the_order_of_the_expansion(method, order):
    """Plefka's expansion, in fields of order one: halving J divides the error of J by 2^order."""
    loaded = machine(n=5)
    params, c = loaded.params(8), loaded.coefficients([1.0])
    errors = []
    for size in (0.02, 0.01):
        J = size * params.arrays["J"] / np.abs(params.arrays["J"]).max()
        exact = exact_averages(loaded.hamiltonian, params.with_arrays(J=J), c)
        found = invert(loaded.hamiltonian, c.value[0], exact, method).arrays["J"]
        errors.append(np.abs(found - J[0]).max())
    assert np.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.1)


def test_without_a_field_the_magnetisation_of_the_data_does_not_count():
    """The model has m = 0: data and their mirror image give the same couplings."""
    loaded = machine(n=5, field=False)
    rng = np.random.default_rng(1)
    x = np.where(rng.random((400, 5)) < 0.7, 1, -1)
    mirror = np.concatenate([x, -x])
    for method in METHODS:
        J, _ = inverted(loaded, rows(loaded, x), method)
        np.testing.assert_allclose(J, inverted(loaded, rows(loaded, mirror), method)[0], atol=1e-14)
    np.testing.assert_allclose(J[0, 1], np.arctanh(_bethe_pair(x)), rtol=1e-9)


def _bethe_pair(x):
    """``tanh J_01`` at m = 0: ``4 P / (1 + ...)`` solved for by the quadratic of its definition."""
    P = np.linalg.inv(x.T @ x / len(x))[0, 1]
    # At m = 0 the bond alone has P = -t / (1 - t^2).
    return (1.0 - np.sqrt(1.0 + 4.0 * P**2)) / (2.0 * P)


def test_a_pseudocount_mixes_in_independent_units():
    loaded = machine(n=4)
    rng = np.random.default_rng(3)
    w = rng.dirichlet(np.full(16, 2.0))
    mixed = 0.8 * w + 0.2 / 16
    for method in METHODS:
        J, h = inverted(loaded, rows(loaded, all_spins(4), w), method, 0.2)
        J2, h2 = inverted(loaded, rows(loaded, all_spins(4), mixed), method)
        np.testing.assert_allclose(J, J2, atol=1e-13)
        np.testing.assert_allclose(h, h2, atol=1e-13)


def test_pairs_without_a_real_solution_are_counted():
    """Three spins of which about one is down: too far from independence for these expansions."""
    loaded = machine(n=3)
    c = loaded.coefficients([1.0])
    x = np.array([[1, 1, 1], [-1, 1, 1], [1, -1, 1], [1, 1, -1]])
    w = np.array([0.04, 0.30, 0.32, 0.34])
    m = w @ x
    P = np.linalg.inv((x.T * w) @ x - np.outer(m, m))
    for method in ("tap", "bethe"):
        found = invert(loaded.hamiltonian, c.value[0], rows(loaded, x, w), method)
        J = c.value[0, 0] * found.arrays["J"]
        assert found.unsolved == 3 and np.isfinite(J).all() and np.isfinite(found.arrays["b"]).all()
    J = c.value[0, 0] * invert(loaded.hamiltonian, c.value[0], rows(loaded, x, w), "tap").arrays["J"]
    i, j = np.nonzero(np.triu(1 - 8 * np.outer(m, m) * P < 0, 1))
    trial = J[i, j] * np.linspace(0.5, 1.5, 101)[:, None]
    violation = np.abs(P[i, j] + trial + 2 * m[i] * m[j] * trial**2)
    assert len(i) == 3
    np.testing.assert_array_equal(violation.argmin(axis=0), 50)


def test_constant_and_dependent_units_are_named():
    loaded = machine(n=12)
    rng = np.random.default_rng(0)
    x = rng.choice([-1, 1], (500, 12))
    x[:, 4], x[:, 7] = 1, -1
    with pytest.raises(InputError, match="never change: 4, 7") as caught:
        inverted(loaded, rows(loaded, x), "tap")
    assert "pseudocount" in caught.value.hint
    x = rng.choice([-1, 1], (500, 12))
    x[:, 9] = -x[:, 2]
    with pytest.raises(InputError, match=r"1 linear relation\(s\) among the units 2, 9"):
        inverted(loaded, rows(loaded, x), "naive-mean-field")
    with pytest.raises(InputError, match=r"4 linear relation.* and 4 more"):
        inverted(loaded, rows(loaded, x[:9]), "naive-mean-field")
    J, h = inverted(loaded, rows(loaded, x), "bethe", 0.1)
    assert np.isfinite(J).all() and np.isfinite(h).all()
    grid = machine(shape=[3, 2])
    y = rng.choice([-1, 1], (100, 6))
    y[:, 3] = 1
    with pytest.raises(InputError, match=r"\(1,1\)"):
        inverted(grid, rows(grid, y), "tap")


@pytest.mark.parametrize(
    "name, word",
    [
        ("bernoulli x ising", "hidden"),
        ("gaussian", "two-state"),
        ("potts machine", "two-state"),
        ("lattice", "another term"),
        ("patterns", "another term"),
        ("p-spin", "another term"),
    ],
)
def test_other_models_are_refused_with_the_reason(name, word):
    with pytest.raises(LoweringError, match=word) as caught:
        check_inversion(family(name).hamiltonian, "study.toml: train.method")
    assert "pcd" in caught.value.hint and caught.value.where == "study.toml: train.method"


def test_other_declarations_and_options_are_refused():
    with pytest.raises(LoweringError, match="no field"):
        check_inversion(machine("bernoulli", field=False).hamiltonian, "here")
    loaded = machine(scale="0")
    x = np.random.default_rng(0).choice([-1, 1], (200, 10))
    with pytest.raises(LoweringError, match=r"terms\[0\].scale"):
        inverted(loaded, rows(loaded, x), "tap")
    loaded = machine()
    with pytest.raises(LoweringError, match="did you mean naive-mean-field"):
        inverted(loaded, rows(loaded, x), "naive-meanfield")
    with pytest.raises(InputError, match="pseudocount"):
        inverted(loaded, rows(loaded, x), "tap", 1.0)

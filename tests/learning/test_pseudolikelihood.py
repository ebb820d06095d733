"""The log pseudo-likelihood and its gradient, from the definition of the energy alone."""

import json
from pathlib import Path

import numpy as np
import pytest
from learning_models import declared, family, free_places, nudged, some_visibles
from scipy.optimize import minimize

from physebm.errors import LoweringError
from physebm.learning.pseudolikelihood import check_pseudo_likelihood, pseudo_likelihood
from physebm.model.conditionals import Conditionals
from physebm.model.energy import reduced_potential
from physebm.model.statistics import statistics
from physebm.theory.enumeration import enumerate_states

TWO_GROUPS = """
[units]
a = {{ {a}, shape = 3, visible = true }}
b = {{ {b}, shape = 2, visible = true }}
[arrays]
W = {{ law = "normal", std = 0.6, shape = [{shape}], trainable = true }}
J = {{ law = "normal", std = 0.6, shape = [3, 3], trainable = true }}
b_h = {{ law = "normal", std = 0.4, shape = [{field}], trainable = true }}
[[terms]]
couple = ["a", "b"]
J = "W"
scale = 0.8
[[terms]]
couple = ["a", "a"]
J = "J"
[[terms]]
field = "b"
h = "b_h"
"""

POTTS, ISING, BERNOULLI = 'prior = "potts", q = 3', 'prior = "ising"', 'prior = "bernoulli"'

MORE = {
    "ising and potts": TWO_GROUPS.format(a=ISING, b=POTTS, shape="3, 2, 3", field="2, 3"),
    "potts and bernoulli": TWO_GROUPS.format(a=POTTS, b=BERNOULLI, shape="3, 2, 3", field="2"),
    "potts and potts": TWO_GROUPS.format(a=POTTS, b=POTTS, shape="3, 2, 3, 3", field="2, 3"),
    "ising and bernoulli": TWO_GROUPS.format(a=ISING, b=BERNOULLI, shape="3, 2", field="2"),
    "potts lattice": """
[units]
s = { prior = "potts", q = 3, shape = [2, 3], visible = true }
[arrays]
J = { law = "normal", std = 0.5, shape = [2, 2, 3, 3, 3], trainable = true }
[[terms]]
couple = ["s", "s"]
on = { lattice = "square", boundary = ["periodic", "open"] }
J = "J"
""",
    "potts lattice with delta couplings": """
[units]
s = { prior = "potts", q = 3, shape = [3, 3], visible = true }
[arrays]
J = { law = "normal", std = 0.5, shape = [2, 3, 3], trainable = true }
[[terms]]
couple = ["s", "s"]
on = { lattice = "square" }
J = "J"
""",
    "hyperedges": """
[units]
s = { prior = "bernoulli", shape = 5, visible = true }
[arrays]
J = { law = "normal", std = 0.9, shape = 4, trainable = true }
[[terms]]
couple = ["s", "s", "s"]
on = { edges = { values = [[0, 1, 2], [4, 2, 1], [0, 3, 4], [1, 2, 0]] } }
J = "J"
""",
    "potts patterns": """
[units]
s = { prior = "potts", q = 3, shape = 4, visible = true }
[arrays]
xi = { law = "normal", std = 0.6, shape = [2, 4, 3], trainable = true }
[[terms]]
couple = ["s", "s"]
patterns = "xi"
scale = 0.3
""",
    "one array in two terms": """
[units]
s = { prior = "ising", shape = 4, visible = true }
[arrays]
J = { law = "normal", std = 0.6, shape = [4, 4], trainable = true }
xi = { law = "normal", std = 0.6, shape = [1, 4], trainable = true }
[[terms]]
couple = ["s", "s"]
J = "J"
[[terms]]
couple = ["s", "s"]
J = "J"
scale = 0.5
[[terms]]
couple = ["s", "s"]
patterns = "xi"
""",
}

NAMES = [
    "boltzmann machine",
    "potts machine",
    "potts machine with delta couplings",
    "lattice",
    "sparse potts graph",
    "patterns",
    "p-spin",
    *MORE,
]


def reference():
    """Independent numbers of the inverse Ising problem."""
    path = Path(__file__).parents[1] / "reference" / "boltzmann_inverse.json"
    (case,) = json.loads(path.read_text())["data"]["models"]
    return case


def some_model(name):
    return declared(MORE[name]) if name in MORE else family(name)


def defined_value(loaded, params, states, weights):
    """``sum_r w_r sum_i log p(x_i | x_rest)`` from energies of every state of every unit."""
    H, c = loaded.hamiltonian, loaded.coefficients([1.0])
    total = np.zeros(len(weights))
    for group in H.groups:
        for i in range(group.size):
            u = []
            for value in group.prior.states:
                x = states[group.name].copy()
                x[:, i] = value
                u.append(reduced_potential(H, params, c, {**states, group.name: x})[:, 0])
            log_z = np.logaddexp.reduce(-np.array(u), axis=0)
            total += -reduced_potential(H, params, c, states)[:, 0] - log_z
    return float(weights @ total)


def evaluated(loaded, params, states, weights, dtype=np.float64):
    """Value and gradient of the package."""
    H, c = loaded.hamiltonian, loaded.coefficients([1.0]).value[0]
    value, averages = pseudo_likelihood(Conditionals(H, c, params, dtype), states, weights)
    return value, statistics(H, params, averages, c, [slot.name for slot in H.slots])


@pytest.mark.parametrize("name", NAMES)
def test_value_and_gradient_are_those_of_the_definition(name):
    loaded = some_model(name)
    params, states = loaded.params(3), some_visibles(loaded, 7)
    weights = np.arange(1.0, 8.0) / 28.0
    value, gradient = evaluated(loaded, params, states, weights)
    assert value == pytest.approx(defined_value(loaded, params, states, weights), rel=1e-12)
    step = 1e-3
    for slot, found in gradient.items():
        assert found.shape == params.arrays[slot].shape[1:]
        places = free_places(loaded, params, slot)
        for place in places[:: 1 + len(places) // 20]:
            up, down, up2, down2 = (
                defined_value(loaded, nudged(loaded, params, slot, place, by), states, weights)
                for by in (step, -step, 2 * step, -2 * step)
            )
            slope = (8.0 * (up - down) - (up2 - down2)) / (12.0 * step)
            assert found[place] == pytest.approx(slope, rel=1e-6, abs=1e-10), (slot, place)


@pytest.mark.parametrize("name", NAMES)
def test_gradient_of_symmetric_couplings_is_symmetric(name):
    loaded = some_model(name)
    params, states = loaded.params(3), some_visibles(loaded, 7)
    gradient = evaluated(loaded, params, states, np.full(7, 1 / 7))[1]
    for slot in loaded.structure.mirrored:
        g = gradient[slot]
        mirror = g.transpose(1, 0, 3, 2) if g.ndim == 4 else g.T
        np.testing.assert_array_equal(g, mirror)


@pytest.mark.parametrize("name", ["boltzmann machine", "potts machine", "hyperedges"])
def test_many_rows_single_precision_and_weights(name):
    """Blocks of rows change nothing; nor does a weight instead of a repeated row."""
    loaded = some_model(name)
    params, states = loaded.params(1), some_visibles(loaded, 2500)
    equal = np.full(2500, 1 / 2500)
    value, gradient = evaluated(loaded, params, states, equal)
    assert value == pytest.approx(defined_value(loaded, params, states, equal), rel=1e-12)
    unweighted = evaluated(loaded, params, states, None)
    single = evaluated(loaded, params, states, equal, np.float32)
    several = np.arange(2500) % 3
    repeated = {group: np.repeat(x, several, axis=0) for group, x in states.items()}
    rows = several.sum()
    weighted = evaluated(loaded, params, states, several / rows)
    doubled = evaluated(loaded, params, repeated, np.full(rows, 1 / rows))
    assert unweighted[0] == pytest.approx(value, rel=1e-13)
    assert single[0] == pytest.approx(value, rel=1e-6)
    assert weighted[0] == pytest.approx(doubled[0], rel=1e-12)
    for slot, found in gradient.items():
        np.testing.assert_allclose(unweighted[1][slot], found, rtol=1e-12, atol=1e-15)
        np.testing.assert_allclose(single[1][slot], found, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(weighted[1][slot], doubled[1][slot], rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("name", ["boltzmann machine", "potts machine", "p-spin", "ising and potts"])
def test_gradient_vanishes_on_the_distribution_of_the_model_itself(name):
    loaded = some_model(name)
    params, c = loaded.params(5), loaded.coefficients([1.0])
    exact = enumerate_states(loaded.hamiltonian, params, c)
    ((_, states),) = exact.states(chunk=2**12)
    gradient = evaluated(loaded, params, states, exact.probabilities[0])[1]
    for found in gradient.values():
        np.testing.assert_allclose(found, 0.0, atol=1e-14)


def test_the_couplings_of_a_boltzmann_machine_are_recovered_from_its_distribution():
    loaded = family("boltzmann machine")
    truth, c = loaded.params(5), loaded.coefficients([1.0])
    exact = enumerate_states(loaded.hamiltonian, truth, c)
    ((_, states),) = exact.states()
    upper = np.triu_indices(5, 1)

    def loss(free):
        J = np.zeros((5, 5))
        J[upper] = free[:10]
        arrays = {"J": (J + J.T)[None], "b": free[None, 10:]}
        value, g = evaluated(loaded, truth.with_arrays(**arrays), states, exact.probabilities[0])
        return -value, -np.concatenate([g["J"][upper], g["b"]])

    found = minimize(loss, np.zeros(15), jac=True, method="BFGS", options={"gtol": 1e-9}).x
    np.testing.assert_allclose(found[:10], truth.arrays["J"][0][upper], atol=1e-7)
    np.testing.assert_allclose(found[10:], truth.arrays["b"][0], atol=1e-7)


def test_independent_values_of_the_inverse_ising_problem():
    """The value at the true couplings; and the logistic regression of each unit on its own.

    The reference maximises each unit's conditional by itself: row i of J_rows belongs to unit i. With
    ``x_i D_i = 2 (1 - p(x_i | rest))`` both its stationarity and its maximum can be read from D.
    """
    case = reference()
    plm, n = case["inverse_from_samples"]["PLM"], case["N"]
    loaded = declared(
        f"""
[units]
s = {{ prior = "ising", shape = {n}, visible = true }}
[arrays]
J = {{ law = "normal", std = 0.5, shape = [{n}, {n}], trainable = true }}
b = {{ law = "normal", std = 0.3, shape = {n}, trainable = true }}
[[terms]]
couple = ["s", "s"]
J = "J"
[[terms]]
field = "s"
h = "b"
"""
    )
    H, c, params = loaded.hamiltonian, loaded.coefficients([1.0]).value[0], loaded.params(0)
    x = 2 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1) - 1
    w = np.array(case["sample_counts"]) / sum(case["sample_counts"])
    params = params.with_arrays(J=np.array([case["J"]]), b=np.array([case["h"]]))
    value = pseudo_likelihood(Conditionals(H, c, params), {"s": x}, w)[0]
    assert value == pytest.approx(case["pseudo_loglik_at_true"], rel=1e-10)
    best = 0.0
    for i, row in enumerate(np.array(plm["J_rows"])):
        J = np.zeros((n, n))
        J[i], J[:, i] = row, row
        params = params.with_arrays(J=J[None], b=np.array([plm["h"]]))
        averages = pseudo_likelihood(Conditionals(H, c, params), {"s": x}, w)[1]
        D = averages.deviations["s"][:, i]
        assert w @ D == pytest.approx(0.0, abs=1e-9)
        np.testing.assert_allclose((w * D) @ np.delete(x, i, axis=1), 0.0, atol=1e-9)
        best += w @ np.log1p(-0.5 * x[:, i] * D)
    assert best == pytest.approx(plm["max_log_pl"], rel=1e-8)


def test_hidden_and_continuous_units_are_refused_with_the_reason():
    for name in ("bernoulli x ising", "deep"):
        with pytest.raises(LoweringError, match="hidden") as caught:
            check_pseudo_likelihood(family(name).hamiltonian, "study.toml: train.method")
        assert caught.value.where == "study.toml: train.method" and "pcd" in caught.value.hint
    loaded = family("gaussian")
    with pytest.raises(LoweringError, match="continuous"):
        conditionals = Conditionals(loaded.hamiltonian, np.ones(3), loaded.params(0))
        pseudo_likelihood(conditionals, some_visibles(loaded, 3))

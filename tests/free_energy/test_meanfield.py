"""The mean-field posterior and its bound, against enumeration of the hidden units."""

import json
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from learning_models import DEEP, RBM_PAIRS, declared, family, some_visibles

from physebm.free_energy.meanfield import mean_field_posterior, variational_bound
from physebm.model.conditionals import Conditionals
from physebm.model.energy import reduced_potential
from physebm.model.hamiltonian import Group
from physebm.model.roles import hidden_groups

# Layers of three kinds above the visible one, declared from the top down.
MANY_KINDS = """
[units]
top = { prior = "ising", shape = 3 }
r = { prior = "truncated_gaussian", variance = 0.8, lower = 0.2, shape = 2 }
p = { prior = "potts", q = 3, shape = 2 }
v = { prior = "gaussian", variance = 1.3, shape = 3, visible = true }
[arrays]
J = { law = "normal", std = 0.7, shape = [3, 3] }
W1 = { law = "normal", std = 0.6, shape = [3, 2, 3] }
W2 = { law = "normal", std = 0.7, shape = [2, 2, 3] }
W3 = { law = "normal", std = 0.7, shape = [2, 3, 3] }
b = { law = "normal", std = 0.5, shape = [2, 3] }
[[terms]]
couple = ["top", "top"]
J = "J"
[[terms]]
couple = ["v", "p"]
J = "W1"
scale = 0.9
[[terms]]
couple = ["r", "p"]
J = "W2"
scale = 1.1
[[terms]]
couple = ["p", "top"]
J = "W3"
[[terms]]
field = "p"
h = "b"
"""

WITHIN = """
[units]
v = {{ prior = "ising", shape = 3, visible = true }}
g = {{ prior = "bernoulli", shape = 4 }}
[arrays]
W = {{ law = "normal", std = 0.8, shape = [3, 4] }}
{array}
[[terms]]
couple = ["v", "g"]
J = "W"
[[terms]]
couple = {couple}
{term}
"""

DEEPER = {
    "two layers": DEEP,
    "many kinds": MANY_KINDS,
    "couplings within": WITHIN.format(
        array='J = { law = "normal", std = 0.6, shape = [4, 4] }', couple='["g", "g"]', term='J = "J"'
    ),
    "sparse graph within": WITHIN.format(
        array="", couple='["g", "g"]', term="J = 0.7\non = { edges = { values = [[0, 1], [1, 3]] } }"
    ),
    "patterns within": WITHIN.format(
        array='xi = { law = "normal", std = 0.6, shape = [2, 4] }',
        couple='["g", "g"]',
        term='patterns = "xi"',
    ),
    "triples within": WITHIN.format(
        array='J = { law = "normal", std = 0.6, shape = [4, 4, 4] }',
        couple='["g", "g", "g"]',
        term='J = "J"',
    ),
}


def prepared(loaded, dtype=np.float64, seed=3):
    """Conditionals, visible states and their moments, hidden groups."""
    c, states = loaded.coefficients([1.0]).value[0], some_visibles(loaded, 5)
    conditionals = Conditionals(loaded.hamiltonian, c, loaded.params(seed), dtype)
    return conditionals, states, conditionals.states(states), hidden_groups(loaded.hamiltonian)


def exact_log_marginal(loaded, params, states):
    """``log p(v) + log Z``: discrete hidden units summed over, continuous ones through Gamma."""
    H, c = loaded.hamiltonian, loaded.coefficients([1.0])
    hidden = hidden_groups(H)
    groups = tuple(replace(g, integrated=g.name in hidden and not g.prior.discrete) for g in H.groups)
    summed: list[Group] = [g for g in groups if g.name in hidden and g.prior.discrete]
    rows = len(next(iter(states.values())))
    total = np.full(rows, -np.inf)
    for values in product(*(s for g in summed for s in [g.prior.states] * g.size)):
        x, at = dict(states), 0
        for g in summed:
            x[g.name] = np.tile(np.array(values[at : at + g.size]), (rows, 1))
            at += g.size
        total = np.logaddexp(total, -reduced_potential(replace(H, groups=groups), params, c, x)[:, 0])
    return total


@pytest.mark.parametrize("visible, hidden", RBM_PAIRS)
def test_hidden_units_that_factorise_are_exact_in_one_pass(visible, hidden):
    loaded = family(f"{visible} x {hidden}")
    conditionals, states, known, names = prepared(loaded)
    found = mean_field_posterior(conditionals, known, names)
    assert found.iterations == 1 and found.residual == 0.0 and found.converged
    theta = conditionals.field("h", known)
    np.testing.assert_allclose(found.fields["h"], theta, rtol=1e-13)
    exact = conditionals.moments("h", theta)
    np.testing.assert_allclose(found.moments["h"].first, exact.first, rtol=1e-13)
    if exact.second is not None:
        np.testing.assert_allclose(found.moments["h"].second, exact.second, rtol=1e-13)
    bound = variational_bound(conditionals, known, found.fields)
    truth = exact_log_marginal(loaded, conditionals.params, states)
    np.testing.assert_allclose(bound, truth, rtol=1e-11)


@pytest.mark.parametrize("name", DEEPER)
def test_the_bound_holds_and_is_stationary_in_every_field_of_q(name):
    loaded = declared(DEEPER[name])
    conditionals, states, known, names = prepared(loaded)
    found = mean_field_posterior(conditionals, known, names, tolerance=1e-14, iterations=2000)
    assert found.converged and found.iterations > 2
    bound = variational_bound(conditionals, known, found.fields)
    gap = exact_log_marginal(loaded, conditionals.params, states) - bound
    assert (gap > 1e-6).all() and (gap < 0.7).all()
    step = 1e-4
    for group, theta in found.fields.items():
        for unit in range(theta.shape[1]):
            values = []
            for by in (step, -step):
                moved = theta.copy()
                moved[:, unit] += by
                values.append(variational_bound(conditionals, known, {**found.fields, group: moved}))
            np.testing.assert_allclose(values[0], values[1], rtol=0, atol=1e-11)
            # a maximum in each field: the bound is lower by about the variance of the unit
            assert (np.maximum(*values) <= bound + 1e-13).all()


@pytest.mark.parametrize("name", DEEPER)
def test_any_product_distribution_bounds_the_likelihood_from_below(name):
    loaded = declared(DEEPER[name])
    conditionals, states, known, names = prepared(loaded)
    truth = exact_log_marginal(loaded, conditionals.params, states)
    best = mean_field_posterior(conditionals, known, names)
    rng = np.random.default_rng(0)
    for _ in range(20):
        fields = {group: theta + rng.normal(size=theta.shape) for group, theta in best.fields.items()}
        assert (variational_bound(conditionals, known, fields) < truth).all()


@pytest.mark.parametrize("name", DEEPER)
def test_damping_and_single_precision_reach_the_same_point(name):
    loaded = declared(DEEPER[name])
    conditionals, _, known, names = prepared(loaded)
    plain = mean_field_posterior(
        conditionals, known, names, damping=0.0, tolerance=1e-13, iterations=1000
    )
    damped = mean_field_posterior(
        conditionals, known, names, damping=0.5, tolerance=1e-13, iterations=1000
    )
    assert damped.converged and damped.iterations > plain.iterations
    single_conditionals, _, known, _ = prepared(loaded, np.float32)
    single = mean_field_posterior(single_conditionals, known, names)
    bound = variational_bound(single_conditionals, known, single.fields)
    assert single.converged and single.fields[names[0]].dtype == np.float32 and bound.dtype == float
    for group in names:
        np.testing.assert_allclose(damped.fields[group], plain.fields[group], atol=1e-11)
        np.testing.assert_allclose(single.moments[group].first, plain.moments[group].first, atol=2e-5)


def test_strong_couplings_within_a_group_need_damping():
    """Four units that exclude each other: all of them switch on and off together, undamped."""
    text = WITHIN.format(array="", couple='["g", "g"]', term="J = -6.0")
    conditionals, _, known, names = prepared(declared(text))
    wild = mean_field_posterior(conditionals, known, names, damping=0.0)
    assert not wild.converged and wild.iterations == 200 and wild.residual > 0.1
    calm = mean_field_posterior(conditionals, known, names, tolerance=1e-10)
    assert calm.converged  # damped by itself
    # a pass without damping does not move it
    theta = conditionals.field("g", {**known, **calm.moments})
    np.testing.assert_allclose(
        conditionals.moments("g", theta).first, calm.moments["g"].first, atol=1e-9
    )
    with pytest.raises(ValueError, match="damping"):
        mean_field_posterior(conditionals, known, names, damping=1.0)


def test_independent_numbers_of_a_deep_boltzmann_machine():
    path = Path(__file__).parents[1] / "reference" / "dbm.json"
    (case,) = json.loads(path.read_text())["data"]["dbm"]
    N, M, K = case["N"], case["M"], case["K"]
    text = (
        f"[units]\nh2 = {{ prior = 'bernoulli', shape = {K} }}\n"
        f"h1 = {{ prior = 'bernoulli', shape = {M} }}\n"
        f"v = {{ prior = 'bernoulli', shape = {N}, visible = true }}\n[arrays]\n"
    )
    shapes = {"W1": [N, M], "W2": [M, K], "a": [N], "b": [M], "c": [K]}
    for name, shape in shapes.items():
        text += f"{name} = {{ law = 'normal', std = 1, shape = {shape}, trainable = true }}\n"
    text += "[[terms]]\ncouple = ['v', 'h1']\nJ = 'W1'\n[[terms]]\ncouple = ['h1', 'h2']\nJ = 'W2'\n"
    for group, name in (("v", "a"), ("h1", "b"), ("h2", "c")):
        text += f"[[terms]]\nfield = '{group}'\nh = '{name}'\n"
    loaded = declared(text)
    params = loaded.params(0).with_arrays(**{name: np.array([case[name]]) for name in shapes})
    conditionals = Conditionals(loaded.hamiltonian, np.ones(5), params)
    v = np.array(case["data"])
    known = conditionals.states({"v": v})
    found = mean_field_posterior(
        conditionals, known, hidden_groups(loaded.hamiltonian), tolerance=1e-14, iterations=1000
    )
    np.testing.assert_allclose(found.moments["h1"].first, case["meanfield"]["mu1"], rtol=1e-8)
    np.testing.assert_allclose(found.moments["h2"].first, case["meanfield"]["mu2"], rtol=1e-8)
    bound = variational_bound(conditionals, known, found.fields) - case["exact"]["lnZ"]
    np.testing.assert_allclose(bound, case["meanfield_bound"], rtol=1e-8)
    truth = exact_log_marginal(loaded, params, {"v": v}) - case["exact"]["lnZ"]
    np.testing.assert_allclose(truth, case["log_p_data"], rtol=1e-10)

"""Training in a gauge follows the same distributions as training without.

A gauge transformation is a shift of the arrays along directions in which the likelihood is constant:
the gradient is the same before and after it. So plain, momentum and Adam updates take the same path
through the distributions whatever is done to the gauge in between, and only the arrays differ.
A penalty knows the arrays, and takes another path in every gauge.
"""

import numpy as np
import pytest
from learning_models import declared, family, some_visibles
from trained_problems import trainer_at

from physebm.learning.gauge import fix_gauge
from physebm.learning.optimisers import Optimiser, Schedule
from physebm.learning.recipe import Recipe
from physebm.model.conditionals import Conditionals
from physebm.model.roles import visible_groups

CHAIN = """
[units]
s = { prior = "potts", q = 3, shape = 4, visible = true }
[arrays]
J = { law = "normal", std = 0.5, shape = [1, 4, 3, 3], trainable = true }
b = { law = "normal", std = 0.4, shape = [4, 3], trainable = true }
[[terms]]
couple = ["s", "s"]
on = { lattice = "chain" }
J = "J"
scale = 0.8
[[terms]]
field = "s"
h = "b"
scale = 1.3
"""
NAMES = ["potts machine", "ring", "potts x gaussian", "potts x potts", "ising x potts"]
RULES = {
    "sgd": (Optimiser("sgd"), 0.3),
    "momentum": (Optimiser("momentum"), 0.05),
    "adam": (Optimiser("adam"), 0.05),
}


def some_model(name):
    return declared(CHAIN) if name == "ring" else family(name)


def log_p(loaded, params):
    """``log p(v)`` of every state of the visible units."""
    H, c = loaded.hamiltonian, loaded.coefficients([1.0])
    (name,) = visible_groups(H)
    group = H.group(name)
    states = np.array(group.prior.states)
    index = np.indices((len(states),) * group.size).reshape(group.size, -1).T
    conditionals = Conditionals(H, c.value[0], params)
    known = conditionals.states({name: states[index]})
    total = -conditionals.energy(known)
    for other in H.groups:
        if other.name != name:
            field = conditionals.field(other.name, known)
            total = total + conditionals.log_normaliser(other.name, field)
    return total - np.logaddexp.reduce(total)


def divergence(one, two):
    """Kullback-Leibler divergence of two lists of ``log p``."""
    return float(np.exp(one) @ (one - two))


def trained(loaded, gauge, rule="sgd", data=None, **changes):
    optimiser, rate = RULES[rule]
    recipe = {"optimiser": optimiser, "rate": Schedule(rate), "initial_fields": "declared"}
    recipe = Recipe(**{"method": "exact", "updates": 100, "gauge": gauge, **recipe, **changes})
    data = some_visibles(loaded, 25) if data is None else data
    return trainer_at(loaded, loaded.params(4), data, recipe)


@pytest.mark.parametrize("gauge", ["zero-sum", "lattice-gas"])
@pytest.mark.parametrize("name", NAMES)
def test_every_update_leads_to_the_same_distribution(name, gauge):
    loaded = some_model(name)
    rule = {"potts x gaussian": "adam", "ring": "momentum"}.get(name, "sgd")
    free, fixed = (trained(loaded, kind, rule) for kind in ("none", gauge))
    start = log_p(loaded, loaded.params(4))
    for until in (1, 2, 10, 60):
        free.run(until)
        fixed.run(until)
        one, two = log_p(loaded, free.params), log_p(loaded, fixed.params)
        np.testing.assert_allclose(two, one, rtol=0, atol=1e-11)
        assert abs(divergence(one, two)) < 1e-12
    assert divergence(one, start) > 0.01
    gap = max(np.abs(free.params.arrays[s] - fixed.params.arrays[s]).max() for s in free.slots)
    assert gap > 0.1
    # and the arrays are those of the free path, brought to the gauge at its end
    arrays = {slot: free.params.arrays[slot][0] for slot in free.slots}
    ended = fix_gauge(loaded.hamiltonian, arrays, loaded.coefficients([1.0]).value[0], gauge)
    for slot in free.slots:
        np.testing.assert_allclose(fixed.params.arrays[slot][0], ended[slot], rtol=0, atol=1e-11)


@pytest.mark.parametrize("rule", RULES)
def test_every_optimiser_keeps_its_path(rule):
    loaded = family("potts machine")
    free, fixed = (trained(loaded, kind, rule) for kind in ("none", "zero-sum"))
    for trainer in (free, fixed):
        trainer.run(100)
    one, two = log_p(loaded, free.params), log_p(loaded, fixed.params)
    np.testing.assert_allclose(two, one, rtol=0, atol=1e-10)
    J, b = fixed.params.arrays["J"][0], fixed.params.arrays["b"][0]
    np.testing.assert_allclose(J.sum(axis=-1), 0.0, atol=1e-14)
    np.testing.assert_allclose(J.sum(axis=-2), 0.0, atol=1e-14)
    np.testing.assert_allclose(b.sum(axis=-1), 0.0, atol=1e-14)
    np.testing.assert_array_equal(J, J.transpose(1, 0, 3, 2))


def test_pseudo_likelihood_does_not_know_the_gauge_either():
    loaded = family("potts machine")
    free, fixed = (trained(loaded, kind, method="pseudo-likelihood") for kind in ("none", "zero-sum"))
    for trainer in (free, fixed):
        trainer.run(100)
    np.testing.assert_allclose(
        log_p(loaded, fixed.params), log_p(loaded, free.params), rtol=0, atol=1e-10
    )
    assert fixed.info.objective == pytest.approx(free.info.objective, rel=1e-12)


def test_a_penalty_takes_another_path_in_every_gauge():
    """So that the tests above can fail; and its maximum is one point of the zero-sum gauge.

    Among equal distributions the zero-sum gauge has the least sum of squares: with a penalty on the
    couplings alone the free path ends where its couplings are zero-sum by themselves.
    """
    loaded = family("potts machine")
    penalty = {"l2": {"J": 0.1}, "updates": 1200}
    free, fixed = (trained(loaded, kind, **penalty) for kind in ("none", "zero-sum"))
    for trainer in (free, fixed):
        trainer.run(5)
    assert divergence(log_p(loaded, free.params), log_p(loaded, fixed.params)) > 1e-6
    for trainer in (free, fixed):
        trainer.run(1200)
    one, two = log_p(loaded, free.params), log_p(loaded, fixed.params)
    assert abs(divergence(one, two)) < 1e-12
    np.testing.assert_allclose(free.params.arrays["J"].sum(axis=-1), 0.0, atol=1e-6)

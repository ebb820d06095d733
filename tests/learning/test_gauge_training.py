"""Training in a gauge ends at the maximum of the objective among the arrays of that gauge.

The likelihood does not know the gauge: without penalties every gauge reaches the same one. A penalty
does, and its maximum inside a gauge is a definite number. For four Potts units it is found here by
BFGS in coordinates of the gauge's linear space, with the exponents of all states written out anew. For
other models the derivatives of the objective along that space are checked to vanish.
"""

import numpy as np
import pytest
from learning_models import declared, family
from scipy.optimize import minimize
from trained_problems import trainer_at

from physebm.learning.chains import ChainOptions
from physebm.learning.gauge import GAUGES, fix_gauge, within_gauge
from physebm.learning.optimisers import Optimiser, Schedule
from physebm.learning.recipe import Recipe
from physebm.model.conditionals import Conditionals
from physebm.model.roles import visible_groups

TRAINED = '{{ law = "normal", std = 0.5, shape = {}, trainable = true }}'


def four_units(couplings, shape, more=""):
    """Potts units with scale 0.8 on the couplings J and 1.3 on the fields b."""
    return f"""
[units]
s = {{ prior = "potts", q = 3, shape = 4, visible = true }}
[arrays]
J = {TRAINED.format(shape)}
b = {TRAINED.format("[4, 3]")}
{more}
[[terms]]
couple = ["s", "s"]
{couplings}
scale = 0.8
[[terms]]
field = "s"
h = "b"
scale = 1.3
"""


MODELS = {
    "all pairs": four_units('J = "J"', "[4, 4, 3, 3]"),
    "ring": four_units('J = "J"\non = { lattice = "chain" }', "[1, 4, 3, 3]"),
    "graph": four_units('J = "J"\non = { graph = "random-regular", degree = 2 }', '["edges", 3, 3]'),
    "patterns": four_units('patterns = "J"', "[2, 4, 3]"),
    # couplings K delta(a, b) have no gauge, and offsets times K lead out of that of the fields
    "delta too": four_units('J = "J"', "[4, 4, 3, 3]", f"K = {TRAINED.format('[4, 4]')}")
    + '[[terms]]\ncouple = ["s", "s"]\nJ = "K"\n',
}
MACHINES = ["potts x bernoulli", "potts x gaussian", "potts x potts", "ising x potts"]
RULES = {
    "sgd": {"optimiser": Optimiser("sgd"), "rate": Schedule(1.5), "updates": 400},
    "momentum": {"optimiser": Optimiser("momentum", 0.85), "rate": Schedule(0.7), "updates": 150},
    "adam": {
        "optimiser": Optimiser("adam", beta2=0.97),
        "rate": Schedule(0.3, 3e-3, "exponential"),
        "updates": 200,
    },
}
PENALTIES = [{"J": 0.05}, {"b": 0.3}, {"J": 0.02, "b": 0.1}]


def some_model(name):
    return declared(MODELS[name]) if name in MODELS else family(name)


def all_states(loaded):
    """Every configuration of the visible units, and a distribution of them without zeros."""
    (name,) = visible_groups(loaded.hamiltonian)
    group = loaded.hamiltonian.group(name)
    states = np.array(group.prior.states)
    index = np.indices((len(states),) * group.size).reshape(group.size, -1).T
    weights = np.random.default_rng(7).exponential(size=len(index)) + 0.3
    return {name: states[index]}, weights / weights.sum()


def log_p(loaded, params):
    """``log p(v)`` of every state of the visible units."""
    H, c = loaded.hamiltonian, loaded.coefficients([1.0])
    data, _ = all_states(loaded)
    conditionals = Conditionals(H, c.value[0], params)
    known = conditionals.states(data)
    total = -conditionals.energy(known)
    for other in H.groups:
        if other.name not in data:
            field = conditionals.field(other.name, known)
            total = total + conditionals.log_normaliser(other.name, field)
    return total - np.logaddexp.reduce(total)


def objective(loaded, params, weights, l1=None, l2=None):
    """The penalised log-likelihood; a pair's coupling counts once though it is stored twice."""
    value = weights @ log_p(loaded, params)
    for strengths, size in ((l1 or {}, np.abs), (l2 or {}, lambda x: 0.5 * x**2)):
        for slot, strength in strengths.items():
            share = 0.5 if slot in loaded.structure.mirrored else 1.0
            value -= share * strength * np.sum(size(params.arrays[slot]))
    return float(value)


def trained(loaded, gauge, rule="sgd", run=True, **changes):
    data, weights = all_states(loaded)
    recipe = {"method": "exact", "gauge": gauge, "initial_fields": "declared", **RULES[rule]}
    recipe = Recipe(**{**recipe, **changes})
    trainer = trainer_at(loaded, loaded.params(4), data, recipe, weights)
    if run:
        trainer.run(recipe.updates)
    return trainer


def regauged(loaded, params, gauge):
    arrays = {slot.name: params.arrays[slot.name][0] for slot in loaded.hamiltonian.slots}
    row = loaded.coefficients([1.0]).value[0]
    return fix_gauge(loaded.hamiltonian, arrays, row, gauge, params.edges)


def assert_in_gauge(loaded, params, gauge):
    """What lies in a gauge does not change when it is fixed."""
    for slot, values in regauged(loaded, params, gauge).items():
        np.testing.assert_allclose(params.arrays[slot][0], values, rtol=0, atol=2e-14)
        if slot in loaded.structure.mirrored:
            axes = (1, 0, 3, 2)[: values.ndim]
            found = params.arrays[slot][0]
            np.testing.assert_array_equal(found, found.transpose(axes))


def bfgs_optimum(gauge, l1, l2):
    """The greatest objective of "all pairs" inside a gauge, ``|x|`` rounded to sqrt(x^2 + 1e-8)."""
    loaded = some_model("all pairs")
    data, weights = all_states(loaded)
    onehot = np.eye(3)[np.asarray(data["s"], int)]
    i, j = np.triu_indices(4, 1)
    pairs = np.einsum("sia,sib->siab", onehot[:, i], onehot[:, j]).reshape(len(weights), -1)
    inner = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    if gauge == "zero-sum":
        inner = np.array([[1.0, 1.0], [-1.0, 1.0], [0.0, -2.0]]) / np.sqrt([2.0, 6.0])
    spread = {"J": np.kron(np.eye(6), np.kron(inner, inner)), "b": np.kron(np.eye(4), inner)}
    design = {"J": 0.8 * pairs @ spread["J"], "b": 1.3 * onehot.reshape(-1, 12) @ spread["b"]}
    counts = np.hstack([design["J"], design["b"]])
    cut = spread["J"].shape[1]

    def negative(z):
        exponent = counts @ z
        log_z = np.logaddexp.reduce(exponent)
        value = weights @ exponent - log_z
        slope = counts.T @ (weights - np.exp(exponent - log_z))
        for slot, place in (("J", slice(None, cut)), ("b", slice(cut, None))):
            x = spread[slot] @ z[place]
            soft = np.sqrt(x**2 + 1e-8)
            value -= l1.get(slot, 0.0) * soft.sum() + 0.5 * l2.get(slot, 0.0) * (x @ x)
            pull = l1.get(slot, 0.0) * x / soft + l2.get(slot, 0.0) * x
            slope[place] -= spread[slot].T @ pull
        return -value, -slope

    found = minimize(negative, np.zeros(counts.shape[1]), jac=True, method="BFGS", tol=1e-9)
    return -found.fun


@pytest.mark.parametrize("gauge", GAUGES)
@pytest.mark.parametrize(
    "l2",
    [pytest.param(l2, marks=[pytest.mark.slow] * (len(l2) == 1)) for l2 in PENALTIES],
    ids="+".join,
)
def test_a_penalised_optimum_is_that_of_the_gauge(gauge, l2):
    """By every rule, in plain and centred variables."""
    loaded = some_model("all pairs")
    _, weights = all_states(loaded)
    best = bfgs_optimum(gauge, {}, l2)
    for rule in RULES:
        for centred in (False, True):
            trainer = trained(loaded, gauge, rule, l2=l2, centred=centred)
            found = objective(loaded, trainer.params, weights, l2=l2)
            assert found == pytest.approx(best, rel=0, abs=1e-6), (rule, centred)
            assert trainer.info.gradient_norm < 1e-3
            assert_in_gauge(loaded, trainer.params, gauge)


def test_the_optima_of_the_gauges_differ():
    """So that the test above can fail: by far more than what it allows.

    The free maximum lies above both; without a penalty on the fields it is the zero-sum one, whose
    couplings have the least squares among those of equal distributions.
    """
    loaded = some_model("all pairs")
    _, weights = all_states(loaded)
    for l2 in PENALTIES:
        zero_sum, lattice_gas = (bfgs_optimum(gauge, {}, l2) for gauge in GAUGES)
        free = objective(loaded, trained(loaded, "none", "momentum", l2=l2).params, weights, l2=l2)
        assert zero_sum > lattice_gas + 0.01
        if "b" in l2:
            assert free > zero_sum + 0.001
        else:
            assert free == pytest.approx(zero_sum, rel=0, abs=1e-9)


@pytest.mark.parametrize("gauge", GAUGES)
@pytest.mark.parametrize("l1", [{"J": 0.02}, {"b": 0.05}], ids="+".join)
def test_an_absolute_penalty_comes_near_the_optimum_of_the_gauge(gauge, l1):
    """Its gradient jumps at 0: the last steps are as long as their rate.

    Rounding every one of n ``|x|`` lowers the optimum of BFGS by at most ``1e-4 l1 n``.
    """
    loaded = some_model("all pairs")
    _, weights = all_states(loaded)
    best = bfgs_optimum(gauge, l1, {})
    low = 1e-4 * sum(strength * {"J": 54, "b": 12}[slot] for slot, strength in l1.items())
    for centred in (False, True):
        rate = Schedule(0.3, 1e-4, "exponential")
        trainer = trained(loaded, gauge, "adam", l1=l1, centred=centred, rate=rate, updates=300)
        found = objective(loaded, trainer.params, weights, l1=l1)
        assert best - 1e-5 < found < best + low
        assert_in_gauge(loaded, trainer.params, gauge)


def derivative(loaded, params, weights, l2, along):
    """Of the objective along given arrays."""
    moved = (
        params.with_arrays(**{slot: params.arrays[slot] + step * along[slot] for slot in l2})
        for step in (1e-4, -1e-4)
    )
    up, down = (objective(loaded, end, weights, l2=l2) for end in moved)
    return (up - down) / 2e-4


@pytest.mark.parametrize("gauge", GAUGES)
@pytest.mark.parametrize("name", [*MODELS, *MACHINES])
def test_the_objective_is_stationary_along_the_gauge(name, gauge):
    """Its derivative along any array of the gauge's linear space; along others it is not 0."""
    loaded = some_model(name)
    _, weights = all_states(loaded)
    l2 = {slot.name: 0.1 for slot in loaded.hamiltonian.slots if slot.name in ("J", "K", "W")}
    l2 |= {slot.name: 0.3 for slot in loaded.hamiltonian.slots if slot.name in ("b", "v_h", "h_h")}
    for centred in (False, True):
        if centred and name == "patterns":
            continue
        trainer = trained(loaded, gauge, "momentum", l2=l2, centred=centred, updates=200)
        assert_in_gauge(loaded, trainer.params, gauge)
        others = [loaded.params(100 + seed) for seed in range(5)]
        inside = [
            derivative(loaded, trainer.params, weights, l2, regauged(loaded, other, gauge))
            for other in others
        ]
        outside = [
            derivative(
                loaded, trainer.params, weights, l2, {slot: other.arrays[slot][0] for slot in l2}
            )
            for other in others
        ]
        assert np.abs(inside).max() < 1e-6
        if gauge == "lattice-gas":
            assert np.abs(outside).max() > 1e-3


@pytest.mark.parametrize("name", ["all pairs", "ring", "graph"])
@pytest.mark.parametrize("method", ["exact", "pseudo-likelihood"])
def test_without_penalties_every_gauge_reaches_the_same_likelihood(name, method):
    loaded = some_model(name)
    _, weights = all_states(loaded)
    found = {}
    for gauge in ("none", *GAUGES):
        trainer = trained(loaded, gauge, "momentum", method=method, updates=400)
        found[gauge] = log_p(loaded, trainer.params)
        assert trainer.info.gradient_norm < 1e-4
    start = weights @ log_p(loaded, loaded.params(4))
    for gauge in GAUGES:
        np.testing.assert_allclose(found[gauge], found["none"], rtol=0, atol=1e-4)
        assert weights @ found[gauge] == pytest.approx(weights @ found["none"], rel=0, abs=1e-8)
    assert weights @ found["none"] > start + 0.1


@pytest.mark.parametrize("gauge", GAUGES)
@pytest.mark.parametrize("name", [*MODELS, *MACHINES])
def test_the_gauge_is_entered_without_a_change_of_the_distribution(name, gauge):
    """By updates so small that they move nothing else."""
    loaded = some_model(name)
    trainer = trained(loaded, gauge, rate=Schedule(1e-14), updates=2)
    assert_in_gauge(loaded, trainer.params, gauge)
    assert_in_gauge(loaded, trainer.previous, gauge)
    found, start = log_p(loaded, trainer.params), log_p(loaded, loaded.params(4))
    np.testing.assert_allclose(found, start, rtol=0, atol=1e-11)
    moved = [np.abs(x - loaded.params(4).arrays[s]).max() for s, x in trainer.params.arrays.items()]
    assert max(moved) > 0.1


@pytest.mark.parametrize("gauge", GAUGES)
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", ["all pairs", "graph", "delta too", "potts x gaussian"])
def test_every_update_stays_in_the_gauge(name, rule, gauge):
    """To the last digits, couplings symmetric to the last bit; so do the optimiser's moments."""
    loaded = some_model(name)
    fields = {slot.name: 0.1 for slot in loaded.hamiltonian.slots if slot.name in ("b", "v_h")}
    trainer = trained(loaded, gauge, rule, run=False, l1=fields, l2=fields, centred=True, clip=0.5)
    for until in range(1, 13):
        trainer.run(until)
        assert_in_gauge(loaded, trainer.params, gauge)
    state = {k.removeprefix("first/"): x for k, x in trainer.optimiser_state.items() if "first" in k}
    if state:
        projected = within_gauge(loaded.hamiltonian, state, gauge)
        for slot, moment in state.items():
            np.testing.assert_allclose(projected[slot], moment, rtol=0, atol=1e-14)


@pytest.mark.parametrize("gauge", GAUGES)
def test_chains_and_minibatches_stay_in_the_gauge(gauge):
    loaded = some_model("potts x potts")
    chains = ChainOptions("pcd", chains=20, steps=2)
    l2 = {"W": 0.1, "v_h": 0.1}
    changes = {"method": "pcd", "chains": chains, "batch": 30, "l2": l2, "centred": True}
    trainer = trained(loaded, gauge, "adam", run=False, **changes)
    for until in (1, 2, 30):
        trainer.run(until)
        assert_in_gauge(loaded, trainer.params, gauge)


def test_training_that_is_cut_goes_on_with_the_same_bits():
    loaded = some_model("all pairs")
    for at in (0, 1, 5):
        whole, first, second = (
            trained(loaded, "zero-sum", "adam", run=False, l2={"b": 0.1}, centred=True)
            for _ in range(3)
        )
        whole.run(9)
        first.run(at)
        second.restore(first.checkpoint())
        second.run(9)
        for slot in whole.slots:
            np.testing.assert_array_equal(second.params.arrays[slot], whole.params.arrays[slot])

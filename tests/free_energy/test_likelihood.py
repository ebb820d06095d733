"""u(v), log Z, log-likelihoods and pseudo-likelihoods against enumeration and quadrature."""

from dataclasses import replace

import numpy as np
import pytest
from learning_models import FAMILIES, FULLY_VISIBLE, RBM_PAIRS, family, rbm, some_visibles
from scipy.integrate import quad
from scipy.special import logsumexp

from physebm.free_energy import likelihood
from physebm.free_energy.likelihood import (
    joint_potential,
    log_likelihood,
    log_normaliser,
    log_partition,
    visible_potential,
)
from physebm.learning import pseudo_score
from physebm.learning.pseudo_score import pseudo_log_likelihood, scorable
from physebm.model.conditionals import Conditionals
from physebm.model.energy import reduced_potential
from physebm.model.roles import hidden_groups, visible_groups
from physebm.model.units import log_normaliser as gamma
from physebm.rng.streams import key_of
from physebm.theory.enumeration import enumerate_states

OUT_OF_REACH = "gaussian x truncated_gaussian"  # no closed-form integral over both sides


def model(name, seed=3, dtype=np.float64):
    loaded = family(name) if isinstance(name, str) else name
    H, params, c = loaded.hamiltonian, loaded.params(seed), loaded.coefficients([1.0])
    return H, params, c, Conditionals(H, c.value[0], params, dtype)


def all_visibles(hamiltonian):
    """Every configuration of discrete visible units, ``{group: x[state, unit]}``."""
    groups = hamiltonian.counted
    units = [values for g in groups for values in [g.prior.states] * g.size]
    x = np.array(np.meshgrid(*units, indexing="ij")).reshape(len(units), -1).T
    out, start = {}, 0
    for g in groups:
        out[g.name] = x[:, start : start + g.size]
        start += g.size
    return out


@pytest.mark.parametrize("name", FAMILIES)
def test_visible_potential_is_the_defining_one(name):
    H, params, c, conditionals = model(name)
    states = some_visibles(family(name), 40)
    groups = tuple(replace(g, integrated=not g.visible) for g in H.groups)
    expected = reduced_potential(replace(H, groups=groups), params, c, states)[:, 0]
    u = visible_potential(conditionals, states, hidden_groups(H))
    assert u.dtype == np.float64
    np.testing.assert_allclose(u, expected, rtol=1e-11, atol=1e-11)
    single = visible_potential(model(name, dtype=np.float32)[3], states, hidden_groups(H))
    np.testing.assert_allclose(single, expected, rtol=3e-6, atol=3e-6)


def test_blocks_of_rows_change_nothing(monkeypatch):
    H, _, _, conditionals = model("potts x truncated_gaussian")
    states = some_visibles(family("potts x truncated_gaussian"), 300)
    whole = visible_potential(conditionals, states, hidden_groups(H))
    monkeypatch.setattr(likelihood, "BLOCK", 1)
    monkeypatch.setattr(likelihood, "CACHED", 1)
    np.testing.assert_array_equal(visible_potential(conditionals, states, hidden_groups(H)), whole)


@pytest.mark.parametrize("kind", ["bernoulli", "ising"])
@pytest.mark.parametrize("scale", [0.0, 1e-8, 1.0, 30.0, 1e4])
def test_products_of_many_factors_neither_overflow_nor_round(kind, scale):
    loaded = rbm(kind, kind, 3, 1500, std=0.01)
    H, _, _, conditionals = model(loaded)
    theta = scale * np.random.Generator(np.random.PCG64(4)).normal(size=(7, 1500))
    given = theta.copy()
    found = log_normaliser(conditionals, "h", theta)
    np.testing.assert_array_equal(theta, given)
    np.testing.assert_allclose(found, gamma(H.group("h").prior, theta).sum(axis=1), rtol=1e-13)


@pytest.mark.parametrize("name", [*FAMILIES, "deep"])
def test_log_partition_is_that_of_the_enumeration(name):
    H, params, c, _ = model(name)
    if name == OUT_OF_REACH:
        assert log_partition(H, params, c) is None
        return
    expected = enumerate_states(H, params, c).log_z[0]
    assert log_partition(H, params, c) == pytest.approx(expected, rel=1e-12)


def test_log_partition_sums_the_smaller_side():
    loaded = rbm("bernoulli", "ising", 40, 9, std=0.5)
    H, params, c, _ = model(loaded)
    groups = tuple(replace(g, integrated=g.name == "v") for g in H.groups)
    expected = enumerate_states(replace(H, groups=groups), params, c).log_z[0]
    assert log_partition(H, params, c) == pytest.approx(expected, rel=1e-12)


def test_log_partition_gives_up_beyond_twenty_bits():
    H, params, c, _ = model(rbm("ising", "bernoulli", 21, 21))
    assert log_partition(H, params, c) is None
    H, params, c, _ = model(rbm("ising", "potts", 30, 13))
    assert log_partition(H, params, c) is None  # 13 log2(3) = 20.6 bits


@pytest.mark.parametrize("name", [f"{v} x {h}" for v, h in RBM_PAIRS if v != "gaussian"])
def test_probabilities_of_all_visible_states_sum_to_one(name):
    H, params, c, conditionals = model(name)
    log_z = log_partition(H, params, c)
    log_p = -visible_potential(conditionals, all_visibles(H), hidden_groups(H)) - log_z
    assert logsumexp(log_p) == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("hidden", ["bernoulli", "gaussian", "potts"])
def test_densities_of_gaussian_visible_units_integrate_to_one(hidden):
    H, params, c, conditionals = model(rbm("gaussian", hidden, 1, 2))
    log_z = log_partition(H, params, c)

    def density(x):
        part = {"v": np.array([[x]])}
        return np.exp(log_likelihood(conditionals, part, np.ones(1), hidden_groups(H), log_z))

    assert quad(density, -15, 15, epsabs=1e-12)[0] == pytest.approx(1.0, abs=1e-9)


def test_log_likelihood_is_a_weighted_mean():
    H, params, c, conditionals = model("bernoulli x ising")
    states = some_visibles(family("bernoulli x ising"), 5)
    weights = np.array([0.5, 0.2, 0.0, 0.3, 0.0])
    log_z = log_partition(H, params, c)
    each = -visible_potential(conditionals, states, hidden_groups(H)) - log_z
    found = log_likelihood(conditionals, states, weights, hidden_groups(H), log_z)
    assert found == pytest.approx(weights @ each, rel=1e-13)


@pytest.mark.parametrize("coupled", [1.0, 0.0])
def test_deep_machines_get_a_bound(coupled):
    """Below the exact log p(v) of the joint enumeration; equal where hidden layers do not couple."""
    H, params, c, _ = model("deep")
    params = params.with_arrays(W2=coupled * params.arrays["W2"])
    conditionals = Conditionals(H, c.value[0], params)
    exact = enumerate_states(H, params, c, probabilities=True)
    states = [state for _, state in exact.states()]
    x = {name: np.concatenate([s[name] for s in states]) for name in states[0]}
    log_p = -joint_potential(conditionals, x) - exact.log_z[0]
    np.testing.assert_allclose(log_p, np.log(exact.probabilities[0]), atol=1e-10)
    code = x["v"] @ 2 ** np.arange(4)
    log_p_v = np.log(np.bincount(code, exact.probabilities[0], 16))
    visible = {"v": (np.arange(16)[:, None] >> np.arange(4)) & 1}
    bound = -visible_potential(conditionals, visible, hidden_groups(H)) - exact.log_z[0]
    gap = log_p_v - bound
    assert (gap > -1e-9).all() and gap.max() < 0.5
    assert (gap.min() > 0.1) == bool(coupled) and (gap.max() < 1e-9) == (not coupled)


def test_joint_potential_counts_continuous_priors():
    H, params, c, conditionals = model("gaussian x truncated_gaussian")
    x = {"v": np.array([[0.1, -0.4, 0.7, 2.0]]), "h": np.array([[0.5, 0.9, 1.4]])}
    expected = reduced_potential(H, params, c, x)[:, 0]
    np.testing.assert_allclose(joint_potential(conditionals, x), expected, rtol=1e-12)


def exact_pseudo_likelihood(H, conditionals, weights):
    """``sum_v w_v sum_i log p(v_i | v_rest)`` from the table of all p(v)."""
    states = all_visibles(H)
    x = np.concatenate(list(states.values()), axis=1)
    hidden = hidden_groups(H)
    if hidden:
        u = visible_potential(conditionals, states, hidden)
    else:
        u = reduced_potential(H, conditionals.params, family_row(conditionals), states)[:, 0]
    total = 0.0
    for i in range(x.shape[1]):
        rest = np.delete(x, i, axis=1)
        same = (rest[:, None] == rest[None]).all(axis=2)
        total += weights @ (-u - logsumexp(np.where(same, -u[None], -np.inf), axis=1))
    return total


def family_row(conditionals):
    from physebm.model.params import Coefficients

    c = conditionals.coefficients[None]
    return Coefficients(np.ones(1), c, 0 * c, 0 * c)


DISCRETE = [n for n in FULLY_VISIBLE if n not in ("gaussian", "sparse potts graph")]
DISCRETE += [f"{v} x {h}" for v, h in RBM_PAIRS if v != "gaussian"]


@pytest.mark.parametrize("name", DISCRETE)
def test_pseudo_log_likelihood_is_that_of_the_table(name):
    H, _, _, conditionals = model(name)
    assert scorable(H)
    states = all_visibles(H)
    count = len(next(iter(states.values())))
    weights = np.random.Generator(np.random.PCG64(6)).dirichlet(np.ones(count))
    score = pseudo_log_likelihood(conditionals, states, weights, key_of(1, "test"))
    assert score.stderr == 0.0
    expected = exact_pseudo_likelihood(H, conditionals, weights)
    assert score.value == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("name", ["gaussian", "gaussian x ising", "deep"])
def test_no_pseudo_likelihood_where_there_is_no_probability(name):
    assert not scorable(family(name).hamiltonian)


@pytest.mark.parametrize("name", ["hidden", "visible", "potts"])
def test_chosen_samples_estimate_the_whole_with_an_honest_error(name, monkeypatch):
    """Family of 60 keys: max |z| <= 4.5 and mean z^2 in [0.5, 1.6]."""
    rng = np.random.Generator(np.random.PCG64(11))
    if name == "visible":
        loaded = family("boltzmann machine")
        monkeypatch.setattr(pseudo_score, "ROWS", 1000)
    else:
        visible = "potts" if name == "potts" else "bernoulli"
        loaded = rbm(visible, "bernoulli", 20, 4, std=1.0)
        monkeypatch.setattr(pseudo_score, "PAIRS", 600)
        monkeypatch.setattr(pseudo_score, "WORK", 0)
    *_, conditionals = model(loaded)
    states = some_visibles(loaded, 2000, seed=2)
    weights = rng.dirichlet(np.full(2000, 5.0))
    found = [
        pseudo_log_likelihood(conditionals, states, weights, key_of(1, "test", n)) for n in range(60)
    ]
    monkeypatch.setattr(pseudo_score, "PAIRS", 10**6)
    monkeypatch.setattr(pseudo_score, "ROWS", 10**6)
    whole = pseudo_log_likelihood(conditionals, states, weights, key_of(1, "test"))
    assert whole.stderr == 0.0
    z = np.array([(s.value - whole.value) / s.stderr for s in found])
    assert np.abs(z).max() <= 4.5
    assert 0.5 <= np.mean(z**2) <= 1.6


def test_single_precision_fields_are_good_enough():
    loaded = rbm("ising", "gaussian", 30, 10, std=0.3)
    states = some_visibles(loaded, 3000)
    weights = np.full(3000, 1 / 3000)
    one, two = (
        pseudo_log_likelihood(model(loaded, dtype=t)[3], states, weights, key_of(1, "test"))
        for t in (np.float32, np.float64)
    )
    assert one.value == pytest.approx(two.value, rel=1e-5)


def test_models_of_several_visible_groups():
    from learning_models import declared

    loaded = declared(
        """
[units]
a = { prior = "ising", shape = 3, visible = true }
b = { prior = "potts", q = 3, shape = 2, visible = true }
h = { prior = "bernoulli", shape = 2 }
[arrays]
W = { law = "normal", std = 0.8, shape = [3, 2], trainable = true }
V = { law = "normal", std = 0.8, shape = [2, 2, 3], trainable = true }
[[terms]]
couple = ["a", "h"]
J = "W"
[[terms]]
couple = ["b", "h"]
J = "V"
"""
    )
    H, params, c, conditionals = model(loaded)
    assert visible_groups(H) == ("a", "b")
    states = all_visibles(H)
    weights = np.full(72, 1 / 72)
    score = pseudo_log_likelihood(conditionals, states, weights, key_of(1, "test"))
    expected = exact_pseudo_likelihood(H, conditionals, weights)
    assert score.value == pytest.approx(expected, rel=1e-10)
    assert log_partition(H, params, c) == pytest.approx(enumerate_states(H, params, c).log_z[0])

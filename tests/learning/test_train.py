"""The training loop: exact recovery, unbiased phases, CD's own expectation, resumption bit for bit."""

import numpy as np
import pytest
from learning_models import FAMILIES, family, some_visibles
from trained_problems import moved, still, trainer_at

from physebm.backends.select import select
from physebm.learning.chains import ChainOptions
from physebm.learning.optimisers import Optimiser, Schedule
from physebm.learning.recipe import Problem, Recipe
from physebm.learning.train import Divergence, Trainer
from physebm.model.roles import visible_groups
from physebm.theory.enumeration import enumerate_states


def problem_of(loaded, data, weights=None, seed=3):
    n = len(next(iter(data.values())))
    weights = np.full(n, 1.0 / n) if weights is None else weights
    return Problem(loaded.hamiltonian, loaded.params(seed), loaded.coefficients([1.0]), data, weights)


def trainer_of(loaded, data, recipe, weights=None, seed=3, backend="numba", name=()):
    return Trainer(problem_of(loaded, data, weights, seed), recipe, select(backend), seed, name)


def enumerated_data(loaded, seed):
    """All states of a fully visible model with their exact probabilities as weights."""
    exact = enumerate_states(
        loaded.hamiltonian, loaded.params(seed), loaded.coefficients([1.0]), probabilities=True
    )
    (name,) = visible_groups(loaded.hamiltonian)
    states = np.concatenate([state[name] for _, state in exact.states()])
    return {name: states}, exact.probabilities[0]


@pytest.mark.parametrize("method", ["exact", "pseudo-likelihood"])
@pytest.mark.parametrize("name", ["boltzmann machine", "lattice", "potts machine", "p-spin"])
def test_the_enumerated_distribution_gives_back_its_couplings(name, method):
    loaded = family(name)
    data, p = enumerated_data(loaded, seed=5)
    recipe = Recipe(
        method=method,
        updates=1500,
        rate=Schedule(0.3, 0.001, "exponential"),
        optimiser=Optimiser("adam", beta2=0.99),
        gauge="zero-sum" if name == "potts machine" else "none",
    )
    trainer = trainer_of(loaded, data, recipe, weights=p, seed=8)
    trainer.run(recipe.updates)
    truth = loaded.params(5)
    if name == "potts machine":
        from physebm.learning.gauge import fix_gauge

        arrays = {slot: truth.arrays[slot][0] for slot in trainer.slots}
        c = loaded.coefficients([1.0]).value[0]
        fixed = fix_gauge(loaded.hamiltonian, arrays, c, "zero-sum")
        truth = truth.with_arrays(**{slot: x[None] for slot, x in fixed.items()})
    for slot in trainer.slots:
        found, wanted = trainer.params.arrays[slot], truth.arrays[slot]
        if slot == "b" and name == "potts machine":
            found = found - found.mean(axis=-1, keepdims=True)
            wanted = wanted - wanted.mean(axis=-1, keepdims=True)
        if name == "lattice":
            # two bonds join each pair along the axis of length 2: only their sum is in p
            found, wanted = ([x[0, 0].ravel(), x[0, 1].sum(axis=-1)] for x in (found, wanted))
            found, wanted = np.concatenate(found), np.concatenate(wanted)
        if slot == "J3":
            used = np.zeros(wanted.shape, bool)
            i, j, k = np.indices(wanted.shape[1:])
            used[0] = (i < j) & (j < k)
            found, wanted = found[used], wanted[used]
        np.testing.assert_allclose(found, wanted, atol=1e-4)


@pytest.mark.parametrize("method", ["mean-field", "tap", "bethe"])
def test_inversions_take_one_update(method):
    loaded = family("boltzmann machine")
    data, p = enumerated_data(loaded, seed=5)
    trainer = trainer_of(loaded, data, Recipe(method=method, updates=1), weights=p)
    trainer.run(1)
    truth = loaded.params(5).arrays["J"]
    error = np.abs(trainer.params.arrays["J"] - truth).max()
    assert 1e-4 < error < 0.6


CHAIN_RECIPES = {
    "cd": ChainOptions("cd", steps=2, chains=16),
    "pcd": ChainOptions("pcd", steps=2, chains=20),
    "pt": ChainOptions("pt", steps=2, chains=6, rungs=4),
    "rdm": ChainOptions("rdm", steps=3, chains=20),
}


def small_recipe(method, **changes):
    base = {
        "method": method,
        "updates": 12,
        "batch": 16,
        "chains": CHAIN_RECIPES[method],
        "rate": Schedule(0.05),
        "optimiser": Optimiser("adam"),
    }
    return Recipe(**{**base, **changes})


@pytest.mark.parametrize("method", CHAIN_RECIPES)
@pytest.mark.parametrize("name", ["bernoulli x ising", "potts x gaussian", "boltzmann machine"])
def test_resumed_training_has_the_same_bits(method, name):
    loaded = family(name)
    data = some_visibles(loaded, 40)
    centred = name != "potts x gaussian"
    recipe = small_recipe(method, centred=centred)
    whole = trainer_of(loaded, data, recipe)
    whole.run(12)
    first = trainer_of(loaded, data, recipe)
    first.run(5)
    saved = {key: np.array(x) for key, x in first.checkpoint().items()}
    second = trainer_of(loaded, data, recipe)
    second.restore(saved)
    second.run(12)
    for slot in whole.slots:
        np.testing.assert_array_equal(whole.params.arrays[slot], second.params.arrays[slot])
    for group, x in whole.chains.configurations().items():
        np.testing.assert_array_equal(x, second.chains.configurations()[group])


@pytest.mark.parametrize("positive", ["mean-field", "sampled"])
def test_deep_machines_resume_too(positive):
    loaded = family("deep")
    data = some_visibles(loaded, 40)
    recipe = small_recipe("pcd", positive=positive)
    whole = trainer_of(loaded, data, recipe)
    whole.run(12)
    first = trainer_of(loaded, data, recipe)
    first.run(7)
    second = trainer_of(loaded, data, recipe)
    second.restore({key: np.array(x) for key, x in first.checkpoint().items()})
    second.run(12)
    for slot in whole.slots:
        np.testing.assert_array_equal(whole.params.arrays[slot], second.params.arrays[slot])


@pytest.mark.parametrize("name", [name for name in FAMILIES if "truncated" not in name])
def test_persistent_chains_of_every_family_raise_the_likelihood(name):
    """The log-likelihood of the data must grow; as many chains as share the plans of 48."""
    from test_gradients import exact_log_likelihood

    loaded = family(name)
    data = some_visibles(loaded, 60, seed=2)
    recipe = Recipe(
        method="pcd",
        updates=60,
        chains=ChainOptions("pcd", steps=2, chains=100),
        rate=Schedule(0.5 if name == "patterns" else 0.05),
        initial_fields="declared",
    )
    trainer = trainer_of(loaded, data, recipe)
    weights = np.full(60, 1 / 60)
    before = exact_log_likelihood(loaded, trainer.params, data, weights)
    trainer.run(60)
    after = exact_log_likelihood(loaded, trainer.params, data, weights)
    assert after > before + 0.01


def test_divergence_is_named_and_keeps_the_last_good_arrays():
    loaded = family("boltzmann machine")
    data = some_visibles(loaded, 20)
    recipe = Recipe(method="pseudo-likelihood", updates=100, rate=Schedule(1e9))
    trainer = trainer_of(loaded, data, recipe)
    with pytest.raises(Divergence, match=r"diverged at update \d+.*learning_rate"):
        trainer.run(100)
    assert np.isfinite(trainer.params.arrays["J"]).all()


@pytest.mark.parametrize("method", ["exact", "pseudo-likelihood"])
@pytest.mark.parametrize("batch", [1, 5, 20])
def test_minibatches_of_weighted_samples_add_up_to_the_gradient_of_all(method, batch):
    """One epoch of plain updates that do not move anything: the mean of its gradients."""
    loaded = family("boltzmann machine")
    data = some_visibles(loaded, 20, 4)
    weights = np.arange(1.0, 21.0) ** 2
    weights /= weights.sum()
    params = loaded.params(3)
    recipe = still(method, batch=batch, rate=Schedule(1e-6))
    trainer = trainer_at(loaded, params, data, recipe, weights)
    trainer.run(20 // batch)
    whole = trainer_at(loaded, params, data, still(method, rate=Schedule(1e-6)), weights)
    whole.run(1)
    wanted = moved(whole, params)
    for slot, g in moved(trainer, params, 20 // batch).items():
        assert np.abs(g - wanted[slot]).max() < 1e-4 * np.abs(wanted[slot]).max(), slot

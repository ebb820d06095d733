"""The model phase is unbiased where its chains are in equilibrium, for every family of models.

Chains that start in exact samples stay exact whatever the kernels do, if these are right: the mean
gradient is then the exact one. Every repetition starts from fresh samples, so that errors come from
the spread of independent numbers. Seeds are pinned; of the ~1000 numbers of the list a fresh seed
breaks 4.5 sigma with probability 0.02 (t of 149 degrees).
"""

from functools import cache

import numpy as np
import pytest
from learning_models import FAMILIES, declared, family, free_places, rbm, some_visibles
from scipy.stats import truncnorm
from trained_problems import assert_family, exact_gradient, moved, still, trainer_at

from physebm.learning.chains import ChainOptions
from physebm.model.conditionals import Conditionals
from physebm.model.statistics import RowAverages, statistics
from physebm.rng.streams import key_of
from physebm.theory.enumeration import enumerate_states, sample_exact

OPEN = "gaussian x truncated_gaussian"
NAMES = [name for name in FAMILIES if name != OPEN] + ["deep"]
REPETITIONS = 150


def numbers(loaded, params, gradient):
    """The free entries of all arrays, in one row."""
    return np.array(
        [
            gradient[slot.name][place]
            for slot in loaded.hamiltonian.slots
            for place in free_places(loaded, params, slot.name)
        ]
    )


def put(trainer, x):
    """Let the persistent chains stand at given configurations ``{group: x[chain, unit]}``."""
    arrays = trainer.checkpoint()
    for group, values in x.items():
        arrays[f"chains/x/{group}"][...] = values
    trainer.restore(arrays)
    trainer.chains.follow(trainer.params)


def repeated(name, loaded, params, data, draw, steps=3, chains=48):
    """``[repetition, number]``: gradients `steps` sweeps after fresh starts ``draw(n, repetition)``.

    Random words belong to `name`: models that shared them would err together.
    """
    recipe = still("pcd", chains=ChainOptions("pcd", steps=steps, chains=chains))
    trainer = trainer_at(loaded, params, data, recipe, seed=5, name=(name,))
    found = []
    for repetition in range(REPETITIONS):
        put(trainer, draw(chains, repetition))
        before = trainer.params
        trainer.run(trainer.update + 1)
        found.append(numbers(loaded, params, moved(trainer, before)))
    return np.array(found)


def z_scores(found, truth):
    """Of means over repetitions; numbers that do not fluctuate must be right to rounding."""
    error = found.std(axis=0, ddof=1) / np.sqrt(len(found))
    off = found.mean(axis=0) - truth
    fixed = error < 1e-6
    assert np.abs(off[fixed]).max(initial=0.0) < 2e-6
    return off[~fixed] / error[~fixed]


@cache
def z_of(name: str) -> np.ndarray:
    loaded = family(name)
    params, data = loaded.params(3), some_visibles(loaded, 5)
    exact = enumerate_states(loaded.hamiltonian, params, loaded.coefficients([1.0]), probabilities=True)

    def draw(n, repetition):
        return sample_exact(exact, n, key_of(77, name, repetition))

    truth = numbers(loaded, params, exact_gradient(loaded, params, data))
    return z_scores(repeated(name, loaded, params, data, draw), truth)


@pytest.mark.parametrize("name", NAMES)
def test_exact_starts_give_the_exact_gradient(name):
    assert_family(z_of(name), many=10**9)


def test_errors_of_the_whole_list_are_neither_too_small_nor_too_large():
    z = np.concatenate([z_of(name) for name in NAMES])
    assert 500 < len(z) < 1500
    assert_family(z)


def one_truncated_unit():
    """Gaussian visible units on one truncated hidden unit: a closed form, by hand.

    With ``theta_i = c_v b_i + c W_i h`` the visible units are N(s_i theta_i, s_i) of variances s_i, and
    h is a Gaussian truncated at 0.3 of precision ``1/s - sum_i s_i (c W_i)^2`` in the field
    ``c_h b + sum_i s_i c_v b_i c W_i``.
    """
    loaded = rbm("gaussian", "truncated_gaussian", nh=1)
    params, c = loaded.params(3), loaded.coefficients([1.0]).value[0]
    arrays = {name: x[0] for name, x in params.arrays.items()}
    s, w, b = arrays["v_variance"], 0.7 * arrays["W"][:, 0], 1.3 * arrays["v_h"]
    precision = 1.0 / arrays["h_variance"][0] - (s * w**2).sum()
    centre = (1.3 * arrays["h_h"][0] + (s * b * w).sum()) / precision
    assert precision > 0
    h = truncnorm((0.3 - centre) * np.sqrt(precision), np.inf, centre, 1.0 / np.sqrt(precision))

    def draw(n, repetition):
        rng = np.random.default_rng(repetition)
        hidden = h.rvs(n, random_state=rng)[:, None]
        return {"h": hidden, "v": s * (b + w * hidden) + np.sqrt(s) * rng.normal(size=(n, 4))}

    one, two = h.moment(1), h.moment(2)
    squares = s + s**2 * (b**2 + 2.0 * b * w * one + w**2 * two)
    model = {
        "W": 0.7 * (s * (b * one + w * two))[:, None],
        "v_h": 1.3 * s * (b + w * one),
        "h_h": 1.3 * np.array([one]),
        "v_variance": 0.5 * squares / s**2,
        "h_variance": 0.5 * np.array([two]) / arrays["h_variance"] ** 2,
    }
    return loaded, params, c, draw, model


def test_truncated_hidden_units_on_gaussian_visible_ones():
    """The one pair of layers that has no closed form in general."""
    loaded, params, c, draw, model = one_truncated_unit()
    data = some_visibles(loaded, 5)
    conditionals = Conditionals(loaded.hamiltonian, c, params)
    known = conditionals.states(data)
    moments = {**known, "h": conditionals.moments("h", conditionals.field("h", known))}
    averages = RowAverages(loaded.hamiltonian, moments)
    phase = statistics(loaded.hamiltonian, params, averages, c, model)
    truth = {slot: phase[slot] - model[slot] for slot in model}
    z = z_scores(repeated(OPEN, loaded, params, data, draw), numbers(loaded, params, truth))
    assert len(z) == 14
    assert_family(z)


# Eight spins, couplings of 0.4, a weak field: two states with a barrier of 8.6 kT between them.
TWO_STATES = """
[units]
s = { prior = "ising", shape = 8, visible = true }
[arrays]
J = { law = "normal", std = 0.05, mean = 0.4, shape = [8, 8], trainable = true }
b = { law = "normal", std = 0.02, shape = 8, trainable = true }
[[terms]]
couple = ["s", "s"]
J = "J"
[[terms]]
field = "s"
h = "b"
"""


def long_run(loaded, options, blocks, updates, burn, start=None):
    """Mean gradients of consecutive blocks of updates, ``[block, number]``."""
    params, data = loaded.params(3), some_visibles(loaded, 5)
    trainer = trainer_at(loaded, params, data, still(options.method, chains=options), seed=9)
    if start is not None:
        put(trainer, start)
    trainer.run(burn)
    found = []
    for _ in range(blocks):
        before = trainer.params
        trainer.run(trainer.update + updates)
        found.append(numbers(loaded, params, moved(trainer, before, updates)))
    truth = numbers(loaded, params, exact_gradient(loaded, params, data))
    return np.array(found), truth


@pytest.mark.parametrize("name", ["bernoulli x ising", "potts machine"])
def test_lanes_at_the_target_of_tempered_chains_are_exact_in_the_long_run(name):
    """From random starts; blocks of 10 updates are far longer than the memory of these models."""
    options = ChainOptions("pt", steps=2, chains=60, rungs=4)
    z = z_scores(*long_run(family(name), options, blocks=80, updates=10, burn=40))
    assert_family(z)


def test_every_rung_of_a_ladder_is_the_model_with_its_energy_scaled_and_its_priors_kept():
    """Rung r at the factor 1, 0.7, 0.4, 0.1 of H is the declared model at T = 1 / factor.

    Four rungs of 14 first moments each; error bars from the spread over independent ladders.
    """
    loaded = family("bernoulli x gaussian")
    params, data = loaded.params(3), some_visibles(loaded, 5)
    options = ChainOptions("pt", steps=3, chains=80, rungs=4, hottest=0.1)
    trainer = trainer_at(loaded, params, data, still("pt", chains=options), seed=21)
    chains, total = trainer.chains, 0.0
    trainer.run(20)
    for _ in range(100):
        trainer.run(trainer.update + 1)
        x = chains.state.configurations.x
        lanes = chains.state.lane_of.reshape(80, 4)
        total = total + np.concatenate([x["v"][lanes], x["h"][lanes], x["h"][lanes] ** 2], axis=2)
    means = total / 100
    exact = enumerate_states(
        loaded.hamiltonian, params, loaded.coefficients(1.0 / np.linspace(1.0, 0.1, 4))
    )
    squares = np.diagonal(exact.pair("h", "h"), axis1=1, axis2=2)
    truth = np.concatenate([exact.mean("v"), exact.mean("h"), squares], axis=1)
    z = [z_scores(means[:, rung], truth[rung]) for rung in range(4)]
    assert_family(np.concatenate(z), many=40)


def test_tempering_crosses_a_barrier_that_plain_chains_do_not():
    loaded = declared(TWO_STATES)
    up = {"s": np.ones((60, 8), dtype=np.int8)}
    plain = ChainOptions("pcd", steps=2, chains=60)
    found, truth = long_run(loaded, plain, blocks=20, updates=10, burn=20, start=up)
    fields = slice(-8, None)
    assert np.abs(z_scores(found, truth)[fields]).min() > 8.0
    tempered = ChainOptions("pt", steps=2, chains=60, rungs=6)
    found, truth = long_run(loaded, tempered, blocks=40, updates=40, burn=150)
    assert_family(z_scores(found, truth))


@pytest.mark.parametrize("name", ["ising x gaussian", "boltzmann machine"])
def test_fresh_chains_reach_equilibrium_after_many_sweeps(name):
    """`rdm`: after 50 sweeps exact, after one far from it."""
    loaded = family(name)
    long = ChainOptions("rdm", steps=50, chains=100)
    z = z_scores(*long_run(loaded, long, blocks=150, updates=1, burn=0))
    assert_family(z, many=10**9)
    short = ChainOptions("rdm", steps=1, chains=100)
    z = z_scores(*long_run(loaded, short, blocks=150, updates=1, burn=0))
    assert np.abs(z).max() > 8.0

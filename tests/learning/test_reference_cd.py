"""Contrastive divergence against its own exact expectation, and exact training against a known path.

A step of the reference is v -> h -> v' in blocks, as a sweep here (hidden groups first). Its expected
gradient of CD-k is ``<v h>_data - <v h>_k``, with the distribution of v after k steps from the data;
whether hidden units enter by samples or by their conditional means does not change it.
"""

import numpy as np
import pytest
from learning_models import declared
from trained_problems import (
    assert_family,
    exact_gradient,
    moved,
    reference,
    still,
    trainer_at,
    with_values,
)

from physebm.free_energy.exact import exact_averages, summed_out
from physebm.learning.chains import ChainOptions
from physebm.learning.optimisers import Schedule
from physebm.learning.recipe import Recipe
from physebm.model.conditionals import Conditionals

(CASE,) = reference("markov_rbm")["rbm"]
N, M = CASE["N"], CASE["M"]
DATA = np.array(CASE["data"], dtype=int)
SLOTS = ("W", "a", "b")


def machine():
    loaded = declared(
        f"""
[units]
v = {{ prior = "bernoulli", shape = {N}, visible = true }}
h = {{ prior = "bernoulli", shape = {M} }}
[arrays]
W = {{ law = "normal", std = 1, shape = [{N}, {M}], trainable = true }}
a = {{ law = "normal", std = 1, shape = {N}, trainable = true }}
b = {{ law = "normal", std = 1, shape = {M}, trainable = true }}
[[terms]]
couple = ["v", "h"]
J = "W"
[[terms]]
field = "v"
h = "a"
[[terms]]
field = "h"
h = "b"
"""
    )
    return loaded, with_values(loaded, {slot: CASE[slot] for slot in SLOTS})


def flat(gradient):
    return np.concatenate([np.ravel(gradient[slot]) for slot in SLOTS])


def stored(gradient):
    return flat({slot: gradient[f"d{slot}"] for slot in SLOTS})


def sampled(steps, repetitions=100, chains=800, weights=None, **changes):
    """Mean gradient of independent updates and its error, ``[number]`` each."""
    loaded, params = machine()
    recipe = still("cd", chains=ChainOptions("cd", steps=steps, chains=chains), **changes)
    trainer = trainer_at(loaded, params, {"v": DATA}, recipe, weights, seed=11, name=(steps,))
    every = len(DATA) // (recipe.batch or len(DATA))
    found = []
    for _ in range(repetitions):
        before = trainer.params
        trainer.run(trainer.update + every)
        found.append(flat(moved(trainer, before, every)))
    found = np.array(found)
    return found.mean(axis=0), found.std(axis=0, ddof=1) / np.sqrt(repetitions)


def test_every_k_has_the_expectation_of_the_reference():
    """3 x 34 numbers; a fresh seed fails with probability 2e-3 (t of 99 degrees)."""
    z = []
    for k, expected in CASE["expected_cd"].items():
        mean, error = sampled(int(k))
        z.append((mean - stored(expected)) / error)
        assert error.max() < 3e-3
    assert_family(np.concatenate(z))


def test_one_step_is_seen_to_be_biased():
    """Beyond 8 sigma: from the exact gradient, and from CD of another order."""
    exact = stored(CASE["exact_gradient"])
    mean, error = sampled(1)
    for wrong in (exact, stored(CASE["expected_cd"]["2"])):
        assert np.abs((mean - wrong) / error).max() > 8.0
    assert mean @ exact > 0


def test_minibatches_have_the_same_expectation():
    """Four minibatches of four make up all data; their mean gradient is that of all data."""
    mean, error = sampled(1, repetitions=100, chains=200, batch=4)
    assert_family((mean - stored(CASE["expected_cd"]["1"])) / error)


def exact_cd(steps, weights):
    """Expected gradient of CD-k on weighted data, by the transition matrix of the visible units."""
    W, a, b = (np.array(CASE[slot]) for slot in SLOTS)
    v = (np.arange(2**N)[:, None] >> np.arange(N)) & 1
    h = (np.arange(2**M)[:, None] >> np.arange(M)) & 1
    joint = np.exp(v @ a[:, None] + v @ W @ h.T + (h @ b)[None, :])
    T = (joint / joint.sum(axis=1, keepdims=True)) @ (joint / joint.sum(axis=0)).T
    start = np.zeros(2**N)
    np.add.at(start, DATA @ (1 << np.arange(N)), weights)
    lost = start - start @ np.linalg.matrix_power(T, steps)
    mean_h = 1.0 / (1.0 + np.exp(-(v @ W + b)))
    return flat({"W": (v * lost[:, None]).T @ mean_h, "a": lost @ v, "b": lost @ mean_h})


@pytest.mark.parametrize("k", CASE["expected_cd"])
def test_the_transition_matrix_here_is_that_of_the_reference(k):
    found = exact_cd(int(k), np.full(len(DATA), 1 / len(DATA)))
    np.testing.assert_allclose(found, stored(CASE["expected_cd"][k]), rtol=1e-8, atol=1e-12)


def test_chains_carry_the_weights_of_the_samples_that_they_start_at():
    """Weights enter both phases: the gradient of the weighted data's own CD.

    That holds for numbers of chains too that are no multiple of the data's: 24 chains start at 16
    samples, two of them at each of the first eight.
    """
    weights = np.arange(16.0, 0.0, -1.0) ** 2
    weights /= weights.sum()
    mean, error = sampled(1, weights=weights)
    assert_family((mean - exact_cd(1, weights)) / error)
    mean, error = sampled(1, repetitions=3000, chains=24)
    assert_family((mean - stored(CASE["expected_cd"]["1"])) / error)


def test_exact_gradient():
    loaded, params = machine()
    found = exact_gradient(loaded, params, {"v": DATA})
    np.testing.assert_allclose(flat(found), stored(CASE["exact_gradient"]), rtol=1e-8, atol=1e-11)


def test_the_path_of_exact_training_is_that_of_the_reference():
    """2000 steps of plain gradient ascent at rate 0.1 from small couplings."""
    loaded, _ = machine()
    known = CASE["training"]
    start = with_values(loaded, {"W": known["W0"], "a": np.zeros(N), "b": np.zeros(M)})
    recipe = Recipe(method="exact", updates=2000, rate=Schedule(known["lr"]), initial_fields="declared")
    trainer = trainer_at(loaded, start, {"v": DATA}, recipe)
    for point in known["trajectory"]:
        trainer.run(point["step"])
        W = trainer.params.arrays["W"][0]
        values = np.linalg.svd(W, compute_uv=False)
        np.testing.assert_allclose(values, point["singular_values"], rtol=1e-8)
        assert np.linalg.norm(W) == pytest.approx(point["W_fro"], rel=1e-8)
        assert mean_log_likelihood(loaded, trainer.params) == pytest.approx(
            point["mean_loglik"], rel=1e-9
        )
    # its loop records a step before it makes it, and ends with one more
    trainer.run(2001)
    np.testing.assert_allclose(trainer.params.arrays["W"][0], known["final_W"], rtol=1e-10)


def mean_log_likelihood(loaded, params):
    c = loaded.coefficients([1.0])
    conditionals = Conditionals(loaded.hamiltonian, c.value[0], params)
    known = conditionals.states({"v": DATA})
    hidden = conditionals.log_normaliser("h", conditionals.field("h", known))
    log_z = exact_averages(summed_out(loaded.hamiltonian), params, c).exact.log_z[0]
    return np.mean(hidden - conditionals.energy(known)) - log_z

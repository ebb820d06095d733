"""The Boltzmann machine's maximum-likelihood couplings, against independent numbers.

The reference's signs are those of this package: ``p = exp(sum_{i<j} J_ij s_i s_j + sum_i h_i s_i)/Z``.
Data are all states, weighted with how often each was drawn. (The maximum of each unit's conditional
is in test_pseudolikelihood.py, the inversions in test_inversion.py.)
"""

import numpy as np
import pytest
from learning_models import declared
from trained_problems import exact_gradient, reference, trainer_at, with_values

from physebm.free_energy.exact import exact_averages
from physebm.learning.optimisers import Optimiser, Schedule
from physebm.learning.recipe import Recipe
from physebm.model.conditionals import Conditionals

(CASE,) = reference("boltzmann_inverse")["models"]
N = CASE["N"]
ML = CASE["inverse_from_samples"]["ML"]
STATES = 2 * ((np.arange(2**N)[:, None] >> np.arange(N)) & 1) - 1
WEIGHTS = np.array(CASE["sample_counts"]) / sum(CASE["sample_counts"])


def machine(prior="ising", scale=1.0):
    return declared(
        f"""
[units]
s = {{ prior = "{prior}", shape = {N}, visible = true }}
[arrays]
J = {{ law = "normal", std = 0.5, shape = [{N}, {N}], trainable = true }}
b = {{ law = "normal", std = 0.3, shape = {N}, trainable = true }}
[[terms]]
couple = ["s", "s"]
J = "J"
scale = {scale}
[[terms]]
field = "s"
h = "b"
"""
    )


def log_likelihood(loaded, params):
    c = loaded.coefficients([1.0])
    conditionals = Conditionals(loaded.hamiltonian, c.value[0], params)
    u = conditionals.energy(conditionals.states({"s": STATES}))
    return -WEIGHTS @ u - exact_averages(loaded.hamiltonian, params, c).exact.log_z[0]


def test_moments_and_likelihoods():
    loaded = machine()
    params = with_values(loaded, {"J": CASE["J"], "b": CASE["h"]})
    model = exact_averages(loaded.hamiltonian, params, loaded.coefficients([1.0]))
    assert model.exact.log_z[0] == pytest.approx(CASE["exact"]["lnZ"], rel=1e-12)
    np.testing.assert_allclose(model.mean("s")[:, 0], CASE["exact"]["m"], rtol=1e-10, atol=1e-14)
    off = ~np.eye(N, dtype=bool)
    pairs, known = model.pair("s", "s")[:, 0, :, 0], np.array(CASE["exact"]["corr"])
    np.testing.assert_allclose(pairs[off], known[off], rtol=1e-10, atol=1e-14)
    assert log_likelihood(loaded, params) == pytest.approx(CASE["loglik_at_true"], rel=1e-10)
    best = with_values(loaded, {"J": ML["J"], "b": ML["h"]})
    assert log_likelihood(loaded, best) == pytest.approx(CASE["loglik_at_ML"], rel=1e-10)


def test_the_gradient_is_the_difference_of_moments_and_vanishes_at_the_maximum():
    loaded = machine()
    true = with_values(loaded, {"J": CASE["J"], "b": CASE["h"]})
    found = exact_gradient(loaded, true, {"s": STATES}, WEIGHTS)
    off = ~np.eye(N, dtype=bool)
    J = np.array(CASE["sample_corr"]) - CASE["exact"]["corr"]
    np.testing.assert_allclose(found["J"][off], J[off], rtol=1e-8, atol=1e-12)
    m = np.array(CASE["sample_m"]) - CASE["exact"]["m"]
    np.testing.assert_allclose(found["b"], m, rtol=1e-8, atol=1e-12)
    size = max(np.abs(g).max() for g in found.values())
    best = with_values(loaded, {"J": ML["J"], "b": ML["h"]})
    for g in exact_gradient(loaded, best, {"s": STATES}, WEIGHTS).values():
        assert np.abs(g).max() < 1e-8 * size


@pytest.mark.parametrize("centred", [False, True])
def test_exact_training_reaches_the_maximum(centred):
    """From independent units; couplings carry a scale, and come out as J / scale.

    Gradient ascent converges at rate eta times the curvature: momentum 0.9 makes the slowest of the
    55 directions fall by 1e-9 within these updates.
    """
    loaded = machine(scale=0.8)
    recipe = Recipe(
        method="exact",
        updates=400,
        rate=Schedule(0.2),
        optimiser=Optimiser("momentum"),
        centred=centred,
    )
    start = with_values(loaded, {"J": np.zeros((N, N)), "b": np.zeros(N)})
    trainer = trainer_at(loaded, start, {"s": STATES}, recipe, WEIGHTS)
    trainer.run(recipe.updates)
    J, b = trainer.params.arrays["J"][0], trainer.params.arrays["b"][0]
    np.testing.assert_allclose(0.8 * J, ML["J"], rtol=1e-7, atol=1e-8)
    np.testing.assert_allclose(b, ML["h"], rtol=1e-7, atol=1e-8)
    np.testing.assert_array_equal(J, J.T)
    upper = np.triu_indices(N, 1)
    error = np.sqrt(np.mean((0.8 * J - CASE["J"])[upper] ** 2))
    assert error == pytest.approx(CASE["rms_error_J"]["ML"], rel=1e-6)


def test_bernoulli_units_reach_the_same_distribution():
    """``s = 2 x - 1``: couplings 4 J and fields 2 h - 2 sum_j J_ij."""
    loaded = machine("bernoulli")
    recipe = Recipe(
        method="exact",
        updates=900,
        rate=Schedule(1.5),
        optimiser=Optimiser("momentum"),
        centred=True,
    )
    start = with_values(loaded, {"J": np.zeros((N, N)), "b": np.zeros(N)})
    trainer = trainer_at(loaded, start, {"s": (STATES + 1) // 2}, recipe, WEIGHTS)
    trainer.run(recipe.updates)
    J, h = np.array(ML["J"]), np.array(ML["h"])
    np.testing.assert_allclose(trainer.params.arrays["J"][0], 4.0 * J, rtol=1e-7, atol=1e-7)
    np.testing.assert_allclose(
        trainer.params.arrays["b"][0], 2.0 * h - 2.0 * J.sum(axis=1), rtol=1e-7, atol=1e-7
    )

"""Gauge transformations, the global flip, and Nishimori's identity, held on sampled numbers."""

from dataclasses import replace

import numpy as np
import pytest
from ensemble_runs import assert_family, by_kernels, exact_of, z_scores
from small_models import Small, bound, loaded, small

from physebm.backends.base import Lanes
from physebm.model import energy
from physebm.model.params import Params, stack
from physebm.rng.streams import key_of
from physebm.sampling import initial

SIGNS = np.random.default_rng(7).choice([-1, 1], 9)


def gauged(model: Small) -> Params:
    """``J_ij -> eps_i eps_j J_ij`` of a square lattice."""
    J = model.params.arrays["J"]
    eps = SIGNS.reshape(J.shape[2:])
    turned = J.copy()
    for d in range(J.shape[1]):
        turned[:, d] *= (eps * np.roll(eps, -1, axis=d)).astype(J.dtype)
    return model.params.with_arrays(J=turned)


@pytest.mark.parametrize("name", ["edwards_anderson_2d", "edwards_anderson_2d_gaussian"])
def test_a_gauge_transformation_changes_no_energy_and_no_distribution(name):
    """``s_i -> eps_i s_i`` with ``J_ij -> eps_i eps_j J_ij``: energies exactly, moments up to signs."""
    model = small(name, "heat-bath", (0.8, 2.0), seed=2)
    other = bound(model.loaded, gauged(model), "heat-bath", (0.8, 2.0))
    assert not np.array_equal(other.params.arrays["J"], model.params.arrays["J"])
    x = np.random.default_rng(3).choice([-1, 1], (64, 9))
    mine = energy.term_energies(model.hamiltonian, model.params, {"s": x})
    theirs = energy.term_energies(other.hamiltonian, other.params, {"s": x * SIGNS})
    assert np.allclose(mine, theirs, rtol=0, atol=1e-12)
    one, two = exact_of(model), exact_of(other)
    assert np.allclose(one.log_z, two.log_z, rtol=1e-12)
    assert np.allclose(one.second, two.second * np.outer(SIGNS, SIGNS), atol=1e-12)
    # samples of the transformed model against the exact values of the other one, signs undone
    truth = replace(two, derivative=one.derivative, second=one.second * np.outer(SIGNS, SIGNS))
    assert_family(z_scores(other, truth, by_kernels(other.kernels(), other.launch)))


def test_a_global_flip_with_the_field_reversed_changes_no_distribution():
    model, other = (small("random_field_ising_3d", "heat-bath", (1.0, 3.0), seed=s) for s in (5, 5))
    turned = other.params.with_arrays(h=-other.params.arrays["h"])
    other = bound(other.loaded, turned, "heat-bath", (1.0, 3.0))
    one = exact_of(model)
    truth = replace(exact_of(other), derivative=one.derivative, first=-one.first, second=one.second)
    assert_family(z_scores(other, truth, by_kernels(other.kernels(), other.launch)))


@pytest.mark.parametrize("beta", [0.5, 1.0])
def test_nishimori_energy_of_the_pm_j_model(beta):
    """``[e] = -2 tanh(beta)`` per site at ``P(J = +1) = 1 / (1 + exp(-2 beta))``, for every L.

    H. Nishimori, Prog. Theor. Phys. 66, 1169 (1981). On this line the couplings seen from all-up are
    those of a planted state, so that all-up is an equilibrium sample and sweeps keep ``[e]``.
    """
    samples, sweeps = 400, 40
    p = 1.0 / (1.0 + np.exp(-2.0 * beta))
    declared = loaded("edwards_anderson_2d", (("L", 8), ("p", p)))
    params = stack([declared.params(11, realisation) for realisation in range(samples)])
    model = bound(declared, params, "heat-bath", (1.0 / beta,))
    lanes = Lanes(
        np.arange(samples),
        np.zeros(samples),
        np.arange(samples),
        np.array([key_of(11, "nishimori", realisation) for realisation in range(samples)]),
    )
    state = initial.empty(model.plan, samples)
    state.x["s"][:] = 1
    kernels, total = model.kernels(), 0.0
    kernels.sweep(state, lanes, model.launch, 0, 10)
    for sweep in range(10, 10 + sweeps):
        total = total + kernels.sweep(state, lanes, model.launch, sweep, 1)[:, 0] / 64
    e = total / sweeps
    error = e.std(ddof=1) / np.sqrt(samples)
    assert error < 0.01
    assert abs(e.mean() + 2 * np.tanh(beta)) < 4 * error

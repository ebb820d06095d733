"""Energies and entropies of annealed runs: closed forms, and pulls of 100 runs against exact values.

Pinned seeds; limits as in `test_annealed`: crossed by chance in 3 of 1000 for each of 12 numbers.
"""

import numpy as np
import pytest
from annealed_models import NUMBA, known, spaced
from learning_models import declared

from physebm.free_energy.annealed import annealed, forward
from physebm.free_energy.averages import of_chains, of_runs
from physebm.free_energy.path import data_path, scaled_path
from physebm.free_energy.population import population_annealing
from physebm.free_energy.population_runs import BLOCKS, populations
from physebm.free_energy.schedule import adaptive
from physebm.free_energy.weights import log_mean
from physebm.observables.reweighting import log_mean_exp
from physebm.theory.enumeration import enumerate_states

RUNS = 100


def assert_calibrated(found, model):
    """Pulls of energy and entropy of `Thermal` [run]; entropies have errors of their own."""
    exact = enumerate_states(model.hamiltonian, model.params, model.row)
    energy = float(exact.derivative[0])
    entropy = float(exact.log_z[0]) + float(model.row.beta[0]) * energy
    z = [
        [(f.energy - energy) / f.energy_stderr, (f.entropy - entropy) / f.entropy_stderr] for f in found
    ]
    z = np.array(z)
    assert np.abs(z.mean(axis=0)).max() <= 0.3, z.mean(axis=0)
    spread = z.std(axis=0, ddof=1)
    assert 0.7 <= spread.min() and spread.max() <= 1.4, spread
    return z


@pytest.mark.parametrize("name", ["ising 4x4", "sk", "rbm gaussian"])
def test_pulls_of_annealed_chains(name):
    model, path = known(name), spaced(name, 48)
    run = forward(path, NUMBA, (13, 14), RUNS * 128)
    found = []
    for chains in np.arange(len(run.log_w)).reshape(RUNS, -1):
        log_w = run.log_w[chains]
        log_z = path.base_log_z + float(log_mean_exp(log_w))
        held = of_chains(log_z, log_w, run.energies[chains])
        assert np.sqrt(np.sum(held.of_log_z**2)) == pytest.approx(log_mean(log_w).stderr)
        found.append(held.thermal(model.hamiltonian, model.row))
    assert_calibrated(found, model)


@pytest.mark.parametrize("name", ["ising 4x4", "sk", "rbm gaussian"])
def test_pulls_of_populations(name):
    model = known(name)
    path = model.path(adaptive(model.path([0.0, 1.0]), NUMBA, 6))
    run = populations(path, NUMBA, (15, 16), 4 * RUNS, 200)
    found = []
    for runs in np.arange(4 * RUNS).reshape(RUNS, -1):
        log_z = run.log_z[runs, -1]
        value = float(log_mean_exp(log_z))
        held = of_runs(value, log_z, run.final[runs], run.family[runs], BLOCKS, False)
        found.append(held.thermal(model.hamiltonian, model.row))
    assert_calibrated(found, model)


def test_estimates_carry_their_averages():
    """A base with fields adds a term that the model does not have."""
    model = known("rbm bernoulli")
    fields = {"v": np.linspace(-1.0, 1.0, 8)[:, None]}
    path = data_path(model.hamiltonian, model.params, model.row, np.linspace(0.0, 1.0, 40), fields)
    exact = enumerate_states(model.hamiltonian, model.params, model.row)
    for found in (
        annealed(path, NUMBA, 8, chains=500),
        population_annealing(path, NUMBA, 8, population=200, runs=4),
    ):
        held = found.diagnostics["averages"]
        assert held.log_z == found.log_z
        thermal = held.thermal(model.hamiltonian, model.row)
        assert abs(thermal.energy - exact.derivative[0]) <= 4.0 * thermal.energy_stderr < 0.8
        entropy = exact.log_z[0] + exact.derivative[0] / 1.0
        assert abs(thermal.entropy - entropy) <= 4.0 * thermal.entropy_stderr < 0.8


def test_two_chains_in_closed_form():
    log_w, energies = np.log([1.0, 3.0]), np.array([[2.0], [6.0]])
    held = of_chains(0.7, log_w, energies)
    # shares 1/4 and 3/4: 1 / (1/16 + 9/16) = 1.6 effective parts are too few
    assert np.isnan(held.energies).all()
    held = of_chains(0.7, np.tile(log_w, 2), np.tile(energies, (2, 1)))
    assert held.energies == pytest.approx([5.0])
    scale = np.sqrt(4.0 / 3.0)
    assert held.of_log_z == pytest.approx(scale * np.array([-1.0, 1.0, -1.0, 1.0]) / 8.0)
    assert held.of_energies[:, 0] == pytest.approx(scale * np.array([-3.0, 3.0, -3.0, 3.0]) / 8.0)


def test_independent_spins_have_the_entropy_of_their_fields():
    model = declared('[units]\ns = { prior = "ising", shape = 10 }\n[[terms]]\nfield = "s"\nh = 0.5\n')
    row = model.coefficients([0.5])
    path = scaled_path(model.hamiltonian, model.params(0), row, np.linspace(0.0, 1.0, 20))
    found = annealed(path, NUMBA, 1, chains=2000).diagnostics["averages"]
    thermal = found.thermal(model.hamiltonian, row)
    m = np.tanh(1.0)
    energy, entropy = -5.0 * m, 10.0 * (np.log(2.0 * np.cosh(1.0)) - m)
    assert abs(thermal.energy - energy) <= 4.0 * thermal.energy_stderr < 0.3
    assert abs(thermal.entropy - entropy) <= 4.0 * thermal.entropy_stderr < 0.6


def test_runs_that_scatter_make_the_error():
    """Runs in different phases: blocks know nothing of it."""
    energies = np.repeat([[-3.0], [-5.0], [-3.0], [-5.0]], 50, axis=1)[..., None]
    family = np.tile(np.arange(50), (4, 1))
    quiet = of_runs(0.0, np.zeros(4), energies, family, BLOCKS, False)
    loud = of_runs(0.0, np.zeros(4), energies, family, BLOCKS, True)
    assert quiet.energies == loud.energies == pytest.approx([-4.0])
    assert np.abs(quiet.of_energies).max() < 1e-12
    # standard deviation sqrt(4/3) of 4 runs, over their root
    assert np.sqrt(np.sum(loud.of_energies**2)) == pytest.approx(np.sqrt(4.0 / 3.0) / 2.0)

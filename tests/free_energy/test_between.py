"""Averages between rows: MBAR's numbers at the rows, pymbar's between them, calibrated errors."""

import numpy as np
import pytest
from scipy.special import logsumexp

from physebm.free_energy.between import Ladder
from physebm.free_energy.estimators import influence_error
from physebm.free_energy.multistate import mbar_rows
from physebm.free_energy.pymbar_solver import quiet_pymbar, solve
from physebm.observables.reweighting import effective_sample_size

# Gaussian rows u_k = b_k x^2 / 2, one term E = x^2 / 2: everything is known.
BETA = np.array([1.0, 1.5, 2.2, 3.0])
CHAINS, DRAWS = 4, 250


def drawn(seed, memory=0.0):
    """Energies ``[row, chain, draw, term]`` of chains with autocorrelation ``memory^t`` in x."""
    random = np.random.Generator(np.random.PCG64(seed))
    x = random.normal(size=(len(BETA), CHAINS, DRAWS))
    for t in range(1, DRAWS):
        x[:, :, t] = memory * x[:, :, t - 1] + np.sqrt(1 - memory**2) * x[:, :, t]
    return (0.5 * x**2 / BETA[:, None, None])[..., None]


def ladder_of(energies):
    solved = mbar_rows(energies, BETA[:, None], np.zeros(len(BETA)))
    return Ladder(energies, BETA[:, None], np.zeros(len(BETA)), solved), solved


def test_at_a_row_log_z_and_its_error_are_those_of_mbar():
    energies = drawn(1)
    ladder, solved = ladder_of(energies)
    for k, beta in enumerate(BETA):
        here = ladder.at(np.array([beta]), 0.0, energies)
        assert here.log_z == pytest.approx(solved.log_z[k], abs=1e-9)
        error = influence_error(solved.influence)[k]
        assert here.log_z_stderr == pytest.approx(error, rel=1e-6, abs=1e-9)


def by_pymbar(A, u_kn, N_k, u_target):
    """``log Z``, ``<A>``, their errors, and Kish's effective number, as pymbar gives them."""
    with quiet_pymbar():
        solved = solve(u_kn, N_k, None)
        mean = solved.compute_expectations(A, u_kn=u_target[None])
        difference = solved.compute_perturbed_free_energies(np.stack([u_kn[0], u_target]))
    log_w = -u_target - logsumexp(solved.f_k[:, None] - u_kn, b=N_k[:, None], axis=0)
    free, error = (difference[name][0, 1] for name in ("Delta_f", "dDelta_f"))
    return -free, error, mean["mu"][0], mean["sigma"][0], effective_sample_size(log_w)


def test_between_rows_the_numbers_are_those_of_pymbar_for_independent_draws():
    energies = drawn(2)
    ladder, _ = ladder_of(energies)
    x2 = energies.reshape(-1)
    u_kn, N = BETA[:, None] * x2, np.full(len(BETA), CHAINS * DRAWS)
    for beta in (1.2, 1.8, 2.6):
        here = ladder.at(np.array([beta]), 0.0, energies)
        log_z, log_z_stderr, mean, stderr, effective = by_pymbar(x2, u_kn, N, beta * x2)
        assert here.log_z == pytest.approx(log_z, abs=1e-7)
        assert here.value[0] == pytest.approx(mean, rel=1e-7)
        assert here.effective == pytest.approx(effective, rel=1e-6)
        # another estimate of the same error, itself uncertain by some tens of per cent
        assert here.log_z_stderr == pytest.approx(log_z_stderr, rel=0.35)
        assert influence_error(here.influence)[0] == pytest.approx(stderr, rel=0.35)


def test_errors_are_calibrated_for_draws_that_follow_each_other():
    """100 pulls: mean within 4/sqrt(100), standard deviation within 4/sqrt(200) of 1."""
    pulls = []
    for seed in range(100):
        energies = drawn(1000 + seed, 0.8)
        ladder, _ = ladder_of(energies)
        here = ladder.at(np.array([1.9]), 0.0, energies)
        exact = -0.5 * np.log(1.9 / BETA[0])
        error = influence_error(here.influence)[0]
        pulls.append(((here.log_z - exact) / here.log_z_stderr, (here.value[0] - 0.5 / 1.9) / error))
    pulls = np.array(pulls)
    assert np.abs(pulls.mean(axis=0)).max() < 4.0 / np.sqrt(100)
    assert np.abs(pulls.std(axis=0) - 1.0).max() < 4.0 / np.sqrt(200), pulls.std(axis=0)


def test_a_formula_of_averages_has_the_error_of_its_slopes():
    energies = drawn(3)
    ladder, _ = ladder_of(energies)
    here = ladder.at(np.array([1.9]), 0.0, np.concatenate([energies, energies**2], axis=-1))
    value, error = here.derived(lambda a, b: 3.0 * a)
    assert value == pytest.approx(3.0 * here.value[0])
    assert error == pytest.approx(3.0 * influence_error(here.influence)[0], rel=1e-6)
    variance, spread = here.derived(lambda a, b: b - a * a)
    assert abs(variance - 0.5 / 1.9**2) < 4.0 * spread
    slope = influence_error((here.influence @ [-2.0 * here.value[0], 1.0])[..., None])[0]
    assert spread == pytest.approx(slope, rel=1e-5)


def test_outside_the_ladder_there_are_no_numbers():
    """Forty units in place of one: distributions of their energy are narrow."""
    random = np.random.Generator(np.random.PCG64(4))
    x = random.normal(size=(len(BETA), CHAINS, DRAWS, 40)) / np.sqrt(BETA[:, None, None, None])
    energies = 0.5 * (x**2).sum(axis=-1, keepdims=True)
    ladder, _ = ladder_of(energies)
    inside = ladder.at(np.array([1.9]), 0.0, energies)
    assert abs(inside.value[0] - 20.0 / 1.9) < 4.0 * influence_error(inside.influence)[0]
    for beta in (0.2, 20.0):
        outside = ladder.at(np.array([beta]), 0.0, energies)
        assert outside.effective < 0.1 * CHAINS * DRAWS
        assert np.isnan([outside.log_z, outside.log_z_stderr, *outside.value]).all()

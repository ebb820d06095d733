"""log Z from recorded potentials, against independent values and Gaussians in closed form."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from physebm.free_energy.bennett import bar, bar_rows, pair_overlap, slope_pull
from physebm.free_energy.between import Ladder
from physebm.free_energy.estimators import (
    hysteresis,
    inefficiency,
    influence_error,
    integrated_rows,
    integration,
    stepping_rows,
    stepping_stone,
)
from physebm.free_energy.multistate import mbar, mbar_rows

REFERENCE = json.loads((Path(__file__).parents[1] / "reference/mbar.json").read_text())["data"]
BETAS, ENERGIES = np.array(REFERENCE["betas"]), np.array(REFERENCE["energies"])
U, N = BETAS[:, None] * ENERGIES.reshape(1, -1), np.full(len(BETAS), ENERGIES.shape[1])


def reference_works():
    a, b = REFERENCE["bar_pair"]
    step = BETAS[b] - BETAS[a]
    return step * ENERGIES[a], -step * ENERGIES[b]


def test_mbar_has_the_independent_values_and_covariance():
    found = mbar(U, N)
    assert -found.log_z == pytest.approx(np.array(REFERENCE["f"]), abs=1e-8)
    assert found.stderr == pytest.approx(np.array(REFERENCE["f_std_matrix"]), abs=1e-8)
    assert found.overlap.sum(axis=1) == pytest.approx(np.ones(len(N)))
    assert 0.0 < found.second < 1.0
    thinned = mbar(U, N, start=found.log_z, inefficiency=4.0)
    assert thinned.stderr == pytest.approx(2.0 * found.stderr)


def test_bar_has_the_independent_value_and_is_mbar_of_two_rows():
    w_F, w_R = reference_works()
    found = bar(w_F, w_R)
    assert -found.log_z == pytest.approx(REFERENCE["bar_Df"], abs=1e-8)
    a, b = REFERENCE["bar_pair"]
    n = ENERGIES.shape[1]
    two = mbar(U[[a, b]][:, np.r_[a * n : a * n + n, b * n : b * n + n]], [n, n])
    assert found.log_z == pytest.approx(two.log_z[1], abs=1e-10)
    assert found.overlap == pytest.approx(two.overlap[0, 1], abs=1e-10)
    assert found.stderr == pytest.approx(two.stderr[0, 1], rel=0.02)
    assert bar(w_F, w_R, inefficiency=4.0).stderr == pytest.approx(2.0 * found.stderr)


def test_trapezoid_has_the_independent_value():
    found = integration(BETAS, -ENERGIES.mean(axis=1))
    assert -found.log_z[-1] == pytest.approx(REFERENCE["ti_trapezoid"], abs=1e-8)
    assert found.log_z == pytest.approx(found.trapezoid)


def test_averages_between_rows_have_the_independent_values():
    energies, constants = ENERGIES[:, None, :, None], np.zeros(len(BETAS))
    ladder = Ladder(energies, BETAS[:, None], constants, mbar_rows(energies, BETAS[:, None], constants))
    found = ladder.at(np.array([REFERENCE["target_beta"]]), 0.0, energies)
    assert -found.log_z == pytest.approx(REFERENCE["f_target"], abs=1e-8)
    assert found.value[0] == pytest.approx(REFERENCE["E_target"], abs=1e-8)
    assert found.effective > ENERGIES.shape[1]
    # at a row of the ladder it is that row's own estimate
    row = ladder.at(BETAS[[2]], 0.0, energies)
    assert row.log_z == pytest.approx(-REFERENCE["f"][2], abs=1e-8)
    # six times colder is outside
    outside = ladder.at(np.array([6.0]), 0.0, energies)
    assert outside.effective < 0.1 * ENERGIES.shape[1] and np.isnan(outside.log_z)


# Gaussians of precision k: u_k = k x^2 / 2, log Z_k - log Z_0 = -log(k_k / k_0) / 2.
PRECISION = np.array([1.0, 1.8, 3.0, 5.0])
EXACT = -0.5 * np.log(PRECISION / PRECISION[0])


def gaussian_chains(groups, chains, draws, memory, seed):
    """Stationary AR(1) chains ``x [group, row, chain, draw]``; the rows share half of their noise."""
    rng = np.random.default_rng(seed)
    shape = (groups, len(PRECISION), chains, draws)
    common = rng.normal(size=(groups, 1, chains, draws))
    noise = np.sqrt(0.5) * common + np.sqrt(0.5) * rng.normal(size=shape)
    x = noise.copy()
    for t in range(1, draws):
        x[..., t] = memory * x[..., t - 1] + np.sqrt(1.0 - memory**2) * noise[..., t]
    return x / np.sqrt(PRECISION)[:, None, None]


def gaussian_works(x):
    step = 0.5 * np.diff(PRECISION)[:, None, None]
    return step * x[:-1] ** 2, -step * x[1:] ** 2


def gaussian_mbar(x, start=None):
    return mbar_rows(x[..., None] ** 2, 0.5 * PRECISION[:, None], np.zeros(4), start)


@pytest.mark.parametrize("memory", [0.0, 0.7])
def test_errors_are_those_of_correlated_draws_and_rows(memory):
    """120 runs; mean and sd of a pull of unit variance scatter by 0.09 and 0.065: 3.3 and 4.6 sigma."""
    pulls = {}
    for x in gaussian_chains(120, 2, 250, memory, seed=5):
        w_F, w_R = gaussian_works(x)
        # either direction alone is biased: a bracket
        every = {"stepping-stone": stepping_rows(w_F, w_R)[2], "bar": bar_rows(w_F, w_R)}
        every["integration"] = integrated_rows(w_F, w_R)
        every["mbar"] = gaussian_mbar(x, every["bar"].log_z)
        for name, found in every.items():
            error = influence_error(found.influence)
            assert error[0] == found.log_z[0] == 0.0
            pulls.setdefault(name, []).append((found.log_z - EXACT)[1:] / error[1:])
    for name, each in pulls.items():
        assert np.abs(np.mean(each, axis=0)).max() <= 0.3, name
        spread = np.std(each, axis=0)
        assert spread.min() >= 0.7 and spread.max() <= 1.4, name


def test_influences_agree_with_the_covariance_for_independent_draws():
    (x,) = gaussian_chains(1, 1, 4000, 0.0, seed=2)
    rng = np.random.default_rng(1)
    x = rng.permuted(x, axis=2)  # rows no longer share noise
    u = 0.5 * PRECISION[:, None, None, None] * x**2
    found = gaussian_mbar(x)
    solved = mbar(u.reshape(len(u), -1), np.full(4, 4000))
    spread = found.influence.std(axis=(0, 1)) / np.sqrt(4000)
    assert spread[1:] == pytest.approx(solved.stderr[0, 1:], rel=0.05)
    w_F, w_R = gaussian_works(x)
    pair = bar(w_F[0, 0], w_R[0, 0])
    spread = bar_rows(w_F, w_R).influence[..., 1].std() / np.sqrt(4000)
    assert spread == pytest.approx(pair.stderr, rel=0.05)
    stones = stepping_stone(w_F[:, 0], w_R[:, 0])
    forward, backward, _ = stepping_rows(w_F, w_R)
    spread = forward.influence[..., 1].std() / np.sqrt(4000)
    assert spread == pytest.approx(stones.forward_stderr[0], rel=1e-6)
    spread = backward.influence[..., 1].std() / np.sqrt(4000)
    assert spread == pytest.approx(stones.backward_stderr[0], rel=1e-6)


def test_influence_is_the_derivative():
    """Doubling one draw's weight moves the estimate by its influence / n, to first order."""
    (x,) = gaussian_chains(1, 1, 400, 0.0, seed=8)
    twice = np.concatenate([x, x[..., 7:8]], axis=-1)
    for estimator in (
        gaussian_mbar,
        lambda x: bar_rows(*gaussian_works(x)),
        lambda x: integrated_rows(*gaussian_works(x)),
        lambda x: stepping_rows(*gaussian_works(x))[2],
    ):
        found = estimator(x)
        moved = estimator(twice).log_z - found.log_z
        assert np.abs(found.influence.mean(axis=(0, 1))).max() < 1e-8
        assert moved == pytest.approx(found.influence[0, 7] / 401, abs=2e-5, rel=0.03)


def test_slope_pull_is_a_pull():
    """200 runs of one gap, draws with memory: mean square of a normal number, 4.5 sigma."""
    pulls = []
    for x in gaussian_chains(200, 2, 250, 0.5, seed=9):
        w_F, w_R = (w[:1] for w in gaussian_works(x))
        pulls.append(slope_pull(w_F, w_R, bar_rows(w_F, w_R).log_z)[1])
    assert abs(np.mean(np.square(pulls)) - 1.0) < 0.45
    equal = np.zeros((1, 1, 50))
    assert slope_pull(equal, equal, np.zeros(2)) == pytest.approx([0.0, 0.0])
    assert np.isnan(slope_pull(equal, equal, np.array([0.0, np.nan]))[1])


def test_slope_pull_holds_reweighted_energies_against_means():
    """BAR's slope at either row: the mean work there by the weights of MBAR of the two rows."""
    x = gaussian_chains(1, 1, 2000, 0.0, seed=9)[0] * np.array([1.2, 1.0, 1.0, 1.0])[:, None, None]
    w_F, w_R = (w[0, 0] for w in gaussian_works(x))
    found = mbar(0.5 * PRECISION[:2, None] * x[:2].reshape(1, -1) ** 2, [2000, 2000])
    off = found.weights.T @ np.append(w_F, -w_R) - [w_F.mean(), -w_R.mean()]
    assert off[0] == pytest.approx(-off[1], abs=1e-9)
    # 20 parts of the run, each with a log Z of its own
    parts = []
    for F, R in zip(w_F.reshape(20, 100), w_R.reshape(20, 100)):
        d = bar(F, R).log_z
        parts.append(np.mean(F / (1.0 + np.exp(F + d))) + np.mean(R / (1.0 + np.exp(R - d))))
    error = np.std(parts, ddof=1) / np.sqrt(20)
    pull = slope_pull(w_F[None, None], w_R[None, None], found.log_z)[1]
    assert pull > 3.0 and pull == pytest.approx(abs(off[0]) / error, rel=0.5)


def test_influence_error_sees_chains_that_disagree():
    rng = np.random.default_rng(3)
    quiet = rng.normal(size=(4, 500, 1))
    apart = quiet + np.array([0.0, 0.0, 0.0, 3.0])[:, None, None]
    assert influence_error(quiet)[0] == pytest.approx(1.0 / np.sqrt(2000), rel=0.2)
    assert influence_error(apart)[0] > 0.5
    assert np.isnan(influence_error(np.full((2, 100, 1), np.nan))[0])


def test_rows_without_overlap_are_not_estimated():
    rng = np.random.default_rng(4)
    w_F, w_R = 1e4 + rng.normal(size=(2, 1, 1, 50)), 1e4 + rng.normal(size=(2, 1, 1, 50))
    found = bar(w_F[0].ravel(), w_R[0].ravel())
    assert found.overlap < 1e-12
    rows = bar_rows(w_F[0], w_R[0])
    assert not np.isfinite(influence_error(rows.influence)[1]) or rows.per_row["overlap"][1] < 1e-12


def test_inefficiency():
    (x,) = gaussian_chains(1, 4, 4000, 0.8, seed=6)
    assert inefficiency(x) == pytest.approx(np.full(4, 9.0), rel=0.3)  # (1 + a)/(1 - a)
    assert inefficiency(np.ones((3, 50))) == 1.0


def test_pair_overlap_is_a_half_for_equal_rows():
    zeros = np.zeros(20)
    assert pair_overlap(zeros, zeros, 0.0) == pytest.approx(0.5)
    assert bar(zeros + 2.0, zeros - 2.0).log_z == pytest.approx(-2.0)
    assert bar(zeros + 2.0, zeros - 2.0).stderr == 0.0


def polynomial(coefficients):
    p = np.polynomial.Polynomial(coefficients)
    return p, p.deriv(), p.deriv(2), p.integ()


@pytest.mark.parametrize("x", [np.array([0.0, 0.3, 1.0, 1.2]), np.array([2.0, 1.0, 0.5])])
def test_integration_is_exact_up_to_its_order(x):
    g, first, second, whole = polynomial([0.4, -1.0, 0.7, 1.3])
    exact = whole(x) - whole(x[0])
    found = integration(x, g(x), curvature=first(x), third=second(x))
    assert found.log_z == pytest.approx(exact, abs=1e-12)
    assert found.discretisation == pytest.approx(np.zeros(len(x)), abs=1e-12)
    assert np.abs(found.trapezoid - exact).max() > 1e-2
    straight = integration(x, 1.0 + 2.0 * x)
    assert straight.log_z == pytest.approx(x + x**2 - x[0] - x[0] ** 2)


def test_discretisation_error_tells_the_error():
    x = np.linspace(0.0, 2.0, 9)
    exact = np.sin(3.0 * x) / 3.0
    derivatives = [np.cos(3 * x), -3 * np.sin(3 * x), -9 * np.cos(3 * x)]
    plain = integration(x, derivatives[0])
    better = integration(x, derivatives[0], curvature=derivatives[1])
    best = integration(x, *derivatives[:1], curvature=derivatives[1], third=derivatives[2])
    assert plain.discretisation[2] == pytest.approx(abs(plain.log_z[2] - exact[2]), rel=0.3)
    for found in (better, best):
        assert np.all(np.abs(found.log_z - exact) <= 1.01 * found.discretisation + 1e-15)
    assert best.discretisation[-1] < 0.1 * better.discretisation[-1]


def test_integration_propagates_errors():
    x, error = np.array([0.0, 1.0, 3.0]), np.array([0.1, 0.2, 0.3])
    found = integration(x, np.zeros(3), error)
    # weights of the rows: 1/2, 1/2 + 1, 1
    assert found.stderr == pytest.approx([0.0, np.hypot(0.05, 0.1), np.sqrt(0.05**2 + 0.3**2 + 0.3**2)])


def test_hysteresis():
    gap, wide = hysteresis(np.array([1.0, 2.0, 3.0]), np.array([1.0, 1.5, 2.0]), 0.03, 0.04)
    assert gap == pytest.approx([0.0, 0.5, 1.0])
    assert wide == pytest.approx([0.0, 10.0, 20.0])
    assert hysteresis(np.ones(1), np.zeros(1), 0.0, 0.0)[1] == np.inf


def test_stepping_stones_bracket_from_either_side():
    """Few draws far apart: low forward and high backward on average, here over 200 runs (6 sigma)."""
    x = gaussian_chains(200, 1, 20, 0.0, seed=11)[:, [0, 3], 0]
    step = 0.5 * (PRECISION[3] - PRECISION[0])
    stones = stepping_stone(step * x[:, 0] ** 2, -step * x[:, 1] ** 2)
    assert stones.forward.mean() < EXACT[3] < stones.backward.mean()
    assert np.all((stones.effective > 0) & (stones.effective <= 20 + 1e-9))
    assert np.all((stones.share >= 0.05 - 1e-9) & (stones.share <= 1.0))


def test_pymbar_is_quiet_and_leaves_numpy_alone():
    script = """
import numpy as np
np.random.seed(3)
before = np.random.get_state()[1].copy()
from physebm.free_energy.bennett import bar
from physebm.free_energy.multistate import mbar
rng = np.random.default_rng(0)
x = rng.normal(size=200)
bar(x, -x + 0.3)
mbar(np.stack([0 * x, 0.1 * x]), [100, 100])
assert (np.random.get_state()[1] == before).all()
assert np.geterr()["over"] == "warn"
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")

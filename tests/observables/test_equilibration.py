"""The verdict: few false alarms on stationary chains, and none missed that is clear."""

import numpy as np
import pytest
from observables_series import ar1

from physebm.observables.equilibration import RATE, SUSPECT_FACTOR, Equilibration, verdict
from physebm.observables.rank_diagnostics import ess, rhat

POINTS = 1500


@pytest.mark.parametrize(("rho", "chains", "draws"), [(0.0, 2, 256), (0.8, 4, 1024)])
def test_false_alarms_on_stationary_chains_are_as_rare_as_stated(rho, chains, draws):
    x = ar1(np.random.default_rng(21), rho, (POINTS, chains, draws))
    found = verdict(x)
    # 1500 points: 1.5 expected at the stated rate, 7 or more have probability 1e-3.
    assert (found.code == Equilibration.NOT_EQUILIBRATED).sum() <= 6
    assert (found.code >= Equilibration.SUSPECT).mean() < 1.5 * SUSPECT_FACTOR * RATE
    for name in ("halves", "drift"):
        assert 0.03 < (found.p_values[name] < 0.05).mean() < 0.07


def test_two_stationary_starts_seldom_disagree():
    x, y = ar1(np.random.default_rng(22), 0.5, (2, POINTS, 2, 256))
    found = verdict(x, y)
    assert (found.code == Equilibration.NOT_EQUILIBRATED).sum() <= 6
    assert 0.03 < (found.p_values["starts"] < 0.05).mean() < 0.07


def test_the_p_value_of_rhat_is_not_below_its_level():
    x = ar1(np.random.default_rng(23), 0.5, (POINTS, 4, 256))
    assert (verdict(x).p_values["rhat"] < 0.05).mean() < 0.06


@pytest.fixture
def stationary():
    return ar1(np.random.default_rng(24), 0.5, (40, 2, 2048))


def test_a_linear_drift_is_flagged(stationary):
    found = verdict(stationary + np.linspace(0, 1.5, 2048))
    assert np.all(found.code == Equilibration.NOT_EQUILIBRATED)
    assert all("half" in text and "p = " in text for text in found.message)


def test_a_logarithmic_relaxation_is_flagged(stationary):
    found = verdict(stationary - np.log(np.arange(1, 2049)))
    assert np.all(found.code == Equilibration.NOT_EQUILIBRATED)
    assert np.all(found.p_values["drift"] < 1e-4)


def test_chains_in_different_states_are_flagged(stationary):
    found = verdict(stationary + np.array([[0.0], [1.5]]))
    assert np.all(found.code == Equilibration.NOT_EQUILIBRATED)
    assert all("chains disagree" in text for text in found.message)


def test_starts_that_disagree_are_flagged_where_each_alone_passes(stationary):
    other = stationary[::-1] + 0.6
    assert np.all(verdict(stationary).code < Equilibration.NOT_EQUILIBRATED)
    found = verdict(stationary, other)
    assert np.all(found.code == Equilibration.NOT_EQUILIBRATED)
    assert all("two starts disagree" in text for text in found.message)


def test_a_drift_of_the_second_start_counts(stationary):
    ramp = np.linspace(-0.75, 0.75, 2048)
    assert np.all(verdict(stationary, stationary[::-1] + ramp).code == 2)


def test_a_short_run_is_suspect_and_says_so():
    found = verdict(ar1(np.random.default_rng(25), 0.99, (20, 2, 1000)))
    assert np.all(found.code >= Equilibration.SUSPECT)
    assert sum("too short" in text for text in found.message) >= 15


def test_frozen_runs_are_suspect_unless_two_starts_agree():
    still = np.full((3, 2, 128), -1.25)
    found = verdict(still)
    assert found.code.tolist() == [1, 1, 1] and found.message[0] == "nothing moved"
    assert verdict(still, still).code.tolist() == [0, 0, 0]
    assert verdict(still, still + 1).code.tolist() == [2, 2, 2]
    apart = still + np.array([[0.0], [1.0]])
    assert verdict(apart).code.tolist() == [2, 2, 2]


def test_chains_that_take_two_values_are_judged():
    x = np.random.default_rng(26).choice([-1.0, 1.0], size=(30, 2, 512))
    found = verdict(x)
    assert np.isfinite(found.rhat).all() and (found.code == 2).sum() <= 1


def test_a_single_chain_is_judged_by_its_own_parts(stationary):
    one = stationary[:, :1]
    still = verdict(one)
    assert (still.code == 2).sum() == 0 and np.all(still.rhat < 1.03)
    drifting = verdict(one + np.linspace(0, 3, 2048))
    assert np.all(drifting.code == 2) and np.all(drifting.rhat > 1.2)


def test_rhat_and_ess_are_those_of_the_ranks(stationary):
    found = verdict(stationary[:3])
    assert np.array_equal(found.rhat, rhat(stationary[:3]))
    assert np.array_equal(found.ess, ess(stationary[:3]))


def test_the_verdict_of_a_point_has_the_shape_of_a_point(stationary):
    one = verdict(stationary[0])
    assert one.code.shape == () and one.message[()] == verdict(stationary[:1]).message[0]
    grid = verdict(stationary.reshape(8, 5, 2, 2048))
    assert grid.code.shape == grid.message.shape == (8, 5)


def test_what_cannot_be_judged_is_refused():
    with pytest.raises(ValueError, match="draw >= 64"):
        verdict(np.zeros((2, 50)))
    with pytest.raises(ValueError, match="not finite"):
        verdict(np.full((2, 100), np.nan))

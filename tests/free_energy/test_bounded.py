"""A phase that no run meets: estimates are held against a bound that needs no run."""

import numpy as np
import pytest
from learning_models import declared

import physebm
from physebm.free_energy.bounded import held_against, lower_bounds
from physebm.free_energy.estimate import Estimate, Verdict
from physebm.theory.enumeration import enumerate_states

# All spins up or down lie below everything else, behind states of higher energy.
HOLE = """
[units]
s = { prior = "ising", shape = 12 }
[[terms]]
couple = ["s", "s"]
J = -1.5
[[terms]]
couple = ["s", "s", "s", "s"]
J = 0.3
"""


def test_bounds_lie_below_log_z_and_see_the_hole():
    model = declared(HOLE)
    rows = model.coefficients([2.0, 4.0])
    exact = enumerate_states(model.hamiltonian, model.params(), rows).log_z
    bounds = lower_bounds(model.hamiltonian, model.params(), rows, (1, 2))
    assert (bounds <= exact + 1e-9).all() and bounds[0] > exact[0] - 1.0


@pytest.mark.parametrize("method", ["bar", "ais"])
def test_runs_that_miss_the_hole_have_failed(method):
    tables = {
        "bar": {"ladder": {"chains": 4, "sweeps": 800, "discard": 100}},
        "ais": {"annealing": {"chains": 100, "temperatures": 50}},
    }[method]
    model = declared(HOLE)
    found = physebm.free_energies(model, method, 2.0, seed=1, **tables)
    exact = enumerate_states(model.hamiltonian, model.params(), model.coefficients([2.0])).log_z[0]
    assert float(found["log_z"].item()) < exact - 5.0, "the hole was found: no trap"
    assert int(found["verdict"].item()) == Verdict.FAILED
    assert "rigorous lower bound" in str(found["verdict_message"].item())


def test_an_estimate_below_its_bound_has_failed_and_others_stay():
    good, bad = Estimate("bar", 5.0, 0.1), Estimate("bar", 4.0, 0.1, 3.9, 4.1)
    noisy, unknown = Estimate("bar", 4.7, 0.1), Estimate("bar", 4.0, 0.1)
    held = held_against([good, bad, noisy, unknown], {"mean field": np.array([4.9, 5.0, 5.0, np.nan])})
    assert [each.verdict for each in held] == [0, Verdict.FAILED, 0, 0]
    assert held[1].low == 5.0 and np.isnan(held[1].high) and "1 nats higher" in held[1].reason
    for before, after in ((good, held[0]), (unknown, held[3])):
        assert (before.log_z, before.low, before.reason) == (after.log_z, after.low, after.reason)
    assert held[0].diagnostics["held_against"] == "mean field: log Z >= 4.9"
    assert "no bound" in held[3].diagnostics["held_against"]


def test_a_model_too_wide_for_the_bound_says_so():
    text = HOLE[: HOLE.rindex("[[terms]]")].replace("shape = 12", "shape = 2001")
    text = text.replace('couple = ["s", "s"]', 'field = "s"').replace("J = -1.5", "h = 0.1")
    model = declared(text)
    bounds = lower_bounds(model.hamiltonian, model.params(), model.coefficients([1.0]), (1, 2))
    (held,) = held_against([Estimate("bar", 1.0, 0.1)], {"mean field": bounds})
    assert held.verdict == Verdict.TRUSTED
    assert "not sought beyond 2000 features" in held.diagnostics["held_against"]

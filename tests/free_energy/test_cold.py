"""Phases that forward chains miss, seen by walks back from cold starts; and easy models, which pass."""

from functools import cache

import numpy as np
import pytest
from annealed_models import NUMBA
from learning_models import declared
from scipy.special import gammaln, logsumexp
from small_models import loaded

from physebm.free_energy.annealed import annealed
from physebm.free_energy.cold import LEAST, Excess, cold_findings, cold_starts, excess, kinds
from physebm.free_energy.estimate import Verdict
from physebm.free_energy.path import placed, scaled_path
from physebm.free_energy.population import population_annealing
from physebm.free_energy.schedule import adaptive, equal_speed

# all spins up or down lie below everything else, behind states of higher energy
HOLE = """
[units]
s = { prior = "ising", shape = 16 }
[[terms]]
couple = ["s", "s"]
J = -1.5
[[terms]]
couple = ["s", "s", "s", "s"]
J = 0.12
"""
COUPLED = """
[units]
s = {{ {prior}, shape = {N} }}
[[terms]]
couple = ["s", "s"]
J = {J}
"""


def path_of(model, beta):
    row = model.coefficients([1.0 / beta])
    return scaled_path(model.hamiltonian, model.params(0), row, np.array([0.0, 1.0]))


@cache
def hole():
    """The path at beta = 1/2, log Z, and log Z of small magnetisations, by sums over these."""
    N, beta = 16, 0.5
    up = np.arange(N + 1)
    M = 2.0 * up - N
    fours = (M**4 - (6 * N - 8) * M**2 + 3 * N**2 - 6 * N) / 24.0
    weight = gammaln(N + 1) - gammaln(up + 1) - gammaln(N - up + 1)
    weight += beta * (0.12 * fours - 1.5 * (M**2 - N) / 2.0)
    return path_of(declared(HOLE), beta), logsumexp(weight), logsumexp(weight[abs(M) < 0.6 * N])


def by_annealing(path, seed, rows=40, chains=100):
    return annealed(placed(path, equal_speed(path, NUMBA, rows, seed)), NUMBA, seed, chains=chains)


def by_population(path, seed):
    path = placed(path, adaptive(path, NUMBA, seed))
    return population_annealing(path, NUMBA, seed, population=200, runs=4, sweeps=2)


@pytest.mark.parametrize("method", [by_annealing, by_population])
def test_a_phase_behind_a_barrier_is_missed_but_not_unseen(method):
    path, log_z, without = hole()
    assert log_z == pytest.approx(19.97, abs=0.01)
    missed = 0
    for seed in range(3):
        found = method(path, seed)
        assert found.verdict > Verdict.TRUSTED
        # a lucky walker of many begins in the hole
        if abs(found.log_z - without) < 0.5:
            missed += 1
            assert "walks back from uniform starts lie" in found.reason
            assert found.low < log_z < found.high
    assert missed, "the phase was found: no trap"


@pytest.mark.parametrize("method", [by_annealing, by_population])
def test_a_first_order_jump_is_seen_in_the_bracket(method):
    """Potts, q = 10, complete graph, 5 per cent below its transition."""
    model = declared(COUPLED.format(prior='prior = "potts", q = 10', N=60, J=1.0 / 60.0))
    found = method(path_of(model, 1.1 * 9.0 / 4.0 * np.log(9.0)), 1)
    assert found.verdict > Verdict.TRUSTED
    assert found.high > found.log_z + 5.0


@pytest.mark.parametrize(
    "name, sizes, beta",
    [
        ("sk", (("N", 16), ("h", 0.0)), 0.5),
        ("curie_weiss", (("N", 64), ("h", 0.0)), 0.5),
        ("ising_2d", (("L", 4), ("J", 1.0), ("h", 0.0)), 0.3),
        ("rbm", (("Nv", 6), ("Nh", 4)), 1.0),
    ],
)
def test_easy_models_are_trusted(name, sizes, beta):
    """By small budgets, and realisation by realisation; the rate of false alarms is below 1 in 100."""
    model = loaded(name, sizes)
    for seed in range(3):
        row = model.coefficients([1.0 / beta])
        path = scaled_path(model.hamiltonian, model.params(seed), row, np.array([0.0, 1.0]))
        for method in (by_annealing, by_population):
            found = method(path, seed)
            assert found.verdict is Verdict.TRUSTED, found.reason


def test_cold_starts_are_uniform_and_quenched():
    """At no temperature to speak of nothing moves any more."""
    for text, states in (
        (COUPLED.format(prior='prior = "ising"', N=20, J=50.0), [1, -1]),
        (COUPLED.format(prior='prior = "potts", q = 3', N=20, J=50.0), [2, 1, 0]),
    ):
        path = path_of(declared(text), 1.0)
        x = cold_starts(path, NUMBA, (1, 2), 12, 1)["s"]
        uniform = x[1::2]
        assert (uniform == uniform[:, :1]).all()
        assert uniform[: len(states), 0].tolist() == states
        quenched = x[::2]
        # ground states: quenched from random states, so that not all are the same
        assert (quenched == quenched[:, :1]).all() and len(set(quenched[:, 0])) > 1


@pytest.mark.parametrize("visible", ["ising", "bernoulli"])
def test_uniform_visible_units_keep_their_hidden_ones(visible):
    """Hidden units of any kind are drawn before the visible ones move: these hold."""
    for hidden in ('"gaussian", variance = 1.0', '"ising"'):
        text = f"""
[units]
v = {{ prior = "{visible}", shape = 12, visible = true }}
h = {{ prior = {hidden}, shape = 1 }}
[[terms]]
couple = ["v", "h"]
J = 4.0
"""
        path = path_of(declared(text), 1.0)
        v = cold_starts(path, NUMBA, (3, 4), 8, 40)["v"][1::2]
        assert (v == v[:, :1]).all()
        if visible == "ising":
            assert v[:2, 0].tolist() == [1, -1]


def test_excess_in_closed_form():
    rng = np.random.default_rng(5)
    log_w = -np.concatenate([rng.normal(3.0, 1.0, 400), rng.normal(3.0, 1.0, 100)])
    same = excess(log_w[:400], log_w[400:])
    assert (
        abs(same.value) < 4.0 * same.stderr == pytest.approx(4.0 * np.sqrt(1 / 400 + 1 / 100), rel=0.1)
    )
    assert not same.counts and not cold_findings({"uniform": same})
    above = excess(log_w[:400], log_w[400:] - 2.0)
    assert above.value == pytest.approx(same.value + 2.0)
    assert above.top == pytest.approx(-log_w[400:].mean() + 2.0 + 0.2, abs=0.05)
    (finding,) = cold_findings({"uniform": above, "quenched": same})
    assert finding.verdict is Verdict.SUSPECT and "uniform starts lie 2" in finding.reason
    # lower, or higher by less than slow relaxation, says nothing
    assert not excess(log_w[:400], log_w[400:] + 5.0).counts
    assert not Excess(0.9 * LEAST, 1e-3, 0.0).counts
    by_kind = kinds(np.arange(6.0))
    assert by_kind["quenched"].tolist() == [0.0, 2.0, 4.0]
    assert by_kind["uniform"].tolist() == [1.0, 3.0, 5.0]

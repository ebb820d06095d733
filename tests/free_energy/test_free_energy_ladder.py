"""log Z by replica exchange: its errors are right, and where it is wrong it is not trusted."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from learning_models import declared, family, rbm
from scipy.special import gammaln, logsumexp
from small_models import loaded

from physebm.backends.select import select
from physebm.errors import StudyError
from physebm.free_energy.bennett import bar_rows
from physebm.free_energy.estimate import Verdict
from physebm.free_energy.estimators import influence_error, integrated_rows, stepping_rows
from physebm.free_energy.ladder import METHODS, from_rows, tempered, works
from physebm.free_energy.multistate import mbar_rows
from physebm.free_energy.path import data_path, placed, scaled_path
from physebm.free_energy.tempered_run import TemperedRun, equalised, record
from physebm.theory.enumeration import enumerate_states

NUMBA = select("numba")
LATTICE = """
[units]
s = { prior = "ising", shape = [4, 4] }
[[terms]]
couple = ["s", "s"]
on = { lattice = "square", boundary = "periodic" }
J = 1.0
"""
COMPLETE = """
[parameters]
N = 24
[units]
s = {{ {prior}, shape = "N" }}
[[terms]]
couple = ["s", "s"]
J = "{J}"
"""
MODELS = {
    "curie_weiss": (lambda: loaded("curie_weiss"), 1.2, 6),
    "lattice": (lambda: declared(LATTICE), 0.5, 9),
    "sk": (lambda: loaded("sk"), 1.5, 6),
    "rbm": (lambda: rbm("bernoulli", "bernoulli", 8, 6, std=1.0), 1.0, 5),
}


def path_of(model, beta, factors, seed=0):
    row = model.coefficients([1.0 / beta])
    return scaled_path(model.hamiltonian, model.params(seed), row, np.asarray(factors, dtype=float))


def exact_log_z(path):
    return enumerate_states(path.hamiltonian, path.params, path.coefficients).log_z


def estimated(path, run):
    """Every estimator at every row, without its verdict."""
    w_F, w_R = works(path, run.energies)
    pairs = bar_rows(w_F, w_R)
    value, constants = path.coefficients.value, path.constants
    return {
        "mbar": mbar_rows(run.energies, value, constants, pairs.log_z),
        "bar": pairs,
        "integration": integrated_rows(w_F, w_R),
        "stepping-stone": stepping_rows(w_F, w_R)[2],
    }


@pytest.mark.parametrize(
    "name", ["rbm", *(pytest.param(n, marks=pytest.mark.slow) for n in MODELS if n != "rbm")]
)
def test_pulls_have_mean_0_and_unit_variance(name):
    """120 runs of 4 chains: mean and sd scatter by 0.09 and 0.065, so 3.3 and 4.6 sigma."""
    model, beta, rows = MODELS[name]
    path = path_of(model(), beta, np.linspace(0.0, 1.0, rows))
    runs, draws = 120, 128 if name == "rbm" else 300
    whole = record(path, NUMBA, 1, chains=4 * runs, sweeps=draws, discard=100)
    exact, pulls = exact_log_z(path), {}
    for r in range(runs):
        found = estimated(path, whole.take(slice(4 * r, 4 * r + 4)))
        for method, each in found.items():
            error = influence_error(each.influence)[1:]
            pulls.setdefault(method, []).append((path.base_log_z + each.log_z - exact)[1:] / error)
    assert set(pulls) == set(METHODS)
    for method, each in pulls.items():
        mean, spread = np.mean(each, axis=0), np.std(each, axis=0)
        assert np.abs(mean).max() <= 0.3, (method, mean)
        assert 0.7 <= spread.min() and spread.max() <= 1.4, (method, spread)


@cache
def good_run():
    path = path_of(loaded("sk"), 1.5, np.linspace(0.0, 1.0, 7))
    return path, record(path, NUMBA, 2, chains=4, sweeps=1500, discard=200)


def test_sound_runs_are_trusted():
    """One in a hundred has a suspect row (2 of 200 measured): two of ten in 0.4 % of all trials."""
    path, _ = good_run()
    whole = record(path, NUMBA, 8, chains=40, sweeps=1000, discard=200)
    verdicts = [
        max(each.verdict for each in from_rows(path, whole.take(slice(r, r + 4)), ["bar"])["bar"])
        for r in range(0, 40, 4)
    ]
    assert sum(verdicts) <= Verdict.SUSPECT


def test_estimates_are_within_their_errors():
    """4 methods, 6 rows: |z| <= 4.5."""
    path, run = good_run()
    exact = exact_log_z(path)
    for method, rows in from_rows(path, run).items():
        assert rows[0].log_z == path.base_log_z == pytest.approx(exact[0])
        assert rows[0].stderr == 0.0
        for k, each in enumerate(rows):
            assert each.method == method
            assert each.verdict < Verdict.FAILED and bool(each.verdict) == bool(each.reason)
            assert abs(each.log_z - exact[k]) <= 4.5 * each.stderr + 1e-9
            assert each.low <= each.log_z <= each.high
            assert each.diagnostics["overlap"] > 0.3
    one = from_rows(path, run, ["bar"])
    assert list(one) == ["bar"]
    with pytest.raises(ValueError, match="expected some of"):
        from_rows(path, run, ["guess"])


def test_mbar_stores_its_overlap_and_reads_every_draw(monkeypatch):
    """Pymbar alone solves the whole of a short run; of a long one a part, and Newton the rest."""
    path, run = good_run()
    monkeypatch.setattr("physebm.free_energy.multistate.PART", 2**20)
    whole = from_rows(path, run, ["mbar"])["mbar"][-1]
    assert whole.diagnostics["overlap_matrix"].shape == (path.rows, path.rows)
    assert 0.5 < whole.stderr / whole.diagnostics["stderr_pymbar"] < 1.5
    monkeypatch.setattr("physebm.free_energy.multistate.PART", 4_000)  # 80 draws of a row
    monkeypatch.setattr("physebm.free_energy.multistate.BLOCK", 50_000)
    part = from_rows(path, run, ["mbar"])["mbar"][-1]
    assert part.log_z == pytest.approx(whole.log_z, abs=1e-9)
    assert part.stderr == pytest.approx(whole.stderr, rel=1e-6)
    assert part.diagnostics["overlap_matrix"] == pytest.approx(whole.diagnostics["overlap_matrix"])
    assert part.diagnostics["stderr_pymbar"] == pytest.approx(
        whole.diagnostics["stderr_pymbar"], rel=0.1
    )


def test_energies_are_the_slope_of_log_z():
    """Six gaps: the worst below 4.5. Draws at another temperature than their row's fail at 5."""
    path, run = good_run()
    pull = [each.diagnostics["identity_pull"] for each in from_rows(path, run, ["bar"])["bar"]]
    assert pull[0] == 0.0 and 0.0 < pull[-1] < 4.5
    factors = path.coefficients.beta.copy()
    factors[4] += 0.05
    each = from_rows(path_of(loaded("sk"), 1.5, factors), run, ["bar"])["bar"]
    for k, row in enumerate(each):
        assert ("slope of log Z" in row.reason) == (k >= 4)
        assert row.verdict == Verdict.SUSPECT or k < 4


def test_row_0_is_drawn_independently():
    """Lag-1 autocorrelation of 6000 draws: 4 sigma; mean energy of independent spins: 4 sigma."""
    _, run = good_run()
    E = run.energies[0, ..., 0]
    d = E - E.mean()
    assert abs(np.mean(d[:, 1:] * d[:, :-1]) / np.mean(d**2)) < 4.0 / np.sqrt(d.size)
    assert abs(E.mean()) < 4.0 * E.std() / np.sqrt(d.size)


def test_a_run_is_addressed_by_seed_and_name():
    path, run = good_run()
    again = record(path, NUMBA, 2, chains=4, sweeps=50, discard=200)
    assert np.array_equal(again.energies, run.energies[:, :, :50])
    for seed, name in ((3, ()), (2, ("other",))):
        other = record(path, NUMBA, seed, name, chains=4, sweeps=50, discard=200)
        assert not np.array_equal(other.energies, again.energies)
    sparse = record(path, NUMBA, 2, chains=4, sweeps=50, discard=200, every=5)
    # row 0 and the top row alike: every fifth sweep of the same run
    assert np.array_equal(sparse.energies, again.energies[:, :, 4::5])


@pytest.mark.parametrize(
    "name", ["bernoulli x gaussian", "gaussian x bernoulli", "potts x ising", "p-spin", "gaussian"]
)
def test_every_kind_of_unit(name):
    """4 methods: |z| <= 4."""
    path = path_of(family(name), 1.0, np.linspace(0.0, 1.0, 5), seed=1)
    exact = exact_log_z(path)[-1]
    for rows in tempered(path, NUMBA, 3, chains=4, sweeps=600, discard=100).values():
        assert abs(rows[-1].log_z - exact) <= 4.0 * rows[-1].stderr
        assert rows[-1].verdict == Verdict.TRUSTED, rows[-1].reason


def test_a_path_from_fields():
    model = loaded("sk")
    fields = {"s": np.random.default_rng(0).normal(size=(model.hamiltonian.group("s").size, 1))}
    row = model.coefficients([0.8])
    path = data_path(model.hamiltonian, model.params(0), row, np.linspace(0, 1, 7), fields)
    for rows in tempered(path, NUMBA, 1, chains=4, sweeps=800, discard=100).values():
        assert abs(rows[-1].log_z - exact_log_z(path)[-1]) <= 4.0 * rows[-1].stderr


def test_a_frustrated_triangle_in_the_cold_has_the_entropy_of_six_states():
    beta = 30.0
    model = declared(
        '[units]\ns = { prior = "ising", shape = 3 }\n[[terms]]\ncouple = ["s", "s"]\nJ = -1.0'
    )
    coarse = path_of(model, beta, np.linspace(0.0, 1.0, 9) ** 3)
    path = equalised(coarse, NUMBA, 1, acceptance=0.9)
    assert path.rows >= coarse.rows
    for method, rows in tempered(path, NUMBA, 1, chains=4, sweeps=2000, discard=100).items():
        each = rows[-1]
        if method == "integration":  # the steps of the energy lie in the first fiftieth of the path
            assert each.verdict == Verdict.TRUSTED or "discretisation" in each.reason
            continue
        assert each.verdict == Verdict.TRUSTED, each.reason
        assert abs(each.log_z - beta - np.log(6.0)) <= 4.0 * each.stderr


def test_equalised_rows_have_equal_acceptances():
    path = path_of(loaded("sk"), 3.0, np.linspace(0.0, 1.0, 4))
    even = equalised(path, NUMBA, 5, chains=8, sweeps=2000, acceptance=0.8)
    factors = even.coefficients.beta
    assert factors[0] == 0.0 and factors[-1] == 1.0 and np.all(np.diff(factors) > 0.0)
    assert even.coefficients.value[-1] == pytest.approx(path.coefficients.value[-1])
    found = record(even, NUMBA, 6, chains=8, sweeps=1000, discard=200).acceptance
    assert found.min() > 0.74
    assert np.ptp(found) < 0.1
    before = record(path, NUMBA, 6, chains=8, sweeps=1000, discard=200).acceptance
    assert np.ptp(before) > 0.2


def test_rows_are_placed_on_straight_lines():
    path = path_of(loaded("sk"), 2.0, [0.0, 0.5, 1.0])
    direct = path_of(loaded("sk"), 2.0, [0.0, 0.25, 0.9, 1.0])
    assert placed(path, np.array([0.0, 0.25, 0.9, 1.0])).coefficients.value == pytest.approx(
        direct.coefficients.value
    )


def test_given_starts_reach_the_cold_chains():
    model = declared(COMPLETE.format(prior='prior = "ising"', J="3 / N"))
    path = path_of(model, 1.0, [0.0, 0.9, 1.0])
    down = {"s": -np.ones((1, 24), dtype=np.int8)}
    run = record(path, NUMBA, 1, chains=4, sweeps=1, discard=0, starts=down)
    E = path.potentials(run.energies[-1])[:, 0, -1]
    ground = -3.0 * 23 / 2
    assert np.all(E[run.cold] < 0.8 * ground) and np.all(E[~run.cold] > E[run.cold].max())


def test_an_energy_that_is_not_finite_is_named():
    path, run = good_run()
    energies = run.energies.copy()
    energies[3, 1, 7, 0] = np.inf
    with pytest.raises(StudyError, match=r"row 3 \(factor 0.5\), chain 1, draw 7"):
        from_rows(path, TemperedRun(energies, run.cold))


# ---- cases that look well and are not ----------------------------------------------------------

HOT_POTTS = 2.0 * 9.0 / 8.0 * np.log(9.0)  # coexistence at q = 10 for large N


def potts_log_z(beta, N=60, q=10):
    """Complete graph: a sum over the occupation numbers, one state after another."""
    n = np.arange(N + 1)
    one = beta * n * (n - 1) / (2 * N) - gammaln(n + 1)
    total = np.where(n == 0, 0.0, -np.inf)
    for _ in range(q):
        total = np.array([logsumexp(total[: m + 1] + one[m::-1]) for m in n])
    return total[N] + gammaln(N + 1)


def potts():
    text = COMPLETE.replace("24", "60").format(prior='prior = "potts", q = 10', J="1 / N")
    return declared(text)


def magnet():
    text = COMPLETE.format(prior='prior = "ising"', J="1 / N")
    return declared(text + '[[terms]]\nfield = "s"\nh = 0.05\n')


LINE = np.linspace(0.0, 1.0, 8)
TRAPS = {
    "two rows": (lambda: declared(LATTICE), 0.6, [0.0, 1.0], 4, 1000, 200),
    "three rows": (lambda: declared(LATTICE), 1.0, [0.0, 0.5, 1.0], 4, 1000, 200),
    "first order, two short chains": (potts, 1.1 * HOT_POTTS, LINE, 2, 300, 100),
    "first order, four short chains": (potts, 1.1 * HOT_POTTS, LINE, 4, 300, 100),
    "first order, a gap at the jump": (potts, 1.1 * HOT_POTTS, [0, 0.8, 0.9, 1], 4, 300, 100),
    "coexistence": (potts, HOT_POTTS, LINE, 4, 300, 100),
    "hottest coupled row still cold": (magnet, 3.0, [0, 0.6, 0.7, 0.8, 0.9, 1], 4, 1000, 200),
    "a few sweeps": (lambda: loaded("sk"), 2.0, LINE, 4, 40, 0),
    "nothing discarded": (potts, 1.05 * HOT_POTTS, np.linspace(0, 1, 20), 4, 100, 0),
}


@pytest.mark.parametrize("name", TRAPS)
def test_traps_are_never_trusted(name):
    """Three runs each, all methods."""
    model, beta, factors, chains, sweeps, discard = TRAPS[name]
    path = path_of(model(), beta, factors)
    whole = record(path, NUMBA, 4, chains=3 * chains, sweeps=sweeps, discard=discard)
    for r in range(3):
        run = whole.take(slice(chains * r, chains * r + chains))
        for method, rows in from_rows(path, run).items():
            assert rows[-1].verdict > Verdict.TRUSTED, (method, rows[-1])
            assert rows[-1].reason


def test_a_trap_is_wrong_by_far_more_than_its_error():
    """What the verdict is for: the error of a run that missed a phase is small."""
    model, beta, factors, chains, sweeps, discard = TRAPS["first order, two short chains"]
    path = path_of(model(), beta, factors)
    whole = record(path, NUMBA, 4, chains=6 * chains, sweeps=sweeps, discard=discard)
    exact = potts_log_z(beta)
    pulls = []
    for r in range(6):
        found = estimated(path, whole.take(slice(chains * r, chains * r + chains)))["bar"]
        error = influence_error(found.influence)[-1]
        pulls.append((path.base_log_z + found.log_z[-1] - exact) / error)
    assert np.abs(pulls).max() > 5.0


def test_few_chains_are_not_enough_and_few_round_trips_neither():
    path, run = good_run()
    two = from_rows(path, run.take(slice(0, 2)), ["bar"])["bar"][-1]
    assert two.verdict == Verdict.SUSPECT and "2 chains" in two.reason
    stuck = TemperedRun(run.energies, run.cold, trips=np.array([20, 20, 0, 20]))
    each = from_rows(path, stuck, ["bar"])["bar"][-1]
    assert each.verdict == Verdict.SUSPECT and "60 round trips" in each.reason
    recorded = TemperedRun(run.energies, np.zeros(4, dtype=bool))
    assert from_rows(path, recorded, ["bar"])["bar"][-1].verdict == Verdict.TRUSTED


def test_too_few_discarded_sweeps_show_nothing_of_the_starts():
    path, run = good_run()
    for discarded, verdict in ((0, Verdict.SUSPECT), (3, Verdict.SUSPECT), (4, Verdict.TRUSTED)):
        short = replace(run, early=run.early[:, -discarded:] if discarded else run.early[:, :0])
        each = from_rows(path, short, ["bar"])["bar"][-1]
        assert each.verdict == verdict
        assert ("sweeps discarded" in each.reason) is (discarded < 4)

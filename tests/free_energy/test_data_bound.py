"""A phase that only the data know of: one memorised sample, which no chain finds.

The trap is a machine of one hidden unit that fires at one visible configuration xi alone:
``-u(v) = log(1 + exp(K (m(v) - (N - 1))))``, m the number of units that agree with xi.
"""

import itertools

import numpy as np
import pytest
from scipy.special import logsumexp

import physebm
from physebm.backends.select import select
from physebm.free_energy.annealed import annealed
from physebm.free_energy.data_bound import bounds_from_data, likelihoods_held
from physebm.free_energy.data_starts import data_starts
from physebm.free_energy.estimate import Estimate, Verdict
from physebm.free_energy.path import scaled_path
from physebm.free_energy.population import population_annealing
from physebm.free_energy.tempered_run import record
from physebm.model.conditionals import Conditionals

NUMBA = select("numba")
N = 16
K = N * np.log(2.0) + 4.0
XI = np.random.default_rng(1).integers(0, 2, N)
COPIES = np.tile(XI, (50, 1))
MIXED = np.concatenate([COPIES, np.random.default_rng(2).integers(0, 2, (450, N))])
GOLF = """
[golf.units]
v = { prior = "bernoulli", shape = 16, visible = true }
h = { prior = "bernoulli", shape = 1 }
[golf.arrays]
W = { file = "FOLDER/W.npy" }
a = { file = "FOLDER/a.npy" }
b = { file = "FOLDER/b.npy" }
[[golf.terms]]
couple = ["v", "h"]
J = "W"
[[golf.terms]]
field = "v"
h = "a"
[[golf.terms]]
field = "h"
h = "b"
"""
ANNEALING = {"chains": 100, "temperatures": 50}
BUDGETS = {
    "mbar": {"ladder": {"chains": 4, "sweeps": 600, "discard": 100}},
    "ais": {"annealing": ANNEALING | {"base": "uniform"}},
    "ais from data": {"annealing": ANNEALING | {"base": "data"}},
    "population-annealing": {"population": {"size": 50, "runs": 4}},
}


@pytest.fixture(scope="module")
def golf(tmp_path_factory):
    folder = tmp_path_factory.mktemp("golf")
    np.save(folder / "W.npy", (K * (2.0 * XI - 1.0))[:, None])
    np.save(folder / "a.npy", np.zeros(N))  # so that the structure is that of other machines
    np.save(folder / "b.npy", np.array([K * (N - XI.sum()) - K * (N - 1)]))
    (folder / "golf.toml").write_text(GOLF.replace("FOLDER", str(folder)))
    return physebm.load_model("golf", models=str(folder / "golf.toml"))


def agreeing(v):
    """-u(v) by the formula above."""
    return np.logaddexp(0.0, K * ((v == XI).sum(axis=1) - (N - 1.0)))


def test_the_bound_counts_distinct_samples_once_and_is_met_by_all_of_them(golf):
    v = np.array(list(itertools.product([0, 1], repeat=N)))
    u = -agreeing(v)
    truth = logsumexp(-u)
    hamiltonian = golf.hamiltonian
    parts = [{"v": v[:100]}, {"v": np.concatenate([v[50:], v[:3]])}]
    potentials = [u[None, :100], np.concatenate([u[50:], u[:3]])[None]]
    bound = bounds_from_data(hamiltonian, parts, potentials)
    assert bound == pytest.approx([truth], abs=1e-10)
    many = bounds_from_data(hamiltonian, [{"v": COPIES}], [-agreeing(COPIES)[None]])
    assert many == pytest.approx([np.logaddexp(0.0, K)], abs=1e-10) and many[0] < truth


@pytest.mark.parametrize("budget", BUDGETS)
def test_no_method_is_trusted_below_the_bound_of_the_data(golf, budget):
    method, data = budget.removesuffix(" from data"), {"test": COPIES, "train": MIXED}
    ds = physebm.free_energies(golf, ["exact", method], data=data, **BUDGETS[budget])
    truth, found = (ds.sel(estimator=name).isel(temperature=0) for name in ("exact", method))
    assert int(truth["verdict"]) == Verdict.TRUSTED and float(truth["log_likelihood_test"]) < 0.0
    assert float(found["log_z"]) < K - 0.5, "the hole was found: no trap"
    assert int(found["verdict"]) == Verdict.FAILED
    assert "a rigorous lower bound" in str(found["verdict_message"].item())
    assert float(found["log_z_low"]) > K - 1e-3 and np.isnan(float(found["log_z_high"]))


def test_samples_elsewhere_say_nothing_and_the_bracket_of_mean_field_begins_at_the_data(golf):
    away = 1 - COPIES
    ds = physebm.free_energies(golf, "ais", data=away, **BUDGETS["ais"])
    assert int(ds["verdict"].item()) != Verdict.FAILED
    ds = physebm.free_energies(golf, "mean-field", data=COPIES)
    assert ds["log_z_low"].item() == pytest.approx(np.logaddexp(0.0, K), abs=1e-9)


@pytest.mark.parametrize("method", ["ais", "population-annealing"])
def test_walks_back_from_data_show_the_phase(golf, method):
    row, params = golf.coefficients([1.0]), golf.params()
    path = scaled_path(golf.hamiltonian, params, row, np.linspace(0.0, 1.0, 40))
    parts = [({"v": COPIES}, np.full(50, 1.0 / 50))]
    data = data_starts(golf.hamiltonian, params, row.value[0], parts, (1, 2), 64)
    run = {
        "ais": lambda **given: annealed(path, NUMBA, 3, chains=200, **given),
        "population-annealing": lambda **given: population_annealing(
            path, NUMBA, 3, population=50, runs=4, **given
        ),
    }[method]
    without, found = run(), run(data=data)
    assert without.log_z < K - 3.0 and "excess_data" not in without.diagnostics
    assert found.diagnostics["excess_data"] > 3.0 and found.verdict == Verdict.SUSPECT
    assert "from data starts" in found.reason and found.high > K
    # what the run itself drew is as it was
    assert (found.log_z, found.stderr) == (without.log_z, without.stderr)


def test_half_of_the_cold_chains_of_a_ladder_start_from_data(golf):
    row, params = golf.coefficients([1.0]), golf.params()
    path = scaled_path(golf.hamiltonian, params, row, np.linspace(0.0, 1.0, 5))
    parts = [({"v": COPIES}, np.full(50, 1.0 / 50))]
    starts = data_starts(golf.hamiltonian, params, row.value[0], parts, (1, 2), 64)
    run = record(path, NUMBA, 1, chains=8, sweeps=20, discard=0, starts=starts)
    deep = path.potentials(run.energies[-1])[:, :, -1].min(axis=1) < -0.9 * K
    assert deep.tolist() == [False, True, False, False, False, True, False, False]


def test_starts_follow_the_weights_of_samples_and_the_conditional_of_hidden_units():
    model = physebm.load_model("rbm", Nv=6, Nh=3, sigma=1.5)
    row, params = model.coefficients([1.0]), model.params(2)
    v = np.array([[0, 1, 1, 0, 1, 0], [1, 1, 0, 0, 0, 1]])
    parts = [({"v": v}, np.array([0.8, 0.2])), ({"v": v[:1]}, np.ones(1))]
    x = data_starts(model.hamiltonian, params, row.value[0], parts, (5, 6), 4000)
    first = (x["v"] == v[0]).all(axis=1)
    assert ((x["v"] == v[0]).all(axis=1) | (x["v"] == v[1]).all(axis=1)).all()
    # points on a circle are even to some log(n) / n
    assert first.mean() == pytest.approx(0.9, abs=0.01)
    conditionals = Conditionals(model.hamiltonian, row.value[0], params)
    for held, here in ((v[:1], first), (v[1:], ~first)):
        theta = conditionals.field("h", conditionals.states({"v": held}))
        p = conditionals.moments("h", theta).first[0]
        z = (x["h"][here].mean(axis=0) - p) / np.sqrt(p * (1.0 - p) / here.sum())
        # 6 numbers in all
        assert np.abs(z).max() < 4.5, z


def test_a_likelihood_above_0_has_failed_beyond_its_error():
    good, noisy = Estimate("bar", 5.0, 0.1, 4.8, 5.2), Estimate("bar", 4.0, 0.3, 3.0, 5.0)
    bad, none = Estimate("bar", 4.0, 0.2, 3.0, 5.0), Estimate("tap", 4.9, float("nan"))
    u = {"train": np.full(4, -4.0), "test": np.full(4, -5.0)}
    held = likelihoods_held([good, noisy, bad, none], u)
    verdicts = [each.verdict for each in held]
    assert verdicts == [Verdict.TRUSTED, Verdict.TRUSTED, Verdict.FAILED, Verdict.FAILED]
    assert held[0] == good and np.isnan(held[2].high)
    assert "log-likelihood of the test data would be 1 nats" in held[2].reason
    assert "at most 1" in held[2].reason

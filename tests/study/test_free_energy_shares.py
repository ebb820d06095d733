"""The progress of free energies counts work: shares of methods, and how far a method is."""

import numpy as np
import pytest

from physebm.schema.free_energy_declarations import (
    AnnealingDeclaration,
    FreeEnergyDeclaration,
    LadderDeclaration,
    PopulationDeclaration,
)
from physebm.study import free_energy_costs as costs
from physebm.study.estimate_exact import exact_cost
from physebm.study.free_energy import estimated
from physebm.study.free_energy_shares import share_of, work_of
from physebm.study.free_energy_subject import Subject
from physebm.study.jobs_progress import progress_of
from physebm.study.models import load_model
from physebm.study.opened import open_study

METHODS = ("mean-field", "bar", "exact", "mbar", "ais", "population-annealing")


def work(methods=METHODS, N=12, temperatures=2, **tables):
    asked = FreeEnergyDeclaration(method=methods, **tables)
    return work_of(asked, load_model("sk", N=N).hamiltonian, temperatures, False)


def test_shares_are_those_of_what_is_counted():
    found, asked = work(), FreeEnergyDeclaration(method=METHODS)
    assert tuple(found) == METHODS
    assert found["exact"] == 2 * costs.EXACT_SUMS * 2**12
    assert found["ais"] == 12 * 2 * costs.annealing_sweeps(asked.annealing)
    assert share_of(found, set(METHODS)) == 1.0 and share_of(found, set()) == 0.0
    assert share_of(found, {"ais"}) == pytest.approx(found["ais"] / sum(found.values()))


def test_a_tempered_run_counts_once():
    found = work()
    assert found["mbar"] == 1.0 and found["bar"] > 1e6
    alone = work(methods=("mbar",))
    assert alone["mbar"] == found["bar"]


def test_work_grows_with_what_is_asked_for():
    longer = LadderDeclaration(sweeps=40_000)
    assert work(ladder=longer)["bar"] / work()["bar"] > 3.0
    assert work(N=13)["exact"] == 2 * work(N=12)["exact"]
    assert work(temperatures=4)["ais"] == 2 * work(temperatures=2)["ais"]
    twice = work(methods=("bar",), N=48)["bar"] / work(methods=("bar",), N=12)["bar"]
    # four times the units, and twice as many rows
    assert 6.0 < twice < 8.0


@pytest.mark.parametrize(
    "name, sizes",
    [("sk", {"N": 10}), ("rbm", {"Nv": 64, "Nh": 9, "sigma": 0.1}), ("ising_2d", {"L": 8, "h": 0.0})],
)
def test_states_are_those_of_the_estimate(name, sizes):
    model = load_model(name, **sizes)
    cost = exact_cost(model.hamiltonian, model.params(0, 0), model.coefficients([1.0]))
    assert costs.exact_states(model.hamiltonian) == cost.states


def test_a_job_tells_how_far_it_is_by_its_work(tmp_path):
    loaded, told = load_model("sk", N=8), []
    subject = Subject(loaded, loaded.params(3, 0), (2.0, 1.0), 3, ("told",))
    asked = FreeEnergyDeclaration(
        method=("exact", "bar", "mean-field", "mbar", "ais", "population-annealing"),
        ladder=LadderDeclaration(chains=4, sweeps=320, discard=40),
        annealing=AnnealingDeclaration(chains=50, temperatures=60),
        population=PopulationDeclaration(size=100, runs=2),
    )
    estimated(asked, subject, "numba", tmp_path, "d", lambda part, note: told.append((part, note)))
    fractions = np.array([fraction for fraction, _ in told])
    shares = work_of(asked, loaded.hamiltonian, 2, False)
    assert (np.diff(fractions) > -1e-12).all() and fractions[-1] == pytest.approx(1.0)
    for number, method in enumerate(asked.method):
        own = [fraction for fraction, note in told if f" {method} (" in note]
        if method == "mbar":  # it is there when bar is
            assert not own
            continue
        done = set(asked.method[:number]) | ({"mbar"} if number > 1 else set())
        assert own[0] == pytest.approx(share_of(shares, done))
        if method in ("bar", "ais", "population-annealing"):
            end = share_of(shares, done | {method})
            assert own[-1] == pytest.approx(end)
        if method in ("bar", "ais"):
            assert len(own) > 50 and np.diff(own).max() < 0.05 * (end - own[0])


def test_jobs_of_larger_models_count_more(tmp_path):
    (tmp_path / "s.toml").write_text(
        'model = "sk"\n[scan]\nN = [8, 12]\n[free_energy]\nmethod = "exact"\n'
    )
    opened = open_study(tmp_path / "s.toml", out=tmp_path / "r.nc")
    small = opened.work / opened.grid.free_energies[0].name
    small.mkdir(parents=True)
    (small / "result.npz").touch()
    assert progress_of(opened, False) == (pytest.approx(1 / 17), 1, 2)

"""What [free_energy] will cost: counts against the sweeps that the kernels really make."""

from pathlib import Path

import numpy as np
import pytest
from counted_sweeps import Counting

from physebm.schema.free_energy_declarations import (
    AnnealingDeclaration,
    FreeEnergyDeclaration,
    LadderDeclaration,
    PopulationDeclaration,
)
from physebm.study import free_energy_costs as costs
from physebm.study import free_energy_methods
from physebm.study.estimate import estimate_study
from physebm.study.estimate_exact import exact_cost
from physebm.study.estimate_free_energy import runs_of
from physebm.study.free_energy_data import Seen, seen
from physebm.study.free_energy_subject import Subject
from physebm.study.models import load_model
from physebm.study.opened import open_study
from physebm.study.training_data import TrainingData

MODELS = Path(__file__).parents[2] / "models.toml"
STUDY = f"""
title = "estimate"
model = "sk"
models = "{MODELS}"
[set]
N = 12
[scan]
disorder = 3
temperature = [0.5, 1.0]
[free_energy]
method = ["bar", "exact", "ais", "mbar", "population-annealing", "tap"]
ladder = {{ chains = 4, sweeps = 640, discard = 30 }}
annealing = {{ chains = 31, temperatures = 20, sweeps = 2 }}
population = {{ size = 50, runs = 3 }}
"""


def made(method, temperatures, **tables):
    """Sweeps of single chains that a method makes, and its estimates, hottest first."""
    loaded = load_model("sk", N=8)
    subject = Subject(loaded, loaded.params(3, 0), temperatures, 3, ("counted",))
    counting = Counting()
    asked = FreeEnergyDeclaration(method=(method,), **tables)
    estimates = free_energy_methods.run(method, asked, subject, counting, Seen())[method][0]
    return counting.sweeps, estimates


@pytest.mark.parametrize(
    "chains, temperatures, sweeps", [(31, 20, 2), (2, 60, 1), (9, 2, 3), (400, 120, 1)]
)
def test_annealing_makes_the_sweeps_that_are_counted(chains, temperatures, sweeps):
    declared = AnnealingDeclaration(chains=chains, temperatures=temperatures, sweeps=sweeps)
    total, estimates = made("ais", (2.0, 0.5), annealing=declared)
    assert total == len(estimates) * costs.annealing_sweeps(declared)


@pytest.mark.parametrize("size, runs, sweeps", [(50, 3, 5), (300, 5, 1), (5, 2, 2)])
def test_a_population_makes_the_sweeps_that_are_counted(size, runs, sweeps):
    declared = PopulationDeclaration(size=size, runs=runs, sweeps=sweeps)
    total, estimates = made("population-annealing", (2.0, 0.5), population=declared)
    rows = [each.diagnostics["rows"] for each in estimates]
    assert rows[1] > rows[0] > 1
    assert total == sum(costs.population_sweeps(declared, each) for each in rows)


def test_a_ladder_makes_the_sweeps_that_are_counted():
    """So hot that no row is added to the two of one temperature."""
    declared = LadderDeclaration(chains=3, sweeps=333, discard=10, every=5)
    total, _ = made("bar", (1e4,), ladder=declared)
    assert total == costs.ladder_sweeps(declared, temperatures=1, rows=2)


def test_rows_of_a_population_at_hotter_temperatures():
    factors = np.array([0.0, 0.2, 0.5, 0.8, 1.0])
    rows = [costs.rows_up_to(factors, share) for share in (0.1, 0.2, 0.3, 0.8, 0.81, 1.0)]
    assert rows == [2, 2, 3, 4, 5, 5]


def test_a_tempered_run_that_serves_several_methods_is_one_line():
    asked = FreeEnergyDeclaration(method=("tap", "bar", "exact", "mbar"))
    assert runs_of(asked) == [("tap",), ("bar", "mbar"), ("exact",)]


def test_a_study_is_estimated_without_being_run(tmp_path):
    path = tmp_path / "s.toml"
    path.write_text(STUDY, encoding="utf-8")
    opened = open_study(path, out=tmp_path / "r.nc")
    rows = {row.task.removeprefix("free energies: "): row for row in estimate_study(opened)}
    assert list(rows) == ["bar, mbar", "exact", "ais", "population-annealing", "tap"]
    assert list(tmp_path.iterdir()) == [path]
    assert all(row.points == 6 and row.seconds > 0.0 and row.nbytes > 0 for row in rows.values())
    asked = opened.study.free_energy
    sweeps = 3 * 2 * costs.annealing_sweeps(asked.annealing)
    assert rows["ais"].unit_updates == rows["ais"].random_words == 12 * sweeps
    assert rows["ais"].lanes == 31 and rows["population-annealing"].lanes == 150
    # three realisations, two temperatures, log Z and four neighbours of its derivative
    assert rows["exact"].states == 3 * 2 * 5 * 2**12 and rows["exact"].unit_updates == 0
    assert rows["tap"].unit_updates == rows["tap"].states == 0
    # the ladder has three rows at least, each of 4 chains, and row 0 apart
    ladder = rows["bar, mbar"]
    every_row = 3 * 12 * costs.ladder_sweeps(asked.ladder, temperatures=2, rows=ladder.lanes // 4 - 1)
    assert ladder.lanes >= 16 and ladder.unit_updates == every_row


@pytest.mark.parametrize(
    "name, sizes, states",
    [
        ("sk", {"N": 20}, 2.0**20),  # summed in part
        ("rbm", {"Nv": 64, "Nh": 19, "sigma": 0.1}, 2.0**19),  # the smaller side
        ("rbm_truncated_gaussian_hidden", {"Nv": 8, "Nh": 3}, 2.0**8),
        ("p_spin", {"N": 10}, 2.0**10),
        ("rbm_gaussian_visible", {"Nv": 5, "Nh": 6}, 2.0**6),
    ],
)
def test_states_of_exact_sums(name, sizes, states):
    model = load_model(name, **sizes)
    cost = exact_cost(model.hamiltonian, model.params(0, 0), model.coefficients([1.0]))
    assert cost.states == states and cost.nbytes > 0 and cost.seconds > 0.0


def test_a_transfer_matrix_counts_its_multiplications():
    """Of a closed chain: as many for every spin."""
    counts = []
    for L in (64, 128):
        model = load_model("ising_chain", L=L)
        cost = exact_cost(model.hamiltonian, model.params(0, 0), model.coefficients([1.0]))
        counts.append(cost.states)
    assert 1.8 < counts[1] / counts[0] < 2.2


@pytest.mark.parametrize("method", ["ais", "population-annealing"])
def test_starts_at_data_are_counted(method):
    loaded = load_model("rbm", Nv=6, Nh=2, sigma=0.1)
    v = np.random.default_rng(0).integers(0, 2, (20, 6)).astype(np.int8)
    data = TrainingData({"train": ({"v": v}, np.full(20, 0.05))}, (6,), {}, 20.0)
    subject = Subject(loaded, loaded.params(3, 0), (1.0,), 3, ("counted",), data)
    counting = Counting()
    annealing = AnnealingDeclaration(chains=31, temperatures=20, sweeps=2, base="uniform")
    population = PopulationDeclaration(size=50, runs=3, sweeps=2)
    table = {"annealing": annealing} if method == "ais" else {"population": population}
    asked = FreeEnergyDeclaration(method=(method,), **table)
    (estimate,) = free_energy_methods.run(method, asked, subject, counting, seen(subject))[method][0]
    if method == "ais":
        assert counting.sweeps == costs.annealing_sweeps(annealing, data=True)
    else:
        rows = estimate.diagnostics["rows"]
        assert counting.sweeps == costs.population_sweeps(population, rows, data=True)

"""Sampled models against independently computed values of given couplings (tests/reference).

Family rule per model: max |z| <= 4.5 over its numbers; and error bars must not buy the pass: each is at
most 1.5 times sqrt(c T^2 / N) sqrt(2 tau / sweeps) with the exact c and the measured tau.
"""

import json
from pathlib import Path

import numpy as np
import pytest

import physebm

REFERENCE = Path(__file__).parents[1] / "reference"


def data(name):
    return json.loads((REFERENCE / f"{name}.json").read_text())["data"]


def model_of(folder, text, **arrays):
    """A model whose arrays are files."""
    for name, values in arrays.items():
        np.save(folder / f"{name}.npy", np.asarray(values))
    path = folder / "models.toml"
    path.write_text(text)
    return physebm.load_model("given", models=path)


def assert_energies(model, rows, units, *, tempering=None, shift=0.0, sweeps=6000):
    """Energy and specific heat at the betas of some rows ``{beta, e, c}``."""
    rows = sorted(rows, key=lambda row: -row["beta"])
    beta = np.array([row["beta"] for row in rows])
    result = physebm.sample(
        model, [float(t) for t in 1 / beta], record=["energy", "specific_heat"],
        chains=4, sweeps=sweeps, every=4, seed=12, tempering=tempering,
    )  # fmt: skip
    e = np.array([row["e"] for row in rows]) + shift
    c = np.array([row["c"] for row in rows])
    z = np.concatenate(
        [
            (result.energy.values - e) / result.energy_stderr.values,
            (result.specific_heat.values - c) / result.specific_heat_stderr.values,
        ]
    )
    assert np.abs(z).max() <= 4.5, np.round(z, 1)
    bound = np.sqrt(c / (beta**2 * units) * 2 * result.energy_tau.values / (4 * sweeps))
    assert (result.energy_stderr.values <= 1.5 * bound).all()


DENSE = """
[given.units]
s = { prior = "ising", shape = %d }
[given.arrays]
J = { file = "J.npy" }
[[given.terms]]
couple = ["s", "s"]
J = "J"
"""


def test_a_given_sherrington_kirkpatrick_sample(tmp_path):
    case = data("spinglass")["sk_finite"][0]
    model = model_of(tmp_path, DENSE % case["N"], J=case["J"])
    assert_energies(model, case["thermo"], case["N"], tempering={"every": 4})


def test_a_given_p_spin_sample(tmp_path):
    case = data("spinglass")["pspin"][0]
    text = """
[given.units]
s = { prior = "ising", shape = %d }
[given.arrays]
J = { file = "J.npy" }
[[given.terms]]
couple = ["s", "s", "s"]
on = { edges = { file = "edges.npy" } }
J = "J"
"""
    model = model_of(tmp_path, text % case["N"], J=case["J"], edges=case["tuples"])
    assert_energies(model, case["thermo"], case["N"], tempering={"every": 4})


@pytest.mark.parametrize("which", [0, 1])
def test_given_edwards_anderson_samples(tmp_path, which):
    case = data("spinglass")["ea"][which]
    lattice = {2: "square", 3: "cubic"}[case["d"]]
    text = f"""
[given.units]
s = {{ prior = "ising", shape = {[case["L"]] * case["d"]} }}
[given.arrays]
J = {{ file = "J.npy" }}
[[given.terms]]
couple = ["s", "s"]
on = {{ lattice = "{lattice}" }}
J = "J"
"""
    J = np.array(case["J"])
    J = J.astype(np.int64) if np.isin(J, (-1, 1)).all() else J
    model = model_of(tmp_path, text, J=J)
    assert_energies(model, case["thermo"], case["L"] ** case["d"], tempering={"every": 4})


@pytest.mark.parametrize("which", [0, 1])
def test_given_hopfield_networks(tmp_path, which):
    case = data("hopfield_enum")["cases"][which]
    text = f"""
[given.units]
s = {{ prior = "ising", shape = {case["N"]} }}
[given.arrays]
xi = {{ file = "xi.npy" }}
[[given.terms]]
couple = ["s", "s"]
patterns = "xi"
scale = "1 / {case["N"]}"
"""
    model = model_of(tmp_path, text, xi=case["xi"])
    assert_energies(model, case["thermo"], case["N"], tempering={"every": 4})


def test_curie_weiss_at_finite_size():
    """The reference keeps the i = j term, -1/2 in all: e = e_reference + 1 / (2 N)."""
    rows = [row for row in data("curie_weiss")["finite_N"] if row["N"] == 64 and row["h"] == 0]
    model = physebm.load_model("curie_weiss", N=64)
    assert_energies(model, rows, 64, shift=1 / 128)

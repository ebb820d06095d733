"""[free_energy.reweight]: averages between the temperatures of a ladder, against enumeration."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from study_files import write

import physebm
from physebm import open_tree
from physebm.cli import main
from physebm.model.energy import term_energies
from physebm.observables.derived import DERIVED
from physebm.study.models import load_model

MODELS = Path(__file__).parents[2] / "models.toml"
OBSERVABLES = (
    "energy",
    "specific_heat",
    "magnetisation",
    "abs_magnetisation",
    "susceptibility",
    "binder",
)
TARGETS = np.array([0.6, 0.7, 0.85, 1.1, 1.5, 2.0, 5.0])
STUDY = f"""
models = "{MODELS}"
seed = 12
[scan]
disorder = 2
temperature = [0.6, 1.0, 2.0]
[free_energy]
method = ["bar", "exact"]
ladder = {{ chains = 8, sweeps = 1200, discard = 200, every = 3 }}
reweight = {{ temperature = {TARGETS.tolist()}, observables = {list(OBSERVABLES)} }}
""".replace("'", '"')
SK = 'model = "sk"\n' + STUDY + "[set]\nN = 10\nh = 0.1\n"
ISING = 'model = "ising_2d"\n' + STUDY + "[set]\nL = 3\nJ = 0.6\nh = 0.05\n"


def run(*words):
    done = CliRunner().invoke(main, [str(word) for word in words])
    return done.exit_code, done.output


def truth(model, params):
    """Exact values ``{name: [temperature]}`` from all states of one group of Ising spins."""
    (group,) = model.hamiltonian.groups
    n = group.size
    x = 2.0 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1) - 1.0
    E = term_energies(model.hamiltonian, params, {group.name: x})
    H = E @ model.coefficients([1.0]).value[0]
    m = x.mean(axis=1)
    found = {name: [] for name in (*OBSERVABLES, "log_z")}
    for T in TARGETS:
        log_z = np.logaddexp.reduce(-H / T)
        p = np.exp(-H / T - log_z)
        means = {"du_dbeta": H, "du_dbeta_squared": H**2, "d2u_dbeta2": 0 * H, "m": m}
        means |= {
            "abs_m": np.abs(m),
            "m2": m**2,
            "m4": m**4,
            "n_units": n + 0 * m,
            "beta": 1 / T + 0 * m,
        }
        means = {name: float(p @ values) for name, values in means.items()}
        found["log_z"].append(log_z)
        found["energy"].append(means["du_dbeta"] / n)
        found["magnetisation"].append(means["m"])
        found["abs_magnetisation"].append(means["abs_m"])
        for name in ("specific_heat", "susceptibility", "binder"):
            each = DERIVED[name]
            words = (*each.moments, *each.constants)
            found[name].append(float(each.formula(*(np.asarray(means[w]) for w in words))))
    return {name: np.array(values) for name, values in found.items()}


@pytest.mark.parametrize("text", [SK, ISING], ids=["sk", "ising"])
def test_every_observable_is_exact_within_its_error_on_and_between_the_rows(tmp_path, text):
    out = tmp_path / "r.nc"
    status, message = run("run", write(tmp_path, text), "--out", out)
    assert status == 0, message
    held = open_tree(out)["free_energies"].to_dataset()
    assert held["reweighted_energy"].dims == ("disorder", "reweighted_temperature")
    assert held["reweighted_temperature"].values == pytest.approx(TARGETS)
    name = "sk" if "sk" in text.splitlines()[0] else "ising_2d"
    settings = {"N": 10, "h": 0.1} if name == "sk" else {"L": 3, "J": 0.6, "h": 0.05}
    model = load_model(name, **settings)
    squares = []
    for d in (0, 1):
        exact = truth(model, model.params(12, d))
        here = held.isel(disorder=d)
        for quantity, values in exact.items():
            error = here[f"reweighted_{quantity}_stderr"].values
            z = (here[f"reweighted_{quantity}"].values - values) / error
            assert np.abs(z).max() <= 4.0, (quantity, z)
            assert (error < 0.2 * max(1.0, np.abs(values).max())).all() and (error > 0).all()
            squares.append(z**2)
    # 98 numbers, those of one observable much alike: about ten of them count
    assert 0.3 < np.mean(squares) < 2.2, np.mean(squares)
    assert (held["reweighted_effective_samples"] > 0.1 * 8 * 400).all()
    # where the study has an estimate of its own, that is what reweighting gives
    both = held["log_z"].sel(estimator="bar", temperature=[0.6, 2.0]).values
    again = held["reweighted_log_z"].sel(reweighted_temperature=[0.6, 2.0]).values
    assert np.abs(both - again).max() < 4.0 * held["log_z_stderr"].sel(estimator="bar").max()


@pytest.mark.parametrize(
    "table, words",
    [
        ("reweight = { temperature = [0.5] }", "0.6 or more"),
        ("reweight = { temperature = 0.0 }", "above zero"),
        ("reweight = { temperature = [] }", "at least one value"),
        ("reweight = { temperature = { linspace = [1.0] } }", "three numbers"),
        ('reweight = { temperature = 1.0, observables = ["enrgy"] }', "did you mean energy"),
        ('reweight = { temperature = 1.0, observables = ["energy", "energy"] }', "already"),
        ("reweight = { observables = [] }", "temperature"),
        ('method = "ais"\nreweight = { temperature = 1.0 }', "is read by mbar, bar"),
    ],
)
def test_what_cannot_be_reweighted_is_refused_before_anything_runs(tmp_path, table, words):
    text = SK[: SK.index("[free_energy]")] + f"[free_energy]\n{table}\n"
    status, message = run("run", write(tmp_path, text), "--out", tmp_path / "no.nc")
    assert status == 2 and "free_energy" in message and words in message, message
    assert not (tmp_path / "no.work").exists()


def test_temperatures_above_the_ladder_of_continuous_units_are_outside():
    model = load_model("hopfield_gaussian", N=8, alpha=0.2)
    asked = {"temperature": [1.0, 3.0], "observables": ["energy"]}
    with pytest.raises(physebm.PhysebmError, match=r"0\.8 to 2"):
        physebm.free_energies(model, "bar", [0.8, 2.0], reweight=asked)


def test_the_same_from_python_with_continuous_units_whose_prior_depends_on_temperature():
    model = load_model("hopfield_gaussian", N=8, alpha=0.2)
    T = [0.8, 1.1, 1.6]
    found = physebm.free_energies(
        model,
        "mbar",
        [0.8, 2.0],
        seed=4,
        ladder={"chains": 8, "sweeps": 1500, "discard": 200},
        reweight={"temperature": T, "observables": ["energy"]},
    )
    exact = physebm.free_energies(model, "exact", T, seed=4).isel(estimator=0)
    for name in ("log_z", "energy"):
        error = found[f"reweighted_{name}_stderr"].values
        z = (found[f"reweighted_{name}"].values - exact[name].values) / error
        assert np.abs(z).max() <= 4.0, (name, z)


def test_an_override_of_the_methods_leaves_out_what_no_method_reads(tmp_path):
    text = SK[: SK.index("[scan]")] + "[free_energy]\nreweight = { temperature = 2.0 }\n[set]\nN = 6\n"
    out = tmp_path / "r.nc"
    status, message = run(
        "run", write(tmp_path, text), "--out", out, "--set", 'free_energy.method="exact"'
    )
    assert status == 0, message
    assert "reweighted_energy" not in open_tree(out)["free_energies"]


def test_a_magnetisation_of_several_groups_of_potts_units_is_refused(tmp_path):
    text = """
[model]
[model.units]
a = { prior = "potts", q = 3, shape = 4 }
b = { prior = "potts", q = 3, shape = 4 }
[[model.terms]]
couple = ["a", "b"]
J = 0.3
[free_energy]
reweight = { temperature = 2.0, observables = ["energy", "binder"] }
"""
    status, message = run("run", write(tmp_path, text), "--out", tmp_path / "no.nc")
    assert status == 2 and "observables[1]" in message and "one group" in message, message

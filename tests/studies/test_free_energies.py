"""[free_energy] in a study, end to end: values against enumeration, groups of the result."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from study_files import write

from physebm import open_tree
from physebm.cli import main
from physebm.study.models import load_model
from physebm.theory.enumeration import enumerate_states

SK = """
model = "sk"
models = "MODELS"
seed = 3
[set]
N = 10
[scan]
disorder = 2
temperature = [0.6, 1.0, 2.0]
[free_energy]
method = ["mbar", "integration", "exact", "ais", "population-annealing", "mean-field", "tap", "bethe"]
ladder = { chains = 8, sweeps = 1500, discard = 200 }
annealing = { chains = 200, temperatures = 60 }
population = { size = 200, runs = 4 }
"""


def physebm(*words):
    done = CliRunner().invoke(main, [str(word) for word in words])
    return done.exit_code, done.output


SK = SK.replace("MODELS", str(Path(__file__).parents[2] / "models.toml"))
SAMPLED = ("mbar", "integration", "ais", "population-annealing")


@pytest.fixture(scope="module")
def sk(tmp_path_factory):
    path = tmp_path_factory.mktemp("sk")
    status, message = physebm("run", write(path, SK), "--out", path / "sk.nc")
    assert status == 0, message
    return path / "sk.nc"


@pytest.fixture(scope="module")
def exact():
    model = load_model("sk", N=10)
    rows = model.coefficients([0.6, 1.0, 2.0])
    return [enumerate_states(model.hamiltonian, model.params(3, d), rows) for d in (0, 1)]


def test_every_method_stands_beside_the_exact_value(sk, exact):
    held = open_tree(sk)["free_energies"].to_dataset()
    assert held["log_z"].dims == ("disorder", "temperature", "estimator")
    truth = np.array([each.log_z for each in exact])
    assert held["log_z"].sel(estimator="exact").values == pytest.approx(truth, abs=1e-9)
    assert (held["log_z_stderr"].sel(estimator="exact") == 0).all()
    for method in SAMPLED:
        here = held.sel(estimator=method)
        # 24 numbers in all: |z| <= 4.5
        z = (here["log_z"].values - truth) / here["log_z_stderr"].values
        assert np.abs(z).max() < 4.5, (method, z)
        assert here["log_z_stderr"].max() < 0.2
        assert (here["verdict"] <= 1).all()
    bound = held["log_z"].sel(estimator="mean-field").values
    assert (bound <= truth + 1e-9).all() and (held["verdict"].sel(estimator="mean-field") == 1).all()
    assert np.isnan(held["log_z_stderr"].sel(estimator="tap")).all()


def test_free_energy_and_entropy_follow_from_log_z(sk, exact):
    held = open_tree(sk)["free_energies"].to_dataset().sel(estimator="exact")
    T = np.array([0.6, 1.0, 2.0])
    for d, each in enumerate(exact):
        log_z = each.log_z
        here = held.isel(disorder=d)
        assert here["free_energy"].values == pytest.approx(-T * log_z / 10, abs=1e-10)
        identity = (log_z + here["energy"].values * 10 / T) / 10
        assert here["entropy"].values == pytest.approx(identity, abs=1e-10)
        assert here["energy"].values * 10 == pytest.approx(each.derivative, abs=1e-7)


def test_the_summary_holds_the_first_method(sk):
    tree = open_tree(sk)
    root, group = tree.to_dataset(), tree["free_energies"].to_dataset()
    for name in ("log_z", "log_z_stderr", "free_energy", "entropy"):
        assert root[name].values == pytest.approx(group[name].sel(estimator="mbar").values)
        assert root[name].attrs["method"] == "mbar"
    assert (root["status"] == 0).all() and root["free_energy_verdict"].dims == (
        "disorder",
        "temperature",
    )


def test_the_entropy_of_hot_spins_is_log_2(tmp_path):
    text = SK.replace("[0.6, 1.0, 2.0]", "[1e4]").replace("disorder = 2\n", "")
    text = text[: text.index("[free_energy]")] + '[free_energy]\nmethod = ["exact", "mbar"]\n'
    text += "ladder = { chains = 4, sweeps = 400, discard = 10 }\n"
    status, message = physebm("run", write(tmp_path, text), "--out", tmp_path / "hot.nc")
    assert status == 0, message
    held = open_tree(tmp_path / "hot.nc")["free_energies"].to_dataset()
    entropy = held["entropy"].values.ravel()
    assert entropy[0] == pytest.approx(np.log(2), abs=1e-6)
    assert entropy[1] == pytest.approx(np.log(2), abs=1e-5)


def test_the_entropy_is_minus_the_slope_of_the_free_energy(tmp_path):
    text = SK.replace("[0.6, 1.0, 2.0]", "[0.999, 1.0, 1.001]").replace("disorder = 2\n", "")
    text = text[: text.index("[free_energy]")] + '[free_energy]\nmethod = "exact"\n'
    status, message = physebm("run", write(tmp_path, text), "--out", tmp_path / "slope.nc")
    assert status == 0, message
    held = open_tree(tmp_path / "slope.nc").to_dataset()
    F, S = held["free_energy"].values, held["entropy"].values
    assert -(F[2] - F[0]) / 0.002 == pytest.approx(S[1], abs=1e-5)


def test_a_study_continues_with_the_methods_that_are_left(tmp_path, monkeypatch):
    """The second method fails once: the first is not run again, and the bits are those of one run."""
    from physebm.study import free_energy_methods

    text = SK[: SK.index("[free_energy]")].replace("disorder = 2\n", "")
    text += '[free_energy]\nmethod = ["bar", "ais"]\n'
    text += "ladder = { chains = 4, sweeps = 400, discard = 50 }\n"
    text += "annealing = { chains = 50, temperatures = 20 }\n"
    study, plain, broken = write(tmp_path, text), tmp_path / "plain.nc", tmp_path / "broken.nc"
    assert physebm("run", study, "--out", plain)[0] == 0
    run, asked = free_energy_methods.run, []

    def failing(method, *rest):
        asked.append(method)
        if asked == ["bar", "ais"]:
            raise RuntimeError("no more")
        return run(method, *rest)

    monkeypatch.setattr(free_energy_methods, "run", failing)
    assert physebm("run", study, "--out", broken)[0] == 1
    assert physebm("run", study, "--out", broken)[0] == 0
    assert asked == ["bar", "ais", "ais"]
    one, other = (open_tree(path)["free_energies"].to_dataset() for path in (plain, broken))
    for name in ("log_z", "log_z_stderr", "log_z_low", "log_z_high", "verdict"):
        assert one[name].values.tobytes() == other[name].values.tobytes()


@pytest.mark.parametrize(
    "model, method, words",
    [
        ("sk", "exact", "integration"),
        ("hopfield", "tap", "mean-field"),
        ("p_spin", "bethe", "mean-field"),
    ],
)
def test_methods_that_a_model_cannot_have_are_refused_before_anything_runs(
    tmp_path, model, method, words
):
    text = f'models = "{Path(__file__).parents[2] / "models.toml"}"\nmodel = "{model}"\n'
    text += f'[free_energy]\nmethod = "{method}"\n'
    status, message = physebm("run", write(tmp_path, text), "--out", tmp_path / "no.nc")
    assert status == 2 and "free_energy.method" in message and words in message, message
    assert not (tmp_path / "no.work").exists()


def test_the_same_from_python_and_of_a_trained_model():
    import physebm as package

    model = package.load_model("sk", N=10)
    found = package.free_energies(model, ["exact", "mean-field"], [2.0, 0.6], seed=3)
    truth = enumerate_states(model.hamiltonian, model.params(3, 0), model.coefficients([0.6, 2.0]))
    assert found["log_z"].sel(estimator="exact").values == pytest.approx(truth.log_z, abs=1e-9)
    assert list(found["temperature"].values) == [0.6, 2.0]
    rbm = package.load_model("rbm", Nv=6, Nh=3, sigma=0.1)
    data = np.random.default_rng(0).integers(0, 2, (100, 6))
    trained, _ = package.train(rbm, data, method="exact", updates=20, learning_rate=0.2)
    log_z = float(package.free_energies(trained, "exact")["log_z"].item())
    row = trained.loaded.coefficients([1.0])
    exact = enumerate_states(trained.hamiltonian, trained.params, row)
    assert log_z == pytest.approx(exact.log_z[0], abs=1e-9)
    with pytest.raises(package.PhysebmError, match="did you mean exact"):
        package.free_energies(rbm, "exat")
    with pytest.raises(package.PhysebmError, match="above 0"):
        package.free_energies(rbm, "exact", 0.0)


def test_a_training_that_recorded_its_likelihood_keeps_it_beside_free_energies(tmp_path):
    text = f"""
model = "rbm"
models = "{Path(__file__).parents[2] / "models.toml"}"
[set]
Nv = 64
Nh = 4
[train]
data = {{ source = "digits", binarise = 0.5, split = {{ test = 0.5 }} }}
updates = 5
chains = 20
record = {{ every = 5 }}
tau_sweeps = 0
[free_energy]
method = ["exact", "ais"]
annealing = {{ chains = 100, temperatures = 100 }}
"""
    status, message = physebm("run", write(tmp_path, text), "--out", tmp_path / "r.nc")
    assert status == 0 and "free energies (exact): trusted 1" in message, message
    tree = open_tree(tmp_path / "r.nc")
    root, group = tree.to_dataset(), tree["free_energies"].to_dataset()
    for part in ("train", "test"):
        name = f"log_likelihood_{part}"
        exact = float(group[name].sel(estimator="exact").item())
        assert float(root[name].item()) == pytest.approx(exact, abs=1e-4)
        ais, error = (float(group[n].sel(estimator="ais").item()) for n in (name, name + "_stderr"))
        assert abs(ais - exact) < 4.0 * error


@pytest.mark.parametrize(
    "words",
    [
        ("sk", "exact"),
        (None, None),
        (None, 3),
        (None, "exact", "abc"),
        (None, "exact", []),
        (None, "exact", [[1.0], [2.0]]),
        (None, "exact", 1.0, {"seed": -1}),
        (None, "exact", 1.0, {"disorder": "x"}),
    ],
)
def test_wrong_words_from_python_are_answered(words):
    import physebm as package

    model, *rest = words
    options = rest.pop() if rest and isinstance(rest[-1], dict) else {}
    model = package.load_model("sk", N=6) if model is None else model
    with pytest.raises(package.PhysebmError, match="free_energies: "):
        package.free_energies(model, *rest, **options)


def test_energies_and_entropies_are_right_within_their_errors(sk, exact):
    held = open_tree(sk)["free_energies"].to_dataset()
    T = np.array([0.6, 1.0, 2.0])
    assert (held["entropy_stderr"].sel(estimator="exact") == 0).all()
    for method in ("mbar", "ais", "population-annealing"):
        here = held.sel(estimator=method)
        for d, each in enumerate(exact):
            energy = each.derivative / 10
            entropy = (each.log_z + each.derivative / T) / 10
            for name, truth in (("energy", energy), ("entropy", entropy)):
                # 36 numbers; of 8 chains Student's t of 7 degrees of freedom, |t| <= 6.4: 4e-4 each
                z = (here[name].values[d] - truth) / here[f"{name}_stderr"].values[d]
                assert np.abs(z).max() < 6.4, (method, name, z)


def test_fixed_points_have_the_energy_and_entropy_of_their_functional(tmp_path):
    import physebm as package

    model = package.load_model("curie_weiss", N=60, h=0.2)
    T = np.array([0.8, 1.5])
    held = package.free_energies(model, ["mean-field", "tap"], T)
    for method in ("mean-field", "tap"):
        here = held.sel(estimator=method)
        f, e, s = (here[name].values for name in ("free_energy", "energy", "entropy"))
        assert f == pytest.approx(e - T * s, abs=1e-10)
        near = package.free_energies(model, method, np.concatenate([T - 1e-4, T + 1e-4]))
        below, above = near["free_energy"].values[[0, 2], 0], near["free_energy"].values[[1, 3], 0]
        assert -(above - below) / 2e-4 == pytest.approx(s, abs=1e-5)
    assert np.isnan(held["energy_stderr"]).all() and np.isnan(held["entropy_stderr"]).all()


def test_all_methods_that_a_model_cannot_have_are_refused_in_one_message(tmp_path):
    text = f'models = "{Path(__file__).parents[2] / "models.toml"}"\nmodel = "p_spin"\n'
    text += '[free_energy]\nmethod = ["tap", "mbar", "exact", "ais", "bethe"]\n'
    text += 'annealing = { base = "data" }\n'
    status, message = physebm("run", write(tmp_path, text), "--out", tmp_path / "no.nc")
    assert status == 2 and not (tmp_path / "no.work").exists()
    for words in (
        "method[0]",
        "method[2]",
        "method[4]",
        "annealing.base",
        "Onsager",
        "no graph of pairs",
    ):
        assert words in message, message
    # "mean-field" is an advice of this list, "tap" and "bethe" are no advice of any
    assert (
        "some of: mbar, bar, integration, stepping-stone, ais, population-annealing, mean-field\n"
        in message
    )
    advice = [line.split("hint")[1] for line in message.splitlines() if "hint" in line]
    assert len(advice) == 5 and not any(name in line for line in advice for name in ("tap", "bethe"))


@pytest.mark.parametrize(
    "scan",
    [
        '"free_energy.annealing.temperatures" = [10, 20]',
        "free_energy.annealing.temperatures = { linspace = [10, 20, 2] }",
        "free_energy = { annealing = { temperatures = [10, 20] } }",
    ],
)
def test_a_scanned_budget_is_answered_with_what_to_do_instead(tmp_path, scan):
    text = f'models = "{Path(__file__).parents[2] / "models.toml"}"\nmodel = "sk"\n[scan]\n{scan}\n'
    text += '[free_energy]\nmethod = "ais"\n'
    status, message = physebm("run", write(tmp_path, text), "--out", tmp_path / "no.nc")
    assert status == 2 and "--set free_energy.annealing.temperatures=VALUE" in message, message
    assert "train.KEY" in message and "temperature, start, disorder" in message


def test_data_given_in_python_are_where_annealing_starts_and_have_a_likelihood():
    import physebm as package

    rbm = package.load_model("rbm", Nv=6, Nh=3, sigma=0.1)
    random = np.random.default_rng(3)
    data = (random.random((200, 6)) < [0.1, 0.9, 0.2, 0.8, 0.5, 0.3]).astype(np.int8)
    trained, _ = package.train(rbm, data[:150], method="exact", updates=100, learning_rate=0.2)
    held = {"train": data[:150], "test": data[150:]}
    budget = {"chains": 400, "temperatures": 10}
    with_data, without = (
        package.free_energies(trained, ["exact", "ais"], data=each, annealing=budget)
        for each in (held, None)
    )
    exact = enumerate_states(trained.hamiltonian, trained.params, trained.loaded.coefficients([1.0]))
    for part in ("train", "test"):
        mean = float(trained.score(held[part])["log_likelihood"].mean())
        assert with_data[f"log_likelihood_{part}"].sel(estimator="exact").item() == pytest.approx(mean)
        assert f"log_likelihood_{part}" not in without
    errors = []
    for ds in (with_data, without):
        here = ds.sel(estimator="ais").isel(temperature=0)
        errors.append(here["log_z_stderr"].item())
        assert abs(here["log_z"].item() - exact.log_z[0]) < 4.0 * errors[-1]
    # ten models are enough from the means of the data, and few from no fields at all
    assert errors[0] < 0.6 * errors[1], errors
    plain = package.free_energies(trained, "ais", data=data[:150], annealing=budget | {"base": "data"})
    same = with_data["log_z"].sel(estimator="ais").item()
    assert plain["log_z"].sel(estimator="ais").item() == same


@pytest.mark.parametrize(
    "data, words",
    [
        (np.zeros(6), r"\[sample, unit\]"),
        (np.zeros((3, 5)), "expected  6 numbers"),
        (np.full((3, 6), 0.5), "free_energies: data"),
        (np.full((3, 6), np.nan), "free_energies: data"),
        ({"tset": np.zeros((3, 6))}, "did you mean test"),
        ({"test": np.zeros((3, 5))}, r'data\["test"\]'),
        ({}, "train, validation, test"),
    ],
)
def test_wrong_data_from_python_are_answered(data, words):
    import physebm as package

    with pytest.raises(package.PhysebmError, match=words):
        package.free_energies(package.load_model("rbm", Nv=6, Nh=3), "ais", data=data)


def test_annealing_from_data_that_are_not_given_is_refused():
    import physebm as package

    rbm = package.load_model("rbm", Nv=6, Nh=3)
    for data in (None, {"test": np.zeros((3, 6))}):
        with pytest.raises(package.PhysebmError, match=r"annealing\.base"):
            package.free_energies(rbm, "ais", data=data, annealing={"base": "data"})

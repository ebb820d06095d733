"""Trainings from the study file to the trained model: run, killed, resumed, scored, sampled, refused.

Statistical statements: 4000 independent chains against enumerated probabilities, one chi-square each,
at a pinned seed; false-alarm rate 1e-4.
"""

import os
import pickle
import re
import signal
import subprocess
import sys
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from click.testing import CliRunner
from scipy.stats import chi2
from study_files import write

from physebm.cli import main
from physebm.errors import InputError, ResultFileError
from physebm.schema.study_file import read_study
from physebm.storage.netcdf import open_tree
from physebm.study.trained import open_trained

ROOT = Path(__file__).parents[2]
MODELS = ROOT / "models.toml"

DIGITS = f"""
title  = "digits, tiny"
model  = "rbm"
models = "{MODELS}"
seed   = 3
[set]
Nv = 64
Nh = 8
sigma = 0.1
[scan]
train.method = ["pcd", "pt"]
temperature  = [1.0, 2.0]
[train]
data          = {{ source = "digits", binarise = 0.5, rows = [0, 300], split = {{ test = 0.2 }} }}
steps         = 2
chains        = 30
batch         = 40
updates       = 24
learning_rate = {{ start = 0.1, end = 0.05, schedule = "linear" }}
optimiser     = "momentum"
gradient      = "centred"
rungs         = 3
record        = {{ every = 8 }}
tau_sweeps    = 16
[sample]
chains  = 2
discard = 8
sweeps  = 128
every   = 2
[observe]
record = ["energy", "magnetisation"]
[plot]
training = {{ y = "log_likelihood" }}
"""

SMALL = f"""
title  = "all states of a small machine"
model  = "rbm"
models = "{MODELS}"
seed   = 8
[set]
Nv = 5
Nh = 3
sigma = 1.0
bias = 0.2
[train]
data          = {{ path = "x.npy" }}
method        = "exact"
updates       = 60
learning_rate = 0.3
record        = [20, 60]
"""


def physebm(*arguments):
    done = CliRunner().invoke(main, [str(each) for each in arguments])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exc_info
    assert "Traceback" not in done.output
    return done.exit_code, done.output


def states_of(units):
    return np.array(list(product((0, 1), repeat=units)), np.int8)


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """The result of a study that trains twice and samples both machines at two temperatures."""
    folder = tmp_path_factory.mktemp("digits")
    status, text = physebm("run", write(folder, DIGITS), "--out", folder / "r.nc")
    assert status == 0, text
    return folder / "r.nc"


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A machine of five visible units, trained exactly on data with two preferred states."""
    folder = tmp_path_factory.mktemp("small")
    random = np.random.Generator(np.random.PCG64(4))
    base = np.array([[1, 1, 0, 0, 1], [0, 0, 1, 1, 0]], np.int8)[random.integers(2, size=60)]
    np.save(folder / "x.npy", base ^ (random.random(base.shape) < 0.15))
    np.save(folder / "all.npy", states_of(5))
    status, text = physebm("run", write(folder, SMALL), "--out", folder / "r.nc")
    assert status == 0, text
    return folder / "r.nc"


def enumerated(result, **place):
    """log p(v) and free energy of all visible states, from the formula of the machine alone."""
    arrays = open_trained(result, **place).arrays
    v = states_of(len(arrays["a"]))
    free = -v @ arrays["a"] - np.log1p(np.exp(v @ arrays["W"] + arrays["b"])).sum(axis=1)
    return -free - np.log(np.exp(-free).sum()), free


# ---- a run, in the end and interrupted ----------------------------------------------------------


def assert_same_result(a, b):
    """All groups of two result files hold the same bits, apart from the record of the runs."""
    one, two = open_tree(a), open_tree(b)
    assert [node.path for node in one.subtree] == [node.path for node in two.subtree]
    for node in one.subtree:
        if node.path == "/provenance":
            continue
        for name, held in node.to_dataset().variables.items():
            x, y = held.values, two[node.path].to_dataset().variables[name].values
            assert x.dtype == y.dtype and x.shape == y.shape, (node.path, name)
            same = x.tobytes() == y.tobytes() if x.dtype.kind != "O" else (x == y).all()
            assert same, f"{node.path} {name} differs"


def test_a_result_holds_the_training_and_what_was_sampled(digits):
    tree = open_tree(digits)
    training, arrays, chains = (tree[name] for name in ("training", "arrays", "chains"))
    assert training["update"].values.tolist() == [0, 8, 16, 24]
    ages = training["log_likelihood_train"].sel(train_method="pcd").values
    assert ages[-1] > ages[0]
    assert arrays["W"].dims == ("train_method", "update", "W_0", "W_1")
    assert arrays["W"].shape == (2, 4, 64, 8) and np.isfinite(arrays["W"].values).all()
    assert chains["v"].shape == (2, 30, 64)
    assert tree["energy"].dims == ("train_method", "temperature") and (tree["status"] == 0).all()
    # the machines are hotter at T = 2, and each was trained once
    energy = tree["energy"].values
    assert (energy[:, 1] > energy[:, 0]).all() and energy[0, 0] != energy[1, 0]
    assert digits.with_name("r_log_likelihood.png").exists()
    status, text = physebm("status", digits.with_name("study.toml"), "--out", digits)
    assert status == 0 and "complete" in text


KILLED = """
import os, sys
from physebm.learning.train import Trainer
from physebm.study import runner, training
training.CHECKPOINT_SECONDS = float(sys.argv[3])
original = Trainer.run
def run(self, until):
    original(self, until)
    if self.update == 19 and self.recipe.method == sys.argv[4]:
        os.kill(os.getpid(), 9)
Trainer.run = run
runner.run_study(sys.argv[1], out=sys.argv[2])
"""


@pytest.mark.parametrize(
    "seconds, method", [(0.0, "pcd"), (0.0, "pt"), (1e9, "pcd")], ids=["pcd", "pt", "no checkpoint"]
)
def test_a_killed_training_goes_on_to_the_same_bits(tmp_path, digits, seconds, method):
    """Killed in update 19, with a checkpoint of update 18 or with the ages 0, 8 and 16 alone."""
    path, out = write(tmp_path, DIGITS), tmp_path / "r.nc"
    done = subprocess.run(
        [sys.executable, "-c", KILLED, path, out, str(seconds), method],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        timeout=120,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    folder = tmp_path / "r.work" / ("train0001" if method == "pcd" else "train0002")
    assert (folder / "checkpoint.npz").exists() == (seconds == 0.0)
    assert (folder / "age000000016.npz").exists() and not (folder / "age000000024.npz").exists()
    assert physebm("run", path, "--out", out)[0] == 0
    assert_same_result(digits, out)
    assert not (tmp_path / "r.work").exists()


@pytest.mark.parametrize("path", sorted((ROOT / "studies").glob("*.toml")), ids=lambda path: path.stem)
def test_every_study_reaches_a_worker_as_it_is(path):
    if "models" in path.stem:
        pytest.skip("models, no study")
    study = read_study(path)
    assert pickle.loads(pickle.dumps(study)) == study


def test_two_workers_give_the_same_bits(tmp_path, digits):
    status, text = physebm("run", write(tmp_path, DIGITS), "--out", tmp_path / "r.nc", "--workers", 2)
    assert status == 0, text
    assert_same_result(digits, tmp_path / "r.nc")


# ---- scores and samples -------------------------------------------------------------------------


@pytest.mark.parametrize("update", ["last", "20"])
def test_scores_are_those_of_the_enumeration(small, tmp_path, update):
    log_p, free = enumerated(small, update=int(update) if update == "20" else update)
    out = tmp_path / "scores.nc"
    data = small.with_name("all.npy")
    status, text = physebm("score", small, data, "--update", update, "--out", out)
    assert status == 0 and f"32 samples, update {60 if update == 'last' else 20}" in text
    scores = xr.load_dataset(out)
    np.testing.assert_allclose(scores["free_energy"], free, rtol=1e-6)
    np.testing.assert_allclose(scores["log_likelihood"], log_p, rtol=1e-6, atol=1e-6)
    assert np.exp(scores["log_likelihood"].values).sum() == pytest.approx(1.0, abs=1e-12)
    if update == "last":
        training = open_tree(small)["training"]
        mean = xr.load_dataset(_scores_of(small, tmp_path))["log_likelihood"].values.mean()
        assert mean == pytest.approx(float(training["log_likelihood_train"][-1]), rel=1e-5)


def _scores_of(result, folder):
    physebm("score", result, result.with_name("x.npy"), "--out", folder / "own.nc")
    return folder / "own.nc"


def pulled(counts, p):
    """Chi-square of counts against probabilities, against its quantile of 1 - 1e-4."""
    expected = counts.sum() * p
    return ((counts - expected) ** 2 / expected).sum() <= chi2.ppf(1 - 1e-4, len(p) - 1)


def counted(v):
    """How often each state occurs, in the order of `states_of`."""
    units = v.shape[1]
    return np.bincount(v.astype(np.int64) @ (1 << np.arange(units)[::-1]), minlength=2**units)


def test_generated_samples_are_those_of_the_model(small):
    machine = open_trained(small)
    v = machine.generate(4000, sweeps=60, seed=11)["v"]
    assert pulled(counted(v), np.exp(enumerated(small)[0]))
    again = machine.generate(4000, sweeps=60, seed=11)["v"]
    np.testing.assert_array_equal(v, again)
    assert (v != machine.generate(4000, sweeps=60, seed=12)["v"]).any()


def test_clamped_samples_follow_the_conditional_distribution(small):
    held = np.array([1, np.nan, np.nan, np.nan, 0])
    v = open_trained(small).generate(4000, sweeps=60, seed=13, clamp={"v": held})["v"]
    assert (v[:, 0] == 1).all() and (v[:, 4] == 0).all()
    allowed = states_of(5)[:, [0, 4]].tolist()
    p = np.exp(enumerated(small)[0])[[pair == [1, 0] for pair in allowed]]
    assert pulled(counted(v[:, 1:4]), p / p.sum())


def test_generate_writes_pictures_and_all_groups(digits, tmp_path):
    given = np.full((8, 8), np.nan)
    given[:4] = np.arange(32).reshape(4, 8) % 2
    np.save(tmp_path / "clamp.npy", given)
    common = ("generate", digits, "--samples", 6, "--sweeps", 5)
    for name, extra in (
        ("pcd.npy", ("--at", "train_method=pcd")),
        ("pt.nc", ("--at", "train_method=pt", "--clamp", tmp_path / "clamp.npy", "--seed", 4)),
        ("old.npy", ("--at", "train_method=pcd", "--update", "0")),
    ):
        status, text = physebm(*common, *extra, "--out", tmp_path / name)
        assert status == 0, text
    plain, old = np.load(tmp_path / "pcd.npy"), np.load(tmp_path / "old.npy")
    assert plain.shape == old.shape == (6, 8, 8) and plain.dtype == np.int8
    assert (plain != old).any()
    np.testing.assert_array_equal(
        plain.reshape(6, 64), open_trained(digits, train_method="pcd").generate(6, sweeps=5)["v"]
    )
    held = xr.load_dataset(tmp_path / "pt.nc")
    assert held["samples"].dims == ("sample", "row", "column")
    assert held["v"].shape == (6, 64) and held["h"].shape == (6, 8)
    assert (held["samples"].values[:, :4] == given[:4]).all()
    assert held.attrs["update"] == 24 and held.attrs["seed"] == 4


@pytest.mark.parametrize(
    "options, message",
    [
        ((), "several trainings"),
        (("--at", "train_method=cd"), 'got +"cd"'),
        (("--at", "train_method=pcd", "--update", "9"), "nearest recorded ages: 0, 8, 16, 24"),
        (("--at", "train_method=pcd", "--update", "soon"), '--update\n +got +"soon"'),
        (("--at", "pcd"), "AXIS=VALUE"),
        (("--at", "train_method=pcd", "--temperature", "0"), "--temperature"),
        (("--at", "train_method=pcd", "--clamp", "no.npy"), "--clamp"),
    ],
)
def test_generate_refuses_what_there_is_not(digits, tmp_path, options, message):
    out = tmp_path / "s.npy"
    status, text = physebm("generate", digits, "--samples", 2, "--out", out, *options)
    assert status == 2 and re.search(message, text), text
    assert not out.exists()


def test_nothing_is_overwritten_and_clamped_values_are_states(digits, small, tmp_path):
    out = tmp_path / "s.npy"
    out.write_bytes(b"mine")
    status, text = physebm("generate", small, "--samples", 2, "--out", out)
    assert status == 2 and "nothing was overwritten" in text and out.read_bytes() == b"mine"
    with pytest.raises(InputError, match=r"clamp\.v[\s\S]+states \[0, 1\]"):
        open_trained(small).generate(2, clamp={"v": np.full(5, 0.5)})
    with pytest.raises(InputError, match=r"clamp\.w"):
        open_trained(small).generate(2, clamp={"w": np.zeros(5)})
    np.save(tmp_path / "wide.npy", np.zeros(7))
    out.unlink()
    status, text = physebm(
        "generate", small, "--samples", 2, "--out", out, "--clamp", tmp_path / "wide.npy"
    )
    assert status == 2 and "5 values per sample" in text


# ---- the arrays in another study ----------------------------------------------------------------


@pytest.mark.parametrize("update", ["", ", update = 20"])
def test_another_study_samples_the_trained_machine(small, tmp_path, update):
    text = f"""
title  = "the small machine again"
model  = "rbm"
models = "{MODELS}"
arrays = {{ from = "{small}"{update} }}
[set]
Nv = 5
Nh = 3
[sample]
chains  = 20
discard = 100
sweeps  = 4000
[observe]
record = ["energy"]
"""
    status, message = physebm("run", write(tmp_path, text), "--out", tmp_path / "again.nc")
    assert status == 0, message
    arrays = open_trained(small, **({"update": 20} if update else {})).arrays
    v, h = states_of(5), states_of(3)
    H = -(v @ arrays["W"] @ h.T) - (v @ arrays["a"])[:, None] - h @ arrays["b"]
    p = np.exp(-H) / np.exp(-H).sum()
    found = open_tree(tmp_path / "again.nc").to_dataset()
    pull = (found["energy"] - (p * H).sum() / 5) / found["energy_stderr"]
    assert abs(pull.item()) <= 4


# ---- mistakes -----------------------------------------------------------------------------------

OWN = """
[model]
[model.units]
v = { prior = "bernoulli", shape = 5, visible = true }
h = { prior = "bernoulli", shape = 3 }
[model.arrays]
W = { law = "normal", std = 1.0, shape = [5, 3] }
[[model.terms]]
couple = ["v", "h"]
J = "W"
[train]
data = { path = "x.npy" }
updates = 2
"""
DEEP = SMALL.replace('"rbm"', '"deep_boltzmann_machine"').replace("Nh = 3", "N1 = 3\nN2 = 2")


@pytest.mark.parametrize(
    "edit, words",
    [
        (("Nv = 5", "Nv = 6"), ("train.data.path", "5 numbers", "6 numbers", "--set Nv=5")),
        (('"x.npy"', '"two.npy"'), ("train.data.path", "2", "0", "1")),
        (('"x.npy"', '"nan.csv"'), ("nan.csv", "sample 2, unit 4", "finite")),
        (('"x.npy"', '"none.npy"'), ("none.npy", "there is no file", "two.npy, x.npy")),
        (("updates  ", "batch = 61\nupdates  "), ("train.batch", "61", "1 to 60", "too few samples")),
        (
            ('"exact"\nupdates       = 60\nlearning_rate = 0.3\nrecord        = [20, 60]', '"tap"'),
            ("train.method", "hidden units h", "pcd"),
        ),
        (('"exact"', '"pcd"\ntemper = 3'), ("temper",)),
        (("[20, 60]", "[20, 61]"), ("train.record", "61")),
    ],
    ids=["width", "support", "nan", "missing", "batch", "method", "key", "age"],
)
def test_mistakes_are_refused_with_place_value_and_remedy(small, tmp_path, edit, words):
    for name in ("x.npy", "all.npy"):
        (tmp_path / name).write_bytes(small.with_name(name).read_bytes())
    x = np.load(tmp_path / "x.npy")
    np.save(tmp_path / "two.npy", x * 2)
    rows = [",".join(map(str, row)) for row in x.tolist()]
    rows[2] = rows[2][:-1] + "nan"
    (tmp_path / "nan.csv").write_text("\n".join(rows))
    text = SMALL.replace(*edit)
    assert text != SMALL
    status, message = physebm("run", write(tmp_path, text), "--out", tmp_path / "r.nc")
    assert status == 2, message
    for word in words:
        assert word in message, message
    assert not (tmp_path / "r.nc").exists()


def test_models_that_cannot_be_trained_say_why(small, tmp_path):
    (tmp_path / "x.npy").write_bytes(small.with_name("x.npy").read_bytes())
    status, message = physebm("run", write(tmp_path, OWN), "--out", tmp_path / "r.nc")
    assert status == 2 and "trainable" in message and "trainable = true" in message, message
    status, message = physebm("run", write(tmp_path, DEEP), "--set", 'train.method="pseudo-likelihood"')
    assert status == 2 and "pseudo-likelihood" in message and "hidden" in message, message


def test_a_training_that_diverges_keeps_its_snapshots(small, tmp_path):
    (tmp_path / "x.npy").write_bytes(small.with_name("x.npy").read_bytes())
    text = SMALL.replace('"rbm"', '"rbm_gaussian_hidden"').replace('"exact"', '"pcd"')
    text = text.replace("[20, 60]", "{ every = 1 }").replace("= 0.3", "= 1.0")
    text += "steps = 50\nchains = 50\ntau_sweeps = 0\n"
    path, out = write(tmp_path, text), tmp_path / "r.nc"
    status, message = physebm("run", path, "--out", out)
    assert status == 1 and "train.learning_rate" in message and "train.clip" in message, message
    last = int(re.search(r"diverged at update (\d+)", message)[1]) - 1
    assert last >= 1
    with pytest.raises(ResultFileError, match=f"diverged at update {last + 1}[\\s\\S]+age is {last};"):
        open_trained(out)
    for command in (
        ("score", out, tmp_path / "x.npy"),
        ("generate", out, "--samples", 2, "--out", "s.npy"),
    ):
        status, text = physebm(*command)
        assert status == 2 and f"--update {last}" in text, text
    assert physebm("score", out, tmp_path / "x.npy", "--update", last)[0] == 0
    machine = open_trained(out, update=last)
    assert machine.update == last and all(np.isfinite(x).all() for x in machine.arrays.values())
    tree = open_tree(out)
    assert int(tree["status"]) == 1 and f"update {last + 1}" in str(tree["message"].values)
    np.testing.assert_array_equal(
        open_trained(out, last - 1).arrays["W"], tree["arrays"]["W"].sel(update=last - 1)
    )
    again = f'model = "rbm_gaussian_hidden"\nmodels = "{MODELS}"\narrays = {{ from = "{out}" }}\n'
    path = write(tmp_path, again + "set = { Nv = 5, Nh = 3 }\nsample = { sweeps = 64 }\n", "again.toml")
    status, text = physebm("run", path, "--out", tmp_path / "again.nc", "--no-plot")
    assert status == 2 and f"diverged at update {last + 1}" in text, text
    assert f"update = {last}" in text and not (tmp_path / "again.nc").exists()


def test_a_training_that_loses_its_data_fails_though_its_arrays_are_finite(small, tmp_path):
    """Bounded gradients times a rate of 1e6: after some updates everything is saturated."""
    (tmp_path / "x.npy").write_bytes(small.with_name("x.npy").read_bytes())
    path, out = write(tmp_path, SMALL.replace('"exact"', '"pcd"') + "chains = 50\n"), tmp_path / "r.nc"
    status, message = physebm("run", path, "--out", out, "--set", "train.learning_rate=1e5")
    assert status == 1 and "diverged at update 20" in message and "log-likelihood fell" in message, (
        message
    )
    assert open_tree(out)["training"]["update"].values.tolist() == [0]
    status, message = physebm("generate", out, "--samples", 2, "--out", tmp_path / "s.npy")
    assert status == 2 and "before the first update" in message and "--update 0" in message, message

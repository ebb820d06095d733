"""Mistakes around trained models: each is refused with what was given, what is legal and what helps."""

import gzip
import re
import signal
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner
from study_files import write

import physebm
from physebm.cli import main
from physebm.errors import InputError, ResultFileError
from physebm.storage.netcdf import open_tree
from physebm.study.models import shipped_models
from physebm.study.workfolder import claimed

MODELS = shipped_models()


def words_of(call, *words):
    """What the call is refused with, which has all these words."""
    with pytest.raises(InputError) as caught:
        call()
    text = str(caught.value)
    for word in words:
        assert word in text, text
    return text


def command(*arguments):
    done = CliRunner().invoke(main, [str(each) for each in arguments])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exc_info
    return done.exit_code, done.output


def trained(name, data, **parameters):
    model = physebm.load_model(name, **parameters)
    return physebm.train(model, data, method="exact", updates=2, learning_rate=0.1)[0]


@pytest.fixture(scope="module")
def binary():
    random = np.random.Generator(np.random.PCG64(4))
    return random.integers(2, size=(40, 4)).astype(np.int8)


@pytest.fixture(scope="module")
def machine(binary):
    return trained("rbm", binary, Nv=4, Nh=2)


@pytest.fixture(scope="module")
def potts():
    random = np.random.Generator(np.random.PCG64(5))
    return trained("potts_machine", random.integers(3, size=(40, 2)), L=2, q=3)


# ---- scores -------------------------------------------------------------------------------------


def test_scored_samples_are_states_of_the_units(machine, potts, binary):
    score = machine.score
    words_of(lambda: score(2 * binary - 1), "-1 at sample", "0 or 1", "(x + 1) / 2")
    words_of(lambda: score(binary * 0.5), "0.5 at sample", "0 or 1")
    words_of(lambda: score(np.where(binary == 1, np.nan, 0)), "nan at sample")
    words_of(lambda: score(binary[0]), "shape [4]", "[sample, unit]")
    words_of(lambda: score(binary[:0]), "shape [0, 4]")
    words_of(lambda: score(binary[:, :3]), "3 numbers", "4 units of 'v'")
    words_of(lambda: score([["a", "b", "c", "d"]]), "real numbers")
    words_of(lambda: potts.score([[0, -1]]), "-1 at sample 0, unit 1", "0 to 2")
    words_of(lambda: potts.score([[0, 25]]), "25 at sample 0, unit 1", "0 to 2")
    whole = machine.score(binary.astype(float))["free_energy"].values
    np.testing.assert_array_equal(whole, machine.score(binary)["free_energy"].values)


def test_advice_for_scored_arrays_names_no_key(machine, potts, binary):
    for call in (
        lambda: machine.score(2 * binary - 1),
        lambda: machine.score(binary * 0.5),
        lambda: machine.score(binary * 3),
        lambda: machine.score(binary[:, :3]),
    ):
        text = words_of(call)
        assert all(key not in text for key in ("map =", "binarise", "--set", "scale")), text


# ---- samples ------------------------------------------------------------------------------------


def test_generate_counts_in_whole_numbers(machine):
    for number in (0, -1, 2.5, True, "3", None):
        words_of(lambda number=number: machine.generate(number, sweeps=2), "generate: samples", "1 or")
        words_of(lambda number=number: machine.generate(2, sweeps=number), "generate: sweeps")
    words_of(lambda: machine.generate(2, seed=0.5), "generate: seed")
    for temperature in (0, -1.0, np.inf, np.nan, "1"):
        words_of(
            lambda t=temperature: machine.generate(2, sweeps=2, temperature=t), "generate: temperature"
        )
    assert machine.generate(np.int64(3), sweeps=np.int32(2))["v"].shape == (3, 4)


def test_held_values_have_the_shape_and_the_states_of_their_group(machine, potts):
    def held(clamp, samples=10, of=machine):
        return lambda: of.generate(samples, sweeps=2, clamp=clamp)

    words_of(held({"v": [1, 0, 1]}), "clamp.v", "shape [3]", "4 values, or [10, 4]")
    words_of(held({"v": np.zeros((3, 12))}), "shape [3, 12]", "4 values, or [10, 4]")
    words_of(held({"v": np.zeros((4, 10))}), "shape [4, 10]")
    words_of(held({"v": np.zeros(40)}), "shape [40]")
    words_of(held(np.zeros(4)), "clamp\n", "{group: values}", 'clamp={"v": values}')
    words_of(held({"v": [0, 1, 2, 0]}), "2 at sample 0, unit 2", "states [0, 1]")
    words_of(held({"v": "abc"}), "clamp.v", "real numbers")
    words_of(held({"x": np.zeros(4)}), "clamp.x", "v, h")
    words_of(held({"s": [0, 3]}, of=potts), "3 at sample 0, unit 1", "0 to 2")
    words_of(held({"s": [0, -2]}, of=potts), "-2 at sample 0, unit 1")
    free = [1, np.nan, 0, np.nan]
    for clamp in (free, [free] * 10):
        v = machine.generate(10, sweeps=2, clamp={"v": clamp})["v"]
        assert (v[:, [0, 2]] == [1, 0]).all() and set(np.unique(v[:, 1])) == {0, 1}
    s = potts.generate(30, sweeps=9, clamp={"s": [2, -1]})["s"]
    assert (s[:, 0] == 2).all() and len(np.unique(s[:, 1])) > 1


def test_held_values_of_continuous_units():
    random = np.random.Generator(np.random.PCG64(6))
    model = trained("rbm_truncated_gaussian_hidden", random.integers(2, size=(9, 4)), Nv=4, Nh=2)
    for bad in (-0.5, np.inf):
        words_of(lambda bad=bad: model.generate(3, sweeps=2, clamp={"h": [bad, 1.0]}), "clamp.h")
    h = model.generate(3, sweeps=2, clamp={"h": [0.5, np.nan]})["h"]
    assert (h[:, 0] == 0.5).all() and (h[:, 1] >= 0).all()


# ---- train --------------------------------------------------------------------------------------


def test_train_refuses_in_words_of_the_call(binary, machine):
    model = physebm.load_model("rbm", Nv=4, Nh=2)

    def call(*given, **options):
        return lambda: physebm.train(*(given or (model, binary)), **options)

    cases = [
        (call(l1={"Q": 1}), ("train: l1", "Q", "W, a, b")),
        (call(physebm.load_model("ising_2d", L=3), np.ones((4, 9))), ("trainable",)),
        (call(machine, binary), ("train: model", "a Trained", "`.loaded`")),
        (call("rbm", binary), ("train: model", "a str", "load_model")),
        (call(test=0.2), ("train: test", 'split={"test": 0.2}')),
        (call(split=0.2), ("train: split", '{"test": 0.2}')),
        (call(split={"test": 2}), ("train: split.test", "a fraction")),
        (call(model, "x.npy"), ("train: data", '"x.npy"', "np.load")),
        (call(model, np.ones((4, 7))), ("train: data", "7 numbers", 'load_model("rbm", Nv=7, ...)')),
        (call(model, 2 * binary - 1), ("train: data", "-1 at sample", "(x + 1) / 2")),
        (call(model, binary * np.nan), ("train: data\n", "nan at sample 0", "finite")),
        (call(model, [[0, 1, 0, 1], [1]]), ("train: data", "several lengths")),
        (call(model, binary[0]), ("train: data", "shape [4]")),
        (call(weights=[1, 2]), ("train: weights", "shape [2]", "40 samples")),
        (call(batch=100), ("train: batch", "1 to 40")),
        (call(metod="cd"), ("train\n", "did you mean method?")),
        (call(backend="gpu"), ("train: backend", "gpu")),
    ]
    for refused, words in cases:
        text = words_of(refused, *words)
        assert all(word not in text for word in ("train.d", "train.b", "data.npz", "--set", "map =")), (
            text
        )


def test_a_diverged_training_in_python_speaks_of_arguments(binary):
    model = physebm.load_model("rbm", Nv=4, Nh=2)
    with pytest.raises(
        physebm.PhysebmError, match=r"diverged at update \d+.*Lower learning_rate"
    ) as no:
        physebm.train(model, binary, method="exact", updates=30, learning_rate=1e7)
    assert "train." not in str(no.value) and "kept" not in str(no.value)


def test_a_trained_model_is_shown_in_one_line(machine):
    assert repr(machine) == "<Trained rbm, update 2; v: 4 bernoulli visible, h: 2 bernoulli>"


# ---- results ------------------------------------------------------------------------------------

SCANNED = f"""
model  = "potts_machine"
models = "{MODELS}"
[set]
L = 3
q = 21
[scan]
train.gauge = ["none", "zero-sum"]
[train]
data    = {{ path = "x.fasta", alphabet = "protein" }}
method  = "pseudo-likelihood"
updates = 2
"""
RECORDS = [("one", "ACD"), ("two", "AC-"), ("three", "WYD")]


def fasta(records):
    return "".join(f">{name}\n{text}\n" for name, text in records)


@pytest.fixture(scope="module")
def scanned(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scanned")
    (folder / "x.fasta").write_text(fasta(RECORDS))
    status, text = command("run", write(folder, SCANNED), "--out", folder / "r.nc", "--no-plot")
    assert status == 0, text
    return folder / "r.nc"


def test_axes_are_named_as_keywords_or_options(scanned):
    table = {"gauge": "none"}
    words_of(lambda: physebm.open_trained(scanned, at=table), "open_trained(path, gauge='none')")
    words_of(lambda: physebm.open_trained(scanned, gauge=["none"]), "gauge", "keyword")
    text = words_of(lambda: physebm.open_trained(scanned), "--at gauge=none", "none, zero-sum")
    assert "gauge='none')" in text and "at = {" not in text
    words_of(lambda: physebm.open_trained(scanned, norm="none"), "norm = none", "gauge")
    words_of(lambda: physebm.open_trained(scanned, gauge="nono"), "r.nc: gauge", "zero-sum")
    for update in ("2", 1.5, None, True):
        words_of(lambda u=update: physebm.open_trained(scanned, u, gauge="none"), "whole number")
    with pytest.raises(ResultFileError, match=r"r\.nc: update\n[\s\S]+nearest recorded ages: 0, 1, 2"):
        physebm.open_trained(scanned, 7, gauge="none")
    assert "gauge=zero-sum" in repr(physebm.open_trained(scanned, gauge="zero-sum"))
    for name in ("score", "generate"):
        text = command(name, "--help")[1]
        assert "train_method=pcd" in text and " method=pcd" not in text


def test_files_to_score_are_refused_without_keys_of_a_study(scanned, tmp_path):
    def refused(path, *words):
        status, text = command("score", scanned, path, "--at", "gauge=none")
        assert status == 2, text
        for word in words:
            assert word in text, text
        assert not any(key in text for key in ("--set", "map =", "unknown =", "binarise", ".path")), (
            text
        )

    path = tmp_path / "new.fasta"
    path.write_text(fasta([("one", "ACXD"), ("two", "ACDD")]))
    refused(path, "new.fasta", "X", "as the training data")
    path.write_text(fasta([("one", "ACDA"), ("two", "ACDD")]))
    refused(path, "new.fasta", "4 numbers", "3 units of 's'")
    path.write_text(fasta(RECORDS))
    (tmp_path / "notes.md").write_text("about the data")
    refused(tmp_path / "old.fasta", "old.fasta", "new.fasta", str(tmp_path))
    status, text = command("score", scanned, path, "--at", "gauge=none")
    assert status == 0, text


def test_clamp_files_are_checked_before_anything_is_sampled(tmp_path):
    text = f"""
model  = "rbm"
models = "{MODELS}"
[set]
Nv = 4
Nh = 2
[train]
data    = {{ path = "x.npy" }}
method  = "exact"
updates = 1
"""
    np.save(tmp_path / "x.npy", np.eye(4, dtype=np.int8))
    status, told = command("run", write(tmp_path, text), "--out", tmp_path / "r.nc", "--no-plot")
    assert status == 0, told
    (tmp_path / "junk.npy").write_text("no array")
    for name, array in {
        "three": np.zeros((3, 4)),
        "two": np.full(4, 2.0),
        "objects": np.array([{}], dtype=object),
    }.items():
        np.save(tmp_path / f"{name}.npy", array)
    out = tmp_path / "s.npy"
    for name, words in {
        "three": ("shape [3, 4]", "4 values per sample: one row for all, or 5 rows"),
        "two": ("2.0 at sample 0, unit 0", "states [0, 1]", "(v)"),
        "junk": ("numpy.save",),
        "objects": ("Python objects",),
        "none": ("none.npy", str(tmp_path)),
    }.items():
        clamp = tmp_path / f"{name}.npy"
        status, told = command("generate", tmp_path / "r.nc", "--samples", 5, "--out", out,
                               "--clamp", clamp)  # fmt: skip
        assert status == 2 and f"--clamp {clamp}" in told and not out.exists(), told
        assert all(word in told for word in words) and "allow_pickle" not in told, told


# ---- data of a study ----------------------------------------------------------------------------


def study_of(path, extra="", **parameters):
    sizes = "\n".join(f"{name} = {value}" for name, value in parameters.items())
    return f"""
model  = "potts_machine"
models = "{MODELS}"
[set]
{sizes}
[train]
data    = {{ path = "{path}"{extra} }}
method  = "pseudo-likelihood"
updates = 1
"""


def test_hints_name_the_parameter_that_is_the_size(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((5, 10), np.int8))
    status, text = command(
        "run", write(tmp_path, study_of("x.npy", L=4, q=3)), "--out", tmp_path / "r.nc"
    )
    assert status == 2 and "--set L=10" in text and "Nv" not in text, text
    ising = f"""
model  = "ising_2d"
models = "{MODELS}"
[train]
data = {{ path = "x.npy" }}
"""
    text = command("run", write(tmp_path, ising), "--out", tmp_path / "r.nc")[1]
    assert "--set" not in text, text


def test_missing_data_files_list_what_could_be_read(tmp_path):
    for name in ("x.npy", "y.csv", "notes.md", "draw.py"):
        (tmp_path / name).write_text("1")
    (tmp_path / "z.csv.gz").write_bytes(gzip.compress(b"1,2\n"))
    path = write(tmp_path, study_of("q.npy", L=4, q=3))
    status, text = command("run", path, "--out", tmp_path / "r.nc")
    assert status == 2 and "x.npy" in text and str(tmp_path.resolve()) in text, text
    assert "notes.md" not in text and "draw.py" not in text and "study.toml," not in text


def test_addresses_name_a_key_once_and_junk_is_no_pickle(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((5, 4), np.int8))
    path = write(tmp_path, study_of("x.npy", ", rows = [0, 9]", L=4, q=3))
    text = command("run", path, "--out", tmp_path / "r.nc")[1]
    assert "train.data.rows\n" in text, text
    (tmp_path / "x.npy").write_text("no array")
    text = command("run", path, "--out", tmp_path / "r.nc")[1]
    assert "numpy.save" in text and "allow_pickle" not in text, text


def test_constant_columns_are_not_standardised(tmp_path):
    random = np.random.Generator(np.random.PCG64(9))
    x = random.normal(size=(30, 4))
    x[:, 2] = 5.0
    np.save(tmp_path / "x.npy", x)
    text = f"""
model  = "rbm_gaussian_visible"
models = "{MODELS}"
[set]
Nv = 4
Nh = 2
[train]
data    = {{ path = "x.npy", standardise = true }}
updates = 1
"""
    status, told = command("run", write(tmp_path, text), "--out", tmp_path / "r.nc")
    assert status == 2 and "train.data.standardise" in told and "unit 2" in told and "5.0" in told, told


# ---- work and results of other studies ----------------------------------------------------------

SMALL = f"""
title  = "small"
model  = "rbm"
models = "{MODELS}"
[set]
Nv = 4
Nh = 2
[train]
data          = {{ path = "x.npy" }}
method        = "exact"
updates       = 6
learning_rate = 0.1
record        = {{ every = 2 }}
"""
KILLED = """
import os, sys
from physebm.learning.train import Trainer
from physebm.study import runner, training
training.CHECKPOINT_SECONDS = float(sys.argv[3])
original = Trainer.run
def run(self, until):
    original(self, until)
    if self.update == 5:
        os.kill(os.getpid(), 9)
Trainer.run = run
runner.run_study(sys.argv[1], out=sys.argv[2])
"""


def killed(folder, seconds):
    """A study whose process was killed after five updates, and the paths of study and result."""
    np.save(folder / "x.npy", np.eye(4, dtype=np.int8))
    path, out = write(folder, SMALL), folder / "r.nc"
    done = subprocess.run(
        [sys.executable, "-c", KILLED, path, out, str(seconds)], capture_output=True, timeout=120
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    return path, out


OTHER = ("--set", "train.learning_rate=0.06")


def test_status_tells_whose_unfinished_work_there_is(tmp_path):
    path, out = killed(tmp_path, 0.0)
    own = command("status", path, "--out", out)[1]
    assert "stopped" in own and "train0001: checkpoint" in own
    # four of its six updates were saved, the fifth was not
    assert re.search(r"(\d+\.\d) % done", own)[1] == "66.7", own
    status, text = command("status", path, "--out", out, *OTHER)
    assert status == 0 and "not begun" in text and "another study (small" in text, text
    assert "% done" not in text and "--restart" in text and "--out" in text
    status, text = command("run", path, "--out", out, *OTHER)
    assert status == 2 and "unfinished work of another study (small" in text and "--restart" in text


def test_what_was_killed_before_its_first_checkpoint_is_not_reported_as_saved(tmp_path):
    path, out = killed(tmp_path, 1e9)
    work = tmp_path / "r.work"
    (work / "train0001" / "progress.json").write_text('{"fraction": 0.8}')
    text = command("status", path, "--out", out)[1]
    assert "0.0 % done" in text and "stopped before its first checkpoint" in text, text
    text = command("status", path, "--out", out, *OTHER)[1]
    assert "0.0 % done" in text, text
    # another study takes the place, and keeps none of the ages that were recorded there
    status, text = command("run", path, "--out", out, "--set", "train.learning_rate=1e7", "--no-plot")
    assert status == 1 and "diverged at update" in text, text
    assert max(open_tree(out)["training"]["update"].values) < 4


def test_status_tells_that_a_training_diverged_and_why(tmp_path):
    """Its job has ended, and its result holds what was recorded before: that is not success."""
    np.save(tmp_path / "x.npy", np.eye(4, dtype=np.int8))
    path, out = write(tmp_path, SMALL), tmp_path / "r.nc"
    set_rate = ("--set", "train.learning_rate=1e7")
    status, text = command("run", path, "--out", out, *set_rate, "--no-plot")
    reason = re.search(r"failed   train0001: (training diverged .*)", text)[1]
    # nothing would come of the same command: what diverged once diverges again
    assert status == 1 and "other keys of [train]" in text and "tries the failed" not in text
    first, second, *rest = command("status", path, "--out", out, *set_rate)[1].splitlines()
    assert first == f"failed: {path}" and "1 of 1 tasks ended, 1 failed" in second
    assert rest == [f"  train0001: failed: {reason}"]


def test_results_of_another_study_name_the_keys_that_differ(tmp_path):
    np.save(tmp_path / "x.npy", np.eye(4, dtype=np.int8))
    path, out = write(tmp_path, SMALL), tmp_path / "r.nc"
    assert command("run", path, "--out", out, "--no-plot")[0] == 0
    before = out.read_bytes()
    for name in ("run", "status"):
        status, text = command(name, path, "--out", out, *OTHER, "--set", "seed=4", "--set", "Nh=3")
        assert status == 2 and "result of another study" in text, text
        assert ("--restart" if name == "run" else f"physebm status {out}") in text, text
        for words in ("train.learning_rate = 0.1 -> 0.06", "seed = 0 -> 4", "set.Nh = 2 -> 3"):
            assert words in text, text
    np.save(tmp_path / "x.npy", np.zeros((4, 4), np.int8))
    assert "the same keys, but another model or other data" in command("run", path, "--out", out)[1]
    assert out.read_bytes() == before


def test_work_knows_the_keys_of_its_study(tmp_path):
    work, out = tmp_path / "r.work", tmp_path / "r.nc"
    old = {"title": "one", "seed": 1, "set": {"N": 5, "T": 2.0}, "scan": {"L": list(range(99))}}
    new = old | {"title": "two", "seed": 2, "set": {"N": 6}, "scan": {}}
    with pytest.raises(KeyboardInterrupt), claimed(work, out, "a", "one", False, old):
        (work / "task0001").mkdir()
        (work / "task0001" / "checkpoint.npz").write_bytes(b"work")
        raise KeyboardInterrupt
    with pytest.raises(ResultFileError) as no, claimed(work, out, "b", "two", False, new):
        pass
    assert "seed = 1 -> 2, set.N = 5 -> 6, scan.L = [0,1,2" in str(no.value)
    assert "... -> not set, and 1 more; choose another --out" in str(no.value)
    assert "title" not in str(no.value)
    with claimed(work, out, "b", "two", True, new) as complete:
        assert not complete and not (work / "task0001").exists()

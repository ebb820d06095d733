"""[train.likelihood] from the study file to the result: recorded, off, resumed, drawn, refused."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from study_files import write

from physebm.cli import main
from physebm.storage.netcdf import open_tree

ROOT = Path(__file__).parents[2]

TRAIN = f"""
title  = "tracked"
model  = "rbm"
models = "{ROOT / "models.toml"}"
seed   = 3
[set]
Nv = 64
Nh = 8
sigma = 0.1
[scan]
train.method = ["pcd", "pt"]
[train]
data          = {{ source = "digits", binarise = 0.5, rows = [0, 300], split = {{ test = 0.2 }} }}
steps         = 2
rungs         = 3
chains        = 30
batch         = 40
updates       = 24
learning_rate = 0.2
record        = {{ every = 8 }}
tau_sweeps    = 0
"""
LIKELIHOOD = """
[train.likelihood]
chains = 32
temperatures = 30
every = 2
resample = 0.8
[plot]
training = { y = "log_likelihood_tracked" }
"""


def physebm(*args):
    done = CliRunner().invoke(main, [str(arg) for arg in args])
    return done.exit_code, done.output


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tracked")
    status, text = physebm("run", write(folder, TRAIN + LIKELIHOOD), "--out", folder / "r.nc")
    assert status == 0, text
    return folder / "r.nc"


def recorded(path):
    return open_tree(path)["training"].to_dataset()


def test_estimates_stand_beside_the_exact_numbers_of_a_small_machine(result):
    ds = recorded(result)
    assert ds.sizes["update"] == 4
    annealed = np.isfinite(ds["log_z_ais"].values)
    assert (annealed == [True, False, True, True]).all()
    for way in ("ais", "tracked"):
        held = ds.isel(update=annealed[0]) if way == "ais" else ds
        z = (held[f"log_z_{way}"] - held["log_z"]) / held[f"log_z_{way}_stderr"]
        assert float(abs(z).max()) <= 4.0
        for part in ("train", "test"):
            exact = held[f"log_likelihood_{part}"] + held["log_z"] - held[f"log_z_{way}"]
            np.testing.assert_allclose(held[f"log_likelihood_{way}_{part}"], exact, atol=1e-9)
        name = f"log_likelihood_{way}_test"
        assert ds[name].attrs["ancillary_variables"] == f"{name}_stderr"
    assert ds["log_z_ais_verdict"].attrs["flag_meanings"] == "trusted suspect failed not_recorded"
    assert (ds["log_z_ais_verdict"].values[:, 1] == 3).all()
    assert (ds["log_z_tracked_verdict"].values < 3).all()
    assert float(ds["tracked_resamplings"][0, -1]) > 0
    summary = open_tree(result)
    last = ds["log_z_ais"].isel(update=-1)
    np.testing.assert_array_equal(summary["log_z_ais"], last)
    assert result.with_name("r_log_likelihood_tracked.png").exists()


def test_a_training_without_it_has_the_same_bits(result, tmp_path):
    assert physebm("run", write(tmp_path, TRAIN), "--out", tmp_path / "r.nc")[0] == 0
    tracked, plain = recorded(result), recorded(tmp_path / "r.nc")
    assert not [name for name in plain if "ais" in name or "tracked" in name]
    for name in plain.data_vars:
        np.testing.assert_array_equal(plain[name], tracked[name], err_msg=str(name))


KILLED = """
import os, sys
from physebm.learning.tracking import Tracker
from physebm.study import runner, training
training.CHECKPOINT_SECONDS = float(sys.argv[3])
original = Tracker.follow
def follow(self):
    original(self)
    if self.trainer.update == 19 and self.trainer.recipe.method == sys.argv[4]:
        os.kill(os.getpid(), 9)
Tracker.follow = follow
runner.run_study(sys.argv[1], out=sys.argv[2])
"""


@pytest.mark.parametrize(
    "seconds, method", [(0.0, "pcd"), (0.0, "pt"), (1e9, "pcd")], ids=["pcd", "pt", "no checkpoint"]
)
def test_a_killed_training_goes_on_to_the_same_bits(tmp_path, result, seconds, method):
    """Killed after update 19: with a checkpoint of update 18, or with the ages 0, 8 and 16 alone."""
    path, out = write(tmp_path, TRAIN + LIKELIHOOD), tmp_path / "r.nc"
    done = subprocess.run(
        [sys.executable, "-c", KILLED, path, out, str(seconds), method],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        timeout=120,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert physebm("run", path, "--out", out)[0] == 0
    whole, resumed = recorded(result), recorded(out)
    assert set(whole) == set(resumed)
    for name in whole.data_vars:
        np.testing.assert_array_equal(whole[name], resumed[name], err_msg=str(name))


def test_figures_of_estimates_that_are_not_made_are_refused(tmp_path):
    plot = '[plot]\ntraining = { y = "log_likelihood_tracked" }\n'
    status, text = physebm("run", write(tmp_path, TRAIN + plot), "--out", tmp_path / "r.nc")
    assert status == 2 and "plot" in text and "log_likelihood_tracked" in text

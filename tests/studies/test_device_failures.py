"""A device that fails in the middle of a study: one message, good checkpoints, the same bits."""

import shutil

import numpy as np
import pytest
from click.testing import CliRunner

from physebm.backends.cuda import host_backend
from physebm.backends.cuda.host_device import HostDevice, compiler
from physebm.cli import main
from physebm.errors import BackendError
from physebm.storage.arrays_file import read_arrays
from physebm.storage.netcdf import open_summary
from physebm.study import task, training
from physebm.study.runner import run_study

pytestmark = pytest.mark.skipif(compiler() is None, reason="no C++ compiler on this machine")

SAMPLE = """
seed = 5
[sample]
chains = 2
sweeps = 64
discard = 16
"""
STUDIES = {
    "lattice": f"""
model = "ising_2d"
{SAMPLE}
[set]
L = 4
[scan]
temperature = [2.0, 3.0]
[observe]
record = ["energy", "abs_magnetisation"]
""",
    "running overlaps": f"""
model = "hopfield"
{SAMPLE}
[set]
N = 40
P = 3
[scan]
disorder = 2
temperature = [0.3, 0.7]
[observe]
record = ["energy", "retrieval_overlap"]
""",
    "exchanges": f"""
model = "edwards_anderson_3d"
{SAMPLE}
[set]
L = 4
[scan]
disorder = 2
temperature = [1.0, 1.5, 2.5]
[tempering]
[observe]
record = ["energy", "replica_overlap_squared"]
""",
}
LAUNCHES = 60


class Failing(HostDevice):
    """Launches of kernels beyond the first `left` fail."""

    def __init__(self, left: int):
        super().__init__()
        self.left = left

    def function(self, source, kernel):
        run = super().function(source, kernel)

        def counted(*arguments):
            self.left -= 1
            if self.left < 0:
                raise BackendError("backend 'cuda': the device failed\n  hint      --backend numba")
            run(*arguments)

        return counted


def summary(path, **options):
    return open_summary(run_study(path, **options).result).load()


@pytest.mark.parametrize("name", STUDIES)
def test_a_run_continues_on_every_backend_with_the_same_bits(name, tmp_path, monkeypatch):
    path, broken = tmp_path / "s.toml", tmp_path / "broken.nc"
    path.write_text(STUDIES[name])
    monkeypatch.setattr(task, "CHECKPOINT_SECONDS", 0.0)
    expected = summary(path, out=tmp_path / "whole.nc", backend="numba")
    with monkeypatch.context() as patched:
        failing = Failing(LAUNCHES)
        patched.setattr(host_backend, "device", lambda: failing)
        words = ["run", str(path), "--out", str(broken), "--backend", "cuda-host", "--no-plot"]
        said = CliRunner().invoke(main, words)
    assert said.exit_code == 1 and failing.left == -1
    assert said.stderr.count("the device failed") == 1 and "--backend numba" in said.stderr
    work = broken.with_suffix(".work")
    (checkpoint,) = work.glob("task*/checkpoint.npz")
    assert 16 < read_arrays(checkpoint)[1]["sweep"] < 80 and not broken.exists()
    shutil.copytree(work, tmp_path / "other.work")
    for out, backend in ((broken, "cuda-host"), (tmp_path / "other.nc", "numba")):
        resumed = summary(path, out=out, backend=backend)
        assert set(resumed.data_vars) == set(expected.data_vars)
        for variable in expected.data_vars:
            np.testing.assert_array_equal(resumed[variable], expected[variable], err_msg=variable)
        assert not out.with_suffix(".work").exists()


TRAINING = """
model = "rbm"
seed = 4
[set]
Nv = 8
Nh = 4
[train]
data = { path = "x.npy" }
method = "pcd"
steps = 1
updates = 30
batch = 10
chains = 12
record = [15]
tau_sweeps = 0
"""


def test_a_training_continues_with_the_same_bits(tmp_path, monkeypatch):
    path = tmp_path / "t.toml"
    path.write_text(TRAINING)
    np.save(tmp_path / "x.npy", np.random.default_rng(0).integers(0, 2, (40, 8)))
    monkeypatch.setattr(training, "CHECKPOINT_SECONDS", 0.0)
    counting = Failing(10**9)
    monkeypatch.setattr(host_backend, "device", lambda: counting)
    expected = summary(path, out=tmp_path / "whole.nc", backend="cuda-host")
    launches = 10**9 - counting.left
    with monkeypatch.context() as patched:
        failing = Failing(launches // 2)
        patched.setattr(host_backend, "device", lambda: failing)
        with pytest.raises(BackendError):
            run_study(path, out=tmp_path / "broken.nc", backend="cuda-host")
    (checkpoint,) = (tmp_path / "broken.work").glob("train*/checkpoint.npz")
    assert 0 < int(read_arrays(checkpoint)[0]["update"]) < 30
    resumed = summary(path, out=tmp_path / "broken.nc", backend="cuda-host")
    for variable in expected.data_vars:
        np.testing.assert_array_equal(resumed[variable], expected[variable], err_msg=variable)

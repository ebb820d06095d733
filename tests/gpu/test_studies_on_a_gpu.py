"""Whole studies on a real device: an integer study that changes backends, and a cut Hopfield study."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from physebm.cli import main
from physebm.storage.dataset import record_of
from physebm.storage.netcdf import open_group, open_summary
from physebm.study import task
from physebm.study.measure import Recorder
from physebm.study.runner import run_study

BACKEND = "cuda"
HOPFIELD = Path(__file__).parents[2] / "studies" / "hopfield_phase.toml"
GLASS = """
model = "edwards_anderson_3d"
seed = 5
[scan]
disorder = 2
temperature = [1.0, 1.5, 2.5]
[set]
L = 4
[sample]
chains = 2
sweeps = 120
discard = 40
[tempering]
[observe]
record = ["energy", "replica_overlap_squared"]
"""


@pytest.mark.parametrize(("first", "second"), [(BACKEND, "numba"), ("numba", BACKEND)])
def test_a_study_that_changes_backends_ends_with_the_same_bits(first, second, tmp_path, monkeypatch):
    path, out, draws = tmp_path / "study.toml", tmp_path / "changed.nc", []
    path.write_text(GLASS)
    monkeypatch.setattr(task, "CHECKPOINT_SECONDS", 0.0)
    whole = open_summary(run_study(path, out=tmp_path / "whole.nc", backend="numba").result)
    record = Recorder.record

    def interrupted(self, *arguments):
        draws.append(record(self, *arguments))
        if len(draws) == 50:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Recorder, "record", interrupted)
        run_study(path, out=out, backend=first)
    assert list(out.with_suffix(".work").glob("task*/checkpoint.npz"))
    found = open_summary(run_study(path, out=out, backend=second).result)
    assert set(found.data_vars) == set(whole.data_vars)
    for name in whole.data_vars:
        np.testing.assert_array_equal(found[name], whole[name], err_msg=name)


def test_the_hopfield_study_end_to_end(tmp_path):
    overrides = {
        "N": "256", "scan.alpha": "[0.02, 0.1]", "scan.temperature": "[0.2, 1.4]", "scan.disorder": "3",
        "sample.discard": "100", "sample.sweeps": "640",
    }  # fmt: skip
    words = [part for key, value in overrides.items() for part in ("--set", f"{key}={value}")]
    results = {}
    for backend in (BACKEND, "numba"):
        out = tmp_path / backend / "r.nc"
        done = CliRunner().invoke(
            main, ["run", str(HOPFIELD), "--out", str(out), "--backend", backend, *words]
        )
        assert done.exit_code == 0, done.output
        assert done.output.startswith(f"backend  {backend}")
        assert list(out.parent.glob("*.png")) or list(out.parent.glob("*.pdf"))
        results[backend] = open_summary(out).load()
        assert record_of(open_group(out, "/provenance"))["backend"] == backend
    found, expected = results[BACKEND], results["numba"]
    m = found["retrieval_overlap"].sel(start="pattern", alpha=0.02)
    assert float(m.sel(temperature=0.2).mean()) > 0.95
    assert abs(float(m.sel(temperature=1.4).mean())) < 0.2
    # the same chains: where a decision fell otherwise, they still sample the same distribution
    hot = {"temperature": 1.4}
    for name in ("energy", "retrieval_overlap"):
        error = np.hypot(found[f"{name}_stderr"].sel(hot), expected[f"{name}_stderr"].sel(hot))
        z = (found[name].sel(hot) - expected[name].sel(hot)) / error
        assert float(abs(z).max()) <= 4.5, name

"""Runs that are cut: what is under way is ended safely, and the time of all pieces counts."""

import os
import signal

import pytest
from study_files import write

from physebm.storage.netcdf import open_summary, write_tree
from physebm.study import runner, training
from physebm.study.runner import run_study

ISING = """
model = "ising_2d"
seed  = 5
[set]
L = 4
[sample]
chains = 2
sweeps = 64
[observe]
record = ["energy"]
"""
TRAINED = """
model = "rbm"
seed  = 5
[set]
Nv = 16
Nh = 16
[train]
data    = { source = "model", model = "rbm", set = { Nv = 16, Nh = 16 }, samples = 40 }
updates = 4
chains  = 8
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_the_result_is_written_waits_until_it_is_whole(tmp_path, monkeypatch, number):
    written = []

    def struck(path, groups, **options):
        os.kill(os.getpid(), number)
        write_tree(path, groups, **options)
        written.append(path)

    monkeypatch.setattr(runner, "write_tree", struck)
    path, out = write(tmp_path, ISING), tmp_path / "r.nc"
    with pytest.raises(KeyboardInterrupt):
        run_study(path, out=out)
    assert written == [out]
    assert "energy" in open_summary(out)
    assert not run_study(path, out=out).fresh


def test_the_seconds_of_earlier_runs_count(tmp_path, monkeypatch):
    told = []
    save = training._save

    def saved(ready, path, digest, seconds):
        told.append(seconds)
        save(ready, path, digest, seconds)

    monkeypatch.setattr(training, "_save", saved)
    monkeypatch.setattr(training, "_restore", lambda *arguments: 1000.0)
    monkeypatch.setattr(training, "CHECKPOINT_SECONDS", 0.0)
    run_study(write(tmp_path, TRAINED), out=tmp_path / "r.nc")
    assert told and min(told) >= 1000.0

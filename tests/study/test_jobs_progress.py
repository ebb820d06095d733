"""How far a study is: what runs counts as it goes, what was stopped counts as far as it was saved."""

import json

import numpy as np
import pytest

from physebm.storage.arrays_file import write_arrays
from physebm.study.jobs_progress import note_of, progress_of, reporter, saved_fraction, settle
from physebm.study.opened import open_study

STUDY = """
model = "rbm"
[set]
Nv = 4
Nh = 2
[scan]
temperature = [1.0, 2.0]
[train]
data    = { source = "model", model = "rbm", set = { Nv = 4, Nh = 2 }, samples = 10 }
method  = "exact"
updates = 8
[sample]
discard = 10
sweeps  = 199
every   = 3
[free_energy]
method = ["exact", "mean-field"]
"""


@pytest.fixture
def opened(tmp_path):
    (tmp_path / "s.toml").write_text(STUDY)
    return open_study(tmp_path / "s.toml", out=tmp_path / "r.nc")


def parts(opened):
    grid = opened.grid
    return grid.trainings[0], grid.tasks[0], grid.free_energies[0]


def checkpoint(opened, part, arrays, **meta):
    folder = opened.work / part.name
    folder.mkdir(parents=True, exist_ok=True)
    write_arrays(folder / "checkpoint.npz", arrays, {"study": opened.digest, **meta})
    return folder


def test_what_is_saved_is_what_the_next_run_does_not_do_again(opened):
    training, task, free = parts(opened)
    assert [saved_fraction(opened, part) for part in (training, task, free)] == [0.0, 0.0, 0.0]
    checkpoint(opened, training, {"update": np.int64(6)})
    checkpoint(opened, task, {}, sweep=52)
    folder = opened.work / free.name
    folder.mkdir()
    write_arrays(folder / "exact.npz", {}, {"study": opened.digest})
    # 10 sweeps are discarded, then 66 draws of 3
    # 2 temperatures, 5 sums over 2^2 hidden states each; 8 starts of 6 units and 100 passes each
    exact, mean_field = 2 * 5 * 4, 2 * 8 * 6 * 100
    expected = [6 / 8, 52 / 208, exact / (exact + mean_field)]
    assert [saved_fraction(opened, part) for part in (training, task, free)] == expected
    assert progress_of(opened, False) == (pytest.approx(np.mean(expected)), 0, 3)


def test_files_that_no_run_would_continue_count_nothing(opened):
    training, task, _ = parts(opened)
    checkpoint(opened, training, {"update": np.int64(6)}, study="another")
    file = checkpoint(opened, task, {}, sweep=52) / "checkpoint.npz"
    file.write_bytes(file.read_bytes()[:-40])
    assert progress_of(opened, False) == (0.0, 0, 3)


def test_what_a_running_job_says_counts_until_it_is_stopped(opened):
    training, task, free = parts(opened)
    folder = checkpoint(opened, training, {"update": np.int64(2)})
    reporter(folder)(0.5, "update 4")
    assert progress_of(opened, True)[0] == pytest.approx(0.5 / 3)
    assert progress_of(opened, False)[0] == pytest.approx(0.25 / 3)
    assert note_of(opened) == "update 4"
    settle(opened)
    assert json.loads((folder / "progress.json").read_text()) == {"fraction": 0.25, "note": ""}
    assert progress_of(opened, True)[0] == pytest.approx(0.25 / 3) and note_of(opened) == ""
    # a job that has ended is done, whatever it said last
    write_arrays(folder / "result.npz", {}, {"study": opened.digest})
    for running in (True, False):
        assert progress_of(opened, running) == (pytest.approx(1 / 3), 1, 3)
    assert not (opened.work / task.name).exists() and not (opened.work / free.name).exists()

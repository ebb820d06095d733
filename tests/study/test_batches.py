"""Tasks for GPUs: everything together, in batches where memory is short; the same bits either way."""

import json
from pathlib import Path

import numpy as np
import pytest

from physebm.backends.cuda import host_backend
from physebm.backends.cuda.host_device import HostDevice, compiler
from physebm.backends.cuda.visible import Visible
from physebm.backends.select import Choice
from physebm.storage.netcdf import open_summary
from physebm.study import api, batches, grid, workfolder
from physebm.study.models import load_model
from physebm.study.opened import open_study
from physebm.study.runner import run_study

needs_compiler = pytest.mark.skipif(compiler() is None, reason="no C++ compiler on this machine")
HOST, CUDA = Choice("cuda-host"), Choice("cuda")
STUDIES = Path(__file__).parents[2] / "studies"
SHIPPED = ("hopfield_phase", "hopfield_remanence", "ea_3d_tempering", "sk_overlap", "inverse_ising")

STUDY = """
model = "{model}"
seed = 3
[set]
{size}
[scan]
disorder = {disorder}
temperature = {temperatures}
{start}
[sample]
chains = 2
sweeps = 64
discard = 8
[observe]
record = {record}
"""
HOPFIELD = {
    "model": "hopfield", "size": "N = 12\nP = 2", "disorder": 4, "temperatures": "[0.3, 0.7]",
    "record": '["energy", "retrieval_overlap"]', "start": 'start = ["random", "all-up"]',
}  # fmt: skip
GLASS = {
    "model": "edwards_anderson_3d", "size": "L = 3", "disorder": 3, "temperatures": "[1.5, 2.5]",
    "record": '["energy", "replica_overlap_squared"]\n[tempering]\nladder = "as-scanned"', "start": "",
}  # fmt: skip
CASES = {"cells": HOPFIELD, "temperatures": HOPFIELD, "ladders": GLASS}


def opened(folder, told, name="s"):
    path = folder / f"{name}.toml"
    path.write_text(STUDY.format(**told))
    return open_study(path, out=folder / f"{name}.nc")


def given(monkeypatch, free=None) -> HostDevice:
    device = HostDevice(free=free)
    monkeypatch.setattr(host_backend, "device", lambda: device)
    return device


@pytest.mark.parametrize("name", SHIPPED)
def test_a_grid_that_is_cut_as_it_was_is_the_same(name, tmp_path):
    study = open_study(STUDIES / f"{name}.toml", out=tmp_path / "r.nc")
    assert grid.recut(study.study, study.grid, ()) == study.grid
    # and so it is after another cut
    lanes = (8,) * len(grid.groups_of_cells(grid.cells_of(study.grid)))
    other = grid.recut(study.study, study.grid, lanes)
    assert grid.recut(study.study, other, ()) == study.grid
    index = sorted(point.index for task in other.tasks for point in task.points)
    assert index == sorted(point.index for task in study.grid.tasks for point in task.points)


def test_processors_have_the_cut_of_the_study(tmp_path):
    study = opened(tmp_path, HOPFIELD)
    assert batches.lanes_for(study.study, study.grid, Choice("numba"), 4) == ((), [])


def test_all_points_of_a_structure_go_together(tmp_path, monkeypatch):
    monkeypatch.setattr(grid, "LANES_PER_TASK", 4)
    study = opened(tmp_path, HOPFIELD)
    given(monkeypatch)
    assert len(study.grid.tasks) == 4
    lanes, lines = batches.lanes_for(study.study, study.grid, HOST)
    assert lanes == (4 * 2 * 2 * 2,) and not lines
    (task,) = grid.recut(study.study, study.grid, lanes).tasks
    assert len(task.points) == 16 and len(task.cells) == 4


def test_every_device_has_a_task(tmp_path, monkeypatch):
    monkeypatch.setattr(grid, "LANES_PER_TASK", 4)
    study = opened(tmp_path, HOPFIELD)
    given(monkeypatch)
    monkeypatch.setattr(batches, "devices_of", lambda taken, workers: (Visible("a"), Visible("b")))
    for workers, tasks in ((1, 1), (2, 2), (5, 2)):
        lanes, _ = batches.lanes_for(study.study, study.grid, HOST, workers)
        assert len(grid.recut(study.study, study.grid, lanes).tasks) == tasks


def bytes_of_tasks(study) -> list[int]:
    device = HostDevice()
    return [batches.task_bytes(study.study, task, "cuda-host", device) for task in study.grid.tasks]


@needs_compiler
@pytest.mark.parametrize("case", CASES)
def test_what_does_not_fit_is_cut_into_batches_with_the_same_bits(case, tmp_path, monkeypatch):
    study = opened(tmp_path, CASES[case])
    (whole,) = bytes_of_tasks(study)
    # room for two cells of four, for one temperature of a cell, for one ladder of three
    part = {"cells": 0.6, "temperatures": 0.16, "ladders": 0.4}[case]
    free = int(part * whole / batches.SHARE)
    given(monkeypatch, free)
    lanes, (line,) = batches.lanes_for(study.study, study.grid, HOST)
    cut = grid.recut(study.study, study.grid, lanes)
    tasks = {"cells": 2, "temperatures": 8, "ladders": 3}[case]
    assert len(cut.tasks) == tasks and "chains at a time" in line
    assert all(task.cells for task in cut.tasks)
    told = []
    run_study(study.path, out=tmp_path / "cut.nc", backend="cuda-host", told=told.append)
    assert told == [
        "backend  cuda-host (for proofs: this processor, thread by thread; very slow)",
        line,
    ]
    expected = open_summary(run_study(study.path, out=study.out, backend="numba").result)
    found = open_summary(tmp_path / "cut.nc")
    assert set(found.data_vars) == set(expected.data_vars)
    for name in expected.data_vars:
        np.testing.assert_array_equal(found[name], expected[name], err_msg=name)


@needs_compiler
def test_samples_from_python_go_together_too(monkeypatch):
    monkeypatch.setattr(grid, "LANES_PER_TASK", 4)
    given(monkeypatch)
    model, options = load_model("ising_2d", L=4), {"sweeps": 64, "discard": 8, "disorder": 3}
    tasks, run = [], api.run_task

    def counted(study, task, *rest):
        tasks.append(task)
        return run(study, task, *rest)

    monkeypatch.setattr(api, "run_task", counted)
    found = api.sample(model, [2.0, 3.0], backend="cuda-host", **options)
    assert len(tasks) == 1
    expected = api.sample(model, [2.0, 3.0], backend="numba", **options)
    assert len(tasks) == 4
    assert np.array_equal(found["energy"], expected["energy"])


def test_batches_fit(tmp_path, monkeypatch):
    study = opened(tmp_path, {**HOPFIELD, "disorder": 9})
    (whole,) = bytes_of_tasks(study)
    for part in (0.9, 0.5, 0.25, 0.12):
        free = int(part * whole / batches.SHARE)
        given(monkeypatch, free)
        lanes, lines = batches.lanes_for(study.study, study.grid, HOST)
        cut = grid.recut(study.study, study.grid, lanes)
        study_cut = type(study)(**{**vars(study), "grid": cut})
        assert max(bytes_of_tasks(study_cut)) <= batches.SHARE * free, part
        assert len(cut.tasks) > 1 and lines


def test_work_that_is_begun_keeps_its_cut(tmp_path, monkeypatch):
    monkeypatch.setattr(grid, "LANES_PER_TASK", 4)
    study = opened(tmp_path, HOPFIELD)
    study.work.mkdir()
    workfolder._identify(study.work, study.digest, "", None)
    # without any work the next run decides anew
    workfolder.keep_lanes(study.work, (32,))
    assert workfolder.lanes_per_task(study.work, study.digest) is None
    assert len(open_study(study.path, out=study.out).grid.tasks) == 4
    (study.work / "task0001").mkdir()
    (study.work / "task0001" / "checkpoint.npz").write_bytes(b"")
    assert workfolder.lanes_per_task(study.work, study.digest) == (32,)
    assert len(open_study(study.path, out=study.out).grid.tasks) == 1
    # work of versions that did not cut otherwise
    identity = study.work / workfolder.IDENTITY
    held = json.loads(identity.read_text())
    del held["lanes_per_task"]
    identity.write_text(json.dumps(held))
    assert workfolder.lanes_per_task(study.work, study.digest) == ()
    assert len(open_study(study.path, out=study.out).grid.tasks) == 4

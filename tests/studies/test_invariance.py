"""The same bits for any interruption, number of threads or workers, batching, and longer scans."""

import os
import signal
import subprocess
import sys
import time

import numba
import pytest
from study_files import HOPFIELD, ISING, SK, assert_same_bits, write

from physebm.storage.netcdf import open_group, open_summary
from physebm.study import claim, grid, jobs, task
from physebm.study.runner import run_study


def summary(path, folder, *, out="a.nc", overrides=(), **options):
    return open_summary(run_study(path, overrides, out=folder / out, **options).result)


@pytest.mark.parametrize("text", [ISING, HOPFIELD, SK], ids=["ising", "hopfield", "sk"])
def test_an_interrupted_run_ends_with_the_same_bits(tmp_path, monkeypatch, text):
    path = write(tmp_path, text)
    whole = summary(path, tmp_path)

    monkeypatch.setattr(task, "CHECKPOINT_SECONDS", 0.0)
    steps = []
    original = task.Recorder.record

    def interrupted(self, state, lanes_of):
        original(self, state, lanes_of)
        steps.append(1)
        if len(steps) in (7, 50):
            raise KeyboardInterrupt

    monkeypatch.setattr(task.Recorder, "record", interrupted)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            run_study(path, out=tmp_path / "b.nc")
        assert list((tmp_path / "b.work").glob("*/checkpoint.npz"))
    assert_same_bits(whole, summary(path, tmp_path, out="b.nc"))
    assert not (tmp_path / "b.work").exists()


def test_a_run_killed_by_the_system_continues_and_ends_with_the_same_bits(tmp_path):
    path = write(tmp_path, ISING.replace("sweeps  = 320", "sweeps  = 20000"))
    code = (
        "import physebm.study.task as t; t.CHECKPOINT_SECONDS = 0.02\n"
        "from physebm.study.runner import run_study\n"
        f"run_study({str(path)!r}, out={str(tmp_path / 'b.nc')!r})"
    )
    child = subprocess.Popen([sys.executable, "-c", code])
    checkpoint = tmp_path / "b.work" / "task0001" / "checkpoint.npz"
    end = time.monotonic() + 60
    while not checkpoint.exists() and child.poll() is None and time.monotonic() < end:
        time.sleep(0.005)
    assert checkpoint.exists()
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    assert not (tmp_path / "b.nc").exists()
    resumed = summary(path, tmp_path, out="b.nc")
    assert_same_bits(summary(path, tmp_path), resumed)


def test_workers_whose_run_was_killed_end_before_the_next_run_begins(tmp_path, monkeypatch):
    text = HOPFIELD.replace("sweeps  = 200\nevery   = 2", "sweeps  = 40000\nevery   = 200")
    path = write(tmp_path, text.replace("N = 40", "").replace("[scan]", "[scan]\nN = [40, 44]"))
    work = tmp_path / "b.work"
    command = ["run", str(path), "--out", str(tmp_path / "b.nc"), "--workers", "2", "--no-plot"]
    child = subprocess.Popen([sys.executable, "-m", "physebm", *command], stdout=subprocess.DEVNULL)
    end = time.monotonic() + 60
    while len(claim.holders(work)) < 2 and child.poll() is None and time.monotonic() < end:
        time.sleep(0.02)
    left = claim.holders(work)
    assert len(left) == 2
    child.kill()
    child.wait()
    assert claim.holders(work) == left  # they go on without it
    begun = []
    monkeypatch.setattr(jobs, "settle", lambda opened: begun.append(claim.holders(work)))
    resumed = summary(path, tmp_path, out="b.nc")
    assert begun == [[]]
    assert_same_bits(summary(path, tmp_path), resumed)


@pytest.mark.parametrize("text", [HOPFIELD, SK], ids=["hopfield", "sk"])
def test_threads_change_no_bit(tmp_path, text):
    path = write(tmp_path, text)
    whole = summary(path, tmp_path)
    before = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        assert_same_bits(whole, summary(path, tmp_path, out="b.nc"))
    finally:
        numba.set_num_threads(before)


def test_workers_change_no_bit(tmp_path):
    path = write(tmp_path, HOPFIELD)
    assert_same_bits(summary(path, tmp_path), summary(path, tmp_path, out="b.nc", workers=2))


@pytest.mark.parametrize("text", [HOPFIELD, SK], ids=["hopfield", "sk"])
def test_batching_changes_no_bit(tmp_path, monkeypatch, text):
    path = write(tmp_path, text)
    whole = summary(path, tmp_path)
    monkeypatch.setattr(grid, "LANES_PER_TASK", 4)
    assert_same_bits(whole, summary(path, tmp_path, out="b.nc"))


def test_new_values_on_an_axis_leave_the_other_points_alone(tmp_path):
    path = write(tmp_path, HOPFIELD)
    small = summary(path, tmp_path)
    more = ["scan.alpha=[0.025, 0.05, 0.1]", "scan.disorder=3", "scan.temperature=[0.3, 0.6, 0.9]"]
    large = summary(path, tmp_path, out="b.nc", overrides=more)
    part = large.sel(alpha=small.alpha, disorder=small.disorder, temperature=small.temperature)
    part = part.transpose(*small.dims, ...)
    for name in ("energy", "energy_stderr", "retrieval_overlap", "q_edwards_anderson"):
        assert small[name].values.tobytes() == part[name].values.tobytes()


def test_a_new_temperature_leaves_random_starts_of_gaussian_units_alone(tmp_path):
    text = HOPFIELD.replace('"hopfield"', '"hopfield_gaussian"').replace("discard = 20", "discard = 0")
    text = text.replace(', "q_edwards_anderson"', "")
    path = write(tmp_path, text)
    small = summary(path, tmp_path)
    large = summary(path, tmp_path, out="b.nc", overrides=["scan.temperature=[0.3, 0.9, 2.0]"])
    part = large.sel(temperature=small.temperature)
    assert small.energy.values.tobytes() == part.energy.values.tobytes()


def test_longer_runs_have_the_shorter_ones_series_as_their_beginning(tmp_path):
    path = write(tmp_path, ISING)
    run_study(path, out=tmp_path / "a.nc")
    run_study(path, ["sample.sweeps=480"], out=tmp_path / "b.nc")
    a, b = (open_group(tmp_path / name, "series").energy.values for name in ("a.nc", "b.nc"))
    assert (a == b[..., : a.shape[-1]]).all()


def test_backends_agree_on_every_bit_of_an_integer_model(tmp_path):
    path = write(tmp_path, ISING.replace("sweeps  = 320", "sweeps  = 128"))
    numba_run = summary(path, tmp_path)
    assert_same_bits(numba_run, summary(path, tmp_path, out="b.nc", backend="reference"))


def test_another_seed_gives_other_numbers(tmp_path):
    path = write(tmp_path, ISING)
    other = summary(path, tmp_path, out="b.nc", overrides=["seed=8"])
    assert (summary(path, tmp_path).energy.values != other.energy.values).all()

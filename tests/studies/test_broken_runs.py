"""Runs that fail, are interrupted, collide or find their files damaged: nothing is lost or mixed."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from study_files import assert_same_bits, write

from physebm.cli import main
from physebm.storage.dataset import DONE, FAILED
from physebm.storage.netcdf import open_summary
from physebm.study import jobs, task

STUDY = """
model = "ising_2d"
seed  = 5
[scan]
L = [3, 4]
temperature = [2.0, 2.5]
[sample]
chains  = 2
discard = 8
sweeps  = 64
[observe]
record = ["energy", "abs_magnetisation"]
"""
LONG = STUDY.replace("sweeps  = 64", "sweeps  = 12000")
ROOT = Path(__file__).parents[2]


def physebm(*arguments):
    done = CliRunner().invoke(main, [str(each) for each in arguments])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exc_info
    assert "Traceback" not in done.output
    return done.exit_code, done.output


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The summary of the small study, run without any trouble."""
    folder = tmp_path_factory.mktemp("whole")
    assert physebm("run", write(folder, STUDY), "--out", folder / "r.nc")[0] == 0
    return open_summary(folder / "r.nc")


@pytest.fixture
def place(tmp_path):
    """Arguments of `run` for the small study at another place."""
    return "run", write(tmp_path, STUDY), "--out", tmp_path / "r.nc"


def failing(monkeypatch, *numbers):
    """Make some tasks fail; returns the numbers of the tasks that were set up to be computed."""
    begun = []
    original = task.setup.prepare

    def prepare(study, given, backend, trained=None):
        begun.append(given.number)
        if given.number in numbers:
            raise RuntimeError("the disk of this machine melted")
        return original(study, given, backend, trained)

    monkeypatch.setattr(task.setup, "prepare", prepare)
    return begun


def test_a_failed_task_keeps_the_others_and_is_the_only_one_tried_again(
    tmp_path, monkeypatch, whole, place
):
    with monkeypatch.context() as patched:
        failing(patched, 2)
        status, text = physebm(*place)
    assert status == 1 and "failed   task0002: RuntimeError: the disk of this machine melted" in text
    part = open_summary(tmp_path / "r.nc")
    assert part.status.sel(L=3).values.tolist() == [DONE, DONE]
    assert part.status.sel(L=4).values.tolist() == [FAILED, FAILED]
    assert "melted" in str(part.message.sel(L=4).values[0]) and not part.message.sel(L=3).values[0]
    assert np.isnan(part.energy.sel(L=4)).all()
    assert part.energy.sel(L=3).values.tobytes() == whole.energy.sel(L=3).values.tobytes()
    assert "RuntimeError" in (tmp_path / "r.work" / "task0002" / "error.txt").read_text()
    status, text = physebm("status", *place[1:])
    assert status == 0 and "1 of 2 tasks" in text and "task0002: failed" in text

    begun = failing(monkeypatch)
    assert physebm(*place)[0] == 0
    assert begun == [2]
    assert_same_bits(whole, open_summary(tmp_path / "r.nc"))
    assert not (tmp_path / "r.work").exists()


def test_when_every_task_fails_the_first_reason_is_told_and_no_result_written(
    tmp_path, monkeypatch, place
):
    failing(monkeypatch, 1, 2)
    status, text = physebm(*place)
    assert status == 1 and "every task failed" in text and "melted" in text
    assert not (tmp_path / "r.nc").exists()


def test_restart_keeps_the_old_result_until_there_is_a_new_one(tmp_path, monkeypatch, whole, place):
    assert physebm(*place)[0] == 0
    before = (tmp_path / "r.nc").read_bytes()
    with monkeypatch.context() as patched:
        failing(patched, 1, 2)
        assert physebm(*place, "--restart")[0] == 1
    assert (tmp_path / "r.nc").read_bytes() == before
    begun = failing(monkeypatch)
    assert physebm(*place, "--restart")[0] == 0
    assert begun == [1, 2]
    assert_same_bits(whole, open_summary(tmp_path / "r.nc"))


# ---- damaged files ------------------------------------------------------------------------------


def half_done(monkeypatch, place):
    """Task 1 done, task 2 interrupted in the middle with a checkpoint."""
    original = task.Recorder.record

    def record(self, state, lanes_of):
        original(self, state, lanes_of)
        if self.subject.hamiltonian.counted_units == 16 and self.taken == 40:
            os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patched:
        patched.setattr(task.Recorder, "record", record)
        status, text = physebm(*place)
    assert status == 130 and "to continue where it stopped" in text
    work = Path(place[-1]).with_name("r.work")
    assert (work / "task0001" / "result.npz").exists()
    assert (work / "task0002" / "checkpoint.npz").exists()
    return work


def damage(path, how):
    held = path.read_bytes()
    middle = len(held) // 2
    flipped = held[:middle] + bytes([held[middle] ^ 1]) + held[middle + 1 :]
    path.write_bytes({"truncated": held[:middle], "one bit": flipped, "empty": b""}[how])


@pytest.mark.parametrize("how", ["truncated", "one bit", "empty"])
def test_damaged_checkpoints_and_results_are_computed_again(tmp_path, monkeypatch, whole, place, how):
    work = half_done(monkeypatch, place)
    damage(work / "task0001" / "result.npz", how)
    damage(work / "task0002" / "checkpoint.npz", how)
    begun = failing(monkeypatch)
    assert physebm(*place)[0] == 0
    assert begun == [1, 2]
    assert_same_bits(whole, open_summary(tmp_path / "r.nc"))


def test_sound_ones_are_continued(tmp_path, monkeypatch, whole, place):
    half_done(monkeypatch, place)
    begun, steps = failing(monkeypatch), []
    original = task.Recorder.record
    monkeypatch.setattr(
        task.Recorder, "record", lambda self, *given: (steps.append(1), original(self, *given))[1]
    )
    assert physebm(*place)[0] == 0
    assert begun == [2] and len(steps) == 64 - 40
    assert_same_bits(whole, open_summary(tmp_path / "r.nc"))


def test_a_lost_identity_is_read_from_the_tasks(tmp_path, monkeypatch, whole, place):
    work = half_done(monkeypatch, place)
    (work / "study.json").write_text('{"study": "0')
    status, text = physebm(*place, "--set", "seed=6")
    assert status == 2 and "unfinished work of another study" in text
    begun = failing(monkeypatch)
    assert physebm(*place)[0] == 0
    assert begun == [2]
    assert_same_bits(whole, open_summary(tmp_path / "r.nc"))


def test_unfinished_work_of_another_study_is_left_alone(tmp_path, monkeypatch, whole, place):
    work = half_done(monkeypatch, place)
    before = {path: path.read_bytes() for path in work.rglob("*") if path.is_file()}
    status, text = physebm(*place, "--set", "seed=6")
    assert status == 2 and "unfinished work of another study (study)" in text
    assert "choose another --out; --restart forgets" in text
    assert {path: path.read_bytes() for path in work.rglob("*") if path.is_file()} == before
    assert physebm(*place)[0] == 0
    assert_same_bits(whole, open_summary(tmp_path / "r.nc"))


def test_checkpoints_of_another_study_are_not_continued(tmp_path, monkeypatch, whole, place):
    """Even where somebody copied them into this one's folder."""
    work = half_done(monkeypatch, (*place, "--set", "seed=6")[:2] + place[2:])
    checkpoint = (work / "task0002" / "checkpoint.npz").read_bytes()
    (work / "task0001" / "checkpoint.npz").write_bytes(checkpoint)
    (work / "task0001" / "result.npz").unlink()
    identity = json.loads((work / "study.json").read_text())
    assert identity["title"] == "study"
    for name in ("task0001", "task0002"):
        held, meta = task.read_arrays(work / "task0002" / "checkpoint.npz")
        task.write_arrays(work / name / "checkpoint.npz", held, meta | {"study": "another"})
    assert physebm(*place)[0] == 0
    assert_same_bits(whole, open_summary(tmp_path / "r.nc"))


# ---- real processes -----------------------------------------------------------------------------


def start(*arguments):
    """A `physebm` process in a group of its own, as a terminal has it."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-m", "physebm", *map(str, arguments)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_for_progress(child, work, tasks=1):
    end = time.monotonic() + 90
    while len(list(work.glob("*/progress.json"))) < tasks:
        assert child.poll() is None, child.communicate()
        assert time.monotonic() < end
        time.sleep(0.005)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    assert physebm("run", write(folder, LONG), "--out", folder / "r.nc")[0] == 0
    return open_summary(folder / "r.nc")


@pytest.mark.parametrize("number, workers, code", [(2, 2, 130), (15, 1, 143)])
def test_an_interrupted_process_keeps_its_checkpoints_and_says_how_to_continue(
    tmp_path, undisturbed, number, workers, code
):
    """Ctrl-C (2) reaches the whole group of processes, SIGTERM (15) the first one alone."""
    path = write(tmp_path, LONG)
    child = start("run", path, "--out", tmp_path / "r.nc", "--restart", "--workers", workers)
    wait_for_progress(child, tmp_path / "r.work", workers)
    (os.killpg if number == signal.SIGINT else os.kill)(child.pid, number)
    _, errors = child.communicate(timeout=60)
    assert child.returncode == code, errors
    assert "Traceback" not in errors and "Error" not in errors
    command = re.search(r"to continue where it stopped:\n  (physebm run .*)", errors)[1]
    assert str(path) in command and "--restart" not in command
    kept = [each.name for each in (tmp_path / "r.work").glob("task*/*.npz")]
    assert "checkpoint.npz" in kept and len(kept) == workers
    assert not (tmp_path / "r.nc").exists()
    assert physebm("run", path, "--out", tmp_path / "r.nc")[0] == 0
    assert_same_bits(undisturbed, open_summary(tmp_path / "r.nc"))


def test_a_second_run_of_a_study_is_told_of_the_first_and_takes_over_when_it_dies(
    tmp_path, undisturbed
):
    path = write(tmp_path, LONG)
    child = start("run", path, "--out", tmp_path / "r.nc")
    wait_for_progress(child, tmp_path / "r.work")
    for options in ((), ("--restart",)):
        status, text = physebm("run", path, "--out", tmp_path / "r.nc", *options)
        assert status == 2 and f"in use by process {child.pid}" in text, text
    assert f"running (process {child.pid}" in physebm("status", path, "--out", tmp_path / "r.nc")[1]
    assert child.poll() is None
    child.kill()
    child.communicate()
    assert "stopped" in physebm("status", path, "--out", tmp_path / "r.nc")[1]
    assert physebm("run", path, "--out", tmp_path / "r.nc")[0] == 0
    assert_same_bits(undisturbed, open_summary(tmp_path / "r.nc"))


def test_interrupts_at_any_moment_change_no_bit(tmp_path, undisturbed):
    """Signals come while kernels work on arrays in place: only whole sweeps may be saved."""
    path, out = write(tmp_path, LONG), tmp_path / "r.nc"
    # Each run is stopped once, further on than the last one was.
    code = (
        "import os, signal\n"
        "from physebm.study import jobs_progress, runner\n"
        "jobs_progress.PROGRESS_SECONDS = 0.01\n"
        "stopped = sent = 0\n"
        "def watch(fraction, done, tasks, note):\n"
        "    global sent\n"
        "    if sent == stopped < 12 and fraction > 0.07 * stopped:\n"
        "        sent += 1\n"
        "        os.kill(os.getpid(), signal.SIGINT)\n"
        "while True:\n"
        "    try:\n"
        f"        runner.run_study({str(path)!r}, out={str(out)!r}, watch=watch)\n"
        "        break\n"
        "    except KeyboardInterrupt:\n"
        "        stopped += 1\n"
        "print(stopped)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 4
    assert_same_bits(undisturbed, open_summary(out))


def test_the_runner_never_reads_the_study_again(tmp_path, monkeypatch, whole, place):
    """A study edited or removed while it runs is recorded as it was when it began."""
    original = jobs.run_task

    def editing(*given):
        Path(place[1]).unlink(missing_ok=True)
        return original(*given)

    monkeypatch.setattr(jobs, "run_task", editing)
    assert physebm(*place, "--no-plot")[0] == 0
    assert_same_bits(whole, open_summary(tmp_path / "r.nc"))

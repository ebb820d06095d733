"""Studies on a Dask cluster: the bits of a serial run, and nothing lost or mixed whatever ends."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from physebm.backends.select import Choice
from physebm.errors import StudyError
from physebm.storage.netcdf import open_group, open_summary
from physebm.study import batches, claim, interrupts
from physebm.study.cluster import Cluster
from physebm.study.executors import dask_cluster
from physebm.study.executors.dask_cluster import cluster, connected, workers_of
from physebm.study.opened import open_study
from physebm.study.runner import run_study

distributed = pytest.importorskip("distributed")

ISING = """
model = "ising_2d"
seed  = 5
[scan]
L = [3, 4, 5]
temperature = [2.0, 2.5]
[sample]
chains  = 2
discard = 8
sweeps  = 64
[observe]
record = ["energy", "abs_magnetisation"]
"""
LONG = ISING.replace("sweeps  = 64", "sweeps  = 20000").replace(", 5]", "]")
TRAINED = """
model = "rbm"
seed  = 3
[set]
Nv = 5
Nh = 3
[train]
data          = { path = "x.npy" }
method        = "exact"
updates       = 20
learning_rate = 0.3
record        = [10, 20]
[sample]
chains  = 2
discard = 8
sweeps  = 64
[observe]
record = ["energy"]
[free_energy]
method = ["exact"]
"""
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """Two workers of one thread each."""
    scratch = tmp_path_factory.mktemp("dask")
    with distributed.LocalCluster(
        processes=True,
        n_workers=2,
        threads_per_worker=1,
        dashboard_address=":0",
        local_directory=str(scratch),
    ) as held:
        yield held.scheduler_address


def bits(path: Path, group: str | None = None) -> dict:
    ds = open_summary(path) if group is None else open_group(path, group)
    return {name: ds[name].values.tobytes() for name in ds.data_vars if ds[name].dtype.kind != "O"}


def written(folder: Path, text: str) -> Path:
    (folder / "study.toml").write_text(text)
    np.save(folder / "x.npy", np.random.default_rng(1).integers(0, 2, (40, 5)).astype(float))
    return folder / "study.toml"


@pytest.fixture(scope="module")
def serial_long(tmp_path_factory):
    folder = tmp_path_factory.mktemp("serial")
    return bits(run_study(written(folder, LONG), out=folder / "r.nc").result)


# ---- the same bits ------------------------------------------------------------------------------


def test_a_study_has_the_bits_of_a_serial_run(tmp_path, address):
    path, told = written(tmp_path, ISING), []
    there = run_study(path, out=tmp_path / "a.nc", scheduler=address, told=told.append)
    here = run_study(path, out=tmp_path / "b.nc")
    assert bits(there.result) == bits(here.result) and len(bits(here.result)) > 5
    assert told[0] == f"cluster  2 workers at {address}"
    assert not (tmp_path / "a.work").exists()


def test_trainings_and_what_follows_them_too_with_paths_of_the_clients_folder(
    tmp_path, address, monkeypatch
):
    written(tmp_path, TRAINED)
    monkeypatch.chdir(tmp_path)
    run_study("study.toml", out="a.nc", scheduler=address)
    run_study("study.toml", out="b.nc")
    for group in (None, "training", "free_energies"):
        assert bits(tmp_path / "a.nc", group) == bits(tmp_path / "b.nc", group)
    assert "log_z" in str(sorted(bits(tmp_path / "a.nc", "free_energies"))).lower()


def test_tasks_for_devices_are_cut_by_what_the_workers_have(tmp_path, address):
    opened = open_study(written(tmp_path, ISING.replace("chains  = 2", "chains  = 3000")))
    with connected(address) as client, claim.claiming(tmp_path) as held:
        crew = Cluster(client, address, held, lambda line: None)
        taken = crew.choice("cuda-host")
        assert taken.name == "cuda-host" and taken.device
        lanes, _ = crew.lanes(opened.study, opened.grid, taken)
        assert crew.lanes(opened.study, opened.grid, Choice("numba")) == ((), [])
    # each group of 6000 chains is cut in two: one part for each worker
    assert lanes == (3000,) * 3
    assert lanes == batches.lanes_for(opened.study, opened.grid, taken, room=batches.Room(2, None))[0]


# ---- the executor -------------------------------------------------------------------------------


def work(item):
    """What workers of the tests below do."""
    if item == "dies":
        os.kill(os.getpid(), signal.SIGKILL)
    if item == "fails":
        raise ZeroDivisionError("a test")
    if item == "threads":
        return os.environ["NUMBA_NUM_THREADS"], os.getpid()
    return 2 * item


def test_a_failure_stands_for_its_value_and_a_worker_that_dies_costs_one_task(address):
    items = ["dies", *range(5), "fails", "threads"]
    with connected(address) as client:
        found = dict(cluster(work, items, client, lambda present: present, lambda: None))
        assert [found[item] for item in range(5)] == [0, 2, 4, 6, 8]
        assert isinstance(found["dies"], StudyError) and "worker process was killed" in str(
            found["dies"]
        )
        assert isinstance(found["fails"], ZeroDivisionError) and found["fails"].__traceback__
        assert found["threads"][0] == "1" and found["threads"][1] != os.getpid()
        end = time.monotonic() + 20
        while len(workers_of(client)) < 2:  # its nanny starts another
            assert time.monotonic() < end
            time.sleep(0.05)


def test_what_is_not_carried_to_its_end_asks_to_stop(address):
    stopped = []
    with connected(address) as client:
        mapped = cluster(work, range(4), client, lambda present: present, lambda: stopped.append(1))
        next(mapped)
        mapped.close()
    assert stopped == [1]


def test_without_workers_it_ends_with_a_message(address, monkeypatch):
    monkeypatch.setattr(dask_cluster, "ABSENT_SECONDS", 0.1)
    with connected(address) as client, pytest.raises(StudyError, match="no worker is left"):
        list(cluster(work, [1], client, lambda present: [], lambda: None))


# ---- runs that are ended ------------------------------------------------------------------------


def start(*arguments):
    """A `physebm` process in a group of its own, as a terminal has it."""
    return subprocess.Popen(
        [sys.executable, "-m", "physebm", *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def hurried():
    """Jobs of a worker ask more often than once a second whether they shall end."""
    interrupts.ASKED_SECONDS = 0.05


def begun(tmp_path, address):
    """A long study on the cluster, both tasks of which are under way."""
    with connected(address) as client:
        client.run(hurried)
    path = written(tmp_path, LONG)
    child = start("run", path, "--out", tmp_path / "r.nc", "--scheduler", address)
    work, end = tmp_path / "r.work", time.monotonic() + 60
    while len(claim.holders(work)) < 2 or len(list(work.glob("*/progress.json"))) < 2:
        assert child.poll() is None, child.communicate()
        assert time.monotonic() < end
        time.sleep(0.01)
    return path, child, work


def nothing_is_lost(work) -> bool:
    """No job is under way, and what each had is saved; at least one did not come to its end."""
    saved = [sorted(each.name for each in folder.iterdir()) for folder in work.glob("task*")]
    checkpoints = ["checkpoint.npz" in names for names in saved]
    ended = ["result.npz" in names for names in saved]
    return claim.holders(work) == [] and any(checkpoints) and all(map(max, checkpoints, ended))


def test_ctrl_c_ends_the_jobs_which_save_what_they_have(tmp_path, address, serial_long):
    path, child, work = begun(tmp_path, address)
    os.killpg(child.pid, signal.SIGINT)
    _, errors = child.communicate(timeout=60)
    assert child.returncode == 130, errors
    assert "Traceback" not in errors and "Error" not in errors
    assert re.search(r"to continue where it stopped:\n  physebm run .* --scheduler tcp://", errors)
    assert nothing_is_lost(work) and not (work / claim.NAME).exists()
    run_study(path, out=tmp_path / "r.nc", scheduler=address)
    assert bits(tmp_path / "r.nc") == serial_long


def test_jobs_of_a_client_that_was_killed_end_before_the_next_run_begins(
    tmp_path, address, serial_long
):
    path, child, work = begun(tmp_path, address)
    child.kill()
    child.communicate()
    assert len(claim.holders(work)) == 2
    claim.end_earlier(work)
    assert nothing_is_lost(work)
    run_study(path, out=tmp_path / "r.nc")
    assert bits(tmp_path / "r.nc") == serial_long

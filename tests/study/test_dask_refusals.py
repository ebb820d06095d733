"""Clusters that cannot be used: one message each, with the cause and what to do. None is started."""

import asyncio
import importlib.metadata
import os
import signal
import socket
import sys
import types
from contextlib import nullcontext

import pytest
from click.testing import CliRunner

from physebm.backends.select import Choice
from physebm.cli import main
from physebm.errors import BackendError, ResultFileError, StudyError
from physebm.storage.lock import holding
from physebm.study import batches, claim, cluster, interrupts
from physebm.study.claim import Claim, Claimed, claiming
from physebm.study.cluster import Worker, check_workers, room_of
from physebm.study.executors import dask_cluster
from physebm.study.runner import run_study

HERE = importlib.metadata.version("physebm")
NUMBA = Choice("numba", "no GPU: CuPy is not installed")
STUDY = """
model = "ising_2d"
[set]
L = 3
[scan]
temperature = [2.0]
[sample]
sweeps = 64
"""


def run(tmp_path, *arguments):
    path = tmp_path / "study.toml"
    path.write_text(STUDY)
    out = ("--out", str(tmp_path / "r.nc"))
    done = CliRunner().invoke(main, ["run", str(path), *out, *arguments])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exc_info
    assert sorted(each.name for each in tmp_path.iterdir()) == ["study.toml"]
    return done.exit_code, done.output


# ---- reaching it --------------------------------------------------------------------------------


def test_the_package_that_is_missing_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    status, text = run(tmp_path, "--scheduler", "tcp://host:8786")
    assert status == 1 and "pip install 'physebm[dask]'" in text


def test_a_cluster_has_its_own_workers(tmp_path):
    status, text = run(tmp_path, "--scheduler", "tcp://host:8786", "--workers", "2")
    assert status == 2 and "--workers 2" in text and "one of the two" in text


@pytest.mark.parametrize("listening", [False, True])
def test_a_place_without_a_scheduler(tmp_path, monkeypatch, listening):
    pytest.importorskip("distributed")
    monkeypatch.setattr(dask_cluster, "REACH_SECONDS", 0.5)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        if listening:
            taken.listen()
        address = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        status, text = run(tmp_path, "--scheduler", address)
    assert status == 1 and f"--scheduler {address}: no Dask scheduler answers" in text
    assert "dask worker ADDRESS" in text


@pytest.mark.parametrize(
    "address, words", [("host", "tcp://host:8786"), ("none.json", "No such file"), (":1", "an address")]
)
def test_what_is_no_address(tmp_path, address, words):
    pytest.importorskip("distributed")
    status, text = run(tmp_path, "--scheduler", address)
    assert status == 2 and words in text


def test_workers_for_gpus_need_dask_cuda(tmp_path, monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setitem(sys.modules, "dask_cuda", None)
    status, text = run(tmp_path, "--scheduler", "cuda")
    assert status == 1 and "pip install dask-cuda" in text and "--workers N" in text


def test_workers_for_gpus_that_do_not_start(tmp_path, monkeypatch):
    pytest.importorskip("distributed")

    def broken(**options):
        raise RuntimeError("NVML Shared Library Not Found")

    monkeypatch.setitem(sys.modules, "dask_cuda", types.SimpleNamespace(LocalCUDACluster=broken))
    status, text = run(tmp_path, "--scheduler", "cuda")
    assert status == 1 and "NVML Shared Library Not Found" in text and "nvidia-smi" in text


def test_cores_are_shared_by_the_workers_of_the_gpus_which_do_not_hear_ctrl_c(monkeypatch):
    asked = {}

    def started(**options):
        asked.update(options, heard=signal.getsignal(signal.SIGINT))
        return nullcontext("a cluster")

    monkeypatch.setitem(sys.modules, "dask_cuda", types.SimpleNamespace(LocalCUDACluster=started))
    monkeypatch.setattr(dask_cluster, "cores", lambda: 9)
    before = signal.getsignal(signal.SIGINT)
    with dask_cluster._gpus_of_this_machine(4):
        pass
    assert asked["memory_limit"] is asked["device_memory_limit"] is None
    assert asked["threads_per_worker"] == 2 and asked["heard"] is signal.SIG_IGN
    assert signal.getsignal(signal.SIGINT) is before


# ---- workers that do not fit --------------------------------------------------------------------


def good(**other) -> Worker:
    return Worker(**{"version": HERE, "taken": NUMBA, **other})


@pytest.mark.parametrize(
    "worker, kind, words",
    [
        (good(version="0.0.1"), StudyError, ("physebm 0.0.1", f"this machine {HERE}")),
        (good(version="none"), StudyError, ("no physebm", HERE)),
        (good(unseen="/shared/r.work"), StudyError, ("not see the folder /shared/r.work", "--out")),
        (good(taken=BackendError("no card")), BackendError, ("no card",)),
        (good(taken=Choice("cuda", "", "H100")), BackendError, ("tcp://a", "H100", "--backend numba")),
    ],
)
def test_the_worker_that_does_not_fit_is_named(worker, kind, words):
    check_workers({"tcp://a": good(), "tcp://c": good()})
    with pytest.raises(kind) as problem:
        check_workers({"tcp://a": good(), "tcp://b": worker})
    assert all(word in str(problem.value) for word in ("tcp://b", *words))


def test_a_worker_says_which_folder_it_does_not_see(tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "SHARED_SECONDS", 0.2)
    with claiming(tmp_path) as held:
        seen = asyncio.run(cluster.described(held, "numba"))
        assert seen.unseen == "" and seen.taken == Choice("numba") and seen.free is None
        elsewhere = Claim(tmp_path, held.run, tmp_path / "nowhere")
        assert asyncio.run(cluster.described(elsewhere, "numba")).unseen == str(tmp_path / "nowhere")
        another = Claim(tmp_path, "another", tmp_path)
        assert asyncio.run(cluster.described(another, "numba")).unseen == str(tmp_path)


def test_workers_on_one_device_share_its_memory():
    a, b = ("host", "GPU-a"), ("host", "GPU-b")
    one, two = good(place=a, free=1000), good(place=b, free=800)
    assert room_of([one, two]) == batches.Room(2, int(0.85 * 800))
    assert room_of([one, one, two]) == batches.Room(2, int(0.85 * 1000) // 2)
    assert room_of([good(), good()]) == batches.Room(2, None)


# ---- whose jobs may run -------------------------------------------------------------------------


class Job:
    """A job with a folder, and nothing else of one."""

    def __init__(self, folder):
        self.folder = folder


def test_a_job_works_in_the_clients_folder_while_its_claim_stands(tmp_path, monkeypatch):
    job = Job(tmp_path / "task0001")
    (tmp_path / "there").mkdir()
    with claiming(tmp_path) as held:
        held = Claim(held.work, held.run, tmp_path / "there")
        before = os.getcwd()
        found = Claimed(lambda job: (os.getcwd(), claim.holders(tmp_path)), held)(job)
        assert found[0] == str(tmp_path / "there") and os.getcwd() == before
        assert f"process {os.getpid()}" in found[1][0] and claim.holders(tmp_path) == []
    with pytest.raises(KeyboardInterrupt):
        Claimed(lambda job: pytest.fail("it ran"), held)(job)


def test_a_later_run_waits_for_jobs_that_are_under_way_and_names_them(tmp_path):
    (tmp_path / "task0001").mkdir()
    (tmp_path / claim.NAME).write_text('{"run": "an earlier one"}')
    with holding(tmp_path / "task0001"):
        with pytest.raises(ResultFileError, match=f"in use by process {os.getpid()}.* earlier run"):
            claim.end_earlier(tmp_path, patience=0.2)
    claim.end_earlier(tmp_path, patience=0.2)
    assert not (tmp_path / claim.NAME).exists()


FREE = STUDY.replace("[sample]", '[free_energy]\nmethod = ["exact"]\n[sample]')


@pytest.mark.parametrize(
    "text, kept",
    [(STUDY.replace("64", "200"), ["task0001"]), (FREE.replace("[sample]\nsweeps = 64", ""), [])],
)
def test_tasks_and_free_energies_end_where_they_are_asked_to(tmp_path, monkeypatch, text, kept):
    monkeypatch.setattr(interrupts, "ASKED_SECONDS", 0.0)
    path = tmp_path / "study.toml"
    path.write_text(text)
    asked = iter([False, True])
    with pytest.raises(KeyboardInterrupt, match="asked to end"):
        with interrupts.ended_by(lambda: next(asked)):
            run_study(path, out=tmp_path / "r.nc")
    assert [each.parent.name for each in (tmp_path / "r.work").glob("*/checkpoint.npz")] == kept
    interrupts.end_if_asked()
    assert not run_study(path, out=tmp_path / "r.nc").failures

"""Several GPUs: found without CUDA, one for every worker process in turn."""

import os
import subprocess
import time

import pytest

from physebm.backends.cuda import visible
from physebm.backends.cuda.visible import Visible, visible_devices
from physebm.backends.select import Choice
from physebm.study import batches
from physebm.study.executors import processes


def mine(_item) -> tuple[int, str | None]:
    time.sleep(0.5)  # long enough that every worker gets an item
    return os.getpid(), os.environ.get("CUDA_VISIBLE_DEVICES")


@pytest.mark.parametrize("devices", [(), ("GPU-a", "GPU-b")])
def test_workers_see_one_device_each_in_turn(devices, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    seen = dict(value for _, value in processes(mine, range(6), 3, devices))
    assert len(seen) == 3
    expected = sorted((*devices, *devices[:1])) if devices else ["0,1"] * 3
    assert sorted(seen.values()) == expected
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "0,1"


def played(monkeypatch, text: str) -> None:
    """``nvidia-smi`` that says `text`."""
    done = subprocess.CompletedProcess(visible.QUERY, 0, stdout=text)
    monkeypatch.setattr(visible.subprocess, "run", lambda *words, **options: done)


def test_devices_and_their_free_memory_are_asked_for(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    played(monkeypatch, "GPU-a, 1000\nGPU-b, [N/A]\n")
    a, b = Visible("GPU-a", 1000 * 2**20), Visible("GPU-b")
    assert visible_devices() == (a, b)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-b, 3")
    assert visible_devices() == (b, Visible("3"))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert visible_devices() == ()
    assert batches.devices_of(Choice("cuda"), 1) == batches.devices_of(Choice("numba"), 4) == ()


def test_without_a_driver_there_are_no_devices(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)

    def missing(*words, **options):
        raise FileNotFoundError(words[0][0])

    monkeypatch.setattr(visible.subprocess, "run", missing)
    assert visible_devices() == ()

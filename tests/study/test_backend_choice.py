"""Which backend is taken is told before any work, and kept in the provenance of the result."""

import pytest
from click.testing import CliRunner

from physebm.backends import select
from physebm.backends.cuda import host_backend
from physebm.backends.cuda.host_device import HostDevice
from physebm.cli import main
from physebm.errors import BackendError
from physebm.storage.dataset import record_of
from physebm.storage.netcdf import open_group
from physebm.storage.provenance import cpu_model
from physebm.study import check_kernels

STUDY = """
model = "ising_2d"
[set]
L = 4
temperature = 2.0
[sample]
sweeps = 64
discard = 16
"""
NO_GPU = select.Choice("numba", "no GPU: no driver")


@pytest.fixture
def study(tmp_path):
    path = tmp_path / "s.toml"
    path.write_text(STUDY)
    return path


def said(*words) -> str:
    done = CliRunner().invoke(main, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    return done.output


def test_auto_tells_the_backend_that_it_took_and_why(study, tmp_path, monkeypatch):
    monkeypatch.setattr(select, "automatic", lambda: NO_GPU)
    monkeypatch.setattr(check_kernels, "LANES", {"numba": 600})
    line = "backend  numba (no GPU: no driver)\n"
    assert said("run", study, "--out", tmp_path / "r.nc").startswith(line)
    assert said("estimate", study).startswith(line)
    assert said("check", "ising_2d", "--backend", "auto").startswith(line)
    record = record_of(open_group(tmp_path / "r.nc", "/provenance"))
    assert (record["backend"], record["device"]) == ("numba", cpu_model())


def test_the_provenance_names_the_device(study, tmp_path, monkeypatch):
    device = HostDevice()
    device.title = "Test Card, 80 GiB"
    monkeypatch.setattr(host_backend, "device", lambda: device)
    out = tmp_path / "r.nc"
    told = said("run", study, "--out", out, "--backend", "cuda-host")
    assert told.startswith("backend  cuda-host (Test Card, 80 GiB)\n")
    record = record_of(open_group(out, "/provenance"))
    assert (record["backend"], record["device"]) == ("cuda-host", "Test Card, 80 GiB")


def test_a_gpu_that_cannot_be_used_is_told_before_any_work(study, tmp_path, monkeypatch):
    def unusable():
        raise BackendError("backend 'cuda': no device\n  hint      --backend numba")

    monkeypatch.setattr("physebm.backends.cuda.backend.device", unusable)
    for command in (("run", study, "--out", tmp_path / "r.nc"), ("estimate", study), ("check", "rbm")):
        done = CliRunner().invoke(main, [*map(str, command), "--backend", "cuda"])
        assert done.exit_code == 1 and "--backend numba" in done.stderr and not done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["s.toml"]


def test_estimates_know_the_memory_of_the_device(study, monkeypatch):
    monkeypatch.setattr(host_backend, "device", lambda: HostDevice(free=2**30))
    text = said("estimate", study, "--backend", "cuda-host")
    assert "on the device" in text
    (row,) = [line.split("│") for line in text.splitlines() if "│ task0001" in line]
    # two chains of 16 units, neighbours, thresholds and lanes: some KiB
    assert row[5].split() == ["0.0", "MiB"]
    assert "on the device" not in said("estimate", study, "--backend", "numba")

"""A result knows every run that worked on it: backend, device, version and date, first to last."""

import json

import pytest
from click.testing import CliRunner
from study_files import write

from physebm.cli import main
from physebm.storage.dataset import record_of
from physebm.storage.netcdf import open_group
from physebm.study import task

STUDY = """
model = "ising_2d"
seed  = 5
[scan]
L = [3, 4]
[sample]
chains  = 2
discard = 8
sweeps  = 64
"""


@pytest.fixture
def ran(tmp_path, monkeypatch):
    """``ran(backend, *failing tasks, restart=False)`` -> exit status, and the record of the result."""
    path, out = write(tmp_path, STUDY), tmp_path / "r.nc"
    original = task.setup.prepare

    def run(backend, *failing, restart=False):
        def prepare(study, given, *more, **options):
            if given.number in failing:
                raise RuntimeError("the machine went down")
            return original(study, given, *more, **options)

        monkeypatch.setattr(task.setup, "prepare", prepare)
        words = ["run", path, "--out", out, "--no-plot", "--backend", backend]
        done = CliRunner().invoke(main, [str(word) for word in words] + ["--restart"] * restart)
        record = record_of(open_group(out, "/provenance")) if out.exists() else {}
        return done.exit_code, record

    return run


def backends(record):
    return [run["backend"] for run in json.loads(record["runs"])]


def test_a_result_continued_on_another_backend_names_both(ran, tmp_path):
    status, record = ran("reference", 2)
    assert status == 1 and backends(record) == ["reference"]
    status, record = ran("numba")
    assert status == 0 and backends(record) == ["reference", "numba"] and record["backend"] == "numba"
    first, last = json.loads(record["runs"])
    keys = {"backend", "device", "physebm_version", "git_commit", "date_utc"}
    assert set(first) == set(last) == keys and all(first.values())
    assert first["date_utc"] <= last["date_utc"] <= record["date_utc"]
    assert last["device"] == record["device"] and last["git_commit"] == record["git_commit"]
    told = CliRunner().invoke(main, ["status", str(tmp_path / "r.nc")]).output
    assert f"date     {record['date_utc']}" in told
    assert "runs     2: reference 20" in told and ", numba 20" in told


def test_a_run_that_left_nothing_and_one_that_was_forgotten_are_not_named(ran):
    assert ran("reference", 1, 2)[0] == 1
    assert backends(ran("numba", 2)[1]) == ["numba"]
    assert backends(ran("reference", restart=True)[1]) == ["reference"]

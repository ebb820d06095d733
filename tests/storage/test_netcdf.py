import subprocess
import sys

import netCDF4
import numpy as np
import pytest
import xarray as xr

from physebm.errors import ResultFileError
from physebm.storage import atomic
from physebm.storage.dataset import record_dataset, record_of, summary_dataset
from physebm.storage.netcdf import (
    open_group,
    open_summary,
    open_tree,
    refuse_other_study,
    same_study,
    write_tree,
)

HASH, OTHER = "a" * 64, "b" * 64
AXES = {"start": ["pattern", "random"], "temperature": [0.5, 1.0, 2.0]}


@pytest.fixture
def groups():
    values = np.random.Generator(np.random.PCG64(1)).normal(size=(2, 3, 2, 200))
    summary = summary_dataset(
        AXES,
        {"energy": (values.mean((2, 3)), values.std((2, 3)), np.ones((2, 3)))},
        equilibration=np.zeros((2, 3)),
        attrs={"energy": {"tempered": True, "size": np.int64(7)}},
        title="a study",
    )
    series = xr.Dataset({"energy": ((*AXES, "chain", "draw"), values)})
    record = record_dataset({"seed": 3, "ok": True, "text": "line\nline é", "scale": 0.1})
    return {"/": summary, "/series": series, "/provenance": record}


def leftovers(folder):
    return [entry.name for entry in folder.iterdir() if entry.name.endswith(".tmp")]


def test_the_whole_tree_comes_back_bit_for_bit(tmp_path, groups):
    path = tmp_path / "r.nc"
    write_tree(path, groups, study_hash=HASH)
    tree = open_tree(path)
    np.testing.assert_array_equal(tree["/series/energy"].values, groups["/series"]["energy"].values)
    summary = open_summary(path)
    xr.testing.assert_identical(summary.drop_attrs(), groups["/"].drop_attrs())
    assert summary["energy"].attrs["tempered"] is True and summary["energy"].attrs["size"] == 7
    assert summary["energy"].attrs["definition"] == groups["/"]["energy"].attrs["definition"]
    assert summary["status"].dtype == np.int8
    np.testing.assert_array_equal(summary["status"].attrs["flag_values"], [0, 1, 2])
    assert record_of(open_group(path, "provenance")) == {
        "seed": 3,
        "ok": True,
        "text": "line\nline é",
        "scale": 0.1,
    }
    assert leftovers(tmp_path) == []


def test_plain_xarray_opens_the_summary_and_the_tree(tmp_path, groups):
    path = tmp_path / "r.nc"
    write_tree(path, xr.DataTree.from_dict(groups), study_hash=HASH)
    with xr.open_dataset(path) as ds:
        assert ds["energy"].dims == ("start", "temperature") and list(ds["beta"]) == [2, 1, 0.5]
        assert ds.attrs["title"] == "a study" and ds.attrs["study_hash"] == HASH
    with xr.open_datatree(path) as tree:
        assert set(tree.children) == {"series", "provenance"}
        assert tree["series"]["energy"].encoding["zlib"]


def test_a_file_that_somebody_holds_open_is_read_again_and_again(tmp_path, groups):
    """Single texts as netCDF strings crash the process at the third opening."""
    path = tmp_path / "r.nc"
    write_tree(path, groups, study_hash=HASH)
    code = (
        "import xarray\n"
        "from physebm.storage.netcdf import open_group\n"
        f"held = xarray.open_dataset({str(path)!r})\n"
        f"texts = {{open_group({str(path)!r}, 'provenance')['text'].item() for _ in range(5)}}\n"
        "assert texts == {'line\\nline é'}\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_missing_group_lists_what_there_is(tmp_path, groups):
    path = tmp_path / "r.nc"
    write_tree(path, groups, study_hash=HASH)
    with pytest.raises(ResultFileError, match="did you mean /series"):
        open_group(path, "serie")


def test_a_kill_between_write_and_rename_leaves_the_old_result(tmp_path, groups, monkeypatch):
    path = tmp_path / "r.nc"
    write_tree(path, groups, study_hash=HASH)
    before = path.read_bytes()

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(atomic.os, "replace", killed)
    groups["/"] = groups["/"].assign(energy=groups["/"]["energy"] + 1)
    with pytest.raises(KeyboardInterrupt):
        write_tree(path, groups, study_hash=HASH)
    assert path.read_bytes() == before
    assert leftovers(tmp_path) == []


def test_an_error_while_writing_leaves_the_old_file(tmp_path):
    path = tmp_path / "x"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), atomic.replacing(path) as new:
        new.write_text("half")
        raise ZeroDivisionError
    assert path.read_text() == "old" and leftovers(tmp_path) == []


def test_what_a_killed_process_left_is_swept_away_by_the_next_write(tmp_path):
    path = tmp_path / "x"
    dead = tmp_path / f"{atomic._prefix(path)}{2**22 + 1}.0.tmp"
    alive = tmp_path / f"{atomic._prefix(path)}1.0.tmp"
    for file in (dead, alive):
        file.write_text("part")
    with atomic.replacing(path) as new:
        new.write_text("whole")
    assert path.read_text() == "whole" and not dead.exists() and alive.exists()


def test_a_place_that_cannot_be_written_says_so(tmp_path, groups):
    with pytest.raises(ResultFileError, match=r"no folder .*missing"):
        write_tree(tmp_path / "missing" / "r.nc", groups, study_hash=HASH)
    (tmp_path / "file").write_text("")
    with pytest.raises(ResultFileError, match="is not a folder"):
        write_tree(tmp_path / "file" / "r.nc", groups, study_hash=HASH)
    with pytest.raises(ResultFileError, match="a folder"):
        write_tree(tmp_path, groups, study_hash=HASH)


def test_truncated_foreign_and_missing_files_are_told_apart(tmp_path, groups):
    path = tmp_path / "r.nc"
    write_tree(path, groups, study_hash=HASH)
    whole = path.read_bytes()
    for part in (len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:part])
        with pytest.raises(ResultFileError, match="truncated or damaged"):
            open_tree(path)
    path.write_text("hello")
    with pytest.raises(ResultFileError, match="not a netCDF4 file"):
        open_summary(path)
    path.unlink()
    xr.Dataset({"a": 1}).to_netcdf(path)
    with pytest.raises(ResultFileError, match="physebm did not write"):
        open_summary(path)
    with pytest.raises(ResultFileError, match="no such file"):
        open_summary(tmp_path / "other.nc")
    with pytest.raises(ResultFileError, match="folder"):
        open_summary(tmp_path)


def test_damaged_numbers_are_noticed(tmp_path, groups):
    path = tmp_path / "r.nc"
    write_tree(path, groups, study_hash=HASH)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 4] = bytes(255 - byte for byte in content[middle : middle + 4])
    path.write_bytes(content)
    with pytest.raises(ResultFileError, match="damaged"):
        open_tree(path)


def test_a_result_of_another_study_is_never_overwritten(tmp_path, groups):
    path = tmp_path / "r.nc"
    refuse_other_study(path, HASH)
    write_tree(path, groups, study_hash=HASH)
    assert same_study(path, HASH) and not same_study(path, OTHER)
    write_tree(path, groups, study_hash=HASH)
    before = path.read_bytes()
    with pytest.raises(ResultFileError, match="another study"):
        write_tree(path, groups, study_hash=OTHER)
    assert path.read_bytes() == before
    foreign = tmp_path / "notes.txt"
    foreign.write_text("precious")
    with pytest.raises(ResultFileError, match="nothing was overwritten"):
        write_tree(foreign, groups, study_hash=HASH)
    assert foreign.read_text() == "precious"


def test_a_newer_format_is_refused(tmp_path):
    path = tmp_path / "r.nc"
    xr.Dataset(attrs={"physebm_format": 99, "study_hash": HASH}).to_netcdf(path)
    with pytest.raises(ResultFileError, match="result format 99"):
        open_summary(path)


def test_no_text_is_a_netcdf_string(tmp_path):
    """netCDF strings crash a process that holds the file open twice; texts come back as they were."""
    path = tmp_path / "r.nc"
    messages = np.array([["", "ä failed"], ["b", ""]], dtype=object)
    axes = {"start": ["random", "pattern 0 at 0.8"], "temperature": [1.0, 2.0]}
    write_tree(path, {"/": summary_dataset(axes, {}, messages=messages)}, study_hash="a" * 64)
    with netCDF4.Dataset(path) as held:
        assert all(variable.dtype != str for variable in held.variables.values())
    with xr.open_dataset(path) as elsewhere:
        for _ in range(3):
            back = open_summary(path)
        np.testing.assert_array_equal(back.message.values, messages)
        assert elsewhere.equals(back)
        assert back.sel(start="random").message.values.tolist() == ["", "ä failed"]

"""One writer per folder, and a lock that dies with its process."""

import json
import os

import pytest

from physebm.errors import ResultFileError
from physebm.storage.lock import NAME, holder, holding


def test_a_second_writer_is_told_who_the_first_is(tmp_path):
    assert holder(tmp_path) is None
    with holding(tmp_path):
        assert holder(tmp_path).startswith(f"process {os.getpid()} since ")
        with pytest.raises(ResultFileError, match=f"in use by process {os.getpid()} since"):
            with holding(tmp_path):
                pass
    assert holder(tmp_path) is None
    with holding(tmp_path):
        pass
    assert not list(tmp_path.iterdir())


def test_the_lock_of_a_dead_process_is_taken_over(tmp_path):
    dead = {"process": 2**22 + 1, "host": "here", "since": "yesterday"}
    (tmp_path / NAME).write_text(json.dumps(dead))
    assert holder(tmp_path) is None
    with holding(tmp_path):
        assert json.loads((tmp_path / NAME).read_text())["process"] == os.getpid()


def test_a_folder_may_be_removed_under_its_lock(tmp_path):
    folder = tmp_path / "work"
    folder.mkdir()
    with holding(folder):
        (folder / NAME).unlink()
        folder.rmdir()
    assert holder(folder) is None

import json
import zipfile

import numpy as np
import pytest

from physebm.errors import ResultFileError
from physebm.storage import atomic
from physebm.storage.arrays_file import read_arrays, write_arrays

ARRAYS = {
    "state": np.arange(24, dtype=np.int8).reshape(2, 3, 4),
    "chain/energy": np.array([0.1, np.nan, -0.0, np.inf]),
    "words": np.array([2**64 - 1, 1], dtype=np.uint64),
    "scalar": np.float32(0.1),
    "empty": np.zeros((0, 5)),
    "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "flags": np.array([True, False]),
    "names": np.array(["a", "äb"]),
    "big_endian": np.arange(3, dtype=">i4"),
    "file": np.ones(2),
}
META = {"sweep": np.int64(12), "T": 0.1, "names": ["x"], "nested": {"on": True, "none": None}}


@pytest.fixture
def path(tmp_path):
    write_arrays(tmp_path / "c.ckpt", ARRAYS, META)
    return tmp_path / "c.ckpt"


def test_arrays_and_meta_come_back_bit_for_bit(path):
    arrays, meta = read_arrays(path)
    assert list(arrays) == list(ARRAYS)
    for name, array in ARRAYS.items():
        assert arrays[name].dtype == array.dtype and arrays[name].shape == array.shape
        assert arrays[name].tobytes() == array.tobytes()
    assert meta == {"sweep": 12, "T": 0.1, "names": ["x"], "nested": {"on": True, "none": None}}


def test_equal_content_gives_equal_bytes(path, tmp_path):
    write_arrays(tmp_path / "d", ARRAYS, META)
    assert (tmp_path / "d").read_bytes() == path.read_bytes()


def test_plain_numpy_reads_the_file(path):
    with np.load(path) as stored:
        np.testing.assert_array_equal(stored["state"], ARRAYS["state"])


def test_every_truncation_and_every_flipped_byte_is_noticed(path):
    whole = path.read_bytes()
    for part in range(0, len(whole), 97):
        path.write_bytes(whole[:part])
        with pytest.raises(ResultFileError, match="truncated, altered or foreign"):
            read_arrays(path)
    original = read_back(path, whole)
    for place in range(0, len(whole), 13):
        broken = bytearray(whole)
        broken[place] ^= 0xFF
        try:
            arrays, meta = read_back(path, broken)
        except ResultFileError:
            continue
        # A byte of zip bookkeeping (a date, say) that changes nothing that is read.
        assert meta == original[1] and list(arrays) == list(original[0])
        assert all(arrays[name].tobytes() == original[0][name].tobytes() for name in arrays)


def read_back(path, content):
    path.write_bytes(bytes(content))
    return read_arrays(path)


def test_a_changed_array_fails_its_checksum_even_with_a_valid_archive(path):
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["words.npy"] = members["words.npy"][:-1] + b"\x01"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    with pytest.raises(ResultFileError, match="checksum"):
        read_arrays(path)


def test_another_format_and_a_missing_file_are_refused(path, tmp_path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("__meta__.json", json.dumps({"physebm_arrays": 2}))
    with pytest.raises(ResultFileError, match="array format 2"):
        read_arrays(path)
    with pytest.raises(ResultFileError, match="no such file"):
        read_arrays(tmp_path / "none")


def test_a_kill_before_the_rename_leaves_the_old_checkpoint(path, monkeypatch):
    before = path.read_bytes()

    def killed(*_):
        raise SystemExit

    monkeypatch.setattr(atomic.os, "replace", killed)
    with pytest.raises(SystemExit):
        write_arrays(path, {"x": np.zeros(3)}, {})
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_objects_are_not_stored(tmp_path):
    with pytest.raises(ValueError, match="Python objects"):
        write_arrays(tmp_path / "o", {"o": np.array([{}], dtype=object)}, {})
    assert list(tmp_path.iterdir()) == []

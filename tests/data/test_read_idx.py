"""The idx format: types, sizes, magic numbers and labels."""

import gzip
import struct

import numpy as np
import pytest

from physebm.data.read import read_data
from physebm.errors import StudyFileError

CODES = {"u1": 8, "i1": 9, ">i2": 11, ">i4": 12, ">f4": 13, ">f8": 14}


def idx(x, kind="u1"):
    x = np.asarray(x)
    return (
        struct.pack(f">BBBB{x.ndim}I", 0, 0, CODES[kind], x.ndim, *x.shape) + x.astype(kind).tobytes()
    )


IMAGES = np.arange(24).reshape(2, 3, 4)


def refused(path, *parts, **options):
    with pytest.raises(StudyFileError) as caught:
        read_data(path, where="s.toml: train.data", **options)
    for part in parts:
        assert part in str(caught.value)


@pytest.mark.parametrize("name", ["t-images-idx3-ubyte", "t.idx3-ubyte", "t-images.idx", "a.idx3"])
@pytest.mark.parametrize("packed", [False, True])
def test_names_and_packing(tmp_path, name, packed):
    content = idx(IMAGES)
    path = tmp_path / (name + ".gz" * packed)
    path.write_bytes(gzip.compress(content) if packed else content)
    data = read_data(path)
    assert data.values.dtype == np.uint8 and data.values.tolist() == IMAGES.tolist()
    assert data.values.flags.writeable


@pytest.mark.parametrize("kind", CODES)
def test_types(tmp_path, kind):
    (tmp_path / "x.idx").write_bytes(idx(IMAGES, kind))
    data = read_data(tmp_path / "x.idx")
    assert data.values.tolist() == IMAGES.tolist() and data.values.dtype == np.dtype(kind).newbyteorder(
        "="
    )


def test_labels_stand_in_a_file_beside(tmp_path):
    (tmp_path / "x-idx3-ubyte").write_bytes(idx(IMAGES))
    (tmp_path / "y-idx1-ubyte.gz").write_bytes(gzip.compress(idx([7, 2])))
    (tmp_path / "z-idx1-ubyte").write_bytes(idx([7, 2, 1]))
    assert read_data(tmp_path / "x-idx3-ubyte", labels="y-idx1-ubyte.gz").labels.tolist() == [7, 2]
    refused(tmp_path / "x-idx3-ubyte", "train.data.labels", "shape [3]", labels="z-idx1-ubyte")
    refused(tmp_path / "x-idx3-ubyte", "train.data.labels", "no file", labels="q-idx1-ubyte")
    refused(tmp_path / "x-idx3-ubyte", "train.data.labels", labels=-1)
    refused(tmp_path / "z-idx1-ubyte", "shape [3]", "[sample, unit]")


def test_wrong_magic(tmp_path):
    for content, shown in (
        (b"\x89PNG----", "89 50 4e 47"),
        (b"\0\0\x07\x03" + bytes(20), "00 00 07 03"),
        (b"\0\0\x08\0", "00 00 08 00"),
        (b"", "nothing"),
    ):
        (tmp_path / "x-idx3-ubyte").write_bytes(content)
        refused(tmp_path / "x-idx3-ubyte", "(x-idx3-ubyte)", shown, "00 00, a type")


def test_wrong_length(tmp_path):
    whole = idx(IMAGES)
    for content, said in (
        (whole[:-1], "40 bytes"), (whole + b"\0", "40 bytes"), (whole[:10], "3 axes"),
    ):  # fmt: skip
        (tmp_path / "x-idx3-ubyte").write_bytes(content)
        refused(tmp_path / "x-idx3-ubyte", f"{len(content)} bytes", said, "cut short")

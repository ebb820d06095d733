"""The entry point: which reader, which options, what is packed, where a file is missing."""

import gzip
import re
import zipfile

import numpy as np
import pytest

from physebm.data.read import read_data
from physebm.errors import StudyFileError

ROWS = "0 1 1\n1 0 1\n"
VALUES = [[0, 1, 1], [1, 0, 1]]


def refused(path, *parts, **options):
    with pytest.raises(StudyFileError) as caught:
        read_data(path, where="s.toml: train.data", **options)
    for part in parts:
        assert part in str(caught.value)


@pytest.mark.parametrize("name", ["x.csv", "x.tsv", "x.txt", "x.dat", "x.train.data", "x.HAPT"])
def test_suffixes_of_tables(tmp_path, name):
    (tmp_path / name).write_text(ROWS)
    (tmp_path / f"{name}.gz").write_bytes(gzip.compress(ROWS.encode()))
    with zipfile.ZipFile(tmp_path / f"{name}.zip", "w") as held:
        held.writestr(f"folder/{name}", ROWS)
        held.writestr(f"__MACOSX/._{name}", "junk")
    for packing in ("", ".gz", ".zip"):
        assert read_data(tmp_path / (name + packing)).values.tolist() == VALUES


def test_a_missing_file_names_its_neighbours(tmp_path):
    for name in ("train.csv", "test.csv", "notes.md"):
        (tmp_path / name).write_text(ROWS)
    refused(tmp_path / "trian.csv", "train.data.path", "did you mean train.csv?", "there is no file")
    refused(tmp_path / "nowhere" / "x.csv", "there is no folder")
    refused(tmp_path, "this is a folder")


def test_an_unknown_suffix_lists_the_legal_ones(tmp_path):
    for name in ("x.jpg", "x", "x.tar.gz"):
        (tmp_path / name).write_text(ROWS)
        refused(tmp_path / name, "train.data.path", ".npy", ".fasta", "idx3-ubyte")


def test_options_of_another_format(tmp_path):
    (tmp_path / "x.csv").write_text(ROWS)
    refused(tmp_path / "x.csv", "train.data.alphabet", "a text table", alphabet="rna")
    (tmp_path / "x.fasta").write_text(">a\nAC\n")
    refused(tmp_path / "x.fasta", "train.data.header", "an alignment", header=False)
    refused(tmp_path / "x.csv", "train.data.transpose", "true or false", transpose="yes")


def test_shapes(tmp_path):
    np.save(tmp_path / "x.npy", np.arange(24).reshape(2, 12))
    assert read_data(tmp_path / "x.npy", shape=[3, 4]).values.shape == (2, 3, 4)
    assert read_data(tmp_path / "x.npy", shape=12).values.shape == (2, 12)
    for shape in ([3, 5], [-3, -4], [1.5, 8], [], "3x4"):
        refused(tmp_path / "x.npy", "train.data.shape", "whose product is 12", shape=shape)


def test_packed_files_that_are_broken(tmp_path):
    whole = gzip.compress(ROWS.encode() * 1000)
    (tmp_path / "cut.csv.gz").write_bytes(whole[:-20])
    refused(tmp_path / "cut.csv.gz", "train.data.path", "ends too early")
    (tmp_path / "bad.csv.gz").write_bytes(whole[:20] + b"\xff" * 20 + whole[40:])
    refused(tmp_path / "bad.csv.gz", "train.data.path")
    (tmp_path / "plain.csv.gz").write_text(ROWS)
    refused(tmp_path / "plain.csv.gz", "take .gz off its name")
    (tmp_path / "bad.zip").write_text(ROWS)
    refused(tmp_path / "bad.zip", "zip cannot be read")
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as held:
        held.writestr("a.csv", ROWS)
        held.writestr("b.csv", ROWS)
    refused(tmp_path / "two.zip", "2 files (a.csv, b.csv)", "a zip of one file")
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as held:
        held.writestr("a.csv", ROWS)
    spoilt = bytearray((tmp_path / "x.zip").read_bytes())
    spoilt[spoilt.find(b"0 1 1")] = ord("9")
    (tmp_path / "x.zip").write_bytes(spoilt)
    refused(tmp_path / "x.zip", "train.data.path", "CRC")


def test_formats_that_compress_by_themselves_are_not_packed(tmp_path):
    (tmp_path / "x.npy.gz").write_bytes(gzip.compress(b""))
    refused(tmp_path / "x.npy.gz", "take the .gz off")


def test_errors_carry_the_key_that_was_given(tmp_path):
    with pytest.raises(StudyFileError) as caught:
        read_data(tmp_path / "none.csv")
    assert re.match(r"train\.data\.path\n", str(caught.value)) and caught.value.exit_status == 2

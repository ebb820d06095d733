"""numpy's own files: ``.npy`` (one array) and ``.npz`` (several, by name). Pickles are not opened."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from physebm.arrays import Array
from physebm.data.named import read_named
from physebm.data.raw import Raw
from physebm.data.source_file import SourceFile
from physebm.errors import StudyFileError


def read_npy(file: SourceFile, where: str, *, labels: str | None, weights: str | None) -> Raw:
    """One array; `labels` and `weights` name .npy files, relative to its folder."""
    found: dict[str, Array | None] = {}
    for key, name in (("labels", labels), ("weights", weights)):
        if name is not None and not (isinstance(name, str) and name.endswith(".npy")):
            raise StudyFileError(
                f"{where}.{key}", got=name, expected="a .npy file, relative to the folder of the data"
            )
        found[key] = None if name is None else read_array(file.beside(name, f"{where}.{key}"))
    return Raw(read_array(file), **found)


def read_npz(
    file: SourceFile, where: str, *, variable: str | None, labels: str | None, weights: str | None
) -> Raw:
    """The arrays named `variable`, `labels` and `weights` of an archive."""
    with _opened(file) as archive:
        if isinstance(archive, np.ndarray):
            raise file.unreadable("this is one array, not an archive: its name should end in .npy")
        return read_named(
            archive.files,
            archive.__getitem__,
            variable=variable,
            labels=labels,
            weights=weights,
            file=file.name,
            where=where,
        )


def read_array(file: SourceFile) -> Array:
    """The one array of a .npy file, as it stands there.

    Raises
    ------
    StudyFileError
        for what is not a .npy file, is cut short, or holds Python objects.
    """
    with _opened(file) as held:
        if not isinstance(held, np.ndarray):
            raise file.unreadable("this is an archive of arrays: its name should end in .npz")
        return held


@contextmanager
def _opened(file: SourceFile) -> Iterator[Array | np.lib.npyio.NpzFile]:
    """What numpy finds in the file; its errors, also while arrays are read, become ours."""
    try:
        with open(file.path, "rb") as held:
            yield np.load(held, allow_pickle=False)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as problem:
        raise file.unreadable(f"the file cannot be read: {_reason(file, problem)}") from None


def _reason(file: SourceFile, problem: Exception) -> str:
    """Why numpy could not read a file, in words for its owner: a pickle is no advice to take."""
    with open(file.path, "rb") as held:
        start = held.read(6)
    if "Object arrays" in str(problem):
        return "it holds Python objects, which are not opened: save an array of numbers"
    if not start:
        return "it is empty"
    if not start.startswith((b"\x93NUMPY", b"PK")):
        return "neither numpy.save nor numpy.savez wrote it"
    return str(problem)

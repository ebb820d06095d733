"""Result files: a DataTree in one netCDF4 file, written whole or not at all.

``xarray.open_dataset(path)`` on such a file gives the summary (the root group),
``xarray.open_datatree(path)`` everything. The root carries ``physebm_format`` (the version of this
layout) and ``study_hash`` (`physebm.storage.provenance.study_hash`). Larger arrays are compressed
and carry checksums. netCDF has no flags in attributes: they are stored as 0 and 1 and listed in
the attribute ``physebm_flags``, which the readers here undo.

Also here, so that nothing else need know a format: `write_arrays` and `read_arrays` of
`physebm.storage.arrays_file`, the format of checkpoints.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from physebm.errors import ResultFileError
from physebm.storage.arrays_file import read_arrays, write_arrays
from physebm.storage.atomic import replacing

__all__ = [
    "lazily",
    "open_group",
    "open_summary",
    "open_tree",
    "read_arrays",
    "refuse_other_study",
    "same_study",
    "study_hash_of",
    "write_arrays",
    "write_tree",
]

FORMAT = 1
COMPRESS_FROM = 4096
"""Arrays of at least this many bytes are compressed; below, a chunk's overhead costs more."""

_ENGINE = "netcdf4"
_FLAGS = "physebm_flags"


def write_tree(
    path: str | os.PathLike,
    groups: Mapping[str, xr.Dataset] | xr.DataTree,
    *,
    study_hash: str,
) -> None:
    """Write the groups (``"/"`` is the summary) as one file, atomically.

    A file at `path` that is not a result of the same study is left alone and refused.
    """
    refuse_other_study(path, study_hash)
    if isinstance(groups, xr.DataTree):
        groups = {node.path: node.to_dataset(inherit=False) for node in groups.subtree}
    ready = {"/" + name.strip("/"): _storable(ds) for name, ds in groups.items()}
    root = ready.setdefault("/", xr.Dataset())
    root.attrs |= {"physebm_format": np.int32(FORMAT), "study_hash": study_hash}
    tree = xr.DataTree.from_dict(ready)
    encoding = {node.path: _encoding(node.to_dataset(inherit=False)) for node in tree.subtree}
    with replacing(path) as temporary:
        try:
            tree.to_netcdf(temporary, mode="w", engine=_ENGINE, encoding=encoding)
        except RuntimeError as err:  # what the netCDF library raises on a full disk
            raise OSError(str(err)) from err


def open_tree(path: str | os.PathLike) -> xr.DataTree:
    """All groups of a result, in memory; the file is closed again."""
    return _read(Path(path), lambda: xr.open_datatree(path, engine=_ENGINE))


def open_summary(path: str | os.PathLike) -> xr.Dataset:
    """The summary of a result: the root group alone, in memory."""
    return _read(Path(path), lambda: xr.open_dataset(path, engine=_ENGINE))


def open_group(path: str | os.PathLike, group: str) -> xr.Dataset:
    """One group with the scan coordinates that it inherits; a missing one lists what there is.

    The values of the other groups stay in the file.
    """
    path, name = Path(path), "/" + group.strip("/")
    with _refusing(path), xr.open_datatree(path, engine=_ENGINE) as tree:
        _check_format(path, tree.attrs)
        there = [node.path for node in tree.subtree]
        if name not in there:
            raise ResultFileError(f"{path}: group {name}", got=name, expected=there)
        ds = tree[name].to_dataset().load()
    _restore(ds)
    return ds


@contextmanager
def lazily(path: str | os.PathLike, group: str) -> Iterator[xr.Dataset]:
    """One group with its values still in the file: within the block only what is used is read.

    Coordinates that it inherits from the root are there, and loaded.

    Raises
    ------
    ResultFileError
        for a file that is no result, or has no such group.
    """
    path = Path(path)
    with _refusing(path), xr.open_dataset(path, engine=_ENGINE) as root:
        _check_format(path, root.attrs)
        inherited = {name: c.load() for name, c in root.coords.items()}
    try:
        ds = xr.open_dataset(path, group=group, engine=_ENGINE)
    except OSError as err:
        raise ResultFileError(
            f"{path}: group /{group}", got="no such group", hint="what the study did does not fill it"
        ) from err
    with _refusing(path), ds:
        yield ds.assign_coords(
            {n: c for n, c in inherited.items() if n in ds.dims and n not in ds.coords}
        )


def study_hash_of(path: str | os.PathLike) -> str:
    """The hash of the study that wrote the file; only the header is read."""
    path = Path(path)
    with _refusing(path), xr.open_dataset(path, engine=_ENGINE) as ds:
        _check_format(path, ds.attrs)
        return str(ds.attrs["study_hash"])


def same_study(path: str | os.PathLike, study_hash: str) -> bool:
    """Whether the result at `path` belongs to the study of this hash; no file is an error."""
    return study_hash_of(path) == study_hash


def refuse_other_study(path: str | os.PathLike, study_hash: str) -> None:
    """Raise unless `path` is free or holds a result of this very study."""
    path = Path(path)
    if not path.exists():
        return
    if path.is_dir():
        raise ResultFileError(str(path), got="a folder", expected="the name of a result file")
    hint = "nothing was overwritten; choose another --out, or move the file away"
    try:
        found = study_hash_of(path)
    except ResultFileError as err:
        raise ResultFileError(
            str(path), got=err.got, expected="no file, or a result of this study", hint=hint
        ) from err
    if found != study_hash:
        raise ResultFileError(
            str(path),
            got=f"a result of another study (hash {found[:12]})",
            expected=f"a result of this study (hash {study_hash[:12]})",
            hint=hint,
        )


class _refusing:
    """Turn what the netCDF library raises into one message with the path and what to do."""

    def __init__(self, path: Path):
        self.path = path

    def __enter__(self):
        if not self.path.exists():
            raise ResultFileError(
                str(self.path), got="no such file", hint="run the study first, or correct the name"
            )
        if self.path.is_dir():
            raise ResultFileError(
                str(self.path), got="a folder", expected="a result file (.nc) of physebm"
            )

    def __exit__(self, kind, err, trace):
        if isinstance(err, ResultFileError) or not isinstance(err, Exception):
            return
        with open(self.path, "rb") as stream:
            start = stream.read(8)
        whole = start == b"\x89HDF\r\n\x1a\n"
        raise ResultFileError(
            str(self.path),
            got="a truncated or damaged netCDF file" if whole else "not a netCDF4 file",
            expected="a result file (.nc) of physebm",
            hint=f"restore the file or run the study again ({err})",
        ) from err


def _read(path: Path, opened) -> Any:
    with _refusing(path):
        with opened() as data:
            data.load()
        _check_format(path, data.attrs)
    for node in data.subtree if isinstance(data, xr.DataTree) else (data,):
        _restore(node)
    return data


def _check_format(path: Path, attrs: Mapping[str, Any]) -> None:
    version = attrs.get("physebm_format")
    if version is None or "study_hash" not in attrs:
        raise ResultFileError(
            str(path),
            got="a netCDF file that physebm did not write",
            expected="a result file (.nc) of physebm",
        )
    if version != FORMAT:
        raise ResultFileError(
            str(path),
            got=f"result format {version}",
            expected=f"result format {FORMAT}",
            hint="written by another version of physebm; read it with that one",
        )


def _storable(ds: xr.Dataset) -> xr.Dataset:
    """A copy whose attributes netCDF can hold; flags become 0 and 1, listed in `physebm_flags`."""
    ds = ds.copy()
    for owner in (ds, *ds.variables.values()):
        flags = [key for key, value in owner.attrs.items() if isinstance(value, bool | np.bool_)]
        owner.attrs = {
            key: np.int8(value) if key in flags else value
            for key, value in owner.attrs.items()
            if value is not None
        }
        if flags:
            owner.attrs[_FLAGS] = " ".join(flags)
    return ds


def _restore(data: Any) -> None:
    for owner in (data, *(data[name] for name in data.variables)):
        flags = owner.attrs.pop(_FLAGS, "").split()
        owner.attrs |= {key: bool(owner.attrs[key]) for key in flags}


def _encoding(ds: xr.Dataset) -> dict[str, dict[str, Any]]:
    """How variables are stored; texts as characters.

    As netCDF strings they crash the process where somebody else holds the file open: HDF5 looks for
    them in a heap that it has freed (github.com/Unidata/netcdf-c/issues/2510).
    """
    packed = {"zlib": True, "complevel": 4, "shuffle": True, "fletcher32": True}
    found = {}
    for name, variable in ds.variables.items():
        if variable.dtype.kind in "OU":
            found[name] = {"dtype": "S1"}
        if variable.dtype.kind in "biuf" and variable.nbytes >= COMPRESS_FROM and variable.ndim:
            found[name] = dict(packed)
            chunks = variable.encoding.get("chunksizes") or ()
            if len(chunks) == variable.ndim and all(c <= n for c, n in zip(chunks, variable.shape)):
                found[name]["chunksizes"] = tuple(chunks)
    return found

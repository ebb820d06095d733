"""Flat dicts of numpy arrays with a JSON note, in one file that proves itself: for checkpoints.

The file is an ordinary ``.npz`` (``numpy.load`` reads it) whose member ``__meta__.json`` holds the
format version, the caller's meta and a BLAKE2b digest of meta and of every array's name, dtype,
shape and bytes. Arrays come back bit for bit, NaN payloads and byte order included. Equal content
gives equal bytes: no time stamp is stored.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from physebm.errors import ResultFileError
from physebm.storage.atomic import replacing

FORMAT = 1
_META = "__meta__.json"


def write_arrays(
    path: str | os.PathLike,
    arrays: Mapping[str, np.ndarray],
    meta: Mapping[str, Any],
    synced: bool = True,
) -> None:
    """Write `arrays` and `meta` (anything JSON can say; numpy scalars too) atomically.

    Without `synced` a failure of the machine may lose the file, which `read_arrays` then refuses.
    """
    held = {name: np.asanyarray(array) for name, array in arrays.items()}
    for name, array in held.items():
        if array.dtype.hasobject:
            raise ValueError(f"array {name} holds Python objects; only plain dtypes are stored")
    text = json.dumps(meta, default=_number)
    note = {"physebm_arrays": FORMAT, "digest": _digest(held, text), "meta": text}
    with (
        replacing(path, synced) as temporary,
        zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED, allowZip64=True) as archive,
    ):
        archive.writestr(zipfile.ZipInfo(_META), json.dumps(note))
        for name, array in held.items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)


def read_arrays(path: str | os.PathLike) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Read ``(arrays, meta)``; a missing, truncated, altered or foreign file is refused."""
    path = Path(path)
    if not path.is_file():
        raise ResultFileError(str(path), got="no such file", expected="a file of stored arrays")
    try:
        with zipfile.ZipFile(path) as archive:
            note = json.loads(archive.read(_META))
            version = note["physebm_arrays"]
            if version == FORMAT:
                arrays = {}
                for member in archive.namelist():
                    if member != _META:
                        with archive.open(member) as stream:
                            arrays[member.removesuffix(".npy")] = np.lib.format.read_array(
                                stream, allow_pickle=False
                            )
    except (OSError, ValueError, KeyError, TypeError, EOFError, zlib.error) as err:
        raise _broken(path, err) from err
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, MemoryError) as err:
        raise _broken(path, err) from err
    if version != FORMAT:
        raise ResultFileError(
            str(path),
            got=f"array format {version}",
            expected=f"array format {FORMAT}",
            hint="the file was written by another version of physebm; use that one or start anew",
        )
    if _digest(arrays, note["meta"]) != note["digest"]:
        raise _broken(path, "the contents do not match their checksum")
    return arrays, json.loads(note["meta"])


def read_meta(path: str | os.PathLike) -> dict[str, Any]:
    """The meta of a file alone: no array is read, and so no checksum compared."""
    try:
        with zipfile.ZipFile(path) as archive:
            return json.loads(json.loads(archive.read(_META))["meta"])
    except (OSError, ValueError, KeyError, TypeError, EOFError, zlib.error) as err:
        raise _broken(Path(path), err) from err
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as err:
        raise _broken(Path(path), err) from err


def _digest(arrays: Mapping[str, np.ndarray], meta: str) -> str:
    digest = hashlib.blake2b(meta.encode(), digest_size=16)
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"\x1f{name}\x1f{array.dtype.str}\x1f{array.shape}\x1f".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _broken(path: Path, why: object) -> ResultFileError:
    return ResultFileError(
        str(path),
        got=f"a truncated, altered or foreign file ({why})",
        expected="arrays written by physebm",
        hint="remove the file; the run then starts from the state before it",
    )


def _number(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{value!r} cannot be stored as JSON")

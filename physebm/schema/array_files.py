"""Arrays that a model file names: inline values, .npy, .npz and .nc files."""

from __future__ import annotations

import zipfile
from functools import lru_cache
from pathlib import Path

import numpy as np

from physebm.errors import InputError, ModelFileError
from physebm.schema.declarations import ArrayDeclaration
from physebm.schema.study_declarations import ClampDeclaration


def read_array(
    held: ArrayDeclaration | ClampDeclaration,
    directory: str,
    where: str,
    error: type[InputError] = ModelFileError,
) -> np.ndarray:
    """The values of an array given by `values` or `file` (relative to the TOML's directory).

    Where a clamp is read, nan is legal: it marks a free unit.

    Raises
    ------
    InputError
        of the class `error`: for a missing or unreadable file, an unknown variable, or values that
        are not finite numbers.
    """
    if held.values is not None:
        values = np.asarray(held.values)
    else:
        path = Path(directory) / held.file
        values = _read(path, held.variable, where, error)
    if values.dtype.kind not in "biuf":
        raise error(where, got=f"values of type {values.dtype}", expected="numbers")
    free = np.isnan(values) if isinstance(held, ClampDeclaration) else False
    bad = ~(np.isfinite(values) | free)
    if bad.any():
        at = np.argwhere(bad)[0].tolist()
        raise error(where, got=f"a non-finite value at {at}", expected="finite numbers")
    if values.dtype.kind in "biu":
        small = values.size == 0 or np.abs(values.astype(np.int64)).max() <= 127
        return values.astype(np.int8 if small else np.int64)
    return values.astype(np.float64)


def _read(path: Path, variable: str | None, where: str, error: type[InputError]) -> np.ndarray:
    if not path.is_file():
        near = sorted(p.name for p in path.parent.glob("*") if p.suffix == path.suffix)
        raise error(
            f"{where}.file",
            got=path.name,
            expected=near or None,
            hint=f"there is no file {path}; paths are relative to the TOML file",
        )
    return _read_cached(path, variable, path.stat().st_mtime_ns, where, error)


@lru_cache(maxsize=32)
def _read_cached(
    path: Path, variable: str | None, stamp: int, where: str, error: type[InputError]
) -> np.ndarray:
    try:
        match path.suffix:
            case ".npy":
                return np.load(path, allow_pickle=False)
            case ".npz":
                with np.load(path, allow_pickle=False) as held:
                    return _pick(
                        {name: held[name] for name in held.files}, variable, path, where, error
                    )
            case ".nc":
                import xarray as xr

                with xr.open_dataset(path) as held:
                    return _pick(
                        {n: v.values for n, v in held.data_vars.items()}, variable, path, where, error
                    )
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, KeyError) as problem:
        raise error(
            f"{where}.file", got=str(path), hint=f"the file cannot be read: {problem}"
        ) from None
    raise error(f"{where}.file", got=str(path), expected=".npy, .npz or .nc")


def _pick(
    entries: dict, variable: str | None, path: Path, where: str, error: type[InputError]
) -> np.ndarray:
    if variable is None and len(entries) == 1:
        return next(iter(entries.values()))
    if variable not in entries:
        raise error(
            f"{where}.variable",
            got=variable,
            expected=sorted(entries),
            hint=f"{path.name} holds several arrays: name one with `variable`",
        )
    return entries[variable]

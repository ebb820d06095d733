"""HDF5 in its three dresses: netCDF4 (``.nc``), ``.h5`` / ``.hdf5``, and MATLAB files since 7.3.

All are opened by the netCDF library, which reads any HDF5 file of plain arrays; arrays in groups are
named by their path (``retina/spikes``). What it cannot read (texts, references, MATLAB's cells and
structures) is not on offer. MATLAB stores the first index fastest, so its arrays appear here with
their axes reversed: an array of units x samples there is ``[sample, unit]`` here.

MATLAB files before 7.3 are another format, read by scipy; they appear with MATLAB's order of axes.
"""

from __future__ import annotations

import numpy as np

from physebm.arrays import Array
from physebm.data.named import read_named
from physebm.data.raw import Raw
from physebm.data.source_file import SourceFile

_HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
_OLD_MATLAB = b"MATLAB 5.0"


def read_hdf5(
    file: SourceFile, where: str, *, variable: str | None, labels: str | None, weights: str | None
) -> Raw:
    """The arrays named `variable`, `labels` and `weights` of the file."""
    names = {"variable": variable, "labels": labels, "weights": weights}
    with open(file.path, "rb") as held:
        if held.read(len(_OLD_MATLAB)) == _OLD_MATLAB:
            return _read_old_matlab(file, where, names)
    import netCDF4

    try:
        opened = netCDF4.Dataset(file.path)
    except OSError as problem:
        raise file.unreadable(
            f"the netCDF library cannot open it ({problem.strerror or problem}); a damaged file, or"
            " one with references, cells or structures: save the array alone, e.g. as .npy"
        ) from None
    with opened:
        opened.set_auto_mask(False)
        variables = _variables(opened)

        def fetch(name: str) -> Array:
            try:
                return np.asarray(variables[name][...])
            except (RuntimeError, OSError) as problem:
                raise file.unreadable(f"'{name}' cannot be read: {problem}") from None

        return read_named(list(variables), fetch, **names, file=file.name, where=where)


def _variables(group) -> dict:
    """Arrays of real numbers by path. Others are not touched: reading a text may crash the library."""
    prefix = "" if group.path == "/" else group.path.lstrip("/") + "/"
    found = {
        prefix + name: held
        for name, held in group.variables.items()
        if isinstance(held.dtype, np.dtype) and held.dtype.kind in "biuf"
    }
    for inner in group.groups.values():
        found |= _variables(inner)
    return found


def _read_old_matlab(file: SourceFile, where: str, names: dict[str, str | None]) -> Raw:
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    try:
        held = loadmat(file.path)
    except (OSError, ValueError, MatReadError, NotImplementedError) as problem:
        raise file.unreadable(f"the file cannot be read: {problem}") from None
    arrays = {
        name: x for name, x in held.items() if isinstance(x, np.ndarray) and x.dtype.kind in "biuf"
    }
    return read_named(list(arrays), arrays.__getitem__, **names, file=file.name, where=where)

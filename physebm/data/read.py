"""One entry point for data in files: the suffix says which reader, the reader which options.

========================================  ============================================================
suffix                                    options
========================================  ============================================================
``.npy``                                  labels, weights (.npy files beside it)
``.npz``                                  variable, labels, weights (names of its arrays)
``.nc .h5 .hdf5 .mat``                    variable, labels, weights (names, with the path of groups)
``.csv .tsv .txt .dat .data .hapt``       header, delimiter, skip_columns, labels, weights (columns)
``idx3-ubyte`` and the like               labels (an idx file beside it)
``.fasta .fa .fas .faa .afa .a2m .a3m``   alphabet, unknown, inserts, max_gaps, labels ("names")
========================================  ============================================================

`transpose` and `shape` go with each. The last three may be packed as ``.gz`` or as a ``.zip`` of one
file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from physebm.data.dataset import DataSet
from physebm.data.fasta import read_fasta
from physebm.data.hdf5_file import read_hdf5
from physebm.data.idx_file import read_idx
from physebm.data.numpy_file import read_npy, read_npz
from physebm.data.raw import Raw, finish
from physebm.data.source_file import SourceFile, find
from physebm.data.text_table import read_table
from physebm.errors import StudyFileError


@dataclass(frozen=True)
class _Format:
    """A reader, the suffixes that call it, the options that it has, and whether it may be packed."""

    title: str
    read: Callable[..., Raw]
    suffixes: tuple[str, ...]
    options: tuple[str, ...]
    packed: bool = False


_NAMES = ("variable", "labels", "weights")
_TEXT = ("header", "delimiter", "skip_columns", "labels", "weights")
_FASTA = ("alphabet", "unknown", "inserts", "max_gaps", "labels")
_FORMATS = (
    _Format("a .npy file", read_npy, (".npy",), ("labels", "weights")),
    _Format("a .npz file", read_npz, (".npz",), _NAMES),
    _Format("an HDF5 file", read_hdf5, (".nc", ".h5", ".hdf5", ".mat"), _NAMES),
    _Format(
        "a text table", read_table, (".csv", ".tsv", ".txt", ".dat", ".data", ".hapt"), _TEXT, True
    ),
    _Format(
        "an alignment",
        read_fasta,
        (".fasta", ".fa", ".fas", ".faa", ".afa", ".a2m", ".a3m"),
        _FASTA,
        True,
    ),
)
_IDX = _Format("an idx file", read_idx, ("idx3-ubyte",), ("labels",), True)
SUFFIXES = (*(s for form in _FORMATS for s in form.suffixes), "-ubyte", ".idx")
"""Ends of the names of files that can be read, without the packing."""

_IDX_NAME = re.compile(r"[-.]idx\d*(-?u?byte)?$", re.IGNORECASE)


def read_data(
    path: str | Path,
    *,
    variable: str | None = None,
    labels: str | int | None = None,
    weights: str | int | None = None,
    transpose: bool = False,
    shape: Sequence[int] | int | None = None,
    header: bool | None = None,
    delimiter: str | None = None,
    skip_columns: int | None = None,
    alphabet: str | None = None,
    unknown: str | None = None,
    inserts: str | None = None,
    max_gaps: float | None = None,
    where: str = "train.data",
) -> DataSet:
    """The data set in a file; a relative path counts from the present folder.

    Parameters
    ----------
    path
        The file; its suffix chooses the reader.
    variable, labels, weights
        Names of arrays in the file; for tables the columns of labels and weights; see the module.
    transpose
        Reverse the order of the array's axes as they are stored: samples go first.
    shape
        Shape of one sample, where the file has it as a row of numbers, e.g. ``[8, 8]``.
    header, delimiter, skip_columns
        Of text tables: `physebm.data.text_table.read_table`.
    alphabet, unknown, inserts, max_gaps
        Of alignments: `physebm.data.fasta.read_fasta`.
    where
        The table of the study that gave these options, for errors.

    Raises
    ------
    StudyFileError
        for whatever is wrong with the file or the options; its key is ``where.path`` for the file
        and what it holds, ``where.<option>`` for an option.
    """
    options = {
        "variable": variable,
        "labels": labels,
        "weights": weights,
        "header": header,
        "delimiter": delimiter,
        "skip_columns": skip_columns,
        "alphabet": alphabet,
        "unknown": unknown,
        "inserts": inserts,
        "max_gaps": max_gaps,
    }
    file = find(path, f"{where}.path", SUFFIXES)
    form = _format_of(file)
    for name, value in options.items():
        if value is not None and name not in form.options:
            raise StudyFileError(
                f"{where}.{name}",
                got=value,
                expected=(*form.options, "transpose", "shape"),
                hint=f"{file.name} is {form.title}, which has no `{name}`",
            )
    raw = form.read(file, where, **{name: options[name] for name in form.options})
    return finish(raw, file, transpose=transpose, shape=shape, where=where)


def _format_of(file: SourceFile) -> _Format:
    suffix = Path(file.name).suffix.lower()
    if _IDX_NAME.search(file.name):
        return _IDX
    for form in _FORMATS:
        if suffix not in form.suffixes:
            continue
        if file.packing and not form.packed:
            raise StudyFileError(
                file.where,
                got=file.path.name,
                expected=f"{form.title} that is not packed",
                hint=f"take the {file.packing} off first: this format compresses by itself",
            )
        return form
    legal = [s for form in _FORMATS for s in form.suffixes] + list(_IDX.suffixes)
    raise StudyFileError(
        file.where,
        got=file.path.name,
        expected=", ".join(legal),
        hint="the suffix says how to read the file; tables, alignments and idx may be .gz or .zip",
    )

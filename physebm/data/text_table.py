"""Tables as text: one sample a line, numbers between commas, tabs or blanks.

Lines that are empty or begin with ``#`` are skipped. The separator is found from the first line: a
comma if there is one, else a tab, else blanks. A first line without any number is a header; one with
numbers and texts could be either, and has to be declared. Columns are counted from 0, from the end
with negative numbers, and have names where there is a header.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass

import numpy as np

from physebm.arrays import Array
from physebm.data.raw import Raw, narrow
from physebm.data.source_file import SourceFile
from physebm.errors import StudyFileError

_ROWS = 4096


@dataclass(frozen=True)
class _Lines:
    """Lines with something on them: their texts, numbers in the file, and separator (None: blanks)."""

    texts: list[str]
    numbers: list[int]
    separator: str | None

    def fields(self, i: int) -> list[str]:
        return _fields(self.texts[i], self.separator)


def read_table(
    file: SourceFile,
    where: str,
    *,
    header: bool | None,
    delimiter: str | None,
    skip_columns: int | None,
    labels: int | str | None,
    weights: int | str | None,
) -> Raw:
    """The numbers of all columns but those that are skipped, labels or weights.

    Parameters
    ----------
    header
        Whether the first line holds names; by default found out.
    delimiter
        One character; ``" "`` stands for any run of blanks. By default found out.
    skip_columns
        Number of leading columns to leave out.
    labels, weights
        A column by number or by name; labels may be texts.

    Raises
    ------
    StudyFileError
        for a line with another number of columns, a field that is no number, an unknown column,
        with the line's number in the file.
    """
    lines = _lines(file, where, delimiter)
    skip = _count(skip_columns, f"{where}.skip_columns")
    chosen = {"labels": labels, "weights": weights}
    by_name = any(isinstance(column, str) for column in chosen.values())
    names = None
    if _has_header(lines, header, skip, chosen, by_name, where):
        names = lines.fields(0)
        lines = _Lines(lines.texts[1:], lines.numbers[1:], lines.separator)
    if not lines.texts:
        raise file.unreadable("there is a header, but no sample")
    width = _width(lines, file.inside)
    names = names if names is not None and len(names) == width else None
    at = {
        key: _column(column, names, width, f"{where}.{key}")
        for key, column in chosen.items()
        if column is not None
    }
    kept = [c for c in range(skip, width) if c not in at.values()]
    if not kept:
        raise StudyFileError(
            f"{where}.skip_columns", got=skip, expected=f"fewer: the lines have {width} columns"
        )
    values = narrow(_numbers(lines, kept, file.inside))
    found = {
        "labels": _texts_or_numbers(lines, at["labels"]) if "labels" in at else None,
        "weights": _numbers(lines, [at["weights"]], file.inside)[:, 0] if "weights" in at else None,
    }
    attrs = {} if names is None else {"columns": ", ".join(names[c] for c in kept)}
    return Raw(values, **found, attrs=attrs)


def _lines(file: SourceFile, where: str, delimiter: str | None) -> _Lines:
    try:
        text = file.content().decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        raise file.unreadable(
            f"the file is no text: {problem.reason} at byte {problem.start}"
        ) from None
    texts, numbers = [], []
    for number, line in enumerate(text.splitlines(), start=1):
        line = line.rstrip("\r\n ")
        if line.strip() and not line.lstrip().startswith("#"):
            texts.append(line)
            numbers.append(number)
    if not texts:
        raise file.unreadable("the file is empty")
    if delimiter is None:
        separator = next((c for c in ",\t" if c in texts[0]), None)
    elif not isinstance(delimiter, str) or len(delimiter) != 1 or delimiter in "\r\n\"'#":
        raise StudyFileError(
            f"{where}.delimiter", got=delimiter, expected='one character, e.g. "," or ";" or " "'
        )
    else:
        separator = None if delimiter == " " else delimiter
    return _Lines(texts, numbers, separator)


def _fields(line: str, separator: str | None) -> list[str]:
    if separator is None:
        return line.split()
    if '"' in line:
        return [field.strip() for field in next(csv.reader([line], delimiter=separator))]
    return [field.strip() for field in line.split(separator)]


def _has_header(lines, header, skip, chosen, by_name, where) -> bool:
    if header is not None:
        if not isinstance(header, bool):
            raise StudyFileError(f"{where}.header", got=header, expected="true or false")
        if by_name and not header:
            name = next(c for c in chosen.values() if isinstance(c, str))
            raise StudyFileError(
                f"{where}.header", got=False, hint=f"column '{name}' is named, and names need a header"
            )
        return header
    if by_name:
        return True
    first = lines.fields(0)
    apart = {c % len(first) for c in chosen.values() if isinstance(c, int)}
    judged = [field for c, field in enumerate(first) if c >= skip and c not in apart]
    numbers = sum(_is_number(field) for field in judged)
    if 0 < numbers < len(judged):
        text = next(field for field in judged if not _is_number(field))
        raise StudyFileError(
            f"{where}.header",
            got=f"line {lines.numbers[0]} with both numbers and texts (such as '{text}')",
            expected="header = true if the line holds names, header = false if it is a sample",
            hint="a column of texts is left out by skip_columns or taken as labels",
        )
    return bool(judged) and numbers == 0


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return "_" not in field


def _width(lines: _Lines, where: str) -> int:
    """The number of columns of every line."""
    width = len(lines.fields(0))
    for i, line in enumerate(lines.texts):
        simple = lines.separator is not None and '"' not in line
        found = line.count(lines.separator) + 1 if simple else len(lines.fields(i))
        if found != width:
            raise StudyFileError(
                where,
                got=f"{found} columns on line {lines.numbers[i]}",
                expected=f"{width} columns, as on line {lines.numbers[0]}",
                hint="if the first line is a header, say header = true" if i == 1 else None,
            )
    return width


def _count(skip: int | None, where: str) -> int:
    if skip is None:
        return 0
    if isinstance(skip, bool) or not isinstance(skip, int) or skip < 0:
        raise StudyFileError(where, got=skip, expected="a number of columns, 0 or more")
    return skip


def _column(column: int | str, names: list[str] | None, width: int, where: str) -> int:
    if isinstance(column, str):
        if names is None or column not in names:
            raise StudyFileError(where, got=column, expected=names or "a header with a name per column")
        return names.index(column)
    if isinstance(column, bool) or not isinstance(column, int) or not -width <= column < width:
        raise StudyFileError(where, got=column, expected=f"a column from {-width} to {width - 1}")
    return column % width


def _numbers(lines: _Lines, columns: list[int], where: str) -> Array:
    """``[line, column]``; in pieces, whole numbers as small integers, so that a large table fits."""
    parts = []
    for first in range(0, len(lines.texts), _ROWS):
        rows = lines.texts[first : first + _ROWS]
        try:
            part = np.loadtxt(
                rows, delimiter=lines.separator, usecols=columns, quotechar='"', comments=None, ndmin=2
            )
        except ValueError as problem:
            raise _bad_field(lines, range(first, first + len(rows)), columns, where, problem) from None
        parts.append(narrow(part))
    return np.concatenate(parts)


def _bad_field(lines: _Lines, rows: range, columns: list[int], where: str, problem) -> StudyFileError:
    for i in rows:
        fields = lines.fields(i)
        for c in columns:
            if not _is_number(fields[c]):
                shown = f"'{fields[c]}'" if fields[c] else "an empty field"
                return StudyFileError(
                    where,
                    got=f"{shown} on line {lines.numbers[i]}, column {c} (counted from 0)",
                    expected="a number",
                    hint="a column of texts is left out by skip_columns or taken as labels",
                )
    return StudyFileError(where, hint=f"lines {lines.numbers[rows[0]]} ff. cannot be read: {problem}")


def _texts_or_numbers(lines: _Lines, column: int) -> Array:
    texts = np.array([lines.fields(i)[column] for i in range(len(lines.texts))])
    try:
        return texts.astype(np.float64)
    except ValueError:
        return texts

"""What every reader hands over, and the checks that are the same for every format.

A reader knows its format; it returns a `Raw` of arrays as they stand in the file. `finish` brings
them to a `DataSet`: real numbers, finite, ``[sample, *shape]``, weights and labels of equal length.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from physebm.arrays import Array
from physebm.data.dataset import DataSet
from physebm.data.source_file import SourceFile
from physebm.errors import StudyFileError

_CHUNK = 1 << 22


@dataclass(frozen=True)
class Raw:
    """Arrays of a file: values ``[sample, ...]``, and labels and weights ``[sample]`` if asked for."""

    values: Array
    labels: Array | None = None
    weights: Array | None = None
    alphabet: str | None = None
    attrs: dict[str, Any] = field(default_factory=dict)


def finish(
    raw: Raw,
    file: SourceFile,
    *,
    transpose: bool,
    shape: Sequence[int] | int | None,
    where: str,
) -> DataSet:
    """The data set of a reader's arrays; what is wrong with them is said of `file`.

    Raises
    ------
    StudyFileError
        for values that are no real numbers or not finite, have no sample axis or no sample, for a
        `shape` that does not fit, and for labels or weights that do not belong to the samples.
    """
    if not isinstance(transpose, bool):
        raise StudyFileError(f"{where}.transpose", got=transpose, expected="true or false")
    values = native_numbers(raw.values, file.inside)
    values = values.T if transpose else values
    if values.ndim < 2 or values.size == 0:
        raise StudyFileError(
            file.inside,
            got=f"values of shape {list(values.shape)}",
            expected="[sample, unit] or [sample, row, column]: at least one sample and one unit",
        )
    values = np.ascontiguousarray(values)
    refuse_non_finite(values, file.inside)
    n, units = len(values), math.prod(values.shape[1:])
    if shape is not None:
        sizes = [shape] if isinstance(shape, int) else list(shape)
        whole = all(isinstance(size, int | np.integer) and size > 0 for size in sizes)
        if not whole or math.prod(sizes) != units:
            raise StudyFileError(
                f"{where}.shape", got=shape, expected=f"sizes whose product is {units}, one sample"
            )
        values = values.reshape(n, *sizes)
    return DataSet(
        values,
        weights=_weights(raw.weights, n, where),
        labels=_labels(raw.labels, n, where),
        alphabet=raw.alphabet,
        source=file.path.name,
        attrs=dict(raw.attrs),
    )


def native_numbers(values: Array, where: str) -> Array:
    """The same numbers in this machine's byte order; booleans become int8.

    Raises
    ------
    StudyFileError
        for texts, objects and complex numbers, and for entries that are masked.
    """
    refuse_masked(values, where)
    values = np.asarray(values)
    if values.dtype.kind not in "biuf":
        raise StudyFileError(where, got=f"values of type {values.dtype}", expected="real numbers")
    if values.dtype.kind == "b":
        return values.astype(np.int8)
    if values.dtype.kind == "f" and values.dtype.itemsize > 8:
        return values.astype(np.float64)
    return values.astype(values.dtype.newbyteorder("="), copy=False)


def refuse_masked(values: object, where: str) -> None:
    """Raise for a masked array of numpy with a masked entry: what stands under a mask is no datum."""
    for each in values if isinstance(values, list | tuple) else (values,):
        if isinstance(each, np.ma.MaskedArray) and np.ma.is_masked(each):
            raise StudyFileError(
                where,
                got=f"a masked array, {np.ma.count_masked(each)} of {each.size} entries masked",
                expected="numbers without gaps",
                hint="leave out such samples, or fill them in (`data.filled(...)`), before training",
            )


def refuse_non_finite(values: Array, where: str) -> None:
    """Raise for the first nan or infinity in ``values [sample, ...]``, naming its place."""
    if values.dtype.kind != "f":
        return
    step = max(1, _CHUNK // max(1, math.prod(values.shape[1:])))
    for first in range(0, len(values), step):
        bad = ~np.isfinite(values[first : first + step])
        if bad.any():
            place, value = first_place(bad, values[first : first + step], first)
            raise StudyFileError(
                where,
                got=f"{value} at {place}",
                expected="finite numbers",
                hint="leave out such samples, or fill them in, before training",
            )


def first_place(bad: Array, values: Array, first: int = 0) -> tuple[str, object]:
    """The first True of ``bad [sample, ...]`` in words, and the value there; rows start at `first`."""
    at = np.unravel_index(int(bad.argmax()), bad.shape)
    unit = ", ".join(str(i) for i in at[1:])
    unit = f"({unit})" if len(at) > 2 else unit
    return f"sample {first + at[0]}, unit {unit} (both counted from 0)", values[at].item()


def narrow(values: Array) -> Array:
    """Whole numbers in the smallest integer type that holds them all; others as they are.

    int8 is tried before uint8, so that 0/1 and -1/1 data have one type.
    """
    if values.dtype.kind == "f":
        with np.errstate(invalid="ignore"):
            whole = bool(np.isfinite(values).all()) and bool((values == np.rint(values)).all())
        if not whole or np.abs(values).max(initial=0.0) >= 2.0**53:
            return values
    low, high = values.min(initial=0), values.max(initial=0)
    for kind in (np.int8, np.uint8, np.int16, np.int32):
        if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max:
            return values.astype(kind, copy=False)
    return values.astype(np.int64, copy=False)


def _labels(labels: Array | None, n: int, where: str) -> Array | None:
    if labels is None:
        return None
    labels = _column(labels, n, f"{where}.labels")
    if labels.dtype.kind in "biuf":
        labels = native_numbers(labels, f"{where}.labels")
        refuse_non_finite(labels.reshape(n, 1), f"{where}.labels")
        small = narrow(labels)
        return small.astype(np.int64) if small.dtype.kind in "iu" else labels
    return labels.astype(str)


def _weights(weights: Array | None, n: int, where: str) -> Array | None:
    if weights is None:
        return None
    where = f"{where}.weights"
    weights = native_numbers(_column(weights, n, where), where).astype(np.float64)
    bad = ~(np.isfinite(weights) & (weights >= 0))
    if bad.any():
        at = int(bad.argmax())
        raise StudyFileError(
            where,
            got=f"{weights[at]} at sample {at} (counted from 0)",
            expected="finite numbers, 0 or more",
        )
    if not weights.any():
        raise StudyFileError(where, got="weights that are all 0", expected="a positive sum")
    return weights


def _column(held: Array, n: int, where: str) -> Array:
    held = np.asarray(held)
    if held.size != n or max(held.shape, default=0) != n:
        raise StudyFileError(
            where,
            got=f"an array of shape {list(held.shape)}",
            expected=f"one entry for each of {n} samples",
        )
    return held.ravel()

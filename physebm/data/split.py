"""Training, validation and test samples: disjoint parts of one data set, by seed or by range."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from physebm.arrays import Int64
from physebm.data.permutation import permutation
from physebm.errors import StudyFileError
from physebm.rng.streams import key_of


@dataclass(frozen=True, eq=False)
class Split:
    """Rows of the three parts, each in ascending order; together they are all rows, each once."""

    train: Int64
    validation: Int64
    test: Int64


def split(
    samples: int, *, validation: float = 0.0, test: float = 0.0, seed: int, where: str = "train.data"
) -> Split:
    """Split `samples` rows at random: the nearest whole numbers to the fractions, the rest trains.

    The random order is a function of (seed, samples): the test samples come first in it, then the
    validation samples, so that the test part does not change with the validation fraction.

    Raises
    ------
    StudyFileError
        for a fraction outside [0, 1), one so small that its part would be empty, and fractions
        that leave nothing to train on.
    """
    sizes = {}
    for name, fraction in (("test", test), ("validation", validation)):
        number = isinstance(fraction, int | float) and not isinstance(fraction, bool)
        if not number or not 0 <= fraction < 1:
            raise StudyFileError(
                f"{where}.{name}", got=fraction, expected="a fraction from 0 to below 1"
            )
        sizes[name] = round(fraction * samples)
        if fraction > 0 and sizes[name] == 0:
            raise StudyFileError(
                f"{where}.{name}", got=fraction, hint=f"this is less than one of {samples} samples"
            )
    held_out = sizes["test"] + sizes["validation"]
    if held_out >= samples:
        raise StudyFileError(
            f"{where}.validation",
            got=f"validation = {validation}, test = {test}",
            expected=f"fractions that leave some of {samples} samples to train on",
        )
    order = permutation(key_of(seed, "split"), samples)
    parts = np.split(order, [sizes["test"], held_out])
    test_rows, validation_rows, train_rows = (np.sort(part) for part in parts)
    return Split(train_rows, validation_rows, test_rows)


def row_range(rows: Sequence[int], samples: int, where: str = "train.data") -> Int64:
    """The rows ``a ... b - 1`` of ``rows = [a, b]``, counted from 0, as in Python.

    Raises
    ------
    StudyFileError
        unless ``0 <= a < b <= samples``.
    """
    whole = isinstance(rows, Sequence | np.ndarray) and all(
        isinstance(row, int | np.integer) and not isinstance(row, bool) for row in rows
    )
    if not whole or len(rows) != 2 or not 0 <= rows[0] < rows[1] <= samples:
        raise StudyFileError(
            f"{where}.rows",
            got=rows,
            expected=f"[first, end] with 0 <= first < end <= {samples}, the number of samples",
        )
    return np.arange(rows[0], rows[1])

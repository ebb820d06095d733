"""Which training of a result is meant, and whether it came to its end.

A result of a scan holds one training per point of its training axes. A training that diverged left
the ages before it, of which none is what the study asked for: it is given only to those who name it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from physebm.errors import ResultFileError
from physebm.schema.result_arrays import LAST, diverged_at
from physebm.storage.netcdf import lazily
from physebm.storage.training import ARRAYS


def chosen_point(path: Path, at: Mapping[str, object]) -> dict[str, object]:
    """The coordinate on every training axis of the result that `at` names; axes of one value need none.

    Raises
    ------
    ResultFileError
        for axes and values that there are not, and axes that `at` leaves open.
    """
    _refuse_tables(at)
    with lazily(path, ARRAYS) as ds:
        first = next(iter(ds.data_vars.values()))
        axes = first.dims[: first.dims.index("update")]
        values = {str(axis): ds[axis].values.tolist() for axis in axes}
    for name, value in at.items():
        if name not in values:
            raise ResultFileError(
                str(path),
                got=f"{name} = {value}",
                expected=list(values) or "no axis: this result holds one training",
                hint="axes on which the training depends",
            )
    point, missing = {}, {}
    for name, held in values.items():
        if name in at:
            point[name] = _matched(path, name, held, at[name])
        elif len(held) == 1:
            point[name] = held[0]
        else:
            missing[name] = held
    if missing:
        options = " ".join(f"--at {name}={held[0]}" for name, held in missing.items())
        words = ", ".join(f"{name}={held[0]!r}" for name, held in missing.items())
        lists = [f"{name} of {', '.join(map(str, held))}" for name, held in missing.items()]
        raise ResultFileError(
            str(path),
            got="several trainings",
            expected="; ".join(lists),
            hint=f'name one: {options}, or in Python open_trained("{path.name}", {words})',
        )
    return point


def read_update(update: object) -> int | str:
    """The age that is asked for: a whole number, or "last".

    Raises
    ------
    ResultFileError
        for anything else.
    """
    if isinstance(update, str) and update == LAST:
        return update
    if isinstance(update, int | np.integer) and not isinstance(update, bool):
        return int(update)
    raise ResultFileError("update", got=update, expected='a recorded age as a whole number, or "last"')


def refuse_diverged(path: Path, failure: str, age: int) -> None:
    """Raise for a training that diverged, whose last recorded age was not asked for by its number.

    Raises
    ------
    ResultFileError
        with the update at which it diverged, and the spelling that gives what there is.
    """
    if not failure:
        return
    untrained = ", before the first update" if age == 0 else ""
    raise ResultFileError(
        str(path),
        got=f"a {diverged_at(failure)}",
        expected="a training that came to its end",
        hint=f"its last recorded age is {age}{untrained}; ask for it with --update {age}, or in Python "
        f'open_trained("{path.name}", update={age})',
    )


def _refuse_tables(at: Mapping[str, object]) -> None:
    for name, value in at.items():
        if isinstance(value, str | bool | int | float | np.generic):
            continue
        inner = value.items() if isinstance(value, Mapping) else [(name, "VALUE")]
        words = ", ".join(f"{axis}={held!r}" for axis, held in inner)
        raise ResultFileError(
            f"open_trained: {name}",
            got=value,
            expected="one number or text per axis, named as a keyword",
            hint=f"open_trained(path, {words})",
        )


def _matched(path: Path, name: str, values: list, wanted: object) -> object:
    for value in values:
        numbers = isinstance(value, int | float) and isinstance(wanted, int | float | np.number)
        if np.isclose(value, wanted, rtol=1e-9, atol=0.0) if numbers else str(value) == str(wanted):
            return value
    raise ResultFileError(
        f"{path}: {name}",
        got=wanted,
        expected=[str(value) for value in values],
        hint="values of this axis",
    )

"""Arrays that a training left in a result: one age at one point, the others stay on the disk.

The group ``/arrays`` of a result has a variable per learned array, ``[*training axes, update, *its own
axes]``, the ages as coordinate `update`, and the axes' values in this group or the root. Trainings of
one study may differ in size and in their last age: what does not exist is NaN, at the end of an axis.
A training that diverged left the ages before it, and says so in the variable ``message`` of the root.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from physebm.errors import InputError, ModelFileError, ResultFileError

if TYPE_CHECKING:
    import netCDF4

NEAREST = 6
UPDATE, LAST = "update", "last"
# What the message of a training that diverged has in it.
DIVERGED = "training diverged"


def result_path(name: str, directory: str | Path, where: str, error: type[InputError]) -> Path:
    """The result of that name: beside the TOML file, in the folder above it, or in the present one."""
    places = (Path(directory), Path(directory).parent, Path())
    for place in places:
        if (place / name).is_file():
            return place / name
    looked = ", ".join(dict.fromkeys(str(place / name) for place in places))
    hint = f"there is no such file; looked for {looked}. Run the study that trains the model first"
    raise error(f"{where}.from", got=name, hint=hint)


def trained_names(path: Path, where: str, error: type[InputError] = ModelFileError) -> tuple[str, ...]:
    """The arrays that a result holds.

    Raises
    ------
    InputError
        of the class `error`: for a file that is no result, or of a study that did not train.
    """
    return _names(path, path.stat().st_mtime_ns, where, error)


def read_trained(
    path: Path,
    slot: str,
    update: int | str,
    at: Mapping[str, object],
    where: str,
    error: type[InputError] = ModelFileError,
) -> np.ndarray:
    """One learned array at one age, in double precision.

    Parameters
    ----------
    path
        A result file.
    slot
        The array's name in the result.
    update
        A recorded age, or "last".
    at
        ``{training axis: value}``; an axis of one value may be left out.
    where
        The table that asks for it, for messages.

    Raises
    ------
    InputError
        of the class `error`: for a file without learned arrays, an unknown array, an age that was
        not recorded or has no arrays, and a point that `at` does not name.
    """
    point = tuple(sorted(at.items()))
    return _read(path, path.stat().st_mtime_ns, slot, update, point, where, error)[0]


def age_of(
    path: Path, slot: str, update: int | str, at: Mapping[str, object], where: str, error
) -> int:
    """The age that `read_trained` reads: "last" is the last one of that very training."""
    point = tuple(sorted(at.items()))
    return _read(path, path.stat().st_mtime_ns, slot, update, point, where, error)[1]


def failure_of(path: Path, slot: str, at: Mapping[str, object], where: str, error) -> str:
    """The message of a training that diverged, "" for all others; arguments as of `read_trained`."""
    point = tuple(sorted(at.items()))
    return _failure(path, path.stat().st_mtime_ns, slot, point, where, error)


def refuse_diverged(path: Path, slot: str, at: Mapping[str, object], where: str, error) -> None:
    """Raise where "last" would mean the arrays on the way to a divergence.

    Whoever names the age gets it. Arguments as of `read_trained`.

    Raises
    ------
    InputError
        of the class `error`, with the update at which it diverged, and the age to name.
    """
    failure = failure_of(path, slot, at, where, error)
    if not failure:
        return
    age = age_of(path, slot, LAST, at, where, error)
    raise error(
        f"{where}.from",
        got=f"{path.name}, a {diverged_at(failure)}",
        expected="a training that came to its end",
        hint=f"train again with a lower train.learning_rate, or with train.clip; update = {age} takes "
        f"the arrays of its last recorded age{'' if age else ', before the first update'}",
    )


def diverged_at(failure: str) -> str:
    """The head of the message of a training that diverged: "training that diverged at update 7"."""
    found = re.search(r"diverged at update (\d+)", failure)
    return f"training that diverged at update {found[1]}" if found else "training that diverged"


@lru_cache(maxsize=32)
def _failure(path: Path, stamp: int, slot: str, point, where: str, error) -> str:
    with _opened(path, where, error) as group:
        root = group.parent
        if slot not in group.variables or "message" not in root.variables:
            return ""
        axes = group[slot].dimensions
        axes = axes[: axes.index(UPDATE)]
        lead = dict(zip(axes, _point(group, axes, dict(point), path, where, error)))
        held = root["message"]
        index = tuple(lead.get(name, slice(None)) for name in held.dimensions)
        texts = np.ravel(held[index] if index else held[...]).tolist()
    return next((text for text in texts if DIVERGED in text), "")


@lru_cache(maxsize=32)
def _names(path: Path, stamp: int, where: str, error: type[InputError]) -> tuple[str, ...]:
    with _opened(path, where, error) as group:
        return tuple(name for name in group.variables if UPDATE in group[name].dimensions[:-1])


@lru_cache(maxsize=8)
def _read(path, stamp, slot, update, point, where, error) -> tuple[np.ndarray, int]:
    with _opened(path, where, error) as group:
        names = trained_names(path, where, error)
        if slot not in names:
            hint = f"{path.name} holds these arrays"
            raise error(f"{where}.variable", got=slot, expected=names, hint=hint)
        held = group[slot]
        axes = held.dimensions[: held.dimensions.index(UPDATE)]
        lead = _point(group, axes, dict(point), path, where, error)
        ages = [int(age) for age in _coordinate(group, UPDATE)]
        if update == LAST:
            rows = range(len(ages))[::-1]
        elif update in ages:
            rows = [ages.index(update)]
        else:
            raise error(
                f"{where}.update",
                got=update,
                expected="one of the nearest recorded ages: " + _nearest(ages, update),
                hint=f"{path.name} has {len(ages)} ages from {ages[0]} to {ages[-1]}",
            )
        for row in rows:
            values = _existing(np.asarray(held[(*lead, row)], dtype=np.float64))
            if values.size:
                break
        else:
            there = [age for row, age in enumerate(ages) if _any_number(held, (*lead, row))]
            known = _nearest(there, ages[-1] if update == LAST else update)
            raise error(
                f"{where}.update",
                got=update,
                expected=f"an age with arrays: {known}" if there else None,
                hint=f"{path.name} has no arrays of this training at this age",
            )
    if not np.isfinite(values).all():
        raise error(f"{where}.from", got=f"non-finite numbers in {slot} of {path.name}")
    return values, ages[row]


@contextmanager
def _opened(path: Path, where: str, error: type[InputError]) -> Iterator[netCDF4.Group]:
    """The group of the learned arrays, open."""
    import netCDF4

    from physebm.storage.netcdf import study_hash_of

    try:
        study_hash_of(path)
    except ResultFileError as problem:
        raise error(
            f"{where}.from", got=f"{path}: {problem.got}", expected=problem.expected, hint=problem.hint
        ) from None
    with netCDF4.Dataset(path) as held:
        held.set_auto_mask(False)
        if "arrays" not in held.groups:
            raise error(
                f"{where}.from",
                got=str(path),
                expected="the result of a study with a table [train]",
                hint="this study did not train, so its result has no learned arrays",
            )
        try:
            yield held["arrays"]
        except RuntimeError as problem:  # what the netCDF library raises on a damaged chunk
            raise error(
                f"{where}.from",
                got=f"{path}, which is damaged ({problem})",
                hint="restore the file or run the study again",
            ) from None


def _point(group, axes: tuple[str, ...], at: dict[str, object], path: Path, where, error) -> list[int]:
    """The index along every training axis."""
    for name in at:
        if name not in axes:
            expected = axes or "no axes: one training"
            raise error(f"{where}.at", got=name, expected=expected, hint=f"axes of {path.name}")
    index, missing = [], {}
    for name in axes:
        values = _coordinate(group, name).tolist()
        if name in at:
            index.append(_index(values, at[name], f"{where}.at.{name}", error))
        elif len(values) > 1:
            missing[name] = values
        else:
            index.append(0)
    if missing:
        lists = "; ".join(f"{name} of {', '.join(map(str, held))}" for name, held in missing.items())
        first = ", ".join(f"{name} = {_toml(held[0])}" for name, held in missing.items())
        raise error(
            f"{where}.at",
            expected=lists,
            hint=f"{path.name} holds several trainings; name one, as in at = {{ {first} }}",
        )
    return index


def _index(values: list, wanted: object, where: str, error: type[InputError]) -> int:
    for i, value in enumerate(values):
        numbers = isinstance(value, int | float) and isinstance(wanted, int | float)
        if np.isclose(value, wanted, rtol=1e-9, atol=0.0) if numbers else str(value) == str(wanted):
            return i
    raise error(where, got=wanted, expected=[str(value) for value in values])


def _coordinate(group, name: str) -> np.ndarray:
    """The values of an axis, from this group or one above it; numbers from 0 where there are none."""
    here = group
    while here is not None:
        if name in here.variables:
            return np.asarray(here[name][:])
        if name in here.dimensions:
            length = len(here.dimensions[name])
        here = here.parent
    return np.arange(length)


def _existing(values: np.ndarray) -> np.ndarray:
    """The array without what is nothing but NaN at the ends of its axes."""
    number = ~np.isnan(values)
    for axis in range(values.ndim):
        others = tuple(i for i in range(values.ndim) if i != axis)
        filled = np.flatnonzero(number.any(axis=others))
        values = values.take(range(filled[-1] + 1 if len(filled) else 0), axis=axis)
        number = ~np.isnan(values)
    return values


def _any_number(held, index: tuple[int, ...]) -> bool:
    first = (0,) * (held.ndim - len(index))
    return bool(np.isfinite(held[(*index, *first)]))


def _nearest(ages: list[int], wanted: int) -> str:
    return ", ".join(map(str, sorted(sorted(ages, key=lambda age: abs(age - wanted))[:NEAREST])))


def _toml(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)

"""Do the data fit the units? Values are converted to the states of a unit type, or refused.

Ising -1, 1; Bernoulli 0, 1; Potts 0 ... q - 1; Gaussian any finite number; truncated Gaussian finite
and not below its edge. Nothing is rounded or clipped; the one conversion, between 0/1 and -1/1
by ``s = 2 x - 1``, has to be asked for (``map = true``).
"""

from __future__ import annotations

import numpy as np

from physebm.arrays import Array
from physebm.data.raw import first_place
from physebm.errors import StudyFileError

_TWO = {"ising": (-1, 1), "bernoulli": (0, 1)}
KINDS = (*_TWO, "potts", "gaussian", "truncated_gaussian")


def to_support(
    values: Array,
    kind: str,
    q: int = 0,
    *,
    lower: float | Array = 0.0,
    map: bool = False,
    keys: bool = True,
    where: str = "train.data",
) -> Array:
    """The samples as states of units of one kind, in the same shape ``[sample, ...]``.

    Parameters
    ----------
    values
        Numbers.
    kind
        ``ising``, ``bernoulli``, ``potts``, ``gaussian`` or ``truncated_gaussian``.
    q
        Number of Potts states.
    lower
        Edge of truncated Gaussian units, one number or one per unit.
    map
        Bring 0/1 to -1/1 for Ising units, -1/1 to 0/1 for Bernoulli units; data that fit already
        stay as they are, and a mixture of both is refused.
    keys
        Whether advice may name keys of [train.data]: numbers given in Python have none.
    where
        The table of the study, for errors.

    Returns
    -------
    states
        int8 for discrete units (int16 for more than 127 Potts states), as the sweep kernels keep
        them; float32 stays float32 and other numbers become float64 for continuous units.

    Raises
    ------
    StudyFileError
        with the first value outside the support, its place, and what to do about it.
    """
    values = np.asarray(values)
    if kind in _TWO:
        states = _TWO[kind]
        legal = _among(values, states)
        if map and not legal.all():
            other = _TWO["bernoulli" if kind == "ising" else "ising"]
            legal = _among(values, other)
            hint = None if legal.all() else _hint(values, kind, map, keys)
            _refuse(values, legal, f"{list(states)}, or {list(other)} to be mapped", hint, where)
            return np.where(values == 1, np.int8(states[1]), np.int8(states[0]))
        hint = None if legal.all() else _hint(values, kind, map, keys)
        _refuse(values, legal, f"{states[0]} or {states[1]} ({kind} units)", hint, where)
        return values.astype(np.int8, copy=False)
    if kind == "potts":
        if q < 2:
            raise ValueError(f"a Potts unit has at least 2 states, got q = {q}")
        with np.errstate(invalid="ignore"):
            legal = (values >= 0) & (values < q)
            legal &= values == np.rint(values)
        hint = None if legal.all() else _hint(values, kind, map, keys)
        _refuse(
            values, legal, f"whole numbers from 0 to {q - 1} (Potts units of {q} states)", hint, where
        )
        return values.astype(np.int16 if q > 127 else np.int8)
    if kind not in KINDS:
        raise ValueError(f"unknown unit kind {kind!r}")
    _refuse(values, np.isfinite(values), "finite numbers", None, where)
    if kind == "truncated_gaussian":
        edge = np.broadcast_to(np.asarray(lower, dtype=np.float64), values.shape[1:])
        legal = values >= edge
        at = np.unravel_index(int((~legal).argmax()), legal.shape)
        _refuse(values, legal, f"{edge[at[1:]]:g} or more (truncated Gaussian units)",
                "shift or scale the data, or give the units a lower edge", where)  # fmt: skip
    return values if values.dtype == np.float32 else values.astype(np.float64, copy=False)


def _among(values: Array, states: tuple[int, int]) -> Array:
    """Where a value is one of two; one byte a number, which numpy's isin is far from."""
    legal = values == states[0]
    legal |= values == states[1]
    return legal


def _refuse(values: Array, legal: Array, expected: str, hint: str | None, where: str) -> None:
    if not legal.all():
        place, value = first_place(~legal, values)
        raise StudyFileError(where, got=f"{value} at {place}", expected=expected, hint=hint)


def _hint(values: Array, kind: str, mapped: bool, keys: bool) -> str | None:
    """What most probably helps, from the values that there are."""
    if not np.isfinite(values).all():
        return None
    low, high = values.min(), values.max()
    if kind == "potts":
        if (values == np.rint(values)).all() and low >= 0:
            return f"the data have states up to {high}: units of q = {int(high) + 1} would hold them"
        return "Potts units take the number of a state; continuous data need other units"
    other = {"ising": "bernoulli", "bernoulli": "ising"}[kind]
    if not mapped and _among(values, _TWO[other]).all():
        if not keys:
            formula = "2 * x - 1" if kind == "ising" else "(x + 1) / 2"
            return f"{formula} takes {list(_TWO[other])} to {list(_TWO[kind])}"
        return f"map = true takes {list(_TWO[other])} to {list(_TWO[kind])}; or use {other} units"
    if not keys:
        return "bring them to these two values first, by a threshold"
    then = " and map = true" if kind == "ising" else ""
    if 0 <= low and high <= 1:
        return f'binarise = 0.5 (a threshold) or binarise = "sample"{then} makes two values of them'
    return (
        f'scale = [{low:g}, {high:g}] with binarise = 0.5 or binarise = "sample"{then} makes two values'
        " of them"
    )

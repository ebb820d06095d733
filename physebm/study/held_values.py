"""Values that generated samples hold: arrays with free places -> states and masks, or what is wrong.

A place is free where it is NaN; of Potts units also where it is -1, so that whole numbers suffice.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from physebm.data.raw import first_place, native_numbers
from physebm.errors import InputError
from physebm.model.hamiltonian import Group, Hamiltonian
from physebm.model.params import Params
from physebm.model.units import UnitKind

FREE = -1


def held_values(
    hamiltonian: Hamiltonian, params: Params, clamp: object, samples: int
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """``{group: (values[sample, unit], held[sample, unit])}``.

    Parameters
    ----------
    clamp
        ``{group: values}``, one row ``[unit]`` for all samples or ``[sample, unit]``; units may have
        the shape that the model gives them.

    Raises
    ------
    InputError
        for what is no such table, groups that there are not, arrays of another shape, and values
        that are no states of their units.
    """
    if not isinstance(clamp, Mapping):
        name = hamiltonian.counted[0].name
        raise InputError(
            "clamp",
            got=f"a {type(clamp).__name__}",
            expected="a table of arrays, {group: values}",
            hint=f'as in clamp={{"{name}": values}}',
        )
    names = [group.name for group in hamiltonian.groups]
    found = {}
    for name, given in clamp.items():
        where = f"clamp.{name}"
        if name not in names:
            raise InputError(where, got=name, expected=names)
        group = hamiltonian.group(name)
        values = native_numbers(given, where)
        if values.size not in (group.size, samples * group.size) or not _fits(
            values.shape, group.size, samples
        ):
            raise InputError(
                where,
                got=f"shape {list(values.shape)}",
                expected=f"{group.size} values, or [{samples}, {group.size}], a row for each sample",
            )
        rows = values.reshape(-1, group.size)
        held = _held(group, rows)
        edge = params.lower.get(name)
        _check(group, rows, held, 0.0 if edge is None else edge[0], where)
        shape = (samples, group.size)
        found[name] = np.broadcast_to(rows, shape), np.broadcast_to(held, shape)
    return found


def _fits(shape: tuple[int, ...], size: int, samples: int) -> bool:
    """Whether an array is one row of units, or a row per sample with the samples first."""
    row = int(np.prod(shape, dtype=int)) == size
    return row or (len(shape) > 1 and shape[0] == samples)


def _held(group: Group, rows: np.ndarray) -> np.ndarray:
    if rows.dtype.kind == "f":
        free = np.isnan(rows)
    else:
        free = np.zeros(rows.shape, dtype=bool)
    return ~(free | (rows == FREE)) if group.prior.kind is UnitKind.POTTS else ~free


def _check(group: Group, rows: np.ndarray, held: np.ndarray, edge, where: str) -> None:
    free = "nan for free units"
    if group.prior.discrete:
        states = group.prior.states
        legal = np.isin(rows, states)
        expected = f"states {list(states)}, {free}"
        if group.prior.kind is UnitKind.POTTS:
            expected = f"states 0 to {states[-1]}, {FREE} or {free}"
    elif group.prior.kind is UnitKind.TRUNCATED_GAUSSIAN:
        legal = np.isfinite(rows) & (np.nan_to_num(rows) >= edge)
        expected = f"finite numbers not below the units' lower edge, {free}"
    else:
        legal = np.isfinite(rows)
        expected = f"finite numbers, {free}"
    bad = held & ~legal
    if bad.any():
        place, value = first_place(bad, rows)
        raise InputError(where, got=f"{value} at {place}", expected=expected)

"""Derived quantities of all points of a study: jackknives of many points at once.

A point's value comes from its own blocks; where the definition averages over disorder first, from the
blocks of all samples beside each other. Points with equally many samples, blocks and chains share one
array, since the estimate is elementwise in the points: a scan costs array operations, not a call each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from physebm.observables.chains import chain_error, honest_error
from physebm.observables.derived import DERIVED, Derived, estimate
from physebm.storage.quantities import quantity
from physebm.study.grid import Grid
from physebm.study.task_outcome import TaskOutcome

# Numbers gathered in one array: bounds the memory of studies of many points.
_CHUNK = 1 << 22


@dataclass(frozen=True)
class _Columns:
    """Tasks of equal shape under each other: the points are the columns of their arrays."""

    arrays: dict[str, np.ndarray]
    index: np.ndarray

    def take(self, name: str, columns: np.ndarray) -> np.ndarray:
        """Some columns of an array, ``[..., *columns]``."""
        return self.arrays[name][..., columns]


def derived_estimates(grid: Grid, done: Sequence[TaskOutcome], name: str):
    """``(value, stderr, None)`` of a derived quantity on the axes that it has; None where not recorded.

    Jackknife over blocks; over disorder samples where the definition averages them first. The error of
    one point is the scatter between its chains where that is significantly larger.
    """
    derived = DERIVED[name]
    if name == "correlation_length_over_L" and any("blocks/mk2" in o.arrays for o in done):
        derived = DERIVED["correlation_length_over_L_ferromagnet"]
    if any(f"blocks/{m}" not in o.arrays for o in done for m in derived.moments):
        return None
    axes = list(grid.axes)
    averaged = "disorder" in quantity(name).drops and "disorder" in axes
    where = axes.index("disorder") if averaged else -1
    kept = [a for a in range(len(axes)) if a != where]
    shape = tuple(grid.shape[a] for a in kept)
    value, error = np.full((2, prod(shape)), np.nan)
    for columns in _by_shape(done, derived):
        for members in _groups(columns.index, kept, columns.arrays, derived):
            at = places(columns.index[members[0]][:, kept], shape)
            value[at], error[at] = _estimates(columns, derived, members)
    return value.reshape(shape), error.reshape(shape), None


def places(index: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Positions in a flat grid of that shape (of no axes too) of the indices ``[point, axis]``."""
    strides = np.array([prod(shape[axis + 1 :]) for axis in range(len(shape))], dtype=np.int64)
    return index @ strides


def _by_shape(done: Sequence[TaskOutcome], derived: Derived) -> list[_Columns]:
    """Columns of the tasks with equally many blocks and chains.

    Samples of one point are never apart: they have one schedule and one model.
    """
    blocks = [f"blocks/{m}" for m in derived.moments]
    without = [f"without/{m}" for m in derived.moments]
    alike: dict[tuple, list[TaskOutcome]] = {}
    for outcome in done:
        names = tuple(n for n in (*blocks, *without) if n in outcome.arrays)
        shape = tuple((n, len(outcome.arrays[n])) for n in names)
        alike.setdefault(shape, []).append(outcome)
    return [
        _Columns(
            {
                name: np.concatenate([o.arrays[name] for o in held], axis=-1)
                for name in (*(n for n, _ in shape), *derived.constants)
            },
            np.concatenate([o.index for o in held]),
        )
        for shape, held in alike.items()
    ]


def _groups(index: np.ndarray, kept: list[int], arrays, derived: Derived):
    """Columns ``[sample, point]`` of points with equally many samples, samples in grid order."""
    if len(kept) == index.shape[1]:
        groups = {1: np.arange(len(index))[None]}
    else:
        order = np.lexsort(index[:, ::-1].T)
        order = order[np.lexsort(index[order][:, kept[::-1]].T)] if kept else order
        held = index[order][:, kept]
        first = np.flatnonzero(np.r_[True, (held[1:] != held[:-1]).any(axis=1)])
        counts = np.diff(np.r_[first, len(order)])
        groups = {int(n): order[first[counts == n] + np.arange(n)[:, None]] for n in np.unique(counts)}
    blocks = max(len(arrays[f"blocks/{m}"]) for m in derived.moments)
    for samples, columns in groups.items():
        step = max(1, _CHUNK // (samples * blocks))
        for at in range(0, columns.shape[1], step):
            yield columns[:, at : at + step]


def _estimates(columns: _Columns, derived: Derived, members: np.ndarray):
    constants = {c: columns.take(c, members[0]) for c in derived.constants}
    blocks = {m: np.moveaxis(columns.take(f"blocks/{m}", members), 1, 0) for m in derived.moments}
    value, error = estimate(derived, blocks, constants, disorder=True)
    without = [f"without/{m}" for m in derived.moments]
    if len(members) > 1 or any(name not in columns.arrays for name in without):
        return value, error
    known = [constants[c] for c in derived.constants]
    means = [columns.take(name, members[0]) for name in without]
    scatter = chain_error(value, lambda *moments: derived.formula(*moments, *known), *means)
    return value, honest_error(error, None, scatter, len(means[0]))

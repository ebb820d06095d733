"""[train] record: at which training ages the arrays and what is measured of them are kept.

    { logspace = 40 }     40 ages of equal ratios, from the first update to the last
    { every = 100 }       equal steps
    [10, 100, 1000]       the ages themselves

An age is a number of updates done. Age 0, before any of them, and the last one are always recorded.
"""

from __future__ import annotations

from abc import ABC

import msgspec

from physebm.schema.convert import Problem, nested
from physebm.schema.struct_rules import require_whole


class Record(ABC):  # noqa: B024 - a type that msgspec leaves to `read_record`
    """A `RecordDeclaration` or an `AgeList`."""


class RecordDeclaration(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Ages by a rule: exactly one of `logspace`, their number, and `every`, their distance."""

    logspace: int | None = None
    every: int | None = None

    def __post_init__(self):
        if (self.logspace is None) == (self.every is None):
            got = None if self.logspace is None else "logspace, every"
            raise Problem(got=got, expected="exactly one of: logspace, every; or a list of ages")
        require_whole(self, logspace=1, every=1)

    def ages(self, updates: int) -> tuple[int, ...]:
        """Recorded ages of a training of `updates` updates, ascending and distinct."""
        if self.logspace is not None:
            inner = _spread(self.logspace, updates)
        else:
            inner = range(self.every, updates, self.every)
        return tuple(sorted({0, updates, *inner}))


class AgeList(msgspec.Struct, frozen=True):
    """Ages that were written one by one, ascending."""

    written: list[int]

    def ages(self, updates: int) -> tuple[int, ...]:
        """The same with 0 and `updates`."""
        return tuple(sorted({0, updates, *self.written}))

    def check(self, updates: int) -> None:
        """Raise `Problem` for an age beyond the last update."""
        for i, age in enumerate(self.written):
            if age > updates:
                expected = f"ages up to {updates}, the number of updates"
                raise Problem(f".record[{i}]", got=age, expected=expected)


Record.register(RecordDeclaration)
Record.register(AgeList)


def read_record(value: object) -> RecordDeclaration | AgeList:
    """What `record` says; raises `Problem`."""
    if isinstance(value, dict):
        return nested(value, RecordDeclaration)
    if not isinstance(value, list | tuple) or not value:
        expected = "{ logspace = COUNT }, { every = UPDATES }, or a list of ages"
        raise Problem(got=value, expected=expected)
    for i, age in enumerate(value):
        if isinstance(age, bool) or not isinstance(age, int) or age < 0:
            raise Problem(f"[{i}]", got=age, expected="a number of updates, 0 or more")
        if i and age <= value[i - 1]:
            raise Problem(f"[{i}]", got=age, expected="ages in ascending order")
    return AgeList(list(value))


def _spread(count: int, updates: int) -> list[int]:
    """`count` distinct whole numbers from 1 to `updates`, as evenly in the logarithm as they can be."""
    if count >= updates:
        return list(range(1, updates + 1))
    ages = [1]
    for left in range(count - 1, 0, -1):
        ratio = (updates / ages[-1]) ** (1.0 / left)
        ages.append(max(ages[-1] + 1, round(ages[-1] * ratio)))
    return ages

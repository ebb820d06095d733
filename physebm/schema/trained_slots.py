"""Which arrays of a model come from the result of a training, and whether they fit it.

An array says so itself, ``W = { from = "results/rbm.nc" }``, or the model (or a study) says it for all
of them, ``arrays = { from = "results/rbm.nc" }``: then every array that the result holds comes from
there, and one that it lacks keeps its declaration.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

import numpy as np

from physebm.errors import InputError, ModelFileError
from physebm.schema.declarations import ArrayDeclaration, ModelDeclaration
from physebm.schema.expressions import Expression
from physebm.schema.result_arrays import (
    LAST,
    read_trained,
    refuse_diverged,
    result_path,
    trained_names,
)


@dataclass(frozen=True)
class Snapshot:
    """One learned array: a slot of a result at an age and a point of its training axes.

    `where` is the address of the table that asks for it, `error` what is raised.
    """

    path: Path
    slot: str
    update: int | str = LAST
    at: Mapping[str, int | float | str] = field(default_factory=dict)
    where: str = ""
    error: type[InputError] = ModelFileError

    def read(self) -> np.ndarray:
        """The numbers; see `read_trained`. The end of a training that diverged is refused."""
        if self.update == LAST:
            refuse_diverged(self.path, self.slot, self.at, self.where, self.error)
        return read_trained(self.path, self.slot, self.update, self.at, self.where, self.error)

    @property
    def declaration(self) -> ArrayDeclaration:
        """The array as one that says itself where it comes from."""
        return ArrayDeclaration(
            from_result=str(self.path),
            variable=self.slot,
            update=self.update,
            at=dict(self.at) or None,
        )


def snapshot_of(
    declaration: ModelDeclaration, name: str, held: ArrayDeclaration | None
) -> Snapshot | None:
    """The learned numbers of an array, None where its own declaration holds.

    `held` is that declaration; where there is none, the result has to hold the array.
    """
    if held is not None and held.from_result is not None:
        where = f"{declaration.where}.arrays.{name}"
        path = result_path(held.from_result, declaration.directory, where, ModelFileError)
        return Snapshot(path, held.variable or name, held.update, held.at or {}, where)
    trained = declaration.trained
    if trained is None:
        return None
    asked, where, error = trained.arrays, trained.where, trained.error
    path = result_path(asked.from_result, trained.directory, where, error)
    if held is not None and name not in trained_names(path, where, error):
        return None
    return Snapshot(path, name, asked.update, asked.at or {}, where, error)


def check_used(
    declaration: ModelDeclaration, slots: Iterable[str], snapshots: Mapping[str, Snapshot]
) -> None:
    """Raise where the model names a result that holds nothing of it."""
    trained = declaration.trained
    if trained is None or snapshots:
        return
    path = result_path(trained.arrays.from_result, trained.directory, trained.where, trained.error)
    names = trained_names(path, trained.where, trained.error)
    raise trained.error(
        f"{trained.where}.from",
        got=f"{path.name}, which holds {', '.join(names)}",
        expected=list(slots),
        hint=f"it has none of the arrays of {declaration.name}",
    )


def refuse_shape(
    snapshot: Snapshot,
    shape: tuple[int, ...],
    needs: str,
    declared: Sequence[Expression],
    env: Mapping[str, float],
) -> NoReturn:
    """Raise for a learned array of another shape than the model has at its parameters.

    Parameters
    ----------
    shape
        Of the learned array.
    needs
        The shape that would fit, in words.
    declared
        The sizes of the array as expressions; those that are one parameter tell what to set.
    env
        The parameters' values.
    """
    hint = "set the sizes of the model as they were in the training"
    if len(declared) == len(shape):
        wanted = {each.name: n for each, n in zip(declared, shape) if each.name in env}
        wanted = {name: n for name, n in wanted.items() if env[name] != n}
        if wanted:
            hint += ": " + ", ".join(f"{name} = {n}" for name, n in wanted.items())
    raise snapshot.error(
        snapshot.where,
        got=f"{snapshot.slot} of shape {list(shape)} in {snapshot.path.name}",
        expected=f"shape {needs}",
        hint=hint,
    )

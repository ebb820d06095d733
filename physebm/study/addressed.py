"""Mistakes of a user that a lower floor found, with the file in their address."""

from __future__ import annotations

from physebm.errors import InputError
from physebm.schema.declarations import ModelDeclaration
from physebm.schema.study_declarations import StudyDeclaration


def addressed(problem: InputError, study: StudyDeclaration, model: ModelDeclaration) -> InputError:
    """The same problem with the file in its address, where a lower floor did not know it."""
    head, _, rest = problem.where.partition(".")
    if head in ("sample", "backend", "tempering", "train", "free_energy"):
        where = f"{study.where}: {problem.where}"
    elif head == model.name and model.where:
        where = f"{model.where}.{rest}" if rest else model.where
    else:
        return problem
    return type(problem)(where, got=problem.got, expected=problem.expected, hint=problem.hint)

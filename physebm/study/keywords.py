"""Arguments of the Python interface: plain numbers, unknown ones answered, errors in their names."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Collection, Mapping
from numbers import Real
from typing import ParamSpec, TypeVar

import numpy as np

from physebm.errors import InputError, StudyFileError

P, R = ParamSpec("P"), TypeVar("R")


def known_keywords(function: Callable[P, R]) -> Callable[P, R]:
    """Refuse keyword arguments that `function` does not have, as a study refuses unknown keys.

    Raises
    ------
    InputError
        with the arguments there are.
    """
    parameters = inspect.signature(function).parameters
    if any(each.kind is each.VAR_KEYWORD for each in parameters.values()):
        return function  # it takes tables by name and answers unknown ones itself
    legal = list(parameters)

    @functools.wraps(function)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        for name in kwargs:
            if name not in legal:
                raise InputError(f"physebm.{function.__name__}", got=name, expected=legal)
        return function(*args, **kwargs)

    return checked


def plain_arguments(*arrays: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Hand a function its arguments as `as_python` has them; those named `arrays` as they are."""

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        names = list(inspect.signature(function).parameters)

        @functools.wraps(function)
        def called(*args: P.args, **kwargs: P.kwargs) -> R:
            by_place = [each if name in arrays else as_python(each) for name, each in zip(names, args)]
            by_name = {
                name: each if name in arrays else as_python(each) for name, each in kwargs.items()
            }
            return function(*by_place, *args[len(names) :], **by_name)

        return called

    return decorate


def as_python(value: object) -> object:
    """Numbers of numpy as Python's, arrays ``[]`` and ``[n]`` as numbers and lists, also inside tables.

    Messages and stored studies then show what the caller wrote; other real numbers become floats.
    """
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray) and value.ndim < 2:
        return value.tolist()
    if isinstance(value, Mapping):
        return {key: as_python(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [as_python(each) for each in value]
    if isinstance(value, Real) and not isinstance(value, int | float):
        return float(value)
    return value


def in_words_of_the_call(
    problem: InputError, call: str, places: Mapping[str, str], hidden: Collection[str] = ()
) -> InputError:
    """The same problem with the name of an argument where the study behind a call has a path of keys.

    Parameters
    ----------
    problem
        Raised about a study that is called as `call`; the user wrote no such file, so that a
        `StudyFileError` becomes an `InputError`.
    call
        The function.
    places
        Beginnings of paths, and what stands for them in the call: ``{"sample.": ""}``.
    hidden
        Keys that are arguments of another form, not to be offered.
    """
    path = problem.where.removeprefix(f"{call}: ")
    path = next((name + path[len(at) :] for at, name in places.items() if path.startswith(at)), path)
    where = call if path in (call, "") else f"{call}: {path}"
    expected = problem.expected
    if path == call and isinstance(expected, list | tuple):
        expected = [name for name in expected if name not in hidden]
    kind = InputError if type(problem) is StudyFileError else type(problem)
    return kind(where, got=problem.got, expected=expected, hint=problem.hint)

"""Keyword arguments of the Python interface: an unknown one is answered with the nearest there is."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from physebm.errors import InputError

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

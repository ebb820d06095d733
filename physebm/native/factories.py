"""Names of compiled functions that factories make.

numba links a compiled function by its qualified name, the types of its arguments and a number that
counts the functions of the process. All functions of one factory share the name; the number of one that
comes from the cache on disk was counted in another process, and may be that of another one here, which
then runs the wrong code. So what a factory makes is named by what it was made for.
"""

from __future__ import annotations

from collections.abc import Callable


def made_for(*choices: object) -> Callable:
    """A decorator, below njit, that adds `choices` to the qualified name of a function."""

    def named(function):
        function.__qualname__ += "".join(f"_{choice}" for choice in choices)
        return function

    return named

"""Choosing by name among the arrays of one file, for every format that holds several."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from physebm.arrays import Array
from physebm.data.raw import Raw
from physebm.errors import StudyFileError


def read_named(
    names: Sequence[str],
    fetch: Callable[[str], Array],
    *,
    variable: str | None,
    labels: str | None,
    weights: str | None,
    file: str,
    where: str,
) -> Raw:
    """The values, labels and weights of a file with arrays `names`, each read by `fetch(name)`.

    `variable` may be left out where one array is left after labels and weights.

    Raises
    ------
    StudyFileError
        for a name that the file does not have, with the list of those that it has.
    """
    chosen = {"labels": labels, "weights": weights}
    for key, name in chosen.items():
        if name is not None and name not in names:
            raise StudyFileError(
                f"{where}.{key}", got=name, expected=names, hint=f"the arrays of {file} are listed"
            )
    left = [name for name in names if name not in chosen.values()]
    if variable is None and len(left) == 1:
        variable = left[0]
    elif variable not in names:
        say = "holds these arrays: name one with `variable`" if names else "holds no array of numbers"
        raise StudyFileError(
            f"{where}.variable", got=variable, expected=names or None, hint=f"{file} {say}"
        )
    more = {key: None if name is None else fetch(name) for key, name in chosen.items()}
    return Raw(fetch(variable), **more, attrs={"variable": variable})

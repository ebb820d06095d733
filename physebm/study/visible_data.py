"""Numbers side by side -> states of the visible groups, or what is wrong with them and what would help.

The same for data from a file, for an array given in Python, and for samples to be scored; only the
advice differs: a file's study has keys that mend it, an array in Python has none.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from physebm.arrays import Array
from physebm.backends.base import state_dtype
from physebm.data.support import to_support
from physebm.errors import StudyFileError
from physebm.model.hamiltonian import Hamiltonian
from physebm.model.params import Params
from physebm.model.roles import visible_groups
from physebm.schema.declarations import ModelDeclaration

Sizing = Callable[[int], str | None]


def visible_states(
    hamiltonian: Hamiltonian,
    params: Params,
    values: Array,
    where: str,
    *,
    map: bool = False,
    keys: bool = True,
    sizing: Sizing = lambda units: None,
) -> dict[str, np.ndarray]:
    """``values [sample, ...]`` as ``{visible group: x[sample, unit]}``.

    Parameters
    ----------
    params
        Of the model; the lower edges of truncated Gaussian units are taken from it.
    where
        What the values are, for errors.
    map, keys
        As in `physebm.data.support.to_support`.
    sizing
        What would make the model fit so many numbers per sample, for errors.

    Raises
    ------
    StudyFileError
        for samples of another width, and values that are no states of their units.
    """
    names = visible_groups(hamiltonian)
    sizes = [hamiltonian.group(name).size for name in names]
    shape = list(values.shape[1:])
    flat = values.reshape(len(values), -1)
    units = flat.shape[1]
    if sum(sizes) != units:
        shown = " and ".join(f"{size} units of '{name}'" for name, size in zip(names, sizes))
        raise StudyFileError(
            where,
            got=f"samples of shape {shape}: {units} numbers",
            expected=f"{sum(sizes)} numbers, for {shown} of {hamiltonian.name}",
            hint=sizing(units),
        )
    out, start = {}, 0
    for name, size in zip(names, sizes):
        prior = hamiltonian.group(name).prior
        lower = params.lower.get(name)
        held = to_support(
            flat[:, start : start + size],
            str(prior.kind),
            prior.q,
            lower=0.0 if lower is None else lower[0],
            map=map,
            keys=keys,
            where=where,
        )
        out[name] = np.ascontiguousarray(held, dtype=state_dtype(prior))
        start += size
    return out


def size_parameter(declaration: ModelDeclaration, hamiltonian: Hamiltonian) -> str | None:
    """The parameter that is the number of visible units, where there is one that is just that."""
    names = visible_groups(hamiltonian)
    shape = declaration.units[names[0]].shape
    if len(names) != 1 or len(shape) != 1:
        return None
    name = shape[0].name
    return name if name in declaration.parameters else None

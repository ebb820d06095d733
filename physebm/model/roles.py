"""Who is visible, who is hidden, and whether the hidden units are independent given the visible ones.

Data are given for the visible groups (all groups, where none is marked visible), in the order of the
model, their columns side by side.
"""

from __future__ import annotations

from collections.abc import Iterable

from physebm.model.hamiltonian import Hamiltonian
from physebm.model.terms import LowRank, Many, Pair, groups_of


def visible_groups(hamiltonian: Hamiltonian) -> tuple[str, ...]:
    """Names of the groups that data are given for."""
    return tuple(group.name for group in hamiltonian.counted)


def hidden_groups(hamiltonian: Hamiltonian) -> tuple[str, ...]:
    """Names of all other groups."""
    visible = visible_groups(hamiltonian)
    return tuple(group.name for group in hamiltonian.groups if group.name not in visible)


def factorises(hamiltonian: Hamiltonian, names: Iterable[str]) -> bool:
    """Whether the units of these groups are independent given all others."""
    inside = set(names)
    for term in hamiltonian.terms:
        touched = inside.intersection(groups_of(term))
        within = isinstance(term, LowRank | Many) or (isinstance(term, Pair) and term.a == term.b)
        if len(touched) > 1 or (touched and within):
            return False
    return True

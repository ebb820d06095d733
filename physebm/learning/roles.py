"""Who is visible, who is hidden, and whether the hidden units are independent given the visible ones.

Data are given for the visible groups (all groups, where none is marked visible), in the order of the
model, their columns side by side.
"""

from __future__ import annotations

from collections.abc import Iterable

from physebm.errors import LoweringError
from physebm.model.hamiltonian import Hamiltonian
from physebm.model.terms import LowRank, Many, Pair, Square, array_of, groups_of


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


def trained_slots(hamiltonian: Hamiltonian) -> tuple[str, ...]:
    """Names of the arrays that are learned, in the order of the model."""
    return tuple(slot.name for slot in hamiltonian.slots if slot.trainable)


def variance_slots(hamiltonian: Hamiltonian) -> tuple[str, ...]:
    """Trained arrays that must stay positive: the variances of continuous units."""
    positive = {array_of(term) for term in hamiltonian.terms if isinstance(term, Square)}
    return tuple(name for name in trained_slots(hamiltonian) if name in positive)


def check_trainable(hamiltonian: Hamiltonian, where: str) -> None:
    """Refuse a model without anything to learn.

    Raises
    ------
    LoweringError
        with the names of its arrays.
    """
    if trained_slots(hamiltonian):
        return
    names = [slot.name for slot in hamiltonian.slots]
    raise LoweringError(
        where,
        got=f"{hamiltonian.name}, in which no array is marked trainable",
        expected="a model with an array that has `trainable = true`",
        hint=f"its arrays are {', '.join(names)}" if names else "it has no arrays at all",
    )

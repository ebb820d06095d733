"""Which arrays are learned, and which of them must stay positive."""

from __future__ import annotations

from physebm.errors import LoweringError
from physebm.model.hamiltonian import Hamiltonian
from physebm.model.terms import Square, array_of


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

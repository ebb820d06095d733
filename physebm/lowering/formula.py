"""Terms of a Hamiltonian as mathematics in plain text, with the signs of `physebm.model.terms`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from physebm.model.hamiltonian import Hamiltonian
from physebm.model.terms import (
    AllPairs,
    Field,
    LowRank,
    Many,
    Pair,
    Square,
    Term,
    array_of,
    groups_of,
)
from physebm.model.units import UnitKind

# Index letters of the first, second, ... group; the letters of a row run over units of one group.
LETTERS = ("ijl", "knr", "mov", "abc", "def")


@dataclass(frozen=True, slots=True)
class TermText:
    """The strength of a term as the file has it, and its value at T = 1."""

    scale: str = "1"
    value: float = 1.0


def index_letters(hamiltonian: Hamiltonian) -> dict[str, str]:
    """Index letters by group."""
    return {g.name: LETTERS[n % len(LETTERS)] for n, g in enumerate(hamiltonian.groups)}


def formula(hamiltonian: Hamiltonian, term: Term, text: TermText, symbols) -> str:
    """One term of H with its sign, e.g. ``− J ∑_⟨ij⟩ s_i s_j``; `symbols` as from `index_letters`."""
    first = hamiltonian.group(groups_of(term)[0])
    letters = symbols[first.name]
    i, x = letters[0], f"{first.name}_{letters[0]}"
    potts = first.prior.kind is UnitKind.POTTS
    array = symbol_of(array_of(term))
    scale = _scale(text.scale)
    match term:
        case Field():
            if potts:
                return f"− {scale}∑_{i} {array}_{i}({x})"
            return f"− {scale}∑_{i} {array and f'{array}_{i} '}{x}"
        case Square():
            weight = array and (f"{x}² / {array}_{i}" if term.inverse else f"{array}_{i} {x}²")
            return f"+ {scale}½ ∑_{i} {weight or f'{x}²'}"
        case LowRank():
            j = letters[1]
            y = f"{first.name}_{j}"
            if array and potts:
                return f"− {scale}∑_{{{i}<{j}}} ∑_μ {array}_{i}^μ({x}) {array}_{j}^μ({y})"
            patterns = array and f"∑_μ {array}_{i}^μ {array}_{j}^μ "
            return f"− {scale}∑_{{{i}<{j}}} {patterns}{x} {y}"
        case Many():
            index = letters[: term.arity] if term.arity <= len(letters) else ""
            if not index:
                return f"− {scale}∑_e {array and f'{array}_e '}∏_{{{i}∈e}} {x}"
            joint = ("<" if isinstance(term.graph, AllPairs) else ",").join(index)
            product = " ".join(f"{first.name}_{each}" for each in index)
            return f"− {scale}∑_{{{joint}}} {array and f'{array}_{index} '}{product}"
        case Pair():
            return f"− {scale}{_pair(hamiltonian, term, array, symbols)}"


def _pair(hamiltonian: Hamiltonian, term: Pair, array: str, symbols) -> str:
    a, b = hamiltonian.group(term.a), hamiltonian.group(term.b)
    i = symbols[a.name][0]
    j = symbols[a.name][1] if a.name == b.name else symbols[b.name][0]
    x, y = f"{a.name}_{i}", f"{b.name}_{j}"
    if a.name != b.name:
        over = f"∑_{{{i},{j}}}"
    elif isinstance(term.graph, AllPairs):
        over = f"∑_{{{i}<{j}}}"
    else:
        over = f"∑_⟨{i}{j}⟩"
    potts = [g.prior.kind is UnitKind.POTTS for g in (a, b)]
    if term.states:
        scalars = [name for name, is_potts in zip((x, y), potts) if not is_potts]
        states = ", ".join(name for name, is_potts in zip((x, y), potts) if is_potts)
        return " ".join([over, f"{array}_{i}{j}({states})", *scalars])
    weight = array and f"{array}_{i}{j} "
    return f"{over} {weight}δ({x}, {y})" if all(potts) else f"{over} {weight}{x} {y}"


def symbol_of(slot: str | None) -> str:
    """The symbol of an array: an inline one (``terms[0].J``) goes by its last word."""
    return "" if slot is None else slot.rsplit(".", 1)[-1]


def _scale(text: str) -> str:
    """The factor in front of a sum; empty for 1, in brackets unless it is one name or number."""
    if _is_one(text):
        return ""
    return f"{text} " if re.fullmatch(r"\w+(\.\d*)?", text) else f"({text}) "


def _is_one(text: str) -> bool:
    return re.fullmatch(r"1(\.0*)?", text.strip()) is not None

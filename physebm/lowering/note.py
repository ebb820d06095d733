"""The one-page note of a model: its Hamiltonian as mathematics, its measure and its conventions.

`physebm show MODEL --stage model` prints it. Numbers enter as text and value, so that the note shows
what the model file says; signs and measures are those of `physebm.model.terms` and `units`.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import comb

from physebm.lowering.formula import TermText, formula, index_letters
from physebm.lowering.limits import conventions_of, is_dense_within, limits_of
from physebm.model.graphs import lattice_bonds
from physebm.model.hamiltonian import Group, Hamiltonian, Slot
from physebm.model.terms import (
    AllPairs,
    EdgeList,
    Field,
    Lattice,
    LowRank,
    Many,
    Square,
    Term,
    array_of,
    groups_of,
)
from physebm.model.units import UnitKind

WIDTH = 100


@dataclass(frozen=True, slots=True)
class PriorText:
    """Parameters of a continuous prior as the file has them."""

    variance: str
    lower: str = "0"


def physics_note(
    hamiltonian: Hamiltonian,
    terms: Sequence[TermText],
    *,
    arrays: Mapping[str, str] | None = None,
    priors: Mapping[str, PriorText] | None = None,
    parameters: Mapping[str, float] | None = None,
    title: str = "",
    source: str = "",
    conventions: str = "",
    absent: Sequence[str] = (),
    checked: Sequence[str] = (),
) -> str:
    """The physics of a model on one page of plain text, at most 100 columns wide where words allow.

    Parameters
    ----------
    terms
        strength of every term, in the order of the Hamiltonian (those of priors are not shown).
    arrays
        law of each slot as text, e.g. ``normal, mean 0, std 0.01``.
    priors
        variance and lower edge of each continuous group; required for those.
    parameters
        the values at which the model is shown.
    absent
        sentences about declared terms that H does not have, their strength being 0.
    checked
        further sentences about limits that were checked, e.g. with the numbers found.
    """
    symbols = index_letters(hamiltonian)
    numbers = _numbered(hamiltonian)
    priors = priors or {}
    sections = [
        _head(hamiltonian, title, source),
        ["Distribution", *_distribution(hamiltonian, terms, numbers, symbols)],
        ["Terms", *(_term(hamiltonian, t, terms[t], n) for t, n in numbers.items()), *absent],
        ["Units", *(_units(group, priors, symbols) for group in hamiltonian.groups)],
        ["Temperature", *_temperature(hamiltonian, terms, numbers, priors)],
        ["Per unit", _per_unit(hamiltonian)],
        ["Parameters", *_parameters(parameters or {})],
        ["Arrays", *(_array(hamiltonian, slot, arrays or {}) for slot in hamiltonian.slots)],
        ["Conventions", *conventions_of(hamiltonian, conventions)],
        ["Limits", *limits_of(hamiltonian), *checked],
    ]
    kept = [section for section in sections if len(section) > 1 or section is sections[0]]
    return "\n\n".join("\n".join(_lay_out(section)) for section in kept) + "\n"


def _lay_out(section: list[str]) -> list[str]:
    """Indent and wrap the lines of a section under its heading; formulae (two spaces) stay as is."""
    heading, *lines = section
    laid = [heading]
    for line in lines:
        if line.startswith("  "):
            laid.append(line)
            continue
        indent = " " * (2 + len(re.match(r"(\(\d+\) |\S+ {2,})?", line).group()))
        laid += textwrap.wrap(
            line,
            WIDTH,
            initial_indent="  ",
            subsequent_indent=indent,
            break_long_words=False,
            break_on_hyphens=False,
        )
    return [line.replace("\u00a0", " ") for line in laid]


def _head(hamiltonian: Hamiltonian, title: str, source: str) -> list[str]:
    name = f"{hamiltonian.name}: {title}" if title else hamiltonian.name
    return [name, *([f"source  {source}"] if source else [])]


def _numbered(hamiltonian: Hamiltonian) -> dict[int, int]:
    """Number shown of each term of H; the terms that carry priors are not part of H."""
    hidden = {
        hamiltonian.prior_term(group.name) for group in hamiltonian.groups if not group.prior.discrete
    }
    shown = [t for t in range(len(hamiltonian.terms)) if t not in hidden]
    return {t: n for n, t in enumerate(shown, 1)}


def _distribution(hamiltonian, terms, numbers, symbols) -> list[str]:
    lines = ["  p(x) = (1/Z) ∏ ρ(x_i) exp(−β H(x)),   β = 1/T,   k_B = 1"]
    names = ", ".join(group.name for group in hamiltonian.groups)
    bodies = [formula(hamiltonian, hamiltonian.terms[t], terms[t], symbols) for t in numbers]
    lead = f"  H({names}) = "
    width = max((len(body) for body in bodies), default=0)
    for body, number in zip(bodies, numbers.values()):
        lines.append(f"{lead}{body:<{width}}   ({number})")
        lead = " " * len(lead)
    if not bodies:
        lines.append(f"{lead}0")
    return lines


def _term(hamiltonian: Hamiltonian, t: int, text: TermText, number: int) -> str:
    term = hamiltonian.terms[t]
    parts = [_reach(hamiltonian, term)]
    try:
        plain = float(text.scale)
    except ValueError:
        plain = None
    if plain is None:
        at = " at T = 1" if _depends_on_temperature(text.scale) else ""
        parts.append(f"{text.scale} = {text.value:g}{at}")
    return f"({number}) " + "; ".join(parts)


def _reach(hamiltonian: Hamiltonian, term: Term) -> str:
    group = hamiltonian.group(groups_of(term)[0])
    match term:
        case Field():
            return f"field on the units of {group.name}"
        case Square():
            return f"quadratic term on the units of {group.name}"
        case LowRank():
            n = group.size
            rank = 1 if term.xi is None else hamiltonian.slot(term.xi).shape[0]
            return f"all {comb(n, 2)} pairs of {group.name}, low rank: {_count(rank, 'pattern')}"
        case Many(graph=AllPairs()):
            return f"all {comb(group.size, term.arity)} sets of {term.arity} units of {group.name}"
        case Many():
            return f"listed sets of {term.arity} units of {group.name}"
    if term.a != term.b:
        other = hamiltonian.group(term.b)
        return f"all {group.size * other.size} pairs of a unit of {term.a} with one of {term.b}"
    match term.graph:
        case AllPairs():
            return f"all {comb(group.size, 2)} pairs of {group.name}, each once"
        case Lattice():
            count = len(lattice_bonds(term.graph.name, group.shape, term.graph.periodic)[0])
            return (
                f"{term.graph.name} lattice on {_by(group.shape)} sites, "
                f"{_boundary(term.graph.periodic)}: {count} bonds, each once"
            )
        case EdgeList(origin="edges"):
            return f"listed edges of {group.name}, each once"
        case EdgeList():
            return f"edges of a {term.graph.origin} graph on {group.name}, each once"


def _boundary(periodic: tuple[bool, ...]) -> str:
    if all(periodic):
        return "periodic"
    if not any(periodic):
        return "open"
    return "boundary (" + ", ".join("periodic" if p else "open" for p in periodic) + ")"


def _units(group: Group, priors: Mapping[str, PriorText], symbols) -> str:
    x = f"{group.name}_{symbols[group.name][0]}"
    size = _count(group.size, "unit")
    if len(group.shape) > 1:
        size = f"{_by(group.shape)} = {size}"
    marks = [size] + (["visible"] if group.visible else [])
    if group.integrated:
        marks.append("summed out: they enter u = βH − log ρ through −Γ(θ, λ) of their field")
    kind = str(group.prior.kind).replace("_", " ")
    match group.prior.kind:
        case UnitKind.ISING:
            support = f"{x} ∈ {{−1, +1}}, ρ = 1 per state (log Z = log 2 each at β=0)"
        case UnitKind.BERNOULLI:
            support = f"{x} ∈ {{0, 1}}, ρ = 1 per state (log Z = log 2 each at β=0)"
        case UnitKind.POTTS:
            q = group.prior.q
            states = f"{{0, …, {q - 1}}}" if q > 2 else "{0, 1}"
            support = f"{x} ∈ {states}, ρ = 1 per state (log Z = log {q} each at β=0)"
        case UnitKind.GAUSSIAN:
            support = f"{x} ∈ ℝ, ρ = N(0, variance {priors[group.name].variance}), normalised"
        case _:
            own = priors[group.name]
            support = (
                f"{x} ∈ [{own.lower}, ∞), ρ = N(0, variance {own.variance}) restricted to it and "
                "normalised there"
            )
    return f"{group.name}  {kind}, {', '.join(marks)}: {support}"


def _temperature(hamiltonian, terms, numbers, priors) -> list[str]:
    lines = ["β = 1/T multiplies every term of H; a prior changes with T only where it says so."]
    for t, number in numbers.items():
        if _depends_on_temperature(terms[t].scale):
            lines.append(
                f"Term ({number}) depends on T itself, through {terms[t].scale}: "
                "the energy is ⟨∂(βH)/∂β⟩."
            )
    for group in hamiltonian.groups:
        if not group.prior.discrete and _depends_on_temperature(priors[group.name].variance):
            lines.append(
                f"The prior of {group.name} has variance {priors[group.name].variance}, which "
                "changes with T as declared: the energy ⟨∂u/∂β⟩ includes its prior."
            )
    if any(slot.trainable for slot in hamiltonian.slots):
        lines.append("Trained arrays are fitted at T = 1; another T is another model of the data.")
    return lines


def _depends_on_temperature(text: str) -> bool:
    return re.search(r"\b(T|beta)\b", text) is not None


def _per_unit(hamiltonian: Hamiltonian) -> str:
    counted = hamiltonian.counted
    names = ", ".join(group.name for group in counted)
    if any(group.visible for group in counted):
        why = f"the visible units ({names})"
    else:
        why = f"all sampled units ({names}), as none is marked visible"
    potts = any(group.prior.kind is UnitKind.POTTS for group in counted)
    return f"N = {hamiltonian.counted_units}: {why}" + ("; a Potts unit counts once" if potts else "")


def _parameters(values: Mapping[str, float]) -> list[str]:
    """All on one wrapped line; a name stays with its value."""
    return [",  ".join(f"{k}\u00a0=\u00a0{v:.12g}" for k, v in values.items())] if values else []


def _array(hamiltonian: Hamiltonian, slot: Slot, laws: Mapping[str, str]) -> str:
    shape = ", ".join("edges" if n < 0 else str(n) for n in slot.shape)
    parts = [f"[{shape}]"]
    if slot.name in laws:
        parts.append(laws[slot.name])
    for term in hamiltonian.terms:
        if array_of(term) != slot.name:
            continue
        if is_dense_within(term):
            swap = ", J[i,j,a,b] = J[j,i,b,a]" if term.states else ""
            parts.append(f"drawn for i < j and mirrored{swap}, zero diagonal")
        if isinstance(term, Many) and isinstance(term.graph, AllPairs):
            parts.append("only entries of increasing indices are read")
        if isinstance(term, Square) and term.inverse:
            parts.append(f"variances of {term.group}")
    if slot.quenched:
        parts.append("quenched: one draw per realisation of the disorder")
    if slot.trainable:
        parts.append("trainable")
    return f"{slot.name}  " + "; ".join(dict.fromkeys(parts))


def _by(shape: tuple[int, ...]) -> str:
    return " × ".join(str(n) for n in shape)


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}" + ("" if n == 1 else "s")

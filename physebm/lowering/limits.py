"""Conventions and limits of a model in sentences: what couplings need, what may be drawn at once."""

from __future__ import annotations

from math import prod

from physebm.lowering.colour import colour_units
from physebm.lowering.formula import symbol_of
from physebm.lowering.positive import joining_terms
from physebm.model.graphs import lattice_bonds
from physebm.model.hamiltonian import Group, Hamiltonian
from physebm.model.terms import AllPairs, Lattice, LowRank, Many, Pair, Term, groups_of

BONDS = {
    "honeycomb": "(x, y, 0)-(x, y, 1), (x, y, 0)-(x−1, y, 1), (x, y, 0)-(x, y−1, 1) in the order "
    "[bond, L1, L2]",
    "triangular": "x to x + (1,0), x + (0,1) and x + (1,1), in the order [direction, L1, L2]",
}


def is_dense_within(term: Term) -> bool:
    """True for a pair term over all pairs of one group."""
    return isinstance(term, Pair) and term.a == term.b and isinstance(term.graph, AllPairs)


def conventions_of(hamiltonian: Hamiltonian, own: str) -> list[str]:
    """The model's own conventions, then those of its lattices, pairs and numbering."""
    lines = [own] if own else []
    for term in hamiltonian.terms:
        graph = getattr(term, "graph", None)
        if isinstance(graph, Lattice):
            bonds = BONDS.get(
                graph.name, "x to x + e_d for every site x and axis d, in the order [d, *shape]"
            )
            lines.append(
                f"Bonds of the {graph.name} lattice: {bonds}. A periodic axis of length 2 has two "
                "bonds between its pair."
            )
    within = [
        term
        for term in hamiltonian.terms
        if isinstance(term, Pair | LowRank) and len(groups_of(term)) == 1
    ]
    if within:
        arrays = any(isinstance(term, Pair) and term.J for term in within)
        gradient = "; dH/dJ_ij = −scale × (what J_ij multiplies)" if arrays else ""
        lines.append(f"Each unordered pair counts once{gradient}.")
    if any(len(group.shape) > 1 for group in hamiltonian.groups):
        lines.append("Units are numbered in C order of their shape (last axis fastest).")
    return list(dict.fromkeys(lines))


def limits_of(hamiltonian: Hamiltonian) -> list[str]:
    """What is checked of the couplings, and which units a sweep may draw together."""
    lines = []
    for term in hamiltonian.terms:
        if is_dense_within(term) and term.J is not None:
            lines.append(f"{symbol_of(term.J)} must be symmetric with zero diagonal: checked.")
    if joining_terms(hamiltonian):
        lines.append(
            "Couplings between continuous units need a positive-definite precision matrix "
            "diag(1/variance) − βJ at every T: checked."
        )
    lines += [_colours(hamiltonian, group) for group in hamiltonian.sampled]
    return lines


def _colours(hamiltonian: Hamiltonian, group: Group) -> str:
    """Which units of a group may be drawn at the same time."""
    inside = [
        term
        for term in hamiltonian.terms
        if isinstance(term, Pair | LowRank | Many) and groups_of(term) == (group.name,)
    ]
    if not inside:
        return f"Units of {group.name} do not couple to each other: they are drawn at once."
    graphs = [getattr(term, "graph", AllPairs()) for term in inside]
    if any(isinstance(graph, AllPairs) for graph in graphs):
        return f"Units of {group.name} all couple to each other: they are drawn one after the other."
    if len(graphs) > 1 or not isinstance(graphs[0], Lattice):
        return f"Units of {group.name} are drawn colour by colour; the graph is coloured when drawn."
    lattice = graphs[0]
    # Odd cycles depend on the parity of the lengths only: a small lattice of the same parity decides.
    shape = tuple(min(length, 4 + length % 2) for length in group.shape)
    bonds = lattice_bonds(lattice.name, shape, lattice.periodic)[0]
    if colour_units(prod(shape), bonds).max(initial=0) < 2:
        return f"The {lattice.name} lattice of {group.name} is two-colourable: checkerboard updates."
    odd = [
        f"axis {axis} has odd periodic length {length}"
        for axis, (length, wrap) in enumerate(zip(group.shape, lattice.periodic))
        if length % 2 and wrap
    ]
    reason = "it has triangles" if lattice.name == "triangular" else " and ".join(odd)
    return (
        f"The {lattice.name} lattice of {group.name} is not two-colourable ({reason}): the sweep uses "
        "more colours."
    )

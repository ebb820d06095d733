"""What the moves of a plan go through: visiting orders with their colour classes, bonds of clusters."""

from __future__ import annotations

import numpy as np

from physebm.errors import LoweringError
from physebm.lowering import colour, verify
from physebm.lowering.plan import CHUNK, BlockUpdate, ClusterMove, Hyper, Neighbours, Order
from physebm.model import energy
from physebm.model.edges import weighted_edges
from physebm.model.terms import Lattice


def order_operands(plan, hamiltonian, params, m, move: BlockUpdate, colours) -> dict[str, np.ndarray]:
    """``order{m}`` and ``class{m}`` of a block update; colours are greedy, and checked.

    Raises
    ------
    LoweringError
        where the graph needs more than the requested `colours`.
    """
    n = plan.groups[move.group].size
    where = f"{plan.name}: block of '{plan.groups[move.group].name}'"
    if move.order is not Order.COLOURED:
        order = colour.sequential_order(n)
        return {f"order{m}": order[None], f"class{m}": np.zeros((1, len(order) // CHUNK), np.int32)}
    within = [t for t in move.reads if isinstance(plan.terms[t], Neighbours | Hyper)]
    shared = all(plan.terms[t].shared for t in within)
    orders, classes = [], []
    for i in range(1 if shared else params.instances):
        edges = [_all_edges(hamiltonian, params, t, i) for t in within]
        pairs = np.concatenate([_pairs(e) for e in edges])
        colours_of = colour.colour_units(n, pairs)
        if colours is not None:
            shape = hamiltonian.group(plan.groups[move.group].name).shape
            colour.refuse_two_colours(shape, colours_of, colours, "sample.colours")
        order = colour.padded_order(colours_of)
        for e in edges:
            verify.no_term_within_a_class(order, colours_of, e, where)
        verify.every_unit_is_drawn_once(order, n, where)
        orders.append(order)
        classes.append(colours_of[order[::CHUNK]])
    length = max(len(order) for order in orders)
    padded = [np.pad(order, (0, length - len(order)), constant_values=-1) for order in orders]
    chunks = length // CHUNK
    marked = [np.pad(c, (0, chunks - len(c)), constant_values=c.max() + 1) for c in classes]
    return {f"order{m}": np.stack(padded), f"class{m}": np.stack(marked).astype(np.int32)}


def _all_edges(hamiltonian, params, t, instance) -> np.ndarray:
    term = hamiltonian.terms[t]
    if hasattr(term, "arity"):
        return energy.hyperedges(hamiltonian, params, t, instance)[0]
    return weighted_edges(hamiltonian, params, t, instance)[0]


def _pairs(edges: np.ndarray) -> np.ndarray:
    arity = edges.shape[1]
    parts = [edges[:, [a, b]] for a in range(arity) for b in range(a + 1, arity)]
    return np.concatenate(parts)


def cluster_operands(plan, hamiltonian, params, m, move: ClusterMove) -> dict[str, np.ndarray]:
    """``edges{m}`` and ``bond{m}`` of a cluster move.

    Raises
    ------
    LoweringError
        for negative couplings.
    """
    term = hamiltonian.terms[move.term]
    parts = [weighted_edges(hamiltonian, params, move.term, i) for i in range(params.instances)]
    lattice = isinstance(term.graph, Lattice)
    weights = stack_ragged([np.asarray(w, float)[None, :] for _, w in parts], 0.0)[:, 0]
    if np.any(weights < 0):
        raise LoweringError(
            "sample.method",
            got=f"{move.kind} on a model with negative couplings",
            expected=["heat-bath", "metropolis"],
            hint="frustrated bonds: clusters percolate far above the transition and no longer "
            "follow the correlations; use heat-bath with [tempering]",
        )
    edges = stack_ragged([e[None] for e, _ in parts[: 1 if lattice else None]], 0)[:, 0]
    return {f"edges{m}": edges.astype(np.int32), f"bond{m}": weights}


def stack_ragged(rows: list[np.ndarray], fill: float) -> np.ndarray:
    """Stack arrays whose second axis (the degree) differs, padded with `fill`."""
    width = max(row.shape[1] for row in rows)
    padded = []
    for row in rows:
        pad = [(0, 0)] * row.ndim
        pad[1] = (0, width - row.shape[1])
        padded.append(np.pad(row, pad, constant_values=fill))
    return np.stack(padded)

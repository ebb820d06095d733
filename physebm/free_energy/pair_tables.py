"""A pairwise graph of discrete units as tables of log-weights: what messages are passed on.

    p(x) ~ exp( sum_i h_i(x_i) + sum_edges J_ij(x_i, x_j) ),

x the number of a state. The units of all groups are numbered through, and all get the largest number
of states of any; surplus ones have ``h = -inf``. Several bonds between one pair are one edge.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from physebm.free_energy.pairwise import Dense, pair_couplings
from physebm.model.conditionals import Conditionals
from physebm.model.hamiltonian import Hamiltonian
from physebm.model.params import Params
from physebm.model.statistics import Moments
from physebm.model.units import UnitKind


@dataclass(frozen=True)
class PairTables:
    """The tables of a model at one coefficient row.

    Attributes
    ----------
    first
        The number of the first unit of every group.
    h
        ``[state, unit]``, -inf for surplus states.
    edges
        ``[edge, 2]``, each pair with a coupling once.
    J
        ``[state, state, edge]``.
    """

    first: Mapping[str, int]
    h: np.ndarray
    edges: np.ndarray
    J: np.ndarray

    @property
    def states(self) -> int:
        """The largest number of states of a unit."""
        return self.h.shape[0]

    @property
    def units(self) -> int:
        """Number of units of all groups."""
        return self.h.shape[1]

    @property
    def is_forest(self) -> bool:
        """Whether there are no loops: messages are exact then."""
        shape = (self.units, self.units)
        graph = sparse.csr_array((np.ones(len(self.edges)), tuple(self.edges.T)), shape)
        return len(self.edges) == self.units - connected_components(graph, directed=False)[0]

    @property
    def favours_equal_states(self) -> bool:
        """Whether no coupling of two-state units has ``J(0,0) + J(1,1) < J(0,1) + J(1,0)``."""
        J = self.J
        return self.states == 2 and bool((J[0, 0] + J[1, 1] >= J[0, 1] + J[1, 0]).all())


def state_features(hamiltonian: Hamiltonian, name: str) -> np.ndarray:
    """The features of every state of a unit of a discrete group, ``[feature, state]``."""
    prior = hamiltonian.group(name).prior
    if prior.kind is UnitKind.POTTS:
        return np.eye(prior.q)
    return np.array([prior.states], dtype=float)


def pair_tables(conditionals: Conditionals) -> PairTables:
    """The tables of the model at the coefficients of `conditionals`, priors included."""
    groups = conditionals.hamiltonian.groups
    sizes = np.cumsum([0, *(group.size for group in groups)])
    first = {group.name: int(at) for group, at in zip(groups, sizes)}
    states = max((len(group.prior.states) for group in groups), default=1)
    h = np.full((states, sizes[-1]), -np.inf)
    zeros = {g.name: Moments(np.zeros((1, g.size * g.prior.features))) for g in groups}
    for group in groups:
        theta = conditionals.field(group.name, zeros)[0].reshape(group.size, -1)
        values = theta @ state_features(conditionals.hamiltonian, group.name)
        h[: values.shape[1], first[group.name] : first[group.name] + group.size] = values.T
    edges, J = coupling_tables(
        conditionals.hamiltonian, conditionals.params, conditionals.coefficients, first, states
    )
    return PairTables(first, h, edges, J)


def coupling_tables(
    hamiltonian: Hamiltonian,
    params: Params,
    coefficients: np.ndarray,
    first: Mapping[str, int],
    states: int,
) -> tuple[np.ndarray, np.ndarray]:
    """``edges`` and ``J`` of `PairTables`, of the `Pair` terms at ``c_t [term]``."""
    ends, values = [np.zeros((0, 2), dtype=int)], [np.zeros((0, states, states))]
    for block in pair_couplings(hamiltonian, params, coefficients):
        if isinstance(block, Dense):
            present = (block.J != 0.0).any(axis=(1, 3))
            i, j = np.nonzero(np.triu(present, 1) if block.a == block.b else present)
            edges, J = np.stack([i, j], axis=1), block.J[i, :, j, :]
        else:
            kept = (block.J != 0.0).any(axis=(1, 2))
            edges, J = block.edges[kept], block.J[kept]
        table = np.zeros((len(edges), states, states))
        fa, fb = (state_features(hamiltonian, name) for name in (block.a, block.b))
        table[:, : fa.shape[1], : fb.shape[1]] = np.einsum("efg,fa,gb->eab", J, fa, fb)
        ends.append(edges + np.array([first[block.a], first[block.b]]))
        values.append(table)
    return np.concatenate(ends), np.moveaxis(np.concatenate(values), 0, -1).copy()

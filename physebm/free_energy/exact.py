"""Exact averages: by enumeration, or in closed form for Gaussian models.

Layers that factorise are summed out where that shortens the enumeration: either the hidden or the
visible groups, whichever leaves fewer states.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from physebm.model.hamiltonian import Hamiltonian
from physebm.model.params import Coefficients, Params
from physebm.model.roles import factorises, hidden_groups, visible_groups
from physebm.model.terms import groups_of
from physebm.theory.enumeration import Exact, enumerate_states


@dataclass(frozen=True)
class ExactAverages:
    """The averages of an enumeration, for `model.statistics`."""

    exact: Exact

    def mean(self, name: str) -> np.ndarray:
        """``<phi_i(a)>``, ``[unit, feature]``."""
        group = self.exact.hamiltonian.group(name)
        return self.exact.mean(name)[0].reshape(group.size, -1)

    def pair(self, a: str, b: str) -> np.ndarray:
        """``<phi_i(a) phi_j(b)>``, ``[unit, feature, unit, feature]``."""
        one, two = self.exact.hamiltonian.group(a), self.exact.hamiltonian.group(b)
        full = self.exact.pair(a, b)[0]
        full = full.reshape(one.size, two.size, one.prior.features, two.prior.features)
        full = full.transpose(0, 2, 1, 3)
        # Sums over states round differently on the two sides; couplings must stay symmetric.
        return 0.5 * (full + full.transpose(2, 3, 0, 1)) if a == b else full

    def along(self, name: str, edges: np.ndarray) -> np.ndarray:
        """``<phi_i(a) phi_j(b)>`` on edges, ``[edge, feature, feature]``."""
        return self.pair(name, name)[edges[:, 0], :, edges[:, 1], :]

    def square(self, name: str) -> np.ndarray:
        """``<x_i^2>``, ``[unit]``."""
        return np.einsum("ifif->i", self.pair(name, name))

    def product(self, name: str, edges: np.ndarray) -> np.ndarray:
        """``<prod_{i in e} x_i>``, ``[edge]``."""
        return self.exact.average(lambda state: np.prod(state[name][:, edges], axis=-1))[0]


def summed_out(hamiltonian: Hamiltonian) -> Hamiltonian:
    """The same distribution with discrete layers marked `integrated` that need no enumeration.

    Of the hidden and of the visible groups, those are summed out that factorise and leave fewer
    states; none where neither factorises. Discrete layers that couple to continuous units are
    enumerated in any case: it is the continuous units that are integrated there.
    """
    hidden, visible = hidden_groups(hamiltonian), visible_groups(hamiltonian)
    if not hidden:
        return hamiltonian
    smooth = {group.name for group in hamiltonian.groups if not group.prior.discrete}
    listed = {
        name
        for term in hamiltonian.terms
        if smooth.intersection(groups_of(term))
        for name in groups_of(term)
    }
    found = [hamiltonian]
    for names in (hidden, visible):
        if factorises(hamiltonian, names):
            summed = {name for name in names if name not in smooth | listed}
            groups = tuple(replace(g, integrated=g.name in summed) for g in hamiltonian.groups)
            found.append(replace(hamiltonian, groups=groups))
    return min(found, key=log_states)


def log_states(hamiltonian: Hamiltonian) -> float:
    """log2 of the number of states that an enumeration visits."""
    return sum(
        g.size * np.log2(len(g.prior.states))
        for g in hamiltonian.groups
        if g.prior.discrete and not g.integrated
    )


def exact_averages(
    hamiltonian: Hamiltonian, params: Params, coefficients: Coefficients
) -> ExactAverages:
    """Averages at the first coefficient row; `hamiltonian` as `summed_out` gives it."""
    return ExactAverages(enumerate_states(hamiltonian, params, coefficients.take([0])))

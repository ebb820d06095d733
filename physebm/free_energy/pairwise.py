"""The couplings of every pair of units, merged: what expansions beyond naive mean field are made of.

Naive mean field is linear in the couplings, so that terms may be counted one after another. The Onsager
term and messages are not: two terms, or two bonds of a lattice with a period of 2, that join one pair
of units are one coupling. Here each pair of groups has one block,

    -u = ... + sum_pairs sum_ab J[i, a, j, b] phi_i(a) phi_j(b),   J = sum_t c_t J_t,

dense where a term joins all pairs, a list of edges otherwise. phi are features: the value of a scalar
unit, the indicators of the states of a Potts unit.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import prod

import numpy as np
from scipy import sparse

from physebm.model.edges import weighted_edges
from physebm.model.energy import dense_couplings
from physebm.model.hamiltonian import Hamiltonian
from physebm.model.params import Params
from physebm.model.terms import AllPairs, Pair


@dataclass(frozen=True)
class Dense:
    """All pairs of two groups, or of one: ``J [unit, feature, unit, feature]``, symmetric there."""

    a: str
    b: str
    J: np.ndarray

    def centred(self, pa: np.ndarray | None, pb: np.ndarray | None) -> np.ndarray:
        """J less its means over the states of Potts units with probabilities ``p [unit, state]``."""
        X = self.J
        if pa is not None:
            X = X - np.einsum("ia,iajb->ijb", pa, X)[:, None]
        if pb is not None:
            X = X - np.einsum("jb,iajb->iaj", pb, X)[..., None]
        return X

    def onto_a(self, X: np.ndarray, x: np.ndarray) -> np.ndarray:
        """``sum_jb X[i, a, j, b] x[row, j, b]``, ``[row, i, a]``; the whole sum within one group."""
        n, f = X.shape[:2]
        width = X.shape[2] * X.shape[3]
        return (x.reshape(len(x), width) @ X.reshape(n * f, width).T).reshape(len(x), n, f)

    def onto_b(self, X: np.ndarray, x: np.ndarray) -> np.ndarray:
        """``sum_ia x[row, i, a] X[i, a, j, b]``, ``[row, j, b]``."""
        n, f = X.shape[2:]
        width = X.shape[0] * X.shape[1]
        return (x.reshape(len(x), width) @ X.reshape(width, n * f)).reshape(len(x), n, f)

    def gram_a(self, X: np.ndarray, w: np.ndarray) -> np.ndarray:
        """``sum_jc w[j, c] X[i, a, j, c] X[i, b, j, c]``, ``[i, a, b]``."""
        return np.einsum("iajc,jc,ibjc->iab", X, w, X, optimize=True)

    def gram_b(self, X: np.ndarray, w: np.ndarray) -> np.ndarray:
        """The same of the other side, ``[j, a, b]``."""
        return np.einsum("icja,ic,icjb->jab", X, w, X, optimize=True)


@dataclass(frozen=True)
class Edges:
    """A sparse graph of a group: ``edges [edge, 2]``, each once; ``J [edge, feature, feature]``."""

    a: str
    units: int
    edges: np.ndarray
    J: np.ndarray

    @property
    def b(self) -> str:
        """The group of the second unit, which is that of the first."""
        return self.a

    @cached_property
    def _ends(self) -> tuple[sparse.csr_array, sparse.csr_array]:
        """Incidence ``[unit, edge]`` of first and second units."""
        ones, at = np.ones(len(self.edges)), np.arange(len(self.edges))
        shape = (self.units, len(self.edges))
        first, second = (sparse.csr_array((ones, (self.edges[:, k], at)), shape) for k in (0, 1))
        return first, second

    def _gathered(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Sums over the edges of every unit, of ``[edge, ...]`` at its first and second unit."""
        one, two = self._ends
        width = prod(first.shape[1:])
        total = one @ first.reshape(len(first), width) + two @ second.reshape(len(second), width)
        return total.reshape(self.units, *first.shape[1:])

    def centred(self, pa: np.ndarray | None, pb: np.ndarray | None) -> np.ndarray:
        """J less its means over the states of Potts units with probabilities ``p [unit, state]``."""
        X = self.J
        if pa is not None:
            X = X - np.einsum("ea,eab->eb", pa[self.edges[:, 0]], X)[:, None]
            X = X - np.einsum("eb,eab->ea", pb[self.edges[:, 1]], X)[..., None]
        return X

    def onto_a(self, X: np.ndarray, x: np.ndarray) -> np.ndarray:
        """``sum_jb X_ij[a, b] x[row, j, b]`` over the neighbours of i, ``[row, i, a]``."""
        first = np.einsum("eab,reb->ear", X, x[:, self.edges[:, 1]])
        second = np.einsum("eab,rea->ebr", X, x[:, self.edges[:, 0]])
        return np.moveaxis(self._gathered(first, second), -1, 0)

    def gram_a(self, X: np.ndarray, w: np.ndarray) -> np.ndarray:
        """``sum_jc w[j, c] X_ij[a, c] X_ij[b, c]`` over the neighbours of i, ``[i, a, b]``."""
        first = np.einsum("eac,ec,ebc->eab", X, w[self.edges[:, 1]], X)
        second = np.einsum("eca,ec,ecb->eab", X, w[self.edges[:, 0]], X)
        return self._gathered(first, second)


def pair_couplings(
    hamiltonian: Hamiltonian, params: Params, coefficients: np.ndarray
) -> list[Dense | Edges]:
    """The blocks of all `Pair` terms with a coefficient ``c_t [term]`` other than 0, first instance."""
    order = [group.name for group in hamiltonian.groups]
    found: dict[tuple[str, str], list[int]] = {}
    for t, term in enumerate(hamiltonian.terms):
        if isinstance(term, Pair) and coefficients[t] != 0.0:
            found.setdefault(tuple(sorted((term.a, term.b), key=order.index)), []).append(t)
    return [_block(hamiltonian, params, coefficients, *pair, terms) for pair, terms in found.items()]


def _block(hamiltonian, params, coefficients, a: str, b: str, terms: list[int]) -> Dense | Edges:
    one, two = hamiltonian.group(a), hamiltonian.group(b)
    if all(not isinstance(hamiltonian.terms[t].graph, AllPairs) for t in terms):
        return _edges(hamiltonian, params, coefficients, a, terms)
    J = np.zeros((one.size, one.prior.features, two.size, two.prior.features))
    for t in terms:
        part = coefficients[t] * dense_couplings(hamiltonian, params, t, 0)
        J += part if hamiltonian.terms[t].a == a else part.transpose(2, 3, 0, 1)
    return Dense(a, b, J)


def _edges(hamiltonian, params, coefficients, a: str, terms: list[int]) -> Edges:
    group = hamiltonian.group(a)
    f = group.prior.features
    ends, values = [], []
    for t in terms:
        edges, w = weighted_edges(hamiltonian, params, t, 0)
        w = np.asarray(w, dtype=np.float64)
        J = coefficients[t] * (w if w.ndim == 3 else w[:, None, None] * np.eye(f))
        turned = edges[:, 0] > edges[:, 1]
        ends.append(np.sort(edges, axis=1))
        values.append(np.where(turned[:, None, None], J.transpose(0, 2, 1), J))
    ends, values = np.concatenate(ends), np.concatenate(values)
    merged, place = np.unique(ends, axis=0, return_inverse=True)
    J = np.zeros((len(merged), f, f))
    np.add.at(J, place.ravel(), values)
    return Edges(a, group.size, merged, J)

"""Sufficient statistics: what the log-likelihood's gradient is made of.

For an array theta of a term with ``u = c_t E_t(x; theta) + ...`` the statistic is the average

    S(theta) = < - c_t dE_t / dtheta >,

and the gradient of the mean log-likelihood is ``S_data - S_model`` (constants of u cancel):

    Field      h_i(a)        c <phi_i(a)>
    Pair       J_ij(a, b)    c <phi_i(a) phi_j(b)>;  without states the sum over a = b
    LowRank    xi_i^mu       c sum_{j != i} xi_j^mu <x_i x_j>
    Many       J_e           c <prod_{i in e} x_i>
    Square     w_i           - (c/2) <x_i^2>;  stored as a variance v = 1/w: + (c/2) <x_i^2> / v_i^2

with phi the features of a unit (its value; indicators of its state for Potts units). A symmetric array
of a group has one parameter per pair, stored twice: both places hold the derivative by it, and the
diagonal is 0. An array that several terms share gets the sum.

Averages come from an `Averages`: rows of samples, an enumeration, or the weights of a
pseudo-likelihood. They are float64.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from typing import Protocol

import numpy as np

from physebm.model.edges import bonds
from physebm.model.energy import hyperedges, square_weights
from physebm.model.hamiltonian import Hamiltonian
from physebm.model.params import Params
from physebm.model.terms import AllPairs, Field, LowRank, Many, Pair, Square, array_of
from physebm.model.units import UnitKind
from physebm.native.products import ROWS, SMALLEST, TwoStates, average, cross
from physebm.native.state_counts import pair_weights, state_weights


class Averages(Protocol):
    """Averages of products of features, float64."""

    def mean(self, name: str) -> np.ndarray:
        """``<phi_i(a)>``, ``[unit, feature]``."""

    def pair(self, a: str, b: str) -> np.ndarray:
        """``<phi_i(a) phi_j(b)>``, ``[unit, feature, unit, feature]``; i = j may hold anything.

        Symmetric to the last bit where a is b: trained couplings stay symmetric by themselves.
        """

    def along(self, name: str, edges: np.ndarray) -> np.ndarray:
        """``<phi_i(a) phi_j(b)>`` on edges ``[edge, 2]``, as ``[edge, feature, feature]``."""

    def square(self, name: str) -> np.ndarray:
        """``<x_i^2>`` of a continuous group, ``[unit]``."""

    def product(self, name: str, edges: np.ndarray) -> np.ndarray:
        """``<prod_{i in e} x_i>`` on hyperedges ``[edge, arity]``, as ``[edge]``."""


def statistics(
    hamiltonian: Hamiltonian,
    params: Params,
    averages: Averages,
    coefficients: np.ndarray,
    slots: Iterable[str],
    instance: int = 0,
) -> dict[str, np.ndarray]:
    """``S`` of the named arrays, each in the shape of its slot.

    Parameters
    ----------
    coefficients
        ``c_t``, one row ``[term]``.
    """
    wanted = set(slots)
    found: dict[str, np.ndarray] = {}
    for t, term in enumerate(hamiltonian.terms):
        name = array_of(term)
        if name not in wanted:
            continue
        shape = params.arrays[name].shape[1:]
        part = _statistic(hamiltonian, params, averages, t, instance).reshape(shape)
        if coefficients[t] != 1.0:
            part = coefficients[t] * part
        found[name] = found[name] + part if name in found else part
    return found


def _statistic(hamiltonian: Hamiltonian, params: Params, averages: Averages, t: int, instance: int):
    term = hamiltonian.terms[t]
    match term:
        case Field(group=name):
            return averages.mean(name)
        case Square(group=name):
            half = 0.5 * averages.square(name)
            return (
                half * square_weights(hamiltonian, params, t, instance) ** 2 if term.inverse else -half
            )
        case Many(group=name) if isinstance(term.graph, AllPairs):
            return _dense_products(hamiltonian, params, averages, t, instance)
        case Many(group=name):
            return averages.product(name, hyperedges(hamiltonian, params, t, instance)[0])
        case LowRank(group=name):
            group = hamiltonian.group(name)
            width = group.size * group.prior.features
            xi = params.arrays[term.xi][instance].reshape(-1, width).astype(np.float64)
            return xi @ _off_diagonal(averages.pair(name, name)).reshape(width, width)
        case Pair(a=a, b=b) if isinstance(term.graph, AllPairs):
            C = averages.pair(a, b)
            if a == b:
                C = _off_diagonal(C)
            if term.states:
                return C.transpose(0, 2, 1, 3)
            return C[:, 0, :, 0] if C.shape[1] == 1 else np.einsum("ifjf->ij", C)
        case Pair(a=a):
            return _edge_statistic(hamiltonian, params, averages, t, instance)
    raise AssertionError(term)


def _off_diagonal(C: np.ndarray) -> np.ndarray:
    """A copy without the products of a unit with itself."""
    C = C.copy()
    units = np.arange(len(C))
    C[units, :, units, :] = 0.0
    return C


def _edge_statistic(hamiltonian, params, averages, t, instance) -> np.ndarray:
    """Bond statistics at their places in the array; places of absent bonds stay 0."""
    term = hamiltonian.terms[t]
    values = params.arrays[term.J][instance]
    tail = values.shape[-2:] if term.states else ()
    edges, place = bonds(hamiltonian, params, t, instance)
    C = averages.along(term.a, edges)
    out = np.zeros((values.size // prod(tail), *tail))
    np.add.at(out, place, C if term.states else np.einsum("eff->e", C))
    return out


def _dense_products(hamiltonian, params, averages, t, instance) -> np.ndarray:
    """A dense p-spin array: the entries ``i < j < k`` that the energy reads; the others are 0."""
    term = hamiltonian.terms[t]
    n = hamiltonian.group(term.group).size
    edges = hyperedges(hamiltonian, params, t, instance)[0]
    out = np.zeros((n,) * term.arity)
    out[tuple(edges.T)] = averages.product(term.group, edges)
    return out


@dataclass(frozen=True, eq=False)
class Moments:
    """First and second moments of one group in every row.

    Attributes
    ----------
    values
        Values or conditional means ``[row, unit * feature]``; None where Potts states are known.
    second
        ``<x^2>``, ``[row, unit]``, for continuous groups; None for discrete ones.
    states, q, dtype
        Known Potts states ``[row, unit]``; their indicators are formed only where a product needs them.
    bits
        Known states of two-state units, where products take tables of subset sums.
    """

    values: np.ndarray | None
    second: np.ndarray | None = None
    states: np.ndarray | None = None
    q: int = 0
    dtype: type = np.float64
    bits: TwoStates | None = None

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(next(x for x in (self.values, self.states, self.bits) if x is not None))

    @cached_property
    def first(self) -> np.ndarray:
        """``<phi>``, ``[row, unit * feature]``: values or indicators, conditional means otherwise."""
        if self.bits is not None:
            return self.bits.x.astype(self.dtype)
        if self.states is None:
            return self.values
        first = np.zeros((*self.states.shape, self.q), self.dtype)
        np.put_along_axis(first, self.states[..., None].astype(np.intp), 1, axis=-1)
        return first.reshape(self.rows, -1)

    def of_rows(self, rows: slice) -> Moments:
        """Those of some rows, as views."""
        parts = ((x if x is None else x[rows]) for x in (self.values, self.second, self.states))
        bits = None if self.bits is None else TwoStates(self.bits.x[rows], self.bits.low)
        return Moments(*parts, self.q, self.dtype, bits)

    @property
    def factor(self) -> np.ndarray | TwoStates:
        """`first` as the left factor of a product."""
        return self.first if self.bits is None else self.bits


def moments_of_states(hamiltonian: Hamiltonian, name: str, x: np.ndarray, dtype=np.float64) -> Moments:
    """The moments of known states ``x [row, unit]``."""
    prior = hamiltonian.group(name).prior
    if prior.kind is UnitKind.POTTS:
        return Moments(None, states=x, q=prior.q, dtype=dtype)
    if prior.discrete and dtype == np.float32 and x.dtype == np.int8 and min(x.shape) >= SMALLEST:
        bits = TwoStates(np.ascontiguousarray(x), prior.states[0])
        return Moments(None, dtype=dtype, bits=bits)
    first = x.astype(dtype)
    return Moments(first, None if prior.discrete else first**2)


def feature_means(
    hamiltonian: Hamiltonian, name: str, x: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """``<phi_i(a)>``, ``[unit, feature]``, of many known states, block by block in float64."""
    group = hamiltonian.group(name)
    total = np.zeros((group.size, group.prior.features))
    for start in range(0, len(x), ROWS):
        rows = slice(start, start + ROWS)
        held = {name: moments_of_states(hamiltonian, name, x[rows])}
        total += RowAverages(hamiltonian, held, weights[rows]).mean(name)
    return total


@dataclass(frozen=True)
class RowAverages:
    """Averages over weighted rows whose units are independent given the row.

    ``weights [row]`` sum to 1; None means equal weights. With a group's state known in a row (a sample)
    or its units independent in a row (a factorising conditional, a mean-field posterior) the average of
    a product of two units is the product of their moments.
    """

    hamiltonian: Hamiltonian
    moments: Mapping[str, Moments]
    weights: np.ndarray | None = None
    _means: dict[str, np.ndarray] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def rows(self) -> int:
        """Number of rows."""
        return next(iter(self.moments.values())).rows

    def _weighted(self, x: np.ndarray, rows: slice) -> np.ndarray:
        if self.weights is None:
            return x[rows]
        return x[rows] * self.weights[rows, None].astype(x.dtype)

    def _row_weights(self) -> np.ndarray:
        return np.full(self.rows, 1.0 / self.rows) if self.weights is None else self.weights

    def _scale(self) -> float:
        return 1.0 / self.rows if self.weights is None else 1.0

    def _chunks(self) -> Iterable[slice]:
        return (slice(start, start + ROWS) for start in range(0, self.rows, ROWS))

    def mean(self, name: str) -> np.ndarray:
        """``<phi_i(a)>``, ``[unit, feature]``."""
        if name not in self._means:
            self._means[name] = self._mean(name)
        return self._means[name]

    def _mean(self, name: str) -> np.ndarray:
        held, group = self.moments[name], self.hamiltonian.group(name)
        if held.states is not None:
            return state_weights(held.states, self._row_weights(), group.prior.q)
        return average(held.factor, self.weights).reshape(group.size, -1)

    def pair(self, a: str, b: str, less=None) -> np.ndarray:
        """``<phi_i(a) phi_j(b)>``, ``[unit, feature, unit, feature]``; for a != b less a product.

        `less`: ``(take [k, unit * feature], off [k, unit * feature])``, whose product is taken off.
        """
        held = self.moments[a]
        if a == b and held.states is not None:
            return pair_weights(held.states, self._row_weights(), held.q)
        total = self._cross(a, b, less)
        if a == b:
            # A weighted product rounds differently on the two sides; couplings must stay symmetric.
            total = 0.5 * (total + total.T)
        one, two = self.hamiltonian.group(a), self.hamiltonian.group(b)
        shape = (one.size, one.prior.features, two.size, two.prior.features)
        return total.reshape(shape)

    def _cross(self, a: str, b: str, less) -> np.ndarray:
        one, two = self.moments[a], self.moments[b]
        if one.bits is None and two.bits is not None:
            return cross(two.bits, one.first, self.weights, less and less[::-1]).T
        return cross(one.factor, two.first, self.weights, less)

    def along(self, name: str, edges: np.ndarray) -> np.ndarray:
        """``<phi_i(a) phi_j(b)>`` on edges, ``[edge, feature, feature]``."""
        group = self.hamiltonian.group(name)
        first = self.moments[name].first
        total = np.zeros((len(edges), group.prior.features, group.prior.features))
        for rows in self._chunks():
            F = first[rows].reshape(-1, group.size, group.prior.features)
            W = self._weighted(first, rows).reshape(F.shape)
            total += np.einsum("lef,leg->efg", W[:, edges[:, 0]], F[:, edges[:, 1]])
        return self._scale() * total

    def square(self, name: str) -> np.ndarray:
        """``<x_i^2>``, ``[unit]``."""
        return average(self.moments[name].second, self.weights)

    def product(self, name: str, edges: np.ndarray) -> np.ndarray:
        """``<prod_{i in e} x_i>``, ``[edge]``."""
        first = self.moments[name].first
        total = np.zeros(len(edges))
        for rows in self._chunks():
            factors = np.prod(first[rows][:, edges].astype(np.float64), axis=-1)
            w = np.ones(len(factors)) if self.weights is None else self.weights[rows]
            total += w @ factors
        return self._scale() * total

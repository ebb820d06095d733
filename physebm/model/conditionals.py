"""Conditionals of whole groups at given arrays: fields by matrix products, then Gamma.

Everything at one coefficient row (training runs at beta = 1). A *row* is one configuration of the
groups that are known; the other groups enter by their moments. Definitions are those of
`model/energy.py`; this is the same physics for many rows at a time, in single or double precision.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from physebm.model import units
from physebm.model.edges import sparse_couplings
from physebm.model.energy import dense_couplings, hyperedges, square_weights
from physebm.model.hamiltonian import Hamiltonian
from physebm.model.params import Params
from physebm.model.statistics import Moments, moments_of_states
from physebm.model.terms import AllPairs, Field, LowRank, Many, Pair, Square, groups_of
from physebm.model.units import UnitKind
from physebm.native.products import times


class Conditionals:
    """Local fields, conditional moments and potentials of a Hamiltonian at one set of arrays.

    Parameters
    ----------
    coefficients
        ``c_t``, one row ``[term]``.
    dtype
        Precision of fields and moments; potentials are summed in float64.
    operators
        By term what `operator` would build, where someone holds it already.
    """

    def __init__(
        self,
        hamiltonian: Hamiltonian,
        coefficients: np.ndarray,
        params: Params,
        dtype=np.float64,
        operators: Mapping[int, np.ndarray] | None = None,
    ):
        self.hamiltonian = hamiltonian
        self.coefficients = np.asarray(coefficients, dtype=np.float64)
        self.params = params
        self.dtype = np.dtype(dtype)
        self._built: dict[int, object] = dict(operators or {})

    def operator(self, t: int):
        """The matrix of a pair or low-rank term, built at first use; see `_operator`."""
        if t not in self._built:
            self._built[t] = self._operator(t)
        return self._built[t]

    def _operator(self, t: int):
        """The couplings of a pair term times c_t ``[width_a, width_b]``; None for other terms.

        Of a low-rank term the patterns ``[P, unit]``, not times c_t (Potts units: its couplings).
        """
        term, c = self.hamiltonian.terms[t], self.coefficients[t]
        if isinstance(term, LowRank):
            group = self.hamiltonian.group(term.group)
            if group.prior.features > 1:
                J = c * dense_couplings(self.hamiltonian, self.params, t, 0)
                return J.reshape(group.size * group.prior.features, -1).astype(self.dtype)
            xi = np.ones((1, group.size)) if term.xi is None else self.params.arrays[term.xi][0]
            return xi.reshape(-1, group.size).astype(self.dtype)
        if not isinstance(term, Pair):
            return None
        a, b = self.hamiltonian.group(term.a), self.hamiltonian.group(term.b)
        shape = (a.size * a.prior.features, b.size * b.prior.features)
        scalar = a.prior.features == b.prior.features == 1
        if isinstance(term.graph, AllPairs) and term.J is not None and (scalar or term.states):
            J = self.params.arrays[term.J][0]
            if term.states:
                J = J.reshape(a.size, b.size, a.prior.features, b.prior.features).transpose(0, 2, 1, 3)
            if c == 1.0:
                return J.astype(self.dtype, copy=False).reshape(shape)
            return np.multiply(c, J, dtype=self.dtype, casting="same_kind").reshape(shape)
        if not isinstance(term.graph, AllPairs):
            return sparse_couplings(self.hamiltonian, self.params, t, c).astype(self.dtype)
        J = c * dense_couplings(self.hamiltonian, self.params, t, 0)
        return J.reshape(shape).astype(self.dtype)

    def states(self, configurations: Mapping[str, np.ndarray]) -> dict[str, Moments]:
        """The moments of known states ``{group: x[row, unit]}``."""
        return {
            name: moments_of_states(self.hamiltonian, name, x, self.dtype)
            for name, x in configurations.items()
        }

    def field(self, name: str, known: Mapping[str, Moments]) -> np.ndarray:
        """``theta [row, unit * feature]`` of one group; within a group its own units enter."""
        group = self.hamiltonian.group(name)
        theta = self._product_field(name, known)
        if theta is None:
            rows = max((held.rows for held in known.values()), default=1)
            theta = np.zeros((rows, group.size * group.prior.features), self.dtype)
        for t, term in enumerate(self.hamiltonian.terms):
            if name not in groups_of(term):
                continue
            match term:
                case Field():
                    h = 1.0 if term.h is None else self.params.arrays[term.h][0].reshape(1, -1)
                    theta += (self.coefficients[t] * h).astype(self.dtype) if term.h else 0.0
                    if term.h is None and group.prior.features == 1:
                        theta += self.dtype.type(self.coefficients[t])
                case LowRank():
                    theta += self._low_rank_field(t, known[name].first)
                case Many():
                    self._many_field(t, known[name].first, theta)
        return theta

    def _product_field(self, name: str, known: Mapping[str, Moments]) -> np.ndarray | None:
        """The part of the pair terms; None without one."""
        theta = None
        for t, term in enumerate(self.hamiltonian.terms):
            if isinstance(term, Pair) and name in (term.a, term.b):
                J = self.operator(t)
                held = known[term.a] if name == term.b else known[term.b]
                part = times(held.factor, J if name == term.b else J.T)
                theta = part if theta is None else theta + part
        return theta

    def _low_rank_field(self, t: int, F: np.ndarray) -> np.ndarray:
        """Through the P overlaps, less what couples a unit to itself."""
        xi, term = self.operator(t), self.hamiltonian.terms[t]
        if self.hamiltonian.group(term.group).prior.features > 1:
            return times(F, xi)
        both = times(times(F, xi.T), xi) - F * (xi**2).sum(axis=0)
        return self.dtype.type(self.coefficients[t]) * both

    def _many_field(self, t: int, x: np.ndarray, theta: np.ndarray) -> None:
        edges, w = hyperedges(self.hamiltonian, self.params, t, 0)
        weights = self.coefficients[t] * w
        for place in range(edges.shape[1]):
            others = np.delete(edges, place, axis=1)
            pull = np.prod(x[:, others], axis=-1) * weights
            np.add.at(theta.T, edges[:, place], pull.T.astype(self.dtype))

    def precision(self, name: str) -> np.ndarray:
        """``lam [unit]`` of a continuous group, the prior's own precision included."""
        total = np.zeros(self.hamiltonian.group(name).size)
        for t, term in enumerate(self.hamiltonian.terms):
            if isinstance(term, Square) and term.group == name:
                total += self.coefficients[t] * square_weights(self.hamiltonian, self.params, t, 0)
        return total

    def _edge(self, name: str):
        lower = self.params.lower.get(name)
        return 0.0 if lower is None else lower[0]

    def moments(self, name: str, theta: np.ndarray) -> Moments:
        """Moments of the units of a group in their fields, each unit on its own."""
        group = self.hamiltonian.group(name)
        if group.prior.kind is UnitKind.POTTS:
            first = units.mean(group.prior, theta.reshape(len(theta), group.size, -1))
            return Moments(first.reshape(theta.shape).astype(self.dtype, copy=False))
        if group.prior.discrete:
            return Moments(units.mean(group.prior, theta).astype(self.dtype, copy=False))
        law = {"variance": 1.0 / self.precision(name), "lower": self._edge(name)}
        first = units.mean(group.prior, theta, **law)
        second = units.variance_of(group.prior, theta, **law) + first**2
        return Moments(first.astype(self.dtype), second.astype(self.dtype))

    def log_normaliser(self, name: str, theta: np.ndarray) -> np.ndarray:
        """``sum_i Gamma(theta_i)`` per row, float64, relative to the group's normalised prior."""
        group = self.hamiltonian.group(name)
        if group.prior.kind is UnitKind.POTTS:
            theta = theta.reshape(len(theta), group.size, -1)
        if group.prior.discrete:
            return units.log_normaliser(group.prior, theta).sum(axis=1)
        t = self.hamiltonian.prior_term(name)
        weights = square_weights(self.hamiltonian, self.params, t, 0)
        prior = self.coefficients[t] * weights
        extra = self.precision(name) - prior
        values = units.log_normaliser(group.prior, theta, extra, 1.0 / prior, self._edge(name))
        return values.sum(axis=1)

    def energy(self, known: Mapping[str, Moments], names: Iterable[str] | None = None) -> np.ndarray:
        """``sum_t c_t <E_t>`` per row over the terms within `names` (all known groups), float64.

        Exact for known states, and for independent units: a term is linear in every unit, but for
        squares, which have their own moment.
        """
        inside = set(known if names is None else names)
        rows = next(iter(known.values())).rows
        total = np.zeros(rows)
        for t, term in enumerate(self.hamiltonian.terms):
            if not inside.issuperset(groups_of(term)):
                continue
            c = self.coefficients[t]
            match term:
                case Field(group=name):
                    if term.h is None:
                        total -= c * known[name].first.sum(axis=1, dtype=np.float64)
                    else:
                        h = self.params.arrays[term.h][0].reshape(-1)
                        total -= c * (known[name].first @ h.astype(np.float64))
                case Square(group=name):
                    w = square_weights(self.hamiltonian, self.params, t, 0)
                    total += 0.5 * c * (known[name].second @ w)
                case Many(group=name):
                    edges, w = hyperedges(self.hamiltonian, self.params, t, 0)
                    total -= c * (np.prod(known[name].first[:, edges].astype(float), axis=-1) @ w)
                case LowRank(group=name):
                    F = known[name].first
                    total -= 0.5 * _dot(self._low_rank_field(t, F), F)
                case Pair(a=a, b=b):
                    half = 0.5 if a == b else 1.0
                    total -= half * _dot(times(known[a].first, self.operator(t)), known[b].first)
        return total


def _dot(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.einsum("rf,rf->r", x.astype(np.float64), y.astype(np.float64))

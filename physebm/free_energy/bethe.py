"""Bethe approximation: belief propagation on pairwise graphs of discrete units.

Messages along both directions of every edge, ``nu_ij(x_j)`` from i to j, obey

    nu_ij(b) = log sum_a exp( J_ij(a, b) + c_ij(a) ),   c_ij(a) = h_i(a) + sum_{k != j} nu_ki(a),

up to constants, J and h times their coefficients. At a fixed point

    log Z_Bethe = sum_i (1 - d_i) log Z_i + sum_edges log Z_ij,
    Z_i = sum_a exp( h_i(a) + sum_k nu_ki(a) ),  Z_ij = sum_ab exp( c_ij(a) + J_ij(a, b) + c_ji(b) ),

d_i the number of neighbours (M. Mezard, A. Montanari, Information, Physics, and Computation (2009),
chapter 14; fixed points are the stationary points of the Bethe free energy: J. S. Yedidia, W. T.
Freeman, Y. Weiss, IEEE Trans. Inf. Theory 51, 2282 (2005)). Exact on trees and forests. For Ising and
Bernoulli units whose couplings are all >= 0 a lower bound on log Z (N. Ruozzi, NeurIPS (2012)).

Stability: with the pair marginals eliminated, G = -log Z as a function of the unit marginals has

    G'' = sum_edges (C_e)^-1 - sum_i (d_i - 1) (C_i)^-1,

C_e the covariance of the two units of an edge in its belief, C_i that of one unit. In units of C_i it
is 1 without couplings; see `fixed_points`.

All units get the largest number of states of any; surplus ones have weight 0. Several bonds between one
pair are one coupling.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from physebm.errors import LoweringError
from physebm.free_energy.estimate import Estimate
from physebm.free_energy.fixed_points import (
    Search,
    State,
    estimate,
    one_less_largest,
    search,
    start_configurations,
)
from physebm.free_energy.naive import unmarked
from physebm.free_energy.pairwise import Dense, pair_couplings
from physebm.model.conditionals import Conditionals
from physebm.model.hamiltonian import Hamiltonian
from physebm.model.params import Coefficients, Params
from physebm.model.statistics import Moments
from physebm.model.terms import LowRank, Many
from physebm.model.units import UnitKind

METHOD = "bethe"
MESSAGES = "messages"
# Couplings within this range may be exponentiated one by one.
RANGE = 300.0


def check_bethe(hamiltonian: Hamiltonian, where: str) -> None:
    """Check that the model is a pairwise graph of discrete units.

    Raises
    ------
    LoweringError
        naming the group or term, the reason and the methods that would work.
    """
    for group in hamiltonian.groups:
        if not group.prior.discrete:
            hint = (
                f"units.{group.name} are {group.prior.kind}: messages here are tables over states. "
                "tap and mean-field work for pairs of any units"
            )
            raise LoweringError(where, got=METHOD, expected="discrete units", hint=hint)
    for index, term in enumerate(hamiltonian.terms):
        if isinstance(term, Many | LowRank):
            what = f"{term.arity} units" if isinstance(term, Many) else "all units through patterns"
            hint = f"terms[{index}] couples {what}: this is no graph of pairs. mean-field works for it"
            raise LoweringError(where, got=METHOD, expected="pairwise couplings", hint=hint)


class Bethe:
    """Messages on a graph and their free energy; an `Approximation`.

    The state holds ``messages [row, state, arrow]``; arrow e < E leads along edge e, from its first to
    its second unit, arrow E + e back.

    Attributes
    ----------
    edges
        ``[edge, 2]``, units numbered through all groups, each pair with a coupling once.
    J
        ``[state, state, edge]``.
    h
        ``[state, unit]``, -inf for surplus states.
    """

    def __init__(self, conditionals: Conditionals):
        self.conditionals = conditionals
        groups = conditionals.hamiltonian.groups
        self.first = dict(zip((g.name for g in groups), np.cumsum([0, *(g.size for g in groups)])))
        self.units = sum(group.size for group in groups)
        self.states = max(len(group.prior.states) for group in groups)
        self.h = self._fields()
        self.edges, self.J = self._graph()
        i, j = self.edges.T
        self._source, self._target = np.concatenate([i, j]), np.concatenate([j, i])
        self._arrows = np.concatenate([self.J, self.J.transpose(1, 0, 2)], axis=2)
        ones = np.ones(len(self._target))
        shape = (self.units, len(self._target))
        self._into = sparse.csr_array((ones, (self._target, np.arange(len(ones)))), shape)
        self.degree = np.bincount(self._target, minlength=self.units)

    @property
    def is_forest(self) -> bool:
        """Whether there are no loops: messages are exact then."""
        shape = (self.units, self.units)
        graph = sparse.csr_array((np.ones(len(self.edges)), tuple(self.edges.T)), shape)
        return len(self.edges) == self.units - connected_components(graph, directed=False)[0]

    @property
    def is_attractive(self) -> bool:
        """Whether two-state units only have couplings that favour equal states."""
        return self.states == 2 and self._is_binary() and bool((self._mixed() >= 0.0).all())

    def _is_binary(self) -> bool:
        kinds = {group.prior.kind for group in self.conditionals.hamiltonian.groups}
        return UnitKind.POTTS not in kinds

    def _mixed(self) -> np.ndarray:
        return self.J[0, 0] + self.J[1, 1] - self.J[0, 1] - self.J[1, 0]

    def _features(self, name: str) -> np.ndarray:
        """The features of every state of a unit, ``[feature, state]``."""
        prior = self.conditionals.hamiltonian.group(name).prior
        if prior.kind is UnitKind.POTTS:
            return np.eye(prior.q)
        return np.array([prior.states], dtype=float)

    def _fields(self) -> np.ndarray:
        h = np.full((self.states, self.units), -np.inf)
        groups = self.conditionals.hamiltonian.groups
        zeros = {g.name: Moments(np.zeros((1, g.size * g.prior.features))) for g in groups}
        for group in groups:
            theta = self.conditionals.field(group.name, zeros)[0].reshape(group.size, -1)
            values = theta @ self._features(group.name)
            at = self.first[group.name]
            h[: values.shape[1], at : at + group.size] = values.T
        return h

    def _graph(self) -> tuple[np.ndarray, np.ndarray]:
        hamiltonian, params = self.conditionals.hamiltonian, self.conditionals.params
        ends, values = [np.zeros((0, 2), dtype=int)], [np.zeros((0, self.states, self.states))]
        for block in pair_couplings(hamiltonian, params, self.conditionals.coefficients):
            if isinstance(block, Dense):
                present = (block.J != 0.0).any(axis=(1, 3))
                i, j = np.nonzero(np.triu(present, 1) if block.a == block.b else present)
                edges, J = np.stack([i, j], axis=1), block.J[i, :, j, :]
            else:
                kept = (block.J != 0.0).any(axis=(1, 2))
                edges, J = block.edges[kept], block.J[kept]
            table = np.zeros((len(edges), self.states, self.states))
            fa, fb = self._features(block.a), self._features(block.b)
            table[:, : fa.shape[1], : fb.shape[1]] = np.einsum("efg,fa,gb->eab", J, fa, fb)
            ends.append(edges + np.array([self.first[block.a], self.first[block.b]]))
            values.append(table)
        return np.concatenate(ends), np.moveaxis(np.concatenate(values), 0, -1).copy()

    def start(self, configurations: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Row 0 begins without messages, row r + 1 with those of units in ``{group: x[r, unit]}``."""
        rows = len(next(iter(configurations.values())))
        index = np.zeros((rows, self.units), dtype=int)
        for name, x in configurations.items():
            states = np.array(self.conditionals.hamiltonian.group(name).prior.states)
            at = self.first[name]
            index[:, at : at + x.shape[1]] = np.searchsorted(states, x)
        arrow = np.arange(len(self._source))
        sent = np.moveaxis(self._arrows[index[:, self._source], :, arrow], 2, 1)
        nu = np.concatenate([np.zeros((1, *sent.shape[1:])), sent])
        return {MESSAGES: nu - nu.max(axis=1, keepdims=True)}

    def _weights(self, nu: np.ndarray) -> np.ndarray:
        """``h_i + sum_k nu_ki``, ``[row, state, unit]``."""
        rows, states, arrows = nu.shape
        flat = self._into @ nu.reshape(rows * states, arrows).T
        return self.h + flat.T.reshape(rows, states, self.units)

    def _cavity(self, nu: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """``c`` of every arrow: the weights of its source without the message that comes back."""
        half = nu.shape[2] // 2
        cavity = np.take(weights, self._source, axis=2)
        cavity[..., :half] -= nu[..., half:]
        cavity[..., half:] -= nu[..., :half]
        return cavity

    def advance(self, state: State, step: np.ndarray) -> tuple[State, np.ndarray]:
        """All messages at once; see `fixed_points.Approximation`."""
        nu, share = state[MESSAGES], step[:, None, None]
        weights = self._weights(nu)
        new = self._through(self._cavity(nu, weights))
        nu = nu + share * (new - new.max(axis=1, keepdims=True) - nu)
        change = np.abs(_normalised(self._weights(nu)) - _normalised(weights)).max(
            axis=(1, 2), initial=0
        )
        return {MESSAGES: nu}, change / step

    def _through(self, cavity: np.ndarray) -> np.ndarray:
        """``log sum_a exp(cavity_a + J_ab)``, up to a constant of every arrow."""
        if self.J.max(initial=0.0) - self.J.min(initial=0.0) > RANGE:
            return _log_sum(cavity[:, :, None] + self._arrows, 1)
        # the largest of the weights has at least the factor exp(-RANGE): sums do not vanish
        weight = np.exp(cavity - cavity.max(axis=1, keepdims=True))
        return np.log(np.einsum("rae,abe->rbe", weight, self._factors))

    @cached_property
    def _factors(self) -> np.ndarray:
        return np.exp(self._arrows - self._arrows.max(initial=0.0))

    def log_z(self, state: State) -> np.ndarray:
        """The Bethe free energy at these messages, ``[row]``; of fixed points."""
        nu = state[MESSAGES]
        weights = self._weights(nu)
        single = _log_sum(weights, 1) @ (1.0 - self.degree)
        return single + _log_sum(self._pairs(nu, weights), (1, 2)).sum(axis=1)

    def _pairs(self, nu: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Log-weights of the states of every edge, ``[row, state, state, edge]``."""
        half, cavity = nu.shape[2] // 2, self._cavity(nu, weights)
        return cavity[:, :, None, :half] + self.J + cavity[:, None, :, half:]

    def beliefs(self, state: State) -> np.ndarray:
        """Marginals ``p[row, state, unit]``."""
        return _normalised(self._weights(state[MESSAGES]))

    def means(self, state: State) -> dict[str, np.ndarray]:
        """``<phi_i(a)> [row, unit, feature]`` by group."""
        p, found = self.beliefs(state), {}
        for group in self.conditionals.hamiltonian.groups:
            F, at = self._features(group.name), self.first[group.name]
            own = p[:, : F.shape[1], at : at + group.size]
            found[group.name] = np.einsum("rau,fa->ruf", own, F)
        return found

    def smallest_eigenvalue(self, state: State) -> float:
        """Of the Hessian in units of the covariances of single units; see `fixed_points`."""
        nu, q = state[MESSAGES], self.states
        weights = self._weights(nu)
        pair = np.moveaxis(self._pairs(nu, weights)[0], -1, 0)
        pair = np.exp(pair - _log_sum(pair, (1, 2))[:, None, None])
        root = np.sqrt(_normalised(weights)[0].T)
        left, right = root[self.edges[:, 0]], root[self.edges[:, 1]]
        # indicators over sqrt(p) have the covariance 1 - sqrt(p) sqrt(p)^T, a projector
        product = left[:, :, None] * right[:, None, :]
        Q = np.divide(pair, product, out=np.zeros_like(pair), where=product > 0.0) - product
        both = np.tile((1.0 + 1e-12) * np.eye(2 * q), (len(pair), 1, 1))
        both[:, :q, q:], both[:, q:, :q] = Q, Q.transpose(0, 2, 1)
        inverse = np.linalg.inv(both) - np.eye(2 * q)
        place = q * np.repeat(self.edges, q, axis=1) + np.tile(np.arange(q), 2)
        rows = np.broadcast_to(place[:, :, None], inverse.shape).ravel()
        columns = np.broadcast_to(place[:, None, :], inverse.shape).ravel()
        size = q * self.units
        excess = sparse.csr_array(sparse.coo_array((-inverse.ravel(), (rows, columns)), (size, size)))
        return one_less_largest(lambda X: np.asarray((excess @ X.T).T), size)


def _log_sum(x: np.ndarray, axis: int | tuple[int, ...]) -> np.ndarray:
    """``log sum exp``; other axes may be empty."""
    top = x.max(axis=axis, keepdims=True)
    return np.log(np.exp(x - top).sum(axis=axis)) + top.squeeze(axis)


def _normalised(weights: np.ndarray) -> np.ndarray:
    """Probabilities of states, their axis second, from log-weights."""
    p = np.exp(weights - weights.max(axis=1, keepdims=True))
    return p / p.sum(axis=1, keepdims=True)


def bethe_fixed_points(
    approximation: Bethe,
    key: tuple[int, int],
    starts: Mapping[str, np.ndarray] | None = None,
    random: int = 6,
    step: float = 1.0,
    **options,
) -> Search:
    """All fixed points of the messages that the starts lead to.

    Starts and `options` are those of `fixed_points.start_configurations` and `fixed_points.search`.
    Undamped messages are exact on a forest after as many passes as it is long.
    """
    configurations = start_configurations(approximation.conditionals, key, random, starts)
    state = approximation.start(configurations)
    return search(approximation.conditionals.hamiltonian, approximation, state, step=step, **options)


def estimate_bethe(
    hamiltonian: Hamiltonian,
    params: Params,
    row: Coefficients,
    key: tuple[int, int],
    *,
    starts: Mapping[str, np.ndarray] | None = None,
    random: int = 6,
    **options,
) -> Estimate:
    """Estimate log Z of one instance at one coefficient row in the Bethe approximation.

    Trusted on trees and forests, where it is exact; suspect otherwise, with ``low`` the value itself
    where all couplings of Ising and Bernoulli units are >= 0. Parameters are those of
    `naive.estimate_mean_field`.

    Raises
    ------
    LoweringError
        see `check_bethe`.
    """
    hamiltonian = unmarked(hamiltonian)
    check_bethe(hamiltonian, hamiltonian.name)
    approximation = Bethe(Conditionals(hamiltonian, row.value[0], params))
    found = bethe_fixed_points(approximation, key, starts, random, **options)
    return estimate(
        METHOD, found, exact=approximation.is_forest, lower_bound=approximation.is_attractive
    )

"""Messages along both directions of every edge of a pairwise graph, as log-weights.

    nu_ij(b) = log sum_a exp( J_ij(a, b) + c_ij(a) ),   c_ij(a) = h_i(a) + sum_{k != j} nu_ki(a),

each less its largest entry. Log-weights of frozen units are large numbers, and no digit is lost.
They converge as such: beliefs of frozen units no longer change while messages still travel.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import numpy as np
from scipy import sparse

from physebm.free_energy.fixed_points import State
from physebm.free_energy.pair_tables import pair_tables
from physebm.model.conditionals import Conditionals

MESSAGES = "messages"
# Couplings within this range may be exponentiated one by one.
RANGE = 300.0


class Messages:
    """Messages on the graph of a model.

    The state holds ``messages [row, state, arrow]``; arrow e < E leads along edge e, from its first to
    its second unit, arrow E + e back.

    Attributes
    ----------
    tables
        `PairTables`; `h`, `edges` and `J` are theirs.
    degree
        Number of neighbours ``[unit]``.
    """

    def __init__(self, conditionals: Conditionals):
        self.conditionals = conditionals
        self.tables = pair_tables(conditionals)
        self.h, self.edges, self.J = self.tables.h, self.tables.edges, self.tables.J
        i, j = self.edges.T
        self._source, self._target = np.concatenate([i, j]), np.concatenate([j, i])
        self._arrows = np.concatenate([self.J, self.J.transpose(1, 0, 2)], axis=2)
        ones = np.ones(len(self._target))
        shape = (self.tables.units, len(self._target))
        self._into = sparse.csr_array((ones, (self._target, np.arange(len(ones)))), shape)
        self.degree = np.bincount(self._target, minlength=self.tables.units)

    def start(self, configurations: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Row 0 begins without messages, row r + 1 with those of units in ``{group: x[r, unit]}``."""
        rows = len(next(iter(configurations.values())))
        index = np.zeros((rows, self.tables.units), dtype=int)
        for name, x in configurations.items():
            states = np.array(self.conditionals.hamiltonian.group(name).prior.states)
            at = self.tables.first[name]
            index[:, at : at + x.shape[1]] = np.searchsorted(states, x)
        arrow = np.arange(len(self._source))
        sent = np.moveaxis(self._arrows[index[:, self._source], :, arrow], 2, 1)
        nu = np.concatenate([np.zeros((1, *sent.shape[1:])), sent])
        return {MESSAGES: nu - nu.max(axis=1, keepdims=True)}

    def weights(self, nu: np.ndarray) -> np.ndarray:
        """``h_i + sum_k nu_ki``, ``[row, state, unit]``."""
        rows, states, arrows = nu.shape
        flat = self._into @ nu.reshape(rows * states, arrows).T
        return self.h + flat.T.reshape(rows, states, self.tables.units)

    def _cavity(self, nu: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """``c`` of every arrow: the weights of its source without the message that comes back."""
        half = nu.shape[2] // 2
        cavity = np.take(weights, self._source, axis=2)
        cavity[..., :half] -= nu[..., half:]
        cavity[..., half:] -= nu[..., :half]
        return cavity

    def advance(self, state: State, step: np.ndarray) -> tuple[State, np.ndarray]:
        """All messages at once; see `fixed_points.Approximation`.

        A message counts as a moment, its changes relative to the largest one: their rounding grows
        with them.
        """
        nu, share = state[MESSAGES], step[:, None, None]
        weights = self.weights(nu)
        new = self._through(self._cavity(nu, weights))
        new -= new.max(axis=1, keepdims=True)
        scale = 1.0 + np.abs(new).max(axis=(1, 2), initial=0.0)
        sent = np.abs(new - nu).max(axis=(1, 2), initial=0.0) / scale
        nu = nu + share * (new - nu)
        change = np.abs(normalised(self.weights(nu)) - normalised(weights)).max(axis=(1, 2), initial=0)
        return {MESSAGES: nu}, np.maximum(change / step, sent)

    def _through(self, cavity: np.ndarray) -> np.ndarray:
        """``log sum_a exp(cavity_a + J_ab)``, up to a constant of every arrow."""
        if self.J.max(initial=0.0) - self.J.min(initial=0.0) > RANGE:
            return log_sum(cavity[:, :, None] + self._arrows, 1)
        # the largest of the weights has at least the factor exp(-RANGE): sums do not vanish
        weight = np.exp(cavity - cavity.max(axis=1, keepdims=True))
        return np.log(np.einsum("rae,abe->rbe", weight, self._factors))

    @cached_property
    def _factors(self) -> np.ndarray:
        return np.exp(self._arrows - self._arrows.max(initial=0.0))

    def pairs(self, nu: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Log-weights of the states of every edge, ``[row, state, state, edge]``."""
        half, cavity = nu.shape[2] // 2, self._cavity(nu, weights)
        return cavity[:, :, None, :half] + self.J + cavity[:, None, :, half:]


def log_sum(x: np.ndarray, axis: int | tuple[int, ...]) -> np.ndarray:
    """``log sum exp``; other axes may be empty."""
    top = x.max(axis=axis, keepdims=True)
    return np.log(np.exp(x - top).sum(axis=axis)) + top.squeeze(axis)


def normalised(weights: np.ndarray) -> np.ndarray:
    """Probabilities of states, their axis second, from log-weights."""
    p = np.exp(weights - weights.max(axis=1, keepdims=True))
    return p / p.sum(axis=1, keepdims=True)

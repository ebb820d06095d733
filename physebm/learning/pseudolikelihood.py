"""Log pseudo-likelihood of fully visible models, and its gradient.

    PL = sum_r w_r sum_i log p(x_i | x_rest)
       = sum_r w_r sum_i [ theta_i . phi_i - Gamma(theta_i) ]        at row r of the data, in nats,

theta_i the local field of unit i in the other units of its row and phi_i its features (J. Besag,
J. R. Stat. Soc. B 36, 192 (1974); for Potts machines M. Ekeberg et al., Phys. Rev. E 87, 012707 (2013),
here with one symmetric J: both units of a pair contribute). No partition function occurs. With the
deviations D_i = phi_i - <phi_i | x_rest> the gradient is

    dPL/dtheta = sum_r w_r sum_i D_i . d theta_i / d theta,

and since every term of the energy is linear in each unit of an edge, this is the statistic of
`model.statistics` with the product over an edge replaced by its sum over places,

    <prod_{i in e} phi_i>   ->   < sum_{i in e} D_i prod_{j in e, j != i} phi_j >,

through the same chain rules (low-rank patterns included: they enter through d J_ij / d xi).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from physebm.errors import LoweringError
from physebm.model.conditionals import Conditionals
from physebm.model.hamiltonian import Hamiltonian
from physebm.model.statistics import Moments
from physebm.native.products import ROWS, cross

# Numbers of one block of rows on edges: 32 MiB in double precision.
BLOCK = 2**22


@dataclass(frozen=True)
class DeviationAverages:
    """Averages in which one factor of every product is a deviation; an `Averages` of statistics.

    Attributes
    ----------
    features, deviations
        ``phi`` and ``D = phi - <phi | rest>`` by group, ``[row, unit * feature]``.
    weights
        ``[row]``, with sum 1.
    """

    hamiltonian: Hamiltonian
    features: Mapping[str, np.ndarray]
    deviations: Mapping[str, np.ndarray]
    weights: np.ndarray

    def mean(self, name: str) -> np.ndarray:
        """``<D_i(a)>``, ``[unit, feature]``."""
        D = self.deviations[name]
        total = cross(np.ones((len(D), 1)), D, self.weights)
        return total.reshape(self.hamiltonian.group(name).size, -1)

    def pair(self, a: str, b: str) -> np.ndarray:
        """``<D_i(a) phi_j(b) + phi_i(a) D_j(b)>``, ``[unit, feature, unit, feature]``."""
        total = cross(self.deviations[a], self.features[b], self.weights)
        if a == b:
            total = total + total.T
        else:
            total += cross(self.features[a], self.deviations[b], self.weights)
        one, two = self.hamiltonian.group(a), self.hamiltonian.group(b)
        return total.reshape(one.size, one.prior.features, two.size, two.prior.features)

    def along(self, name: str, edges: np.ndarray) -> np.ndarray:
        """The same on edges, ``[edge, feature, feature]``."""
        q = self.hamiltonian.group(name).prior.features
        total = np.zeros((len(edges), q, q))
        for F, D, w in self._blocks(name, len(edges) * q):
            i, j = edges[:, 0], edges[:, 1]
            for A, B in ((D, F), (F, D)):
                left = (w[:, None, None] * A[:, i]).transpose(1, 2, 0)
                total += left @ B[:, j].transpose(1, 0, 2)
        return total

    def square(self, name: str) -> np.ndarray:
        """Continuous units have no pseudo-likelihood here; see `check_pseudo_likelihood`."""
        raise TypeError(f"'{name}' is a group of continuous units")

    def product(self, name: str, edges: np.ndarray) -> np.ndarray:
        """``<sum_{i in e} D_i prod_{j in e, j != i} x_j>``, ``[edge]``."""
        total = np.zeros(len(edges))
        for F, D, w in self._blocks(name, edges.size):
            for place in range(edges.shape[1]):
                factors = F[:, edges, 0]
                factors[:, :, place] = D[:, edges[:, place], 0]
                total += w @ np.prod(factors, axis=-1)
        return total

    def _blocks(self, name: str, width: int) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Features and deviations ``[row, unit, feature]`` and weights, in float64, by blocks."""
        F, D = self.features[name], self.deviations[name]
        group = self.hamiltonian.group(name)
        shape = (-1, group.size, group.prior.features)
        step = max(1, BLOCK // max(width, 1))
        for start in range(0, len(F), step):
            rows = slice(start, start + step)
            yield (
                F[rows].astype(np.float64).reshape(shape),
                D[rows].astype(np.float64).reshape(shape),
                self.weights[rows],
            )


def pseudo_likelihood(
    conditionals: Conditionals,
    states: Mapping[str, np.ndarray],
    weights: np.ndarray | None = None,
) -> tuple[float, DeviationAverages]:
    """The log pseudo-likelihood in nats, averaged over rows, and what its gradient is made of.

    Parameters
    ----------
    states
        Every group of the model, ``{group: x[row, unit]}``.
    weights
        ``[row]``, with sum 1; None for equal weights.

    Returns
    -------
    value, averages
        ``statistics(hamiltonian, params, averages, coefficients, slots)`` is the gradient of `value`.

    Raises
    ------
    LoweringError
        for models with hidden or continuous units.
    """
    hamiltonian = conditionals.hamiltonian
    check_pseudo_likelihood(hamiltonian, hamiltonian.name)
    known = conditionals.states(states)
    rows = len(next(iter(states.values())))
    w = np.full(rows, 1.0 / rows) if weights is None else np.asarray(weights, dtype=np.float64)
    per_row = np.zeros(rows)
    deviations = {name: np.empty_like(held.first) for name, held in known.items()}
    for start in range(0, rows, ROWS):
        at = slice(start, start + ROWS)
        part = {name: Moments(held.first[at]) for name, held in known.items()}
        for name, held in part.items():
            theta = conditionals.field(name, part)
            per_row[at] += np.einsum("rf,rf->r", theta, held.first, dtype=np.float64)
            per_row[at] -= conditionals.log_normaliser(name, theta)
            deviations[name][at] = held.first - conditionals.moments(name, theta).first
    features = {name: held.first for name, held in known.items()}
    return float(w @ per_row), DeviationAverages(hamiltonian, features, deviations, w)


def check_pseudo_likelihood(hamiltonian: Hamiltonian, where: str) -> None:
    """Refuse models whose conditionals ``p(x_i | x_rest)`` the data do not give.

    Raises
    ------
    LoweringError
        naming the hidden or continuous groups, the reason, and the methods that would work.
    """
    seen = {group.name for group in hamiltonian.counted}
    hidden = [group.name for group in hamiltonian.groups if group.name not in seen]
    if hidden:
        raise LoweringError(
            where,
            got=f"pseudo-likelihood, for a model with hidden units {', '.join(hidden)}",
            expected="a model whose units are all visible",
            hint="the data do not say what a hidden unit was, so its conditionals cannot be scored; "
            'use method = "pcd", "pt" or "cd", or "exact" for a small model',
        )
    continuous = [group.name for group in hamiltonian.groups if not group.prior.discrete]
    if continuous:
        raise LoweringError(
            where,
            got=f"pseudo-likelihood, for continuous units {', '.join(continuous)}",
            expected="ising, bernoulli or potts units",
            hint="it is made of probabilities of single states, which continuous units do not have; "
            'use method = "exact", which is in closed form for Gaussian models, or "pcd"',
        )

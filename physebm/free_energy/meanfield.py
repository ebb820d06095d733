"""Mean-field posterior of hidden groups that do not factorise, and its bound on the likelihood.

Deep machines and hidden units with couplings among themselves have no product form p(h|v). The closest
one, ``q(h) = prod_i q_i(h_i)`` with ``q_i ~ rho_i(h_i) exp(theta_i h_i - lam_i h_i^2 / 2)``, maximises

    bound(v; q) = - <u(v, h)>_q + S(q)  <=  log p(v) + log Z,
    S(q) = sum_i [ Gamma(theta_i, lam_i) - theta_i <h_i> + lam_i <h_i^2> / 2 ]

(S relative to the priors; L. K. Saul, T. Jaakkola, M. I. Jordan, J. Artif. Intell. Res. 4, 61 (1996);
for deep Boltzmann machines R. Salakhutdinov, G. Hinton, AISTATS (2009)). A term is linear in every
unit, so the maximum over one q_i is at the local field in the means of all others: the fixed point of

    theta_i = f_i(v, <h>_q).

Groups are updated one after another, from the visible units upwards; the units of a group at once. As
long as no term joins units of one hidden group every such step raises the bound. Otherwise strong
couplings within a group may oscillate: damping cures that and moves no fixed point.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from physebm.model.conditionals import Conditionals
from physebm.model.energy import log_normalisers
from physebm.model.hamiltonian import Hamiltonian
from physebm.model.params import Coefficients, Params
from physebm.model.roles import factorises
from physebm.model.statistics import Moments
from physebm.model.terms import Field, Square, groups_of
from physebm.model.units import UnitKind

# Share of the old field where units of one group couple to each other.
DAMPING = 0.7


@dataclass(frozen=True)
class MeanField:
    """A factorised posterior of the hidden groups, row by row.

    Attributes
    ----------
    moments
        `Moments` by hidden group.
    fields
        ``theta [row, unit * feature]`` by hidden group, what q is made of.
    iterations
        Number of passes over all hidden groups.
    residual
        Largest change of a mean ``<phi>`` that the last pass made, all rows (of an undamped step).
    converged
        Whether `residual` reached the tolerance.
    """

    moments: Mapping[str, Moments]
    fields: Mapping[str, np.ndarray]
    iterations: int
    residual: float
    converged: bool


def mean_field_posterior(
    conditionals: Conditionals,
    known: Mapping[str, Moments],
    hidden: Iterable[str],
    *,
    damping: float | None = None,
    tolerance: float = 1e-6,
    iterations: int = 200,
) -> MeanField:
    """The fixed point that the bottom-up start leads to.

    The start takes the groups in the order of their distance from the known ones and leaves out all
    fields from groups above. Hidden groups that factorise are exact after this one pass.

    Parameters
    ----------
    known
        Moments of all other groups in every row, as `Conditionals.states` gives them.
    damping
        Share of the old field in the new one, 0 to below 1; by default none, and `DAMPING` where units
        of one hidden group couple to each other.
    tolerance
        Stop when no mean moves further than this in a pass.
    iterations
        Stop after this many passes in any case.
    """
    hamiltonian = conditionals.hamiltonian
    order = _upwards(hamiltonian, known, hidden)
    if damping is None:
        # units of one layer that couple to each other may oscillate when all move at once
        damping = 0.0 if all(factorises(hamiltonian, [name]) for name in order) else DAMPING
    if not 0.0 <= damping < 1.0:
        raise ValueError(f"damping must be 0 to below 1, got {damping}")
    inner, outer = _split(conditionals, order)
    below = {name: outer.field(name, known) for name in order}
    zeros = {name: Moments(np.zeros_like(theta)) for name, theta in below.items()}
    fields, moments = {}, {}
    for name in order:
        fields[name] = below[name] + inner.field(name, zeros | moments)
        moments[name] = conditionals.moments(name, fields[name])
    if factorises(hamiltonian, order):
        return MeanField(moments, fields, 1, 0.0, True)
    residual, done = np.inf, 1
    while done < iterations and not residual <= tolerance:
        residual = 0.0
        for name in order:
            theta = below[name] + inner.field(name, moments)
            theta += damping * (fields[name] - theta)
            new = conditionals.moments(name, theta)
            step = float(np.max(np.abs(new.first - moments[name].first), initial=0.0))
            residual = max(residual, step / (1.0 - damping))
            fields[name], moments[name] = theta, new
        done += 1
    return MeanField(moments, fields, done, float(residual), bool(residual <= tolerance))


def variational_bound(
    conditionals: Conditionals, known: Mapping[str, Moments], fields: Mapping[str, np.ndarray]
) -> np.ndarray:
    """``bound [row]`` on ``log p(v) + log Z`` of the factorised q with these fields, float64.

    Holds for any fields ``{hidden group: theta[row, unit * feature]}``, and is an equality at the
    conditionals of hidden groups that factorise. p(v) is a density in continuous visible units.
    """
    moments = {name: conditionals.moments(name, theta) for name, theta in fields.items()}
    bound = -conditionals.energy({**known, **moments}) - _constant(conditionals, known)
    for name, theta in fields.items():
        held = moments[name]
        bound += conditionals.log_normaliser(name, theta)
        bound -= np.einsum("rf,rf->r", theta, held.first, dtype=np.float64)
        if held.second is not None:
            # The whole precision: the energy has counted that of the prior, which q carries itself.
            bound += 0.5 * (held.second @ conditionals.precision(name))
    return bound


def _upwards(hamiltonian: Hamiltonian, known: Iterable[str], hidden: Iterable[str]) -> list[str]:
    """Hidden groups by their distance from the known ones, in steps along terms."""
    order, reached, left = [], set(known), list(hidden)
    while left:
        near = {
            name
            for term in hamiltonian.terms
            if reached & {*groups_of(term)}
            for name in groups_of(term)
        }
        layer = [name for name in left if name in near] or left
        order += layer
        reached |= set(layer)
        left = [name for name in left if name not in reached]
    return order


def _split(conditionals: Conditionals, hidden: list[str]) -> tuple[Conditionals, Conditionals]:
    """Fields from the hidden groups, which move with q; and all others, which do not."""
    terms = conditionals.hamiltonian.terms
    inner = [
        t
        for t, term in enumerate(terms)
        if set(hidden).issuperset(groups_of(term)) and not isinstance(term, Field | Square)
    ]
    outer = [t for t in range(len(terms)) if t not in inner]
    return of_terms(conditionals, inner), of_terms(conditionals, outer)


def of_terms(conditionals: Conditionals, kept: list[int]) -> Conditionals:
    """The conditionals of the Hamiltonian with these terms alone."""
    hamiltonian, params = conditionals.hamiltonian, conditionals.params
    terms = tuple(hamiltonian.terms[t] for t in kept)
    edges = {new: params.edges[t] for new, t in enumerate(kept) if t in params.edges}
    return Conditionals(
        replace(hamiltonian, terms=terms),
        conditionals.coefficients[kept],
        Params(params.arrays, edges, params.lower),
        conditionals.dtype,
    )


class TermEnergies:
    """``<E_t> [row, term]`` of independent units with given moments, whatever the coefficients."""

    def __init__(self, conditionals: Conditionals):
        hamiltonian, terms = conditionals.hamiltonian, len(conditionals.hamiltonian.terms)
        plain = Conditionals(hamiltonian, np.ones(terms), conditionals.params, conditionals.dtype)
        self._single = [of_terms(plain, [t]) for t in range(terms)]

    def __call__(self, moments: Mapping[str, Moments]) -> np.ndarray:
        """Of the moments of all groups."""
        rows = next(iter(moments.values())).rows
        found = [each.energy(moments) for each in self._single]
        return np.stack(found, axis=1) if found else np.zeros((rows, 0))


def scalar_variance(kind: UnitKind, held: Moments) -> np.ndarray:
    """Variances of scalar units from their moments, ``[row, unit]``."""
    m = held.first
    if kind is UnitKind.ISING:
        return (1.0 - m) * (1.0 + m)
    return m * (1.0 - m) if kind is UnitKind.BERNOULLI else np.maximum(held.second - m**2, 0.0)


def _constant(conditionals: Conditionals, known: Mapping[str, Moments]) -> float:
    """Log-normalisers of the priors of continuous visible units, part of u."""
    hamiltonian = conditionals.hamiltonian
    kept = [t for t, term in enumerate(hamiltonian.terms) if set(known).issuperset(groups_of(term))]
    visible = replace(
        hamiltonian,
        groups=tuple(group for group in hamiltonian.groups if group.name in known),
        terms=tuple(hamiltonian.terms[t] for t in kept),
    )
    c = conditionals.coefficients[None, kept]
    row = Coefficients(np.ones(1), c, c, np.zeros_like(c))
    return float(log_normalisers(visible, conditionals.params, row)[0, 0])

"""Naive mean field: the best product distribution, and a rigorous lower bound on log Z.

For any product ``q = prod_i q_i`` over the units (Gibbs-Bogoliubov inequality; R. P. Feynman,
Statistical Mechanics (1972), section 3.4),

    log Z >= - <u>_q + S(q),    q_i ~ rho_i(x) exp(theta_i x - lam_i x^2 / 2),

which is `meanfield.variational_bound` without known units. A term is linear in every unit, so that the
right side is stationary where ``theta_i = f_i(<x>)``, the local field in the means of all others. It
holds for every declared Hamiltonian: pairs, patterns, many-body terms, Potts and continuous units.
Groups are updated one after another, the units of a group at once.

Exact without couplings; extensive models with couplings of order 1/N between all pairs are met up to
terms that do not grow with N. Everywhere else the distance to log Z is of second order in couplings.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property

import numpy as np

from physebm.free_energy.fixed_points import Search, State, search
from physebm.free_energy.judged_search import StationaryEstimate, estimate
from physebm.free_energy.meanfield import TermEnergies, of_terms, scalar_variance, variational_bound
from physebm.free_energy.stability import coordinates, one_less_largest
from physebm.free_energy.starts import start_configurations
from physebm.model.conditionals import Conditionals
from physebm.model.energy import hyperedges
from physebm.model.hamiltonian import Hamiltonian
from physebm.model.independent import is_uncoupled
from physebm.model.params import Coefficients, Params
from physebm.model.statistics import Moments
from physebm.model.terms import Field, Many, Square
from physebm.model.units import UnitKind

METHOD = "mean-field"


class NaiveMeanField:
    """The functional ``-<u>_q + S(q)`` and its fixed-point equation; an `Approximation`.

    The state holds ``theta [row, unit * feature]`` of every group.
    """

    def __init__(self, conditionals: Conditionals):
        self.conditionals = conditionals
        self.names = [group.name for group in conditionals.hamiltonian.groups]
        terms = conditionals.hamiltonian.terms
        self._many = [t for t, term in enumerate(terms) if isinstance(term, Many)]
        linear = [t for t, term in enumerate(terms) if not isinstance(term, Field | Square | Many)]
        self._linear = of_terms(conditionals, linear)

    def start(self, configurations: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Row 0 is the paramagnet, row r + 1 the fields in ``{group: x[r, unit]}``."""
        hamiltonian = self.conditionals.hamiltonian
        zeros, state = {}, {}
        for group in hamiltonian.groups:
            first = np.zeros((1, group.size * group.prior.features))
            zeros[group.name] = Moments(first, None if group.prior.discrete else first)
        known = self.conditionals.states(configurations)
        for name in self.names:
            parts = [self.equations(name, zeros), self.equations(name, known)]
            for key in parts[0]:
                state[key] = np.concatenate([part[key] for part in parts])
        return state

    def equations(self, name: str, moments: Mapping[str, Moments]) -> dict[str, np.ndarray]:
        """The parameters of q of one group that are stationary given the moments of all groups."""
        return {name: self.conditionals.field(name, moments)}

    def moments(self, name: str, state: State) -> Moments:
        """Moments of one group."""
        return self.conditionals.moments(name, state[name])

    def advance(self, state: State, step: np.ndarray) -> tuple[State, np.ndarray]:
        """One pass over all groups; see `fixed_points.Approximation`."""
        state, share = dict(state), step[:, None]
        moments = {name: self.moments(name, state) for name in self.names}
        moved = np.zeros(len(step))
        for name in self.names:
            for key, new in self.equations(name, moments).items():
                state[key] = state[key] + share * (new - state[key])
            held = self.moments(name, state)
            change = np.abs(held.first - moments[name].first).max(axis=1, initial=0.0)
            if held.second is not None:
                wide = np.abs(held.second - moments[name].second).max(axis=1, initial=0.0)
                change = np.maximum(change, wide)
            moved, moments[name] = np.maximum(moved, change / step), held
        return state, moved

    def log_z(self, state: State) -> np.ndarray:
        """The lower bound on log Z of any state, ``[row]``."""
        return variational_bound(self.conditionals, {}, state)

    def means(self, state: State) -> dict[str, np.ndarray]:
        """``<phi_i(a)> [row, unit, feature]`` by group."""
        found = {}
        for name in self.names:
            group = self.conditionals.hamiltonian.group(name)
            first = self.moments(name, state).first
            found[name] = first.reshape(len(first), group.size, -1)
        return found

    @cached_property
    def _of_terms(self) -> TermEnergies:
        return TermEnergies(self.conditionals)

    def term_energies(self, state: State) -> np.ndarray:
        """``<E_t> [term]`` at a state of one row."""
        return self._of_terms({name: self.moments(name, state) for name in self.names})[0]

    def smallest_eigenvalue(self, state: State) -> float:
        """Of the Hessian in units of independent units; see `fixed_points`."""
        moments = {name: self.moments(name, state) for name in self.names}
        factors = {name: self.factor(name, state, moments[name]) for name in self.names}
        curvature = self.curvature(moments)
        sizes = [L.shape[0] * L.shape[2] for L in factors.values()]
        places = np.cumsum([0, *sizes])

        def apply(X: np.ndarray) -> np.ndarray:
            parts = {}
            for k, name in enumerate(self.names):
                L = factors[name]
                x = X[:, places[k] : places[k + 1]].reshape(len(X), L.shape[0], L.shape[2])
                parts[name] = np.einsum("iab,rib->ria", L, x)
            out = curvature(parts)
            back = [np.einsum("iba,rib->ria", factors[name], out[name]) for name in self.names]
            return np.concatenate([part.reshape(len(X), -1) for part in back], axis=1)

        return one_less_largest(apply, int(places[-1]))

    def factor(self, name: str, state: State, moments: Moments) -> np.ndarray:
        """L of the covariance ``L L^T`` of the features of units, ``[unit, feature, coordinate]``."""
        prior = self.conditionals.hamiltonian.group(name).prior
        if prior.kind is UnitKind.POTTS:
            p = moments.first.reshape(-1, prior.q)
            return np.sqrt(p)[:, :, None] * coordinates(p)
        return np.sqrt(scalar_variance(prior.kind, moments)[0])[:, None, None]

    def curvature(self, moments: Mapping[str, Moments]):
        """K of `fixed_points`, as its action on ``{group: x[row, unit, feature]}``: d2(-<u>) / dmdm."""

        def apply(x: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
            flat = {name: part.reshape(len(part), -1) for name, part in x.items()}
            known = {name: Moments(part) for name, part in flat.items()}
            out = {name: self._linear.field(name, known) for name in self.names}
            for t in self._many:
                name = self.conditionals.hamiltonian.terms[t].group
                out[name] += self._many_curvature(t, moments[name].first[0], flat[name])
            return {name: part.reshape(x[name].shape) for name, part in out.items()}

        return apply

    def _many_curvature(self, t: int, m: np.ndarray, x: np.ndarray) -> np.ndarray:
        hamiltonian, params = self.conditionals.hamiltonian, self.conditionals.params
        edges, w = hyperedges(hamiltonian, params, t, 0)
        out = np.zeros_like(x)
        for i in range(edges.shape[1]):
            for j in range(edges.shape[1]):
                if i == j:
                    continue
                rest = np.prod(m[np.delete(edges, [i, j], axis=1)], axis=1)
                pull = self.conditionals.coefficients[t] * w * rest * x[:, edges[:, j]]
                np.add.at(out.T, edges[:, i], pull.T)
        return out


def unmarked(hamiltonian: Hamiltonian) -> Hamiltonian:
    """The same joint distribution, no group `integrated`: log Z is that of all units in any case."""
    return replace(hamiltonian, groups=tuple(replace(g, integrated=False) for g in hamiltonian.groups))


def fixed_points(
    approximation: NaiveMeanField,
    key: tuple[int, int],
    starts: Mapping[str, np.ndarray] | None = None,
    random: int = 6,
    **options,
) -> Search:
    """All fixed points of an approximation by product distributions that its starts lead to.

    Starts and `options` are those of `starts.start_configurations` and `fixed_points.search`.
    """
    configurations = start_configurations(approximation.conditionals, key, random, starts)
    state = approximation.start(configurations)
    return search(approximation.conditionals.hamiltonian, approximation, state, **options)


def estimate_mean_field(
    hamiltonian: Hamiltonian,
    params: Params,
    row: Coefficients,
    key: tuple[int, int],
    *,
    starts: Mapping[str, np.ndarray] | None = None,
    random: int = 6,
    **options,
) -> StationaryEstimate:
    """The best lower bound on log Z by a product distribution, of one instance at one coefficient row.

    Trusted without couplings, where it is exact; suspect otherwise, with ``low`` the value itself: a
    rigorous bound also where the verdict is `failed`.

    Parameters
    ----------
    key
        Philox key of the random starts.
    starts
        Further starts, configurations ``{group: x[start, unit]}`` of all groups.
    random
        Number of random starts.
    options
        step, tolerance, iterations of `fixed_points.search`.
    """
    hamiltonian = unmarked(hamiltonian)
    conditionals = Conditionals(hamiltonian, row.value[0], params)
    found = fixed_points(NaiveMeanField(conditionals), key, starts, random, **options)
    exact = is_uncoupled(conditionals)
    return estimate(METHOD, found, hamiltonian, row, exact=exact, lower_bound=True)

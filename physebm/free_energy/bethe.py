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

Message passing is `messages`, the Hessian of the free energy `bethe_stability`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import numpy as np

from physebm.errors import LoweringError
from physebm.free_energy.bethe_stability import bethe_smallest_eigenvalue
from physebm.free_energy.fixed_points import Search, State, search
from physebm.free_energy.judged_search import StationaryEstimate, estimate
from physebm.free_energy.limits import value_findings
from physebm.free_energy.meanfield import TermEnergies
from physebm.free_energy.messages import MESSAGES, Messages, log_sum, normalised
from physebm.free_energy.naive import unmarked
from physebm.free_energy.pair_tables import coupling_tables, state_features
from physebm.free_energy.starts import start_configurations
from physebm.model.conditionals import Conditionals
from physebm.model.hamiltonian import Hamiltonian
from physebm.model.params import Coefficients, Params
from physebm.model.statistics import Moments
from physebm.model.terms import LowRank, Many, Pair
from physebm.model.units import UnitKind

METHOD = "bethe"


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


class Bethe(Messages):
    """The free energy of messages; an `Approximation`."""

    @property
    def is_forest(self) -> bool:
        """Whether there are no loops: messages are exact then."""
        return self.tables.is_forest

    @property
    def is_attractive(self) -> bool:
        """Whether two-state units only have couplings that favour equal states."""
        kinds = {group.prior.kind for group in self.conditionals.hamiltonian.groups}
        return UnitKind.POTTS not in kinds and self.tables.favours_equal_states

    def log_z(self, state: State) -> np.ndarray:
        """The Bethe free energy at these messages, ``[row]``; of fixed points."""
        nu = state[MESSAGES]
        weights = self.weights(nu)
        single = log_sum(weights, 1) @ (1.0 - self.degree)
        return single + log_sum(self.pairs(nu, weights), (1, 2)).sum(axis=1)

    def beliefs(self, state: State) -> np.ndarray:
        """Marginals ``p[row, state, unit]``."""
        return normalised(self.weights(state[MESSAGES]))

    def means(self, state: State) -> dict[str, np.ndarray]:
        """``<phi_i(a)> [row, unit, feature]`` by group."""
        p, found = self.beliefs(state), {}
        for group in self.conditionals.hamiltonian.groups:
            F = state_features(self.conditionals.hamiltonian, group.name)
            at = self.tables.first[group.name]
            own = p[:, : F.shape[1], at : at + group.size]
            found[group.name] = np.einsum("rau,fa->ruf", own, F)
        return found

    def smallest_eigenvalue(self, state: State) -> float:
        """Of the Hessian in units of the covariances of single units; see `bethe_stability`."""
        weights = self.weights(state[MESSAGES])
        pairs = self.pairs(state[MESSAGES], weights)[0]
        return bethe_smallest_eigenvalue(weights[0], pairs, self.edges)

    @cached_property
    def _of_terms(self) -> TermEnergies:
        return TermEnergies(self.conditionals)

    def term_energies(self, state: State) -> np.ndarray:
        """``<E_t> [term]`` in the beliefs of pairs, at a state of one row."""
        hamiltonian, params = self.conditionals.hamiltonian, self.conditionals.params
        means = {name: m.reshape(1, -1) for name, m in self.means(state).items()}
        found = self._of_terms({name: Moments(m) for name, m in means.items()})[0]
        weights = self.weights(state[MESSAGES])
        p = normalised(weights)[0]
        pairs = self.pairs(state[MESSAGES], weights)
        pairs = np.exp(pairs - log_sum(pairs, (1, 2))[:, None, None])[0]
        i, j = self.edges.T
        correlation = pairs - p[:, None, i] * p[None, :, j]
        code = i * self.tables.units + j
        order = np.argsort(code)
        for t, term in enumerate(hamiltonian.terms):
            if not isinstance(term, Pair):
                continue
            one = np.eye(len(hamiltonian.terms))[t]
            edges, J = coupling_tables(hamiltonian, params, one, self.tables.first, len(p))
            own = edges[:, 0] * self.tables.units + edges[:, 1]
            # pairs whose couplings cancel, or are switched off, are no edges: independent
            known = np.isin(own, code)
            at = order[np.searchsorted(code, own[known], sorter=order)]
            found[t] -= (J[..., known] * correlation[..., at]).sum()
        return found


def bethe_fixed_points(
    approximation: Bethe,
    key: tuple[int, int],
    starts: Mapping[str, np.ndarray] | None = None,
    random: int = 6,
    step: float = 1.0,
    **options,
) -> Search:
    """All fixed points of the messages that the starts lead to.

    Starts and `options` are those of `starts.start_configurations` and `fixed_points.search`. On a
    forest there is one fixed point, which any start reaches without damping after as many passes as the
    forest is long: one start, and no damping.
    """
    configurations = start_configurations(approximation.conditionals, key, random, starts)
    state = approximation.start(configurations)
    if approximation.is_forest:
        state = {name: values[:1] for name, values in state.items()}
        enough = approximation.tables.units + 2
        options["iterations"] = max(options.get("iterations", enough), enough)
        options["smallest_step"] = step = 1.0
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
) -> StationaryEstimate:
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
    conditionals = Conditionals(hamiltonian, row.value[0], params)
    approximation = Bethe(conditionals)
    found = bethe_fixed_points(approximation, key, starts, random, **options)
    return estimate(
        METHOD,
        found,
        hamiltonian,
        row,
        exact=approximation.is_forest,
        lower_bound=approximation.is_attractive,
        findings=value_findings(found.best.log_z, conditionals) if found.best else [],
    )

"""TAP: mean field with the Onsager reaction, for pairwise couplings between any priors.

Second order of the expansion in the couplings at fixed one-unit averages (T. Plefka, J. Phys. A 15,
1971 (1982); A. Georges, J. S. Yedidia, J. Phys. A 24, 2173 (1991)). The averages that are held fixed
are the means *and* the second moments of all units, as in M. Gabrie, E. W. Tramel, F. Krzakala, NeurIPS
(2015) and E. W. Tramel, M. Gabrie, A. Manoel, F. Caltagirone, F. Krzakala, Phys. Rev. X 8, 041006
(2018):

    log Z_TAP = -<u>_q + S(q) + (1/2) sum_pairs J_ij^2 V_i V_j,      V_i = Var_q x_i,
    q_i ~ rho_i(x) exp(theta_i x - lam_i x^2 / 2),

-<u> and S as in `naive`. For discrete units second moments follow from the means, and Plefka's
expansion is the same; for continuous ones it lets q change its width. The functional is stationary
where, with R_i = sum_j J_ij^2 V_j and f_i the local field in the means,

    continuous   theta_i = f_i - m_i R_i,   lam_i = (precision of the term sum) - R_i
    Ising        theta_i = f_i - m_i R_i    (Onsager reaction)
    Bernoulli    theta_i = f_i + (1/2 - m_i) R_i
    Potts        theta_i(a) = f_i(a) + (1/2) sum_jb p_j(b) X_ij(a, b)^2,

X_ij the coupling matrix less its means over p_i and p_j: a Potts unit has the trace
``(1/4) sum_ij tr J_ij C_j J_ij^T C_i`` of its covariances, and C ignores constants added to rows or
columns of J, so that all its second derivatives are those of X^2. A continuous unit with lam_i <= 0 has
no distribution: the functional is complex there, and has no value.

The expansion itself makes sense only on one side of a line: 1 minus the largest eigenvalue of
``V_i J_ij^2 V_j`` must be positive (T. Plefka, loc. cit.; for SK the line of J. R. L. de Almeida, D. J.
Thouless, J. Phys. A 11, 983 (1978)). A paramagnet beyond it looks stable, and is not: the diagnostic
`expansion`, and a reason of the verdict.

Exact to second order in the couplings; for dense couplings that are independent with variances of
order 1/N, to leading order in N at high temperature. Patterns are not of that kind (their couplings
are correlated, and the reaction differs at extensive load): they are refused.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from physebm.errors import LoweringError
from physebm.free_energy.estimate import Finding, Verdict
from physebm.free_energy.fixed_points import NOT_NEGATIVE, State
from physebm.free_energy.judged_search import StationaryEstimate, estimate
from physebm.free_energy.limits import value_findings
from physebm.free_energy.naive import NaiveMeanField, fixed_points, unmarked
from physebm.free_energy.onsager import Onsager
from physebm.free_energy.tap_stability import continuous_factor, expansion, onsager_curvature
from physebm.model import units
from physebm.model.conditionals import Conditionals
from physebm.model.energy import square_weights
from physebm.model.hamiltonian import Hamiltonian
from physebm.model.independent import is_uncoupled
from physebm.model.params import Coefficients, Params
from physebm.model.statistics import Moments
from physebm.model.terms import LowRank, Many, Pair
from physebm.model.units import UnitKind

METHOD = "tap"
# In front of the names of the precisions in a state; no declared name has a blank.
PRECISION = "precision of "
# Share of the own precision below which an iteration does not let lam fall; no fixed point is there.
FLOOR = 1e-3


def check_tap(hamiltonian: Hamiltonian, where: str) -> None:
    """Check that the expansion is derived for every term.

    Raises
    ------
    LoweringError
        naming the term, the reason and the methods that would work.
    """
    for index, term in enumerate(hamiltonian.terms):
        if isinstance(term, Many):
            hint = (
                f"terms[{index}] couples {term.arity} units; the Onsager term here is that of pairs. "
                "mean-field works for it"
            )
        elif isinstance(term, LowRank):
            hint = (
                f"terms[{index}] couples through patterns: its couplings are correlated, and the "
                "Onsager term of independent ones is wrong for them. Declare the Gaussian form "
                "(a gaussian group coupled to this one, as hopfield_gaussian) for tap, "
                "or use mean-field"
            )
        else:
            continue
        raise LoweringError(where, got=METHOD, expected="pairwise couplings", hint=hint)


class Tap(NaiveMeanField):
    """The functional with the Onsager term; an `Approximation`.

    The state holds ``theta [row, unit * feature]`` of every group under its name, and
    ``lam [row, unit]`` of continuous groups under `PRECISION` and their name.
    """

    def __init__(self, conditionals: Conditionals):
        super().__init__(conditionals)
        self.onsager = Onsager(conditionals.hamiltonian, conditionals.params, conditionals.coefficients)
        self._own = {
            g.name: conditionals.precision(g.name)
            for g in conditionals.hamiltonian.groups
            if not g.prior.discrete
        }

    def _prior(self, name: str):
        return self.conditionals.hamiltonian.group(name).prior

    def equations(self, name: str, moments: Mapping[str, Moments]) -> dict[str, np.ndarray]:
        """The parameters of q of one group that are stationary given the moments of all groups."""
        theta = self.conditionals.field(name, moments)
        pull = self.onsager.pull(name, moments).reshape(theta.shape)
        m = moments[name].first
        match self._prior(name).kind:
            case UnitKind.POTTS:
                return {name: theta + 0.5 * pull}
            case UnitKind.BERNOULLI:
                return {name: theta + (0.5 - m) * pull}
            case UnitKind.ISING:
                return {name: theta - m * pull}
        own = self._own[name]
        lam = np.maximum(own - pull, FLOOR * own)
        return {name: theta - m * pull, PRECISION + name: lam}

    def moments(self, name: str, state: State) -> Moments:
        """Moments of one group."""
        if self._prior(name).discrete:
            return self.conditionals.moments(name, state[name])
        law = self._law(name, 1.0 / state[PRECISION + name])
        first = units.mean(self._prior(name), state[name], **law)
        return Moments(first, units.variance_of(self._prior(name), state[name], **law) + first**2)

    def _law(self, name: str, variance: np.ndarray) -> dict[str, np.ndarray]:
        lower = self.conditionals.params.lower.get(name)
        return {"variance": variance, "lower": 0.0 if lower is None else lower[0]}

    def log_z(self, state: State) -> np.ndarray:
        """The functional, ``[row]``; NaN where a continuous unit has no positive precision."""
        moments = {name: self.moments(name, state) for name in self.names}
        total = self.onsager.value(moments) - self.conditionals.energy(moments)
        for name in self.names:
            held, theta = moments[name], state[name]
            total += self._log_normaliser(name, state)
            total -= np.einsum("rf,rf->r", theta, held.first)
            if held.second is not None:
                lam, own = state[PRECISION + name], self._own[name]
                total += 0.5 * np.einsum("ri,ri->r", held.second, lam)
                left = own - self.onsager.pull(name, moments)[..., 0]
                total = np.where((left > FLOOR * own).all(axis=1), total, np.nan)
        return total

    def _log_normaliser(self, name: str, state: State) -> np.ndarray:
        if self._prior(name).discrete:
            return self.conditionals.log_normaliser(name, state[name])
        hamiltonian, params = self.conditionals.hamiltonian, self.conditionals.params
        t = hamiltonian.prior_term(name)
        own = self.conditionals.coefficients[t] * square_weights(hamiltonian, params, t, 0)
        law = self._law(name, 1.0 / own)
        extra = state[PRECISION + name] - own
        return units.log_normaliser(self._prior(name), state[name], extra, **law).sum(axis=1)

    def term_energies(self, state: State) -> np.ndarray:
        """``<E_t> [term]``, that of the Onsager term included, at a state of one row."""
        moments = {name: self.moments(name, state) for name in self.names}
        found = self._of_terms(moments)[0]
        hamiltonian, params = self.conditionals.hamiltonian, self.conditionals.params
        c = self.conditionals.coefficients
        for t, term in enumerate(hamiltonian.terms):
            if isinstance(term, Pair):
                by = np.where(np.arange(len(c)) == t, c[t] or 1.0, 0.0)
                sides = [Onsager(hamiltonian, params, c + s * by).value(moments)[0] for s in (1, -1)]
                # the term is quadratic in every coefficient: this difference is its derivative
                found[t] -= (sides[0] - sides[1]) / (2.0 * by[t])
        return found

    def factor(self, name: str, state: State, moments: Moments) -> np.ndarray:
        """L of the covariance of the features of every unit; of ``(x, x^2)`` for continuous units."""
        prior = self._prior(name)
        if prior.discrete:
            return super().factor(name, state, moments)
        theta, lam = state[name][0], state[PRECISION + name][0]
        lower = self._law(name, lam)["lower"]
        return continuous_factor(prior.kind, moments, theta, lam, lower)

    def curvature(self, moments: Mapping[str, Moments]):
        """K with the second derivatives of the Onsager term, at moments of one row."""
        return onsager_curvature(self.onsager, moments, super().curvature(moments))

    def expansion(self, state: State) -> float:
        """`tap_stability.expansion` at a state of one row."""
        return expansion(self.onsager, {name: self.moments(name, state) for name in self.names})


def estimate_tap(
    hamiltonian: Hamiltonian,
    params: Params,
    row: Coefficients,
    key: tuple[int, int],
    *,
    starts: Mapping[str, np.ndarray] | None = None,
    random: int = 6,
    **options,
) -> StationaryEstimate:
    """Estimate log Z of one instance at one coefficient row in the TAP approximation.

    Neither an upper nor a lower bound. Trusted without couplings, where it is exact; suspect otherwise.
    Parameters are those of `naive.estimate_mean_field`.

    Raises
    ------
    LoweringError
        see `check_tap`.
    """
    hamiltonian = unmarked(hamiltonian)
    check_tap(hamiltonian, hamiltonian.name)
    conditionals = Conditionals(hamiltonian, row.value[0], params)
    approximation = Tap(conditionals)
    found = fixed_points(approximation, key, starts, random, **options)
    exact = is_uncoupled(conditionals)
    margin = approximation.expansion(found.best.state) if found.best else float("nan")
    findings = value_findings(found.best.log_z, conditionals) if found.best else []
    if margin < NOT_NEGATIVE:
        text = f"couplings too strong for the expansion (1 - eigenvalue of V J^2 V = {margin:.3g})"
        findings.append(Finding(Verdict.SUSPECT, text))
    if not found.points and any(not group.prior.discrete for group in hamiltonian.groups):
        text = "the functional may be complex: a continuous unit without a positive precision"
        findings.append(Finding(Verdict.FAILED, text))
    more = {"expansion": margin}
    return estimate(
        METHOD,
        found,
        hamiltonian,
        row,
        exact=exact,
        lower_bound=False,
        findings=findings,
        more=more,
    )

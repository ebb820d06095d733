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
from physebm.free_energy.estimate import Estimate, Finding, Verdict
from physebm.free_energy.fixed_points import NOT_NEGATIVE, State, estimate, one_less_largest
from physebm.free_energy.naive import NaiveMeanField, fixed_points, unmarked
from physebm.free_energy.pairwise import Dense, Edges, pair_couplings
from physebm.model import units
from physebm.model.conditionals import Conditionals
from physebm.model.energy import square_weights
from physebm.model.hamiltonian import Hamiltonian
from physebm.model.independent import is_independent
from physebm.model.params import Coefficients, Params
from physebm.model.statistics import Moments
from physebm.model.terms import LowRank, Many
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
        self.blocks = pair_couplings(
            conditionals.hamiltonian, conditionals.params, conditionals.coefficients
        )
        self._own = {
            g.name: conditionals.precision(g.name)
            for g in conditionals.hamiltonian.groups
            if not g.prior.discrete
        }
        self._fixed: dict[int, np.ndarray] = {}

    def _prior(self, name: str):
        return self.conditionals.hamiltonian.group(name).prior

    def equations(self, name: str, moments: Mapping[str, Moments]) -> dict[str, np.ndarray]:
        """The parameters of q of one group that are stationary given the moments of all groups."""
        theta = self.conditionals.field(name, moments)
        pull = self._pull(name, moments).reshape(theta.shape)
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
        total = -self.conditionals.energy(moments)
        for name in self.names:
            held, theta = moments[name], state[name]
            total += self._log_normaliser(name, state)
            total -= np.einsum("rf,rf->r", theta, held.first)
            pull = self._pull(name, moments)
            total += 0.25 * np.einsum("rif,rif->r", self._weights(name, held), pull)
            if held.second is not None:
                lam = state[PRECISION + name]
                total += 0.5 * np.einsum("ri,ri->r", held.second, lam)
                real = (self._own[name] - pull[..., 0] > FLOOR * self._own[name]).all(axis=1)
                total = np.where(real, total, np.nan)
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

    def _weights(self, name: str, held: Moments) -> np.ndarray:
        """What the squares of couplings are summed with: V, or the probabilities of Potts states."""
        if self._prior(name).kind is UnitKind.POTTS:
            return held.first.reshape(held.rows, -1, self._prior(name).q)
        return self.variance(name, held)[..., None]

    def _pull(self, name: str, moments: Mapping[str, Moments]) -> np.ndarray:
        """``sum_jb X_ij(a, b)^2 w_j(b)`` of one group, ``[row, unit, feature]``: R for scalar units."""
        group, rows = self.conditionals.hamiltonian.group(name), moments[name].rows
        total = np.zeros((rows, group.size, group.prior.features))
        for k, block in enumerate(self.blocks):
            if name not in (block.a, block.b):
                continue
            other = block.b if name == block.a else block.a
            onto = block.onto_a if name == block.a else block.onto_b
            known, w = moments[name], self._weights(other, moments[other])
            if not (self._prior(name).q or self._prior(other).q):
                if k not in self._fixed:
                    self._fixed[k] = block.J**2
                total += onto(self._fixed[k], w)
                continue
            for r in range(rows):
                here = {name: known, other: moments[other]}
                total[r] += onto(self._centred(block, here, r) ** 2, w[r : r + 1])[0]
        return total

    def _centred(self, block: Dense | Edges, moments: Mapping[str, Moments], r: int) -> np.ndarray:
        potts = [
            self._weights(name, moments[name])[r] if self._prior(name).q else None
            for name in (block.a, block.b)
        ]
        return block.centred(*potts)

    def factor(self, name: str, state: State, moments: Moments) -> np.ndarray:
        """L of the covariance of the features of every unit; of ``(x, x^2)`` for continuous units."""
        if self._prior(name).discrete:
            return super().factor(name, state, moments)
        theta, lam = state[name][0], state[PRECISION + name][0]
        m, s = moments.first[0], moments.second[0]
        lower = self._law(name, lam)["lower"]
        # by parts: lam <x^(n+1)> = theta <x^n> + n <x^(n-1)> + lower^n rho, rho the density at the edge
        edge = np.zeros_like(m)
        if self._prior(name).kind is UnitKind.TRUNCATED_GAUSSIAN:
            edge = lam * m - theta
        third = (theta * s + 2.0 * m + lower**2 * edge) / lam
        fourth = (theta * third + 3.0 * s + lower**3 * edge) / lam
        L = np.zeros((len(m), 2, 2))
        L[:, 0, 0] = np.sqrt(np.maximum(s - m**2, 0.0))
        L[:, 1, 0] = (third - m * s) / np.maximum(L[:, 0, 0], 1e-300)
        L[:, 1, 1] = np.sqrt(np.maximum(fourth - s**2 - L[:, 1, 0] ** 2, 0.0))
        return L

    def curvature(self, moments: Mapping[str, Moments]):
        """K with the second derivatives of the Onsager term, at moments of one row."""
        slope = {name: self._slope(name, moments[name]) for name in self.names}
        pull = {name: self._pull(name, moments)[0] for name in self.names}
        squares = [self._centred(block, moments, 0) ** 2 for block in self.blocks]
        gram = {name: self._gram(name, moments) for name in self.names if self._prior(name).q}
        plain = super().curvature(moments)

        def apply(x: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
            out = plain(
                {name: part if self._prior(name).q else part[..., :1] for name, part in x.items()}
            )
            moved = {name: self._moved(name, slope[name], part) for name, part in x.items()}
            onto = {name: np.zeros_like(part) for name, part in moved.items()}
            for block, X in zip(self.blocks, squares, strict=True):
                onto[block.a] += 0.5 * block.onto_a(X, moved[block.b])
                if block.a != block.b:
                    onto[block.b] += 0.5 * block.onto_b(X, moved[block.a])
            for name, part in x.items():
                if self._prior(name).q:
                    out[name] += onto[name] - np.einsum("iab,rib->ria", gram[name], part)
                    continue
                out[name] += slope[name][:, None] * onto[name] - pull[name] * part[..., :1]
                if not self._prior(name).discrete:
                    out[name] = np.concatenate([out[name], onto[name]], axis=-1)
            return out

        return apply

    def _slope(self, name: str, held: Moments) -> np.ndarray:
        """dV/dm of scalar units, at fixed <x^2> for continuous ones, ``[unit]``."""
        double = 2.0 * held.first[0]
        return 1.0 - double if self._prior(name).kind is UnitKind.BERNOULLI else -double

    def _moved(self, name: str, slope: np.ndarray, x: np.ndarray) -> np.ndarray:
        """The change of the weights of one group by ``x [row, unit, feature]``."""
        if self._prior(name).q:
            return x
        change = slope[:, None] * x[..., :1]
        return change if self._prior(name).discrete else change + x[..., 1:]

    def expansion(self, state: State) -> float:
        """1 less the largest eigenvalue of ``V_i J_ij^2 V_j`` at one row; NaN for Potts units."""
        if any(self._prior(name).q for name in self.names):
            return float("nan")
        moments = {name: self.moments(name, state) for name in self.names}
        V = np.concatenate([self.variance(name, moments[name])[0] for name in self.names])
        places = np.cumsum([0, *(moments[name].first.shape[1] for name in self.names)])

        def apply(X: np.ndarray) -> np.ndarray:
            x = np.split((X * V)[..., None], places[1:-1], axis=1)
            parts = dict(zip(self.names, x, strict=True))
            out = {name: np.zeros_like(part) for name, part in parts.items()}
            for block in self.blocks:
                out[block.a] += block.onto_a(block.J**2, parts[block.b])
                if block.a != block.b:
                    out[block.b] += block.onto_b(block.J**2, parts[block.a])
            return np.concatenate([out[name][..., 0] for name in self.names], axis=1) * V

        return one_less_largest(apply, len(V))

    def _gram(self, name: str, moments: Mapping[str, Moments]) -> np.ndarray:
        """``sum_jc w_j(c) X_ij(a, c) X_ij(b, c)`` of a Potts group, ``[unit, a, b]``."""
        group = self.conditionals.hamiltonian.group(name)
        total = np.zeros((group.size, group.prior.q, group.prior.q))
        for block in self.blocks:
            X = self._centred(block, moments, 0)
            if block.a == name:
                total += block.gram_a(X, self._weights(block.b, moments[block.b])[0])
            elif block.b == name:
                total += block.gram_b(X, self._weights(block.a, moments[block.a])[0])
        return total


def estimate_tap(
    hamiltonian: Hamiltonian,
    params: Params,
    row: Coefficients,
    key: tuple[int, int],
    *,
    starts: Mapping[str, np.ndarray] | None = None,
    random: int = 6,
    **options,
) -> Estimate:
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
    exact = is_independent(hamiltonian, row.value[0])
    expansion = approximation.expansion(found.best.state) if found.best else float("nan")
    findings = []
    if expansion < NOT_NEGATIVE:
        text = f"couplings too strong for the expansion (1 - eigenvalue of V J^2 V = {expansion:.3g})"
        findings.append(Finding(Verdict.SUSPECT, text))
    if not found.points and any(not group.prior.discrete for group in hamiltonian.groups):
        text = "the functional may be complex: a continuous unit without a positive precision"
        findings.append(Finding(Verdict.FAILED, text))
    more = {"expansion": expansion}
    return estimate(METHOD, found, exact=exact, lower_bound=False, findings=findings, more=more)

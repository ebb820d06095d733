"""Fixed points of an approximation to log Z: several starts, damping, stability, and a verdict.

Mean-field theories replace log Z by the stationary values of a functional of one-unit averages. It
has several of them as soon as there are phases: the two signs of a ferromagnet, memories, spin-glass
states, and between them saddle points, such as the paramagnet below T_c. Every start is iterated to a
fixed point; equal ones are merged; the estimate is the largest log Z (lowest free energy) among the
stable ones. It is the weight of *one* phase: where two are equally likely by symmetry, log 2 is
missing.

Stability. Let G = -log Z as a function of the averages of the sufficient statistics, C = L L^T their
covariance in independent units. A fixed point is stable where the Hessian G'' is positive, and

    L^T G'' L = 1 - L^T K L,      G'' = C^-1 - K,

has the same signs: 1 without couplings, 0 where a phase becomes unstable. Its smallest eigenvalue is
reported. (Stable in this sense is a property of the functional; which iteration finds the point is
another matter, and damping is there for that.)

What a verdict means for an approximation
    `trusted` only where the method is exact for the model (which each method knows); `suspect`
    otherwise: there is a number, maybe with a bound of known direction, but nothing in the method
    tells how far off it is; `failed` without a stable, converged fixed point with a finite log Z.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh

from physebm.free_energy.estimate import Estimate, Finding, Verdict, judged
from physebm.model.conditionals import Conditionals
from physebm.model.hamiltonian import Hamiltonian
from physebm.model.units import UnitKind
from physebm.rng.philox import philox4x32, uniform
from physebm.rng.streams import Purpose, key_of, last_word

State = Mapping[str, np.ndarray]

# A step that does not shrink the residual over so many passes is halved, down to this.
WINDOW = 20
SMALLEST_STEP = 2.0**-7
# Fixed points whose means agree to this are one; an eigenvalue above minus the other is not negative.
SAME = 1e-5
NOT_NEGATIVE = -1e-6
# Matrices up to this size are diagonalised, larger ones get a Lanczos iteration.
DENSE_SIZE = 600
# Starts in which all units are in their first, second, ... state.
UNIFORM = 4


class Approximation(Protocol):
    """A functional whose stationary values approximate log Z; states ``{name: [row, ...]}``."""

    def advance(self, state: State, step: np.ndarray) -> tuple[State, np.ndarray]:
        """A damped pass with ``step [row]``, and how far an undamped one moves moments, ``[row]``."""

    def log_z(self, state: State) -> np.ndarray:
        """The functional, ``[row]``; NaN where it does not exist."""

    def means(self, state: State) -> dict[str, np.ndarray]:
        """``<phi_i(a)> [row, unit, feature]`` by group."""

    def smallest_eigenvalue(self, state: State) -> float:
        """Of ``L^T G'' L`` at a state of one row; NaN where it was not found."""


@dataclass(frozen=True)
class FixedPoint:
    """One stationary point.

    Attributes
    ----------
    log_z
        The functional there, in nats.
    means
        ``<phi_i(a)> [unit, feature]`` by group.
    norm
        Root mean square order of all units: ``|m|`` (Ising), ``|2m - 1|`` (Bernoulli),
        ``sqrt((q sum_a p_a^2 - 1) / (q - 1))`` (Potts), ``|m|`` (continuous).
    smallest_eigenvalue
        Of the Hessian in units of independent units; negative: a saddle point.
    iterations, residual
        Passes until convergence, and the last change of a moment, of the start that came first.
    starts
        Number of starts that converged here.
    state
        What the approximation iterates, one row; for a further start or more questions.
    """

    log_z: float
    means: Mapping[str, np.ndarray]
    norm: float
    smallest_eigenvalue: float
    iterations: int
    residual: float
    starts: int
    state: State

    @property
    def stable(self) -> bool:
        """Whether no eigenvalue is negative, as far as is known."""
        return not self.smallest_eigenvalue < NOT_NEGATIVE


@dataclass(frozen=True)
class Search:
    """All fixed points that were found, the largest log Z first, and what did not converge.

    `best_unconverged` is the largest value of the functional at the end of the starts that did not
    converge (NaN if all did), `residual` the smallest change that one of them still made.
    """

    points: tuple[FixedPoint, ...]
    unconverged: int
    best_unconverged: float
    residual: float

    @property
    def best(self) -> FixedPoint | None:
        """The stable fixed point with the largest log Z."""
        return next((point for point in self.points if point.stable), None)


def start_configurations(
    conditionals: Conditionals,
    key: tuple[int, int],
    random: int,
    given: Mapping[str, np.ndarray] | None = None,
) -> dict[str, np.ndarray]:
    """Configurations ``{group: x[start, unit]}`` to begin from, beside the paramagnet.

    First the `given` ones (all groups), then uniform ones (all units in their first, second, ... state,
    at most 4), then `random` ones. Continuous units are two standard deviations of their quadratic part
    below or above zero, inside their support.
    """
    groups = conditionals.hamiltonian.groups
    count = max((len(g.prior.states) if g.prior.discrete else 2 for g in groups), default=0)
    key = key_of(key[0], key[1], "starts of fixed points")
    found = {}
    for g, group in enumerate(groups):
        unit, row = np.arange(group.size), np.arange(random)[:, None]
        u = uniform(philox4x32(unit, row, g, last_word(Purpose.INITIAL_STATE), *key)[0])
        number = len(group.prior.states) if group.prior.discrete else 2
        uniforms = np.arange(min(count, UNIFORM))[:, None] % number
        index = np.concatenate(
            [np.broadcast_to(uniforms, (len(uniforms), group.size)), (u * number).astype(int)]
        )
        if group.prior.discrete:
            x = np.array(group.prior.states)[index]
        else:
            x = (4.0 * index - 2.0) / np.sqrt(conditionals.precision(group.name))
            if group.prior.kind is UnitKind.TRUNCATED_GAUSSIAN:
                x = np.maximum(x, conditionals.params.lower[group.name][0])
        found[group.name] = x if given is None else np.concatenate([given[group.name], x])
    return found


def search(
    hamiltonian: Hamiltonian,
    approximation: Approximation,
    state: State,
    *,
    step: float = 0.5,
    tolerance: float = 1e-11,
    iterations: int = 3_000,
) -> Search:
    """Iterate every row of `state` to a fixed point, and merge equal ones.

    Parameters
    ----------
    step
        Share of the new value in a pass, halved row by row where the residual does not shrink.
    tolerance
        A row has converged when an undamped pass moves no moment further than this.
    """
    state, done, residual = _iterate(approximation, state, step, tolerance, iterations)
    log_z, means = approximation.log_z(state), approximation.means(state)
    converged = (residual <= tolerance) & np.isfinite(log_z)
    points: list[FixedPoint] = []
    left = [int(row) for row in np.flatnonzero(converged)]
    while left:
        row = left[0]
        same = [other for other in left if _equal(means, row, other)]
        left = [other for other in left if other not in same]
        held = {name: values[row] for name, values in means.items()}
        point = _take(state, [row])
        points.append(
            FixedPoint(
                float(log_z[row]),
                held,
                order_norm(hamiltonian, held),
                approximation.smallest_eigenvalue(point),
                int(done[row]),
                float(residual[row]),
                len(same),
                point,
            )
        )
    points.sort(key=lambda point: -point.log_z)
    wild = log_z[~converged]
    finite = wild[np.isfinite(wild)]
    return Search(
        tuple(points),
        len(wild),
        float(finite.max()) if len(finite) else float("nan"),
        float(np.nanmin(residual[~converged], initial=np.inf)) if len(wild) else 0.0,
    )


def _iterate(approximation, state, step, tolerance, iterations):
    """Final states, passes and residuals, ``[row]``; rows leave as they converge."""
    rows = len(next(iter(state.values())))
    final = {name: np.array(values) for name, values in state.items()}
    done, residual = np.zeros(rows, dtype=int), np.full(rows, np.inf)
    active, steps, before = np.arange(rows), np.full(rows, float(step)), np.full(rows, np.inf)
    state = dict(state)
    for n in range(1, iterations + 1):
        with np.errstate(over="ignore", invalid="ignore"):
            state, moved = approximation.advance(state, steps[active])
        done[active], residual[active] = n, moved
        if n % WINDOW == 0:
            stuck = moved > 0.99 * before[active]
            steps[active[stuck]] = np.maximum(0.5 * steps[active[stuck]], SMALLEST_STEP)
            before[active] = moved
        stay = (moved > tolerance) & np.isfinite(moved)
        if n == iterations or not stay.all():
            for name, values in state.items():
                final[name][active] = values
            state, active = _take(state, stay), active[stay]
        if not len(active):
            break
    return final, done, residual


def _take(state: State, rows) -> dict[str, np.ndarray]:
    return {name: values[rows] for name, values in state.items()}


def _equal(means: Mapping[str, np.ndarray], one: int, other: int) -> bool:
    return all(
        np.all(np.abs(x[one] - x[other]) <= SAME * (1.0 + np.abs(x[one]).max(initial=0.0)))
        for x in means.values()
    )


def order_norm(hamiltonian: Hamiltonian, means: Mapping[str, np.ndarray]) -> float:
    """Root mean square order of all units; see `FixedPoint.norm`."""
    total = units = 0
    for name, m in means.items():
        prior = hamiltonian.group(name).prior
        if prior.kind is UnitKind.POTTS:
            total += (prior.q * (m**2).sum() - len(m)) / (prior.q - 1)
        else:
            total += ((2.0 * m - 1.0 if prior.kind is UnitKind.BERNOULLI else m) ** 2).sum()
        units += len(m)
    return float(np.sqrt(max(total, 0.0) / units))


def one_less_largest(apply: Callable[[np.ndarray], np.ndarray], size: int) -> float:
    """``1 - largest eigenvalue`` of a symmetric matrix given by its action on rows ``[row, size]``.

    NaN where a Lanczos iteration does not find it.
    """
    if size <= DENSE_SIZE:
        matrix = apply(np.eye(size))
        if not np.isfinite(matrix).all():
            return float("nan")
        return 1.0 - float(np.linalg.eigvalsh(0.5 * (matrix + matrix.T))[-1])
    operator = LinearOperator((size, size), matvec=lambda x: apply(x.reshape(1, -1))[0], dtype=float)
    word = philox4x32(np.arange(size), 0, 0, last_word(Purpose.INITIAL_STATE), *key_of(0, "Lanczos"))[0]
    try:
        found = eigsh(
            operator, k=1, which="LA", v0=uniform(word) - 0.5, tol=1e-6, return_eigenvectors=False
        )
    except ArpackNoConvergence:
        return float("nan")
    return 1.0 - float(found[0])


def estimate(
    method: str,
    found: Search,
    *,
    exact: bool,
    lower_bound: bool,
    findings: Iterable[Finding] = (),
    more: Mapping[str, object] | None = None,
) -> Estimate:
    """The estimate of a search.

    Parameters
    ----------
    exact
        Whether the method is exact for this model.
    lower_bound
        Whether every value of the functional is a lower bound on log Z.
    findings, more
        Further findings and diagnostics of the method.
    """
    table = _table(found) | dict(more or {})
    findings, best = list(findings), found.best
    if best is not None:
        value = best.log_z
        if not exact:
            findings.append(Finding(Verdict.SUSPECT, f"{method}: an approximation without an error"))
        if found.unconverged and not exact:
            text = f"{found.unconverged} starts did not converge: there may be other fixed points"
            findings.append(Finding(Verdict.SUSPECT, text))
        if np.isnan(best.smallest_eigenvalue):
            findings.append(Finding(Verdict.SUSPECT, "the stability of the fixed point is not known"))
    elif found.points:
        value = found.points[0].log_z
        lowest = found.points[0].smallest_eigenvalue
        text = f"no fixed point is stable (smallest eigenvalue of the Hessian {lowest:.3g})"
        findings.append(Finding(Verdict.FAILED, text))
    else:
        # a bound holds everywhere; of other functionals the value on the way means nothing
        value = found.best_unconverged if lower_bound else float("nan")
        text = f"none of {found.unconverged} starts converged (smallest residual {found.residual:.3g})"
        findings.append(Finding(Verdict.FAILED, text))
    verdict, reason = judged(findings)
    low = value if lower_bound else float("nan")
    if exact and verdict is Verdict.TRUSTED:
        return Estimate(method, value, 0.0, value, value, diagnostics=table)
    return Estimate(method, value, float("nan"), low, verdict=verdict, reason=reason, diagnostics=table)


def _table(found: Search) -> dict[str, object]:
    """All fixed points side by side, ``[fixed point]``, the largest log Z first."""
    points = found.points
    return {
        "fixed_point_log_z": np.array([point.log_z for point in points]),
        "fixed_point_norm": np.array([point.norm for point in points]),
        "smallest_eigenvalue": np.array([point.smallest_eigenvalue for point in points]),
        "iterations": np.array([point.iterations for point in points], dtype=int),
        "residual": np.array([point.residual for point in points]),
        "starts": np.array([point.starts for point in points], dtype=int),
        "unconverged_starts": found.unconverged,
    }

"""Fixed points of an approximation to log Z: several starts, damping, and their stability.

Mean-field theories replace log Z by the stationary values of a functional of one-unit averages. It
has several of them as soon as there are phases: the two signs of a ferromagnet, memories, spin-glass
states, and between them saddle points, such as the paramagnet below T_c. Every start is iterated to a
fixed point; equal ones are merged; the best is the largest log Z (lowest free energy) among the
stable ones. It is the weight of *one* phase: where two are equally likely by symmetry, log 2 is
missing.

Stability. Let G = -log Z as a function of the averages of the sufficient statistics, C = L L^T their
covariance in independent units. A fixed point is stable where the Hessian G'' is positive, and

    L^T G'' L = 1 - L^T K L,      G'' = C^-1 - K,

has the same signs: 1 without couplings, 0 where a phase becomes unstable. Its smallest eigenvalue is
reported. (Stable in this sense is a property of the functional; which iteration finds the point is
another matter, and damping is there for that.)

Energy. The functional is stationary, so that its derivative by a coefficient is the explicit one:

    <E_t> = -d log Z / dc_t   at fixed averages (messages),    E = <du/dbeta>,    S = log Z + beta E.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from physebm.model.hamiltonian import Hamiltonian
from physebm.model.units import UnitKind

State = Mapping[str, np.ndarray]

# A step that does not shrink the residual over so many passes is halved, down to this.
WINDOW = 20
SMALLEST_STEP = 2.0**-7
# Fixed points whose means agree to this are one; an eigenvalue above minus the other is not negative.
SAME = 1e-5
NOT_NEGATIVE = -1e-6


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

    def term_energies(self, state: State) -> np.ndarray:
        """``<E_t> = -d log Z / dc_t``, explicit, ``[term]``, at a state of one row."""


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
        Of the Hessian in units of independent units; negative: a saddle point. Above 1 where
        couplings hold every mode back.
    term_energies
        ``<E_t> [term]``; see above.
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
    term_energies: np.ndarray
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


def search(
    hamiltonian: Hamiltonian,
    approximation: Approximation,
    state: State,
    *,
    step: float = 0.5,
    tolerance: float = 1e-11,
    iterations: int = 3_000,
    smallest_step: float = SMALLEST_STEP,
) -> Search:
    """Iterate every row of `state` to a fixed point, and merge equal ones.

    Parameters
    ----------
    step
        Share of the new value in a pass, halved row by row where the residual does not shrink.
    tolerance
        A row has converged when an undamped pass moves no moment further than this.
    smallest_step
        Steps are not halved below it.
    """
    state, done, residual = _iterate(approximation, state, step, tolerance, iterations, smallest_step)
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
                approximation.term_energies(point),
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


def _iterate(approximation, state, step, tolerance, iterations, smallest_step):
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
            steps[active[stuck]] = np.maximum(0.5 * steps[active[stuck]], smallest_step)
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

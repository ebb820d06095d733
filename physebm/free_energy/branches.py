"""Free energies of metastable branches: energies along a branch in, its free energy out.

At a transition of first order two phases each have a free energy, and the lower one is the equilibrium
state. Runs that start in either phase and stay there, without tempering, give the energy per unit
``e(beta) = d(beta f)/dbeta`` along each branch; what fixes the constant is the end from which a branch
is integrated:

    from infinite temperature  -beta f = log z_0 - int_0^beta e dbeta',  log z_0 = log 2 for Ising units
    from zero temperature      -beta f = s_0 - beta_0 e_0 + int_beta^beta_0 e dbeta'

with beta_0 the coldest row, e_0 the energy and s_0 the entropy there: 0 for a state without thermal
excitations. Below, ``log_z`` is ``-beta f = log Z / N``, of the branch alone: a state that occurs k
times (the two signs of a magnetisation, P patterns) has ``log k / N`` more.

Each gap between rows is integrated by Hermite's rule (`estimators.integration`), of fourth order. It
needs ``-de/dbeta = Var(H) / N = T^2 c`` at the rows: measured, or from differences of the energies.

What is integrated must be an equilibrium within its branch. Runs that fall behind on cooling have too
high an energy; the free energy integrated over them from infinite temperature is too high too.

Source: D. Frenkel, B. Smit, Understanding Molecular Simulation (2002), section 7.1; definition.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import CubicHermiteSpline
from scipy.optimize import brentq

from physebm.errors import InputError
from physebm.free_energy.estimators import integration


@dataclass(frozen=True)
class Branch:
    """One phase at inverse temperatures ``beta [row]``, rising; everything per unit.

    Attributes
    ----------
    beta, energy
        The rows; a branch from infinite temperature has its row at ``beta = 0`` too.
    log_z, stderr
        ``-beta f [row]`` and the error that the energies give it.
    discretisation
        What the quadrature may be wrong by ``[row]``: by how much the integrals of parabolas through
        each gap and the row before it, or behind it, differ, which is of one order less than the rule;
        NaN with fewer than four rows.
    """

    beta: np.ndarray
    energy: np.ndarray
    log_z: np.ndarray
    stderr: np.ndarray
    discretisation: np.ndarray

    @property
    def free_energy(self) -> np.ndarray:
        """``f = -log_z / beta [row]``; -inf at ``beta = 0``."""
        with np.errstate(divide="ignore"):
            return -self.log_z / self.beta

    @property
    def free_energy_stderr(self) -> np.ndarray:
        """Its statistical error ``[row]``; NaN at ``beta = 0``."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(self.beta > 0.0, self.stderr / self.beta, np.nan)

    @property
    def entropy(self) -> np.ndarray:
        """``s = log_z + beta e [row]``."""
        return self.log_z + self.beta * self.energy


@dataclass(frozen=True)
class Crossing:
    """Where the free energies of two branches are equal.

    Attributes
    ----------
    temperature, stderr
        The place and its statistical error, of the first order.
    discretisation
        What the quadratures of both branches may shift it by.
    latent_energy
        ``e`` of the second branch less that of the first.
    """

    temperature: float
    stderr: float
    discretisation: float
    latent_energy: float


def from_infinite_temperature(
    beta: np.ndarray,
    energy: np.ndarray,
    stderr: np.ndarray | None = None,
    curvature: np.ndarray | None = None,
    *,
    log_z: float = np.log(2.0),
    energy_0: float = 0.0,
    curvature_0: float = np.nan,
) -> Branch:
    """The branch that starts from independent units at ``beta = 0``, a row which is added.

    Parameters
    ----------
    beta, energy, stderr
        ``[row]``, in any order, ``beta > 0``; errors of rows are independent, 0 where not given.
    curvature
        ``Var(H) / N [row]``; NaN, or not given: by differences of the energies.
    log_z, energy_0, curvature_0
        At ``beta = 0``: log 2, 0 and ``sum_{i<j} J_ij^2 / N`` for Ising units with pairs and no fields.

    Raises
    ------
    InputError
        Arrays of different lengths, without rows, not finite; a beta twice or not above 0.
    """
    x, e, error, bend = _rows(beta, energy, stderr, curvature)
    x, e = np.append(0.0, x), np.append(energy_0, e)
    error, bend = np.append(0.0, error), np.append(curvature_0, bend)
    gain, weights, wrong = _integrated(x, e, bend)
    return Branch(x, e, log_z + gain, np.sqrt(weights**2 @ error**2), wrong)


def from_zero_temperature(
    beta: np.ndarray,
    energy: np.ndarray,
    stderr: np.ndarray | None = None,
    curvature: np.ndarray | None = None,
    *,
    entropy: float = 0.0,
    entropy_error: float = 0.0,
) -> Branch:
    """The branch that starts from its coldest row, whose free energy is ``e_0 - T_0 entropy``.

    Parameters
    ----------
    beta, energy, stderr, curvature
        As in `from_infinite_temperature`.
    entropy, entropy_error
        Per unit at the coldest row. Where the specific heat c grows with T at least as fast as T, the
        entropy lies between 0 and c; where it is activated, c itself vanishes.

    Raises
    ------
    InputError
        As `from_infinite_temperature`.
    """
    x, e, error, bend = (part[::-1] for part in _rows(beta, energy, stderr, curvature))
    gain, weights, wrong = _integrated(x, e, bend)
    weights[:, 0] += x[0]
    total = np.sqrt(weights**2 @ error**2 + entropy_error**2)
    log_z = entropy - x[0] * e[0] + gain
    return Branch(*(part[::-1].copy() for part in (x, e, log_z, total, wrong)))


def crossing(first: Branch, second: Branch) -> Crossing | None:
    """The coldest temperature at which two branches have one free energy, at rows that both have.

    Between rows ``log_z`` of each is a cubic with its slopes ``-e``. None where no gap between common
    rows has a change of sign.
    """
    beta, at, of = np.intersect1d(first.beta, second.beta, return_indices=True)
    gap = first.log_z[at] - second.log_z[of]
    slope = second.energy[of] - first.energy[at]
    changes = np.flatnonzero(np.signbit(gap[1:]) != np.signbit(gap[:-1])) if len(gap) > 1 else []
    if not len(changes):
        return None
    k = changes[-1]
    curve = CubicHermiteSpline(beta[k : k + 2], gap[k : k + 2], slope[k : k + 2])
    place = brentq(curve, beta[k], beta[k + 1], xtol=1e-14)
    steep = float(curve(place, 1))

    def shift(errors):
        """An error of log_z, between the rows, as one of the temperature."""
        return float(np.interp(place, beta, errors) / (abs(steep) * place**2))

    return Crossing(
        1.0 / place,
        shift(np.hypot(first.stderr[at], second.stderr[of])),
        shift(first.discretisation[at] + second.discretisation[of]),
        steep,
    )


def _rows(beta, energy, stderr, curvature):
    """Checked arrays in the order of rising beta; zeros and NaN for what is not given."""
    beta, energy = np.asarray(beta, dtype=np.float64), np.asarray(energy, dtype=np.float64)
    rows = len(beta) if beta.ndim == 1 else 0
    if not rows or np.any(beta <= 0.0) or not np.isfinite(beta).all():
        raise InputError("branch: beta", got=beta, expected="one or more finite numbers above 0, [row]")
    order = np.argsort(beta)
    if np.any(np.diff(beta[order]) == 0.0):
        raise InputError("branch: beta", got=beta, expected="different numbers")
    error = np.zeros(rows) if stderr is None else np.asarray(stderr, dtype=np.float64)
    bend = np.full(rows, np.nan) if curvature is None else np.asarray(curvature, dtype=np.float64)
    for name, array in (("energy", energy), ("stderr", error), ("curvature", bend)):
        if array.shape != beta.shape:
            raise InputError(
                f"branch: {name}", got=array.shape, expected=f"the shape of beta, ({rows},)"
            )
    for name, array in (("energy", energy), ("stderr", error)):
        if not np.isfinite(array).all():
            raise InputError(
                f"branch: {name}",
                got=array,
                expected="finite numbers",
                hint="an integral needs every row: end the branch before the first one without a value",
            )
    return beta[order], energy[order], error[order], bend[order]


def _integrated(x, energy, curvature):
    """``-int e dx`` from the first row on, minus its derivatives by the energies, its discretisation.

    x rises or falls; the derivatives are ``[row, row]``. Differences of the energies stand in for
    curvatures that are NaN; with uneven gaps they raise the error above that of a trapezoid.
    """
    measured = np.isfinite(curvature)
    value = integration(x, -energy, curvature=np.where(measured, curvature, -_derivative(energy, x)))
    units = np.eye(len(x))
    bends = np.where(measured[:, None], 0.0, -_derivative(units, x))
    columns = [integration(x, unit, curvature=-bend).log_z for unit, bend in zip(units, bends.T)]
    return value.log_z, np.stack(columns, axis=1), _one_sided(x, energy)


def _derivative(values, x):
    """Along the rows, by differences of second order; of the first with two rows, 0 with one."""
    if len(x) == 1:
        return np.zeros_like(values)
    return np.gradient(values, x, axis=0, edge_order=min(2, len(x) - 1))


def _one_sided(x, energy):
    """By how much integrals over parabolas from either side differ, up to each row.

    Newton's form: ``e[x_0 x_1 x_2 x_3] int (x - x_0)(x - x_1)(x - x_2) dx`` over the first gap.
    """
    rows, h = len(x), np.diff(x)
    if rows < 4:
        return np.append(0.0, np.full(rows - 1, np.nan))
    divided = energy
    for order in (1, 2, 3):
        divided = np.diff(divided) / (x[order:] - x[:-order])
    near = np.clip(np.arange(rows - 1) - 1, 0, rows - 4)
    behind = np.append(h[1:], h[-2])
    return np.append(
        0.0, np.maximum.accumulate(np.abs(np.cumsum(divided[near] * h**3 / 6.0 * (0.5 * h + behind))))
    )

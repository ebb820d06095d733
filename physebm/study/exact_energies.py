"""Exact log Z of a model at temperatures, with ``<du/dbeta>`` and the entropy, as far as doubles go.

Energies are averages of the enumeration's weights where there are few states or two-state units alone,
and closed forms of independent units. Elsewhere the sum gives log Z only, which is analytic in the
coefficients c(t) = c + t beta dc/dbeta:

    beta <du/dbeta> = - d log Z(c(t)) / dt   at t = 0, by the five-point rule;

its step is the larger the hotter the model is, so that what is subtracted does not drown in rounding.
Entropies of discrete units are checked: ``0 <= S <= sum log q``. Where rounding is all that is left of
a number, it is NaN.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from physebm.errors import InputError
from physebm.free_energy.estimate import Estimate
from physebm.free_energy.exact import Reach, exact_estimate, reach
from physebm.free_energy.meanfield import TermEnergies
from physebm.free_energy.starts import start_configurations
from physebm.model.conditionals import Conditionals
from physebm.model.energy import energy_derivatives
from physebm.model.hamiltonian import Hamiltonian
from physebm.model.independent import is_independent
from physebm.model.params import Coefficients, Params
from physebm.schema.load import Loaded
from physebm.theory.enumeration import enumerate_states

# Least step of the numerical derivative; change of beta H in one step; and the relative difference of
# the three- and the five-point rule beyond which neither is believed.
STEP, CHANGE, ROUGH = 1e-4, 1e-3, 1e-6
# The same where continuous units are, whose precisions must stay positive.
WIDEST = 1e-2
# log2 of the states that are averaged in numpy, of those by the compiled moments of two-state units,
# and of the multiplications: seconds each.
BITS, BINARY_BITS, WORK_BITS = 16, 22, 32
# Rounding of a sum, in units of the last place of its largest part, and random states for its size.
PLACES, RANDOM = 16.0 * np.finfo(float).eps, 8
# Rounding of an entropy beyond which it is not given: of a nat per unit.
COARSE = 1e-6


class ExactEnergies(NamedTuple):
    """``<du/dbeta>``, S and their errors by rounding (0 where that does not matter), ``[temperature]``.

    Totals; NaN where they are not known, and the reason stands in the estimate.
    """

    estimates: list[Estimate]
    energy: np.ndarray
    energy_stderr: np.ndarray
    entropy: np.ndarray
    entropy_stderr: np.ndarray


def exact_energies(
    loaded: Loaded, params: Params, temperatures: Sequence[float], where: str
) -> ExactEnergies:
    """Everything exact at temperatures; see the module.

    Raises
    ------
    LoweringError
        for a model whose log Z is out of reach.
    """
    hamiltonian, rows = loaded.hamiltonian, loaded.coefficients(temperatures)
    estimates = exact_estimate(hamiltonian, params, rows, where)
    log_z = np.array([each.log_z for each in estimates])
    size = _size(hamiltonian, params, rows)
    rounding = PLACES * size
    found = reach(hamiltonian)
    if is_independent(hamiltonian, np.ones(len(hamiltonian.terms))):
        slope = rows.beta * _independent(hamiltonian, params, rows)
    elif _averaged(found):
        held = enumerate_states(found.hamiltonian, params, rows, probabilities=False)
        slope = rows.beta * held.derivative
    else:
        slope, rounding = _derivative(hamiltonian, params, rows, size, where)
    with np.errstate(over="ignore", invalid="ignore"):
        error = np.where(rounding > ROUGH * np.abs(slope), rounding, 0.0)
        S, S_rounding = log_z + slope, rounding + PLACES * (np.abs(log_z) + np.abs(slope))
        energy, energy_error = slope / rows.beta, error / rows.beta
    energy_error = np.where(np.isfinite(energy), energy_error, np.nan)
    known = S_rounding <= COARSE * hamiltonian.counted_units
    told = np.isfinite(slope)
    lost = np.where(told, "", "energy and entropy: no derivative of log Z resolves them")
    lost = np.where(told & ~known, "entropy: rounding of log Z leaves nothing of it", lost)
    if all(group.prior.discrete for group in hamiltonian.groups):
        most = sum(group.size * np.log(len(group.prior.states)) for group in hamiltonian.groups)
        inside = (S >= -S_rounding - COARSE) & (S <= most + S_rounding + COARSE)
        wrong = known & told & ~inside
        lost = np.where(wrong, f"entropy: beyond 0 to {most:.6g}, which is rounding", lost)
        S, known = np.clip(S, 0.0, most), known & inside
    entropy = np.where(known, S, np.nan)
    entropy_error = np.where(S_rounding > ROUGH * np.abs(S), S_rounding, 0.0)
    estimates = [replace(each, reason=str(text)) for each, text in zip(estimates, lost)]
    return ExactEnergies(
        estimates, energy, energy_error, entropy, np.where(known, entropy_error, np.nan)
    )


def _averaged(found: Reach) -> bool:
    """Whether averages over the states of the model take seconds."""
    if found.way == "transfer matrix":
        return False
    groups = found.hamiltonian.groups
    width = sum(group.size * group.prior.features for group in groups)
    if found.bits <= BITS and found.bits + 2.0 * np.log2(width) <= WORK_BITS:
        return True
    plain = not any(group.integrated or not group.prior.discrete for group in groups)
    return plain and all(len(g.prior.states) == 2 for g in groups) and found.bits <= BINARY_BITS


def _independent(hamiltonian: Hamiltonian, params: Params, rows: Coefficients) -> np.ndarray:
    """``<du/dbeta> [row]`` of units that do not couple."""
    found = []
    for k, value in enumerate(rows.value):
        each = Conditionals(hamiltonian, value, params)
        names = [group.name for group in hamiltonian.groups]
        moments = {name: each.moments(name, each.field(name, {})) for name in names}
        E = TermEnergies(each)(moments)[:1]
        found.append(energy_derivatives(hamiltonian, rows.take([k]), E, np.zeros(1, dtype=int))[0][0])
    return np.array(found)


def _size(hamiltonian: Hamiltonian, params: Params, rows: Coefficients) -> np.ndarray:
    """How large ``beta sum_t dc_t/dbeta E_t`` becomes over uniform and random states, ``[row]``."""
    conditionals = Conditionals(hamiltonian, rows.value[-1], params)
    x = start_configurations(conditionals, (0, 0), RANDOM)
    E = np.abs(TermEnergies(conditionals)(conditionals.states(x))).max(axis=0, initial=0.0)
    smooth = sum(group.size for group in hamiltonian.groups if not group.prior.discrete)
    with np.errstate(over="ignore"):
        return rows.beta * (np.abs(rows.first) @ E) + smooth


def _derivative(hamiltonian, params, rows: Coefficients, size: np.ndarray, where: str):
    """``beta <du/dbeta> [row]`` by the five-point rule, and its rounding."""
    nothing = np.full(rows.rungs, np.nan)
    step = np.maximum(STEP, CHANGE / np.maximum(size, np.finfo(float).tiny))
    step = np.minimum(step, 1.0 / STEP**2)
    if not all(group.prior.discrete for group in hamiltonian.groups):
        step = np.minimum(step, WIDEST)
    t = step[:, None] * np.array([-2.0, -1.0, 1.0, 2.0])
    value = rows.value[:, None] + t[..., None] * (rows.beta[:, None] * rows.first)[:, None]
    value = value.reshape(-1, value.shape[-1])
    near = Coefficients(np.repeat(rows.beta, 4), value, np.zeros_like(value), np.zeros_like(value))
    try:
        around = exact_estimate(hamiltonian, params, near, where)
    except InputError:
        return nothing, nothing
    log_z = np.array([each.log_z for each in around]).reshape(-1, 4)
    three = log_z @ np.array([0.0, -6.0, 6.0, 0.0]) / (12.0 * step)
    five = log_z @ np.array([1.0, -8.0, 8.0, -1.0]) / (12.0 * step)
    rounding = PLACES * np.abs(log_z).max(axis=1) / step
    smooth = np.abs(five - three) <= ROUGH * np.maximum(1.0, np.abs(five)) + rounding
    return np.where(smooth, -five, np.nan), rounding

"""Threshold tables of word-table moves, and the probabilities that they hold."""

from __future__ import annotations

import numpy as np

from physebm.lowering.operands import Operands
from physebm.lowering.plan import Rule, SweepPlan
from physebm.model.params import Coefficients
from physebm.model.units import UnitKind


def threshold_tables(
    plan: SweepPlan, operands: Operands, coefficients: Coefficients
) -> dict[int, np.ndarray]:
    """Per word-table move the thresholds ``[rung, 2 * fields]``: up iff word < threshold.

    The index of a field is ``2 sum_t (n_t + R_t) stride_t + b``, last read fastest, b = 1 if the unit
    is up now. P(up) = threshold / 2^32, rounded to nearest.
    """
    tables = {}
    for m, ranges in operands.ranges.items():
        move = plan.moves[m]
        theta = np.zeros((coefficients.rungs, 1))
        for t, limit in zip(move.reads, ranges):
            field = coefficients.value[:, t, None] * np.arange(-limit, limit + 1)
            theta = (theta[:, :, None] + field[:, None, :]).reshape(coefficients.rungs, -1)
        gap = theta * (2.0 if plan.groups[move.group].prior.kind is UnitKind.ISING else 1.0)
        p = up_probability(move.rule, gap[:, :, None], np.array([False, True]))
        tables[m] = np.rint(p * 2.0**32).astype(np.int64).reshape(coefficients.rungs, -1)
    return tables


# Metropolis accepts a move between equal energies with probability 1/2, not 1. Certain moves in a
# fixed order make chains reducible where ties are common: an Ising chain without a field, and small
# models of equal bonds with an even number of neighbours, would not forget their start at any
# temperature. The factor is a function of |gap| alone, so detailed balance is exact.
TIE = 1e-6


def up_probability(rule: Rule, gap: np.ndarray, up: np.ndarray) -> np.ndarray:
    """P(next state is up) of a two-state unit; ``gap = u(down) - u(up)``, `up` the present state."""
    gap, up = np.broadcast_arrays(gap, up)
    match rule:
        case Rule.HEAT_BATH:
            return 0.5 * (1.0 + np.tanh(0.5 * gap))
        case Rule.METROPOLIS:
            accept = np.exp(np.minimum(0.0, np.where(up, -gap, gap)))
            accept = np.where(np.abs(gap) < TIE, 0.5 * accept, accept)
            return np.where(up, 1.0 - accept, accept)
        case Rule.ZERO_TEMPERATURE:
            return np.where(gap == 0, up, gap > 0).astype(np.float64)

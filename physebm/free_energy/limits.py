"""What no approximation to log Z of discrete units may exceed, whatever its functional says.

With N units of q_i states each, and u the reduced potential,

    log Z <= sum_i log q_i - min u,    - min u <= sum of all couplings and fields, absolute values,
    0 <= S <= sum_i log q_i.

An expansion in couplings breaks them where they are too strong for it. Then its value is no
approximation of anything.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from physebm.free_energy.estimate import Finding, Verdict
from physebm.model.conditionals import Conditionals
from physebm.model.energy import dense_couplings, hyperedges
from physebm.model.hamiltonian import Hamiltonian
from physebm.model.terms import Field, LowRank, Many, Square

# Rounding: of a nat per unit, and of every nat.
PER_UNIT, ROUNDING = 1e-6, 1e-9


def log_states(hamiltonian: Hamiltonian) -> float:
    """``sum_i log q_i``; infinite with continuous units."""
    groups = hamiltonian.groups
    if not all(group.prior.discrete for group in groups):
        return float("inf")
    return float(sum(group.size * np.log(len(group.prior.states)) for group in groups))


def upper_bound(conditionals: Conditionals) -> float:
    """A bound from above on log Z of discrete units; infinite with continuous ones."""
    hamiltonian, c = conditionals.hamiltonian, conditionals.coefficients
    total = log_states(hamiltonian)
    if not np.isfinite(total):
        return total
    for t, term in enumerate(hamiltonian.terms):
        match term:
            case Field(group=name):
                h = np.ones(1) if term.h is None else conditionals.params.arrays[term.h][0]
                # of a Potts unit one state, of the others one number
                h = np.abs(h).reshape(-1, hamiltonian.group(name).prior.features if term.h else 1)
                units = hamiltonian.group(name).size
                total += abs(c[t]) * h.max(axis=1).sum() * (1 if term.h else units)
            case Many():
                _, w = hyperedges(hamiltonian, conditionals.params, t, 0)
                total += abs(c[t]) * np.abs(w).sum()
            case Square():
                continue
            case LowRank():
                J = np.abs(dense_couplings(hamiltonian, conditionals.params, t, 0))
                total += 0.5 * abs(c[t]) * J.max(axis=(1, 3)).sum()
            case _:
                J = abs(conditionals.operator(t))
                a, b = (hamiltonian.group(name).prior.features for name in (term.a, term.b))
                total += (0.5 if term.a == term.b else 1.0) * _largest_of_pairs(J, a, b)
    return float(total)


def _largest_of_pairs(J, a: int, b: int) -> float:
    """The sum over pairs of units of the largest of their ``a * b`` numbers."""
    if sparse.issparse(J):
        J = J.tocoo()
        pairs, place = np.unique((J.row // a) * J.shape[1] + J.col // b, return_inverse=True)
        largest = np.zeros(len(pairs))
        np.maximum.at(largest, place, J.data)
        return float(largest.sum())
    return float(J.reshape(J.shape[0] // a, a, J.shape[1] // b, b).max(axis=(1, 3)).sum())


def value_findings(log_z: float, conditionals: Conditionals) -> list[Finding]:
    """A log Z that lies above the bound of its couplings."""
    bound = upper_bound(conditionals)
    units = sum(group.size for group in conditionals.hamiltonian.groups)
    if not log_z > bound + PER_UNIT * units + ROUNDING * abs(bound):
        return []
    reason = f"log Z = {log_z:.6g} lies above {bound:.6g}, which couplings this strong allow"
    return [Finding(Verdict.FAILED, reason)]


def entropy_findings(log_z: float, slope: float, hamiltonian: Hamiltonian) -> list[Finding]:
    """An entropy ``log Z + slope`` of discrete units below 0 or above all states (slope: beta <H>)."""
    most, S = log_states(hamiltonian), log_z + slope
    units = sum(group.size for group in hamiltonian.groups)
    slack = PER_UNIT * units + ROUNDING * (abs(log_z) + abs(slope))
    if not np.isfinite(most) or not (S < -slack or S > most + slack):
        return []
    reason = f"the entropy of discrete units would be {S:.4g} nats, and is between 0 and {most:.4g}"
    return [Finding(Verdict.FAILED, reason)]

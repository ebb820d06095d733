"""Averages of recorded observables at any row between those of a ladder, by MBAR's weights.

With ``w_n = exp(-u_n) / sum_l N_l exp(-u_l(x_n)) / Z_l`` over the draws of all rows: ``Z = sum w``,
``<A> = sum w A / sum w`` (M. R. Shirts, J. D. Chodera, J. Chem. Phys. 129, 124105 (2008)).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

from physebm.errors import InputError
from physebm.free_energy.pymbar_solver import quiet_pymbar, solve
from physebm.observables.reweighting import effective_sample_size

# Fewest effective draws of a row that none was taken from, as a share of what one row has.
SHARE = 0.1


@dataclass(frozen=True)
class Reweighted:
    """Averages at a row that no draw was taken from.

    Attributes
    ----------
    value, stderr
        ``<A> [observable]`` and its errors.
    log_z, log_z_stderr
        ``log Z - log Z_0`` of that row.
    effective
        Kish's effective number of draws.
    """

    value: np.ndarray
    stderr: np.ndarray
    log_z: float
    log_z_stderr: float
    effective: float


def reweighted(
    observables: np.ndarray,
    u_kn: np.ndarray,
    N_k: np.ndarray,
    u_target: np.ndarray,
    start: np.ndarray | None = None,
    inefficiency: float = 1.0,
) -> Reweighted:
    """Averages at a row between those of a ladder, from the draws of all.

    Errors are pymbar's: those of the ladder's own log Z are in them.

    Parameters
    ----------
    observables
        ``A(x_n) [observable, draw]``.
    u_kn, N_k, start, inefficiency
        As in `multistate.mbar`.
    u_target
        ``u(x_n) [draw]`` at the wanted row.

    Raises
    ------
    InputError
        where the row is outside: its effective draws are fewer than a tenth of the average row's.
    ArithmeticError
        where the ladder has no solution.
    """
    observables = np.atleast_2d(np.asarray(observables, dtype=np.float64))
    u_target = np.asarray(u_target, dtype=np.float64)
    with quiet_pymbar():
        solved = solve(u_kn, N_k, start)
        log_w = -u_target - logsumexp(
            np.asarray(solved.f_k)[:, None] - u_kn, b=np.asarray(N_k)[:, None], axis=0
        )
        effective, needed = float(effective_sample_size(log_w)), SHARE * float(np.mean(N_k))
        if not effective >= needed:
            raise InputError(
                "reweighting",
                got=f"a row for which {effective:.1f} of {len(u_target)} draws count",
                expected=f"one inside the ladder: {needed:.1f} or more",
                hint="nothing is known of states that were never drawn; extend the ladder",
            )
        value, stderr = [], []
        for A in observables:
            found = solved.compute_expectations(A, u_kn=u_target[None])
            value.append(found["mu"][0])
            stderr.append(found["sigma"][0])
        rows = np.concatenate([np.asarray(u_kn)[:1], u_target[None]])
        difference = solved.compute_perturbed_free_energies(rows)
    grow = np.sqrt(inefficiency)
    return Reweighted(
        np.array(value),
        np.array(stderr) * grow,
        -float(difference["Delta_f"][0, 1]),
        float(difference["dDelta_f"][0, 1]) * grow,
        effective,
    )

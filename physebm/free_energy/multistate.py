"""MBAR: log Z of all rows from the draws of all of them together.

    Z_k = sum_n exp(-u_k(x_n)) / sum_l N_l exp(-u_l(x_n)) / Z_l
    (M. R. Shirts, J. D. Chodera, J. Chem. Phys. 129, 124105 (2008))

`mbar` is pymbar's solution, whose errors are those of independent draws. pymbar holds several arrays
``[row, draw]``, so that of long runs it solves a part, evenly thinned; Newton's iteration goes on from
there over all draws in blocks: none is thrown away, and memory does not grow with their number. The
equations are the minimum of a convex function,

    sum_n log sum_l exp(f_l - u_l(x_n)) - N sum_l f_l,   f = -log Z,  N draws of every row,

and ``p_nk = exp(f_k - u_k(x_n)) / sum_l exp(f_l - u_l(x_n))``, the probability that draw n is one of
row k, has all derivatives: gradient ``sum_n p_nk - N``, Hessian ``diag(sum_n p_nk) - p^T p``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from physebm.free_energy.estimators import Rows
from physebm.free_energy.pymbar_solver import quiet_pymbar, solve

# Reduced potentials that pymbar reads at most, draws times rows, and those of a block of draws, 8 MiB.
PART, BLOCK = 2**18, 2**20
# Newton's steps, and the largest last one in nats.
STEPS, CONVERGED = 30, 1e-9


@dataclass(frozen=True)
class Multistate:
    """What MBAR makes of the draws of all rows.

    Attributes
    ----------
    log_z
        ``log Z_k - log Z_0 [row]``.
    stderr
        Of ``log Z_k - log Z_l [row, row]``, for independent draws, times the root of the inefficiency.
    overlap
        ``O_kl = sum_n N_l W_nk W_nl [row, row]``: the probability that a draw of row k could have come
        from row l; rows sum to 1.
    second
        The second largest eigenvalue of `overlap`: 1 where the rows fall into parts without overlap.
    weights
        ``W_nk [draw, row]``, columns sum to 1.
    """

    log_z: np.ndarray
    stderr: np.ndarray
    overlap: np.ndarray
    second: float
    weights: np.ndarray


def mbar(
    u_kn: np.ndarray, N_k: np.ndarray, start: np.ndarray | None = None, inefficiency: float = 1.0
) -> Multistate:
    """The multistate estimator at every row.

    Memory: pymbar holds about five arrays of the size of `u_kn`.

    Parameters
    ----------
    u_kn
        ``u_k(x_n) [row, draw]``, the draws of row 0 first, then those of row 1, ...
    N_k
        Number of draws of each row.
    start
        ``log Z_k - log Z_0 [row]`` to begin with, such as BAR's.
    inefficiency
        ``2 tau`` of the draws: the errors grow by its root.

    Raises
    ------
    ArithmeticError
        where the equations were not solved.
    """
    with quiet_pymbar():
        solved = solve(u_kn, N_k, start)
        stderr, weights = solved.compute_free_energy_differences()["dDelta_f"], solved.W_nk
        log_z = -np.array(solved.f_k)
    overlap = weights.T @ weights * N_k
    second = np.sort(np.linalg.eigvals(overlap).real)[-2] if len(N_k) > 1 else 0.0
    return Multistate(log_z, stderr * np.sqrt(inefficiency), overlap, float(second), weights)


def mbar_rows(
    energies: np.ndarray,
    coefficients: np.ndarray,
    constants: np.ndarray,
    start: np.ndarray | None = None,
    inefficiency: float = 1.0,
) -> Rows:
    """The multistate estimator of all draws of a ladder; NaN where there is no solution.

    Memory: one block of potentials, and ``8 rows chains draws`` bytes.

    Parameters
    ----------
    energies
        Term energies ``E_t [row, chain, draw, term]``.
    coefficients, constants
        ``c_kt [row, term]`` and ``[row]``: ``u_k(x) = sum_t c_kt E_t(x) + constant_k``.
    start
        As in `mbar`.
    inefficiency
        ``2 tau`` of the draws, for the errors of pymbar, which are a diagnostic here.
    """
    rows, chains, draws, _ = energies.shape
    stride = -(-(rows * rows * chains * draws) // PART)
    some = energies[:, :, ::stride]
    try:
        u_kn = np.moveaxis(some @ coefficients.T + constants, -1, 0).reshape(rows, -1)
        each = u_kn.shape[1] // rows
        # the error of a part, were it as long as the whole
        grow = inefficiency * each / (chains * draws)
        solved = mbar(u_kn, np.full(rows, each), start, grow)
        log_z, found = _newton(energies, coefficients, constants, solved.log_z)
    except ArithmeticError as error:
        unknown = np.full(rows, np.nan)
        unknown[0] = 0.0
        return Rows(unknown, np.broadcast_to(unknown, (chains, draws, rows)), {}, {"error": str(error)})
    overlap = found.products / (chains * draws)
    second = float(np.sort(np.linalg.eigvals(overlap).real)[-2]) if rows > 1 else 0.0
    of_all = {"overlap_matrix": overlap, "second_eigenvalue": second}
    influence = _influence(found.together, overlap)
    return Rows(log_z, influence, {"stderr_pymbar": solved.stderr[0]}, of_all)


class _Memberships(NamedTuple):
    """Sums of ``p_nk``: over the rows of one time ``[chain, draw, row]``, and of products ``p^T p``."""

    together: np.ndarray
    products: np.ndarray


def _memberships(energies, coefficients, constants, log_z) -> _Memberships:
    rows, chains, draws, _ = energies.shape
    together, products = np.empty((chains, draws, rows)), np.zeros((rows, rows))
    step = max(1, BLOCK // (rows * rows * chains))
    for first in range(0, draws, step):
        at = slice(first, first + step)
        p = energies[:, :, at] @ -coefficients.T - (constants + log_z)
        p -= p.max(axis=-1, keepdims=True)
        np.exp(p, out=p)
        p /= p.sum(axis=-1, keepdims=True)
        together[:, at] = p.sum(axis=0)
        flat = p.reshape(-1, rows)
        products += flat.T @ flat
    return _Memberships(together, products)


def _newton(energies, coefficients, constants, log_z) -> tuple[np.ndarray, _Memberships]:
    """The solution over all draws, and the memberships there."""
    log_z, number = log_z.copy(), energies.shape[1] * energies.shape[2]
    for _ in range(STEPS):
        found = _memberships(energies, coefficients, constants, log_z)
        sums = found.together.sum(axis=(0, 1))
        hessian = np.diag(sums) - found.products
        try:
            change = np.linalg.solve(hessian[1:, 1:], (sums - number)[1:])
        except np.linalg.LinAlgError as error:
            raise ArithmeticError("MBAR found no solution: rows that share no draws") from error
        log_z[1:] += change
        if not np.isfinite(change).all():
            break
        if np.abs(change).max(initial=0.0) <= CONVERGED:
            return log_z, found
    raise ArithmeticError("MBAR found no solution: Newton's iteration over all draws does not end")


def _influence(together: np.ndarray, overlap: np.ndarray) -> np.ndarray:
    """What the draws of one time add to MBAR's ``log Z_k - log Z_0``, ``[chain, draw, row]``.

    From linearising the equations: ``(1 - O) delta log Z = sum_n delta_n W_n``, with
    ``delta log Z_0 = 0`` and the number of draws of each row fixed. NaN where `overlap` is singular.
    """
    rows = len(overlap)
    spread = together - together.mean(axis=(0, 1))
    influence = np.zeros(together.shape)
    try:
        solved = np.linalg.solve((np.eye(rows) - overlap)[1:, 1:], spread.reshape(-1, rows)[:, 1:].T)
        influence[..., 1:] = solved.T.reshape(*together.shape[:2], rows - 1)
    except np.linalg.LinAlgError:
        influence[..., 1:] = np.nan
    return influence

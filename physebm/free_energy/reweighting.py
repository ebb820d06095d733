"""Bennett's estimators: log Z of rows from the draws of all of them, and averages at any row between.

    bar     <1/(1 + exp(w_F + d))>_0 = <1/(1 + exp(w_R - d))>_1, d = log Z_1/Z_0, for equally many
            draws of two rows, with the works w_F, w_R of `estimators`
            (C. H. Bennett, J. Comput. Phys. 22, 245 (1976))
    mbar    Z_k = sum_n exp(-u_k(x_n)) / sum_l N_l exp(-u_l(x_n)) / Z_l over the draws of all rows
            (M. R. Shirts, J. D. Chodera, J. Chem. Phys. 129, 124105 (2008))

Both are solved by pymbar, whose errors are those of independent draws. The influences here are what
`estimators.influence_error` makes an error of for draws that are not.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logsumexp

from physebm.errors import InputError
from physebm.free_energy.estimators import Rows
from physebm.observables.reweighting import effective_sample_size, log_mean_exp

TOLERANCE = 1e-12
# Fewest effective draws of a row that none was taken from, as a share of what one row has.
SHARE = 0.1


@dataclass(frozen=True)
class Difference:
    """``log Z_1 - log Z_0`` of two rows, its error, and their overlap (see `pair_overlap`)."""

    log_z: float
    stderr: float
    overlap: float


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


def bar(w_F: np.ndarray, w_R: np.ndarray, inefficiency: float = 1.0) -> Difference:
    """Bennett's acceptance ratio of one pair of rows, from works ``[draw]``.

    Parameters
    ----------
    inefficiency
        ``2 tau`` of the draws: the error grows by its root.

    Returns
    -------
    Difference
        with value and error NaN where the works of the two sides do not bracket a solution.
    """
    w_F, w_R = np.asarray(w_F, dtype=np.float64), np.asarray(w_R, dtype=np.float64)
    forward, backward = log_mean_exp(-w_F), -log_mean_exp(-w_R)
    if abs(forward - backward) <= TOLERANCE * (1.0 + abs(forward)):
        log_z, stderr = float(forward), 0.0
        if np.ptp(w_F) > TOLERANCE or np.ptp(w_R) > TOLERANCE:
            stderr = _bennett_error(w_F, w_R, log_z)
    else:
        with _pymbar() as pymbar:
            try:
                found = pymbar.bar(w_F, w_R, relative_tolerance=TOLERANCE, maximum_iterations=1000)
            except (
                ArithmeticError,
                pymbar.utils.BoundsError,
                pymbar.utils.ConvergenceError,
                pymbar.utils.ParameterError,
            ):
                return Difference(np.nan, np.nan, 0.0)
        log_z, stderr = -float(found["Delta_f"]), float(found["dDelta_f"])
    return Difference(log_z, stderr * np.sqrt(inefficiency), pair_overlap(w_F, w_R, log_z))


def pair_overlap(w_F: np.ndarray, w_R: np.ndarray, log_z: float) -> float:
    """``O_01`` of two rows alone, works ``[draw]``: 1/2 for equal rows with equally many draws.

    Unlike an element of the matrix of all rows it does not shrink as rows are put in between.
    """
    own, other = _memberships(w_F, w_R, log_z)
    total = np.sum(own * (1.0 - own)) + np.sum(other * (1.0 - other))
    return float(total / len(w_F))


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
    with _pymbar():
        solved = _solve(u_kn, N_k, start)
        stderr, weights = solved.compute_free_energy_differences()["dDelta_f"], solved.W_nk
        log_z = -np.array(solved.f_k)
    overlap = weights.T @ weights * N_k
    second = np.sort(np.linalg.eigvals(overlap).real)[-2] if len(N_k) > 1 else 0.0
    return Multistate(log_z, stderr * np.sqrt(inefficiency), overlap, float(second), weights)


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

    With ``w_n = exp(-u_n) / sum_l N_l exp(-u_l(x_n)) / Z_l``: ``Z = sum w``, ``<A> = sum w A / sum w``.
    Errors are pymbar's: those of the ladder's own log Z are in them.

    Parameters
    ----------
    observables
        ``A(x_n) [observable, draw]``.
    u_kn, N_k, start, inefficiency
        As in `mbar`.
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
    with _pymbar():
        solved = _solve(u_kn, N_k, start)
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


def bar_rows(w_F: np.ndarray, w_R: np.ndarray) -> Rows:
    """`bar` of neighbours, works ``w_F, w_R [gap, chain, draw]``; NaN above an unsolved pair."""
    pairs = [bar(own.ravel(), other.ravel()) for own, other in zip(w_F, w_R)]
    log_z = np.append(0.0, np.cumsum([pair.log_z for pair in pairs]))
    influence = np.zeros((*w_F.shape[1:], len(w_F) + 1))
    for g, pair in enumerate(pairs):
        influence[..., g + 1] = influence[..., g] + _bar_influence(w_F[g], w_R[g], pair.log_z)
    overlap = np.minimum.accumulate(np.append(0.5, [pair.overlap for pair in pairs]))
    return Rows(log_z, influence, {"overlap": overlap})


def mbar_rows(u: np.ndarray, start: np.ndarray | None = None, inefficiency: float = 1.0) -> Rows:
    """`mbar` of potentials ``u_k(x) [row k, row of x, chain, draw]``; NaN where there is no solution.

    Parameters
    ----------
    start, inefficiency
        As in `mbar`; the latter for the errors of pymbar, which are a diagnostic here.
    """
    rows, _, chains, draws = u.shape
    try:
        solved = mbar(u.reshape(rows, -1), np.full(rows, chains * draws), start, inefficiency)
    except ArithmeticError as error:
        unknown = np.full(rows, np.nan)
        unknown[0] = 0.0
        return Rows(unknown, np.broadcast_to(unknown, (chains, draws, rows)), {}, {"error": str(error)})
    influence = _mbar_influence(solved.weights, solved.overlap, (chains, draws))
    of_all = {"overlap_matrix": solved.overlap, "second_eigenvalue": solved.second}
    return Rows(solved.log_z, influence, {"stderr_pymbar": solved.stderr[0]}, of_all)


def _bar_influence(w_F: np.ndarray, w_R: np.ndarray, log_z: float) -> np.ndarray:
    """What the draws of one time add to BAR's ``log Z_1 - log Z_0``, ``[chain, draw]``."""
    own, other = _memberships(w_F, w_R, log_z)
    steepness = _steepness(own, other)
    if not steepness > 0.0:
        return np.full(w_F.shape, np.nan)
    return ((own - own.mean()) - (other - other.mean())) / steepness


def _mbar_influence(weights: np.ndarray, overlap: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """What the draws of one time add to MBAR's ``log Z_k - log Z_0``, ``[chain, draw, row]``.

    From linearising the equations: ``(1 - O) delta log Z = sum_n delta_n W_n``, with
    ``delta log Z_0 = 0`` and the number of draws of each row fixed. `weights` and `overlap` are those
    of `mbar` with ``(chains, draws) = shape`` of every row; NaN where `overlap` is singular.
    """
    rows = weights.shape[1]
    own = weights.reshape(rows, *shape, rows)
    # sums over the rows at one time, about each row's own mean
    together = own.sum(axis=0) - own.mean(axis=(1, 2)).sum(axis=0)
    influence = np.zeros((*shape, rows))
    try:
        solved = np.linalg.solve((np.eye(rows) - overlap)[1:, 1:], together.reshape(-1, rows)[:, 1:].T)
    except np.linalg.LinAlgError:
        solved = np.full((rows - 1, shape[0] * shape[1]), np.nan)
    influence[..., 1:] = solved.T.reshape(*shape, rows - 1) * shape[0] * shape[1]
    return influence


def _solve(u_kn: np.ndarray, N_k: np.ndarray, start: np.ndarray | None):
    """Pymbar's solution, checked; within `_pymbar`."""
    import pymbar

    first = None if start is None or not np.isfinite(start).all() else -np.asarray(start)
    solver = [{"method": "adaptive", "options": {"maxiter": 1000}}]
    try:
        solved = pymbar.MBAR(
            np.asarray(u_kn, dtype=np.float64),
            np.asarray(N_k, dtype=np.int64),
            relative_tolerance=TOLERANCE,
            initial_f_k=first,
            solver_protocol=solver,
        )
        sums = solved.W_nk.sum(axis=0)
    except (pymbar.utils.ParameterError, np.linalg.LinAlgError) as error:
        raise ArithmeticError(f"MBAR found no solution: {error}") from error
    if not np.allclose(sums, 1.0, atol=1e-6):
        raise ArithmeticError("MBAR found no solution: weights that do not sum to 1")
    return solved


def _memberships(w_F, w_R, log_z) -> tuple[np.ndarray, np.ndarray]:
    """``1/(1 + r exp(w_F + d))``, ``1/(1 + exp(w_R - d)/r)``: that a draw belongs to the other row."""
    shift = np.log(w_F.size / w_R.size)
    return expit(-(w_F + log_z + shift)), expit(-(w_R - log_z - shift))


def _steepness(own, other) -> float:
    """Derivative in d of ``<own> - <other>``: both are decided at the same d."""
    return float(np.mean(own * (1.0 - own)) + np.mean(other * (1.0 - other)))


def _bennett_error(w_F, w_R, log_z) -> float:
    own, other = _memberships(w_F, w_R, log_z)
    steepness = _steepness(own, other)
    return float(np.sqrt(np.var(own) / own.size + np.var(other) / other.size) / steepness)


@contextmanager
def _pymbar() -> Iterator[object]:
    """Pymbar without its advertisements, and without what it does to the rest of numpy.

    It asks for another package when imported, seeds numpy's global generator with every solution, and
    lets overflows raise from its first BAR on, for the whole process.
    """
    logging.getLogger("pymbar").setLevel(logging.CRITICAL)
    random = np.random.get_state()  # noqa: NPY002 - kept as it is, not used
    with warnings.catch_warnings(), np.errstate():
        warnings.simplefilter("ignore")
        import pymbar  # slow to import: only where it is used

        try:
            yield pymbar
        finally:
            np.random.set_state(random)  # noqa: NPY002

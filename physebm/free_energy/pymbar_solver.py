"""Pymbar's solutions, checked, and without what it does to the rest of the process."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

TOLERANCE = 1e-12


def solve(u_kn: np.ndarray, N_k: np.ndarray, start: np.ndarray | None):
    """Pymbar's `MBAR` object of potentials ``u_k(x_n) [row, draw]``; call it within `quiet_pymbar`.

    Parameters
    ----------
    N_k
        Number of draws of each row, whose draws stand one row after the other.
    start
        ``log Z_k - log Z_0 [row]`` to begin with; left out where it is None or not finite.

    Raises
    ------
    ArithmeticError
        where the equations were not solved.
    """
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


@contextmanager
def quiet_pymbar() -> Iterator[object]:
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

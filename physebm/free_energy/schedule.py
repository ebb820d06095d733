"""Where to put the rows of an annealed run: at equal thermodynamic distances.

Along a path with factor s the *speed* is ``sqrt(Var(du/ds))`` at fixed s, u the reduced potential,
and its integral the thermodynamic length (P. Salamon, R. S. Berry, Phys. Rev. Lett. 51, 1127 (1983);
G. E. Crooks, Phys. Rev. Lett. 99, 100602 (2007)). Log-weights of a walk through K rows whose sweeps
forget have variance ``sum_k Var(u_{k+1} - u_k)``, which is smallest, ``length^2 / K``, when all steps
are equally long; equally long steps are also equally often rejected as exchanges. Sweeps that do not
forget add to it.
"""

from __future__ import annotations

import numpy as np

from physebm.backends.base import Backend
from physebm.errors import StudyError
from physebm.free_energy.path import Path, placed
from physebm.free_energy.walkers import Walkers
from physebm.free_energy.weights import systematic
from physebm.observables.reweighting import effective_sample_size
from physebm.rng.philox import philox4x32, uniform53
from physebm.rng.streams import Purpose, key_of, last_word

# Rows of a pilot run; how often the pilot is repeated on its own result.
PILOT_ROWS, ROUNDS = 48, 2
# A step is never shorter than this, so that an adaptive run ends.
SHORTEST = 1e-4


def equal_speed(
    path: Path,
    backend: Backend,
    rows: int,
    seed: int = 0,
    name: tuple[object, ...] = (),
    *,
    chains: int = 128,
    sweeps: int = 1,
) -> np.ndarray:
    """Increasing factors ``[row]`` from 0 to 1 at equal thermodynamic distances.

    A pilot run along rows at equal steps of the factor measures the speed from the scatter over chains;
    a second along rows at what the first found. Linear where nothing scatters (independent units).

    Parameters
    ----------
    path
        Any rows from factor 0 to 1; new ones lie on the straight lines between them.
    rows
        How many factors, 2 or more.
    seed, name
        What the pilot's random words are addressed by.
    chains, sweeps
        Of the pilot.
    """
    factors = np.linspace(0.0, 1.0, min(PILOT_ROWS, max(rows, 3)))
    for number in range(ROUNDS):
        walkers = Walkers(path, backend, key_of(seed, "ais", *name, "pilot", number), chains)
        length = _length(walkers, placed(path, factors), sweeps)
        if length[-1] <= 0.0:
            return np.linspace(0.0, 1.0, rows)
        count = rows if number == ROUNDS - 1 else len(factors)
        factors = _equal(factors, length, count)
    return factors


def _length(walkers: Walkers, path: Path, sweeps: int) -> np.ndarray:
    """Thermodynamic length from row 0 to each row, by the trapezoid rule."""
    factors, rows = path.coefficients.beta, path.rows
    walkers.follow(path)
    walkers.draw()
    total = np.zeros(rows)
    for k in range(rows - 1):
        # the step from k to k+1 scatters at both of its ends
        before = walkers.work(k, k + 1).std(ddof=1)
        walkers.move(k + 1, sweeps)
        total[k + 1] = total[k] + 0.5 * (before + walkers.work(k, k + 1).std(ddof=1))
    # a path of continuous units may be fast at one end only; no gap is without length
    return total + 1e-9 * total[-1] * factors


def _equal(factors: np.ndarray, length: np.ndarray, rows: int) -> np.ndarray:
    new = np.interp(np.linspace(0.0, length[-1], rows), length, factors)
    new[0], new[-1] = 0.0, 1.0
    if np.any(np.diff(new) <= 0.0):
        raise StudyError(f"log Z by annealing: {rows} rows are more than a pilot run can place apart")
    return new


def adaptive(
    path: Path,
    backend: Backend,
    seed: int = 0,
    name: tuple[object, ...] = (),
    *,
    population: int = 1024,
    effective: float = 0.9,
    sweeps: int = 1,
) -> np.ndarray:
    """Factors ``[row]`` of population annealing, each step reweighting to the same effective number.

    A pilot population is reweighted from one factor to the largest next one at which its effective
    sample size is still the share `effective` of its number, resampled and swept. For a small variance
    s^2 of the log-weights that share is ``1/(1 + s^2)``. Factors found by the weights that are averaged
    afterwards would bias them; a pilot run of its own leaves ``<Z>`` exact.

    Parameters
    ----------
    population, sweeps
        Of the pilot.
    effective
        Share, in (0, 1).
    """
    if not 0.0 < effective < 1.0:
        raise ValueError(f"effective share {effective}: expected a number between 0 and 1")
    key = key_of(seed, "population", *name, "pilot")
    walkers = Walkers(path, backend, key, population)
    walkers.draw()
    factors = [0.0]
    while factors[-1] < 1.0:
        here = factors[-1]

        def share(there: float, here: float = here) -> float:
            work = walkers.work_to(placed(path, np.array([here, there])), 0, 1)
            return float(effective_sample_size(-work)) / population

        there = 1.0
        if share(1.0) < effective:
            low, high = here, 1.0
            while high - low > 1e-3 * (high - here) + 1e-12:
                middle = 0.5 * (low + high)
                low, high = (middle, high) if share(middle) >= effective else (low, middle)
            there = min(max(low, here + SHORTEST), 1.0)
        step = placed(path, np.array([here, there]))
        log_w = -walkers.work_to(step, 0, 1)
        walkers.copy(systematic(log_w, offset(key, 0, len(factors))))
        walkers.follow(step)
        walkers.move(1, sweeps)
        factors.append(there)
    return np.array(factors)


def offset(key: tuple[int, int], run: int, step: int) -> float:
    """The uniform number of one resampling; counter ``(0, run, step, BOOTSTRAP)``."""
    word = philox4x32(0, run, step, last_word(Purpose.BOOTSTRAP), *key)
    return float(uniform53(word[0], word[1]))

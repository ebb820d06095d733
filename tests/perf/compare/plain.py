"""Sweeps as a physicist would write them in numba, many chains over the threads: the plain yardstick.

Heat bath with tables of probabilities where fields are integers, local fields kept up to date where
models are dense, checkerboard order on lattices, numpy's generator of each thread.
"""

import numpy as np
from numba import njit, prange


@njit(parallel=True, cache=True, fastmath=True)
def dense(s, h, J, beta, sweeps):
    """Sequential heat bath of spins ``s[chain, unit]`` with cached fields `h`; all float32."""
    for c in prange(s.shape[0]):
        spin, field = s[c], h[c]
        for _ in range(sweeps):
            for i in range(spin.shape[0]):
                p = 1 / (1 + np.exp(-2 * beta * field[i]))
                new = np.float32(1) if np.random.random() < p else np.float32(-1)
                if new != spin[i]:
                    step, row = new - spin[i], J[i]
                    spin[i] = new
                    for j in range(field.shape[0]):
                        field[j] += step * row[j]


@njit
def _square(s, up):
    n = s.shape[0]
    for colour in range(2):
        for i in range(n):
            below, above = s[i - 1], s[i + 1 if i + 1 < n else 0]
            for j in range((i + colour) % 2, n, 2):
                f = below[j] + above[j] + s[i, j - 1] + s[i, j + 1 if j + 1 < n else 0]
                s[i, j] = 1 if np.random.random() < up[(f + 4) // 2] else -1


@njit
def _field(s, J, i, j, k):
    n = s.shape[0]
    f = J[0, i, j, k] * s[i + 1 if i + 1 < n else 0, j, k] + J[0, i - 1, j, k] * s[i - 1, j, k]
    f += J[1, i, j, k] * s[i, j + 1 if j + 1 < n else 0, k] + J[1, i, j - 1, k] * s[i, j - 1, k]
    return f + J[2, i, j, k] * s[i, j, k + 1 if k + 1 < n else 0] + J[2, i, j, k - 1] * s[i, j, k - 1]


@njit
def _cubic(s, J, up):
    n = s.shape[0]
    for colour in range(2):
        for i in range(n):
            for j in range(n):
                for k in range((i + j + colour) % 2, n, 2):
                    f = _field(s, J, i, j, k)
                    s[i, j, k] = 1 if np.random.random() < up[(f + 6) // 2] else -1


@njit
def _energy_2d(s):
    n, total = s.shape[0], 0
    for i in range(n):
        for j in range(n):
            total -= s[i, j] * (s[i - 1, j] + s[i, j - 1])
    return total


@njit
def _energy_3d(s, J):
    n, total = s.shape[0], 0
    for i in range(n):
        for j in range(n):
            for k in range(n):
                f = J[0, i - 1, j, k] * s[i - 1, j, k] + J[1, i, j - 1, k] * s[i, j - 1, k]
                total -= s[i, j, k] * (f + J[2, i, j, k - 1] * s[i, j, k - 1])
    return total


@njit(parallel=True, cache=True)
def square_lattices(s, up, rung, E, sweeps):
    """Checkerboard sweeps of lattices ``s[chain, x, y]`` at their rungs, and their energies."""
    for c in prange(s.shape[0]):
        for _ in range(sweeps):
            _square(s[c], up[rung[c]])
        E[c] = _energy_2d(s[c])


@njit(parallel=True, cache=True)
def cubic_lattices(s, J, up, rung, E, sweeps):
    """The same of cubic lattices with couplings ``J[direction, x, y, z]`` of +1 and -1."""
    for c in prange(s.shape[0]):
        for _ in range(sweeps):
            _cubic(s[c], J, up[rung[c]])
        E[c] = _energy_3d(s[c], J)


@njit(parallel=True, cache=True)
def cubic_real(s, J, beta, sweeps):
    """Cubic lattices with real couplings, all chains at one temperature; float32."""
    n = s.shape[1]
    for c in prange(s.shape[0]):
        for _ in range(sweeps):
            for colour in range(2):
                for i in range(n):
                    for j in range(n):
                        for k in range((i + j + colour) % 2, n, 2):
                            f = _field(s[c], J, i, j, k)
                            p = 1 / (1 + np.exp(-2 * beta * f))
                            s[c, i, j, k] = 1 if np.random.random() < p else -1


@njit(parallel=True, cache=True)
def one_square_lattice(s, up, sweeps):
    """One lattice ``s[x, y]``: the rows of a colour over the threads."""
    n = s.shape[0]
    for _ in range(sweeps):
        for colour in range(2):
            for i in prange(n):
                below, above = s[i - 1], s[i + 1 if i + 1 < n else 0]
                for j in range((i + colour) % 2, n, 2):
                    f = below[j] + above[j] + s[i, j - 1] + s[i, j + 1 if j + 1 < n else 0]
                    s[i, j] = 1 if np.random.random() < up[(f + 4) // 2] else -1


@njit(cache=True)
def exchange(rung, lane_of, E, beta, parity):
    """One round of exchanges of neighbouring temperatures; ``lane_of[ladder, rung]``."""
    for ladder in range(lane_of.shape[0]):
        for k in range(parity, lane_of.shape[1] - 1, 2):
            a, b = lane_of[ladder, k], lane_of[ladder, k + 1]
            if np.random.random() < np.exp((beta[k] - beta[k + 1]) * (E[a] - E[b])):
                lane_of[ladder, k], lane_of[ladder, k + 1] = b, a
                rung[a], rung[b] = k + 1, k

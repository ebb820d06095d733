"""Sweeps as a physicist would write them in numba for one chain: the yardstick of the benchmark."""

import numpy as np
from numba import njit


@njit
def ising_2d(s, p_up):
    """Checkerboard heat bath of a square lattice, table of acceptance, numpy's generator."""
    n = s.shape[0]
    for colour in range(2):
        for i in range(n):
            for j in range((i + colour) % 2, n, 2):
                f = s[i - 1, j] + s[(i + 1) % n, j] + s[i, j - 1] + s[i, (j + 1) % n]
                s[i, j] = 1 if np.random.random() < p_up[(f + 4) // 2] else -1


@njit
def edwards_anderson_3d(s, J, p_up):
    """Sequential heat bath of the cubic lattice with +-1 couplings ``J[direction, x, y, z]``."""
    n = s.shape[0]
    for x in range(n):
        for y in range(n):
            for z in range(n):
                f = J[0, x, y, z] * s[(x + 1) % n, y, z] + J[0, x - 1, y, z] * s[x - 1, y, z]
                f += J[1, x, y, z] * s[x, (y + 1) % n, z] + J[1, x, y - 1, z] * s[x, y - 1, z]
                f += J[2, x, y, z] * s[x, y, (z + 1) % n] + J[2, x, y, z - 1] * s[x, y, z - 1]
                s[x, y, z] = 1 if np.random.random() < p_up[(f + 6) // 2] else -1


@njit
def dense(s, J, h, beta):
    """Sequential heat bath of a dense model with cached local fields h, float64."""
    n = s.shape[0]
    for i in range(n):
        new = 1 if np.random.random() * (1 + np.exp(-2 * beta * h[i])) < 1 else -1
        if new != s[i]:
            d = new - s[i]
            for j in range(n):
                h[j] += d * J[i, j]
            s[i] = new

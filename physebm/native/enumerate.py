"""All states of a set of +-1 spins whose energies are multilinear polynomials, summed exactly.

An energy is ``E_g(s) = sum_masks a_g[mask] prod_{i in mask} s_i``, spin i being bit i of a state and
``s_i = 2 bit - 1``. The low `LOW` spins of a block of states are filled in by a fast Walsh transform
(one addition per spin and state, whatever the order of the interactions), the high spins are fixed
in a block; weights are accumulated relative to a running maximum. The states are cut into a fixed
number of slices that two threads share, so that the sums do not depend on the number of threads.
Source: B. J. Fino & V. R. Algazi, IEEE Trans. Comput. C-25, 1142 (1976) for the transform.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from physebm.native.kept import kept_njit

LOW = 12
SLICES = 16
THREADS = 2


@dataclass(frozen=True)
class SpinSums:
    """Exact averages at every rung: totals, spin moments and the weight of each magnetisation.

    Attributes
    ----------
    log_z
        ``[rung]``, log of the sum of ``exp(-u)`` over all states.
    g1, g11, g2
        ``[rung]``, averages of ``G``, ``G^2`` and ``G2`` with ``G = sum_g c1_kg E_g``, ``G2`` with c2.
    spin, pair
        ``<s_i> [rung, spin]`` and ``<s_i s_j> [rung, spin, spin]``.
    up
        ``[rung, count]``: probability that `count` of the counted spins are up.
    """

    log_z: np.ndarray
    g1: np.ndarray
    g11: np.ndarray
    g2: np.ndarray
    spin: np.ndarray
    pair: np.ndarray
    up: np.ndarray


def sum_over_spins(
    spins: int,
    masks: np.ndarray,
    a_eg: np.ndarray,
    c_jkg: np.ndarray,
    counted: int,
) -> SpinSums:
    """Sum ``exp(-sum_g c_0kg E_g)`` over all states of `spins` spins, at every rung k at once.

    Parameters
    ----------
    spins
        Number of spins, at least 1.
    masks, a_eg
        ``[mask]`` sets of spins as bit masks, and their coefficients ``[mask, polynomial]``.
    c_jkg
        Coefficients of the polynomials and their first two derivatives in beta, ``[3, rung, g]``.
    counted
        Bit mask of the spins that the magnetisation counts.
    """
    low = min(LOW, spins)
    blocks = 1 << (spins - low)
    masks = np.asarray(masks, dtype=np.int64)
    a_ge = np.ascontiguousarray(np.asarray(a_eg, dtype=np.float64).T)
    c_jkg = np.ascontiguousarray(c_jkg, dtype=np.float64)
    cuts = np.linspace(0, blocks, min(SLICES, blocks) + 1).astype(np.int64)

    def part(i: int):
        return _slice(spins, low, cuts[i], cuts[i + 1], masks, a_ge, c_jkg, counted)

    with ThreadPoolExecutor(THREADS) as pool:
        parts = list(pool.map(part, range(len(cuts) - 1)))
    shifts = np.array([p[0] for p in parts])
    shift = shifts.max(axis=0)
    scale = np.exp(shifts - shift)
    sums, rows, cross, high = (
        sum(p[n] * scale[i].reshape(-1, *(1,) * (p[n].ndim - 1)) for i, p in enumerate(parts))
        for n in (1, 2, 3, 4)
    )
    return _averages(spins, low, counted, shift, sums, rows, cross, high)


def _averages(spins, low, counted, shift, sums, rows, cross, high) -> SpinSums:
    """Normalise; `rows` is ``[rung, counted high spins up, low state]``."""
    total = sums[:, 0]
    state = np.arange(1 << low)
    s_low = 2.0 * ((state[:, None] >> np.arange(low)) & 1) - 1.0
    up_low = (((counted & state)[:, None] >> np.arange(low)) & 1).sum(axis=1)
    p_low = rows.sum(axis=1)
    pair = np.zeros((len(total), spins, spins))
    pair[:, :low, :low] = np.einsum("ks,si,sj->kij", p_low, s_low, s_low, optimize=True)
    pair[:, low:, :low] = cross[:, :, :low]
    pair[:, :low, low:] = cross[:, :, :low].transpose(0, 2, 1)
    pair[:, low:, low:] = high
    spin = np.concatenate([p_low @ s_low, cross[:, :, low]], axis=1)
    up = np.zeros((len(total), counted.bit_count() + 1))
    for u in range(rows.shape[1]):
        at = up_low + u
        inside = at < up.shape[1]
        for k in range(len(total)):
            up[k] += np.bincount(at[inside], rows[k, u, inside], up.shape[1])
    by = total[:, None]
    return SpinSums(
        shift + np.log(total), *(sums / by)[:, 1:].T, spin / by, pair / by[..., None], up / by
    )


@kept_njit(nogil=True)
def _odd(x):
    """1 if an odd number of bits is set."""
    for shift in (32, 16, 8, 4, 2, 1):
        x ^= x >> shift
    return x & 1


@kept_njit(nogil=True)
def _walsh(x, low):
    """In place: coefficient of every set of spins -> value in every state."""
    for b in range(low):
        half = 1 << b
        for start in range(0, len(x), 2 * half):
            for i in range(start, start + half):
                even, odd = x[i], x[i + half]
                x[i] = even - odd
                x[i + half] = even + odd


@kept_njit(nogil=True)
def _slice(spins, low, first, last, masks, a_ge, c_jkg, counted):
    """Sums over the blocks first .. last - 1, relative to the largest weight of each rung."""
    rungs, size, n_high = c_jkg.shape[1], 1 << low, spins - low
    polynomials = len(a_ge)
    shift = np.full(rungs, -np.inf)
    sums = np.zeros((rungs, 4))
    rows = np.zeros((rungs, n_high + 1, size))
    cross = np.zeros((rungs, n_high, low + 1))
    high = np.zeros((rungs, n_high, n_high))
    E = np.empty((polynomials, size))
    u, w = np.empty(size), np.empty(size)
    s_low = np.empty(low + 1)
    s_high = np.empty(n_high)
    for block in range(first, last):
        up = 0
        for j in range(n_high):
            bit = (block >> j) & 1
            s_high[j] = 2.0 * bit - 1.0
            up += bit & (counted >> (low + j))
        E[:] = 0.0
        for e in range(len(masks)):
            minus = _odd((masks[e] >> low) & ~block)
            at = masks[e] & (size - 1)
            for g in range(polynomials):
                E[g, at] += -a_ge[g, e] if minus else a_ge[g, e]
        for g in range(polynomials):
            _walsh(E[g], low)
        for k in range(rungs):
            u[:] = 0.0
            for g in range(polynomials):
                c = c_jkg[0, k, g]
                for x in range(size):
                    u[x] -= c * E[g, x]
            top = u.max()
            if top > shift[k]:
                scale = np.exp(shift[k] - top)
                shift[k] = top
                sums[k] *= scale
                rows[k] *= scale
                cross[k] *= scale
                high[k] *= scale
            for x in range(size):
                w[x] = np.exp(u[x] - shift[k])
                rows[k, up, x] += w[x]
            g1, g11, g2 = 0.0, 0.0, 0.0
            for x in range(size):
                d1, d2 = 0.0, 0.0
                for g in range(polynomials):
                    d1 += c_jkg[1, k, g] * E[g, x]
                    d2 += c_jkg[2, k, g] * E[g, x]
                g1 += w[x] * d1
                g11 += w[x] * d1 * d1
                g2 += w[x] * d2
            half = size
            for b in range(low - 1, -1, -1):
                half >>= 1
                difference = 0.0
                for x in range(half):
                    difference += w[x + half] - w[x]
                    w[x] += w[x + half]
                s_low[b] = difference
            s_low[low] = w[0]
            sums[k, 0] += w[0]
            sums[k, 1] += g1
            sums[k, 2] += g11
            sums[k, 3] += g2
            for j in range(n_high):
                for b in range(low + 1):
                    cross[k, j, b] += s_high[j] * s_low[b]
                for i in range(n_high):
                    high[k, j, i] += s_high[j] * s_high[i] * w[0]
    return shift, sums, rows, cross, high

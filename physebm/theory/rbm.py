"""Restricted Boltzmann machines of few modes: where a mode orders, mean field, exact block sums.

``H = - sum_ia W_ia v_i h_a`` with ``v_i, h_a = +-1`` and without fields, beta = 1. Arrays are W
``[visible, hidden]``, magnetisations ``m_v [visible]`` and ``m_h [hidden]``.

**Instability.** In a state of variances D_v and D_h (of the units in their fields) a small
magnetisation comes back from one sweep, to the hidden units and back, multiplied by the squares of the
singular values of ``D_v^(1/2) W D_h^(1/2)``. The state is stable as long as the largest of them, the
`gain`, is below 1. Without fields +-1 units have variance 1, so that a mode orders when its singular
value reaches w = 1; 0/1 units of mean 1/2 have variance 1/4, w = 4; Gaussian hidden units of variance
g on +-1 units w = 1/sqrt g.

**Mean field** ``m_h = tanh(W^T m_v)``, ``m_v = tanh(W m_h)`` is exact for a fixed number of modes and
many units on both sides, where no single coupling matters.

**Blocks.** Where visible units of a block share their couplings, only the sums of the blocks matter and
the average over all states is a sum over these, at every size, with any hidden units.

A. Decelle, G. Fissore, C. Furtlehner, J. Stat. Phys. 172, 1576 (2018); D. Bachtis, G. Biroli,
A. Decelle, B. Seoane, NeurIPS 37 (2024).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln

from physebm.arrays import Array, Float64
from physebm.errors import InputError

TOLERANCE = 1e-12
SWEEPS = 100_000
LARGEST = 2**24  # block states that are listed


def gain(W: Array, v_variance=1.0, h_variance=1.0) -> float:
    """Largest singular value of ``D_v^(1/2) W D_h^(1/2)``; variances are numbers or one per unit."""
    W = np.asarray(W, dtype=np.float64)
    left = np.broadcast_to(np.sqrt(v_variance), W.shape[:1])
    right = np.broadcast_to(np.sqrt(h_variance), W.shape[1:])
    return float(np.linalg.norm(left[:, None] * W * right, 2))


def mean_field(W: Array, start: Array, held: Array | None = None) -> tuple[Float64, Float64]:
    """The fixed point ``(m_v, m_h)`` that sweeps of the mean-field equations reach from `start`.

    Parameters
    ----------
    start
        ``m_v [visible]``.
    held
        ``[visible]``, True for units whose magnetisation stays 0: the state before a mode orders, which
        is still a solution after it became unstable where the modes do not share visible units.

    Raises
    ------
    InputError
        where the equations are not solved to 1e-12 after 100,000 sweeps, as at a transition.
    """
    W = np.asarray(W, dtype=np.float64)
    free = np.ones(len(W)) if held is None else np.where(held, 0.0, 1.0)
    m_v = np.asarray(start, dtype=np.float64) * free
    for _ in range(SWEEPS):
        m_h = np.tanh(m_v @ W)
        new = np.tanh(W @ m_h) * free
        moved, m_v = np.abs(new - m_v).max(), new
        if moved < TOLERANCE:
            return m_v, np.tanh(m_v @ W)
    raise InputError(
        "mean_field",
        got=f"a change of {moved:.1e} in sweep {SWEEPS}",
        expected=f"at most {TOLERANCE:.0e}",
        hint="at a transition the equations lose their memory as slowly as the chains do",
    )


@dataclass(frozen=True, eq=False)
class BlockDistribution:
    """The exact distribution of the block magnetisations.

    Attributes
    ----------
    log_z
        Total.
    magnetisation
        Per block the values ``(2 k - n) / n``, k = 0 .. n.
    probability
        ``[k of block 0, k of block 1, ...]``, sum 1.
    """

    log_z: float
    magnetisation: tuple[Float64, ...]
    probability: Float64

    def average(self, function: Callable[[Float64], Float64]) -> Float64:
        """``<f(m_b)>`` per block."""
        blocks = range(self.probability.ndim)
        others = [tuple(c for c in blocks if c != b) for b in blocks]
        return np.array(
            [
                self.probability.sum(axis=axes) @ function(m)
                for axes, m in zip(others, self.magnetisation)
            ]
        )


def block_distribution(W: Array, sizes: Sequence[int]) -> BlockDistribution:
    """Sum over all states of a machine whose visible units come in blocks of equal couplings.

    ``Z = sum_k prod_b binomial(n_b, k_b) prod_a 2 cosh(sum_b W_ba (2 k_b - n_b))``.

    Parameters
    ----------
    W
        ``[block, hidden]``, the coupling of every unit of the block.
    sizes
        n_b, units per block.

    Raises
    ------
    InputError
        for more than 2^24 states of the block sums.
    """
    W = np.asarray(W, dtype=np.float64)
    shape = tuple(n + 1 for n in sizes)
    if len(sizes) != len(W):
        raise InputError("sizes", got=list(sizes), expected=f"{len(W)} sizes, one per row of W")
    if np.prod(shape, dtype=float) > LARGEST:
        raise InputError("sizes", got=list(sizes), expected=f"at most {LARGEST} states of block sums")
    counts = [np.arange(n + 1.0) for n in sizes]
    sums = [2 * k - n for k, n in zip(counts, sizes)]
    ways = [gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1) for k, n in zip(counts, sizes)]
    log_weight = _outer_sum(ways)
    for couplings in W.T:
        field = np.abs(_outer_sum([w * s for w, s in zip(couplings, sums)]))
        log_weight += field
        log_weight += np.log1p(np.exp(-2.0 * field))
    top = log_weight.max()
    weight = np.exp(log_weight - top)
    total = weight.sum()
    magnetisation = tuple(s / n for s, n in zip(sums, sizes))
    return BlockDistribution(float(top + np.log(total)), magnetisation, weight / total)


def _outer_sum(vectors: Sequence[Float64]) -> Float64:
    """``sum_b x_b[k_b]`` as an array ``[k_0, k_1, ...]``."""
    total = np.zeros(())
    for vector in vectors:
        total = total[..., None] + vector
    return total

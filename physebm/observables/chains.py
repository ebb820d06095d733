"""Errors that see chains which disagree.

Blocks in time know nothing of a chain that never leaves its valley: where chains sit in different ones,
the blocks of each are quiet and the pooled error is far too small. So the scatter between chains is
held against what the blocks allow, and is the error where it is significantly larger.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from scipy.stats import f as fisher

from physebm.arrays import Array, Float64
from physebm.observables.sums import ordered_mean

# Probability that chains of a converged run are held to disagree.
FALSE_ALARM = 1e-3
BLOCKS = 31


def chain_error(value: Array, formula: Callable[..., Array], *without: Array) -> Float64:
    """Jackknife error over chains of ``value = formula(*means)``; `without` leaves one out of each.

    ``stderr^2 = (C - 1)/C sum_c (f_c - mean)^2``, for a plain mean sd(chain means) / sqrt(C); or the
    distance of `value` from the mean of the f_c where that is larger: chains frozen in two valleys show
    no scatter of f_c, but their common variance is not that of either.
    """
    values = np.asarray(formula(*without), dtype=np.float64)
    chains = len(values)
    mean = ordered_mean(values)
    spread = values - mean
    # summed along contiguous rows: the order then does not depend on how many points there are
    squares = np.ascontiguousarray(np.moveaxis(spread * spread, 0, -1))
    scatter = np.sqrt((chains - 1) / chains * squares.sum(axis=-1))
    return np.maximum(scatter, np.abs(value - mean))


def honest_error(blocks: Array, tau: Array | None, chains: Array | None, count: int) -> Float64:
    """The error from blocks, unless tau or the chains say that it is too small.

    Parameters
    ----------
    blocks
        Standard error from blocks in time.
    tau
        ``sqrt(2 tau variance / n)``, or None; taken where it exceeds 1.5 times the blocks.
    chains
        Error from the scatter of `count` chains, or None; taken where an F test at `FALSE_ALARM` says
        that it cannot come from the errors of the blocks.
    """
    error = np.asarray(blocks, dtype=np.float64)
    if tau is not None:
        error = np.where(np.nan_to_num(tau) > 1.5 * error, tau, error)
    if chains is not None and count > 1:
        error = np.where(chains > limit(count) * error, chains, error)
    return error


@cache
def limit(count: int) -> float:
    """How much larger than the blocks' error the scatter of `count` means is by chance, at most."""
    return float(np.sqrt(fisher.isf(FALSE_ALARM, count - 1, BLOCKS)))


def mean_error(means: Array) -> Float64:
    """``sd / sqrt(C)`` of means ``[chain, ...]``."""
    means = np.asarray(means, dtype=np.float64)
    return means.std(axis=0, ddof=1) / np.sqrt(len(means))

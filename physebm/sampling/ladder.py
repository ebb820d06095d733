"""Ladders of temperatures for replica exchange: the communication barrier, and where to put rungs.

The local rejection r between neighbouring rungs adds up to the barrier Lambda, which does not depend
on the ladder once it is fine; equal rejection along the ladder is the optimum of the non-reversible
scheme. Source: S. Syed, A. Bouchard-Cote, G. Deligiannidis, A. Doucet, J. R. Stat. Soc. B 84, 321
(2022), section 5.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy.interpolate import PchipInterpolator

MAX_RUNGS = 512


def local_barriers(rejection: np.ndarray) -> np.ndarray:
    """Barrier of each gap from its mean rejection.

    ``r`` for small rejections; a gap that rejects nearly always hides more than its r, and
    ``-log(1 - r)`` then says so (the next round sees the finer ladder and corrects it).
    """
    r = np.clip(np.asarray(rejection, dtype=np.float64), 0.0, 1.0 - 1e-4)
    return np.where(r < 0.5, r, np.maximum(r, -np.log1p(-r)))


def barrier(rejection: np.ndarray) -> float:
    """``Lambda = sum_k r_k``, the barrier between the ends of a ladder (small rejections)."""
    return float(np.sum(rejection))


def adapt(
    scanned: Sequence[float],
    betas: np.ndarray,
    rejection: np.ndarray,
    target: float,
    max_rungs: int = MAX_RUNGS,
) -> np.ndarray:
    """A ladder that keeps every scanned beta and rejects at most about `target` in every gap.

    Parameters
    ----------
    scanned
        Inverse temperatures that must be rungs, monotone.
    betas, rejection
        The present ladder ``[rung]`` (containing the scanned values, same order) and the mean
        rejection of its gaps ``[rung - 1]``.
    target
        Largest wanted rejection per gap.

    Returns
    -------
    Array
        New ladder in the order of `scanned`: inside each scanned interval the rungs stand at equal
        steps of the barrier, interpolated monotonically in beta.
    """
    scanned = np.asarray(scanned, dtype=np.float64)
    betas = np.asarray(betas, dtype=np.float64)
    cumulative = np.concatenate([[0.0], np.cumsum(np.maximum(local_barriers(rejection), 1e-9))])
    sign = 1.0 if betas[-1] > betas[0] else -1.0
    of_beta = PchipInterpolator(sign * betas, cumulative)
    of_barrier = PchipInterpolator(cumulative, betas)
    new = [scanned[0]]
    for low, high in zip(scanned[:-1], scanned[1:]):
        ends = of_beta(sign * np.array([low, high]))
        gaps = max(1, int(np.ceil((ends[1] - ends[0]) / target - 1e-9)))
        inner = of_barrier(np.linspace(ends[0], ends[1], gaps + 1)[1:-1])
        new += [*inner, high]
    return np.array(new if len(new) <= max_rungs else _thinned(new, scanned, max_rungs))


def _thinned(betas: list[float], scanned: np.ndarray, max_rungs: int) -> list[float]:
    """At most `max_rungs` of the rungs, every scanned one among them."""
    inserted = [b for b in betas if b not in scanned]
    keep = max(0, max_rungs - len(scanned))
    chosen = {inserted[i] for i in np.linspace(0, len(inserted) - 1, keep).astype(int)}
    return [b for b in betas if b in scanned or b in chosen]


def round_lengths(sweeps: int, rounds: int) -> list[int]:
    """Doubling rounds that fill `sweeps`: the last takes about half of them."""
    shares = 2.0 ** np.arange(rounds)
    lengths = np.floor(sweeps * shares / shares.sum()).astype(int)
    return [int(n) for n in lengths if n > 0]


def adapt_in_rounds(
    run_round: Callable[[np.ndarray, int], np.ndarray],
    scanned: Sequence[float],
    target: float,
    lengths: Sequence[int],
) -> np.ndarray:
    """The frozen ladder after doubling rounds; ``run_round(betas, sweeps) -> rejection``."""
    betas = np.asarray(scanned, dtype=np.float64)
    for sweeps in lengths:
        betas = adapt(scanned, betas, run_round(betas, sweeps), target)
    return betas

"""Ladders of temperatures for replica exchange: the communication barrier, and where to put rungs.

The *barrier* of a path of distributions is ``Lambda(beta) = int lambda``, where ``lambda dbeta`` is the
mean rejection r between neighbours dbeta apart: it adds up along the path, does not depend on the
ladder, and r = Delta Lambda to second order in the spacing. Equal rejection is the optimum of the
non-reversible scheme. Source: S. Syed, A. Bouchard-Cote, G. Deligiannidis, A. Doucet, J. R. Stat.
Soc. B 84, 321 (2022), section 5.

A coarse gap rejects less than its barrier. For Gaussian energies of constant variance sigma^2 (the
limit of large systems) the work of an exchange is normal with mean -s^2/2 and variance s^2 = 2 sigma^2
Delta beta^2, so that

    r = erf(sigma Delta beta / 2),    Delta Lambda = sigma Delta beta / sqrt(pi),

which gives ``Delta Lambda = 2 erfinv(r) / sqrt(pi)`` for a gap of any width, and r at small r.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.interpolate import PchipInterpolator
from scipy.special import erfinv

MAX_RUNGS = 512
# A gap that never let a walker through has a barrier of at least this rejection's.
LARGEST_REJECTION = 1.0 - 1e-4


def local_barriers(rejection: np.ndarray) -> np.ndarray:
    """``Delta Lambda`` of each gap from its mean rejection, by the Gaussian law of the module."""
    r = np.clip(np.asarray(rejection, dtype=np.float64), 0.0, LARGEST_REJECTION)
    return 2.0 / np.sqrt(np.pi) * erfinv(r)


def barrier(rejection: np.ndarray) -> float:
    """``Lambda = sum_k r_k``, the barrier between the ends of a ladder with small rejections."""
    return float(np.sum(rejection))


def cumulative_barrier(rejection: np.ndarray) -> np.ndarray:
    """``Lambda`` at every rung ``[rung]``, 0 at the first, with the correction for coarse gaps."""
    return np.concatenate([[0.0], np.cumsum(local_barriers(rejection))])


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
        Inverse temperatures that must be rungs, strictly monotone.
    betas, rejection
        The present ladder ``[rung]`` (containing the scanned values, same order) and the mean
        rejection of its gaps ``[rung - 1]``.
    target
        Largest wanted rejection per gap, in (0, 1).
    max_rungs
        Largest ladder; where it binds, the target is raised until the ladder fits. The scanned
        values stay even where they alone are more.

    Returns
    -------
    Array
        New ladder in the order of `scanned`: inside each scanned interval the rungs stand at equal
        steps of the barrier, interpolated monotonically (PCHIP) in beta.

    Raises
    ------
    ValueError
        when `betas` is not monotone, lacks a scanned value, or a rejection is missing.
    """
    scanned = np.asarray(scanned, dtype=np.float64)
    betas = np.asarray(betas, dtype=np.float64)
    _check(scanned, betas, rejection, target)
    if len(scanned) < 2:
        return scanned.copy()
    # strictly increasing, so that its inverse is a function
    Lambda = cumulative_barrier(rejection) + 1e-9 * np.arange(len(betas))
    beta_of = PchipInterpolator(Lambda, betas)
    ends = Lambda[[int(np.flatnonzero(betas == beta)[0]) for beta in scanned]]
    gaps = _gaps(np.diff(ends), float(local_barriers(target)), max_rungs)
    new = [scanned[:1]]
    for i, count in enumerate(gaps):
        new += [beta_of(np.linspace(ends[i], ends[i + 1], count + 1)[1:-1]), scanned[i + 1 : i + 2]]
    return np.concatenate(new)


def _gaps(barriers: np.ndarray, largest: float, max_rungs: int) -> np.ndarray:
    """Gaps per scanned interval, each at most `largest` wide unless that needs too many rungs."""

    def gaps(width: float) -> np.ndarray:
        return np.maximum(1, np.ceil(barriers / width - 1e-6)).astype(int)

    room = max(max_rungs - 1, len(barriers))
    if gaps(largest).sum() <= room:
        return gaps(largest)
    low, high = largest, max(largest, float(barriers.max()))
    while high - low > 1e-9 * high:
        middle = 0.5 * (low + high)
        low, high = (low, middle) if gaps(middle).sum() <= room else (middle, high)
    return gaps(high)


def _check(scanned, betas, rejection, target) -> None:
    steps = np.diff(betas)
    if not (np.all(steps > 0) or np.all(steps < 0)):
        raise ValueError(f"a ladder must be strictly monotone, got {betas}")
    if not np.isin(scanned, betas).all():
        raise ValueError(f"scanned values {scanned[~np.isin(scanned, betas)]} are not rungs")
    if np.shape(rejection) != (len(betas) - 1,) or not np.all(np.isfinite(rejection)):
        raise ValueError(f"{len(betas)} rungs need {len(betas) - 1} rejections, got {rejection}")
    if not 0.0 < target < 1.0:
        raise ValueError(f"target rejection {target}: expected a number between 0 and 1")


def round_lengths(sweeps: int, rounds: int) -> list[int]:
    """Doubling rounds that fill `sweeps`: the last takes about half of them."""
    shares = 2.0 ** np.arange(rounds)
    lengths = np.floor(sweeps * shares / shares.sum()).astype(int)
    return [int(n) for n in lengths if n > 0]

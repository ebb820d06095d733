"""Tempered small models, and their averages over independent ladders against exact values.

Every ladder has its own chain number, hence its own words: the spread of its time averages over
ladders is an honest error whatever the autocorrelation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from itertools import product

import numpy as np
from small_models import Small

from physebm.backends.base import Lanes
from physebm.model.energy import reduced_potential
from physebm.sampling.chain import PlanSampler
from physebm.sampling.tempering import Ladders, ParallelTempering, TemperingState

KEY = (0x13198A2E, 0x03707344)
WALKERS = 4096


def tempered(
    small: Small,
    ladders: int | Sequence[Sequence[int]],
    *,
    every: int = 1,
    backend: str = "numba",
    shared_words: bool = False,
) -> tuple[ParallelTempering, TemperingState]:
    """Ladders of the small model from random states.

    `ladders` are lists of rungs, or the number of ladders that have all of them. With `shared_words`
    the walkers of a ladder have one number, and so the same random words at every temperature.
    """
    coefficients = small.launch.coefficients
    if isinstance(ladders, int):
        ladders = [range(coefficients.rungs)] * ladders
    count = len(ladders)
    keys = np.tile(np.array(KEY, dtype=np.uint32), (count, 1))
    described = Ladders.of([np.array(rows) for rows in ladders], keys, np.arange(count))
    place = np.zeros_like(described.position) if shared_words else described.position
    lanes = Lanes(
        np.zeros(len(described.row)),
        described.row,
        WALKERS * described.ladder + place,
        keys[described.ladder],
    )
    inner = PlanSampler(small.kernels(backend), small.launch)
    sampler = ParallelTempering(inner, described, coefficients, every)
    return sampler, sampler.init(small.random_state(lanes), lanes)


def averages(
    sampler: ParallelTempering,
    state: TemperingState,
    f: Callable[[TemperingState], np.ndarray],
    *,
    discard: int,
    draws: int,
    every: int,
) -> np.ndarray:
    """Time averages of ``f(state) -> [ladder, ...]`` for every ladder, after `discard` sweeps."""
    state = sampler.step(state, discard)
    total = 0.0
    for _ in range(draws):
        state = sampler.step(state, every)
        total = total + f(state)
    return total / draws


def deviations(samples: np.ndarray, exact: np.ndarray) -> np.ndarray:
    """z of the mean over ladders (first axis) from the exact values."""
    error = samples.std(axis=0, ddof=1) / np.sqrt(len(samples))
    return ((samples.mean(axis=0) - exact) / error).ravel()


def assert_agree(z: np.ndarray) -> None:
    """The family rule: max |z| <= 4.5, and honest error bars where they can be judged."""
    assert np.abs(z).max() <= 4.5, f"largest deviation {np.abs(z).max():.1f} sigma"
    if len(z) >= 40:
        assert 0.5 <= np.mean(z**2) <= 1.6


def assert_detected(z: np.ndarray) -> None:
    """What `assert_agree` compares is off by more than 8 sigma, so that it fails."""
    assert np.abs(z).max() > 8.0, f"missed: largest deviation {np.abs(z).max():.1f} sigma"


def by_slot(state: TemperingState, values: np.ndarray, rungs: int) -> np.ndarray:
    """Values per walker as ``[ladder, rung, ...]``."""
    return values[state.lane_of].reshape(-1, rungs, *values.shape[1:])


def spin_moments(state: TemperingState, rungs: int) -> np.ndarray:
    """``s_i`` and ``s_i s_j`` (i < j) of the group s, ``[ladder, rung, moment]``."""
    return _moments(by_slot(state, state.configurations.x["s"], rungs).astype(np.float64))


def _moments(s: np.ndarray) -> np.ndarray:
    i, j = np.triu_indices(s.shape[-1], 1)
    return np.concatenate([s, s[..., i] * s[..., j]], axis=-1)


@cache
def _states(units: int) -> np.ndarray:
    return np.array(list(product((-1, 1), repeat=units)), dtype=np.int8)


def enumerated(small: Small, instance: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Exact ``s_i, s_i s_j`` ``[rung, moment]``, ``<H> [rung]`` and ``<s_i s_j> [rung, i, j]``.

    Sums over all states of a model of one Ising group s, from its definition in `model.energy`.
    """
    s = _states(small.hamiltonian.group("s").size)
    coefficients = small.launch.coefficients
    u = reduced_potential(
        small.hamiltonian, small.params, coefficients, {"s": s}, np.full(len(s), instance)
    )
    p = np.exp(-(u - u.min(axis=0)))
    p /= p.sum(axis=0)
    x = s.astype(np.float64)
    energy = (p * u).sum(axis=0) / coefficients.beta
    return p.T @ _moments(x), energy, np.einsum("sk,si,sj->kij", p, x, x, optimize=True)

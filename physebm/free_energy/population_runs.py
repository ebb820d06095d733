"""Populations of walkers along a path: resampled at every row, with their families.

What `population` makes an estimate of, and judges; definitions are there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from physebm.backends.base import Backend
from physebm.free_energy.path import Path
from physebm.free_energy.schedule import offset
from physebm.free_energy.walkers import Progress, Walkers
from physebm.free_energy.weights import systematic
from physebm.observables.reweighting import effective_sample_size, log_mean_exp

# Blocks of families for the error of a run, which is then good to 16 per cent.
BLOCKS = 20
# What rounding the edges of blocks to whole walkers makes of an error, at most, times R.
GRAIN = 0.5 * (BLOCKS * BLOCKS / (BLOCKS - 1.0)) ** 0.5


@dataclass(frozen=True)
class Populations:
    """What independent runs recorded.

    Attributes
    ----------
    log_z
        ``log Z_k`` of every row ``[run, row]``, absolute: ``log Z_0`` is exact, in both directions.
    family
        Origin of the walkers at the end, ``[run, walker]``.
    energies
        Term energies averaged over the population after the sweeps at each row, ``[run, row, term]``.
    effective
        Effective sample size of each step, as a share of R, ``[run, row - 1]``.
    ends
        Configurations at the last row walked ``{group: x[run * walker, unit]}``, run after run.
    final
        Their term energies, ``[run, walker, term]``.
    """

    log_z: np.ndarray
    family: np.ndarray
    energies: np.ndarray
    effective: np.ndarray
    ends: Mapping[str, np.ndarray]
    final: np.ndarray


@dataclass(frozen=True)
class Families:
    """Family statistics, and the error of log Z from blocks of families; ``[run]`` each."""

    rho_t: np.ndarray
    rho_s: np.ndarray
    surviving: np.ndarray
    stderr: np.ndarray


def populations(
    path: Path,
    backend: Backend,
    key: tuple[int, int],
    runs: int,
    population: int,
    sweeps: int = 1,
    progress: Progress | None = None,
    start: Mapping[str, np.ndarray] | None = None,
) -> Populations:
    """Independent runs of R = `population` walkers along the rows of a path, in one call.

    With `start`, draws of the last row ``{group: x[run * walker, unit]}``, they go back to row 0: then
    ``<Z_0 / Z_K>`` is exact, and log Z is high by half its relative variance.
    """
    walkers = Walkers(path, backend, key, runs * population)
    order = list(range(path.rows))
    if start is None:
        walkers.draw()
    else:
        walkers.place(start)
        order.reverse()
    rows, terms = path.rows, walkers.energies.shape[1]
    log_z = np.full((runs, rows), path.base_log_z)
    energies, effective = np.empty((runs, rows, terms)), np.empty((runs, rows - 1))
    family = np.tile(np.arange(population), (runs, 1))
    energies[:, order[0]] = walkers.energies.reshape(runs, population, terms).mean(axis=1)
    first = population * np.arange(runs)[:, None]
    for step in range(1, rows):
        before, k = order[step - 1 : step + 1]
        log_w = -walkers.work(before, k).reshape(runs, population)
        log_z[:, k] = log_z[:, before] + log_mean_exp(log_w)
        effective[:, min(before, k)] = effective_sample_size(log_w) / population
        parents = np.stack([systematic(each, offset(key, r, step)) for r, each in enumerate(log_w)])
        family = np.take_along_axis(family, parents, axis=1)
        walkers.copy((first + parents).reshape(-1))
        walkers.move(k, sweeps)
        energies[:, k] = walkers.energies.reshape(runs, population, terms).mean(axis=1)
        if progress is not None:
            progress(step, rows - 1)
    if start is not None:
        log_z += path.base_log_z - log_z[:, :1]
    final = walkers.energies.reshape(runs, population, terms)
    return Populations(log_z, family, energies, effective, walkers.state.x, final)


def families(family: np.ndarray, effective: np.ndarray | None = None) -> Families:
    """Family statistics of origins ``[run, walker]``.

    Shares are multiples of 1/R, so that those of blocks tell no error below `GRAIN` / R: rounding
    their edges makes as much, or leaves nothing. With `effective` shares of the steps
    ``[run, step]`` such an error is at least ``sqrt(sum_k (1/effective_k - 1) / R)``, that of steps
    which know nothing of each other.
    """
    R = family.shape[1]
    shares = np.stack([np.bincount(each, minlength=R) for each in family]) / R
    rho_t = R * np.sum(shares**2, axis=1)
    entropy = -np.sum(shares * np.log(np.where(shares > 0, shares, 1.0)), axis=1)
    blocks = min(BLOCKS, R)
    edges = np.linspace(0, R, blocks + 1).astype(int)
    excess = np.add.reduceat(shares - 1.0 / R, edges[:-1], axis=1)
    stderr = np.sqrt(blocks / (blocks - 1.0) * np.sum(excess**2, axis=1))
    if effective is not None:
        of_steps = np.sqrt(np.sum(np.maximum(1.0 / effective - 1.0, 0.0), axis=1) / R)
        stderr = np.where(stderr < GRAIN / R, np.maximum(stderr, of_steps), stderr)
    return Families(rho_t, R / np.exp(entropy), np.count_nonzero(shares, axis=1), stderr)


def weighted_average(values: np.ndarray, log_z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Average over runs with weights Z, and its error, of ``values [run, ...]`` and ``log_z [run]``.

    ``<A> = sum_r Z_r A_r / sum_r Z_r``: the bias of a population average goes down with the number
    of runs as it would with R. Its error is ``sqrt(M/(M-1) sum_r omega_r^2 (A_r - <A>)^2)`` for M runs
    with normalised weights omega; NaN for one.
    """
    values = np.asarray(values, dtype=np.float64)
    share = np.exp(log_z - log_mean_exp(log_z)) / len(log_z)
    mean = np.tensordot(share, values, axes=1)
    runs = len(values)
    if runs < 2:
        return mean, np.full(mean.shape, np.nan)
    variance = np.tensordot(share**2, (values - mean) ** 2, axes=1) * runs / (runs - 1)
    return mean, np.sqrt(variance)

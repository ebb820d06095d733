"""Replica exchange over the rows of a path, recorded for estimators of log Z.

Ladders of replicas stand at the rows of a path and exchange neighbours; each of the *chains* is one
ladder, independent of the others. Row 0 is recorded from walkers of its own that take no part in the
exchange: one sweep there is an exact and independent draw, whatever the ladder does. Every other chain
starts cold, from a quench or, every second of them, from given configurations (data, patterns), so that
a phase which the random starts never find, or cannot leave, shows as a disagreement.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from physebm.backends.base import Backend, Lanes, launch
from physebm.errors import StudyError
from physebm.free_energy.path import Path, placed
from physebm.free_energy.walkers import Progress
from physebm.lowering.operands import bind
from physebm.lowering.pipeline import Options, lower
from physebm.model.params import Coefficients
from physebm.model.terms import Square
from physebm.rng.streams import key_of
from physebm.sampling import initial
from physebm.sampling.chain import PlanSampler
from physebm.sampling.ladder import adapt, round_lengths
from physebm.sampling.tempering import Ladders, ParallelTempering, mean_acceptance, reset

# Smallest rejection that rows are placed by.
TINY = 1e-3
# The quench of cold starts: sweeps, and the factor of the last row's couplings.
QUENCH, COLDER = 32, 10.0


@dataclass(frozen=True)
class TemperedRun:
    """What a tempered run recorded.

    Attributes
    ----------
    energies
        Term energies ``E_t [row, chain, draw, term]``; chains independent, draws in order of time.
    cold
        Which chains had the cold start, ``[chain]``.
    trips, acceptance
        Round trips ``[chain]`` and mean exchange probabilities ``[gap]``; None where not known.
    early
        ``u`` of the last row in the discarded sweeps, ``[chain, sweep]``; None where not known.
    measured
        What was measured beside the energies, ``[row, chain, draw]``; None where nothing was.
    """

    energies: np.ndarray
    cold: np.ndarray
    trips: np.ndarray | None = None
    acceptance: np.ndarray | None = None
    early: np.ndarray | None = None
    measured: np.ndarray | None = None

    def take(self, chains) -> TemperedRun:
        """The run of some of its chains; the acceptance stays that of all."""
        return replace(
            self,
            energies=self.energies[:, chains],
            cold=self.cold[chains],
            trips=None if self.trips is None else self.trips[chains],
            early=None if self.early is None else self.early[chains],
            measured=None if self.measured is None else self.measured[:, chains],
        )


def record(
    path: Path,
    backend: Backend,
    seed: int = 0,
    name: tuple[object, ...] = (),
    *,
    chains: int = 8,
    sweeps: int = 4096,
    discard: int = 1024,
    every: int = 1,
    starts: Mapping[str, np.ndarray] | None = None,
    measure: Callable[[Mapping[str, np.ndarray]], np.ndarray] | None = None,
    progress: Progress = lambda done, count: None,
) -> TemperedRun:
    """Replica exchange over the rows of a path, an exchange after every sweep.

    Memory: ``8 rows chains draws terms`` bytes.

    Parameters
    ----------
    seed, name
        What the random words are addressed by.
    chains
        Independent ladders; every other one starts cold.
    sweeps, discard, every
        Sweeps after the discarded ones, and between two draws.
    starts
        Configurations ``{group: x[any, unit]}``, such as data or a pattern, for the first, third, ...
        of the cold chains; groups without one keep the states of the quench.
    measure
        ``{group: x[row, chain, unit]} -> [row, chain]``, taken with every draw.
    progress
        Called with sweeps done, discarded ones too, and sweeps in all.

    Raises
    ------
    StudyError
        where an energy is not finite; names row and chain.
    """
    rows, draws = path.rows, sweeps // every
    inner, table = _sampler(path, backend, chains)
    ladders, slots, lanes = _layout(rows, chains, key_of(seed, "tempered", *name))
    sampler = ParallelTempering(inner, ladders, table)
    cold = np.arange(chains) % 2 == 1
    chain = ladders.chain[ladders.ladder]
    given = cold & (np.arange(chains) % 4 == 1)
    configurations, spent = _started(inner, lanes, path, cold[chain], given[chain], starts)
    state = sampler.init(configurations, lanes)
    state.sweep = spent
    early = np.empty((chains, discard))
    for d in range(discard):
        state = sampler.step(state, 1)
        progress(d + 1, discard + draws * every)
        early[:, d] = path.potentials(state.energies[state.lane_of[slots[-1]]])[:, -1]
    state = reset(state)
    energies = np.empty((rows, chains, draws, state.energies.shape[1]))
    measured = None if measure is None else np.empty((rows, chains, draws))
    for d in range(draws):
        state = sampler.step(state, every)
        progress(discard + (d + 1) * every, discard + draws * every)
        at = state.lane_of[slots]
        energies[:, :, d] = state.energies[at]
        if measured is not None:
            measured[:, :, d] = measure({name: x[at] for name, x in state.configurations.x.items()})
    check_finite(path, energies)
    tempered_slots = np.flatnonzero(ladders.ladder < chains).reshape(chains, rows)
    trips = state.trips[state.lane_of[tempered_slots]].sum(axis=1)
    acceptance = mean_acceptance(state)[tempered_slots].mean(axis=0)[:-1]
    return TemperedRun(energies, cold, trips, acceptance, early, measured)


def _sampler(path: Path, backend: Backend, chains: int) -> tuple[PlanSampler, Coefficients]:
    """The heat bath over all rows, and behind them the row of the quench."""
    lanes = chains * (path.rows + 1)
    plan = lower(path.hamiltonian, Options.of(path.params, lanes=lanes))
    last = path.coefficients.value[-1:]
    # a colder row of continuous units need not have a normalisable weight
    colder = COLDER if all(group.prior.discrete for group in path.hamiltonian.groups) else 1.0
    prior = [isinstance(term, Square) for term in path.hamiltonian.terms]
    value = np.concatenate([path.coefficients.value, np.where(prior, last, colder * last)])
    table = Coefficients(np.append(path.coefficients.beta, np.nan), value, 0.0 * value, 0.0 * value)
    operands = bind(plan, path.hamiltonian, path.params)
    return PlanSampler(backend.compile(plan), launch(plan, operands, table)), table


def _layout(rows: int, chains: int, key) -> tuple[Ladders, np.ndarray, Lanes]:
    """Ladders of all rows, then ladders of row 0 alone; the slots to record ``[row, chain]``."""
    keys = np.array([key] * (2 * chains), dtype=np.uint32)
    chain = np.tile(np.arange(chains), 2)
    ladders = Ladders.of([np.arange(rows)] * chains + [np.arange(1)] * chains, keys, chain)
    slots = np.arange(rows * chains).reshape(chains, rows).T.copy()
    slots[0] = rows * chains + np.arange(chains)
    count = len(ladders.row)
    lanes = Lanes(np.zeros(count), ladders.row.copy(), np.arange(count), keys[ladders.ladder])
    return ladders, slots, lanes


def _started(inner: PlanSampler, lanes: Lanes, path: Path, cold, given, starts):
    """Configurations of all lanes, exact draws of row 0 or cold, and the sweeps spent on them.

    `cold` lanes are quenched, and those of them that are `given` go to the starts, where there are any.
    """
    plan = inner.kernels.plan
    state = initial.empty(plan, len(lanes))
    for g, group in enumerate(plan.groups):
        edge = path.params.lower.get(group.name)
        lower = 0.0 if edge is None else edge[0]
        state.x[group.name][:] = initial.random(plan, lanes, g, slice(None), 1.0, lower)
    lanes.rung[:] = 0
    chain = inner.step(inner.init(state, lanes), 1)
    lanes.rung[cold] = path.rows
    chain = inner.step(chain, QUENCH)
    x = chain.configurations.x
    for name, states in (starts or {}).items():
        x[name][given] = states[np.arange(given.sum()) % len(states)]
    return chain.configurations, chain.sweep


def check_finite(path: Path, energies: np.ndarray) -> None:
    """Raise `StudyError` for an energy ``[row, chain, draw, term]`` that is not finite."""
    bad = np.argwhere(~np.isfinite(energies))
    if len(bad):
        row, chain, draw, _ = bad[0]
        factor = path.coefficients.beta[row]
        raise StudyError(
            f"log Z by tempering: an energy that is not finite, row {row} (factor {factor:g}), "
            f"chain {chain}, draw {draw}; the weight may not be normalisable there"
        )


def equalised(
    path: Path,
    backend: Backend,
    seed: int = 0,
    name: tuple[object, ...] = (),
    *,
    chains: int = 8,
    sweeps: int = 1024,
    rounds: int = 4,
    acceptance: float = 0.7,
) -> Path:
    """The path with rows such that all exchanges have equal acceptances, at least about the given one.

    As many rows as that takes, and no fewer than the path has. Rounds of doubling length, the last
    about half of all sweeps; each starts afresh and discards a half.
    """
    adapted = path
    for number, length in enumerate(round_lengths(sweeps, rounds)):
        half = max(2, length // 2)
        run = record(
            adapted, backend, seed, (*name, "rows", number), chains=chains, sweeps=half, discard=half
        )
        betas, target = adapted.coefficients.beta, 1.0 - acceptance
        factors = adapt(betas[[0, -1]], betas, 1.0 - run.acceptance, target)
        while len(factors) < path.rows and target > TINY:
            target *= 0.9
            factors = adapt(betas[[0, -1]], betas, 1.0 - run.acceptance, target)
        adapted = placed(path, factors)
    return adapted

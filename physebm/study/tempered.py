"""A tempered task: one ladder per (cell, start, chain), adapted while discarding, then frozen.

Points of a cell that share a start and differ in temperature are rungs of one ladder; inserted rungs
carry walkers but are not reported. The ladder of a sample is adapted from its own chains alone, so
that samples do not depend on what else is in the batch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from physebm.backends.base import Lanes
from physebm.model.params import Coefficients
from physebm.sampling.ladder import adapt, cumulative_barrier, round_lengths
from physebm.sampling.tempering import (
    Ladders,
    ParallelTempering,
    TemperingState,
    mean_acceptance,
    reset,
)
from physebm.study import setup

# Walker numbers of one chain start at a multiple of this.
WALKERS_PER_CHAIN = 4096


@dataclass(frozen=True)
class Group:
    """Points of one cell and one start, coldest first."""

    cell: int
    points: tuple[int, ...]
    temperatures: tuple[float, ...]
    key: tuple[int, int]


def groups_of(prepared: setup.Prepared) -> list[Group]:
    """The groups of a task in the order of their first points."""
    points = prepared.task.points
    held: dict[tuple, list[int]] = {}
    for p, point in enumerate(points):
        held.setdefault((int(prepared.instance_of_point[p]), point.start), []).append(p)
    groups = []
    for (cell, _), members in held.items():
        members = sorted(members, key=lambda p: points[p].temperature)
        temperatures = tuple(points[p].temperature for p in members)
        key = points[members[0]].key(prepared.study.seed, True)
        groups.append(Group(cell, tuple(members), temperatures, key))
    return groups


def begin(
    prepared: setup.Prepared, known: Mapping[str, np.ndarray] | None = None
) -> tuple[ParallelTempering, TemperingState, list[np.ndarray]]:
    """The tempering sampler, its state, and its frozen ladders (temperatures by group).

    Ladders are adapted in rounds, or taken from a checkpoint's `ladder_arrays`.
    """
    groups = groups_of(prepared)
    tempering = prepared.study.tempering
    if known is not None:
        ladders = np.split(known["temperature"], np.cumsum(known["rungs"])[:-1])
        return *_start(prepared, groups, ladders, None, None), ladders
    ladders = [np.array(group.temperatures) for group in groups]
    sampler, state = _start(prepared, groups, ladders, None, None)
    if tempering.ladder == "adaptive":
        for sweeps in round_lengths(prepared.task.schedule.discard // 2, tempering.rounds):
            state = sampler.step(state, sweeps)
            refined = _refined(prepared, sampler, state, groups, ladders)
            sampler, state = _start(prepared, groups, refined, state, ladders)
            ladders = refined
    return sampler, reset(state), ladders


def ladder_arrays(ladders: list[np.ndarray]) -> dict[str, np.ndarray]:
    """Ragged ladders as two flat arrays."""
    return {"temperature": np.concatenate(ladders), "rungs": np.array([len(t) for t in ladders])}


def _refined(prepared, sampler, state, groups, ladders) -> list[np.ndarray]:
    target = 1.0 - prepared.study.tempering.acceptance
    new = []
    for group, temperatures, rejection in zip(
        groups, ladders, _rejections(prepared, sampler, state, groups)
    ):
        if np.isnan(rejection).any():
            # too short a round to try every gap says nothing of the others either
            new.append(temperatures)
            continue
        scanned = 1.0 / np.array(group.temperatures)
        betas = adapt(scanned, 1.0 / temperatures, rejection, target)
        # scanned temperatures stay exactly what the study says
        new.append(_exact(1.0 / betas, betas, scanned, group.temperatures))
    return new


def _exact(temperatures, betas, scanned, given: Sequence[float]) -> np.ndarray:
    for beta, temperature in zip(scanned, given):
        temperatures[betas == beta] = temperature
    return temperatures


def _rejections(prepared, sampler, state, groups) -> list[np.ndarray]:
    """Mean rejection of every gap of each group's ladder, its chains pooled; NaN if never tried."""
    chains = prepared.study.sample.chains
    ladder = sampler.ladders.ladder
    found = []
    for g in range(len(groups)):
        slots = np.stack([np.flatnonzero(ladder == g * chains + c) for c in range(chains)])
        attempts = state.attempts[slots].sum(axis=0)[:-1]
        accepted = state.accepted[slots].sum(axis=0)[:-1]
        unknown = np.full(len(attempts), np.nan)
        found.append(1.0 - np.divide(accepted, attempts, out=unknown, where=attempts > 0))
    return found


def _start(prepared, groups, ladders, old_state, old_ladders):
    """Sampler and state for given ladders; walkers continue from the nearest old rung, if any."""
    chains = prepared.study.sample.chains
    coefficients, rows = _coefficients(prepared, groups, ladders)
    per_ladder = [row for row in rows for _ in range(chains)]
    keys = np.array([group.key for group in groups for _ in range(chains)], dtype=np.uint32)
    described = Ladders.of(per_ladder, keys, np.tile(np.arange(chains), len(groups)))
    lanes, point_of = _lanes(prepared, groups, ladders, described)
    sampler = ParallelTempering(
        prepared.sampler(coefficients), described, coefficients, prepared.study.tempering.every
    )
    chain_of = described.chain[described.ladder]
    x = setup.initial_states(prepared, lanes, point_of, chain_of)
    if old_state is not None:
        source = _nearest(groups, ladders, old_ladders, chains)
        for name, values in old_state.configurations.x.items():
            x.x[name][:] = values[old_state.lane_of[source]]
    state = sampler.init(x, lanes)
    if old_state is not None:
        state.sweep = old_state.sweep
    return sampler, state


def _coefficients(prepared, groups, ladders) -> tuple[Coefficients, list[np.ndarray]]:
    """One row per distinct (parameters, temperature), and the rows of every ladder."""
    known: dict[tuple[int, float], int] = {}
    parts, rows = [], []
    for group, temperatures in zip(groups, ladders):
        loaded = prepared.task.points[group.points[0]].loaded
        new = [float(t) for t in temperatures if (id(loaded), float(t)) not in known]
        if new:
            for t in new:
                known[id(loaded), t] = len(known)
            parts.append(loaded.coefficients(new))
        rows.append(np.array([known[id(loaded), float(t)] for t in temperatures]))
    return setup.join(parts), rows


def _lanes(prepared, groups, ladders, described: Ladders) -> tuple[Lanes, np.ndarray]:
    chains = prepared.study.sample.chains
    cell = np.array([group.cell for group in groups for _ in range(chains)])
    point_of = np.concatenate(
        [
            np.array(group.points)[
                np.abs(np.log(t[:, None] / np.array(group.temperatures))).argmin(axis=1)
            ]
            for group, t in zip(groups, ladders)
            for _ in range(chains)
        ]
    )
    walker = WALKERS_PER_CHAIN * described.chain[described.ladder].astype(np.int64)
    lanes = Lanes(
        cell[described.ladder],
        described.row,
        walker + described.position,
        described.key[described.ladder],
        setup.clamp_masks(prepared, len(described.row)),
    )
    return lanes, point_of


def _nearest(groups, ladders, old_ladders, chains: int) -> np.ndarray:
    """For every new slot the old slot of the same ladder whose temperature is nearest."""
    source, offset = [], 0
    for _, new, old in zip(groups, ladders, old_ladders):
        place = np.abs(np.log(new[:, None] / old[None, :])).argmin(axis=1)
        for _ in range(chains):
            source.append(offset + place)
            offset += len(old)
    return np.concatenate(source)


def slots_of_points(sampler: ParallelTempering, prepared: setup.Prepared) -> np.ndarray:
    """The slot of each (point, chain): the rung of its ladder whose temperature is its own."""
    chains = prepared.study.sample.chains
    slots = np.empty((len(prepared.task.points), chains), dtype=np.int64)
    beta = sampler.coefficients.beta[sampler.ladders.row]
    for g, group in enumerate(groups_of(prepared)):
        for c in range(chains):
            held = np.flatnonzero(sampler.ladders.ladder == g * chains + c)
            for p, temperature in zip(group.points, group.temperatures):
                slots[p, c] = held[np.flatnonzero(beta[held] == 1.0 / temperature)[0]]
    return slots


def report(sampler, state: TemperingState, prepared: setup.Prepared) -> dict[str, np.ndarray]:
    """Per point the report of its ladder: acceptances, temperatures, round trips, barrier."""
    chains = prepared.study.sample.chains
    groups = groups_of(prepared)
    ladder = sampler.ladders.ladder
    longest = max(int((ladder == k).sum()) for k in range(len(groups) * chains))
    points = len(prepared.task.points)
    swap = np.full((points, longest - 1), np.nan)
    temperature = np.full((points, longest), np.nan)
    trips, total = np.zeros(points), np.zeros(points)
    mean = mean_acceptance(state)
    beta = sampler.coefficients.beta[sampler.ladders.row]
    for g, group in enumerate(groups):
        slots = np.stack([np.flatnonzero(ladder == g * chains + c) for c in range(chains)])
        rungs = slots.shape[1]
        for p in group.points:
            swap[p, : rungs - 1] = mean[slots].mean(axis=0)[:-1]
            temperature[p, :rungs] = 1.0 / beta[slots[0]]
            trips[p] = state.trips[state.lane_of[slots]].sum()
            total[p] = cumulative_barrier(1.0 - mean[slots].mean(axis=0)[:-1])[-1]
    return {
        "tempering/swap_acceptance": swap,
        "tempering/ladder_temperature": temperature,
        "tempering/round_trips": trips,
        "tempering/barrier": total,
    }

"""Data of a teacher: samples of a declared model with known couplings, for a student to learn from.

A tempered teacher samples by replica exchange: one ladder per chain, its rungs the model with H scaled
from 1 to 0 by factors that are chosen from its own exchanges.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from physebm.backends.base import Lanes, launch
from physebm.backends.select import select
from physebm.data.dataset import INEFFICIENCY, DataSet
from physebm.free_energy.path import scaled, scaled_path
from physebm.free_energy.tempered_run import equalised
from physebm.learning.record_chains import principal_directions
from physebm.lowering.operands import bind
from physebm.lowering.pipeline import Options, lower
from physebm.model.hamiltonian import Hamiltonian
from physebm.model.params import Params
from physebm.model.roles import visible_groups
from physebm.model.statistics import moments_of_states
from physebm.observables.correlation import integrated_time
from physebm.rng.streams import key_of
from physebm.sampling import initial
from physebm.sampling.chain import PlanSampler
from physebm.sampling.tempering import Ladders, ParallelTempering
from physebm.schema.data_declarations import DataDeclaration
from physebm.schema.declarations import ModelDeclaration
from physebm.schema.load import Loaded, load

# The ladder of a tempered teacher: H scaled from 1 to 0, in as many steps as exchanges of this
# probability need; rungs and chains that this is found out with.
ACCEPTANCE, FIRST_RUNGS, TRIAL_CHAINS = 0.4, 8, 16
# Draws of a chain from which a correlation time can be read; rows whose components are formed.
LEAST_DRAWS, MOST_ROWS = 8, 1000


def teacher_data(
    declared: DataDeclaration,
    models: Mapping[str, ModelDeclaration],
    seed: int,
    realisation: int,
    backend: str,
) -> tuple[DataSet, dict[str, np.ndarray]]:
    """Samples of a declared model with known couplings, and its arrays.

    Sample s is draw ``s // chains`` of chain ``s % chains``: more samples extend fewer ones. The words
    depend on the teacher alone, so that all students of one teacher see the same data.
    """
    loaded = load(models[declared.model], declared.set)
    H = loaded.hamiltonian
    params = loaded.params(seed, realisation)
    sampler, lanes, plan = teacher_sampler(declared, loaded, params, seed, realisation, backend)
    state = initial.empty(plan, len(lanes))
    rows = np.arange(len(lanes))
    for g, group in enumerate(plan.groups):
        lower = params.lower.get(group.name)
        low = 0.0 if lower is None else lower[0]
        state.x[group.name][:] = initial.random(plan, lanes, g, rows, 1.0, low)
    chain_state = sampler.step(sampler.init(state, lanes), declared.discard)
    draws = []
    while sum(map(len, draws)) < declared.samples:
        chain_state = sampler.step(chain_state, declared.every)
        x = chain_state.configurations.x
        here = slice(None)
        if declared.tempering:
            here = chain_state.lane_of[sampler.ladders.position == 0]
        draws.append(np.concatenate([x[name][here] for name in visible_groups(H)], axis=1))
    values = np.concatenate(draws)[: declared.samples]
    arrays = {name: x[0] for name, x in params.arrays.items()}
    attrs = {INEFFICIENCY: _inefficiency(H, np.stack(draws))}
    return DataSet(values, source=declared.model, attrs=attrs), arrays


def _inefficiency(hamiltonian: Hamiltonian, x: np.ndarray) -> float:
    """How many of a teacher's samples ``x [draw, chain, unit]`` count as one.

    2 tau of the slowest of the magnetisation and the principal components; 1 where a chain has too few
    draws to tell.
    """
    draws, chains, units = x.shape
    if draws < LEAST_DRAWS:
        return 1.0
    flat, start, parts = x.reshape(-1, units), 0, []
    for group in hamiltonian.counted:
        held = moments_of_states(hamiltonian, group.name, flat[:, start : start + group.size])
        parts.append(held.first)
        start += group.size
    features = np.concatenate(parts, axis=1)
    spread = features[:: max(1, len(features) // MOST_ROWS)][:MOST_ROWS]
    directions = [np.full((features.shape[1], 1), 1.0 / features.shape[1])]
    directions.append(principal_directions(spread))
    series = (features @ np.concatenate(directions, axis=1)).T.reshape(-1, draws, chains)
    tau = integrated_time(series.swapaxes(1, 2)).tau
    return float(max(1.0, 2.0 * np.nanmax(tau, initial=0.5)))


def teacher_sampler(declared, loaded: Loaded, params: Params, seed, realisation, backend):
    """A sampler, its lanes (tempered: one ladder per chain) and plan."""
    own = [part for name in sorted(declared.set) for part in (name, declared.set[name].text)]
    address = ("teacher", declared.model, *own, declared.temperature, realisation)
    row, factors = loaded.coefficients([declared.temperature]), np.ones(1)
    if declared.tempering:
        factors = _factors(declared, loaded.hamiltonian, params, row, seed, address, backend)
    coefficients = scaled(loaded.hamiltonian, row, factors)
    rungs, chains = len(factors), declared.chains
    plan = lower(loaded.hamiltonian, Options.of(params, lanes=rungs * chains))
    operands = bind(plan, loaded.hamiltonian, params)
    kernels = select(backend).compile(plan)
    key = key_of(seed, *address)
    keys = np.array([key], dtype=np.uint32)
    count = rungs * chains
    zeros = np.zeros(count)
    lanes = Lanes(zeros, zeros, np.arange(count), np.repeat(keys, count, axis=0))
    inner = PlanSampler(kernels, launch(plan, operands, coefficients))
    if rungs == 1:
        return inner, lanes, plan
    ladders = Ladders.of(
        [np.arange(rungs)] * chains, np.repeat(keys, chains, axis=0), np.arange(chains)
    )
    return ParallelTempering(inner, ladders, coefficients), lanes, plan


def _factors(declared, hamiltonian, params, row, seed, address, backend) -> np.ndarray:
    """Factors of H from 1 to 0 whose neighbours exchange with probability `ACCEPTANCE` or more.

    Found on as many sweeps as the half of the discarded ones, like the ladder of [tempering].
    """
    path = scaled_path(hamiltonian, params, row, np.linspace(0.0, 1.0, FIRST_RUNGS))
    found = equalised(
        path,
        select(backend),
        seed,
        address,
        chains=min(declared.chains, TRIAL_CHAINS),
        sweeps=declared.discard // 2,
        acceptance=ACCEPTANCE,
    )
    return found.coefficients.beta[::-1]

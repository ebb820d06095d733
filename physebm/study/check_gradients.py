"""`physebm check`, learning: the gradient of every trainable array against log Z, and by the kernels.

Two rows: "gradient, log Z" holds the exact statistics S against finite differences of log Z (less the
log-normalisers of continuous priors, which cancel in a gradient); "gradient, sampled" holds S of exact
samples that the compiled kernels have swept, hidden units integrated where they factorise, against
the exact S, by the largest |t| over all entries. The plan is that of a training with as many chains.
"""

from __future__ import annotations

import numpy as np
from scipy.stats import t as student

from physebm.backends.base import Lanes, launch
from physebm.backends.select import select
from physebm.free_energy.exact import ExactAverages
from physebm.learning.trainable import trained_slots
from physebm.lowering.operands import bind
from physebm.lowering.pipeline import Options, lower
from physebm.model.conditionals import Conditionals
from physebm.model.energy import log_normalisers
from physebm.model.params import Params
from physebm.model.roles import factorises, hidden_groups, visible_groups
from physebm.model.statistics import RowAverages, statistics
from physebm.rng.streams import key_of
from physebm.sampling import initial
from physebm.sampling.chain import PlanSampler
from physebm.schema.load import Loaded
from physebm.study.check_statistics import Found
from physebm.theory.enumeration import Exact, enumerate_states, sample_exact

STEP = 1e-4
# Entries of one array that are compared with finite differences; each costs four enumerations.
PLACES = 8
BATCHES, LANES, SWEEPS = 64, 12_800, 3
# Chains of slower backends; their plans are those of `LANES`.
FEWER = {"cuda-host": 640}
# Relative to 1 + |S|: truncation of the fourth-order difference and rounding of log Z.
TOLERANCE = 1e-7


def exact_statistics(exact: Exact, params: Params) -> dict[str, np.ndarray]:
    """``S`` of every trainable array at the first rung of an enumeration."""
    H = exact.hamiltonian
    c = exact.coefficients.value[0]
    return statistics(H, params, ExactAverages(exact), c, trained_slots(H))


def finite_difference_error(model: Loaded, params: Params, exact: Exact) -> float:
    """Largest deviation of S from the slope of ``log Z + log-normalisers``, relative to 1 + |S|."""
    H, c = exact.hamiltonian, exact.coefficients
    found, worst = exact_statistics(exact, params), 0.0
    for slot, S in found.items():
        mirrored = slot in model.structure.mirrored
        for place in _places(S, mirrored):
            values = []
            for by in (STEP, -STEP, 2 * STEP, -2 * STEP):
                moved = _nudged(params, slot, place, by, mirrored)
                log_z = enumerate_states(H, moved, c).log_z[0]
                values.append(log_z + log_normalisers(H, moved, c)[0, 0])
            slope = (8.0 * (values[0] - values[1]) - (values[2] - values[3])) / (12.0 * STEP)
            worst = max(worst, abs(S[place] - slope) / (1.0 + abs(S[place])))
    return worst


def _places(S: np.ndarray, mirrored: bool) -> list[tuple[int, ...]]:
    """Entries spread over an array; those above the diagonal of a symmetric one, and moving ones."""
    places = [p for p in np.ndindex(*S.shape) if not mirrored or p[0] < p[1]]
    moving = [p for p in places if S[p] != 0.0] or places
    return moving[:: max(1, len(moving) // PLACES)][:PLACES]


def _nudged(params: Params, slot: str, place: tuple[int, ...], by: float, mirrored: bool) -> Params:
    values = params.arrays[slot].astype(np.float64)
    values[(0, *place)] += by
    if mirrored:
        values[(0, place[1], place[0], *reversed(place[2:]))] += by
    return params.with_arrays(**{slot: values})


def sampled(exact: Exact, params: Params, backend: str, seed: int) -> Found:
    """Largest |t| of the sampled statistics, and the probability of a larger one by chance."""
    H, slots = exact.hamiltonian, trained_slots(exact.hamiltonian)
    plan = lower(H, Options.of(params, lanes=LANES, changing=slots))
    bound = launch(plan, bind(plan, H, params), exact.coefficients)
    key, count = key_of(seed, "check", "gradient"), FEWER.get(backend, LANES)
    state = initial.empty(plan, count)
    for name, x in sample_exact(exact, count, key).items():
        state.x[name][:] = x
    lanes = _lanes(key, count)
    sampler = PlanSampler(select(backend).compile(plan), bound)
    x = sampler.step(sampler.init(state, lanes), SWEEPS).configurations.x
    conditionals = Conditionals(H, exact.coefficients.value[0], params)
    hidden = hidden_groups(H)
    flat = factorises(H, hidden)
    batches = {slot: [] for slot in slots}
    for rows in np.array_split(np.arange(count), BATCHES):
        names = visible_groups(H) if flat else x
        moments = conditionals.states({name: x[name][rows] for name in names})
        if flat:
            known = dict(moments)
            for group in hidden:
                moments[group] = conditionals.moments(group, conditionals.field(group, known))
        averages = RowAverages(H, moments)
        for slot, S in statistics(H, params, averages, exact.coefficients.value[0], slots).items():
            batches[slot].append(S)
    largest, entries = 0.0, 0
    for slot, S in exact_statistics(exact, params).items():
        values = np.stack(batches[slot])
        spread = values.std(axis=0, ddof=1) / np.sqrt(BATCHES)
        moving = spread > 1e-12 * (1.0 + np.abs(S))
        t = np.abs(values.mean(axis=0) - S)[moving] / spread[moving]
        largest, entries = max(largest, t.max(initial=0.0)), entries + int(moving.sum())
    return float(largest), min(1.0, entries * 2.0 * float(student.sf(largest, BATCHES - 1)))


def _lanes(key: tuple[int, int], count: int) -> Lanes:
    return Lanes(
        np.zeros(count),
        np.zeros(count),
        np.arange(count),
        np.broadcast_to(np.array(key), (count, 2)),
    )

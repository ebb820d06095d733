"""Sampled means against enumeration: one way to run chains, one way to judge them.

Chains start in exact samples, so that they are in equilibrium at once and their means are independent
whatever the autocorrelation time; sigma comes from the spread of the chains' means.

The family rule: of n numbers max |z| <= 4.5, and mean z^2 in [0.5, 1.6] over a list of many models (the
moments of one model hang together). Over fresh seeds a correct program breaks the first with
probability n 7e-6, about 1 % for the whole list; seeds are pinned.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from small_models import Small

from physebm.backends.base import Kernels, Lanes, LaneState, Launch
from physebm.model import energy
from physebm.model.units import UnitKind
from physebm.rng.streams import key_of
from physebm.sampling import initial
from physebm.theory.enumeration import Exact, enumerate_states, sample_exact

# A 0/1 number enters with this many counts' variance among the chains' starts: rarer ones are skewed.
COUNTS = 40


@dataclass(frozen=True)
class Runs:
    """`chains` chains at every rung, measured every `every` sweeps, `draws` times."""

    chains: int = 256
    draws: int = 30
    every: int = 4
    seed: int = 1985

    def key(self, model: Small, what: object) -> tuple[int, int]:
        return key_of(self.seed, model.plan.name, str(model.plan.moves), what)


def exact_of(model: Small) -> Exact:
    return enumerate_states(model.hamiltonian, model.params, model.launch.coefficients)


def features(exact: Exact, x) -> np.ndarray:
    """``[lane, feature]`` in the order of ``exact.first``."""
    parts = []
    for group in (*exact.form.enumerated, *exact.form.conditional):
        values = x[group.name]
        if group.prior.kind is UnitKind.POTTS:
            values = (values[..., None] == np.arange(group.prior.q)).reshape(len(values), -1)
        parts.append(values.astype(np.float64))
    return np.concatenate(parts, axis=1)


def exact_start(model: Small, exact: Exact, runs: Runs) -> tuple[LaneState, Lanes]:
    rungs = exact.coefficients.rungs
    state = initial.empty(model.plan, rungs * runs.chains)
    for rung in range(rungs):
        part = slice(rung * runs.chains, (rung + 1) * runs.chains)
        drawn = sample_exact(exact, runs.chains, runs.key(model, rung), rung)
        for name, values in drawn.items():
            state.x[name][part] = values
    rung = np.repeat(np.arange(rungs), runs.chains)
    key = np.broadcast_to(runs.key(model, "sweeps"), (len(rung), 2))
    return state, Lanes(np.zeros_like(rung), rung, np.arange(len(rung)), key)


Advance = Callable[[LaneState, Lanes, int, int], tuple[LaneState, Lanes]]


def by_kernels(kernels: Kernels, launch: Launch) -> Advance:
    """Plain sweeps."""

    def advance(state, lanes, first, count):
        if first == 0:
            kernels.prepare(state, lanes, launch)
        kernels.sweep(state, lanes, launch, first, count)
        return state, lanes

    return advance


def z_scores(model: Small, exact: Exact, advance: Advance, runs: Runs | None = None) -> np.ndarray:
    """z of energies, first moments and pair moments at every rung, rare and constant ones left out."""
    runs = runs or Runs()
    state, lanes = exact_start(model, exact, runs)
    upper = np.triu_indices(exact.first.shape[1], 1)
    sums = 0.0
    for draw in range(runs.draws):
        state, lanes = advance(state, lanes, draw * runs.every, runs.every)
        f = features(exact, state.x)
        E = energy.term_energies(model.hamiltonian, model.params, state.x)
        slope, _ = energy.energy_derivatives(model.hamiltonian, exact.coefficients, E, lanes.rung)
        sums = sums + np.concatenate([slope[:, None], f, f[:, upper[0]] * f[:, upper[1]]], axis=1)
    z = []
    for rung in range(exact.coefficients.rungs):
        means = sums[lanes.rung == rung] / runs.draws
        truth = np.concatenate(
            [exact.derivative[rung : rung + 1], exact.first[rung], exact.second[rung][upper]]
        )
        error = means.std(axis=0, ddof=1) / np.sqrt(len(means))
        use = often(exact, rung, upper, len(means)) & (error > 1e-12 * (1.0 + np.abs(truth)))
        z.append((means.mean(axis=0) - truth)[use] / error[use])
    return np.concatenate(z)


def often(exact: Exact, rung: int, upper, chains: int) -> np.ndarray:
    """Which numbers vary in enough chains for their mean to be normal."""
    scale = []
    for group in (*exact.form.enumerated, *exact.form.conditional):
        width = group.size * group.prior.features
        kind = {UnitKind.ISING: 4.0}.get(group.prior.kind, 1.0 if group.prior.discrete else np.inf)
        scale.append(np.full(width, kind))
    scale = np.concatenate(scale)
    discrete = np.isfinite(scale)
    first, second = exact.first[rung], exact.second[rung]
    one = np.where(discrete, chains * (np.diag(second) - first**2) / scale, np.inf) > COUNTS
    a, b = upper
    # for 0/1 numbers f^2 g^2 = f g; for two Ising units it is 1
    square = np.where((scale[a] == 4) & (scale[b] == 4), 1.0, np.abs(second[upper]))
    both = discrete[a] & discrete[b]
    pair = chains * (square - second[upper] ** 2) / np.where(both, np.sqrt(scale[a] * scale[b]), 1.0)
    return np.concatenate([[True], one, one[a] & one[b] & (~both | (pair > COUNTS))])


def assert_family(z: np.ndarray) -> None:
    assert np.abs(z).max() <= 4.5, (len(z), np.abs(z).max())

"""The questions that `check` puts to the kernels of one plan; their definitions stand in `check`."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import poisson

from physebm.backends.base import Kernels, Lanes, LaneState, Launch
from physebm.backends.select import select
from physebm.lowering.plan import TABLED, ClusterMove, SweepPlan
from physebm.model import energy
from physebm.model.params import Params
from physebm.rng.streams import key_of
from physebm.sampling import initial
from physebm.sampling.chain import PlanSampler
from physebm.sampling.tempering import Ladders, ParallelTempering
from physebm.study import check_statistics
from physebm.theory.enumeration import Exact, sample_exact

CHI_SQUARE_UNITS = 12  # discrete units at most whose states are counted
SWEEPS = 5  # of exact samples
# Sweeps from the ordered state; and chains of a family of tests. On the host's "device" every thread is
# a fiber: few of both, and less is seen.
BURN_IN = {"numba": 200, "reference": 200, "cuda": 200, "cuda-host": 50}
LANES = {"numba": 24_000, "reference": 6_000, "cuda": 24_000, "cuda-host": 600}
COMPARED_LANES, COMPARED_SWEEPS = 32, 3
# Float32 couplings and fields move an energy by less than this, relative to 1 + |E|.
ROUNDING = 1e-5
# Chance that a 32-bit uniform falls between two roundings of a probability.
NEAR_MISS = 4e-6


@dataclass(frozen=True)
class CheckRow:
    """One family of tests: `statistic` is max |z|, chi-square, a distance or a relative error.

    `p_value` is None for deterministic rows, which `passed` decides by a tolerance.
    """

    method: str
    temperature: float | None
    what: str
    statistic: float
    p_value: float | None
    passed: bool
    note: str = ""


@dataclass(frozen=True)
class KernelChecks:
    """One method of a small model, and the four questions put to it."""

    exact: Exact
    params: Params
    temperatures: tuple[float, ...]
    method: str
    plan: SweepPlan
    launch: Launch
    backend: str
    seed: int

    def rows(self) -> list[CheckRow]:
        """The answers, a row for each family of tests."""
        rows = []
        if self.method != "tempering":
            rows += self._energies()
            if self.backend != "reference":
                rows += self._against_reference()
        if self.exact.probabilities is not None:
            rows += self._stationary()
        return rows + self._ergodic()

    @property
    def rungs(self) -> tuple[int, ...]:
        """Numbers of the temperatures."""
        return tuple(range(len(self.temperatures)))

    @property
    def kernels(self) -> Kernels:
        """Those that are checked."""
        return select(self.backend).compile(self.plan)

    def _energies(self) -> list[CheckRow]:
        state, lanes = self._start(COMPARED_LANES, "energies")
        kernels = self.kernels
        kernels.prepare(state, lanes, self.launch)
        error = _relative(kernels.energies(state, lanes, self.launch), self._defined(state.x))
        return [self._row(None, "energies", error, None, error < ROUNDING)]

    def _against_reference(self) -> list[CheckRow]:
        """Sweep by sweep, from the reference's state each time."""
        expected, lanes = self._start(COMPARED_LANES, "reference")
        compiled, reference = self.kernels, select("reference").compile(self.plan)
        differing, error, groups = 0, 0.0, self.plan.groups
        for sweep in range(COMPARED_SWEEPS):
            state = expected.copy()
            compiled.prepare(state, lanes, self.launch)
            compiled.sweep(state, lanes, self.launch, sweep, 1)
            reference.sweep(expected, lanes, self.launch, sweep, 1)
            same = np.ones(len(lanes), dtype=bool)
            for name in (group.name for group in groups if group.prior.discrete):
                same &= np.all(state.x[name] == expected.x[name], axis=1)
            differing += int((~same).sum())
            for name in (group.name for group in groups if not group.prior.discrete):
                error = max(error, _relative(state.x[name][same], expected.x[name][same]))
        if self._integer:
            return [self._row(None, "reference, bits", differing, None, differing == 0)]
        units = sum(group.size for group in groups if group.prior.discrete)
        chance = NEAR_MISS * units * len(lanes) * COMPARED_SWEEPS
        p = float(poisson.sf(differing - 1, chance)) if differing else 1.0
        rows = [self._row(None, "reference, units", differing, p)]
        if not all(group.prior.discrete for group in groups):
            rows.append(self._row(None, "reference, values", error, None, error < 10 * ROUNDING))
        return rows

    def _stationary(self) -> list[CheckRow]:
        state, lanes = self._start(LANES[self.backend] // len(self.rungs), "stationary")
        return self._distribution(*self._swept(state, lanes, 0, SWEEPS), self.rungs, "stationary")

    def _ergodic(self) -> list[CheckRow]:
        """From the ordered state; judged at the last rung, where the model mixes."""
        tempered = self.method == "tempering"
        rungs = self.rungs if tempered else self.rungs[-1:]
        count, burn_in = LANES[self.backend] // len(self.rungs), BURN_IN[self.backend]
        lanes = self._lanes(np.repeat(rungs, count))
        state = initial.empty(self.plan, len(lanes))
        for group in self.plan.groups:
            lower = self.params.lower.get(group.name)
            lower = 0.0 if lower is None else lower[0]
            state.x[group.name][:] = initial.all_up(group, len(lanes), lower)
        state, lanes = self._swept(state, lanes, SWEEPS, burn_in)
        rows = self._distribution(state, lanes, self.rungs[-1:], "ergodic")
        return [replace(r, note=f"started ordered, {burn_in} sweeps before") for r in rows]

    def _distribution(self, state, lanes: Lanes, rungs, title: str) -> list[CheckRow]:
        hamiltonian, rows = self.exact.hamiltonian, []
        for rung in rungs:
            at = lanes.rung == rung
            x = {name: values[at] for name, values in state.x.items()}
            slope, _ = energy.energy_derivatives(
                hamiltonian, self.exact.coefficients, self._defined(x), lanes.rung[at]
            )
            families = {
                "moments": check_statistics.moments(self.exact, rung, x),
                "energy": check_statistics.mean_energy(self.exact, rung, slope),
            }
            if self.exact.probabilities is not None:
                discrete = sum(group.size for group in self.exact.form.enumerated)
                if 0 < discrete <= CHI_SQUARE_UNITS:
                    families["states"] = check_statistics.states_chi_square(self.exact, rung, x)
                if not all(group.prior.discrete for group in hamiltonian.groups):
                    fresh = self._samples(rung, 4 * int(at.sum()), f"{title}, fresh")
                    families["continuous"] = check_statistics.kolmogorov_smirnov(self.exact, x, fresh)
            for what, (statistic, p) in families.items():
                rows.append(self._row(self.temperatures[rung], f"{title}, {what}", statistic, p))
        return rows

    def _start(self, count: int, stream: str) -> tuple[LaneState, Lanes]:
        """`count` lanes at every rung: exact samples, or random states where there are none."""
        lanes = self._lanes(np.repeat(self.rungs, count))
        state = initial.empty(self.plan, len(lanes))
        for g, group in enumerate(self.plan.groups):
            if self.exact.probabilities is None:
                state.x[group.name][:] = initial.random(self.plan, lanes, g, slice(None))
        if self.exact.probabilities is not None:
            for place, rung in enumerate(self.rungs):
                part = slice(place * count, (place + 1) * count)
                for name, values in self._samples(rung, count, stream).items():
                    state.x[name][part] = values
        return state, lanes

    def _samples(self, rung: int, count: int, stream: str) -> dict[str, np.ndarray]:
        key = key_of(self.seed, "check", stream, self.method, self.temperatures[rung])
        return sample_exact(self.exact, count, key, rung)

    def _lanes(self, rung: np.ndarray) -> Lanes:
        key = np.array(key_of(self.seed, "check", "sweeps", self.method))
        walker = np.arange(len(rung))
        return Lanes(np.zeros_like(rung), rung, walker, np.broadcast_to(key, (len(rung), 2)))

    def _swept(self, state: LaneState, lanes: Lanes, first: int, count: int):
        """Configurations and lanes after `count` sweeps, with exchanges where tempered."""
        sampler = PlanSampler(self.kernels, self.launch)
        if self.method == "tempering":
            # ladder l takes the l-th lane of every rung
            ladders = len(lanes) // len(self.rungs)
            order = np.arange(len(lanes)).reshape(len(self.rungs), ladders).T.ravel()
            state = LaneState({name: x[order] for name, x in state.x.items()})
            key = np.repeat(lanes.key[:1], ladders, axis=0)
            table = Ladders.of([np.array(self.rungs)] * ladders, key, np.arange(ladders))
            sampler = ParallelTempering(sampler, table, self.launch.coefficients)
        chains = replace(sampler.init(state, lanes), sweep=first)
        chains = sampler.step(chains, count)
        return chains.configurations, chains.lanes

    def _defined(self, x) -> np.ndarray:
        return energy.term_energies(self.exact.hamiltonian, self.params, x)

    @property
    def _integer(self) -> bool:
        return all(isinstance(move, ClusterMove) or move.decision in TABLED for move in self.plan.moves)

    def _row(self, temperature, what, statistic, p, passed=True) -> CheckRow:
        return CheckRow(self.method, temperature, what, float(statistic), p, bool(passed))


def _relative(found: np.ndarray, expected: np.ndarray) -> float:
    return float((np.abs(found - expected) / (1.0 + np.abs(expected))).max(initial=0.0))

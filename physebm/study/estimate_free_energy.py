"""What [free_energy] will cost: one line per run, counts in closed form, seconds from rehearsals.

A tempered run serves several methods, which share a line. The first job of each kernel structure is
rehearsed at its own sizes (chains, rows) for a fraction of a second per method; jobs of one structure
are taken to be alike. Rows that a ladder or a population needs are placed by a short run. Where a model
is trained first they are those of the arrays that it starts from, and its own may need several times
as many.
"""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from physebm.backends.base import Backend
from physebm.backends.select import select
from physebm.free_energy.annealed import forward
from physebm.free_energy.bounded import PASSES, STARTS, WIDEST
from physebm.free_energy.ladder import from_rows
from physebm.free_energy.path import Path, placed, scaled_path, thermal_path
from physebm.free_energy.population import populations
from physebm.free_energy.schedule import adaptive
from physebm.free_energy.tempered_run import equalised, record
from physebm.lowering.pipeline import Options, lower
from physebm.lowering.plan import SweepPlan
from physebm.model.params import Coefficients, Params
from physebm.native.products import single_threaded_blas
from physebm.rng.streams import key_of
from physebm.sampling import initial
from physebm.schema.free_energy_declarations import LADDER_METHODS, FreeEnergyDeclaration
from physebm.schema.load import Loaded
from physebm.study import free_energy_costs as costs
from physebm.study.estimate_exact import exact_cost
from physebm.study.free_energy_methods import FIXED_POINTS
from physebm.study.grid import FreeEnergies
from physebm.study.opened import Opened
from physebm.study.rehearsal import REHEARSAL_SECONDS, grown, random_words, timed
from physebm.study.setup import params_of

# Sweeps that place the rows of a ladder, and walkers that place those of a population, in a rehearsal.
PLACING_SWEEPS, PLACING_WALKERS = 240, 128
# Draws of two rehearsals of what is made of a tempered run; their difference is the time per draw.
FEW_DRAWS, MORE_DRAWS = 64, 256
# Passes of iterations in a rehearsal, and after how many a start is given up.
FIRST_PASSES, ALL_PASSES = 20, 3000
# Arrays [chain, draw, row] that estimators of a tempered run hold at once; arrays of potentials that
# pymbar does, and the numbers that MBAR holds at most, as it reads draws in blocks.
INFLUENCES, IN_PYMBAR, IN_MBAR = 12, 5, 2**22
# Largest matrix whose eigenvalues are sought in one piece, and copies of it.
DENSE_SIZE, COPIES = 600, 4
NAME = ("rehearsal",)


@dataclass(frozen=True)
class Cost:
    """Of one run, over all temperatures of a job.

    Attributes
    ----------
    lanes
        Chains that are advanced at once, at most.
    sweeps, states
        Sweeps of single chains; states of exact sums.
    nbytes, seconds
        Peak memory, and time.
    """

    lanes: int = 0
    sweeps: float = 0.0
    states: float = 0.0
    nbytes: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class MethodCost:
    """Of one run in all jobs of a study; lanes and bytes are those of the largest."""

    methods: tuple[str, ...]
    points: int
    lanes: int
    nbytes: int
    unit_updates: float
    random_words: float
    states: float
    seconds: float


@dataclass(frozen=True)
class _Job:
    """One model at its temperatures, hottest first."""

    asked: FreeEnergyDeclaration
    loaded: Loaded
    params: Params
    temperatures: tuple[float, ...]
    backend: Backend
    data: bool

    @property
    def rows(self) -> Coefficients:
        return self.loaded.coefficients(self.temperatures)

    @property
    def coldest(self) -> Coefficients:
        return self.loaded.coefficients(self.temperatures[-1:])

    def path(self) -> Path:
        """From no interactions to the coldest temperature."""
        return scaled_path(self.loaded.hamiltonian, self.params, self.coldest, np.array([0.0, 1.0]))

    def plan(self, lanes: int) -> SweepPlan:
        return lower(self.loaded.hamiltonian, Options.of(self.params, lanes=lanes))

    def lane_bytes(self) -> int:
        """A configuration, the running fields of a chain, and its place in the tables of lanes."""
        plan = self.plan(1)
        return sum(x.nbytes + 8 * x.size for x in initial.empty(plan, 1).x.values()) + 64

    def with_bound(self, cost: Cost) -> Cost:
        """Estimates are held against the mean-field bound of every temperature."""
        groups = self.loaded.hamiltonian.groups
        if sum(group.size * group.prior.features for group in groups) > WIDEST:
            return cost
        bound = _fixed_points(self, "mean-field", STARTS, 0.5, PASSES)
        more = max(cost.nbytes, bound.nbytes)
        return replace(cost, nbytes=more, seconds=cost.seconds + bound.seconds)


def runs_of(asked: FreeEnergyDeclaration) -> list[tuple[str, ...]]:
    """The methods asked for, those together that one run serves, in the order of their first."""
    ladder = tuple(method for method in asked.method if method in LADDER_METHODS)
    found: list[tuple[str, ...]] = []
    for method in asked.method:
        run = ladder if method in ladder else (method,)
        if run not in found:
            found.append(run)
    return found


def estimate_free_energies(
    opened: Opened, backend: str, told: Callable[[tuple[str, ...]], None] = lambda methods: None
) -> list[MethodCost]:
    """The cost of every run over all jobs of a study, one worker; `told` hears of each beforehand."""
    asked = opened.study.free_energy
    if asked is None:
        return []
    first: dict[tuple, FreeEnergies] = {}
    alike: dict[tuple, list[FreeEnergies]] = {}
    for part in opened.grid.free_energies:
        point = part.points[0]
        kind = (point.coordinates[0], point.loaded.hamiltonian.groups, part.temperatures)
        first.setdefault(kind, part)
        alike.setdefault(kind, []).append(part)
    rows = []
    for methods in runs_of(asked):
        told(methods)
        total = MethodCost(methods, 0, 0, 0, 0.0, 0.0, 0.0, 0.0)
        for kind, part in first.items():
            point = part.points[0]
            params = params_of(opened.study, point, {})
            data = bool(opened.grid.trainings)
            job = _Job(asked, point.loaded, params, part.temperatures, select(backend), data)
            total = _added(total, job, cost_of(job, methods), alike[kind])
        rows.append(total)
    return rows


def _added(total: MethodCost, job: _Job, cost: Cost, parts: list[FreeEnergies]) -> MethodCost:
    plan = job.plan(max(1, cost.lanes))
    jobs = len(parts)
    return MethodCost(
        total.methods,
        total.points + sum(len(part.points) for part in parts),
        max(total.lanes, cost.lanes),
        max(total.nbytes, cost.nbytes),
        total.unit_updates + jobs * cost.sweeps * sum(group.size for group in plan.groups),
        total.random_words + jobs * cost.sweeps * random_words(plan),
        total.states + jobs * cost.states,
        total.seconds + jobs * cost.seconds,
    )


def cost_of(job: _Job, methods: tuple[str, ...]) -> Cost:
    """Of one run in one job."""
    with single_threaded_blas():
        match methods:
            case ("exact",):
                return _exact(job)
            case ("ais",):
                return job.with_bound(_annealing(job))
            case ("population-annealing",):
                return job.with_bound(_population(job))
            case (method,) if method in FIXED_POINTS:
                declared = job.asked.fixed_points
                cost = _fixed_points(job, method, declared.starts, 1.0 - declared.damping, ALL_PASSES)
                return cost if method == "mean-field" else job.with_bound(cost)
            case _:
                return job.with_bound(_ladder(job, methods))


def _exact(job: _Job) -> Cost:
    sums = costs.EXACT_SUMS * len(job.temperatures)
    one = exact_cost(job.loaded.hamiltonian, job.params, job.coldest)
    return Cost(1, 0.0, sums * one.states, one.nbytes, sums * one.seconds)


def _ladder(job: _Job, methods: tuple[str, ...]) -> Cost:
    declared, temperatures = job.asked.ladder, len(job.temperatures)
    chains, every = declared.chains, declared.every
    path = thermal_path(job.loaded.hamiltonian, job.params, job.rows)
    adapted = equalised(
        path,
        job.backend,
        0,
        NAME,
        chains=chains,
        sweeps=PLACING_SWEEPS,
        acceptance=declared.acceptance,
    )
    path = placed(path, np.union1d(adapted.coefficients.beta, path.coefficients.beta))
    rows, draws = path.rows, declared.sweeps // every
    few, more = min(FEW_DRAWS, draws), min(MORE_DRAWS, draws)
    start = time.perf_counter()
    run = record(path, job.backend, 0, NAME, chains=chains, sweeps=more * every, discard=0, every=every)
    rate = (time.perf_counter() - start) / costs.tempered_sweeps(chains, rows, more * every)
    short = replace(run, energies=run.energies[:, :, :few])
    from_rows(path, short, methods)  # imports what is slow to import
    a, b = (timed(lambda part=part: from_rows(path, part, methods)) for part in (short, run))
    estimators = b + max(0.0, b - a) * (draws - more) / max(1, more - few)
    sweeps = costs.ladder_sweeps(declared, temperatures, rows)
    terms = run.energies.shape[-1]
    nbytes = 8 * rows * chains * draws * (terms + INFLUENCES) + 8 * chains * declared.discard
    if "mbar" in methods:
        nbytes += 8 * min(IN_MBAR, IN_PYMBAR * rows * rows * chains * draws)
    lanes = chains * (rows + 1)
    return Cost(lanes, sweeps, 0.0, nbytes + lanes * job.lane_bytes(), rate * sweeps + estimators)


def _annealing(job: _Job) -> Cost:
    declared, temperatures = job.asked.annealing, len(job.temperatures)
    chains, path = declared.chains, job.path()

    def walk(rows: int) -> None:
        along = placed(path, np.linspace(0.0, 1.0, rows))
        forward(along, job.backend, key_of(0, *NAME), chains, declared.sweeps)

    rows, seconds = grown(walk, 2, declared.temperatures)
    rate = seconds / costs.walk_sweeps(chains, rows, declared.sweeps)
    sweeps = temperatures * costs.annealing_sweeps(declared, data=job.data)
    nbytes = 8 * declared.temperatures * len(job.loaded.hamiltonian.terms)
    nbytes += 4 * chains * job.lane_bytes() + sum(x.nbytes for x in job.params.arrays.values())
    return Cost(chains, sweeps, 0.0, nbytes, rate * sweeps)


def _population(job: _Job) -> Cost:
    declared, path = job.asked.population, job.path()
    factors = adaptive(path, job.backend, 0, NAME, population=PLACING_WALKERS)
    walkers = declared.runs * declared.size
    all_rows = [costs.rows_up_to(factors, job.temperatures[-1] / T) for T in job.temperatures]

    def anneal(rows: int) -> None:
        along = placed(path, np.linspace(0.0, 1.0, rows))
        key = key_of(0, *NAME)
        populations(along, job.backend, key, declared.runs, declared.size, declared.sweeps)

    rows, seconds = grown(anneal, 2, max(all_rows))
    rate = seconds / costs.walk_sweeps(walkers, rows, declared.sweeps)
    sweeps = sum(costs.population_sweeps(declared, rows, job.data) for rows in all_rows)
    nbytes = 2 * walkers * job.lane_bytes() + sum(x.nbytes for x in job.params.arrays.values())
    return Cost(walkers, sweeps, 0.0, nbytes, rate * sweeps)


def _fixed_points(job: _Job, method: str, random: int, step: float, passes: int) -> Cost:
    """Of a search that is stopped after more and more passes, until all starts ended or it is long.

    Then its seconds stand for as many as there are passes left.
    """
    hamiltonian = job.loaded.hamiltonian

    def run(iterations: int):
        key, options = key_of(0, *NAME), {"random": random, "step": step, "iterations": iterations}
        return FIXED_POINTS[method](hamiltonian, job.params, job.coldest, key, **options)

    run(1)  # imports and compiles
    done = min(FIRST_PASSES, passes)
    while True:
        start = time.perf_counter()
        found = run(done)
        seconds = time.perf_counter() - start
        left = found.diagnostics["unconverged_starts"]
        if not left or done == passes or seconds > REHEARSAL_SECONDS:
            break
        done = min(passes, 4 * done)
    if left:
        seconds *= passes / done
    tracemalloc.start()
    try:
        run(2)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    size = sum(group.size * group.prior.features for group in hamiltonian.groups)
    nbytes = peak + 8 * COPIES * min(size, DENSE_SIZE) ** 2
    return Cost(1, 0.0, 0.0, nbytes, len(job.temperatures) * seconds)

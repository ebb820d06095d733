"""`physebm check`: a model's compiled kernels against exact enumeration of its small instance.

For every legal method, and for heat bath inside replica exchange ("tempering"), with the plan for few
chains and, where it is another, with that for many,

    energies     kernels' term energies against the definition (`model.energy`)
    reference    single sweeps of the compiled kernels against the reference, unit by unit
    stationary   exact samples, swept, are still exact samples: chi-square of the states (at most 12
                 discrete units), moments, energy, continuous units by Kolmogorov-Smirnov
    gradient     of trainable arrays: exact against finite differences of log Z, sampled against exact
    ergodic      chains that all start ordered reach the exact distribution (a frozen chain keeps exact
                 samples exact), at the last temperature: the one where the model mixes

Each row is one test family with a p-value; a row fails below ``alpha / rows``, so that a correct model
is called wrong with probability at most `alpha` (up to the normal and chi-square approximations). Lanes
are independent; seeds are pinned, so a verdict repeats.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import poisson

from physebm.backends.base import Kernels, Lanes, LaneState, Launch, launch
from physebm.backends.select import select
from physebm.errors import InputError, LoweringError
from physebm.learning.trainable import trained_slots
from physebm.lowering.operands import bind
from physebm.lowering.pipeline import Options, lower
from physebm.lowering.plan import TABLED, ClusterMove, SweepPlan
from physebm.lowering.positive import check_positive_form
from physebm.model import energy
from physebm.model.hamiltonian import Hamiltonian
from physebm.model.params import Params
from physebm.rng.streams import key_of
from physebm.sampling import initial
from physebm.sampling.chain import PlanSampler
from physebm.sampling.tempering import Ladders, ParallelTempering
from physebm.schema.load import Loaded, load
from physebm.study import check_gradients, check_statistics
from physebm.study.keywords import plain_arguments
from physebm.theory.enumeration import UNITS, Exact, enumerate_states, sample_exact

METHODS = ("heat-bath", "metropolis", "swendsen-wang", "wolff", "tempering")
TEMPERATURES = (1.0, 2.0)
CHI_SQUARE_UNITS = 12
# Beyond this, states are summed but not stored: no exact samples, so no "stationary" rows.
SAMPLED_STATES = 2**20

SWEEPS = 5
# Entropy per unit (nats) that a model may have lost where chains must forget an ordered start.
ORDER = 0.2
# Sweeps from the ordered state; and chains of a family of tests. On the host's "device" every thread is
# a fiber: few of both, and less is seen.
BURN_IN = {"numba": 200, "reference": 200, "cuda": 200, "cuda-host": 50}
LANES = {"numba": 24_000, "reference": 6_000, "cuda": 24_000, "cuda-host": 600}
COMPARED_LANES, COMPARED_SWEEPS = 32, 3
# Chains for which the layout of many chains is checked (`Options.lanes`).
MANY = 4096

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
class CheckReport:
    """All rows of one model; `refused` holds ``(method, reason)`` of methods that cannot sample it.

    `chains` are those of a statistical test, its temperatures together.
    """

    model: str
    small: tuple[tuple[str, str], ...]
    units: int
    states: int
    backend: str
    alpha: float
    rows: tuple[CheckRow, ...]
    refused: tuple[tuple[str, str], ...]
    chains: int = 0

    @property
    def passed(self) -> bool:
        """True when every row passed."""
        return all(row.passed for row in self.rows)


@plain_arguments("loaded")
def check_model(
    loaded: Loaded,
    *,
    backend: str | None = "numba",
    methods: Sequence[str] = METHODS,
    temperatures: Sequence[float] = TEMPERATURES,
    seed: int = 1,
    alpha: float = 1e-4,
) -> CheckReport:
    """Check a model's kernels on its `small` instance, at `temperatures` and one where it mixes.

    Parameters
    ----------
    alpha
        Probability that a correct model fails at least one row.

    Raises
    ------
    InputError
        when there is no `small` table, when it has too many states to enumerate, or when no method
        can sample the model.
    """
    backend = "numba" if backend in (None, "auto") else backend
    for method in methods:
        if method not in METHODS:
            raise InputError("check: methods", got=method, expected=METHODS)
    model = small_instance(loaded)
    hamiltonian, params = model.hamiltonian, model.params(seed)
    states = _discrete_states(model)
    hot = _mixing_temperature(model, params, max(temperatures))
    temperatures = (*temperatures, *([hot] if hot != temperatures[-1] else []))
    coefficients = model.coefficients(temperatures)
    check_positive_form(hamiltonian, params, coefficients)
    exact = enumerate_states(hamiltonian, params, coefficients, probabilities=states <= SAMPLED_STATES)
    rows: list[CheckRow] = []
    refused = []
    for method in methods:
        name = "heat-bath" if method == "tempering" else method
        try:
            plans = _plans(loaded.hamiltonian, hamiltonian, params, name, method == "tempering")
            launches = [launch(p, bind(p, hamiltonian, params), coefficients) for p in plans]
        except LoweringError as error:
            refused.append((method, error.hint or str(error)))
            continue
        for plan, bound in zip(plans, launches):
            subject = _Subject(exact, params, temperatures, method, plan, bound, backend, seed)
            note = "" if plan is plans[0] else f", {plan.layout}"
            rows += [replace(row, what=row.what + note) for row in subject.rows()]
    if not rows:
        where = f"{model.declaration.where}.small"
        raise InputError(where, hint=f"no method can sample this model: {refused[0][1]}")
    if trained_slots(hamiltonian) and exact.probabilities is not None:
        rows += _gradients(model, params, exact, temperatures[0], backend, seed)
    threshold = alpha / len(rows)
    return CheckReport(
        hamiltonian.name,
        tuple((name, held.text) for name, held in model.declaration.small.items()),
        sum(group.size for group in hamiltonian.groups),
        states,
        backend,
        alpha,
        tuple(_judged(row, threshold) for row in rows),
        tuple(refused),
        LANES[backend],
    )


def _plans(
    full: Hamiltonian, small: Hamiltonian, params: Params, name: str, tempered: bool
) -> list[SweepPlan]:
    """How few and how many chains are swept, where that differs; of tempering that for many alone.

    Many chains of the small instance lie as those of the model at its own size do.
    """
    few, many = (lower(small, Options.of(params, name, lanes)) for lanes in (1, MANY))
    studied = lower(full, Options.of(params, name, MANY))
    if (studied.terms, studied.moves) == (many.terms, many.moves):
        many = replace(many, layout=studied.layout)
    return [many] if tempered else [few, *([many] if many != few else [])]


def _mixing_temperature(model: Loaded, params: Params, hottest: float) -> float:
    """`hottest` times 1, 2, 4, 8 or 16: the first where units have lost less than `ORDER` of entropy.

    There no state dominates and no barrier is high: a correct chain forgets its start in a few sweeps,
    and one that is frozen there is frozen by a mistake.
    """
    ladder = [hottest * factor for factor in (1.0, 2.0, 4.0, 8.0, 16.0)]
    coefficients = model.coefficients(ladder)
    check_positive_form(model.hamiltonian, params, coefficients)
    exact = enumerate_states(model.hamiltonian, params, coefficients, probabilities=False)
    units = max(sum(group.size for group in exact.form.enumerated), 1)
    order = np.log(float(exact.form.states)) - (exact.log_z + exact.beta * exact.derivative)
    calm = np.flatnonzero(order <= ORDER * units)
    return ladder[int(calm[0]) if len(calm) else -1]


def small_instance(loaded: Loaded) -> Loaded:
    """The model at the parameters of its `small` table.

    Raises
    ------
    InputError
        when there is no such table, or more than 28 discrete units (2^28 states).
    """
    declaration = loaded.declaration
    where = f"{declaration.where}.small"
    if not declaration.small:
        raise InputError(
            where,
            expected=f"a table [{declaration.name}.small] that sets parameters of a small instance",
            hint=f"`check` enumerates every state, so at most {UNITS} discrete units; e.g. N = 10",
        )
    model = load(declaration, declaration.small)
    units = sum(group.size for group in model.hamiltonian.groups if group.prior.discrete)
    if units > UNITS or _discrete_states(model) > 2**UNITS:
        raise InputError(
            where,
            got=f"{units} discrete units, {float(_discrete_states(model)):.3g} states",
            expected=f"at most {UNITS} units and 2^{UNITS} states",
            hint="every state is enumerated: make the instance smaller",
        )
    return model


def _discrete_states(model: Loaded) -> int:
    count = 1
    for group in model.hamiltonian.groups:
        if group.prior.discrete:
            count *= len(group.prior.states) ** group.size
    return count


def _gradients(model: Loaded, params: Params, exact: Exact, temperature, backend, seed):
    """Rows of the trainable arrays, at the first temperature."""
    error = check_gradients.finite_difference_error(model, params, exact)
    statistic, p = check_gradients.sampled(exact, params, backend, seed)
    ok = error < check_gradients.TOLERANCE
    return [
        CheckRow("heat-bath", temperature, "gradient, log Z", error, None, ok),
        CheckRow("heat-bath", temperature, "gradient, sampled", float(statistic), p, True),
    ]


def _judged(row: CheckRow, threshold: float) -> CheckRow:
    return row if row.p_value is None else replace(row, passed=row.p_value > threshold)


@dataclass(frozen=True)
class _Subject:
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
        return tuple(range(len(self.temperatures)))

    @property
    def kernels(self) -> Kernels:
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

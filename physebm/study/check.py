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

from physebm.backends.base import launch
from physebm.errors import InputError, LoweringError
from physebm.learning.trainable import trained_slots
from physebm.lowering.operands import bind
from physebm.lowering.pipeline import Options, lower
from physebm.lowering.plan import SweepPlan
from physebm.lowering.positive import check_positive_form
from physebm.model.hamiltonian import Hamiltonian
from physebm.model.params import Params
from physebm.schema.load import Loaded, load
from physebm.study import check_gradients, check_kernels
from physebm.study.check_kernels import CheckRow, KernelChecks
from physebm.study.keywords import plain_arguments
from physebm.theory.enumeration import UNITS, Exact, enumerate_states

METHODS = ("heat-bath", "metropolis", "swendsen-wang", "wolff", "tempering")
TEMPERATURES = (1.0, 2.0)
# Beyond this, states are summed but not stored: no exact samples, so no "stationary" rows.
SAMPLED_STATES = 2**20

# Entropy per unit (nats) that a model may have lost where chains must forget an ordered start.
ORDER = 0.2
# Chains for which the layout of many chains is checked (`Options.lanes`).
MANY = 4096


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
            subject = KernelChecks(exact, params, temperatures, method, plan, bound, backend, seed)
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
        check_kernels.LANES[backend],
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

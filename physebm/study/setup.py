"""A task made ready to run: parameters drawn, plan lowered, operands bound, lanes laid out.

Untempered, a lane is (point, chain). Tempered, the points of a cell that share a start form one
ladder per chain, and a lane is (cell, start, chain, walker); see `tempered`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from physebm.backends.base import Kernels, Lanes, LaneState, launch
from physebm.backends.select import select
from physebm.errors import StudyFileError
from physebm.lowering.operands import Operands, bind
from physebm.lowering.pipeline import Options, lower
from physebm.lowering.plan import Layout, SweepPlan
from physebm.lowering.positive import check_positive_form
from physebm.model.hamiltonian import Hamiltonian
from physebm.model.params import Coefficients, Params, stack
from physebm.model.units import UnitKind
from physebm.sampling import initial
from physebm.sampling.chain import PlanSampler
from physebm.schema.array_files import read_array
from physebm.schema.declarations import ArrayDeclaration
from physebm.schema.study_declarations import StudyDeclaration
from physebm.storage.arrays_file import read_arrays
from physebm.study.grid import Point, Task
from physebm.study.measure import Subject

# Layouts that know no held units.
ALL_FREE = (Layout.PLANES, Layout.VECTORS)


@dataclass
class Prepared:
    """Everything that a task's sweeps need; instances are the cells of the task."""

    study: StudyDeclaration
    task: Task
    hamiltonian: Hamiltonian
    params: Params
    plan: SweepPlan
    operands: Operands
    kernels: Kernels
    coefficients: Coefficients
    rung_of_point: np.ndarray
    instance_of_point: np.ndarray

    def sampler(self, coefficients: Coefficients | None = None) -> PlanSampler:
        """The task's sampler; with other coefficients where a ladder has inserted rungs."""
        chosen = self.coefficients if coefficients is None else coefficients
        return PlanSampler(self.kernels, launch(self.plan, self.operands, chosen))

    @property
    def subject(self) -> Subject:
        """What the study measures on this task's model."""
        study = self.study
        return Subject(
            self.hamiltonian,
            study.observe.record,
            study.observe.pattern,
            study.sample.chains,
            study.tempering is not None,
            study.where,
        )


def prepare(
    study: StudyDeclaration, task: Task, backend: str, trained: Mapping[int, Path] | None = None
) -> Prepared:
    """Draw (or take from the trainings), lower, bind and compile one task."""
    method = study.sample.method
    hamiltonian = task.points[0].loaded.hamiltonian
    params = stack([params_of(study, cell[0], trained or {}) for cell in task.cells])
    coefficients, rung_of_point = _rungs(task, method)
    check_positive_form(hamiltonian, params, coefficients)
    plan = plan_for(hamiltonian, params, method, lanes_together(study, task), bool(study.clamp))
    operands = bind(plan, hamiltonian, params, colours=study.sample.colours)
    instance = np.repeat(np.arange(len(task.cells)), [len(cell) for cell in task.cells])
    kernels = select(backend).compile(plan)
    return Prepared(
        study,
        task,
        hamiltonian,
        params,
        plan,
        operands,
        kernels,
        coefficients,
        rung_of_point,
        instance,
    )


def lanes_together(study: StudyDeclaration, task: Task) -> int:
    """Chains of one model that are swept together; with tempering at all its temperatures.

    Nothing else counts, so that further values on an axis change no bit of the others.
    """
    if study.tempering is None:
        return study.sample.chains
    return study.sample.chains * max(len({p.temperature for p in cell}) for cell in task.cells)


def plan_for(
    hamiltonian: Hamiltonian, params: Params, method: str, lanes: int, held: bool
) -> SweepPlan:
    """The plan for some lanes of one instance; for few where units are held and many know no such."""
    plan = lower(hamiltonian, Options.of(params, method, lanes))
    if held and plan.layout in ALL_FREE:
        return lower(hamiltonian, Options.of(params, method))
    return plan


def params_of(study: StudyDeclaration, point: Point, trained: Mapping[int, Path]) -> Params:
    """The arrays of a point: drawn, and where its model was trained as they were learned."""
    params = point.loaded.params(study.seed, point.disorder)
    if point.training not in trained:
        return params
    arrays, _ = read_arrays(trained[point.training])
    prefix = "arrays/"
    learned = {
        name.removeprefix(prefix): values[-1:].astype(np.float64)
        for name, values in arrays.items()
        if name.startswith(prefix)
    }
    return params.with_arrays(**learned)


def _rungs(task: Task, method: str) -> tuple[Coefficients, np.ndarray]:
    """One coefficient row per distinct (parameters, temperature); and the row of every point."""
    rows: dict[tuple[int, float], int] = {}
    parts: list[Coefficients] = []
    rung = []
    for point in task.points:
        temperature = 1.0 if method == "zero-temperature" else point.temperature
        key = (id(point.loaded), temperature)
        if key not in rows:
            rows[key] = len(rows)
            parts.append(point.loaded.coefficients([temperature]))
        rung.append(rows[key])
    return join(parts), np.array(rung)


def join(parts: list[Coefficients]) -> Coefficients:
    """Coefficient rows under each other."""
    return Coefficients(
        *(
            np.concatenate([getattr(part, name) for part in parts])
            for name in ("beta", "value", "first", "second")
        )
    )


def lanes_of(prepared: Prepared) -> Lanes:
    """The lanes of an untempered task: point by point, chain by chain."""
    study, points = prepared.study, prepared.task.points
    chains = study.sample.chains
    keys = np.array([point.key(study.seed, False) for point in points], dtype=np.uint32)
    return Lanes(
        np.repeat(prepared.instance_of_point, chains),
        np.repeat(prepared.rung_of_point, chains),
        np.tile(np.arange(chains), len(points)),
        np.repeat(keys, chains, axis=0),
        clamp_masks(prepared, len(points) * chains),
    )


def initial_states(prepared: Prepared, lanes: Lanes, point_of: np.ndarray, chain_of: np.ndarray):
    """Configurations of all lanes from the start of the point (and chain) that each belongs to."""
    state = initial.empty(prepared.plan, len(lanes))
    if "q_edwards_anderson" in prepared.study.observe.record:
        # by definition its two chains share one start: all draw the initial words of chain 0
        lanes = replace(lanes, walker=np.zeros(len(lanes)))
    starts = {}
    for lane, p in enumerate(point_of):
        starts.setdefault((prepared.task.points[p].start, prepared.instance_of_point[p]), []).append(
            lane
        )
    for (start, instance), held in starts.items():
        rows = np.array(held)
        for g in range(len(prepared.plan.groups)):
            _fill(prepared, state, lanes, g, rows, start, int(instance), point_of[rows], chain_of[rows])
    _hold(prepared, state)
    return state


def _fill(prepared, state, lanes, g, rows, start, instance, points, chains) -> None:
    group = prepared.plan.groups[g]
    subject = prepared.subject
    counted = [held.name for held in prepared.hamiltonian.counted]
    lower = prepared.params.lower.get(group.name)
    lower = 0.0 if lower is None else lower[instance]
    x = state.x[group.name]
    if start.kind == "all-up":
        x[rows] = initial.all_up(group, len(rows), lower)
        return
    where = f"{prepared.study.where}: start"
    if start.kind == "pattern" and group.name == counted[0]:
        x[rows] = _pattern_start(prepared, subject, lanes, g, rows, start, instance, where)
        return
    if start.kind in ("file", "data") and group.name == counted[0]:
        declared = ArrayDeclaration(file=start.path, variable=start.variable)
        values = read_array(declared, prepared.study.directory, where, StudyFileError)
        x[rows] = initial.given(group, values, prepared.study.sample.chains, where)[chains]
        return
    scale = 1.0
    if not group.prior.discrete:
        t = prepared.hamiltonian.prior_term(group.name)
        w = prepared.operands.arrays.get(f"w{t}")
        c = prepared.coefficients.value[prepared.rung_of_point[points], t][:, None]
        scale = 1.0 / np.sqrt(c * (1.0 if w is None else w[instance]))
    x[rows] = initial.random(prepared.plan, lanes, g, rows, scale, lower)


def _pattern_start(prepared, subject, lanes, g, rows, start, instance, where) -> np.ndarray:
    group = prepared.plan.groups[g]
    if subject.pattern_slot is None or group.prior.kind not in (UnitKind.ISING, UnitKind.BERNOULLI):
        raise StudyFileError(
            where,
            got="pattern",
            expected=["random", "all-up", "file"],
            hint=f"{prepared.hamiltonian.name} has no patterns of ising or bernoulli units",
        )
    xi = prepared.params.arrays[subject.pattern_slot][instance]
    if start.pattern >= len(xi):
        legal = f"patterns 0 to {len(xi) - 1}" if len(xi) else "parameters at which there are patterns"
        raise StudyFileError(where, got=f"pattern {start.pattern}", expected=legal)
    flat = xi[start.pattern].ravel()
    return initial.pattern(prepared.plan, lanes, g, rows, flat, start.overlap)


def clamp_masks(prepared: Prepared, lanes: int) -> dict[str, np.ndarray]:
    """Bool masks ``[lane, unit]`` of the units that the study holds."""
    masks = {}
    for name in prepared.study.clamp:
        values = _clamp_values(prepared, name)
        masks[name] = np.tile(_held(prepared, name, values), (lanes, 1))
    return masks


def _hold(prepared: Prepared, state: LaneState) -> None:
    """Write the held values into every lane."""
    for name in prepared.study.clamp:
        values = _clamp_values(prepared, name)
        held = _held(prepared, name, values)
        group = prepared.plan.groups[prepared.plan.group_index(name)]
        where = f"{prepared.study.where}: clamp.{name}"
        if group.prior.discrete and not np.isin(values[held], group.prior.states).all():
            bad = values[held][~np.isin(values[held], group.prior.states)][0]
            raise StudyFileError(
                where, got=float(bad), expected=f"states {list(group.prior.states)} or a free unit"
            )
        state.x[name][:, held] = values[held]


def _held(prepared: Prepared, name: str, values: np.ndarray) -> np.ndarray:
    potts = prepared.hamiltonian.group(name).prior.kind is UnitKind.POTTS
    return values >= 0 if potts else ~np.isnan(values)


def _clamp_values(prepared: Prepared, name: str) -> np.ndarray:
    where = f"{prepared.study.where}: clamp.{name}"
    held = prepared.study.clamp[name]
    values = read_array(held, prepared.study.directory, where, StudyFileError).astype(np.float64)
    group = prepared.hamiltonian.group(name)
    if values.size != group.size:
        raise StudyFileError(
            where, got=f"shape {list(values.shape)}", expected=f"shape {list(group.shape)}"
        )
    return values.ravel()


def point_axis(points: tuple[Point, ...], chains: int) -> tuple[np.ndarray, np.ndarray]:
    """Point and chain of every lane of an untempered task."""
    return np.repeat(np.arange(len(points)), chains), np.tile(np.arange(chains), len(points))

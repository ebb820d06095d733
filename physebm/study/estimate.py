"""What a study will cost, before it runs: lanes, bytes, unit updates, random words, seconds.

The seconds come from a timed rehearsal: the first task of each kernel structure is set up and swept
for a fraction of a second on this machine, compile time apart.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from physebm.lowering.plan import BlockUpdate, SweepPlan, words_per_unit
from physebm.study import setup
from physebm.study.grid import Task, Training
from physebm.study.runner import Opened
from physebm.study.training import prepare

REHEARSAL_SECONDS = 0.4


@dataclass(frozen=True)
class TaskEstimate:
    """Cost of one task: sizes exact, `seconds` extrapolated from the rehearsal."""

    task: str
    points: int
    lanes: int
    nbytes: int
    unit_updates: float
    random_words: float
    seconds: float
    rehearsed: bool


def estimate_study(opened: Opened, backend: str | None = None) -> list[TaskEstimate]:
    """The cost of every task of a study on this machine, single worker.

    Adaptive tempering adds rungs that cannot be known beforehand: their cost is not included.
    """
    backend = backend or opened.study.backend
    rates: dict[tuple, float] = {}
    rows = [_training(opened, training, backend) for training in opened.grid.trainings]
    for task in opened.grid.tasks:
        loaded = task.points[0].loaded
        structure = (task.model, opened.study.sample.method, loaded.hamiltonian.groups)
        rehearse = structure not in rates
        row, rate = _estimate(opened, task, backend, rates.get(structure))
        rates[structure] = rate
        rows.append(TaskEstimate(**row, rehearsed=rehearse))
    return rows


def _training(opened: Opened, training: Training, backend: str) -> TaskEstimate:
    """A training, from a few updates of it; what is recorded at its ages is not counted."""
    trainer = prepare(opened.study, training, opened.models, backend).trainer
    updates, done = training.declared.updates, 0
    trainer.run(1)
    start = time.perf_counter()
    while done == 0 or (time.perf_counter() - start < REHEARSAL_SECONDS and trainer.update < updates):
        trainer.run(min(trainer.update + 1, updates))
        done += 1
    seconds = (time.perf_counter() - start) / done * updates
    drawn = words = 0.0
    nbytes = sum(x.nbytes for x in trainer.problem.data.values())
    nbytes += sum(x.nbytes for x in trainer.checkpoint().values())
    lanes = 0
    if trainer.chains is not None:
        plan, lanes = trainer.chains.plan, len(trainer.chains.state.lanes)
        sweeps = float(updates) * training.declared.steps * lanes
        drawn = sweeps * sum(group.size for group in plan.groups)
        words = sweeps * _words(plan)
        nbytes += trainer.chains.operands.nbytes
    return TaskEstimate(training.name, 1, lanes, nbytes, drawn, words, seconds, True)


def _words(plan: SweepPlan) -> int:
    """Random words of one lane and sweep."""
    return sum(
        plan.groups[move.group].size * words_per_unit(plan.groups[move.group].prior, move.rule)
        for move in plan.moves
        if isinstance(move, BlockUpdate)
    )


def _estimate(opened: Opened, task: Task, backend: str, rate: float | None):
    study = opened.study
    prepared = setup.prepare(study, task, backend)
    lanes = setup.lanes_of(prepared)
    point, chain = setup.point_axis(task.points, study.sample.chains)
    state = setup.initial_states(prepared, lanes, point, chain)
    units = sum(group.size for group in prepared.plan.groups)
    if rate is None:
        sampler = prepared.sampler()
        chains = sampler.step(sampler.init(state, lanes), 1)
        done, start = 0, time.perf_counter()
        while time.perf_counter() - start < REHEARSAL_SECONDS:
            chains = sampler.step(chains, 4)
            done += 4
        rate = done * units * len(lanes) / (time.perf_counter() - start)
    sweeps = task.schedule.discard + task.schedule.sweeps
    updates = float(sweeps) * units * len(lanes)
    return {
        "task": task.name,
        "points": len(task.points),
        "lanes": len(lanes),
        "nbytes": prepared.operands.nbytes + sum(x.nbytes for x in state.x.values()),
        "unit_updates": updates,
        "random_words": float(sweeps) * _words(prepared.plan) * len(lanes),
        "seconds": updates / rate,
    }, rate

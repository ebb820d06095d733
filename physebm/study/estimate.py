"""What a study will cost, before it runs: lanes, bytes, unit updates, random words, seconds.

The seconds come from a timed rehearsal: the first task of each kernel structure and size is set up and
swept for a fraction of a second on this machine, compile time apart. Measuring is not counted. On a
GPU its memory is estimated too: what the lanes of a task and everything that their kernels read take
there at once.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from physebm.backends.base import launch
from physebm.backends.cuda.memory import device_bytes
from physebm.backends.select import ON_DEVICES, select
from physebm.study import setup
from physebm.study.estimate_free_energy import MethodCost, estimate_free_energies
from physebm.study.estimate_training import estimate_training
from physebm.study.grid import Task
from physebm.study.opened import Opened
from physebm.study.rehearsal import REHEARSAL_SECONDS, random_words


@dataclass(frozen=True)
class TaskEstimate:
    """Cost of one task: sizes exact, `seconds` extrapolated from the rehearsal.

    `states` are those of exact sums (of transfer matrices: multiplications); `device_bytes` are taken
    on a device, 0 where there is none or nobody counts.
    """

    task: str
    points: int
    lanes: int
    nbytes: int
    unit_updates: float
    random_words: float
    seconds: float
    rehearsed: bool
    states: float = 0.0
    device_bytes: int = 0


def estimate_study(
    opened: Opened, backend: str | None = None, told: Callable[[str], None] = lambda name: None
) -> list[TaskEstimate]:
    """The cost of every training, task and method of free energies on this machine, single worker.

    `told` is called with the name of what is rehearsed next; there may be seconds between two calls.
    Adaptive tempering of tasks adds rungs that cannot be known beforehand: their cost is not included.
    """
    backend = backend or opened.study.backend
    rates: dict[tuple, float] = {}
    rows = []
    for training in opened.grid.trainings:
        told(training.name)
        cost = estimate_training(opened, training, backend)
        rows.append(TaskEstimate(training.name, 1, **vars(cost), rehearsed=True))
    for task in opened.grid.tasks:
        structure = (task.model, opened.study.sample.method, *_size(task))
        rehearse = structure not in rates
        if rehearse:
            told(task.name)
        row, rate = _estimate(opened, task, backend, rates.get(structure))
        rates[structure] = rate
        rows.append(TaskEstimate(**row, rehearsed=rehearse))
    rows += [
        _free_energy(cost)
        for cost in estimate_free_energies(opened, backend, lambda each: told(_named(each)))
    ]
    return rows


def _size(task: Task) -> tuple:
    """What the speed of a task depends on: its groups, and within a factor of 1.4 its largest array."""
    hamiltonian = task.points[0].loaded.hamiltonian
    largest = max((math.prod(slot.shape) for slot in hamiltonian.slots), default=1)
    return hamiltonian.groups, round(2.0 * math.log2(max(abs(largest), 1)))


def _named(methods: tuple[str, ...]) -> str:
    return f"free energies: {', '.join(methods)}"


def _free_energy(cost: MethodCost) -> TaskEstimate:
    name = _named(cost.methods)
    return TaskEstimate(
        name,
        cost.points,
        cost.lanes,
        cost.nbytes,
        cost.unit_updates,
        cost.random_words,
        cost.seconds,
        True,
        cost.states,
    )


def _estimate(opened: Opened, task: Task, backend: str, rate: float | None):
    study = opened.study
    prepared = setup.prepare(study, task, backend)
    lanes = setup.lanes_of(prepared)
    point, chain = setup.point_axis(task.points, study.sample.chains)
    state = setup.initial_states(prepared, lanes, point, chain)
    units = sum(group.size for group in prepared.plan.groups)
    on_device = 0
    if backend in ON_DEVICES:
        bound = launch(prepared.plan, prepared.operands, prepared.coefficients)
        on_device = device_bytes(prepared.plan, select(backend).device(), state, lanes, bound)
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
        "device_bytes": on_device,
        "nbytes": prepared.operands.nbytes + sum(x.nbytes for x in state.x.values()),
        "unit_updates": updates,
        "random_words": float(sweeps) * random_words(prepared.plan) * len(lanes),
        "seconds": updates / rate,
    }, rate

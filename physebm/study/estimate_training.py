"""What a training will cost: updates from a few of them, records from one of them.

At every recorded age frozen copies of the chains measure the autocorrelation time; with
[train.likelihood] log Z is annealed at some ages, and walkers follow every update.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from physebm.backends.cuda.memory import device_bytes
from physebm.backends.select import ON_DEVICES, select
from physebm.learning.record_chains import FROZEN
from physebm.learning.record_likelihood import PERSISTENT
from physebm.learning.train import Trainer
from physebm.lowering.pipeline import Options, lower
from physebm.schema.train_declarations import TrainDeclaration
from physebm.study import free_energy_costs as costs
from physebm.study.grid import Training
from physebm.study.opened import Opened
from physebm.study.rehearsal import REHEARSAL_SECONDS, random_words, timed
from physebm.study.training import prepare, recipe_of

# A record that takes longer than this is made once, though the first may have been slowed by imports.
LONG = 2.0


@dataclass(frozen=True)
class TrainingCost:
    """As `estimate.TaskEstimate` has them; of a device what chains and data take."""

    lanes: int
    nbytes: int
    unit_updates: float
    random_words: float
    seconds: float
    device_bytes: int = 0


def estimate_training(opened: Opened, training: Training, backend: str) -> TrainingCost:
    """The cost of one training with all that it records."""
    ready = prepare(opened.study, training, opened.models, backend)
    trainer, declared, tracker = ready.trainer, training.declared, None
    if ready.likelihood is not None:
        tracker = ready.likelihood.tracker
    updates, done, annealing = declared.updates, 0, 0.0
    trainer.run(1)
    if tracker is not None:
        # annealing to the start of the training stands for annealing at any age
        annealing = timed(tracker.follow) / costs.tracking_sweeps(declared.likelihood, 1)
    start = time.perf_counter()
    while done == 0 or (time.perf_counter() - start < REHEARSAL_SECONDS and trainer.update < updates):
        now = trainer.update
        trainer.run(min(now + (trainer.at_once if tracker is None else 1), updates))
        if tracker is not None:
            tracker.follow()
        done += trainer.update - now
    seconds = (time.perf_counter() - start) / done * updates
    record = timed(ready.record.measure)
    if record < LONG:
        record = timed(ready.record.measure)
    seconds += record * len(declared.ages())
    nbytes = sum(x.nbytes for x in trainer.problem.data.values())
    nbytes += sum(x.nbytes for x in trainer.checkpoint().values())
    plan = lower(trainer.problem.hamiltonian, Options("heat-bath"))
    units, words = sum(group.size for group in plan.groups), random_words(plan)
    lanes, sweeps, on_device = 0, 0.0, 0
    if trainer.chains is not None:
        on_device = chains_on_device(trainer, backend)
        lanes = len(trainer.chains.state.lanes)
        nbytes += trainer.chains.operands.nbytes
        samples = len(trainer.problem.weights)
        frozen = 0 if ready.record.chains is None else ready.record.chains.sweeps
        sweeps = float(updates) * declared.steps * lanes + tau_sweeps(declared, samples, frozen)
    if tracker is not None:
        annealed = likelihood_sweeps(declared)
        seconds += annealing * annealed
        sweeps += annealed + costs.tracking_sweeps(declared.likelihood, updates)
    return TrainingCost(lanes, nbytes, sweeps * units, sweeps * words, seconds, on_device)


def chains_on_device(trainer: Trainer, backend: str) -> int:
    """Bytes that chains and data of a training take on a device, 0 where there is none."""
    if backend not in ON_DEVICES:
        return 0
    chains, state = trainer.chains, trainer.chains.state
    device, bound = select(backend).device(), chains.inner.launch
    data = sum(np.float32().nbytes * x.size for x in trainer.problem.data.values())
    return data + device_bytes(chains.plan, device, state.configurations, state.lanes, bound)


def tau_sweeps(declared: TrainDeclaration, samples: int, frozen: int) -> int:
    """Sweeps of single chains that run `frozen` sweeps at the arrays of every recorded age."""
    options = recipe_of(declared, samples).chains
    chains = min(FROZEN, options.chains) * (options.rungs if declared.method == "pt" else 1)
    return len(declared.ages()) * frozen * chains


def likelihood_sweeps(declared: TrainDeclaration) -> int:
    """Sweeps of all annealing at recorded ages; persistent chains give the reverse its starts."""
    asked, total = declared.likelihood, 0
    for age in asked.annealed(declared.ages()):
        persistent = age and declared.method in PERSISTENT and declared.chains > 1
        total += costs.annealing_sweeps(asked, declared.chains if persistent else None)
    return total

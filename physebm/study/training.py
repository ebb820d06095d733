"""The training stage: data -> problem -> updates, recorded at the ages that the study asks for.

Every recorded age is a file of its own in the task's folder, beside one checkpoint that is renewed, so
that a long training never writes its whole history again. Killed at any moment it continues with
the same bits.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from physebm.backends.select import select
from physebm.errors import ResultFileError, StudyFileError
from physebm.learning.chains import ChainOptions
from physebm.learning.optimisers import Optimiser, Schedule
from physebm.learning.recipe import Problem, Recipe
from physebm.learning.record import Record, summary_line
from physebm.learning.record_likelihood import LikelihoodRecord
from physebm.learning.tracking import Annealing, Tracker
from physebm.learning.train import Divergence, Trainer
from physebm.native.products import single_threaded_blas
from physebm.schema.declarations import ModelDeclaration
from physebm.schema.study_declarations import StudyDeclaration
from physebm.schema.train_declarations import TrainDeclaration
from physebm.storage.arrays_file import read_arrays, write_arrays
from physebm.study.grid import Training
from physebm.study.interrupts import deferred
from physebm.study.training_data import TrainingData, training_data

CHECKPOINT_FORMAT = 1
CHECKPOINT_SECONDS = 20.0
TRACKER = "tracker/"

Progress = Callable[[float, str], None]


def recipe_of(declared: TrainDeclaration, samples: int | None = None) -> Recipe:
    """The recipe that a [train] table means; `samples` is needed where all data are one batch."""
    rate = declared.learning_rate
    batch = declared.batch
    chains = (batch or samples or 1) if declared.method == "cd" else declared.chains
    return Recipe(
        method=declared.method,
        updates=declared.updates,
        batch=batch,
        chains=ChainOptions(
            declared.method,
            declared.steps,
            chains,
            declared.rungs,
            declared.hottest,
            declared.start,
        ),
        rate=Schedule(rate.start, rate.end, rate.schedule, rate.half, rate.power),
        optimiser=Optimiser(declared.optimiser, declared.momentum),
        centred=declared.gradient == "centred",
        l1=declared.l1,
        l2=declared.l2,
        clip=declared.clip,
        gauge=declared.gauge,
        positive=declared.positive,
        positive_steps=declared.positive_steps,
        initial_fields=declared.initial_fields,
        pseudocount=declared.pseudocount,
    )


@dataclass
class _Ready:
    """A training made ready: who learns, what is recorded, the data behind it, and what it is called.

    Only one of several trainings is called anything, by its place in the scan.
    """

    trainer: Trainer
    record: Record
    data: TrainingData
    called: str = ""
    likelihood: LikelihoodRecord | None = None

    def checkpoint(self) -> dict[str, np.ndarray]:
        """The trainer's, and that of the walkers that follow it."""
        arrays = self.trainer.checkpoint()
        if self.likelihood is not None:
            held = self.likelihood.tracker.checkpoint()
            arrays |= {f"{TRACKER}{name}": x for name, x in held.items()}
        return arrays

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Continue from `checkpoint`."""
        self.trainer.restore(arrays)
        if self.likelihood is not None:
            held = {k.removeprefix(TRACKER): v for k, v in arrays.items() if k.startswith(TRACKER)}
            self.likelihood.tracker.restore(held)


def training_title(own: Iterable[tuple[str, object]]) -> str:
    """One of several trainings in words, ``pcd, steps = 10``; texts speak for themselves."""
    return ", ".join(
        f"{axis} = {value:.4g}" if isinstance(value, int | float) else str(value) for axis, value in own
    )


def prepare(
    study: StudyDeclaration, training: Training, models: Mapping[str, ModelDeclaration], backend: str
) -> _Ready:
    """Draw the arrays, read the data, compile the kernels.

    Raises
    ------
    StudyFileError
        for data that do not fit the model, and too few of them for the batch.
    """
    declared, loaded = training.declared, training.point.loaded
    hamiltonian, realisation = loaded.hamiltonian, training.point.disorder
    params = loaded.params(study.seed, realisation, initial=True)
    where = f"{study.where}: train"
    data = training_data(
        declared.data,
        hamiltonian,
        params,
        seed=study.seed,
        realisation=realisation,
        directory=study.directory,
        models=models,
        backend=backend,
        where=f"{where}.data",
    )
    values, weights = data.parts["train"]
    if declared.batch is not None and declared.batch > len(weights):
        raise StudyFileError(
            f"{where}.batch",
            got=declared.batch,
            expected=f"1 to {len(weights)}, the number of training samples",
            hint="too few samples for the batch",
        )
    problem = Problem(hamiltonian, params, loaded.coefficients([1.0]), values, weights)
    recipe = recipe_of(declared, len(weights))
    name = tuple(part for pair in training.own for part in pair)
    trainer = Trainer(problem, recipe, select(backend), study.seed, name)
    with single_threaded_blas():
        record = Record(trainer, data.parts, study.seed, declared.tau_sweeps, data.effective_samples)
    scanned = [(axis, value) for axis, value in training.own if study.axis(axis) is not None]
    likelihood = None
    if declared.likelihood is not None:
        likelihood = _likelihood(declared, trainer, data, backend, study.seed, name)
    return _Ready(trainer, record, data, training_title(scanned), likelihood)


def _likelihood(declared, trainer, data, backend, seed, name) -> LikelihoodRecord:
    asked = declared.likelihood
    options = Annealing(asked.chains, asked.temperatures, asked.sweeps, asked.resample)
    tracker = Tracker(trainer, options, select(backend), seed, name)
    return LikelihoodRecord(tracker, data.parts, asked.annealed(declared.ages()))


def run_training(
    study: StudyDeclaration,
    training: Training,
    models: Mapping[str, ModelDeclaration],
    backend: str,
    folder: Path,
    digest: str,
    progress: Progress = lambda fraction, note: None,
) -> Path:
    """Run or resume a training in its folder; returns the path of its result file."""
    started = time.perf_counter()
    folder.mkdir(parents=True, exist_ok=True)
    ready = prepare(study, training, models, backend)
    compiled = time.perf_counter()
    checkpoint, result = folder / "checkpoint.npz", folder / "result.npz"
    earlier = _restore(ready, checkpoint, digest)
    failure = ""
    with deferred() as check:
        try:
            _train(ready, training.declared, folder, checkpoint, digest, progress, check, earlier)
        except Divergence as problem:
            failure = str(problem)
        arrays = _collect(ready, training.declared, folder)
        meta = {
            "study": digest,
            "seconds": earlier + time.perf_counter() - started,
            "setup_seconds": compiled - started,
            "failure": failure,
            "shape": list(ready.data.shape),
            "scale": None if ready.data.scale is None else list(ready.data.scale),
            "effective_samples": ready.data.effective_samples,
        }
        write_arrays(result, arrays, meta)
        for path in [checkpoint, *folder.glob("age*.npz")]:
            path.unlink(missing_ok=True)
        progress(1.0, "")
        return result


def _train(ready: _Ready, declared, folder, checkpoint, digest, progress, check, earlier) -> None:
    """Update by update to the last age; `check` raises KeyboardInterrupt if a signal has come.

    `earlier` are the seconds of the runs before.
    """
    trainer, likelihood = ready.trainer, ready.likelihood
    begun = time.perf_counter() - earlier
    saved, note = time.monotonic(), ""
    for age in declared.ages():
        while trainer.update < age:
            trainer.run(min(age, trainer.update + (trainer.at_once if likelihood is None else 1)))
            if likelihood is not None:
                likelihood.tracker.follow()
            progress(trainer.update / declared.updates, note)
            try:
                check()
            except KeyboardInterrupt:
                _save(ready, checkpoint, digest, time.perf_counter() - begun)
                raise
            if time.monotonic() - saved > CHECKPOINT_SECONDS:
                _save(ready, checkpoint, digest, time.perf_counter() - begun)
                saved = time.monotonic()
        path = _age_file(folder, age)
        if trainer.update == age and not _sound(path, digest):
            with single_threaded_blas():
                measured = ready.record.measure()
                if likelihood is not None:
                    measured |= likelihood.measure()
            note = "  ".join(filter(None, (ready.called, summary_line(measured))))
            arrays = {f"history/{name}": np.asarray(value) for name, value in measured.items()}
            if declared.snapshots or age == declared.updates:
                kind = trainer.recipe.precision
                for slot in trainer.slots:
                    arrays[f"arrays/{slot}"] = trainer.params.arrays[slot][0].astype(kind)
            write_arrays(path, arrays, {"study": digest, "update": age})
            progress(trainer.update / declared.updates, note)


def _age_file(folder: Path, age: int) -> Path:
    return folder / f"age{age:09d}.npz"


def _sound(path: Path, digest: str) -> bool:
    try:
        return path.exists() and read_arrays(path)[1].get("study") == digest
    except ResultFileError:
        return False


def _collect(ready: _Ready, declared: TrainDeclaration, folder: Path) -> dict[str, np.ndarray]:
    """All recorded ages under each other, the chains as they are now, and the teacher's arrays."""
    ages = [age for age in declared.ages() if _age_file(folder, age).exists()]
    held = [read_arrays(_age_file(folder, age))[0] for age in ages]
    names = list(dict.fromkeys(name for arrays in held for name in arrays))
    out = {"update": np.array(ages, dtype=np.int64)}
    for name in names:
        rows = [(i, arrays[name]) for i, arrays in enumerate(held) if name in arrays]
        out[name] = np.stack([x for _, x in rows])
        if len(rows) < len(ages):
            out[f"at/{name}"] = np.array([ages[i] for i, _ in rows], dtype=np.int64)
    trainer = ready.trainer
    if trainer.chains is not None and trainer.chains.state is not None:
        out |= {f"chains/{name}": x for name, x in trainer.chains.configurations().items()}
    out |= {f"teacher/{slot}": x for slot, x in ready.data.teacher.items()}
    return out


def _save(ready: _Ready, path: Path, digest: str, seconds: float) -> None:
    meta = {"format": CHECKPOINT_FORMAT, "study": digest, "seconds": seconds}
    write_arrays(path, ready.checkpoint(), meta)


def _restore(ready: _Ready, path: Path, digest: str) -> float:
    """Continue from a checkpoint of this study; one that is broken or another's is set aside."""
    if not path.exists():
        return 0.0
    try:
        arrays, meta = read_arrays(path)
    except ResultFileError:
        path.replace(path.with_suffix(".broken"))
        return 0.0
    if meta.get("study") != digest or meta.get("format") != CHECKPOINT_FORMAT:
        path.replace(path.with_suffix(".other"))
        return 0.0
    ready.restore(arrays)
    return float(meta["seconds"])

"""The work of a study: trainings first, then sampling tasks and free energies.

A job runs in a folder of its own under ``NAME.work/``. A sampling task waits for the trainings of its
points; points whose training failed are left out of their task, whose other points lose nothing.
"""

from __future__ import annotations

import threading
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from physebm.backends.select import Choice
from physebm.errors import BackendError, InputError, PhysebmError
from physebm.schema.declarations import ModelDeclaration
from physebm.schema.study_declarations import StudyDeclaration
from physebm.storage.arrays_file import read_arrays
from physebm.study.addressed import addressed
from physebm.study.free_energy import run_free_energies
from physebm.study.grid import FreeEnergies, Point, Task, Training
from physebm.study.interrupts import end_if_asked
from physebm.study.jobs_progress import Watch, reporter, settle, watching
from physebm.study.opened import Opened
from physebm.study.task import finished, run_task
from physebm.study.training import run_training

if TYPE_CHECKING:
    from physebm.study.crew import Cluster, Here


@dataclass(frozen=True)
class Job:
    """One piece of work, and of the study what it needs: jobs travel to workers, the grid does not.

    `trained` has the results of its trainings by number; `training` is the one of free energies.
    """

    study: StudyDeclaration
    models: Mapping[str, ModelDeclaration]
    digest: str
    folder: Path
    part: Task | Training | FreeEnergies
    backend: str
    trained: Mapping[int, Path] = field(default_factory=dict)
    training: Training | None = None


@dataclass
class Done:
    """What became of all jobs: result files, the tasks as they were run, and messages of failures."""

    results: dict[str, Path] = field(default_factory=dict)
    tasks: dict[str, Task] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)


def run_jobs(opened: Opened, taken: Choice, hands: Here | Cluster, watch: Watch) -> Done:
    """All jobs of a study, done by a crew with its backend.

    Raises
    ------
    InputError
        for a user's mistake that only showed while a job ran.
    BackendError
        where a device failed; jobs that are done and checkpoints are kept.
    """
    done = Done()
    settle(opened)

    def mapped(jobs: list[Job]) -> None:
        if jobs:
            _gather(hands.map(_work, jobs, taken), done)

    def job(part, trained=(), training=None) -> Job:
        folder = opened.work / part.name
        return Job(
            opened.study,
            opened.models,
            opened.digest,
            folder,
            part,
            taken.name,
            dict(trained),
            training,
        )

    stop = threading.Event()
    watcher = threading.Thread(target=watching, args=(opened, watch, stop), daemon=True)
    watcher.start()
    try:
        mapped([job(each) for each in opened.grid.trainings])
        trained = {
            t.number: done.results[t.name] for t in opened.grid.trainings if t.name in done.results
        }
        for training in opened.grid.trainings:
            failure = _failure_in(done.results.get(training.name))
            if failure:
                done.failures[training.name] = failure
                trained.pop(training.number)
        jobs = []
        for task in opened.grid.tasks:
            task = _possible(task, trained)
            if task.cells:
                done.tasks[task.name] = task
                numbers = {point.training for point in task.points} - {0}
                jobs.append(job(task, {n: trained[n] for n in numbers}))
        for part in opened.grid.free_energies:
            number = part.points[0].training
            if not number:
                jobs.append(job(part))
            elif number in trained:
                training = opened.grid.trainings[number - 1]
                jobs.append(job(part, {number: trained[number]}, training))
        mapped(jobs)
    finally:
        stop.set()
        watcher.join()
    return done


def _gather(mapped: Iterator[tuple[Job, Any]], done: Done) -> None:
    try:
        for job, value in mapped:
            if isinstance(value, InputError):
                raise addressed(value, job.study, _point_of(job.part).loaded.declaration)
            if isinstance(value, BackendError):
                # the next job would meet the same device: one message, and everything saved stays
                raise value
            if isinstance(value, Exception):
                done.failures[job.part.name] = _failed(job, value)
            else:
                done.results[job.part.name] = value
    finally:
        mapped.close()


def _possible(task: Task, trained: Mapping[int, Path]) -> Task:
    """The task without the cells whose training failed."""
    held = tuple(cell for cell in task.cells if not cell[0].training or cell[0].training in trained)
    return replace(task, cells=held)


def _point_of(part: Task | Training | FreeEnergies) -> Point:
    return part.point if isinstance(part, Training) else part.points[0]


def _failure_in(result: Path | None) -> str:
    """The message of a training that diverged: it has a result, with what was recorded before."""
    return "" if result is None else read_arrays(result)[1].get("failure", "")


def _failed(job: Job, error: Exception) -> str:
    """One line for the user; the traceback of what is not the project's own goes to a file."""
    if isinstance(error, PhysebmError):
        return f"{type(error).__name__}: {error}"
    path = job.folder / "error.txt"
    path.write_text("".join(traceback.format_exception(error)), encoding="utf-8")
    return f"{type(error).__name__}: {error} (traceback in {path})"


def _work(job: Job) -> Path:
    job.folder.mkdir(parents=True, exist_ok=True)
    report = reporter(job.folder)
    result = job.folder / "result.npz"
    if finished(result, job.digest):
        return result
    if isinstance(job.part, Training):
        return run_training(
            job.study, job.part, job.models, job.backend, job.folder, job.digest, report
        )
    if isinstance(job.part, FreeEnergies):

        def report_and_end(fraction: float, note: str = "") -> None:
            # every method that is done is kept: any place is safe
            report(fraction, note)
            end_if_asked()

        return run_free_energies(
            job.study,
            job.part,
            job.training,
            job.models,
            job.backend,
            job.folder,
            job.digest,
            report_and_end,
            job.trained,
        )
    return run_task(job.study, job.part, job.backend, job.folder, job.digest, report, job.trained)

"""Run a study: tasks to workers, task files to one result, resumable at any moment.

Beside the result ``NAME.nc`` stands ``NAME.work/`` while the study runs (see `workfolder`): one folder
per task with its checkpoint, its progress and its result. It is removed when every point has a result;
a task that failed is tried again by the next run.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from physebm.backends.select import Choice
from physebm.errors import StudyError
from physebm.schema.study_declarations import StudyDeclaration
from physebm.schema.study_file import study_to_dict
from physebm.storage.dataset import record_dataset
from physebm.storage.netcdf import write_tree
from physebm.storage.provenance import canonical_json, provenance, run_record
from physebm.study import workfolder
from physebm.study.crew import Cluster, Here, check_crew, crew
from physebm.study.grid import recut
from physebm.study.interrupts import deferred
from physebm.study.jobs import Done, Watch, run_jobs
from physebm.study.merge import merge
from physebm.study.merge_free_energy import read_free_energies
from physebm.study.merge_training import read_training
from physebm.study.opened import Opened, open_study
from physebm.study.task_outcome import read_outcome


@dataclass(frozen=True)
class Outcome:
    """What a run ended with."""

    result: Path
    seconds: float
    failures: dict[str, str]
    fresh: bool
    study: StudyDeclaration


def run_study(
    path: str | Path,
    overrides: list[str] | tuple[str, ...] = (),
    *,
    out: str | Path | None = None,
    backend: str | None = None,
    workers: int = 1,
    scheduler: str | None = None,
    restart: bool = False,
    command: str = "",
    watch: Watch = lambda fraction, done, jobs, note: None,
    told: Callable[[str], None] = lambda line: None,
) -> Outcome:
    """Run a study to its result file, or continue one that was interrupted.

    Parameters
    ----------
    path, overrides, out
        The study file, ``KEY=VALUE`` overrides, and where the result goes.
    backend
        Overrides the study's own choice.
    workers
        Processes; results are the same for any number.
    scheduler
        In place of processes: the address of a Dask scheduler, or "cuda" for a worker on each GPU here.
    restart
        Forget what has been computed and begin again.
    watch
        Called with (fraction done, jobs done, jobs, note) a few times per second; the note has the
        last numbers of a training.
    told
        Called with lines for the user before any work: the backend, and why where there was a choice.

    Raises
    ------
    InputError
        before anything is computed, for what the user can mend.
    BackendError
        where the backend cannot be used, or its device fails: what was saved stays good.
    StudyError
        when every task failed.
    """
    check_crew(workers, scheduler)
    opened = open_study(path, overrides, out)
    started = time.perf_counter()
    with workfolder.claimed(
        opened.work,
        opened.out,
        opened.digest,
        opened.study.title,
        restart,
        study_to_dict(opened.study),
    ) as complete:
        if complete:
            return Outcome(opened.out, 0.0, {}, False, opened.study)
        with crew(workers, scheduler, opened.work, told) as hands:
            taken = hands.choice(backend or opened.study.backend)
            told(f"backend  {taken}")
            opened = _with_its_cut(opened, taken, hands, told)
            workfolder.keep_run(opened.work, run_record(taken.name, hands.device(taken), _now()))
            done = run_jobs(opened, taken, hands, watch)
        if not done.results:
            first = next(iter(done.failures.values()))
            raise StudyError(f"{opened.path}: every task failed; the first with {first}")
        seconds = time.perf_counter() - started
        _assemble(opened, done, taken, command, seconds)
        if not done.failures:
            workfolder.remove(opened.work)
    grid = opened.grid
    jobs = len(grid.tasks) + len(grid.trainings) + len(grid.free_energies)
    watch(1.0, len(done.results), jobs, "")
    return Outcome(opened.out, time.perf_counter() - started, done.failures, True, opened.study)


def in_batches(
    opened: Opened,
    taken: Choice,
    hands: Here | Cluster | None = None,
    told: Callable[[str], None] = lambda line: None,
) -> Opened:
    """The study in tasks for its backend; `told` is called where memory makes them smaller.

    Without a crew (`hands`) for this process.
    """
    lanes, lines = (hands or Here(1)).lanes(opened.study, opened.grid, taken)
    for line in lines:
        told(line)
    return replace(opened, lanes=lanes, grid=recut(opened.study, opened.grid, lanes))


def _with_its_cut(
    opened: Opened, taken: Choice, hands: Here | Cluster, told: Callable[[str], None]
) -> Opened:
    """The study in the tasks of its saved work, else in those for its backend, which are kept."""
    if workfolder.lanes_per_task(opened.work, opened.digest) is not None:
        return opened
    opened = in_batches(opened, taken, hands, told)
    workfolder.keep_lanes(opened.work, opened.lanes)
    return opened


def _assemble(opened: Opened, done: Done, taken: Choice, command: str, seconds: float) -> None:
    trainings = [
        read_training(training, done.results.get(training.name), done.failures.get(training.name, ""))
        for training in opened.grid.trainings
    ]
    outcomes = [
        read_outcome(task, done.results.get(name), done.failures.get(name, ""))
        for name, task in done.tasks.items()
    ]
    free = [
        read_free_energies(part, done.results.get(part.name), done.failures.get(part.name, ""))
        for part in opened.grid.free_energies
    ]
    groups = merge(opened.study, opened.grid, outcomes, trainings, free)
    metas = [outcome.meta for outcome in (*trainings, *outcomes, *free) if outcome.meta]
    runs = workfolder.runs(opened.work)
    record = provenance(
        study=study_to_dict(opened.study),
        study_text=opened.text,
        models_text=opened.models_text,
        seed=opened.study.seed,
        command=command,
        date=_now(),
        backend=taken.name,
        device=runs[-1]["device"],
        runs=canonical_json(runs),
        tasks=len(trainings) + len(outcomes) + len(free),
        seconds=seconds,
        seconds_setup=sum(meta["setup_seconds"] for meta in metas),
        seconds_kernels=sum(meta.get("kernel_seconds", 0.0) for meta in metas),
    )
    groups["/provenance"] = record_dataset(record)
    groups["/parameters"] = record_dataset(_parameters(opened))
    with deferred():  # in the middle of a file xarray holds a lock that it would wait for at the end
        write_tree(opened.out, groups, study_hash=opened.digest)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _parameters(opened: Opened) -> dict[str, float]:
    """Parameters that are the same at every point, and T where it is not scanned."""
    fixed: dict[str, float] = {}
    first = opened.grid.all_points[0]
    envs = [point.loaded.env for point in opened.grid.all_points]
    for name, value in first.loaded.env.items():
        if all(env.get(name) == value for env in envs) and name not in opened.grid.axes:
            fixed[name] = value
    if "temperature" not in opened.grid.axes:
        fixed["temperature"] = first.temperature
    return fixed

"""Run a study: tasks to workers, task files to one result, resumable at any moment.

Beside the result ``NAME.nc`` stands ``NAME.work/`` while the study runs: one folder per task with its
checkpoint, its progress and its result. It is removed when the result has been written.
"""

from __future__ import annotations

import json
import os
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from physebm.errors import PhysebmError, ResultFileError, StudyError, StudyFileError
from physebm.schema.declarations import ModelDeclaration
from physebm.schema.study_declarations import StudyDeclaration
from physebm.schema.study_file import read_study, study_to_dict
from physebm.storage.atomic import replacing
from physebm.storage.dataset import record_dataset
from physebm.storage.netcdf import refuse_other_study, write_tree
from physebm.storage.provenance import provenance, study_hash
from physebm.study import executors
from physebm.study.grid import Grid, Task, expand
from physebm.study.merge import merge, read_outcome
from physebm.study.models import declared_models, models_file
from physebm.study.task import run_task

PROGRESS_SECONDS = 0.3


@dataclass(frozen=True)
class Opened:
    """A study ready to run: declaration, models, grid, identity and places."""

    path: Path
    study: StudyDeclaration
    models: dict[str, ModelDeclaration]
    models_text: str
    grid: Grid
    digest: str
    out: Path

    @property
    def work(self) -> Path:
        """The folder of its tasks while it runs."""
        return self.out.with_name(self.out.stem + ".work")


@dataclass(frozen=True)
class Outcome:
    """What a run ended with."""

    result: Path
    seconds: float
    failures: dict[str, str]
    fresh: bool


def open_study(
    path: str | Path, overrides: list[str] | tuple[str, ...] = (), out: str | Path | None = None
) -> Opened:
    """Read a study and its models, apply overrides, and expand its grid.

    Raises
    ------
    InputError
        for anything that the user wrote wrong, with file and key path.
    """
    path = Path(path)
    if not path.is_file():
        near = sorted(p.name for p in path.parent.glob("*.toml")) if path.parent.is_dir() else []
        raise StudyFileError(str(path), got=path.name, expected=near or None, hint="no such study file")
    study = read_study(path, overrides)
    models = declared_models(study)
    text = "inline" if study.inline is not None else models_file(study).read_text()
    own = "\n".join(_table_text(text, name) for name in study.models)
    grid = expand(study, models)
    _check(study, grid)
    digest = study_hash(study_to_dict(study), own)
    out = Path(out) if out is not None else Path("results") / f"{path.stem}.nc"
    if out.suffix != ".nc":
        raise StudyFileError("--out", got=str(out), expected="a path that ends in .nc")
    return Opened(path, study, models, own, grid, digest, out)


def _table_text(text: str, name: str) -> str:
    """The lines of one model in models.toml, so that edits of other models change no hash."""
    kept, inside = [], False
    for line in text.splitlines():
        if line.startswith("["):
            head = line.strip("[] \t").split("#")[0].strip()
            inside = head == name or head.startswith(f"{name}.")
        if inside:
            kept.append(line)
    return "\n".join(kept)


def _check(study: StudyDeclaration, grid: Grid) -> None:
    if study.tempering is not None:
        axis = study.axis("temperature")
        if axis is None or len(axis.values) < 2:
            raise StudyFileError(
                f"{study.where}: tempering",
                hint="tempering exchanges along `temperature`: scan at least two values of it",
            )
        if study.sample.method == "zero-temperature":
            raise StudyFileError(
                f"{study.where}: tempering", hint="zero-temperature dynamics has no temperatures"
            )
    if study.sample.method == "zero-temperature" and study.axis("temperature") is not None:
        raise StudyFileError(
            f"{study.where}: scan.temperature", hint="zero-temperature dynamics has no temperature"
        )


def run_study(
    path: str | Path,
    overrides: list[str] | tuple[str, ...] = (),
    *,
    out: str | Path | None = None,
    backend: str | None = None,
    workers: int = 1,
    restart: bool = False,
    command: str = "",
    watch: Callable[[float, int, int], None] = lambda fraction, done, tasks: None,
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
    restart
        Forget what has been computed and begin again.
    watch
        Called with (fraction done, tasks done, tasks) a few times per second.

    Raises
    ------
    InputError
        before anything is computed, for what the user can mend.
    StudyError
        when every task failed.
    """
    opened = open_study(path, overrides, out)
    _claim(opened, restart)
    if opened.out.exists():
        return Outcome(opened.out, 0.0, {}, False)
    started = time.perf_counter()
    backend = backend or opened.study.backend
    tasks = opened.grid.tasks
    jobs = [_Job(opened, task, backend) for task in tasks]
    workers = max(1, min(workers, len(jobs)))
    failures: dict[int, str] = {}
    results: dict[int, Path] = {}
    stop = threading.Event()
    watcher = threading.Thread(target=_watch, args=(opened, watch, stop), daemon=True)
    watcher.start()
    try:
        mapped = (
            executors.serial(_work, jobs) if workers == 1 else executors.processes(_work, jobs, workers)
        )
        for job, value in mapped:
            if isinstance(value, PhysebmError) and value.exit_status == 2:
                raise value
            if isinstance(value, Exception):
                failures[job.task.number] = f"{type(value).__name__}: {value}"
            else:
                results[job.task.number] = value
    finally:
        stop.set()
        watcher.join()
    if not results:
        raise StudyError(f"every task failed; the first: {next(iter(failures.values()))}")
    _assemble(opened, results, failures, backend, command, time.perf_counter() - started)
    if not failures:
        shutil.rmtree(opened.work, ignore_errors=True)
    watch(1.0, len(results), len(tasks))
    names = {tasks[number - 1].name: text for number, text in failures.items()}
    return Outcome(opened.out, time.perf_counter() - started, names, True)


@dataclass(frozen=True)
class _Job:
    opened: Opened
    task: Task
    backend: str


def _work(job: _Job) -> Path:
    folder = job.opened.work / job.task.name
    folder.mkdir(parents=True, exist_ok=True)
    last = [0.0]

    def report(fraction: float) -> None:
        now = time.monotonic()
        if now - last[0] > PROGRESS_SECONDS or fraction >= 1.0:
            last[0] = now
            with replacing(folder / "progress.json") as temporary:
                Path(temporary).write_text(json.dumps({"fraction": fraction}))

    return run_task(job.opened.study, job.task, job.backend, folder, job.opened.digest, report)


def _claim(opened: Opened, restart: bool) -> None:
    """Make the work folder this study's own, or refuse what belongs to another."""
    try:
        opened.out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ResultFileError(
            f"--out {opened.out}", hint=f"the folder cannot be made: {error.strerror}"
        ) from None
    if not os.access(opened.out.parent, os.W_OK):
        raise ResultFileError(f"--out {opened.out}", hint="the folder is not writable; choose another")
    identity = opened.work / "study.json"
    if restart:
        if opened.out.exists():
            refuse_other_study(opened.out, opened.digest)
            opened.out.unlink()
        shutil.rmtree(opened.work, ignore_errors=True)
    elif opened.out.exists():
        refuse_other_study(opened.out, opened.digest)
        return
    if identity.exists():
        held = json.loads(identity.read_text())
        if held.get("study") != opened.digest:
            raise ResultFileError(
                str(opened.work),
                got=f"unfinished work of another study ({held.get('title', '?')})",
                hint="choose another --out, or --restart to forget it",
            )
        return
    opened.work.mkdir(parents=True, exist_ok=True)
    with replacing(identity) as temporary:
        Path(temporary).write_text(
            json.dumps({"study": opened.digest, "title": opened.study.title, "path": str(opened.path)})
        )


def _watch(opened: Opened, watch, stop: threading.Event) -> None:
    while not stop.wait(PROGRESS_SECONDS):
        watch(*progress_of(opened))


def progress_of(opened: Opened) -> tuple[float, int, int]:
    """Fraction done, tasks done and tasks of a study, from its work folder (or its result)."""
    tasks = opened.grid.tasks
    if opened.out.exists():
        return 1.0, len(tasks), len(tasks)
    points = opened.grid.points
    fraction, done = 0.0, 0
    for task in tasks:
        folder = opened.work / task.name
        if (folder / "result.npz").exists():
            part, done = 1.0, done + 1
        else:
            part = _fraction(folder / "progress.json")
        fraction += part * len(task.points) / points
    return fraction, done, len(tasks)


def _fraction(path: Path) -> float:
    try:
        return float(json.loads(path.read_text())["fraction"])
    except (OSError, ValueError, KeyError):
        return 0.0


def _assemble(opened, results, failures, backend, command, seconds) -> None:
    outcomes = [
        read_outcome(task, results.get(task.number), failures.get(task.number, ""))
        for task in opened.grid.tasks
    ]
    groups = merge(opened.study, opened.grid, outcomes)
    metas = [outcome.meta for outcome in outcomes if outcome.meta]
    record = provenance(
        study=study_to_dict(opened.study),
        study_text=opened.path.read_text(),
        models_text=opened.models_text,
        seed=opened.study.seed,
        command=command,
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        backend=backend,
        tasks=len(outcomes),
        seconds=seconds,
        seconds_setup=sum(meta["setup_seconds"] for meta in metas),
        seconds_kernels=sum(meta["kernel_seconds"] for meta in metas),
    )
    groups["/provenance"] = record_dataset(record)
    groups["/parameters"] = record_dataset(_parameters(opened))
    write_tree(opened.out, groups, study_hash=opened.digest)


def _parameters(opened: Opened) -> dict[str, float]:
    """Parameters that are the same at every point, and T where it is not scanned."""
    fixed: dict[str, float] = {}
    first = opened.grid.tasks[0].points[0]
    envs = [task.points[0].loaded.env for task in opened.grid.tasks]
    for name, value in first.loaded.env.items():
        if all(env.get(name) == value for env in envs) and name not in opened.grid.axes:
            fixed[name] = value
    if "temperature" not in opened.grid.axes:
        fixed["temperature"] = first.temperature
    return fixed

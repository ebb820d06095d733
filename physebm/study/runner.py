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
from physebm.errors import InputError, StudyError, StudyFileError
from physebm.learning.checks import check_recipe
from physebm.lowering.pipeline import Options, lower
from physebm.observables.derived import DERIVED
from physebm.schema.declarations import ModelDeclaration
from physebm.schema.overrides import read_override
from physebm.schema.study_declarations import StudyDeclaration
from physebm.schema.study_file import readdressed, study_from_text, study_to_dict
from physebm.storage.dataset import record_dataset
from physebm.storage.netcdf import write_tree
from physebm.storage.provenance import canonical_json, provenance, run_record, study_hash
from physebm.study import workfolder
from physebm.study.crew import Cluster, Here, check_crew, crew
from physebm.study.figure_checks import check_figures
from physebm.study.free_energy_refusals import check_methods, check_reweighting
from physebm.study.grid import Grid, expand, recut
from physebm.study.jobs import Done, Watch, addressed, run_jobs
from physebm.study.measure import Subject
from physebm.study.merge import merge, read_outcome
from physebm.study.merge_free_energy import read_free_energies
from physebm.study.merge_training import read_training
from physebm.study.models import declared_models, models_file
from physebm.study.paths import read_study_text
from physebm.study.results import OF_RUNS
from physebm.study.training import recipe_of
from physebm.study.training_data import data_hashes


@dataclass(frozen=True)
class Opened:
    """A study ready to run: declaration, models, grid, identity and places; how it is cut (`recut`)."""

    path: Path
    text: str
    study: StudyDeclaration
    models: dict[str, ModelDeclaration]
    models_text: str
    grid: Grid
    digest: str
    out: Path
    lanes: tuple[int, ...] = ()

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
    study: StudyDeclaration


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
    text = read_study_text(path)
    study = study_from_text(text, overrides, name=path.stem, directory=path.parent, where=str(path))
    try:
        models = declared_models(study)
        grid = expand(study, models)
        _check(study, grid)
    except InputError as problem:
        raise readdressed(problem, str(path), [read_override(each)[0] for each in overrides]) from None
    source = "inline" if study.inline is not None else models_file(study).read_text(encoding="utf-8")
    own = "\n".join(_table_text(source, name) for name in models)
    digest = study_hash(study_to_dict(study), "\n".join([own, *data_hashes(study, grid)]))
    out = Path(out) if out is not None else Path("results") / f"{path.stem}.nc"
    if out.suffix != ".nc":
        raise StudyFileError("--out", got=str(out), expected="a path that ends in .nc")
    opened = Opened(path, text, study, models, own, grid, digest, out)
    lanes = workfolder.lanes_per_task(opened.work, digest)
    return replace(opened, lanes=lanes, grid=recut(study, grid, lanes)) if lanes else opened


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
    """What can be known before anything is drawn: figures, observables and the update of every task."""
    check_figures(study, grid)
    if study.tempering is not None and study.sample.method == "zero-temperature":
        raise StudyFileError(
            f"{study.where}: tempering", hint="zero-temperature dynamics has no temperatures"
        )
    still = study.sample.method == "zero-temperature"
    for i, name in enumerate(study.observe.record):
        if still and (name in DERIVED or name in OF_RUNS):
            hint = "zero-temperature dynamics ends in one state, which has no fluctuations"
            raise StudyFileError(f"{study.where}: observe.record[{i}]", got=name, hint=hint)
    seen = set()
    for task in grid.tasks:
        loaded = task.points[0].loaded
        if loaded.hamiltonian not in seen:
            seen.add(loaded.hamiltonian)
            observe, tempered = study.observe, study.tempering is not None
            Subject(
                loaded.hamiltonian,
                observe.record,
                observe.pattern,
                study.sample.chains,
                tempered,
                study.where,
            )
            try:
                lower(loaded.hamiltonian, Options(study.sample.method, loaded.integer_slots))
            except InputError as problem:
                raise addressed(problem, study, loaded.declaration) from None
    for part in grid.free_energies:
        loaded = part.points[0].loaded
        try:
            check_methods(study.free_energy, loaded.hamiltonian, study.train is not None, study.where)
            check_reweighting(study.free_energy, loaded.hamiltonian, part.temperatures, study.where)
        except InputError as problem:
            raise addressed(problem, study, loaded.declaration) from None
    for training in grid.trainings:
        loaded = training.point.loaded
        try:
            check_recipe(loaded.hamiltonian, recipe_of(training.declared), f"{study.where}: train")
        except InputError as problem:
            raise addressed(problem, study, loaded.declaration) from None


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

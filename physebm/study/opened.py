"""A study read, checked and expanded: what is known of it before anything is drawn."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from physebm.errors import InputError, StudyFileError
from physebm.learning.checks import check_recipe
from physebm.lowering.pipeline import Options, lower
from physebm.observables.derived import DERIVED
from physebm.schema.declarations import ModelDeclaration
from physebm.schema.overrides import read_override
from physebm.schema.study_declarations import StudyDeclaration
from physebm.schema.study_file import readdressed, study_from_text, study_to_dict
from physebm.storage.provenance import study_hash
from physebm.study import workfolder
from physebm.study.addressed import addressed
from physebm.study.figure_checks import check_figures
from physebm.study.free_energy_refusals import check_methods, check_reweighting
from physebm.study.grid import Grid, expand, recut
from physebm.study.measure import Subject
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

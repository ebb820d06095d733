"""Where models come from: a path, the models.toml near a study, or the zoo that ships."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from physebm.errors import InputError, StudyFileError
from physebm.schema.declarations import ModelDeclaration
from physebm.schema.load import Loaded, load
from physebm.schema.model_file import read_models
from physebm.schema.study_declarations import StudyDeclaration
from physebm.schema.study_file import check_study
from physebm.study.keywords import plain_arguments


def shipped_models() -> Path:
    """The models.toml inside the package."""
    return Path(__file__).parents[1] / "models.toml"


@lru_cache(maxsize=16)
def _models(path: Path, stamp: int) -> dict[str, ModelDeclaration]:
    return read_models(path)


def models_of(path: str | Path | None = None) -> dict[str, ModelDeclaration]:
    """All models of a file; by default the shipped ones."""
    path = Path(path) if path is not None else shipped_models()
    if not path.is_file():
        raise InputError(f"models file {path}", hint="there is no such file")
    return _models(path, path.stat().st_mtime_ns)


@plain_arguments()
def load_model(name: str, /, *, models: str | Path | None = None, **parameters) -> Loaded:
    """A declared model by name, with some of its parameters set.

    Parameters
    ----------
    name
        a model of `models` (by default of the shipped models.toml).
    parameters
        numbers, or expressions as text: ``load_model("hopfield", N=500, alpha=0.1)``.

    Raises
    ------
    InputError
        for an unknown model or parameter, with the nearest name.
    """
    declared = models_of(models)
    if name not in declared:
        raise InputError(f"model in {models or shipped_models()}", got=name, expected=list(declared))
    return load(declared[name], parameters)


def models_file(study: StudyDeclaration) -> Path:
    """The file that a study's models come from: the one it names, beside it, above it, or shipped."""
    directory = Path(study.directory)
    if study.models_file is not None:
        path = directory / study.models_file
        if not path.is_file():
            raise StudyFileError(
                f"{study.where}: models", got=study.models_file, hint=f"there is no file {path}"
            )
        return path
    for path in (directory / "models.toml", directory.parent / "models.toml"):
        if path.is_file():
            return path
    return shipped_models()


def declared_models(study: StudyDeclaration) -> dict[str, ModelDeclaration]:
    """The models that a study uses, by name; checked against what the study sets and scans."""
    teachers = study.teachers if study.train is not None else ()
    models = {} if study.inline is not None and not teachers else models_of(models_file(study))
    if study.inline is not None:
        models = {**models, study.models[0]: study.inline}
    _check_named(study, models)
    check_study(study, models)
    wanted = dict.fromkeys([*study.models, *teachers])
    for name in wanted:
        if name not in models:
            where = f"{study.where}: train.data.model"
            raise StudyFileError(where, got=name, expected=list(models))
    used = {name: models[name] for name in wanted}
    return used | {name: study.with_arrays(used[name]) for name in study.models}


def _check_named(study: StudyDeclaration, models: dict[str, ModelDeclaration]) -> None:
    """Raise where the models file does not have a model of the study; the message has its path."""
    axis = study.axis("model")
    for i, name in enumerate(() if study.inline is not None else study.models):
        if name not in models:
            where = f"{axis.where}[{i}]" if axis else f"{study.where}: model"
            hint = f"models of {models_file(study)}"
            raise StudyFileError(where, got=name, expected=list(models), hint=hint)

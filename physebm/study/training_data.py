"""From [train.data] to data in the support of the visible units: read or sampled, and split."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from physebm.data.binarise import binarise, rescale
from physebm.data.bundled import bundled
from physebm.data.dataset import DataSet
from physebm.data.read import SUFFIXES, read_data
from physebm.data.source_file import find
from physebm.data.split import row_range, split
from physebm.data.standardise import refuse_constant, standardise
from physebm.data.weights import reweighted
from physebm.errors import StudyFileError
from physebm.model.hamiltonian import Hamiltonian
from physebm.model.params import Params
from physebm.schema.data_declarations import DataDeclaration
from physebm.schema.declarations import ModelDeclaration
from physebm.schema.study_declarations import StudyDeclaration
from physebm.study.grid import Grid
from physebm.study.teacher import teacher_data
from physebm.study.visible_data import size_parameter, visible_states

PARTS = ("train", "validation", "test")


@dataclass(frozen=True)
class TrainingData:
    """Data in the support of the visible units, cut into parts.

    Attributes
    ----------
    parts
        ``{"train" | "validation" | "test": ({group: x[sample, unit]}, weights[sample])}``; weights
        sum to 1; empty parts are left out.
    shape
        Shape of one sample as it was read (pictures keep their rows and columns).
    teacher
        ``{slot: array}`` of the model that made the data, where one did.
    effective_samples
        Of the training part.
    scale
        The numbers that were brought to 0 and 1 before binarisation; None where none were.
    """

    parts: Mapping[str, tuple[dict[str, np.ndarray], np.ndarray]]
    shape: tuple[int, ...]
    teacher: Mapping[str, np.ndarray]
    effective_samples: float
    scale: tuple[float, float] | None = None


def training_data(
    declared: DataDeclaration,
    hamiltonian: Hamiltonian,
    params: Params,
    *,
    seed: int,
    realisation: int,
    directory: str,
    models: Mapping[str, ModelDeclaration],
    backend: str,
    where: str,
) -> TrainingData:
    """Everything that [train.data] asks for.

    Raises
    ------
    StudyFileError
        naming the key, for data that cannot be read or do not fit the visible units.
    """
    teacher: Mapping[str, np.ndarray] = {}
    scale = declared.scale
    if declared.source == "model":
        dataset, teacher = teacher_data(declared, models, seed, realisation, backend)
    else:
        dataset = _read(declared, directory, where)
        scale = scale or _natural_scale(declared, dataset)
        dataset = _brought_to_states(declared, dataset, scale, seed, where)
    if declared.rows is not None:
        rows = row_range(declared.rows, dataset.samples, where)
        dataset = dataset.subset(rows)
    fractions = declared.split
    cut = split(
        dataset.samples,
        validation=fractions.validation,
        test=fractions.test,
        seed=seed,
        where=f"{where}.split",
    )
    if declared.weights == "sequence":
        # within each part: what is held out has no say in what the others weigh
        held = [getattr(cut, name) for name in PARTS]
        weights, attrs = np.empty(dataset.samples), {}
        for rows in (rows for rows in held if len(rows)):
            part = reweighted(dataset.subset(rows), declared.identity, f"{where}.weights")
            weights[rows], attrs = part.weights, part.attrs
        dataset = replace(dataset, weights=weights, attrs=attrs)
    if declared.standardise:
        train = dataset.subset(cut.train)
        refuse_constant(train.values, train.weights, where)
        scaled = standardise(train.values, train.weights).apply(dataset.values)
        dataset = replace(dataset, values=scaled)

    def sizing(units: int) -> str | None:
        model = models.get(hamiltonian.name)
        name = None if model is None else size_parameter(model, hamiltonian)
        return None if name is None else f"set the size of the model in [set], or --set {name}={units}"

    at = f"{where}.{'path' if declared.path is not None else 'source'}"
    x = visible_states(hamiltonian, params, dataset.values, at, map=declared.map, sizing=sizing)
    weights = np.ones(dataset.samples) if dataset.weights is None else dataset.weights
    parts = {}
    for name in PARTS:
        rows = getattr(cut, name)
        if len(rows):
            held = {group: values[rows] for group, values in x.items()}
            parts[name] = (held, weights[rows] / weights[rows].sum())
    effective = dataset.effective_samples_of(cut.train)
    return TrainingData(parts, dataset.shape, teacher, effective, scale)


def data_hashes(study: StudyDeclaration, grid: Grid) -> list[str]:
    """Digests of the data files of all trainings: other data make another study."""
    paths = {t.declared.data.path for t in grid.trainings if t.declared.data.path is not None}
    found = []
    for path in sorted(paths):
        file = find(Path(study.directory) / path, f"{study.where}: train.data.path", SUFFIXES)
        with open(file.path, "rb") as stream:
            found.append(hashlib.file_digest(stream, "blake2b").hexdigest()[:32])
    return found


def _read(declared: DataDeclaration, directory: str, where: str) -> DataSet:
    if declared.path is not None:
        return read_data(Path(directory) / declared.path, **declared.reader_options(), where=where)
    return bundled(declared.source, f"{where}.source")


def _brought_to_states(declared, dataset: DataSet, scale, seed: int, where: str) -> DataSet:
    values = dataset.values
    if declared.binarise is not None:
        values = binarise(values, declared.binarise, scale=scale, seed=seed, where=where)
    elif declared.scale is not None:
        values = rescale(values, declared.scale, where)
    return replace(dataset, values=values)


def read_like_training(
    declared: DataDeclaration,
    hamiltonian: Hamiltonian,
    params: Params,
    seed: int,
    where: str,
    scale: tuple[float, float] | None = None,
) -> np.ndarray:
    """The samples ``[sample, unit]`` of a file, in the support of the visible units.

    `scale` is that of the training data (`TrainingData.scale`), whatever the type of the new numbers; a
    file of nothing but 0 and 1 is taken as binarised already.

    Every step of [train.data] is done again but splitting and weighing. Standardised data have no
    meaning on their own and are refused. Keys of [train.data] cannot be set here: no advice names any.
    """
    if declared.standardise:
        raise StudyFileError(
            where,
            got="a model of standardised data",
            hint="bring the data to the training data's mean and variance, and score them in Python",
        )
    try:
        dataset = _read(declared, ".", where)
        if declared.binarise is None or not np.isin(dataset.values, (0, 1)).all():
            dataset = _brought_to_states(declared, dataset, scale, seed, where)
    except StudyFileError as problem:
        _, _, key = problem.where.partition(f"{where}.")
        key = key.split(" ")[0]
        at = where if key in ("", "path") else f"{where} (read by train.data.{key} of the study)"
        hint = problem.hint
        if hint is None or " = " in hint:
            hint = "the file is read as the training data were: bring it to their form"
        raise StudyFileError(at, got=problem.got, expected=problem.expected, hint=hint) from None
    held = visible_states(hamiltonian, params, dataset.values, where, map=declared.map, keys=False)
    return np.concatenate(list(held.values()), axis=1)


def _natural_scale(declared: DataDeclaration, dataset: DataSet) -> tuple[float, float] | None:
    """Which numbers are black and white in pictures of whole grey values; None for all other data."""
    if declared.source == "digits":
        return (0.0, 16.0)
    return (0.0, 255.0) if dataset.values.dtype == np.uint8 and dataset.values.max() > 1 else None

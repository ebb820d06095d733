"""Trained models and files: what `physebm score` and `physebm generate` do."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import xarray as xr

from physebm.data.numpy_file import read_array
from physebm.data.source_file import find
from physebm.errors import InputError, StudyFileError
from physebm.schema.study_file import study_from_dict
from physebm.storage.atomic import replacing
from physebm.storage.dataset import record_of
from physebm.storage.netcdf import open_group
from physebm.storage.training import data_scale
from physebm.study.trained import Trained, open_trained
from physebm.study.training_data import read_like_training

SAMPLE_FORMATS = (".npy", ".nc")


def read_age_option(text: str) -> int | str:
    """``--update``: a number, or "last"."""
    if text == "last":
        return text
    if not text.isdigit():
        raise InputError("--update", got=text, expected='a whole number, or "last"')
    return int(text)


def read_at_options(texts: Sequence[str]) -> dict[str, object]:
    """``--at AXIS=VALUE``: numbers where they read as numbers."""
    chosen: dict[str, object] = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not sign or not name or not value:
            raise InputError("--at", got=text, expected="AXIS=VALUE, as in train_method=pcd")
        try:
            chosen[name] = json.loads(value)
        except json.JSONDecodeError:
            chosen[name] = value
    return chosen


def score_file(
    result: str | Path, data: str | Path, update: int | str, at: Mapping[str, object]
) -> xr.Dataset:
    """Scores of the samples in a file, read like the training data of the result's study."""
    trained = open_trained(result, update, **at)
    record = record_of(open_group(result, "/provenance"))
    study = study_from_dict(json.loads(record["resolved_study"]), name=Path(result).stem)
    declared = study.train.data.with_path(str(Path(data).resolve()))
    scale = data_scale(result) or study.train.data.scale
    try:
        values = read_like_training(
            declared, trained.hamiltonian, trained.params, study.seed, str(data), scale
        )
    except StudyFileError as problem:  # the file is named on the command line, by no study
        raise InputError(
            problem.where, got=problem.got, expected=problem.expected, hint=problem.hint
        ) from None
    return trained.score(values)


def write_scores(out: str | Path, scores: xr.Dataset) -> Path:
    """Write scores as one netCDF file; nothing is overwritten."""
    path = _fresh(out, (".nc",))
    with replacing(path) as temporary:
        scores.to_netcdf(temporary, engine="netcdf4")
    return path


def generate_file(
    result: str | Path,
    out: str | Path,
    samples: int,
    *,
    sweeps: int,
    temperature: float,
    seed: int,
    clamp: str | Path | None,
    update: int | str,
    at: Mapping[str, object],
) -> Path:
    """Samples of a trained model as .npy (visible units) or .nc (all groups)."""
    path = _fresh(out, SAMPLE_FORMATS)
    if not temperature > 0:
        raise InputError("--temperature", got=temperature, expected="a number above 0")
    trained = open_trained(result, update, **at)
    held = None if clamp is None else _clamped(trained, Path(clamp), samples)
    try:
        states = trained.generate(
            samples, sweeps=sweeps, temperature=temperature, seed=seed, clamp=held
        )
    except InputError as problem:
        if not problem.where.startswith("clamp."):
            raise
        where = f"--clamp {clamp} ({problem.where.removeprefix('clamp.')})"
        raise InputError(where, got=problem.got, expected=problem.expected, hint=problem.hint) from None
    visible = trained.visible(states)
    with replacing(path) as temporary:
        if path.suffix == ".npy":
            with open(temporary, "wb") as stream:
                np.save(stream, visible)
            return path
        ds = xr.Dataset()
        if visible.ndim == 3:
            ds["samples"] = (("sample", "row", "column"), visible)
        else:
            ds["samples"] = (("sample", "unit"), visible.reshape(len(visible), -1))
        for name, x in states.items():
            ds[name] = (("sample", f"unit_{name}"), x)
        ds.attrs = {
            "update": trained.update,
            "sweeps": sweeps,
            "temperature": temperature,
            "seed": seed,
        }
        ds.to_netcdf(temporary, engine="netcdf4")
    return path


def _clamped(trained: Trained, path: Path, samples: int) -> dict[str, np.ndarray]:
    """Held values of the visible units from a .npy file, one row or one per sample."""
    where = f"--clamp {path}"
    if path.suffix != ".npy":
        raise InputError(where, got=path.name, expected="a .npy file of visible values")
    values = read_array(find(path, where, (".npy",)))
    groups = trained.hamiltonian.counted
    units = sum(group.size for group in groups)
    row = values.size == units
    if not row and (values.ndim < 2 or len(values) != samples or values.size != samples * units):
        raise InputError(
            where,
            got=f"shape {list(values.shape)}",
            expected=f"{units} values per sample: one row for all, or {samples} rows",
        )
    rows, out, start = values.reshape(-1, units), {}, 0
    for group in groups:
        out[group.name] = rows[:, start : start + group.size]
        start += group.size
    return out


def _fresh(out: str | Path, suffixes: Sequence[str]) -> Path:
    path = Path(out)
    if path.suffix not in suffixes:
        raise InputError(
            "--out", got=str(path), expected=f"a path that ends in {' or '.join(suffixes)}"
        )
    if path.exists():
        raise InputError("--out", got=str(path), hint="this file exists; nothing was overwritten")
    return path

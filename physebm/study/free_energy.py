"""The free-energy stage: log Z of one model at its temperatures, by every method that is asked for.

Each method's estimates are a file of their own in the job's folder as soon as they are there, so that
a job that is killed repeats one method at most. All of it is addressed by the job's own coordinates:
the same bits on any number of workers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np

from physebm.backends.select import select
from physebm.lowering.positive import check_positive_form
from physebm.native.products import single_threaded_blas
from physebm.schema.declarations import ModelDeclaration
from physebm.schema.free_energy_declarations import FreeEnergyDeclaration
from physebm.schema.study_declarations import StudyDeclaration
from physebm.storage.arrays_file import read_arrays, write_arrays
from physebm.study import free_energy_methods
from physebm.study.free_energy_data import seen
from physebm.study.free_energy_findings import Findings
from physebm.study.free_energy_shares import share_of, work_of
from physebm.study.free_energy_subject import Subject
from physebm.study.grid import FreeEnergies, Training
from physebm.study.setup import params_of
from physebm.study.training_data import training_data

Progress = Callable[[float, str], None]
NUMBERS = ("log_z", "stderr", "low", "high")


def run_free_energies(
    study: StudyDeclaration,
    part: FreeEnergies,
    training: Training | None,
    models: Mapping[str, ModelDeclaration],
    backend: str,
    folder: Path,
    digest: str,
    progress: Progress = lambda fraction, note: None,
    trained: Mapping[int, Path] | None = None,
) -> Path:
    """Run or resume a job in its folder; returns the path of its result file."""
    folder.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()
    subject = _subject(study, part, training, models, backend, trained or {})
    compiled = time.perf_counter()
    arrays = estimated(study.free_energy, subject, backend, folder, digest, progress)
    result = folder / "result.npz"
    seconds = time.perf_counter() - started
    meta = {"study": digest, "seconds": seconds, "setup_seconds": compiled - started}
    write_arrays(result, arrays, meta)
    progress(1.0, "")
    return result


def estimated(
    asked: FreeEnergyDeclaration,
    subject: Subject,
    backend: str,
    folder: Path,
    digest: str,
    progress: Progress = lambda fraction, note: None,
) -> dict[str, np.ndarray]:
    """Everything that is known of a subject, ``{METHOD/NAME: [temperature, ...]}``.

    The folder keeps the estimates of each method; those that are there are not made again. Mean reduced
    potentials of the data's parts stand beside them, ``-log p - log Z`` at every temperature.
    """
    arrays, known = {}, seen(subject)
    hamiltonian, count = subject.loaded.hamiltonian, len(asked.method)
    work = work_of(asked, hamiltonian, len(subject.temperatures), subject.data is not None)
    ended: set[str] = set()
    for number, method in enumerate(asked.method):
        kept = _kept(folder / f"{method}.npz", digest)
        if kept is None:
            note = f"free energies: {method} (method {number + 1} of {count})"
            before, own = share_of(work, ended), share_of(work, {method})
            told = partial(_told, progress, before, own, note)
            told(0.0)
            with single_threaded_blas():
                found = free_energy_methods.run(method, asked, subject, select(backend), known, told)
            for name, each in found.items():
                write_arrays(folder / f"{name}.npz", _arrays(each), {"study": digest})
            ended |= set(found)
            kept = _kept(folder / f"{method}.npz", digest)
        ended.add(method)
        arrays |= {f"{method}/{name}": value for name, value in kept.items()}
    arrays["temperature"] = np.array(subject.temperatures)
    units = hamiltonian.counted_units
    arrays["n_units"] = np.full(len(subject.temperatures), units)
    scores = {f"{known.kind}/{part}": u for part, u in known.potentials.items()}
    return arrays | scores


def _told(progress: Progress, before: float, share: float, note: str, fraction: float) -> None:
    progress(before + share * fraction, note)


def _subject(study, part: FreeEnergies, training, models, backend, trained) -> Subject:
    point = part.points[0]
    loaded, params = point.loaded, params_of(study, point, trained)
    temperatures = part.temperatures
    rows = loaded.coefficients(temperatures)
    check_positive_form(loaded.hamiltonian, params, rows)
    data = None
    if training is not None:
        data = training_data(
            training.declared.data,
            loaded.hamiltonian,
            params,
            seed=study.seed,
            realisation=point.disorder,
            directory=study.directory,
            models=models,
            backend=backend,
            where=f"{study.where}: train.data",
        )
    name = tuple(word for pair in part.own for word in pair)
    return Subject(loaded, params, temperatures, study.seed, name, data)


def _kept(file: Path, digest: str) -> dict[str, np.ndarray] | None:
    if not file.exists():
        return None
    arrays, meta = read_arrays(file)
    return arrays if meta.get("study") == digest else None


def _arrays(found: Findings) -> dict[str, np.ndarray]:
    """What one method found, arrays ``[temperature, ...]`` by name; and what else its run gave."""
    estimates, energies = found.estimates, found.energies
    arrays = {name: np.array([getattr(e, name) for e in estimates]) for name in NUMBERS}
    arrays |= {"energy": energies.value, "energy_stderr": energies.stderr}
    arrays["verdict"] = np.array([int(each.verdict) for each in estimates], dtype=np.int8)
    arrays["reason"] = np.array([each.reason for each in estimates])
    names = dict.fromkeys(name for each in estimates for name in each.diagnostics)
    for name in names:
        held = [each.diagnostics.get(name) for each in estimates]
        values = [np.asarray(np.nan if x is None else x) for x in held]
        if any(x.dtype.kind not in "biuf" for x in values):
            continue
        rank = max(x.ndim for x in values)
        values = [x.reshape((1,) * (rank - x.ndim) + x.shape) for x in values]
        sizes = np.max([x.shape for x in values], axis=0) if rank else ()
        placed = np.full((len(values), *(int(n) for n in sizes)), np.nan)
        for k, x in enumerate(values):
            placed[(k, *(slice(0, n) for n in x.shape))] = x
        arrays[f"diagnostics/{name}"] = placed
    return arrays | dict(found.more)

"""How far the jobs of a study are: what they say while they run, and what is saved of them.

A job under way writes its fraction to ``progress.json`` in its folder, several times per second; it
saves its state far less often. So that file counts while the job runs, and never after: a job that was
stopped is as far as its checkpoint (free energies: as the methods whose estimates are kept).
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path

from physebm.errors import ResultFileError
from physebm.storage.arrays_file import read_arrays, read_meta
from physebm.storage.atomic import replacing
from physebm.study.free_energy_shares import share_of, work_of
from physebm.study.grid import FreeEnergies, Task, Training
from physebm.study.opened import Opened
from physebm.study.workfolder import complete

PROGRESS_SECONDS = 0.3
_FILE = "progress.json"

Watch = Callable[[float, int, int, str], None]


def progress_of(opened: Opened, running: bool) -> tuple[float, int, int]:
    """Fraction done, jobs done and jobs of a study, from its work folder (or its result).

    Trainings, tasks and free energies count alike where a study has them; tasks count by their points
    within, free energies by their work.

    Parameters
    ----------
    running
        Whether its jobs are under way: then what is not saved yet counts too.
    """
    grid = opened.grid
    stages = [stage for stage in (grid.trainings, grid.tasks, grid.free_energies) if stage]
    jobs = sum(len(stage) for stage in stages)
    if not opened.work.exists() and complete(opened.out):
        return 1.0, jobs, jobs
    fraction, done = 0.0, 0
    for stage in stages:
        sizes = [_size(opened, part) for part in stage]
        whole = sum(sizes) * len(stages)
        for part, size in zip(stage, sizes):
            if _ended(opened, part):
                held, done = 1.0, done + 1
            elif running:
                held = _told(opened, part)["fraction"]
            else:
                held = saved_fraction(opened, part)
            fraction += held * size / whole
    return fraction, done, jobs


def failures_of(opened: Opened) -> dict[str, str]:
    """Why jobs failed, in a line for each: trainings that diverged, and jobs that left a traceback.

    The first have ended, with a result that holds what was recorded before.
    """
    failures = {}
    for part in (*opened.grid.trainings, *opened.grid.tasks, *opened.grid.free_energies):
        error, text = opened.work / part.name / "error.txt", ""
        if not _ended(opened, part):
            text = f"the next run tries it again ({error})" if error.exists() else ""
        elif isinstance(part, Training):
            text = _failure_in(opened.work / part.name / "result.npz")
        if text:
            failures[part.name] = " ".join(text.split())
    return failures


def watching(opened: Opened, watch: Watch, stop: threading.Event) -> None:
    """Tell `watch` how far the running jobs are, a few times per second until `stop`."""
    while not stop.wait(PROGRESS_SECONDS):
        watch(*progress_of(opened, True), note_of(opened))


def note_of(opened: Opened) -> str:
    """The last few numbers of a job that is under way and tells some, "" where there is none."""
    for part in (*opened.grid.trainings, *opened.grid.free_energies):
        if not _ended(opened, part):
            note = _told(opened, part)["note"]
            if note:
                return note
    return ""


def settle(opened: Opened) -> None:
    """Before a run begins: what earlier runs said counts as far as it was saved."""
    for part in (*opened.grid.trainings, *opened.grid.tasks, *opened.grid.free_energies):
        file = opened.work / part.name / _FILE
        if file.exists() and not _ended(opened, part):
            _tell(file, saved_fraction(opened, part), "")


def saved_fraction(opened: Opened, part: Task | Training | FreeEnergies) -> float:
    """The part of a job that has not ended which the next run will not do again."""
    folder, digest = opened.work / part.name, opened.digest
    if isinstance(part, FreeEnergies):
        work = _work(opened, part)
        kept = {name for name in work if _read(folder / f"{name}.npz", digest) is not None}
        return share_of(work, kept)
    held = _read(folder / "checkpoint.npz", digest)
    if held is None:
        return 0.0
    arrays, meta = held
    if isinstance(part, Training):
        return int(arrays["update"]) / part.declared.updates
    schedule = part.schedule
    measured = schedule.sweeps // schedule.every * schedule.every
    return meta["sweep"] / (schedule.discard + measured)


def _size(opened: Opened, part: Task | Training | FreeEnergies) -> float:
    if isinstance(part, FreeEnergies):
        return sum(_work(opened, part).values())
    return 1 if isinstance(part, Training) else len(part.points)


def _work(opened: Opened, part: FreeEnergies) -> dict[str, float]:
    """Unit updates of every method in one job."""
    first = part.points[0]
    trained = bool(first.training)
    asked, H = opened.study.free_energy, first.loaded.hamiltonian
    return work_of(asked, H, len(part.temperatures), trained)


def reporter(folder: Path) -> Callable[..., None]:
    """``report(fraction, note)``, which writes the progress of the job in a folder now and then."""
    last = [0.0]

    def report(fraction: float, note: str = "") -> None:
        now = time.monotonic()
        if now - last[0] > PROGRESS_SECONDS:
            last[0] = now
            _tell(folder / _FILE, fraction, note)

    return report


def _ended(opened: Opened, part: Task | Training | FreeEnergies) -> bool:
    return (opened.work / part.name / "result.npz").exists()


def _failure_in(result: Path) -> str:
    try:
        return read_meta(result).get("failure", "")
    except ResultFileError:  # damaged: the next run does it again
        return ""


def _tell(file: Path, fraction: float, note: str) -> None:
    with replacing(file, synced=False) as temporary:
        Path(temporary).write_text(json.dumps({"fraction": fraction, "note": note}))


def _told(opened: Opened, part: Task | Training | FreeEnergies) -> dict:
    try:
        held = json.loads((opened.work / part.name / _FILE).read_text())
        return {"fraction": float(held["fraction"]), "note": str(held.get("note", ""))}
    except (OSError, ValueError, KeyError, TypeError):
        return {"fraction": 0.0, "note": ""}


def _read(file: Path, digest: str):
    """Arrays and meta of a file of this study that can be continued from, else None."""
    try:
        arrays, meta = read_arrays(file)
    except ResultFileError:
        return None
    return (arrays, meta) if meta.get("study") == digest else None

"""The folder ``NAME.work/`` beside a result while its study runs: whose it is, and who may write.

::

    study.json        hash and title of the study that the work belongs to, and its keys; how it is cut;
                  the runs that worked on it
    lock.json         the process that runs it now
    run.json          the run that jobs on a cluster belong to (see `claim`)
    task0001/         checkpoint, progress and result of a task
    train0001/        checkpoint, recorded ages and result of a training
    free0001/         estimates and result of the free energies of a model
    previous.nc       the result that --restart puts aside until the new one is written

Nothing of another study is touched, and nothing that physebm did not make is removed. Work is what
could be continued: checkpoints and results. A run that was killed before its first checkpoint left
none: its notes of progress and recorded ages do not keep another study from the place.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from physebm.errors import ResultFileError
from physebm.storage.arrays_file import read_arrays
from physebm.storage.atomic import replacing
from physebm.storage.dataset import DONE
from physebm.storage.lock import NAME as LOCK
from physebm.storage.lock import holder, holding
from physebm.storage.netcdf import open_summary
from physebm.storage.provenance import canonical_json
from physebm.study.claim import end_earlier, holders
from physebm.study.differences import refuse_other_result, told_differences

IDENTITY, PREVIOUS = "study.json", "previous.nc"
JOBS = ("task", "train", "free")

__all__ = [
    "claimed",
    "complete",
    "holder",
    "keep_lanes",
    "keep_run",
    "lanes_per_task",
    "other_work",
    "remove",
    "runs",
    "saved",
]


@contextmanager
def claimed(
    work: Path,
    out: Path,
    digest: str,
    title: str,
    restart: bool,
    keys: Mapping[str, Any] | None = None,
) -> Iterator[bool]:
    """Hold the work folder of a study; yields whether its result is complete already.

    `keys` is the resolved study, kept beside its hash: whoever is refused the place is told by it what
    differs.

    On the way out a folder without any work in it is removed, and a result that `restart` had put
    aside comes back if there is no new one.

    Raises
    ------
    ResultFileError
        for a place that cannot be written, a result or work of another study, and a running one.
    """
    _check_place(work, out)
    refuse_other_result(out, digest, keys)
    if not restart and not work.exists() and complete(out):
        yield True
        return
    try:
        work.mkdir(exist_ok=True)
    except OSError as error:
        raise ResultFileError(f"--out {out}", hint=f"{work}: {error.strerror}") from None
    with holding(work):
        end_earlier(work)
        _own(work, out, digest, title, restart, keys)
        # Another process may have finished it between the first look and the lock.
        if not restart and complete(out):
            remove(work)
            yield True
            return
        if restart:
            _begin_again(work, out, digest, title, keys)
        try:
            yield False
        except BaseException:
            _tidy(work, out)
            raise


def complete(out: Path) -> bool:
    """Whether the result is there and every point of it has been computed."""
    return out.exists() and bool(np.all(open_summary(out)["status"] == DONE))


def remove(work: Path) -> None:
    """Remove the work of a study whose result has been written."""
    shutil.rmtree(work, ignore_errors=True)


def _check_place(work: Path, out: Path) -> None:
    where = f"--out {out}"
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        at = next(path for path in out.parents if path.exists())
        raise ResultFileError(
            where, hint=f"{at} is a file, not a folder; choose another --out"
        ) from None
    except OSError as error:
        raise ResultFileError(
            where, hint=f"the folder cannot be made: {error.strerror}; choose another --out"
        ) from None
    if not os.access(out.parent, os.W_OK | os.X_OK):
        raise ResultFileError(where, hint=f"{out.parent} is not writable; choose another --out")
    if work.exists() and not work.is_dir():
        raise ResultFileError(
            where, got=f"{work}, a file", hint="work in progress goes to a folder of this name"
        )
    if work.is_dir():
        names = {path.name for path in work.iterdir()} - {LOCK}
        if names and not any(name == IDENTITY or name.startswith(JOBS) for name in names):
            raise ResultFileError(
                where,
                got=f"{work}, a folder that physebm did not make",
                hint="work in progress goes to a folder of this name; choose another --out",
            )


def _own(
    work: Path, out: Path, digest: str, title: str, restart: bool, keys: Mapping[str, Any] | None
) -> None:
    """Write the identity of the study, unless the folder holds work of another."""
    if _identity(work)[0] == digest:
        return
    other = other_work(work, digest)
    if other and not restart:
        changed = told_differences(_identity(work)[2], keys)
        raise ResultFileError(
            str(work),
            got=f"unfinished work of {other}",
            hint=f"{changed}choose another --out; --restart forgets that work",
        )
    if other or not _files(work):
        if (work / PREVIOUS).exists() and not out.exists():
            os.replace(work / PREVIOUS, out)
            refuse_other_result(out, digest, keys)
        _forget(work)
    _identify(work, digest, title, keys)


def other_work(work: Path, digest: str, running: bool = False) -> str:
    """Which other study the work in a folder belongs to, in words; "" where there is none of another.

    While it is `running` there need not be any work yet.
    """
    found, title, _ = _identity(work)
    if found is None and _task_owners(work) <= {digest}:
        return ""
    if found == digest or not (running or _files(work)):
        return ""
    return f"another study ({title})"


def _identity(work: Path) -> tuple[str | None, str, Mapping[str, Any] | None]:
    """Hash and title of the study that the folder belongs to, and its keys where they were kept."""
    try:
        held = json.loads((work / IDENTITY).read_text(encoding="utf-8"))
        return str(held["study"]), str(held.get("title", "?")), held.get("keys")
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None, "its study.json cannot be read", None


def lanes_per_task(work: Path, digest: str) -> tuple[int, ...] | None:
    """How the saved work of a study is cut (`grid.recut`; () by default), None where there is none."""
    if _identity(work)[0] != digest or not _files(work):
        return None
    return tuple(json.loads((work / IDENTITY).read_text(encoding="utf-8")).get("lanes_per_task", ()))


def keep_lanes(work: Path, lanes: Sequence[int]) -> None:
    """Keep how the study of this folder is cut into tasks."""
    held = json.loads((work / IDENTITY).read_text(encoding="utf-8"))
    _write_identity(work, {**held, "lanes_per_task": list(lanes)})


def keep_run(work: Path, run: Mapping[str, str]) -> None:
    """Add a run that begins to those that worked on this study; the first where nothing is saved."""
    held = json.loads((work / IDENTITY).read_text(encoding="utf-8"))
    before = held.get("runs", []) if _files(work) else []
    _write_identity(work, {**held, "runs": [*before, dict(run)]})


def runs(work: Path) -> list[dict[str, str]]:
    """The runs that worked on the study of this folder, first to last; see `run_record`."""
    return json.loads((work / IDENTITY).read_text(encoding="utf-8"))["runs"]


def _identify(work: Path, digest: str, title: str, keys: Mapping[str, Any] | None) -> None:
    held = {"study": digest, "title": title} | ({} if keys is None else {"keys": keys})
    _write_identity(work, held)


def _write_identity(work: Path, held: Mapping[str, Any]) -> None:
    with replacing(work / IDENTITY) as temporary:
        Path(temporary).write_text(canonical_json(held), encoding="utf-8")


def saved(work: Path, name: str) -> bool:
    """Whether the job of that name has anything that the next run would continue from."""
    return bool(_files(work, name))


def _files(work: Path, name: str = "") -> list[Path]:
    """Files that hold computed work: of one job, or of all."""
    jobs = (name,) if name else tuple(f"{job}*" for job in JOBS)
    found = [path for job in jobs for path in work.glob(f"{job}/*.npz")]
    # free energies keep every estimate that is ready
    whole = ("result.npz", "checkpoint.npz")
    return [path for path in found if path.name in whole or path.parent.name.startswith("free")]


def _task_owners(work: Path) -> set[str]:
    owners = set()
    for path in _files(work):
        with suppress(ResultFileError):
            owners.add(str(read_arrays(path)[1].get("study")))
    return owners


def _begin_again(work: Path, out: Path, digest: str, title: str, keys) -> None:
    """Forget all jobs; the old result stands aside until the new one is written."""
    _forget(work)
    _identify(work, digest, title, keys)
    if out.exists():
        os.replace(out, work / PREVIOUS)


def _forget(work: Path) -> None:
    for path in work.iterdir():
        if path.name.startswith(JOBS) and path.is_dir():
            shutil.rmtree(path, ignore_errors=True)


def _tidy(work: Path, out: Path) -> None:
    """After a run that did not end: without any work to keep, the place is as it was."""
    if _files(work) or holders(work):
        return
    if (work / PREVIOUS).exists() and not out.exists():
        os.replace(work / PREVIOUS, out)
    if not any(path for job in JOBS for path in work.glob(f"{job}*/error.txt")):
        remove(work)

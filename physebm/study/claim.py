"""Which run the jobs of other processes belong to: they go on while ``NAME.work/run.json`` names it.

A cluster outlives its client, and jobs there hear no signal; processes of this machine outlive a run
that was killed. So the client writes an id of its run into the work folder and takes it away where its
jobs shall end; a job looks once a second, and holds a lock on its own folder (`storage.lock`) until it
has saved. Whoever runs the study next takes the id away and waits for those locks, so that no two jobs
write in one folder, also after a client that was killed.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from physebm.errors import ResultFileError
from physebm.storage.atomic import replacing
from physebm.storage.lock import NAME as LOCK
from physebm.storage.lock import holder, holding
from physebm.study.interrupts import ended_by

NAME = "run.json"
PATIENCE = 60.0
"""Seconds to wait for jobs of an earlier run: longer than what lies between two safe places mostly."""


@dataclass(frozen=True)
class Claim:
    """The claim of a run on a work folder, absolute; `cwd` is the current folder of its client."""

    work: Path
    run: str
    cwd: Path

    def stands(self) -> bool:
        """Whether the work folder names this run; false too where the folder is not seen."""
        try:
            return json.loads((self.work / NAME).read_text(encoding="utf-8"))["run"] == self.run
        except (OSError, ValueError, KeyError, TypeError):
            return False


@dataclass(frozen=True)
class Claimed:
    """``work(job)`` in another process: in the client's folder, alone in the job's."""

    work: Callable[[Any], Any]
    claim: Claim

    def __call__(self, job: Any) -> Any:
        """The result; where the claim is withdrawn KeyboardInterrupt, with everything saved."""
        with chdir(self.claim.cwd):
            self._end_if_withdrawn()
            job.folder.mkdir(exist_ok=True)
            with holding(job.folder), ended_by(lambda: not self.claim.stands()):
                self._end_if_withdrawn()  # again: whoever withdrew it before saw no lock
                return self.work(job)

    def _end_if_withdrawn(self) -> None:
        if not self.claim.stands():
            raise KeyboardInterrupt("the run is over")


@contextmanager
def claiming(work: Path) -> Iterator[Claim]:
    """A claim of this run, withdrawn at the end."""
    claim = Claim(work.absolute(), uuid.uuid4().hex, Path.cwd())
    with replacing(claim.work / NAME) as temporary:
        temporary.write_text(json.dumps({"run": claim.run}), encoding="utf-8")
    try:
        yield claim
    finally:
        withdraw(work)


def withdraw(work: Path) -> None:
    """Ask the jobs of any run to end: those that are under way, and those that have not begun."""
    (work / NAME).unlink(missing_ok=True)


def holders(work: Path) -> list[str]:
    """The processes that work in the folders of jobs."""
    return [held for lock in work.glob(f"*/{LOCK}") if (held := holder(lock.parent))]


def end_earlier(work: Path, patience: float = PATIENCE) -> None:
    """End what an earlier run left running, and wait until it has saved.

    Raises
    ------
    ResultFileError
        naming the process, where it takes longer than `patience`.
    """
    withdraw(work)
    end = time.monotonic() + patience
    while held := holders(work):
        if time.monotonic() > end:
            raise ResultFileError(
                str(work),
                got=f"in use by {held[0]}, a job of an earlier run",
                hint="it was asked to end and saves what it has first; run again then",
            )
        time.sleep(0.1)

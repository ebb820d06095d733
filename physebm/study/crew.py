"""Who does the work of a run: this process, processes of this machine, or workers of a Dask cluster.

A crew says which backend it has and in which tasks it takes a study, and does jobs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from physebm.backends.cuda.visible import visible_devices
from physebm.backends.select import Choice, choice
from physebm.errors import InputError
from physebm.schema.study_declarations import StudyDeclaration
from physebm.storage.provenance import cpu_model
from physebm.study import batches, executors
from physebm.study.claim import Claim, Claimed, claiming
from physebm.study.cluster import Cluster
from physebm.study.grid import Grid

Work = Callable[[Any], Any]
Mapped = Iterator[tuple[Any, Any]]


class Here:
    """One process, or `workers` of this machine, which work while the claim of their run stands."""

    def __init__(self, workers: int, claim: Claim | None = None):
        self.workers, self.claim = workers, claim

    def choice(self, name: str) -> Choice:
        """The backend that a name means, and its device."""
        return choice(name)

    def device(self, taken: Choice) -> str:
        """What the work is done on, for the record."""
        return taken.device or cpu_model()

    def lanes(self, study: StudyDeclaration, grid: Grid, taken: Choice):
        """See `batches.lanes_for`."""
        return batches.lanes_for(study, grid, taken, self.workers)

    def map(self, work: Work, jobs: Sequence[Any], taken: Choice) -> Mapped:
        """``(job, work(job))``; an exception stands in place of a value."""
        workers = max(1, min(self.workers, len(jobs)))
        if workers == 1:
            return executors.serial(work, jobs)
        devices = [device.name for device in batches.devices_of(taken, self.workers)]
        if self.claim is not None:
            work = Claimed(work, self.claim)
        return executors.processes(work, jobs, workers, devices)


@contextmanager
def crew(
    workers: int, scheduler: str | None, work: Path, told: Callable[[str], None]
) -> Iterator[Here | Cluster]:
    """The crew that was asked for, for a run in the folder `work`; see `dask_cluster.connected`."""
    if scheduler is None and workers == 1:
        yield Here(workers)
        return
    if scheduler is None:
        with claiming(work) as claim:
            yield Here(workers, claim)
        return
    from physebm.study.executors.dask_cluster import CUDA, connected

    devices = len(visible_devices()) if scheduler == CUDA else 0
    with connected(scheduler, devices) as client, claiming(work) as claim:
        yield Cluster(client, scheduler, claim, told)


def check_crew(workers: int, scheduler: str | None) -> None:
    """Refuse two crews at once.

    Raises
    ------
    InputError
        for a scheduler beside several processes.
    """
    if scheduler is not None and workers > 1:
        raise InputError(
            "--scheduler",
            got=f"{scheduler}, and --workers {workers}",
            expected="one of the two",
            hint="a cluster has its own workers: `dask worker ADDRESS --nworkers N`",
        )

"""The workers of a Dask cluster as the crew of a run: admitted by what they say, then given jobs.

The workers decide which backend there is and how much memory, not the machine where the command was
typed: all must have this physebm, see the folder of the run, and mean the same by the backend's name.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import socket
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import chdir
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from physebm.backends.cuda.visible import visible_devices
from physebm.backends.select import ON_DEVICES, Choice, choice, select
from physebm.errors import BackendError, PhysebmError, StudyError
from physebm.schema.study_declarations import StudyDeclaration
from physebm.storage.provenance import cpu_model
from physebm.study import batches
from physebm.study.claim import Claim, Claimed, withdraw
from physebm.study.grid import Grid

SHARED_SECONDS = 5.0
"""How long a new file may take until another machine sees it on a shared file system."""

Work = Callable[[Any], Any]
Mapped = Iterator[tuple[Any, Any]]


@dataclass(frozen=True)
class Worker:
    """What a worker says of itself.

    `unseen` is the first folder that it does not see, `taken` its backend or why it has none. `place`
    names its device (workers of one place share its memory); of `free` bytes there, None where nobody
    counts.
    """

    version: str
    unseen: str = ""
    taken: Choice | Exception | None = None
    processor: str = ""
    place: tuple[str, ...] = ()
    free: int | None = None


class Cluster:
    """The workers of a Dask cluster, for one run."""

    def __init__(self, client: Any, address: str, claim: Claim, told: Callable[[str], None]):
        self.client, self.address, self.claim, self.told = client, address, claim, told
        self.name = ""
        self.workers: dict[str, Worker] = {}
        self.refused: set[str] = set()

    def choice(self, name: str) -> Choice:
        """The backend that a name means on all workers."""
        from physebm.study.executors.dask_cluster import first_workers

        self.name = name
        found = self._asked(first_workers(self.client))
        check_workers(found)
        self.workers = found
        self.told(f"cluster  {len(found)} worker{'s' * (len(found) != 1)} at {self.address}")
        first = next(iter(found.values())).taken
        return Choice(first.name, first.why, self._joined(each.taken.device for each in found.values()))

    def device(self, taken: Choice) -> str:
        """What the work is done on: all kinds of devices that there are."""
        return taken.device or self._joined(each.processor for each in self.workers.values())

    def lanes(self, study: StudyDeclaration, grid: Grid, taken: Choice):
        """`batches.lanes_for`, counted on a worker."""
        if taken.name not in ON_DEVICES or not grid.tasks:
            return (), []
        room = room_of(list(self.workers.values()))
        count = partial(_lanes_there, cwd=self.claim.cwd)
        ((_, lanes),) = self._mapped(count, [(study, grid, taken, room)])
        if isinstance(lanes, Exception):
            raise lanes
        return lanes

    def map(self, work: Work, jobs: Sequence[Any], taken: Choice) -> Mapped:
        """``(job, work(job))``; an exception stands in place of a value."""
        return self._mapped(Claimed(work, self.claim), jobs)

    def _mapped(self, work: Work, items: Sequence[Any]) -> Mapped:
        from physebm.study.executors.dask_cluster import cluster

        return cluster(work, items, self.client, self._admitted, partial(withdraw, self.claim.work))

    def _admitted(self, addresses: list[str]) -> list[str]:
        """Those that may work; who comes later is asked what the first ones were, and refused alone."""
        new = [each for each in addresses if each not in self.workers and each not in self.refused]
        taken = next(iter(self.workers.values())).taken
        for address, worker in self._asked(new).items() if new else ():
            try:
                check_workers({address: worker})
                if worker.taken.name != taken.name:
                    raise StudyError(f"worker {address} has the backend {worker.taken}")
            except PhysebmError as problem:
                self.refused.add(address)
                self.told(f"without  {problem}")
            else:
                self.workers[address] = worker
        return [each for each in addresses if each in self.workers]

    def _asked(self, addresses: list[str]) -> dict[str, Worker]:
        from physebm.study.executors.dask_cluster import everywhere, prepared

        # what every Python knows comes first: a worker need not have physebm at all
        versions = everywhere(self.client, importlib.metadata.version, "physebm", workers=addresses)
        mine = importlib.metadata.version("physebm")
        if any(version != mine for version in versions.values()):
            return {
                address: Worker(version if isinstance(version, str) else "none")
                for address, version in versions.items()
            }
        everywhere(self.client, prepared, workers=addresses)
        said = everywhere(self.client, described, self.claim, self.name, workers=addresses)
        for address, each in said.items():
            if not isinstance(each, Worker):
                raise StudyError(f"worker {address} does not answer: {type(each).__name__}: {each}")
        return said

    @staticmethod
    def _joined(names: Iterable[str]) -> str:
        return ", ".join(dict.fromkeys(filter(None, names)))


async def described(claim: Claim, name: str) -> Worker:
    """What this worker is, told to the client."""
    version = importlib.metadata.version("physebm")
    for _ in range(int(SHARED_SECONDS / 0.2)):
        if claim.stands():
            break
        await asyncio.sleep(0.2)
    else:
        return Worker(version, str(claim.work))
    if not claim.cwd.is_dir():
        return Worker(version, str(claim.cwd))
    try:
        taken = choice(name)
    except BackendError as problem:
        taken = problem
    place, free = (), None
    if isinstance(taken, Choice) and taken.name in ON_DEVICES:
        free = select(taken.name).device().free_bytes()
        if taken.name == "cuda":
            place = socket.gethostname(), *(each.name for each in visible_devices()[:1])
    return Worker(version, "", taken, cpu_model(), place, free)


def check_workers(workers: dict[str, Worker]) -> None:
    """Refuse workers that cannot do this run, by name.

    Raises
    ------
    StudyError
        for another version of physebm, or a folder that is not seen.
    BackendError
        where one cannot use the backend, or they do not agree on it.
    """
    mine = importlib.metadata.version("physebm")
    for address, worker in workers.items():
        if worker.version != mine:
            theirs = "no physebm" if worker.version == "none" else f"physebm {worker.version}"
            raise StudyError(
                f"worker {address} has {theirs}, this machine {mine}\n"
                "  hint      install the same version on both"
            )
    for address, worker in workers.items():
        if worker.unseen:
            raise StudyError(
                f"worker {address} does not see the folder {worker.unseen}\n"
                "  hint      workers read and write the files of a study: run it in a folder, and with "
                "an --out, on a file system that all of them share"
            )
        if isinstance(worker.taken, BackendError):
            raise BackendError(f"worker {address}: {worker.taken}")
    names = Counter(worker.taken.name for worker in workers.values())
    if len(names) > 1:
        lines = [f"  {address}  {worker.taken}" for address, worker in workers.items()]
        raise BackendError(
            "workers differ in what --backend auto means for them:\n"
            + "\n".join(lines)
            + "\n  hint      name one that all have: --backend numba"
        )


def room_of(workers: list[Worker]) -> batches.Room:
    """The devices of all workers, and the bytes that each may take: of a shared device its part."""
    at = Counter(worker.place for worker in workers if worker.place)
    told = [
        int(batches.SHARE * worker.free) // at.get(worker.place, 1)
        for worker in workers
        if worker.free is not None
    ]
    return batches.Room(len(at) or len(workers), min(told, default=None))


def _lanes_there(asked: tuple[StudyDeclaration, Grid, Choice, batches.Room], cwd: Path):
    study, grid, taken, room = asked
    with chdir(cwd):
        return batches.lanes_for(study, grid, taken, room=room)

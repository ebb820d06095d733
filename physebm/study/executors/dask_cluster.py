"""Map picklable tasks over the workers of a Dask cluster; the only file that knows `distributed`.

This process hands out the tasks itself, one at a time to each worker: compiled kernels take all threads
that a worker has, and numba's are not safe for several callers at once. So nothing waits in the cluster
that would begin after this process is gone.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import pickle
import sys
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from physebm.errors import BackendError, InputError, PhysebmError, StudyError
from physebm.study.executors.local import KILLED, cores, unheard

if TYPE_CHECKING:
    from distributed import Client

REACH_SECONDS = 8.0
"""To find a scheduler, and a first worker of it."""
ABSENT_SECONDS = 60.0
"""Without any worker, while one that was killed may start again."""
LOOK_SECONDS, POLL_SECONDS = 1.0, 0.02
CUDA = "cuda"
LEGAL = 'an address such as tcp://host:8786, a scheduler file (*.json), or "cuda"'

_ENDED = "ended"
_one_at_a_time = threading.Lock()


@contextmanager
def connected(address: str, devices: int = 0) -> Iterator[Client]:
    """A client of the scheduler at an address; "cuda" starts a worker for each GPU of this machine.

    Raises
    ------
    InputError
        for what is no address.
    StudyError
        where `distributed` is missing, or nothing answers; with the cause and what to do.
    BackendError
        where the workers for GPUs cannot be started.
    """
    try:
        import distributed
    except ImportError:
        raise StudyError(
            f"--scheduler {address} needs the package 'distributed'\n"
            "  hint      install the extra [dask] of physebm: pip install 'physebm[dask]' "
            "('.[dask]' in its folder); --workers N needs nothing"
        ) from None
    with ExitStack() as stack:
        stack.enter_context(_quiet())
        if address == CUDA:
            place = stack.enter_context(_gpus_of_this_machine(devices))
        else:
            place = _checked(address)
        try:
            if address != CUDA:
                # a client never gives up on a place that takes connections and is no scheduler
                asyncio.run(asyncio.wait_for(_answer(place), REACH_SECONDS))
            client = distributed.Client(
                place, timeout=REACH_SECONDS, set_as_default=False, name="physebm"
            )
        except (OSError, ValueError, RuntimeError, TypeError) as error:
            cause = str(error).splitlines()[0] if str(error) else f"in {REACH_SECONDS:g} s"
            raise StudyError(
                f"--scheduler {address}: no Dask scheduler answers ({cause})\n"
                "  hint      start one (dask scheduler) and its workers (dask worker ADDRESS), and "
                "give the address that it prints; one that is there but busy: run again; --workers N "
                "needs none"
            ) from None
        yield stack.enter_context(client)


async def _answer(address: str) -> None:
    """Wait until a scheduler says what it is."""
    from distributed.core import rpc
    from distributed.security import Security

    arguments = Security().get_connection_args("client")
    async with rpc(address, timeout=REACH_SECONDS, connection_args=arguments) as scheduler:
        await scheduler.identity()


def _checked(address: str) -> str:
    """An address with a port, as `distributed` takes it; that of a scheduler file."""
    if address.endswith(".json"):
        try:
            return json.loads(Path(address).read_text(encoding="utf-8"))["address"]
        except OSError as error:
            raise InputError("--scheduler", got=address, hint=error.strerror) from None
        except (ValueError, KeyError, TypeError):
            raise InputError("--scheduler", got=address, hint="this is no scheduler file") from None
    rest = address.rpartition("://")[2]
    if not rest.rpartition(":")[2].isdigit() or not rest.rpartition(":")[0]:
        raise InputError("--scheduler", got=address, expected=LEGAL)
    return address


@contextmanager
def _quiet() -> Iterator[None]:
    """The log of `distributed` kept back: what a user has to know is told in one message."""
    names = ["distributed", *logging.root.manager.loggerDict]
    logs = [logging.getLogger(name) for name in names if name.partition(".")[0] == "distributed"]
    before = [log.level for log in logs]
    for log in logs:
        log.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for log, level in zip(logs, before):
            log.setLevel(level)


@contextmanager
def _gpus_of_this_machine(devices: int) -> Iterator[Any]:
    """One worker process for each GPU of this machine; Ctrl-C reaches this process alone."""
    try:
        from dask_cuda import LocalCUDACluster
    except ImportError as error:
        raise BackendError(
            f"--scheduler cuda: the package '{error.name}' is missing\n"
            "  hint      pip install dask-cuda; --workers N gives each of N processes a GPU too, "
            "without it"
        ) from None
    try:
        with unheard():
            cluster = LocalCUDACluster(
                threads_per_worker=max(1, cores() // max(devices, 1)),
                memory_limit=None,
                device_memory_limit=None,
                dashboard_address=":0",
            )
    except Exception as error:
        # the bindings of the driver raise what they like where it is missing
        raise BackendError(
            f"--scheduler cuda: the workers cannot be started: {error}\n"
            "  hint      see nvidia-smi and CUDA_VISIBLE_DEVICES; or run on the processor: "
            "--workers N --backend numba"
        ) from None
    with cluster:
        yield cluster


def workers_of(client: Client) -> list[str]:
    """The addresses of the workers that are there now.

    Raises
    ------
    StudyError
        where the scheduler is gone.
    """
    if client.status == "running":
        try:
            return sorted(client.nthreads())
        except OSError:
            pass
    raise StudyError(
        "the connection to the Dask scheduler is lost\n"
        "  hint      what was saved stays good: start a cluster, and run again to continue"
    )


def first_workers(client: Client) -> list[str]:
    """The workers, as soon as there is one.

    Raises
    ------
    StudyError
        where none comes.
    """
    end = time.monotonic() + REACH_SECONDS
    while not (found := workers_of(client)):
        if time.monotonic() > end:
            raise StudyError(
                "the Dask cluster has no worker\n"
                "  hint      start some (dask worker ADDRESS), one for each GPU or machine"
            )
        time.sleep(0.1)
    return found


def everywhere(
    client: Client, function: Callable[..., Any], *given: Any, workers: Sequence[str]
) -> dict[str, Any]:
    """``function(*given)`` on these workers, beside what they work on; exceptions stand for values."""
    return client.run(function, *given, workers=list(workers), on_error="return")


async def prepared(dask_worker: Any = None) -> None:
    """Give compiled kernels of a worker as many threads as it has; runs before anything is compiled."""
    if "numba" not in sys.modules:
        os.environ["NUMBA_NUM_THREADS"] = str(dask_worker.state.nthreads)
    await asyncio.sleep(0)


def cluster(
    work: Callable[[Any], Any],
    items: Sequence[Any],
    client: Client,
    admitted: Callable[[list[str]], list[str]],
    stop: Callable[[], None],
) -> Iterator[tuple[Any, Any]]:
    """``(item, work(item))`` in order of completion; an exception stands in place of a value.

    Parameters
    ----------
    work
        May raise KeyboardInterrupt where it was asked to end.
    admitted
        Which of some workers may have tasks; asked again when others come.
    stop
        Asks what runs to end. It is called where this is not carried to its end, and waited for.
    """
    waiting, running = deque(items), {}
    present, looked, seen = [], -LOOK_SECONDS, time.monotonic()
    try:
        while waiting or running:
            now = time.monotonic()
            if now - looked > LOOK_SECONDS:
                present, looked = admitted(workers_of(client)), now
            if present:
                seen = now
            elif now - seen > ABSENT_SECONDS:
                raise StudyError(
                    "no worker is left in the Dask cluster\n"
                    "  hint      what was saved stays good: start some, and run again to continue"
                )
            busy = {worker for _, worker in running.values()}
            for worker in present:
                if worker not in busy and waiting:
                    item = waiting.popleft()
                    running[_submitted(client, work, item, worker)] = item, worker
            for future in _ended(running, present):
                item, _ = running.pop(future)
                value = _value(future)
                future.release()
                looked = -LOOK_SECONDS  # a worker that was killed is not there any more
                yield item, value
            time.sleep(POLL_SECONDS)
    except BaseException:
        stop()
        with suppress(StudyError):  # the scheduler is gone too: nobody to wait for
            while running:
                for future in _ended(running, workers_of(client)):
                    del running[future]
                time.sleep(POLL_SECONDS)
        raise


def _ended(running: dict[Any, tuple[Any, str]], present: Sequence[str]) -> list[Any]:
    """Futures that will not change any more: ended, or on a worker that is gone."""
    return [future for future, (_, worker) in running.items() if future.done() or worker not in present]


def _submitted(client: Client, work: Callable[[Any], Any], item: Any, worker: str) -> Any:
    import dask

    # bytes, since dask looks for futures in whatever else it is given; of any size
    packed = pickle.dumps((work, item))
    with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1 TB"}):
        return client.submit(
            _run, packed, workers=[worker], key=f"physebm-{uuid.uuid4().hex}", pure=False
        )


def _value(future: Any) -> Any:
    """What a future ended with, as value or exception."""
    from distributed.scheduler import KilledWorker

    if future.status == "finished":
        try:
            value = future.result(timeout=REACH_SECONDS)
        except Exception:
            return StudyError(KILLED)
        return StudyError("the job was asked to end by another run") if value == _ENDED else value
    if future.status == "error":
        error = future.exception()
        if isinstance(error, KilledWorker):
            return StudyError(KILLED)
        return error if isinstance(error, PhysebmError) else error.with_traceback(future.traceback())
    future.cancel()
    return StudyError(KILLED)


def _run(packed: bytes) -> Any:
    """One task, on a worker."""
    from distributed import get_worker

    with _one_at_a_time:
        _limit(get_worker().state.nthreads)
        work, item = pickle.loads(packed)
        try:
            return work(item)
        except KeyboardInterrupt:
            return _ENDED


def _limit(threads: int) -> None:
    """The threads of compiled kernels, where numba may have been loaded before by others."""
    numba = sys.modules.get("numba")
    if numba is None:
        os.environ["NUMBA_NUM_THREADS"] = str(threads)
    else:
        numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))

"""Map picklable tasks: here, or on processes of this machine. Knows nothing of physics.

Every worker gets its share of the cores for its compiled kernels; results do not depend on it.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any

from physebm.errors import StudyError


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def serial(work: Callable[[Any], Any], items: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
    """``(item, work(item))`` one after the other; an exception stands in place of a value."""
    for item in items:
        try:
            yield item, work(item)
        except Exception as error:
            yield item, error


def processes(
    work: Callable[[Any], Any], items: Sequence[Any], workers: int
) -> Iterator[tuple[Any, Any]]:
    """The same on `workers` fresh processes, in order of completion.

    Interrupted, it asks the workers to end, which save what they have; they do not hear Ctrl-C
    themselves, so that each is asked once.
    """
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_limit, initargs=(workers,))
    try:
        with _unheard():
            futures = {pool.submit(_uninterrupted, work, item): item for item in items}
        for future in as_completed(futures):
            error = future.exception()
            if isinstance(error, BrokenProcessPool):
                error = StudyError("a worker process was killed, perhaps for want of memory")
            yield futures[future], error if error is not None else future.result()
    except BaseException:
        for process in list((pool._processes or {}).values()):
            process.terminate()
        pool.shutdown(wait=True, cancel_futures=True)
        raise
    pool.shutdown()


@contextmanager
def _unheard() -> Iterator[None]:
    """Start processes that ignore Ctrl-C from their first moment: they inherit it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _uninterrupted(work: Callable[[Any], Any], item: Any) -> Any:
    """Run in a worker; when it is asked to end, end at once and take no further item."""
    try:
        return work(item)
    except KeyboardInterrupt:
        os._exit(1)


def _limit(workers: int) -> None:
    """Share the cores between workers; runs in the worker before anything is compiled."""
    os.environ["NUMBA_NUM_THREADS"] = str(max(1, cores() // workers))

"""Map picklable tasks in this process, or on several of this machine.

Every worker gets its share of the cores for its compiled kernels, and of several GPUs one of its own;
results do not depend on it.
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

KILLED = "a worker process was killed, perhaps for want of memory"


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
    work: Callable[[Any], Any], items: Sequence[Any], workers: int, devices: Sequence[str] = ()
) -> Iterator[tuple[Any, Any]]:
    """The same on `workers` fresh processes, in order of completion.

    Worker number w sees the GPU ``devices[w mod number of devices]`` alone, as CUDA_VISIBLE_DEVICES
    names it; without names each sees what this process does.

    Interrupted, it asks the workers to end, which save what they have; they do not hear Ctrl-C
    themselves, so that each is asked once.
    """
    context = multiprocessing.get_context("spawn")
    shares = (workers, tuple(devices), context.Value("i", 0))
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_limit, initargs=shares)
    try:
        with unheard():
            futures = {pool.submit(_uninterrupted, work, item): item for item in items}
        for future in as_completed(futures):
            error = future.exception()
            if isinstance(error, BrokenProcessPool):
                error = StudyError(KILLED)
            yield futures[future], error if error is not None else future.result()
    except BaseException:
        for process in list((pool._processes or {}).values()):
            process.terminate()
        pool.shutdown(wait=True, cancel_futures=True)
        raise
    pool.shutdown()


@contextmanager
def unheard() -> Iterator[None]:
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


def _limit(workers: int, devices: tuple[str, ...], begun: Any) -> None:
    """Share cores and devices between workers; runs in the worker before anything is compiled."""
    os.environ["NUMBA_NUM_THREADS"] = str(max(1, cores() // workers))
    if devices:
        with begun.get_lock():
            number, begun.value = begun.value, begun.value + 1
        os.environ["CUDA_VISIBLE_DEVICES"] = devices[number % len(devices)]

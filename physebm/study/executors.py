"""Map picklable tasks: here, or on processes of this machine. Knows nothing of physics.

Every worker gets its share of the cores for its compiled kernels; results do not depend on it.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import Any


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
    """The same on `workers` fresh processes, in order of completion."""
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_limit, initargs=(workers,))
    try:
        futures = {pool.submit(work, item): item for item in items}
        for future in as_completed(futures):
            error = future.exception()
            yield futures[future], error if error is not None else future.result()
    except BaseException:
        for process in list((pool._processes or {}).values()):
            process.terminate()
        pool.shutdown(wait=True, cancel_futures=True)
        raise
    pool.shutdown()


def _limit(workers: int) -> None:
    """Share the cores between workers; runs in the worker before anything is compiled."""
    os.environ["NUMBA_NUM_THREADS"] = str(max(1, cores() // workers))

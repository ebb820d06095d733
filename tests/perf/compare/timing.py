"""Medians of repetitions, and the JSON line that a process of the benchmark prints."""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from cores import THREADS

LEAST_SECONDS, LEAST_REPETITIONS, MOST_SECONDS = 1.5, 3, 4.0


@dataclass
class Timed:
    """Seconds per unit of work, and what else the report says.

    Attributes
    ----------
    threads
        Cores that the process kept busy; peers of one thread run as two processes where that is said.
    more
        Numbers that floors need (flips per update), and notes.
    """

    seconds: float
    repetitions: int
    threads: int = THREADS
    more: dict[str, float | str] = field(default_factory=dict)


def seconds_of(run: Callable[[], object]) -> float:
    """The time of one call."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def measured(run: Callable[[], object], units: float, repetitions: int | None) -> Timed:
    """The median time of a call over its units; the caller has warmed up.

    Without a number of repetitions: at least 3 and at least 1.5 s, but no further call after 4 s.
    """
    times: list[float] = []
    while _goes_on(times, repetitions):
        times.append(seconds_of(run))
    return Timed(statistics.median(times) / units, len(times))


def sloped(
    run: Callable[[int], object], few: int, many: int, units: float, repetitions: int | None
) -> Timed:
    """Seconds per unit from runs of two lengths, so that what a call costs besides cancels.

    `units` counts those of one sweep; `run` takes a number of sweeps.
    """
    times: list[float] = []
    slopes: list[float] = []
    while _goes_on(times, repetitions):
        short = seconds_of(lambda: run(few))
        long = seconds_of(lambda: run(many))
        times.append(short + long)
        slopes.append((long - short) / (many - few))
    return Timed(max(statistics.median(slopes), 1e-12) / units, len(slopes))


def _goes_on(times: list[float], repetitions: int | None) -> bool:
    if repetitions is not None:
        return len(times) < repetitions
    total = sum(times)
    wanted = len(times) < LEAST_REPETITIONS or total < LEAST_SECONDS
    return not times or (wanted and total < MOST_SECONDS)


def report(work: str, tool: str, timed: Timed, children: bool = False) -> None:
    """Print the line; `children` counts the memory of processes that this one started."""
    usage = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if children:
        usage = max(usage, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
    line = {
        "work": work,
        "tool": tool,
        "seconds": timed.seconds,
        "repetitions": timed.repetitions,
        "memory_mib": round(usage / 1024, 1),
        "threads": timed.threads,
        **timed.more,
    }
    print(json.dumps(line), flush=True)


def arguments(description: str, *positional: str) -> argparse.Namespace:
    """Positional arguments and the number of repetitions."""
    parser = argparse.ArgumentParser(description=description)
    for name in positional:
        parser.add_argument(name)
    parser.add_argument("--repetitions", type=int, help="exactly so many (to try a process quickly)")
    return parser.parse_args()

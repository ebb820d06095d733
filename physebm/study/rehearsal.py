"""What estimates of cost share: the random words of a sweep, and timings that are long enough."""

from __future__ import annotations

import time
from collections.abc import Callable

from physebm.lowering.plan import BlockUpdate, SweepPlan, words_per_unit

REHEARSAL_SECONDS = 0.4


def random_words(plan: SweepPlan) -> int:
    """Random words of one lane and sweep."""
    return sum(
        plan.groups[move.group].size * words_per_unit(plan.groups[move.group].prior, move.rule)
        for move in plan.moves
        if isinstance(move, BlockUpdate)
    )


def timed(call: Callable[[], object]) -> float:
    """Seconds of one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def grown(call: Callable[[int], object], first: int, most: int) -> tuple[int, float]:
    """A size, `most` at most, at which ``call(size)`` is long enough to be timed, and its seconds.

    One call of size `first` goes before: it compiles what is not compiled yet.
    """
    call(first)
    size = min(most, 2 * first)
    while True:
        seconds = timed(lambda size=size: call(size))
        if seconds > REHEARSAL_SECONDS or size >= most:
            return size, seconds
        size = min(most, 4 * size)

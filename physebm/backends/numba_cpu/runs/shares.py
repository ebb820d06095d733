"""How many threads share a lane, and the call that starts them together."""

from __future__ import annotations

from collections.abc import Mapping
from threading import Lock

import numba
import numpy as np

from physebm.backends.numba_cpu.modules import thread_pool

# Waking a thread takes as long as 100,000 updates, a meeting as some hundred where every thread has a
# core, and many more where it has not.
SHARED_UPDATES = 400_000  # of a call
SHARE_UNITS = 32_768  # of a colour, that a thread draws between two meetings

_starting = Lock()


def shares_for(fixed: Mapping[str, np.ndarray], lanes: int, count: int) -> int:
    """Threads that share every lane of a call; 1 where lanes are enough for all, or too small.

    `fixed` holds the arguments of the kernel by name; no bit depends on the number of shares.
    """
    threads = numba.get_num_threads()
    colours = fixed["ends0"].shape[1] - 1
    units = fixed["order0"].shape[1]
    if lanes >= threads or lanes * units * max(count, 1) < SHARED_UPDATES:
        return 1
    return max(1, min(threads, units // colours // SHARE_UNITS))


def together(function, shares: int, *arguments) -> None:
    """``function(share, share + 1, *arguments)`` of every share at the same time, the first one here.

    The shares of a call wait for each other, so that they must get threads of their own: they enter the
    queue of the pool, which has at least as many, next to each other.
    """
    with _starting:
        others = [
            thread_pool().submit(function, share, share + 1, *arguments) for share in range(1, shares)
        ]
    function(0, 1, *arguments)
    for part in others:
        part.result()

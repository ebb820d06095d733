"""How many threads share a lane."""

from __future__ import annotations

from collections.abc import Mapping

import numba
import numpy as np

# Waking a thread takes as long as 100,000 updates, a meeting as some hundred where every thread has a
# core, and many more where it has not.
SHARED_UPDATES = 400_000  # of a call
SHARE_UNITS = 32_768  # of a colour, that a thread draws between two meetings


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

"""How many threads share a lattice in runs, and where it stands: chosen by sizes, never by the user.

A block that holds a lane in its shared memory needs no launch between colour classes, but occupies one
multiprocessor: where lanes are few, larger lattices are faster in parts, a launch for each class.
"""

from __future__ import annotations

from collections.abc import Mapping

from physebm.backends.cuda.device import Device
from physebm.backends.cuda.whole_or_parts import (
    CYCLES_PER_SECOND,
    Shape,
    is_faster_whole,
    power_of_two,
)
from physebm.backends.runs.graph import RUN
from physebm.lowering.plan import CHUNK, Neighbours, SweepPlan, Weights

THREADS, MOST_THREADS = 256, 512  # of a block that has a part of a lane, or a lane
STATIC_BYTES = 10 * 1024  # what kernels have in shared memory beside states and thresholds
CYCLES = 0.2  # of a multiprocessor for an update: see `emit`; derived, not measured


def blocks_of(plan: SweepPlan) -> int:
    """Blocks whose registers a multiprocessor has at once: 64 for a thread, 80 with weights."""
    weighted = any(isinstance(r, Neighbours) and r.weights is not Weights.UNIT for r in plan.terms)
    return 3 if weighted else 4


def shape_of(
    plan: SweepPlan, device: Device, sizes: Mapping[str, int], lanes: int, whole: bool | None
) -> Shape:
    """The shape for some lanes of a lattice, by its sizes; `whole` overrides them."""
    positions, classes, table = sizes["positions0"], sizes["classes0"], 8 * sizes["thresholds"]
    shared = positions + RUN + table
    per_class = -(-positions // (CHUNK * classes)) * (CHUNK // RUN)
    if whole is None:
        fits = shared + STATIC_BYTES <= device.shared
        whole = fits and is_faster_whole(_seconds(positions), classes, lanes, device)
    most = min(MOST_THREADS, 2 * device.threads) if whole else min(THREADS, device.threads)
    threads = power_of_two(per_class, max(most, CHUNK // RUN))
    # one run of a thread at least, and no block that waits for another to end
    share = max(1, min(-(-per_class // threads), device.multiprocessors * blocks_of(plan) // lanes))
    return Shape(whole, threads, share, shared if whole else table)


def _seconds(positions: int) -> float:
    """Of updates on one multiprocessor."""
    return positions * CYCLES / CYCLES_PER_SECOND

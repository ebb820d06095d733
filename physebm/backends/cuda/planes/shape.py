"""How many threads share a lattice, and where it stands: chosen by sizes, never by the user.

A block that holds a whole lattice in its shared memory needs no launch between colour classes, but is
alone with its word: it is preferred where the words keep the multiprocessors busy. Otherwise many
blocks share a class and a launch is one class.
"""

from __future__ import annotations

from dataclasses import dataclass

from physebm.backends.cuda.device import Device
from physebm.backends.planes.graph import Graph
from physebm.backends.planes.sliced import Sliced

ROW_BYTES = 144  # a row of thresholds
STATIC_BYTES = 1024  # what kernels have in shared memory beside lattice and thresholds
MOST_THREADS = 512  # of at most 128 registers each
UNITS_PER_THREAD = 4  # of a class, where a launch is one class

# Derived, not measured: instructions of the logic pipe for a unit in 32 lanes (`emit`), of which a
# multiprocessor takes 64 threads' a cycle; what it costs more where neighbours come from the second
# cache; and seconds from one launch to the next, which the host spends.
INSTRUCTIONS, PER_CYCLE, CYCLES_PER_SECOND = 200, 64, 1.755e9
IN_CACHE, LAUNCH_SECONDS = 1.5, 6e-6


@dataclass(frozen=True)
class Shape:
    """Blocks and threads of the kernels of some words.

    Attributes
    ----------
    whole
        Whether a block holds a whole lattice.
    threads
        Of a block.
    share
        Blocks that share a word where they do.
    shared
        Bytes of shared memory of a sweeping block.
    """

    whole: bool
    threads: int
    share: int
    shared: int


def shape_of(
    device: Device, graph: Graph, told: Sliced, classes: int, words: int, whole: bool | None
) -> Shape:
    """The shape for `words` words of a graph of so many colours; `whole` overrides what sizes say."""
    n = graph.units.shape[1]
    thresholds = told.states * len(graph.fields) * ROW_BYTES
    shared = thresholds + 4 * (n + 1)
    fits = shared + STATIC_BYTES <= device.shared and n < 2**16
    if whole is None:
        whole = fits and seconds_whole(n, words, device) <= seconds_in_parts(n, classes, words, device)
    per_class = -(-n // classes)
    # two units of a thread share thresholds, but a block that is almost alone is better wide
    crowd = min(-(-words // device.multiprocessors), device.shared // (shared + STATIC_BYTES))
    wide = whole and crowd <= 2
    most = min(MOST_THREADS, device.threads * (4 if wide else 2))
    threads = power_of_two(per_class if wide else -(-per_class // 2), most)
    share = max(1, -(-per_class // (UNITS_PER_THREAD * threads)))
    return Shape(whole, threads, share, shared if whole else thresholds)


def power_of_two(size: int, most: int) -> int:
    """The smallest power of two, of a whole warp where `most` has one, that is not below `size`."""
    threads = min(32, most)
    while threads < min(size, most):
        threads *= 2
    return threads


def seconds_whole(units: int, words: int, device: Device) -> float:
    """Of a sweep with a word per block."""
    return -(-words // device.multiprocessors) * _seconds(units)


def seconds_in_parts(units: int, classes: int, words: int, device: Device) -> float:
    """Of a sweep with a launch per class."""
    work = IN_CACHE * words / device.multiprocessors * _seconds(units)
    return work + classes * LAUNCH_SECONDS


def _seconds(units: int) -> float:
    """Of updates on one multiprocessor."""
    return units * INSTRUCTIONS / PER_CYCLE / CYCLES_PER_SECOND

"""How many threads share a lattice, and where it stands: chosen by sizes, never by the user.

A block that holds a whole lattice in its shared memory needs no launch between colour classes, but is
alone with its word: it is preferred where the words keep the multiprocessors busy. Otherwise many
blocks share a class and a launch is one class.
"""

from __future__ import annotations

from physebm.backends.cuda.device import Device
from physebm.backends.cuda.whole_or_parts import (
    CYCLES_PER_SECOND,
    Shape,
    is_faster_whole,
    power_of_two,
)
from physebm.backends.planes.graph import Graph
from physebm.backends.planes.sliced import Sliced

ROW_BYTES = 144  # a row of thresholds
STATIC_BYTES = 1024  # what kernels have in shared memory beside lattice and thresholds
MOST_THREADS = 512  # of at most 128 registers each
UNITS_PER_THREAD = 4  # of a class, where a launch is one class

# Instructions of the logic pipe for a unit in 32 lanes (`emit`), of which a multiprocessor takes 64
# threads' a cycle.
INSTRUCTIONS, PER_CYCLE = 200, 64


def shape_of(
    device: Device, graph: Graph, told: Sliced, classes: int, words: int, whole: bool | None
) -> Shape:
    """The shape for `words` words of a graph of so many colours; `whole` overrides what sizes say."""
    n = graph.units.shape[1]
    thresholds = told.states * len(graph.fields) * ROW_BYTES
    shared = thresholds + 4 * (n + 1)
    fits = shared + STATIC_BYTES <= device.shared and n < 2**16
    if whole is None:
        whole = fits and is_faster_whole(_seconds(n), classes, words, device)
    per_class = -(-n // classes)
    # two units of a thread share thresholds, but a block that is almost alone is better wide
    crowd = min(-(-words // device.multiprocessors), device.shared // (shared + STATIC_BYTES))
    wide = whole and crowd <= 2
    most = min(MOST_THREADS, device.threads * (4 if wide else 2))
    threads = power_of_two(per_class if wide else -(-per_class // 2), most)
    share = max(1, -(-per_class // (UNITS_PER_THREAD * threads)))
    return Shape(whole, threads, share, shared if whole else thresholds)


def _seconds(units: int) -> float:
    """Of updates on one multiprocessor."""
    return units * INSTRUCTIONS / PER_CYCLE / CYCLES_PER_SECOND

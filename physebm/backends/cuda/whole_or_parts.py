"""Whether a block of threads has a whole lattice, or many blocks have parts of it: what either costs.

A block that holds a lattice in its shared memory needs no launch between colour classes, but occupies
one multiprocessor; in parts a launch is one class of one sweep. Sizes decide, never the user. Seconds
are derived, not measured: a room says what the updates of one lattice take one multiprocessor.
"""

from __future__ import annotations

from dataclasses import dataclass

from physebm.backends.cuda.device import Device

CYCLES_PER_SECOND = 1.755e9
IN_CACHE = 1.5  # times as long where neighbours come from the second cache
LAUNCH_SECONDS = 6e-6  # from one launch to the next, which the host spends


@dataclass(frozen=True)
class Shape:
    """Blocks and threads of the kernels of a call.

    Attributes
    ----------
    whole
        Whether a block holds a whole lattice.
    threads
        Of a block.
    share
        Blocks that share a lattice where they do; and where it is packed and unpacked.
    shared
        Bytes of shared memory of a sweeping block.
    """

    whole: bool
    threads: int
    share: int
    shared: int


def is_faster_whole(seconds: float, classes: int, lattices: int, device: Device) -> bool:
    """Whether sweeps are no slower with a block per lattice than with a launch per class.

    Parameters
    ----------
    seconds
        That the updates of a lattice take one multiprocessor.
    """
    whole = -(-lattices // device.multiprocessors) * seconds
    parts = IN_CACHE * lattices / device.multiprocessors * seconds + classes * LAUNCH_SECONDS
    return whole <= parts


def power_of_two(size: int, most: int) -> int:
    """The smallest power of two, of a whole warp where `most` has one, that is not below `size`."""
    threads = min(32, most)
    while threads < min(size, most):
        threads *= 2
    return threads

"""Which lanes of a call are swept together: tiles of one instance each."""

from __future__ import annotations

import numpy as np


def tiles_of(instance: np.ndarray, threads: int, size: int, step: int = 8) -> np.ndarray:
    """Lanes in tiles ``[tile, place]``, padded with -1: at most `size` lanes, all of one instance.

    With several threads tiles are cut so that every thread gets as many lanes; a multiple of `step` of
    them wastes no row of a product, no place of a vector. No bit of a lane depends on any of this.
    """
    share = -(-len(instance) // threads)
    each = -(-share // -(-share // size))
    each = min(-(-each // step) * step, size)
    order = np.argsort(instance, kind="stable")
    ends = [*(np.flatnonzero(np.diff(instance[order])) + 1).tolist(), len(order)]
    cuts, start = [], 0
    for end in ends:
        cuts += [(first, min(first + each, end)) for first in range(start, end, each)]
        start = end
    tiles = np.full((len(cuts), size), -1, dtype=np.int64)
    for tile, (first, last) in zip(tiles, cuts):
        tile[: last - first] = order[first:last]
    return tiles

"""Sums in a fixed order: the same bits whatever stands beside the row that is summed.

``np.sum`` chooses pairwise or running order by memory layout, so the sum of one column may change
its last bit when columns are added. Estimates promise not to change when a scan grows.
"""

from __future__ import annotations

import numpy as np

from physebm.arrays import Array, Float64


def ordered_sum(x: Array, axis: int = 0) -> Float64:
    """Left-to-right float64 sum along `axis`, independent of layout and of the other axes."""
    running = np.add.accumulate(np.asarray(x, dtype=np.float64), axis=axis)
    return np.take(running, -1, axis=axis)


def ordered_mean(x: Array, axis: int = 0) -> Float64:
    """Mean along `axis` by `ordered_sum`."""
    return ordered_sum(x, axis) / np.shape(x)[axis]


def add_to(total: Array, x: Array) -> Float64:
    """``(((total + x[0]) + x[1]) + ...)`` along the first axis: chunking does not matter."""
    return np.add.accumulate(np.concatenate((total[None], x)), axis=0)[-1]

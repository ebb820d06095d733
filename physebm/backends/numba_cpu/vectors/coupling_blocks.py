"""Couplings in the order in which dense sweeps with lanes side by side read them; made once per launch.

64 units are drawn after one another and then all their flips are added to the fields, 64 columns (a
*strip*) after 64 columns. So the couplings of a block of rows and a strip stand together: one piece of
16 KiB, which stays in the first cache while the lanes go past. In the matrix itself its rows are far
apart, often by a power of two, and then fall on the same few places of the cache.
"""

from __future__ import annotations

import numpy as np

from physebm.lowering.operands import Operands
from physebm.lowering.plan import Running, SweepPlan

BLOCK = 64
_LINE = 64


def derived_names(plan: SweepPlan) -> list[str]:
    """Arguments of a plan's kernels that are made from its operands."""
    return [f"strips{t}" for t, read in enumerate(plan.terms) if isinstance(read, Running)]


def derived_operands(plan: SweepPlan, operands: Operands) -> dict[str, np.ndarray]:
    """`coupling_strips` of every dense term of a plan, by argument name."""
    return {name: coupling_strips(operands.arrays[f"J{name[6:]}"]) for name in derived_names(plan)}


def coupling_strips(J: np.ndarray) -> np.ndarray:
    """Couplings ``J[instance, unit, unit]`` in blocks and strips of 64 units, padded with zeros.

    Returns
    -------
    ndarray
        ``[instance, block, strip, b, column]``, float32, at whole lines of the cache.
    """
    count, n = J.shape[:2]
    blocks = -(-n // BLOCK)
    shape = (count, blocks, blocks, BLOCK, BLOCK)
    room = np.zeros(np.prod(shape, dtype=int) + _LINE // 4, np.float32)
    skip = -room.ctypes.data % _LINE // 4
    strips = room[skip : skip + room.size - _LINE // 4].reshape(shape)
    for block in range(blocks):
        rows = slice(BLOCK * block, min(BLOCK * (block + 1), n))
        for strip in range(blocks):
            columns = slice(BLOCK * strip, min(BLOCK * (strip + 1), n))
            piece = J[:, rows, columns]
            strips[:, block, strip, : piece.shape[1], : piece.shape[2]] = piece
    return strips

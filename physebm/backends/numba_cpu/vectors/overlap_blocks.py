"""Patterns in the blocks that dense sweeps with lanes side by side read; made once per launch."""

from __future__ import annotations

import numpy as np

from physebm.lowering.operands import Operands
from physebm.lowering.plan import Overlap, SweepPlan

BLOCK = 32


def derived_names(plan: SweepPlan) -> list[str]:
    """Arguments of a plan's kernels that are made from its operands."""
    terms = [t for t, read in enumerate(plan.terms) if isinstance(read, Overlap)]
    return [f"{stem}{t}" for t in terms for stem in ("rows", "columns", "within")]


def derived_operands(plan: SweepPlan, operands: Operands) -> dict[str, np.ndarray]:
    """`overlap_blocks` of every overlap of a plan, by argument name."""
    terms = [t for t, read in enumerate(plan.terms) if isinstance(read, Overlap)]
    return {
        f"{stem}{t}": values
        for t in terms
        for stem, values in overlap_blocks(operands.arrays[f"xi{t}"]).items()
    }


def overlap_blocks(xi: np.ndarray) -> dict[str, np.ndarray]:
    """Patterns ``xi[instance, unit, pattern]`` in blocks of 32 units, float32, padded with zeros.

    Returns
    -------
    dict
        ``rows [instance, unit, pattern]``, ``columns [instance, block, pattern, b]`` and
        ``within [instance, block, b, b']``, the couplings ``sum_mu xi_b xi_b'`` with diagonal zero.
    """
    count, n, patterns = xi.shape
    blocks = -(-n // BLOCK)
    rows = np.zeros((count, blocks * BLOCK, -(-patterns // 8) * 8), np.float32)
    rows[:, :n, :patterns] = xi
    blocked = rows.reshape(count, blocks, BLOCK, -1)
    columns = np.ascontiguousarray(blocked.transpose(0, 1, 3, 2))
    within = blocked @ columns
    within[..., np.arange(BLOCK), np.arange(BLOCK)] = 0.0
    return {"rows": rows, "columns": columns, "within": within}

"""Patterns in the blocks that dense sweeps with lanes side by side read; made once per launch."""

from __future__ import annotations

import numpy as np

from physebm.lowering.operands import Operands
from physebm.lowering.plan import Overlap, SweepPlan

BLOCK = 32
_STEMS = ("rows", "columns", "within", "own", "kind")


def derived_names(plan: SweepPlan) -> list[str]:
    """Arguments of a plan's kernels that are made from its operands."""
    terms = [t for t, read in enumerate(plan.terms) if isinstance(read, Overlap)]
    return [f"{stem}{t}" for t in terms for stem in _STEMS]


def derived_operands(plan: SweepPlan, operands: Operands) -> dict[str, np.ndarray]:
    """`overlap_blocks` of every overlap of a plan, by argument name."""
    terms = [t for t, read in enumerate(plan.terms) if isinstance(read, Overlap)]
    return {
        f"{stem}{t}": values
        for t in terms
        for stem, values in overlap_blocks(operands.arrays[f"xi{t}"]).items()
    }


def overlap_blocks(xi: np.ndarray) -> dict[str, np.ndarray]:
    """Patterns ``xi[instance, unit, pattern]`` in blocks of 32 units b.

    Returns
    -------
    dict
        ``within [instance, block, b, b']``, float32, the couplings ``sum_mu xi_b xi_b'`` with diagonal
        zero; the diagonal ``own [instance, block, b]``, float32, which is what a unit adds to its own
        sum over overlaps; and of patterns of signs, as *nibbles* (bytes whose four bits are 1 for +1),
        ``rows [instance, block, b, group of mu]`` and ``columns [instance, block, mu, group of b]``;
        of others the numbers, float32, padded with zeros to whole eights of patterns,
        ``rows [instance, block, b, mu]`` and ``columns [instance, block, mu, b]``.
        ``kind [instance, 0]`` is empty: its type is the one in which kernels hold overlaps of units
        with ``|x| <= 1``, int16 where the sum of four has room in it, otherwise float32.
    """
    count, n, patterns = xi.shape
    blocks = -(-n // BLOCK)
    rows = np.zeros((count, blocks, BLOCK, -(-patterns // 8) * 8), np.float32)
    rows.reshape(count, -1, rows.shape[-1])[:, :n, :patterns] = xi
    columns = np.ascontiguousarray(rows.transpose(0, 1, 3, 2))
    within = rows @ columns
    diagonal = np.arange(BLOCK)
    own = within[..., diagonal, diagonal].copy()
    within[..., diagonal, diagonal] = 0.0
    kind: type = np.float32
    if np.all(np.abs(xi) == 1):
        rows, columns = _nibbles(rows), _nibbles(columns[:, :, :patterns])
        kind = np.int16 if 4 * n < 2**15 else np.float32
    kind = np.empty((count, 0), kind)
    return {"rows": rows, "columns": columns, "within": within, "own": own, "kind": kind}


def _nibbles(numbers: np.ndarray) -> np.ndarray:
    """``sum_k 2^k [x_{4g+k} > 0]`` along the last axis, whose length is a multiple of four."""
    bits = (numbers > 0).view(np.uint8).reshape(*numbers.shape[:-1], -1, 4)
    return bits @ np.array([1, 2, 4, 8], np.uint8)

"""Arguments of kernels that are made from a plan's operands, once per set of operands."""

from __future__ import annotations

import numpy as np

from physebm.backends.numba_cpu.runs import places
from physebm.backends.numba_cpu.vectors import coupling_blocks, overlap_blocks
from physebm.backends.runs.graph import is_in_runs
from physebm.lowering.operands import Operands
from physebm.lowering.plan import Layout, SweepPlan


def derived_names(plan: SweepPlan) -> list[str]:
    """Their names, in the order of the arguments."""
    if plan.layout is Layout.VECTORS:
        return overlap_blocks.derived_names(plan) + coupling_blocks.derived_names(plan)
    return places.derived_names(plan) if is_in_runs(plan) else []


def derived_operands(plan: SweepPlan, operands: Operands) -> dict[str, np.ndarray]:
    """Their values by name, the instance first."""
    if plan.layout is Layout.VECTORS:
        blocks = overlap_blocks.derived_operands(plan, operands)
        return blocks | coupling_blocks.derived_operands(plan, operands)
    return places.derived_operands(plan, operands) if is_in_runs(plan) else {}

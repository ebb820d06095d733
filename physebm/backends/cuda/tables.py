"""Numbers and tables that kernels on a device read beside the operands: made once per launch."""

from __future__ import annotations

import numpy as np

from physebm.backends.base import Launch
from physebm.backends.reference_clusters import bond_thresholds
from physebm.lowering.plan import (
    TABLED,
    ClusterMove,
    Hyper,
    Layout,
    Neighbours,
    Overlap,
    Running,
    SweepPlan,
)


def sizes(plan: SweepPlan, launch: Launch) -> dict[str, int]:
    """The sizes among the parameters of a plan's kernels."""
    arrays = launch.operands.arrays
    found = {f"size{g}": group.size for g, group in enumerate(plan.groups)}
    for t, read in enumerate(plan.terms):
        match read:
            case Neighbours() | Hyper():
                found[f"degree{t}"] = arrays[f"n{t}"].shape[2]
            case Overlap():
                found[f"patterns{t}"] = arrays[f"xi{t}"].shape[2]
            case Running() if plan.layout is Layout.GATHERS:
                found[f"padded{t}"] = arrays[f"J{t}_rows"].shape[4]
    for m, move in enumerate(plan.moves):
        if isinstance(move, ClusterMove):
            found[f"bonds{m}"] = arrays[f"edges{m}"].shape[1]
            found[f"kinds{m}"] = len(np.unique(arrays[f"bond{m}"]))
            continue
        found[f"positions{m}"] = arrays[f"order{m}"].shape[1]
        found[f"classes{m}"] = int(arrays[f"class{m}"].max(initial=-1)) + 1
        if move.decision in TABLED:
            found[f"entries{m}"] = launch.tables[m].shape[1]
            found |= {f"range{m}_{p}": limit for p, limit in enumerate(launch.operands.ranges[m])}
    return found


def launch_tables(plan: SweepPlan, launch: Launch) -> dict[str, np.ndarray]:
    """The arrays among the parameters that no operand is: tables per rung, bounds of classes."""
    arrays = launch.operands.arrays
    found: dict[str, np.ndarray] = {"coef": launch.coefficients.value}
    for m, move in enumerate(plan.moves):
        if isinstance(move, ClusterMove):
            # by the C library of the host, so that thresholds are the same on every backend
            weights, kind = np.unique(arrays[f"bond{m}"], return_inverse=True)
            c = launch.coefficients.value[:, move.term]
            q = plan.groups[move.group].prior.q
            found[f"bond{m}"] = bond_thresholds(np.tile(weights, (len(c), 1)), c, q)
            found[f"kind{m}"] = kind.reshape(arrays[f"bond{m}"].shape).astype(np.int32)
            continue
        classes = arrays[f"class{m}"]
        count = int(classes.max(initial=-1)) + 1
        bounds = [np.searchsorted(row, np.arange(count + 1)) for row in classes]
        found[f"chunk{m}"] = np.stack(bounds).astype(np.int32)
        if move.decision in TABLED:
            found[f"table{m}"] = launch.tables[m]
    return found

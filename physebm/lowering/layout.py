"""Which layout of lanes a plan gets: from its reads and from how many lanes are swept together.

Each rule says where its layout pays; the backends only obey.
"""

from __future__ import annotations

from dataclasses import replace

from physebm.lowering.plan import Layout, Product, SweepPlan


def choose_layout(plan: SweepPlan, lanes: int) -> SweepPlan:
    """Needs: moves and decisions. Adds: the layout. Keeps: everything else.

    Parameters
    ----------
    lanes
        Lanes of one instance that are swept together (`Options.lanes`).
    """
    if any(isinstance(read, Product) for read in plan.terms):
        return replace(plan, layout=Layout.TILES)
    return plan

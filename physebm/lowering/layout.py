"""Which layout of lanes a plan gets: from its reads and from how many lanes are swept together.

Each rule says where its layout pays; the backends only obey.
"""

from __future__ import annotations

from dataclasses import replace

from physebm.lowering.plan import (
    BlockUpdate,
    Constant,
    Decision,
    Layout,
    Neighbours,
    Overlap,
    Product,
    Rule,
    Running,
    SweepPlan,
    TermRead,
    Weights,
)
from physebm.model.units import UnitKind

TWO_STATES = (UnitKind.ISING, UnitKind.BERNOULLI)
# From this many lanes on, making the tables of subset sums costs less than they save, at any size:
# 784 x 500 couplings take 0.97 of the time of multiply-adds for 16 lanes, 0.6 for 64, 0.5 for 250.
SUBSET_LANES = 16
# Cutting couplings into planes for a matrix unit costs as much as the product of some 64 lanes: 784 x
# 500 two-state units take 1.8 of the time of subset sums for 16 lanes of a thread, 1.0 for 64, 0.65 for
# 500.
PLANE_LANES = 128

# On one thread 8 lanes take 0.07 (Hopfield, N = 512), 0.1 (real couplings in three dimensions), 0.1 to
# 0.45 (SK, N = 64 to 1024) of the time of lane after lane; on two at most twice that, for one vector
# occupies one thread. 4 lanes of SK take up to 1.1.
VECTOR_LANES = 8

# A Potts unit that gathers its fields reads N rows of q numbers per draw, and the table of couplings
# (N q^2) once for all lanes; running fields change 2 N q numbers per flip. With N = 53, q = 21
# and hot units gathering takes 0.65 of the time for 16 lanes, 0.48 for 32, 0.23 for 1024; with frozen
# units 1.5, 1.3 and 0.9. With few states a row is short of a vector and a flip changes little: it pays
# where more than about 1 in q draws changes the state, which cold units of 4 states do not do. States
# are bytes.
GATHER_LANES = 32
GATHER_STATES = range(5, 128)


def choose_layout(plan: SweepPlan, lanes: int) -> SweepPlan:
    """Needs: moves and decisions. Adds: the layout. Keeps: everything else.

    Parameters
    ----------
    lanes
        Lanes of one instance that are swept together (`Options.lanes`).
    """
    if any(isinstance(read, Product) for read in plan.terms):
        terms = tuple(_with_subsets(plan, read, lanes) for read in plan.terms)
        return replace(plan, terms=terms, layout=Layout.TILES)
    if lanes >= VECTOR_LANES and _side_by_side(plan):
        return replace(plan, layout=Layout.VECTORS)
    if lanes >= GATHER_LANES and _gathers(plan):
        return replace(plan, layout=Layout.GATHERS)
    return plan


def _side_by_side(plan: SweepPlan) -> bool:
    """Heat bath of one group of two states, with fields that sixteen lanes can read together."""
    if len(plan.groups) != 1 or plan.groups[0].prior.kind not in TWO_STATES:
        return False
    (move,) = plan.moves
    if not isinstance(move, BlockUpdate) or move.rule is not Rule.HEAT_BATH:
        return False
    dense = [read for read in plan.terms if isinstance(read, Running | Overlap)]
    return (
        move.decision is Decision.REAL
        and len(dense) <= 1
        and not any(isinstance(read, Overlap) and read.weights is Weights.REAL for read in dense)
        and all(isinstance(r, Constant | Running | Overlap | Neighbours) for r in plan.terms)
        and not (dense and any(isinstance(read, Neighbours) for read in plan.terms))
    )


def _gathers(plan: SweepPlan) -> bool:
    """Heat bath of one Potts group with one coupling between all pairs, and fields."""
    if len(plan.groups) != 1 or plan.groups[0].prior.kind is not UnitKind.POTTS:
        return False
    (move,) = plan.moves
    return (
        isinstance(move, BlockUpdate)
        and move.rule is Rule.HEAT_BATH
        and plan.groups[0].prior.q in GATHER_STATES
        and sum(isinstance(read, Running) for read in plan.terms) == 1
        and all(isinstance(read, Constant | Running) for read in plan.terms)
    )


def _with_subsets(plan: SweepPlan, read: TermRead, lanes: int) -> TermRead:
    """A product by planes or, of sources of two states, by subset sums, where these pay."""
    if not isinstance(read, Product) or lanes < SUBSET_LANES:
        return read
    of_a, of_b = (plan.groups[g].prior.kind in TWO_STATES for g in (read.a, read.b))
    return replace(read, subsets_to_a=of_b, subsets_to_b=of_a, by_planes=lanes >= PLANE_LANES)

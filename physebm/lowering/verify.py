"""What is legal in a plan and in its operands: one function per sentence.

A wrong colouring does not crash, it biases physics; so these run whenever values are bound.
"""

from __future__ import annotations

import numpy as np

from physebm.errors import LoweringError
from physebm.lowering.plan import (
    CHUNK,
    TABLED,
    BlockUpdate,
    Constant,
    Decision,
    Hyper,
    Layout,
    Neighbours,
    Order,
    Overlap,
    Product,
    Rule,
    Running,
    SweepPlan,
    groups_read,
)
from physebm.model.units import UnitKind


def verify(plan: SweepPlan) -> None:
    """Check every structural sentence; raises LoweringError naming the plan, move and term."""
    every_group_is_updated_once(plan)
    every_term_is_read_by_its_groups(plan)
    all_pair_blocks_are_sequential(plan)
    word_tables_have_two_states(plan)
    planes_are_one_coloured_block(plan)
    gathers_are_one_sequential_block(plan)


def every_group_is_updated_once(plan: SweepPlan) -> None:
    """Every group is the target of exactly one move."""
    targets = [move.group for move in plan.moves]
    if sorted(targets) != list(range(len(plan.groups))):
        raise LoweringError(plan.name, got=f"moves on groups {targets}", hint=_bug())


def every_term_is_read_by_its_groups(plan: SweepPlan) -> None:
    """A block update reads exactly the terms that join its group."""
    for number, move in enumerate(plan.moves):
        if isinstance(move, BlockUpdate):
            due = tuple(t for t, read in enumerate(plan.terms) if move.group in groups_read(read))
            if move.reads != due:
                raise LoweringError(
                    f"{plan.name}.moves[{number}]", got=f"reads {move.reads}", hint=_bug()
                )


def all_pair_blocks_are_sequential(plan: SweepPlan) -> None:
    """Units that all couple to each other are drawn one after the other.

    A synchronous update would sample ``-(1/beta) sum log 2cosh(beta h)``, another model.
    """
    for number, move in enumerate(plan.moves):
        if not isinstance(move, BlockUpdate) or move.order is Order.SEQUENTIAL:
            continue
        for t in move.reads:
            if isinstance(plan.terms[t], Running | Overlap) or (
                move.order is Order.PARALLEL and isinstance(plan.terms[t], Neighbours | Hyper)
            ):
                raise LoweringError(
                    f"{plan.name}.moves[{number}]",
                    got=f"order {move.order} although terms[{t}] couples units of the block",
                    hint="a synchronous update of coupled units samples another model",
                )


def word_tables_have_two_states(plan: SweepPlan) -> None:
    """Word tables decide between two states."""
    for number, move in enumerate(plan.moves):
        if isinstance(move, BlockUpdate) and move.decision in TABLED:
            kind = plan.groups[move.group].prior.kind
            if kind not in (UnitKind.ISING, UnitKind.BERNOULLI):
                raise LoweringError(f"{plan.name}.moves[{number}]", got=str(kind), hint=_bug())


def planes_are_one_coloured_block(plan: SweepPlan) -> None:
    """Bit planes and the layout of bit planes go together, in one coloured block of one group."""
    decisions = [getattr(move, "decision", None) for move in plan.moves]
    sliced = Decision.BIT_PLANES in decisions
    alone = decisions == [Decision.BIT_PLANES] and plan.moves[0].order is Order.COLOURED
    if sliced != (plan.layout is Layout.PLANES) or (sliced and not alone):
        raise LoweringError(plan.name, got=f"layout {plan.layout}, {decisions}", hint=_bug())


def gathers_are_one_sequential_block(plan: SweepPlan) -> None:
    """Fields are gathered by one sequential heat bath of Potts units that has one coupling."""
    if plan.layout is not Layout.GATHERS:
        return
    (group, *others), (move, *_) = plan.groups, plan.moves
    couplings = [read for read in plan.terms if not isinstance(read, Constant)]
    legal = (
        not others
        and group.prior.kind is UnitKind.POTTS
        and isinstance(move, BlockUpdate)
        and (move.order, move.rule) == (Order.SEQUENTIAL, Rule.HEAT_BATH)
        and [type(read) for read in couplings] == [Running]
    )
    if not legal:
        raise LoweringError(plan.name, got=f"layout {plan.layout}", hint=_bug())


def no_term_within_a_class(order: np.ndarray, colour: np.ndarray, edges: np.ndarray, where: str):
    """No two units of a colour class share an edge; `colour` is per unit, `edges` [edge, arity]."""
    arity = edges.shape[1] if edges.ndim == 2 else 0
    for a in range(arity):
        for b in range(a + 1, arity):
            same = colour[edges[:, a]] == colour[edges[:, b]]
            if np.any(same):
                i, j = edges[same][0][[a, b]]
                raise LoweringError(
                    where,
                    got=f"units {i} and {j} share a term and the colour {colour[i]}",
                    expected="coupled units in different colour classes",
                    hint="drawing coupled units together samples another model; "
                    "odd periodic lengths need a third colour",
                )


def every_unit_is_drawn_once(order: np.ndarray, size: int, where: str) -> None:
    """A padded order lists every unit exactly once, in whole chunks."""
    units = np.sort(order[order >= 0])
    if len(order) % CHUNK or not np.array_equal(units, np.arange(size)):
        raise LoweringError(where, got="a visiting order that is no permutation", hint=_bug())


def products_join_two_groups(plan: SweepPlan) -> None:
    """A block product has its source outside the block."""
    for t, read in enumerate(plan.terms):
        if isinstance(read, Product) and read.a == read.b:
            raise LoweringError(f"{plan.name}.terms[{t}]", hint=_bug())


def _bug() -> str:
    return "this plan is illegal: please report it with the model file"

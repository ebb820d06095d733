"""Bit-sliced lattices: which plans keep one bit per lane, 32 lanes of a chain in a word.

Heat bath or Metropolis of one group of two-state units whose couplings are all 1, or all +1 and -1,
needs of its neighbours a count. Words of 32 lanes count together by logic alone, and compare random
numbers with thresholds binary digit by binary digit (`Decision.BIT_PLANES`), so that 512 lanes cost
about as much as six that are drawn one by one. Sources: L. Jacobs, C. Rebbi, J. Comput. Phys. 41, 203
(1981); M. Fernandez, V. Martin-Mayor, Phys. Rev. E 91, 051301 (2015) for independent bits per lane.
"""

from __future__ import annotations

from dataclasses import replace

from physebm.lowering.plan import (
    BlockUpdate,
    Constant,
    Decision,
    Layout,
    Neighbours,
    Order,
    Rule,
    SweepPlan,
    TermRead,
    Weights,
)
from physebm.model.hamiltonian import Hamiltonian
from physebm.model.terms import array_of
from physebm.model.units import UnitKind

# A word costs the same however few its lanes are: for the only word of a call, 16 lanes in three
# dimensions, or 32 in an ordered lattice, break even with lanes one by one.
PLANE_LANES = 16


def choose_planes(
    plan: SweepPlan, hamiltonian: Hamiltonian, signs: frozenset[str], lanes: int
) -> SweepPlan:
    """Needs: decisions. Adds: bit planes where they are defined and pay. Keeps: groups and reads.

    Parameters
    ----------
    signs
        Slots whose values are all +1 or -1 (`Options.signs`).
    lanes
        Lanes of one instance that are swept together (`Options.lanes`).
    """
    if lanes < PLANE_LANES or len(plan.groups) != 1 or len(plan.moves) != 1:
        return plan
    move = plan.moves[0]
    if not (
        isinstance(move, BlockUpdate)
        and move.order is Order.COLOURED
        and move.rule in (Rule.HEAT_BATH, Rule.METROPOLIS)
        and move.decision is Decision.WORD_TABLE
    ):
        return plan
    signed = tuple(array_of(term) in signs for term in hamiltonian.terms)
    kind = plan.groups[0].prior.kind
    pairs = [t for t in move.reads if isinstance(plan.terms[t], Neighbours)]
    if len(pairs) != 1 or not all(_is_counted(plan.terms[t], kind, signed[t]) for t in move.reads):
        return plan
    return replace(plan, moves=(replace(move, decision=Decision.BIT_PLANES),), layout=Layout.PLANES)


def _is_counted(read: TermRead, kind: UnitKind, signed: bool) -> bool:
    """Whether the field of a term is known from a number of neighbours that are up."""
    match read:
        case Constant(weights=Weights.UNIT) | Neighbours(weights=Weights.UNIT):
            return True
        case Neighbours(weights=Weights.INTEGER):
            # of Bernoulli units with signs the count has another range at every unit
            return signed and kind is UnitKind.ISING
        case _:
            return False

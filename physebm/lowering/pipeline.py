"""lower(hamiltonian, options) -> SweepPlan: an ordered tuple of passes, verified at the end.

read_terms -> group_blocks -> choose_decisions -> choose_planes (or cluster_moves) -> choose_layout
-> verify
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np

from physebm.errors import LoweringError
from physebm.lowering.layout import choose_layout
from physebm.lowering.plan import (
    BlockUpdate,
    ClusterMove,
    Constant,
    Decision,
    Hyper,
    Neighbours,
    Order,
    Overlap,
    Product,
    Quadratic,
    Rule,
    Running,
    SweepPlan,
    TermRead,
    UnitGroup,
    Weights,
    groups_read,
)
from physebm.lowering.planes import choose_planes
from physebm.lowering.verify import verify
from physebm.model.hamiltonian import Hamiltonian
from physebm.model.params import Params
from physebm.model.terms import (
    AllPairs,
    Field,
    Lattice,
    LowRank,
    Many,
    Pair,
    Square,
    Term,
    array_of,
    groups_of,
)
from physebm.model.units import UnitKind

METHODS = ("heat-bath", "metropolis", "zero-temperature", "swendsen-wang", "wolff")


@dataclass(frozen=True)
class Options:
    """How to sweep: the method's name and the slots whose values are all integers.

    `integers` is structure, not value: it says which arrays are +-1 (or small integers), so that
    local fields form a finite set; `signs` are those that hold +1 and -1 only. `lanes` is how many
    chains of one instance are swept together, all their temperatures counted: plans for many lanes and
    for few are different plans.
    """

    method: str = "heat-bath"
    integers: frozenset[str] = frozenset()
    lanes: int = 1
    signs: frozenset[str] = frozenset()

    @classmethod
    def of(
        cls,
        params: Params,
        method: str = "heat-bath",
        lanes: int = 1,
        changing: Collection[str] = (),
    ) -> Options:
        """Options for given values; slots in `changing` will take others and count as real numbers."""
        fixed = {
            slot: x for slot, x in params.arrays.items() if x.dtype == np.int8 and slot not in changing
        }
        signs = frozenset(slot for slot, x in fixed.items() if _all_signs(x, params))
        return cls(method, frozenset(fixed), lanes, signs)


def _all_signs(x: np.ndarray, params: Params) -> bool:
    """All +1 or -1, but for the padding of graphs that have fewer edges than others."""
    ones = np.abs(x) == 1
    if np.all(ones):
        return True
    lists = [edges[..., 0] >= 0 for edges in params.edges.values() if edges.shape[:2] == x.shape]
    return any(np.array_equal(ones, edges) for edges in lists)


def lower(hamiltonian: Hamiltonian, options: Options | None = None) -> SweepPlan:
    """The sweep plan of a Hamiltonian.

    Raises
    ------
    LoweringError
        when the method cannot sample this Hamiltonian; the message gives the reason.
    """
    options = options or Options()
    if options.method not in METHODS:
        raise LoweringError("sample.method", got=options.method, expected=METHODS)
    plan = read_terms(hamiltonian, options)
    if options.method in ("swendsen-wang", "wolff"):
        plan = cluster_moves(plan, hamiltonian, options)
    else:
        plan = group_blocks(plan, hamiltonian, Rule(options.method))
        plan = choose_decisions(plan)
        plan = choose_planes(plan, hamiltonian, options.signs, options.lanes)
    plan = choose_layout(plan, options.lanes)
    verify(plan)
    return plan


def read_terms(hamiltonian: Hamiltonian, options: Options) -> SweepPlan:
    """Needs: nothing. Adds: groups and one read per term. Keeps: the order of the file."""
    for group in hamiltonian.groups:
        if group.integrated:
            raise LoweringError(
                f"{hamiltonian.name}.units.{group.name}",
                got="a group that is integrated out",
                expected="groups with a state",
                hint="sample the joint model: its remaining units have the same distribution",
            )
    groups = tuple(UnitGroup(g.name, g.prior, g.size) for g in hamiltonian.groups)
    index = {group.name: i for i, group in enumerate(groups)}
    reads = tuple(_read(hamiltonian, term, index, options) for term in hamiltonian.terms)
    return SweepPlan(hamiltonian.name, groups, reads, ())


def _read(hamiltonian: Hamiltonian, term: Term, index, options: Options) -> TermRead:
    name = array_of(term)
    group = index[groups_of(term)[0]]
    weights = Weights.UNIT
    if name is not None:
        weights = Weights.INTEGER if name in options.integers else Weights.REAL
    match term:
        case Field():
            return Constant(group, weights)
        case Square():
            return Quadratic(group, weights)
        case LowRank():
            return Overlap(group, weights)
        case Many():
            return Hyper(group, term.arity, weights, isinstance(term.graph, AllPairs))
        case Pair() if term.a != term.b:
            return Product(index[term.a], index[term.b])
        case Pair() if isinstance(term.graph, AllPairs):
            potts = hamiltonian.group(term.a).prior.kind is UnitKind.POTTS
            return Running(group) if name is not None or potts else Overlap(group, weights)
        case Pair():
            weights = Weights.STATES if term.states else weights
            return Neighbours(group, weights, isinstance(term.graph, Lattice))


def group_blocks(plan: SweepPlan, hamiltonian: Hamiltonian, rule: Rule) -> SweepPlan:
    """Needs: reads. Adds: one block update per group, hidden groups first. Keeps: groups and reads.

    A start is given on visible units (data, a pattern), so hidden groups are drawn from it before the
    visible ones are drawn from them: one sweep of ``v - h`` is ``h ~ p(h | v)``, then ``v ~ p(v | h)``,
    one step of contrastive divergence. Within hidden and within visible groups the order is the file's.
    """
    moves = []
    visible = {group.name for group in hamiltonian.groups if group.visible}
    for g in sorted(range(len(plan.groups)), key=lambda g: plan.groups[g].name in visible):
        group = plan.groups[g]
        if rule is not Rule.HEAT_BATH and not group.prior.discrete:
            raise LoweringError(
                "sample.method",
                got=str(rule),
                expected="heat-bath",
                hint=f"group '{group.name}' is {group.prior.kind}: its conditional is drawn exactly, "
                "and neither a flip nor a downhill step is defined for it",
            )
        reads = tuple(t for t, read in enumerate(plan.terms) if g in groups_read(read))
        within = [plan.terms[t] for t in reads if not isinstance(plan.terms[t], Product)]
        if any(isinstance(read, Running | Overlap) for read in within):
            order = Order.SEQUENTIAL
        elif any(isinstance(read, Neighbours | Hyper) for read in within):
            order = Order.COLOURED
        else:
            order = Order.PARALLEL
        moves.append(BlockUpdate(g, order, reads, rule, Decision.REAL))
    return replace(plan, moves=tuple(moves))


def choose_decisions(plan: SweepPlan) -> SweepPlan:
    """Needs: blocks. Adds: word tables where the local fields form a small finite set."""
    return replace(
        plan,
        moves=tuple(
            replace(move, decision=Decision.WORD_TABLE) if _finite(plan, move) else move
            for move in plan.moves
        ),
    )


def _finite(plan: SweepPlan, move: BlockUpdate) -> bool:
    if plan.groups[move.group].prior.kind not in (UnitKind.ISING, UnitKind.BERNOULLI):
        return False
    return all(_small_range(plan.terms[t]) for t in move.reads)


def _small_range(read: TermRead) -> bool:
    """True where the local field of a term takes few integer values (a dense p-spin takes many)."""
    if isinstance(read, Hyper) and read.shared:
        return False
    return isinstance(read, Constant | Neighbours | Hyper) and read.weights in (
        Weights.UNIT,
        Weights.INTEGER,
    )


def cluster_moves(plan: SweepPlan, hamiltonian: Hamiltonian, options: Options) -> SweepPlan:
    """Needs: reads. Adds: one cluster move. Refuses fields and anything but one pair term."""
    reason = None
    if len(plan.groups) != 1 or plan.groups[0].prior.kind not in (UnitKind.ISING, UnitKind.POTTS):
        reason = "clusters are defined for one group of ising or potts units"
    elif any(isinstance(term, Field) for term in hamiltonian.terms):
        t = next(t for t, term in enumerate(hamiltonian.terms) if isinstance(term, Field))
        reason = (
            f"terms[{t}] is a field: it breaks the symmetry between the states of a cluster, "
            "so that a free choice of its new state is not balanced; remove the term or use heat-bath"
        )
    elif len(plan.terms) != 1 or not isinstance(plan.terms[0], Neighbours):
        reason = "clusters need exactly one coupling, on a lattice or a sparse graph"
    elif plan.terms[0].weights is Weights.STATES:
        reason = "clusters need a delta coupling; a q x q array favours unequal states too"
    if reason:
        raise LoweringError(
            "sample.method", got=options.method, expected=["heat-bath", "metropolis"], hint=reason
        )
    return replace(plan, moves=(ClusterMove(0, 0, options.method),))

"""A plan as a table that a person can check with a pencil; the data itself knows no printer."""

from __future__ import annotations

from physebm.lowering.plan import (
    BlockUpdate,
    Decision,
    Layout,
    Order,
    SweepPlan,
    read_text,
    words_per_unit,
)

LAYOUTS = {
    Layout.ROWS: "one lane is swept after another",
    Layout.TILES: "many lanes of one instance go through products of matrices together",
    Layout.PLANES: "one bit per lane, 32 lanes in a word; logic on words counts neighbours and draws",
    Layout.VECTORS: "sixteen lanes of one instance side by side in vectors of the processor",
    Layout.GATHERS: "all lanes at one Potts unit before the next; fields are gathered, not kept",
}
ORDERS = {
    Order.COLOURED: "class by class; no two units of a class share a term",
    Order.SEQUENTIAL: "unit after unit, as all of them interact",
    Order.PARALLEL: "all units at once: given the other groups they are independent",
}
DECISIONS = {
    Decision.WORD_TABLE: "local fields are whole numbers, which look up a threshold for a random word",
    Decision.BIT_PLANES: "local fields are counts; a threshold is compared for 32 lanes at once",
    Decision.REAL: "the local field is a real number; its probability is computed",
}
READS = {
    "Constant": "fields, which no unit changes",
    "Product": "local fields from the states of another group, as a product of matrices",
    "Running": "local fields are kept and changed at every flip",
    "Overlap": "overlaps with the patterns are kept and changed at every flip",
    "Neighbours": "local fields are summed over the neighbours of a unit",
    "Hyper": "local fields are summed over the groups of units that a unit stands in",
    "Quadratic": "the precisions of continuous units",
}


# Words within the text of a read, and what they mean.
MARKS = {
    "subsets to": "from 16 lanes on four two-state sources look up one sum of their couplings",
    "by planes": "from 128 lanes on a matrix unit multiplies, couplings cut in 16-bit planes",
    "unit weights": "the numbers on bonds, or fields, are all 1",
    "integer weights": "they are whole numbers",
    "real weights": "they are real numbers",
    "shared": "all samples of disorder have one graph",
}


def legend(plan: SweepPlan) -> str:
    """What the words of a plan's table mean, a line each."""
    blocks = [move for move in plan.moves if isinstance(move, BlockUpdate)]
    lines = {"lane": "one chain at one temperature; how many are swept together decides the layout"}
    lines |= {type(read).__name__: READS[type(read).__name__] for read in plan.terms}
    texts = [read_text(read) for read in plan.terms]
    lines |= {mark: text for mark, text in MARKS.items() if any(mark in each for each in texts)}
    lines[plan.layout] = LAYOUTS[plan.layout]
    lines |= {move.order: ORDERS[move.order] for move in blocks}
    lines |= {move.decision: DECISIONS[move.decision] for move in blocks}
    return "\n".join(["legend", *(f"  {word:<15} {text}" for word, text in lines.items())]) + "\n"


def plan_text(plan: SweepPlan) -> str:
    """Groups, reads and moves, one line each."""
    lines = [f"plan of {plan.name}", "", "groups"]
    for g, group in enumerate(plan.groups):
        states = f", q = {group.prior.q}" if group.prior.q else ""
        lines.append(f"  {g}  {group.name:<12} {group.prior.kind}{states}, {group.size} units")
    lines += ["", "terms, as they are read"]
    lines += [f"  {t}  {read_text(read)}" for t, read in enumerate(plan.terms)]
    lines += ["", "one sweep"]
    for m, move in enumerate(plan.moves):
        name = plan.groups[move.group].name
        if isinstance(move, BlockUpdate):
            words = words_per_unit(plan.groups[move.group].prior, move.rule)
            lines.append(
                f"  {m}  {move.rule} of {name}: {move.order}, decision by {move.decision}, "
                f"reads terms {list(move.reads)}, {words} random word(s) per unit"
            )
        else:
            lines.append(f"  {m}  {move.kind} clusters of {name} on term {move.term}")
    lines += ["", f"lanes lie in {plan.layout} on the processor"]
    return "\n".join(lines) + "\n"

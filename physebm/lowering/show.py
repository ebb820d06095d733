"""A plan as a table that a person can check with a pencil; the data itself knows no printer."""

from __future__ import annotations

from physebm.lowering.plan import BlockUpdate, SweepPlan, read_text, words_per_unit


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
    lines += ["", f"lanes lie in {plan.layout}"]
    return "\n".join(lines) + "\n"

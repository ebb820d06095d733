"""The array arguments of a plan's generated functions: which they are and where they come from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from physebm.backends.numba_cpu.runs.places import THRESHOLDS
from physebm.backends.runs.graph import is_in_runs
from physebm.lowering.plan import (
    ClusterMove,
    Constant,
    Decision,
    Hyper,
    Neighbours,
    Overlap,
    Product,
    Quadratic,
    Running,
    SweepPlan,
    Weights,
)
from physebm.model.units import UnitKind


@dataclass(frozen=True)
class Signature:
    """Names of the arrays that the generated functions take, by where they come from."""

    x: tuple[str, ...]
    work: tuple[str, ...]
    tables: tuple[str, ...]
    operands: tuple[str, ...]

    @property
    def all(self) -> tuple[str, ...]:
        """Every array argument, in order."""
        return (*self.x, *self.work, *self.tables, *self.operands)


def signature(plan: SweepPlan) -> Signature:
    """The array arguments of a plan's kernel."""
    x = [f"x{g}" for g in range(len(plan.groups))]
    work, operands, tables = [], [], []
    runs = is_in_runs(plan)
    for t, read in enumerate(plan.terms):
        if isinstance(read, Running | Overlap):
            work.append(f"work{t}")
        if not runs:  # these have tables of their own
            operands += [f"{name}{t}" for name in _operand_stems(read)]
        if isinstance(read, Product):
            operands += [f"J{t}_to_a", f"J{t}_to_b"]
    for g, group in enumerate(plan.groups):
        if group.prior.kind is UnitKind.TRUNCATED_GAUSSIAN:
            operands.append(f"lower{g}")
    for m, move in enumerate(plan.moves):
        if isinstance(move, ClusterMove):
            operands += [f"edges{m}", f"bond{m}"]
            continue
        operands.append(f"order{m}")
        x.append(f"held{m}")
        if move.decision is Decision.WORD_TABLE:
            lists = [f"{name}{m}" for name in THRESHOLDS]
            tables += [*(lists if runs else [f"table{m}"]), f"range{m}"]
    return Signature(tuple(x), tuple(work), tuple(tables), tuple(operands))


def _operand_stems(read) -> tuple[str, ...]:
    weighted = getattr(read, "weights", Weights.UNIT) is not Weights.UNIT
    match read:
        case Constant():
            return ("h",) if weighted else ()
        case Quadratic():
            return ("w",) if weighted else ()
        case Running():
            return ("J",)
        case Overlap():
            return ("xi", "d")
        case Neighbours() | Hyper():
            return ("n", "w") if weighted else ("n",)
        case Product():
            return ()
        case _:
            assert_never(read)

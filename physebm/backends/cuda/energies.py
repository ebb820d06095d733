"""The text of the term energies: every thread sums its units in double, the block sums the threads."""

from __future__ import annotations

from physebm.backends.cuda.fields import emit_field, emit_products, is_potts
from physebm.backends.cuda.writer import CWriter
from physebm.lowering.plan import (
    Constant,
    Hyper,
    Layout,
    Neighbours,
    Overlap,
    Product,
    Quadratic,
    Running,
    SweepPlan,
    Weights,
)


def emit_energies(out: CWriter, plan: SweepPlan) -> None:
    """``E[t]`` of every term, from the present configuration, by the threads of a block."""
    for t, read in enumerate(plan.terms):
        if isinstance(read, Product):
            emit_products(out, plan, read.a, [t])
        emit_energy(out, plan, t, "block_sum(part, room)", "threadIdx.x == 0")


def emit_energy(out: CWriter, plan: SweepPlan, t: int, total: str, first: str, side: str = "a") -> None:
    """``E[t]`` from fields that are up to date (of a product: those on a side).

    `total` sums the parts of the threads that share out the units, and the `first` of them stores it.
    """
    read = plan.terms[t]
    g = getattr(read, side) if isinstance(read, Product) else read.group
    with out.braces(""):
        out("double part = 0.0;")
        factor = _emit_part(out, plan, t, read, g, side)
        out(f"const double total = {total};")
        out(f"if ({first}) E[{t}] = {factor} * total;")


def _emit_part(out: CWriter, plan: SweepPlan, t: int, read, g: int, side: str) -> str:
    """The thread's part of a sum; returns what the sum is multiplied by."""
    q = plan.groups[g].prior.q
    here = f"i * {q} + x{g}[i]"
    if isinstance(read, Overlap):
        with out.each("mu", f"p.patterns{t}"):
            out(f"part += (double)work{t}[mu] * work{t}[mu];")
        with out.each("i", f"p.size{g}"):
            out(f"part -= d{t}[{here}];" if q else f"part -= (double)d{t}[i] * x{g}[i] * x{g}[i];")
        return "-0.5"
    with out.each("i", f"p.size{g}"):
        match read:
            case Constant(weights=Weights.UNIT):
                out("part += 1.0;" if q else f"part += x{g}[i];")
            case Constant():
                out(f"part += h{t}[{here}];" if q else f"part += (double)h{t}[i] * x{g}[i];")
            case Product():
                f = f"f{t}_{side}"
                out(f"part += {f}[{here}];" if q else f"part += (double){f}[i] * x{g}[i];")
            case Quadratic():
                weight = "" if read.weights is Weights.UNIT else f"w{t}[i] * "
                out(f"part += {weight}(double)x{g}[i] * x{g}[i];")
            case Running() if plan.layout is Layout.GATHERS:
                with out.braces(f"for (i64 j = 0; j < p.size{g}; j++)"):
                    row = f"((i * p.size{g} + j) * {q} + x{g}[j]) * p.padded{t}"
                    out(f"part += J{t}_rows[{row} + x{g}[i]];")
            case Running():
                out(f"part += work{t}[{here}];" if q else f"part += (double)work{t}[i] * x{g}[i];")
            case Neighbours() if is_potts(plan, g):
                _emit_equal_pairs(out, t, read, g, q)
            case Neighbours() | Hyper():
                emit_field(out, plan, t, g)
                out(f"part += (double)field * x{g}[i];")
            case _:
                raise AssertionError(read)
    shared = {Constant: "-1.0", Product: "-1.0", Quadratic: "0.5", Hyper: f"-1.0 / {_arity(read)}"}
    return shared.get(type(read), "-0.5")


def _emit_equal_pairs(out: CWriter, t: int, read: Neighbours, g: int, q: int) -> None:
    with out.braces(f"for (i64 d = i * p.degree{t}; d < (i + 1) * p.degree{t}; d++)"):
        out(f"const i32 j = n{t}[d];")
        out("if (j < 0) break;")
        if read.weights is Weights.STATES:
            out(f"part += w{t}[(d * {q} + x{g}[i]) * {q} + x{g}[j]];")
        else:
            weight = "1.0" if read.weights is Weights.UNIT else f"w{t}[d]"
            out(f"if (x{g}[i] == x{g}[j]) part += {weight};")


def _arity(read) -> int:
    return getattr(read, "arity", 2)

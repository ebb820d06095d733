"""The text of the term energies of one lane, from its rows and its running quantities."""

from __future__ import annotations

from typing import assert_never

from physebm.backends.numba_cpu.blocks import emit_field
from physebm.backends.source import Writer
from physebm.lowering.plan import (
    Constant,
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


def emit_energy(out: Writer, plan: SweepPlan, t: int, read, side: str = "") -> None:
    """``E[t]``, the bare energy of term t; of a product from the field of its `side`, a or b."""
    g = getattr(read, side) if isinstance(read, Product) else read.group
    q = plan.groups[g].prior.q
    match read:
        case Constant(weights=Weights.UNIT):
            out(f"E[{t}] = energy_uniform_field(x{g}, {q})")
        case Constant():
            out(f"E[{t}] = energy_constant(h{t}, x{g}, {q})")
        case Product():
            out(f"E[{t}] = energy_product(f{t}_{side}, x{g}, {q})")
        case Running():
            out(f"E[{t}] = energy_running(work{t}, x{g}, {q})")
        case Overlap():
            out(f"E[{t}] = energy_overlap(work{t}, d{t}, x{g}, {q})")
        case Quadratic(weights=Weights.UNIT):
            out(f"E[{t}] = energy_unit_quadratic(x{g})")
        case Quadratic():
            out(f"E[{t}] = energy_quadratic(w{t}, x{g})")
        case Neighbours() | Hyper():
            _emit_gather_energy(out, plan, t, read, g)
        case _:
            assert_never(read)


def _emit_gather_energy(out: Writer, plan: SweepPlan, t: int, read, g: int) -> None:
    arity = read.arity if isinstance(read, Hyper) else 2
    zero = "0" if read.weights in (Weights.UNIT, Weights.INTEGER) else "0.0"
    out(f"total = {zero}")
    with out.block(f"for i in range(n{t}.shape[0]):"):
        if plan.groups[g].prior.kind is UnitKind.POTTS:
            with out.block(f"for d in range(n{t}.shape[1]):"):
                out(f"j = n{t}[i, d]")
                with out.block("if j < 0:"):
                    out("break")
                if read.weights is Weights.STATES:
                    out(f"total += w{t}[i, d, x{g}[i], x{g}[j]]")
                else:
                    weight = "1" if read.weights is Weights.UNIT else f"w{t}[i, d]"
                    with out.block(f"if x{g}[i] == x{g}[j]:"):
                        out(f"total += {weight}")
        else:
            emit_field(out, plan, t, g, zero)
            out(f"total += field * x{g}[i]")
    out(f"E[{t}] = -total / {arity}")

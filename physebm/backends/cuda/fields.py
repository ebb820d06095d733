"""The text of local fields: those kept or computed for a whole group, and those of one unit.

Written for one lane: ``x0`` is the lane's row of configurations, ``h1`` its row of operands.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from physebm.backends.cuda.parameters import is_integer_overlap, number_type
from physebm.backends.cuda.writer import CWriter
from physebm.lowering.plan import (
    Constant,
    Hyper,
    Layout,
    Neighbours,
    Overlap,
    Product,
    Running,
    SweepPlan,
    Weights,
)
from physebm.model.units import UnitKind

# Fields of products stand in rows of the lane, where they were computed for the whole group.
IN_ROWS: Mapping[int, str] = MappingProxyType({})


def width(plan: SweepPlan, g: int) -> str:
    """Numbers through which a group couples, as C."""
    q = plan.groups[g].prior.q
    return f"{q} * p.size{g}" if q else f"p.size{g}"


def side_of(plan: SweepPlan, t: int, group: int) -> str:
    """The side of a product on which a group stands."""
    return "a" if group == plan.terms[t].a else "b"


def emit_products(out: CWriter, plan: SweepPlan, group: int, terms: list[int]) -> None:
    """Fields on a group from the present configurations of the groups that it is coupled to."""
    for t in terms:
        read, side = plan.terms[t], side_of(plan, t, group)
        source = read.b if side == "a" else read.a
        with out.each("i", width(plan, group)):
            _emit_sum_over_sources(out, plan, f"J{t}_to_{side}", source, width(plan, group))
            out(f"f{t}_{side}[i] = sum;")
    if terms:
        out("__syncthreads();")


def emit_rebuild(out: CWriter, plan: SweepPlan, terms: list[int]) -> None:
    """Running quantities of all given terms from the present configurations."""
    for t in terms:
        read = plan.terms[t]
        if isinstance(read, Overlap):
            _emit_rebuilt_overlap(out, plan, t, read)
        else:
            with out.each("i", width(plan, read.group)):
                _emit_sum_over_sources(out, plan, f"J{t}", read.group, width(plan, read.group))
                out(f"work{t}[i] = sum;")
    out("__syncthreads();")


def _emit_sum_over_sources(out: CWriter, plan: SweepPlan, J: str, source: int, width_: str) -> None:
    """``sum = sum_j J[j, i] x_j``, in the order of the sources."""
    q = plan.groups[source].prior.q
    out("float sum = 0.0f;")
    with out.braces(f"for (i64 j = 0; j < p.size{source}; j++)"):
        if q:
            out(f"sum += {J}[({q} * j + x{source}[j]) * {width_} + i];")
        else:
            out(f"sum = fmaf((float)x{source}[j], {J}[j * {width_} + i], sum);")


def _emit_rebuilt_overlap(out: CWriter, plan: SweepPlan, t: int, read: Overlap) -> None:
    g, integer = read.group, is_integer_overlap(plan, read)
    q = plan.groups[g].prior.q
    with out.each("mu", f"p.patterns{t}"):
        out(f"{'i32' if integer else 'double'} sum = 0;")
        with out.braces(f"for (i64 j = 0; j < p.size{g}; j++)"):
            if q:
                out(f"sum += xi{t}[({q} * j + x{g}[j]) * p.patterns{t} + mu];")
            else:
                out(f"sum += xi{t}[j * p.patterns{t} + mu] * x{g}[j];")
        out(f"work{t}[mu] = sum;")


def emit_field(
    out: CWriter, plan: SweepPlan, t: int, g: int, products: Mapping[int, str] = IN_ROWS
) -> None:
    """Declare ``field``, of term t at unit i for a group of scalar units.

    `products` says where fields of products stand, by term; others stand in the lane's rows.
    """
    read = plan.terms[t]
    match read:
        case Constant():
            kind = number_type(read.weights)
            out(f"{kind} field = {'1' if read.weights is Weights.UNIT else f'h{t}[i]'};")
        case Product():
            out(f"double field = {products.get(t, f'f{t}_{side_of(plan, t, g)}[i]')};")
        case Running():
            out(f"double field = work{t}[i];")
        case Overlap():
            out(f"double field = dot{t} - d{t}[i] * old;")
        case Neighbours():
            out(f"{number_type(read.weights)} field = 0;")
            with out.braces(f"for (i64 d = i * p.degree{t}; d < (i + 1) * p.degree{t}; d++)"):
                out(f"const i32 j = n{t}[d];")
                out("if (j < 0) break;")
                weight = "" if read.weights is Weights.UNIT else f"w{t}[d] * "
                out(f"field += {weight}x{g}[j];")
        case Hyper():
            out(f"{number_type(read.weights)} field = 0;")
            with out.braces(f"for (i64 d = i * p.degree{t}; d < (i + 1) * p.degree{t}; d++)"):
                others = read.arity - 1
                at = [f"n{t}[{others} * d + {a}]" if others > 1 else f"n{t}[d]" for a in range(others)]
                out(f"if ({at[0]} < 0) break;")
                weight = "" if read.weights is Weights.UNIT else f"w{t}[d] * "
                out(f"field += {weight}{' * '.join(f'x{g}[{each}]' for each in at)};")
        case _:
            raise AssertionError(read)


def emit_state_field(out: CWriter, plan: SweepPlan, t: int, g: int) -> None:
    """Add to ``sum`` what term t gives state a of Potts unit i, times its coefficient."""
    read, q = plan.terms[t], plan.groups[g].prior.q
    at = f"i * {q} + a"
    match read:
        case Constant(weights=Weights.UNIT):
            return  # a uniform Potts field favours no state
        case Constant():
            out(f"sum += c[{t}] * h{t}[{at}];")
        case Product():
            out(f"sum += c[{t}] * f{t}_{side_of(plan, t, g)}[{at}];")
        case Running() if plan.layout is Layout.GATHERS:
            out(f"double field{t} = 0.0;")
            with out.braces(f"for (i64 j = 0; j < p.size{g}; j++)"):
                row = f"((i * p.size{g} + j) * {q} + x{g}[j]) * p.padded{t}"
                out(f"field{t} += J{t}_rows[{row} + a];")
            out(f"sum += c[{t}] * field{t};")
        case Running():
            out(f"sum += c[{t}] * work{t}[{at}];")
        case Overlap():
            kind = "i32" if is_integer_overlap(plan, read) else "double"
            out(f"{kind} dot{t} = 0;")
            with out.braces(f"for (i64 mu = 0; mu < p.patterns{t}; mu++)"):
                out(f"const {kind} own = xi{t}[(i * {q} + old) * p.patterns{t} + mu];")
                out(f"dot{t} += xi{t}[({at}) * p.patterns{t} + mu] * (work{t}[mu] - own);")
            out(f"sum += c[{t}] * dot{t};")
        case Neighbours():
            out(f"{number_type(read.weights)} field{t} = 0;")
            with out.braces(f"for (i64 d = i * p.degree{t}; d < (i + 1) * p.degree{t}; d++)"):
                out(f"const i32 j = n{t}[d];")
                out("if (j < 0) break;")
                if read.weights is Weights.STATES:
                    out(f"field{t} += w{t}[(d * {q} + a) * {q} + x{g}[j]];")
                else:
                    weight = "1" if read.weights is Weights.UNIT else f"w{t}[d]"
                    out(f"field{t} += x{g}[j] == a ? {weight} : 0;")
            out(f"sum += c[{t}] * field{t};")
        case _:
            raise AssertionError(read)


def is_potts(plan: SweepPlan, g: int) -> bool:
    """Whether a group has named states."""
    return plan.groups[g].prior.kind is UnitKind.POTTS

"""The text of one block update: words, the local field of each unit, its draw, running quantities.

The code is written for one lane: ``x0`` is a row of configurations, ``h1`` a row of operands, ``f2_a``
the field of a product that stands ready, ``c`` the coefficients of the lane.
"""

from __future__ import annotations

from physebm.backends.source import Writer
from physebm.lowering.plan import (
    CHUNK,
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
    Weights,
    words_per_unit,
)
from physebm.model.units import UnitKind
from physebm.rng.streams import Purpose, last_word


def title(plan: SweepPlan, m: int) -> str:
    """A move in one line, for the reader of the generated source."""
    move = plan.moves[m]
    if isinstance(move, ClusterMove):
        return f"{move.kind} clusters of group {move.group} on term {move.term}"
    return f"{move.rule} of group {move.group}, {move.order}, {move.decision}, reads {move.reads}"


def draws_of(plan: SweepPlan, move) -> int:
    """Random words per unit that the block code of a move takes from the arrays ``words{d}``."""
    if isinstance(move, ClusterMove):
        return 0
    return words_per_unit(plan.groups[move.group].prior, move.rule)


def row_drawn(plan: SweepPlan, move) -> bool:
    """Whether `emit_row_block` can draw the block: independent units of numbers, by heat bath."""
    return (
        isinstance(move, BlockUpdate)
        and plan.groups[move.group].prior.kind is not UnitKind.POTTS
        and (move.order, move.rule) == (Order.PARALLEL, Rule.HEAT_BATH)
        and move.decision is Decision.REAL
    )


def emit_row_block(out: Writer, plan: SweepPlan, m: int, move: BlockUpdate) -> None:
    """Draw all units of the block at once, in vectors: words, laws, decisions."""
    for d in range(draws_of(plan, move)):
        last = last_word(Purpose.HEAT_BATH, m, d)
        out(f"fill_row(words{d}, x{move.group}.shape[0], walker, t, {last}, k0, k1)")
    if plan.groups[move.group].prior.discrete:
        _emit_two_state_row(out, plan, m, move)
    else:
        _emit_normal_row(out, plan, m, move)


def _emit_normal_row(out: Writer, plan: SweepPlan, m: int, move: BlockUpdate) -> None:
    g = move.group
    for t in move.reads:
        out(f"c{t} = c[{t}]")
    with out.block(f"for i in range(x{g}.shape[0]):"):
        out("theta, lam = 0.0, 0.0")
        for t in move.reads:
            read = plan.terms[t]
            if isinstance(read, Quadratic):
                out(f"lam += c{t}" + ("" if read.weights is Weights.UNIT else f" * w{t}[i]"))
            else:
                emit_field(out, plan, t, g, "0.0")
                out(f"theta += c{t} * field")
        out("mean[i] = theta / lam")
        out("scale[i] = 1.0 / np.sqrt(lam)")
    out(f"uniform_row(u, words0, words1, x{g}.shape[0])")
    if plan.groups[g].prior.kind is UnitKind.GAUSSIAN:
        out(f"draw_gaussian_row(x{g}, held{m}, mean, scale, u, z, tails, beyond)")
    else:
        out(f"draw_truncated_row(x{g}, held{m}, lower{g}, mean, scale, u, z, tails, beyond)")


def _emit_two_state_row(out: Writer, plan: SweepPlan, m: int, move: BlockUpdate) -> None:
    g = move.group
    low, high = plan.groups[g].prior.states
    for t in move.reads:
        out(f"c{t} = c[{t}]")
    with out.block(f"for i in range(x{g}.shape[0]):"):
        out("theta = 0.0")
        for t in move.reads:
            emit_field(out, plan, t, g, "0.0")
            out(f"theta += c{t} * field")
        out(f"gap[i] = {float(high - low)} * theta")
    out(f"draw_two_states(x{g}, held{m}, gap, words0, {low}, {high})")


def emit_block(out: Writer, plan: SweepPlan, m: int, move: BlockUpdate) -> None:
    """Draw every unit of the block in the order of the plan, held units left out."""
    g, group = move.group, plan.groups[move.group]
    with out.block(f"for chunk in range(order{m}.shape[0] // {CHUNK}):"):
        purpose = Purpose.METROPOLIS if move.rule is Rule.METROPOLIS else Purpose.HEAT_BATH
        for d in range(draws_of(plan, move)):
            last = last_word(purpose, m, d)
            out(f"fill_words(words{d}, chunk, walker, t, {last}, k0, k1)")
        with out.block(f"for p in range({CHUNK}):"):
            out(f"i = order{m}[{CHUNK} * chunk + p]")
            with out.block("if i < 0:"):
                out("break")
            with out.block(f"if held{m}.shape[0] > 0 and held{m}[i]:"):
                out("continue")
            out(f"old = x{g}[i]")
            if group.prior.kind is UnitKind.POTTS:
                _emit_potts(out, plan, m, move)
            elif move.decision is Decision.WORD_TABLE:
                _emit_look_up(out, plan, m, move)
            else:
                _emit_scalar(out, plan, m, move)
            out(f"x{g}[i] = new")
            _emit_running_updates(out, plan, move)


def _emit_look_up(out: Writer, plan: SweepPlan, m: int, move: BlockUpdate) -> None:
    out("index = 0")
    for place, t in enumerate(move.reads):
        emit_field(out, plan, t, move.group, "0")
        out(f"index = index * (2 * range{m}[{place}] + 1) + field + range{m}[{place}]")
    low, high = plan.groups[move.group].prior.states
    word = "words0[p]" if draws_of(plan, move) else "0"
    out(f"new = {high} if np.int64({word}) < table{m}[2 * index + (old > 0)] else {low}")


def _emit_scalar(out: Writer, plan: SweepPlan, m: int, move: BlockUpdate) -> None:
    g, prior = move.group, plan.groups[move.group].prior
    out("theta = 0.0")
    for t in move.reads:
        if not isinstance(plan.terms[t], Quadratic):
            emit_field(out, plan, t, g, "0.0")
            out(f"theta += c[{t}] * field")
    if prior.discrete:
        low, high = prior.states
        out(f"gap = {float(high - low)} * theta")
        up = {
            Rule.HEAT_BATH: "heat_bath_up(gap, words0[p])",
            Rule.METROPOLIS: "metropolis_up(gap, old > 0, words0[p])",
            Rule.ZERO_TEMPERATURE: "downhill_up(gap, old > 0)",
        }[move.rule]
        out(f"new = {high} if {up} else {low}")
        return
    out("lam = 0.0")
    for t in move.reads:
        read = plan.terms[t]
        if isinstance(read, Quadratic):
            out(f"lam += c[{t}]" + ("" if read.weights is Weights.UNIT else f" * w{t}[i]"))
    if prior.kind is UnitKind.GAUSSIAN:
        out("new = heat_bath_gaussian(theta, lam, words0[p], words1[p])")
    else:
        out(f"new = heat_bath_truncated(theta, lam, lower{g}[i], words0[p], words1[p])")


def emit_field(out: Writer, plan: SweepPlan, t: int, g: int, zero: str) -> None:
    """``field`` of term t at unit i for a group of scalar units."""
    read = plan.terms[t]
    match read:
        case Constant():
            out("field = 1" if read.weights is Weights.UNIT else f"field = h{t}[i]")
        case Product():
            out(f"field = f{t}_{'a' if g == read.a else 'b'}[i]")
        case Running():
            out(f"field = work{t}[i]")
        case Overlap():
            out(f"field = {_dot(plan, t)}(xi{t}[i], work{t}) - d{t}[i] * old")
        case Neighbours():
            out(f"field = {zero}")
            with out.block(f"for d in range(n{t}.shape[1]):"):
                out(f"j = n{t}[i, d]")
                with out.block("if j < 0:"):
                    out("break")
                weight = "" if read.weights is Weights.UNIT else f"w{t}[i, d] * "
                out(f"field += {weight}x{g}[j]")
        case Hyper():
            out(f"field = {zero}")
            with out.block(f"for d in range(n{t}.shape[1]):"):
                with out.block(f"if n{t}[i, d, 0] < 0:"):
                    out("break")
                factors = " * ".join(f"x{g}[n{t}[i, d, {a}]]" for a in range(read.arity - 1))
                weight = "" if read.weights is Weights.UNIT else f"w{t}[i, d] * "
                out(f"field += {weight}{factors}")
        case _:
            raise AssertionError(read)


def _dot(plan: SweepPlan, t: int) -> str:
    read = plan.terms[t]
    integer = read.weights is not Weights.REAL and plan.groups[read.group].prior.discrete
    return "dot_int" if integer else "dot_real"


def _emit_potts(out: Writer, plan: SweepPlan, m: int, move: BlockUpdate) -> None:
    g, q = move.group, plan.groups[move.group].prior.q
    theta = f"theta{g}"
    out(f"{theta}[:] = 0.0")
    for t in move.reads:
        read = plan.terms[t]
        if isinstance(read, Constant) and read.weights is Weights.UNIT:
            continue  # a uniform Potts field favours no state
        # read once: for all that LLVM knows, storing theta changes c, and no loop would vectorise
        out(f"strength = c[{t}]")
        match read:
            case Constant():
                with out.block(f"for a in range({q}):"):
                    out(f"{theta}[a] += strength * h{t}[i * {q} + a]")
            case Product() | Running():
                f = f"work{t}" if isinstance(read, Running) else f"f{t}_{'a' if g == read.a else 'b'}"
                with out.block(f"for a in range({q}):"):
                    out(f"{theta}[a] += strength * {f}[i * {q} + a]")
            case Overlap():
                out(f"add_pattern(work{t}, xi{t}[i * {q} + old], -1)")
                with out.block(f"for a in range({q}):"):
                    out(f"{theta}[a] += strength * {_dot(plan, t)}(xi{t}[i * {q} + a], work{t})")
            case Neighbours():
                with out.block(f"for d in range(n{t}.shape[1]):"):
                    out(f"j = n{t}[i, d]")
                    with out.block("if j < 0:"):
                        out("break")
                    if read.weights is Weights.STATES:
                        with out.block(f"for a in range({q}):"):
                            out(f"{theta}[a] += strength * w{t}[i, d, a, x{g}[j]]")
                    else:
                        weight = "" if read.weights is Weights.UNIT else f" * w{t}[i, d]"
                        out(f"{theta}[x{g}[j]] += strength{weight}")
            case _:
                raise AssertionError(read)
    call = {
        Rule.HEAT_BATH: f"heat_bath_potts({theta}, words0[p])",
        Rule.METROPOLIS: f"metropolis_potts({theta}, old, words0[p], words1[p])",
        Rule.ZERO_TEMPERATURE: f"downhill_potts({theta}, old)",
    }[move.rule]
    out(f"new = {call}")
    for t in move.reads:
        if isinstance(plan.terms[t], Overlap):
            out(f"add_pattern(work{t}, xi{t}[i * {q} + new], 1)")


def _emit_running_updates(out: Writer, plan: SweepPlan, move: BlockUpdate) -> None:
    q = plan.groups[move.group].prior.q
    for t in move.reads:
        read = plan.terms[t]
        if not isinstance(read, Running | Overlap) or (q and isinstance(read, Overlap)):
            continue
        with out.block("if new != old:"):
            if isinstance(read, Overlap):
                out(f"add_pattern(work{t}, xi{t}[i], new - old)")
            elif q:
                out(f"axpy(work{t}, float32(-1), J{t}[i * {q} + old])")
                out(f"axpy(work{t}, float32(1), J{t}[i * {q} + new])")
            else:
                out(f"axpy(work{t}, float32(new - old), J{t}[i])")

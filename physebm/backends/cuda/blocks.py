"""The text of one block update: words, the local field of each unit, its draw, running quantities.

Coloured and parallel blocks: the threads share out the blocks of four words of a class, each thread
draws the four units whose words it made, and a barrier ends the class. Sequential blocks: a chunk of 64
draws has its words made together; then unit after unit, the threads gather the field together, thread 0
draws, and all bring the running quantities up to date.
"""

from __future__ import annotations

from collections.abc import Mapping

from physebm.backends.cuda.fields import IN_ROWS, emit_field, emit_state_field, is_potts, width
from physebm.backends.cuda.parameters import Home, is_integer_overlap, parameters, state_type
from physebm.backends.cuda.writer import CWriter
from physebm.lowering.plan import (
    CHUNK,
    TABLED,
    BlockUpdate,
    ClusterMove,
    Decision,
    Order,
    Overlap,
    Quadratic,
    Rule,
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


def last_of(move: BlockUpdate, m: int, draw: int = 0) -> int:
    """The last counter word of a move's draws."""
    metropolis = move.rule is Rule.METROPOLIS
    if move.decision is Decision.BIT_PLANES:
        purpose = Purpose.METROPOLIS_PLANES if metropolis else Purpose.HEAT_BATH_PLANES
    else:
        purpose = Purpose.METROPOLIS if metropolis else Purpose.HEAT_BATH
    return last_word(purpose, m, draw)


def room_of_theta(out: CWriter, plan: SweepPlan) -> None:
    """Declare what the sequential blocks of a plan share between threads."""
    moves = [move for move in plan.moves if isinstance(move, BlockUpdate)]
    sequential = [move for move in moves if move.order is Order.SEQUENTIAL]
    for draw in range(max((_draws(plan, move) for move in sequential), default=0)):
        out(f"__shared__ u32 words{draw}[{CHUNK}];")
    states = max((plan.groups[move.group].prior.q or 0 for move in sequential), default=0)
    if states:
        out(f"__shared__ double theta[{states}];")
    for kind in sorted({state_type(plan.groups[move.group]) for move in sequential}):
        out(f"__shared__ {kind} drawn_{kind};")


def _draws(plan: SweepPlan, move: BlockUpdate) -> int:
    return words_per_unit(plan.groups[move.group].prior, move.rule)


def emit_block(out: CWriter, plan: SweepPlan, m: int, move: BlockUpdate) -> None:
    """Draw every unit of the block in the order of the plan, held units left out."""
    if move.order is Order.SEQUENTIAL:
        _emit_sequential(out, plan, m, move)
    else:
        _emit_classes(out, plan, m, move)


def _emit_classes(out: CWriter, plan: SweepPlan, m: int, move: BlockUpdate) -> None:
    with out.braces(f"for (i64 colour = 0; colour < p.classes{m}; colour++)"):
        first, end = f"16 * chunk{m}[colour]", f"16 * chunk{m}[colour + 1]"
        with out.braces(f"for (i32 b = {first} + threadIdx.x; b < {end}; b += blockDim.x)"):
            emit_four_units(out, plan, m, move)
        out("__syncthreads();")


def emit_four_units(
    out: CWriter, plan: SweepPlan, m: int, move: BlockUpdate, fields: Mapping[int, str] = IN_ROWS
) -> None:
    """Draw the units whose words are block b; `fields` says where fields of products stand, by term."""
    draws = _draws(plan, move)
    together = draws > 0 and move.decision is not Decision.BIT_PLANES
    for draw in range(draws if together else 0):
        last = f"0x{last_of(move, m, draw):08x}u"
        out(f"const Words words{draw} = words_of(b, t, {last}, stream);")
    with out.braces("for (i32 w = 0; w < 4; w++)"):
        out("const i32 position = position_of(b, w);")
        out(f"const i64 i = order{m}[position];")
        out(f"if (i < 0 || (held{m} && held{m}[i])) continue;")
        _emit_old(out, plan, move)
        words = [f"words{draw}.word[w]" for draw in range(draws)]
        if move.decision is Decision.BIT_PLANES:
            words = [f"plane_word_at(position, t, 0x{last_of(move, m):08x}u, stream)"]
        if is_potts(plan, move.group):
            q = plan.groups[move.group].prior.q
            out(f"double theta[{q}];")
            with out.braces(f"for (i32 a = 0; a < {q}; a++)"):
                _emit_theta(out, plan, move)
            out(f"x{move.group}[i] = {_potts_draw(plan, move, words)};")
        else:
            _emit_scalar(out, plan, m, move, words, f"x{move.group}[i]", fields)


def _emit_sequential(out: CWriter, plan: SweepPlan, m: int, move: BlockUpdate) -> None:
    draws, kind = _draws(plan, move), state_type(plan.groups[move.group])
    with out.braces(f"for (i64 chunk = 0; chunk < p.positions{m}; chunk += {CHUNK})"):
        if draws:
            with out.each("position", str(CHUNK)):
                for draw in range(draws):
                    last = f"0x{last_of(move, m, draw):08x}u"
                    out(f"words{draw}[position] = word_at(chunk + position, t, {last}, stream);")
            out("__syncthreads();")
        with out.braces(f"for (i32 w = 0; w < {CHUNK}; w++)"):
            out(f"const i64 i = order{m}[chunk + w];")
            out(f"if (i < 0 || (held{m} && held{m}[i])) continue;")
            _emit_old(out, plan, move)
            words = [f"words{draw}[w]" for draw in range(draws)]
            if is_potts(plan, move.group):
                with out.each("a", str(plan.groups[move.group].prior.q)):
                    _emit_theta(out, plan, move)
                out("__syncthreads();")
                out(f"if (threadIdx.x == 0) drawn_{kind} = {_potts_draw(plan, move, words)};")
            else:
                _emit_dots(out, plan, move)
                with out.braces("if (threadIdx.x == 0)"):
                    _emit_scalar(out, plan, m, move, words, f"drawn_{kind}")
            out("__syncthreads();")
            _emit_running_updates(out, plan, move, f"drawn_{kind}")
            # not before the barrier: other threads may still be reading the old state
            out(f"if (threadIdx.x == 0) x{move.group}[i] = drawn_{kind};")
            out("__syncthreads();")


def _emit_old(out: CWriter, plan: SweepPlan, move: BlockUpdate) -> None:
    """The present state, where anything reads it."""
    overlap = any(isinstance(plan.terms[t], Overlap) for t in move.reads)
    decided_by_old = move.rule is not Rule.HEAT_BATH or move.decision in TABLED
    kept = move.order is Order.SEQUENTIAL and _running_reads(plan, move)
    if not (overlap or decided_by_old or kept):
        return
    discrete = plan.groups[move.group].prior.discrete
    out(f"const {'i32' if discrete else 'double'} old = x{move.group}[i];")


def _emit_theta(out: CWriter, plan: SweepPlan, move: BlockUpdate) -> None:
    out("double sum = 0.0;")
    for t in move.reads:
        emit_state_field(out, plan, t, move.group)
    out("theta[a] = sum;")


def _potts_draw(plan: SweepPlan, move: BlockUpdate, words: list[str]) -> str:
    q = plan.groups[move.group].prior.q
    return {
        Rule.HEAT_BATH: lambda: f"heat_bath_potts(theta, {q}, {words[0]})",
        Rule.METROPOLIS: lambda: f"metropolis_potts(theta, {q}, old, {words[0]}, {words[1]})",
        Rule.ZERO_TEMPERATURE: lambda: f"downhill_potts(theta, {q}, old)",
    }[move.rule]()


def _emit_dots(out: CWriter, plan: SweepPlan, move: BlockUpdate) -> None:
    """``dot{t} = sum_mu xi_i^mu M_mu`` of the overlaps that a sequential block reads."""
    for t in move.reads:
        if isinstance(plan.terms[t], Overlap):
            out(f"double part{t} = 0.0;")
            with out.each("mu", f"p.patterns{t}"):
                out(f"part{t} += (double)xi{t}[i * p.patterns{t} + mu] * work{t}[mu];")
            out(f"const double dot{t} = block_sum(part{t}, room);")


def _emit_scalar(
    out: CWriter, plan: SweepPlan, m: int, move: BlockUpdate, words, target: str, fields=IN_ROWS
) -> None:
    """Assign to `target` the new state of a unit with numbers as states."""
    g, prior = move.group, plan.groups[move.group].prior
    if move.decision in TABLED:
        _emit_look_up(out, plan, m, move, words, target)
        return
    out("double theta_i = 0.0, lam = 0.0;" if not prior.discrete else "double theta_i = 0.0;")
    for t in move.reads:
        read = plan.terms[t]
        if isinstance(read, Quadratic):
            out(f"lam += c[{t}]{'' if read.weights is Weights.UNIT else f' * w{t}[i]'};")
            continue
        with out.braces(""):
            emit_field(out, plan, t, g, fields)
            out(f"theta_i += c[{t}] * field;")
    if prior.discrete:
        low, high = prior.states
        out(f"const double gap = {float(high - low)} * theta_i;")
        up = {
            Rule.HEAT_BATH: lambda: f"heat_bath_up(gap, {words[0]})",
            Rule.METROPOLIS: lambda: f"metropolis_up(gap, old > 0, {words[0]})",
            Rule.ZERO_TEMPERATURE: lambda: "downhill_up(gap, old > 0)",
        }[move.rule]()
        out(f"{target} = {up} ? {high} : {low};")
    elif prior.kind is UnitKind.GAUSSIAN:
        out(f"{target} = heat_bath_gaussian(theta_i, lam, {words[0]}, {words[1]});")
    else:
        out(f"{target} = heat_bath_truncated(theta_i, lam, lower{g}[i], {words[0]}, {words[1]});")


def _emit_look_up(out: CWriter, plan: SweepPlan, m: int, move: BlockUpdate, words, target: str) -> None:
    out("i64 index = 0;")
    for place, t in enumerate(move.reads):
        with out.braces(""):
            emit_field(out, plan, t, move.group)
            out(f"index = index * (2 * p.range{m}_{place} + 1) + field + p.range{m}_{place};")
    low, high = plan.groups[move.group].prior.states
    word = words[0] if words else "0"
    out(f"{target} = (i64){word} < table{m}[2 * index + (old > 0)] ? {high} : {low};")


def _running_reads(plan: SweepPlan, move: BlockUpdate) -> list[int]:
    """Reads of a block whose running quantities change when a unit moves."""
    kept = {each.name for each in parameters(plan) if each.home is Home.WORK}
    return [t for t in move.reads if f"work{t}" in kept]


def _emit_running_updates(out: CWriter, plan: SweepPlan, move: BlockUpdate, new: str) -> None:
    g, q = move.group, plan.groups[move.group].prior.q
    reads = _running_reads(plan, move)
    if not reads:
        return
    with out.braces(f"if ({new} != old)"):
        for t in reads:
            read = plan.terms[t]
            overlap = isinstance(read, Overlap)
            count = f"p.patterns{t}" if overlap else width(plan, g)
            table = f"xi{t}" if overlap else f"J{t}"
            kind = "float" if not overlap else ("i32" if is_integer_overlap(plan, read) else "double")
            with out.each("j", count):
                if q:
                    rows = [f"{table}[(i * {q} + {state}) * {count} + j]" for state in (new, "old")]
                    out(f"work{t}[j] = work{t}[j] - {rows[1]} + {rows[0]};")
                else:
                    out(f"work{t}[j] += ({kind})({new} - old) * {table}[i * {count} + j];")

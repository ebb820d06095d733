"""The text of the sweep of one lane in runs of sixteen units, whose steps stand in ``sweep.py``."""

from __future__ import annotations

from physebm.backends.numba_cpu.blocks import draws_of, title
from physebm.backends.numba_cpu.derived import derived_names
from physebm.backends.numba_cpu.signature import Signature
from physebm.backends.source import Writer
from physebm.lowering.plan import Constant, Neighbours, Rule, SweepPlan, Weights
from physebm.rng.streams import Purpose, last_word


def emit_run_lane(out: Writer, plan: SweepPlan, names: Signature) -> None:
    """``sweep_lane`` of a plan that is swept in runs: one share of its sweeps, or all of them."""
    (move,) = plan.moves
    low, high = plan.groups[0].prior.states
    metropolis = move.rule is Rule.METROPOLIS
    last = last_word(Purpose.METROPOLIS if metropolis else Purpose.HEAT_BATH, 0)
    arguments = ", ".join([*names.all, *derived_names(plan)])
    out("@njit(nogil=True, error_model='numpy')")
    with out.block(
        "def sweep_lane(share, shares, counter, y, fresh, give, first, count, walker, k0, k1, "
        f"c, E, {arguments}):"
    ):
        out("words0 = np.zeros(64, np.uint32)")
        out("field, index = np.empty(64, np.int32), np.empty(64, np.int32)")
        out("sums = np.zeros(16, np.int32)")
        out("begin, end = share_of(0, order0.shape[0], share, shares)")
        with out.block("if fresh:"):
            out("states_in(y, x0, order0, begin, end)")
        out("meet(counter, shares)")
        with out.block("for t in range(first, first + count):"):
            out(f"# move 0: {title(plan, 0)}")
            with out.block("for colour in range(ends0.shape[0] - 1):"):
                out("start, stop = share_of(ends0[colour], ends0[colour + 1], share, shares)")
                with out.block("for chunk in range(start, stop):"):
                    if draws_of(plan, move):
                        out("chunk_words(")
                        out("    words0.ctypes.data, np.uint32(chunk), walker, np.uint32(t),")
                        out(f"    np.uint32({last}), k0, k1,")
                        out(")")
                    _emit_decision(out, plan, move, f"np.int8({low}), np.int8({high})")
                out("meet(counter, shares)")
        with out.block("if give:"):
            out("states_out(x0, y, order0, begin, end)")
        for t in range(len(plan.terms)):
            _emit_energy(out, plan, t)
        out("meet(counter, shares)")


def emit_give(out: Writer) -> None:
    """``give``: kept states of some positions of all lanes back into configurations."""
    out("@njit(cache=True, nogil=True, error_model='numpy')")
    with out.block("def give(begin, end, x, states, order, instance):"):
        with out.block("for lane in range(x.shape[0]):"):
            out("k = instance[lane] if order.shape[0] > 1 else 0")
            out("states_out(x[lane], states[lane], order[k], begin, end)")


def _emit_decision(out: Writer, plan: SweepPlan, move, states: str) -> None:
    """The states of a chunk from its fields and words."""
    out("copy_places(y, order0, chunk, copied0, copies0)")
    if len(move.reads) == 1 and isinstance(plan.terms[move.reads[0]], Neighbours):
        _emit_draw(out, plan, move, states)
    out("index[:] = 0")
    for place, t in enumerate(move.reads):
        _emit_field(out, plan, t)
        out(f"index_further(index, field, np.int32(range0[{place}]))")
    if move.rule is not Rule.HEAT_BATH:
        out("with_state(index, y, chunk)")
    here = "y.ctypes.data + 64 * chunk, index.ctypes.data, words0.ctypes.data"
    with out.block("if held0.shape[0] > 0:"):
        out("decide_held(")
        out("    y, index, words0, chunk, places0, bounds0, order0, held0,")
        out(f"    {states}")
        out(")")
    with out.block("elif lookup0.shape[0] > 0:"):
        out("decide_by_table(")
        out(f"    {here}, lookup0.ctypes.data,")
        out(f"    {states}")
        out(")")
    with out.block("else:"):
        out("decide_by_list(")
        out(f"    {here}, places0.ctypes.data, bounds0.ctypes.data,")
        out(f"    places0.shape[0], {states}")
        out(")")


def _emit_draw(out: Writer, plan: SweepPlan, move, states: str) -> None:
    """The draw of a chunk in one, where units read their neighbours alone."""
    t = move.reads[0]
    weighted = plan.terms[t].weights is not Weights.UNIT
    name = f"draw{'_weighted' if weighted else ''}"
    name += "" if move.rule is Rule.HEAT_BATH else "_with_state"
    weights = f"weight{t}" if weighted else "words0"
    with out.block("if held0.shape[0] == 0 and lookup0.shape[0] > 0:"):
        out(f"{name}(")
        out(f"    y.ctypes.data, chunk, run{t}.ctypes.data, {weights}.ctypes.data, run{t}.shape[1],")
        out(f"    words0.ctypes.data, lookup0.ctypes.data, np.int32(range0[0]), {states}")
        out(")")
        out("continue")


def _emit_field(out: Writer, plan: SweepPlan, t: int) -> None:
    """``field``: the integer field of term t at the positions of a chunk."""
    read = plan.terms[t]
    unit = read.weights is Weights.UNIT
    if isinstance(read, Constant):
        out(f"field[:] = {1 if unit else 0}")
        if not unit:
            out(f"add_fields(field, chunk, field{t})")
        return
    out("field[:] = 0")
    if unit:
        out(f"add_neighbours(field, y, chunk, run{t})")
    else:
        out(f"add_weighted(field, y, chunk, run{t}, weight{t})")


def _emit_energy(out: Writer, plan: SweepPlan, t: int) -> None:
    """``E[t]``, of the chunks of a share; of two colours the first one meets every bond."""
    out("total = np.int64(0)")
    if isinstance(plan.terms[t], Constant):
        out("start, stop = share_of(0, ends0[-1], share, shares)")
        with out.block("for chunk in range(start, stop):"):
            _emit_field(out, plan, t)
            out("total += energy_of_field(field, y, chunk, order0)")
        out(f"E[{t}] = -total")
        return
    weighted = plan.terms[t].weights is not Weights.UNIT
    name, weights = ("weighted_bonds", f"weight{t}") if weighted else ("bonds", "sums")
    out("last, ends = counted(ends0)")
    out("start, stop = share_of(0, last, share, shares)")
    with out.block("for chunk in range(start, stop):"):
        out("copy_places(y, order0, chunk, copied0, copies0)")
        out(f"{name}(")
        out(f"    y.ctypes.data, chunk, run{t}.ctypes.data, {weights}.ctypes.data, run{t}.shape[1],")
        out("    sums.ctypes.data,")
        out(")")
        with out.block("if chunk % 64 == 0:"):
            out("total += close(sums)")
    out(f"E[{t}] = -(total + close(sums)) / ends")

"""The text of the sweep of one lane in runs of sixteen units, whose steps stand in ``sweep.py``."""

from __future__ import annotations

from physebm.backends.numba_cpu.blocks import draws_of, title
from physebm.backends.numba_cpu.derived import derived_names
from physebm.backends.numba_cpu.signature import Signature
from physebm.backends.source import Writer
from physebm.lowering.plan import Constant, Rule, SweepPlan, Weights
from physebm.rng.streams import Purpose, last_word


def emit_run_lane(out: Writer, plan: SweepPlan, names: Signature) -> None:
    """``sweep_lane`` of a plan that is swept in runs."""
    (move,) = plan.moves
    low, high = plan.groups[0].prior.states
    arguments = ", ".join([*names.all, *derived_names(plan)])
    out("@njit(nogil=True, error_model='numpy')")
    with out.block(f"def sweep_lane(first, count, rebuild, walker, k0, k1, c, E, {arguments}):"):
        out("words0 = np.zeros(64, np.uint32)")
        out("field, index = np.empty(64, np.int32), np.empty(64, np.int32)")
        out("y = np.empty(order0.shape[0] + 16, np.int8)")
        out("states_in(y, x0, order0)")
        with out.block("for t in range(first, first + count):"):
            out(f"# move 0: {title(plan, 0)}")
            with out.block("for chunk in range(order0.shape[0] // 64):"):
                metropolis = move.rule is Rule.METROPOLIS
                last = last_word(Purpose.METROPOLIS if metropolis else Purpose.HEAT_BATH, 0)
                if draws_of(plan, move):
                    out(f"fill_words(words0, chunk, walker, t, {last}, k0, k1)")
                out("index[:] = 0")
                for place, t in enumerate(move.reads):
                    _emit_field(out, plan, t)
                    limit = f"range0[{place}]"
                    out(f"index_further(index, field, np.int32({limit}))")
                if move.rule is not Rule.HEAT_BATH:
                    out("with_state(index, y, chunk)")
                states = f"np.int8({low}), np.int8({high})"
                with out.block("if held0.shape[0] == 0:"):
                    out(f"decide(y, index, words0, chunk, places0, bounds0, {states})")
                with out.block("else:"):
                    out("decide_held(")
                    out("    y, index, words0, chunk, places0, bounds0, order0, held0,")
                    out(f"    {states}")
                    out(")")
        out("states_out(x0, y, order0)")
        for t in range(len(plan.terms)):
            _emit_energy(out, plan, t)


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
        out(f"add_neighbours(field, y, chunk, run{t}, place{t})")
    else:
        out(f"add_weighted(field, y, chunk, run{t}, place{t}, weight{t})")


def _emit_energy(out: Writer, plan: SweepPlan, t: int) -> None:
    out("total = np.int64(0)")
    with out.block("for chunk in range(order0.shape[0] // 64):"):
        _emit_field(out, plan, t)
        out("total += energy_of_runs(field, y, chunk, order0)")
    out(f"E[{t}] = -total / {1 if isinstance(plan.terms[t], Constant) else 2}")

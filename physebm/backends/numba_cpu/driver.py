"""The text of ``sweep``, which calls ``sweep_lane`` with the rows that belong to each lane."""

from __future__ import annotations

from physebm.backends.numba_cpu.derived import derived_names
from physebm.backends.numba_cpu.runs.places import THRESHOLDS
from physebm.backends.numba_cpu.signature import Signature
from physebm.backends.runs.graph import is_in_runs
from physebm.backends.source import Writer
from physebm.lowering.plan import SweepPlan


def emit_driver(out: Writer, plan: SweepPlan, names: Signature) -> None:
    """``sweep(begin, end, ...)``: lanes from `begin` to `end`, or with `shares` parts of every lane."""
    every = [*names.all, *derived_names(plan)]
    shared = is_in_runs(plan)
    out("@njit(cache=True, nogil=True, error_model='numpy')")
    with out.block(
        f"def sweep(begin, end, {'shares, counter, states, fresh, kept, ' if shared else ''}"
        f"first, count, {'' if shared else 'rebuild, '}instance, rung, walker, key, coef, E, "
        f"{', '.join(every)}):"
    ):
        if shared:
            out("share, lanes = 0, range(begin, end)")
            with out.block("if shares > 1:"):
                out("share, lanes = begin, range(instance.shape[0])")
            out("row = np.empty(0 if kept else states.shape[1], np.int8)")
        with out.block(f"for lane in {'lanes' if shared else 'range(begin, end)'}:"):
            if shared:
                out("y = states[lane] if kept else row")
            out("k = instance[lane]")
            out("r = rung[lane]")
            rows = [_row(name, names) for name in every]
            # bound to names first: numba cannot read a long call whose arguments are conditionals
            for number, row in enumerate(rows):
                out(f"row{number} = {row}")
            out("sweep_lane(")
            if shared:
                out("    share, shares, counter, y, fresh, not kept,")
            rebuild = "" if shared else "rebuild, "
            out(f"    first, count, {rebuild}walker[lane], key[lane, 0], key[lane, 1],")
            out(f"    coef[r], E[{'share, ' if shared else ''}lane],")
            for number in range(len(rows)):
                out(f"    row{number},")
            out(")")


def _row(name: str, names: Signature) -> str:
    """The row of an array that belongs to a lane of instance k and rung r."""
    if name.startswith("held"):
        return f"{name}[lane if {name}.shape[0] > 1 else 0]"
    if name in names.x or name in names.work:
        return f"{name}[lane]"
    if name.startswith(("table", *THRESHOLDS)):
        return f"{name}[r]"
    if name.startswith("range"):
        return name
    return f"{name}[k if {name}.shape[0] > 1 else 0]"

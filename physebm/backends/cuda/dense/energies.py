"""The text of term energies where a warp has a lane of a tile: the plain kernel's, warp by warp."""

from __future__ import annotations

import re

from physebm.backends.cuda.emit import emit_row
from physebm.backends.cuda.energies import emit_energy
from physebm.backends.cuda.parameters import Home, Parameter
from physebm.backends.cuda.writer import CWriter
from physebm.lowering.plan import SweepPlan


class _WarpWriter(CWriter):
    """Lines of CUDA C in which the threads of a warp, not those of a block, share out ranges."""

    def each(self, index: str, count: str):
        """A range that the threads of a warp share out."""
        return self.braces(f"EACH_OF_WARP({index}, {count})")


def emit_warp_energies(
    out: CWriter, plan: SweepPlan, fields: tuple[Parameter, ...], known: dict[int, str], tile: str
) -> None:
    """``E[t]`` of every lane of a tile; of `known` terms C says what it is at a place."""
    body = _WarpWriter()
    for t in range(len(plan.terms)):
        if t in known:
            body(f"if (threadIdx.x % 32 == 0) E[{t}] = {known[t]};")
        else:
            emit_energy(body, plan, t, "warp_sum(part)", "threadIdx.x % 32 == 0")
    used = set(re.findall(r"\w+", body.text()))
    head = f"for (i32 place = threadIdx.x / 32; place < {tile}.size; place += THREADS / 32)"
    with out.braces(head):
        out(f"const i64 lane = {tile}.lane[place];")
        for each in fields:
            if each.is_array and each.name in used and each.home not in (Home.OPERAND, Home.TABLE):
                emit_row(out, plan, each)
        for line in body.text().splitlines():
            out(line)

"""The source that the kernels of a plan are compiled from, for people who want to read it.

Which emitter writes it is a matter of the plan's layout (as in `load.compile`). Bit-sliced kernels are
written for one width of vectors, which this machine and the number of lanes decide, and for the largest
degree of the graph, which the operands have.
"""

from __future__ import annotations

from physebm.backends.numba_cpu.emit import emit
from physebm.backends.numba_cpu.planes.emit import emit_planes
from physebm.backends.numba_cpu.planes.vectors import widths
from physebm.backends.numba_cpu.potts.emit import emit_gathers, is_gathered
from physebm.backends.planes.graph import Graph
from physebm.backends.planes.sliced import Sliced, is_sliced
from physebm.backends.planes.words import width_for
from physebm.backends.source import Source
from physebm.lowering.operands import Operands
from physebm.lowering.plan import SweepPlan

LANES_OF_A_WORD = 32


def source_of(plan: SweepPlan, operands: Operands, lanes: int) -> Source:
    """The generated source of a plan whose `lanes` chains of one instance are swept on one thread."""
    if is_gathered(plan):
        return emit_gathers(plan)
    if not is_sliced(plan):
        return emit(plan)
    width = width_for(-(-lanes // LANES_OF_A_WORD), 1, widths())
    degree = Graph.of(Sliced.of(plan), operands).neighbours.shape[2]
    return emit_planes(plan, width, degree)

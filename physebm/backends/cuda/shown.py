"""The source that the kernels of a plan are compiled from, for people who want to read it.

The library, which all modules share, is left out; modules for units that all interact are shown with
their own part of the library, and so are a bit-sliced one and a lattice in runs, where their kernels
stand, written for the largest degree of the graph at hand. Tiles are shown as for thousands of lanes on
a card with tensor cores.
"""

from __future__ import annotations

from physebm.backends.cuda.dense.emit import emit_dense, is_dense
from physebm.backends.cuda.dense.emit import module_text as dense_text
from physebm.backends.cuda.emit import emit, kernels_text
from physebm.backends.cuda.lattice.emit import emit_lattice
from physebm.backends.cuda.lattice.emit import module_text as lattice_text
from physebm.backends.cuda.lattice.parameters import degrees_of
from physebm.backends.cuda.planes.emit import emit_planes, module_text
from physebm.backends.cuda.potts.emit import Shape as PottsShape
from physebm.backends.cuda.potts.emit import emit_gathers, is_gathered
from physebm.backends.cuda.potts.emit import module_text as potts_text
from physebm.backends.cuda.tiles.emit import emit_tiles
from physebm.backends.cuda.tiles.emit import kernels_text as tiles_text
from physebm.backends.cuda.tiles.reads import Shape, is_tiled, tensor_sides
from physebm.backends.planes.graph import Graph
from physebm.backends.planes.sliced import Sliced, is_sliced
from physebm.backends.runs.graph import is_in_runs
from physebm.lowering.operands import Operands
from physebm.lowering.plan import SweepPlan

SHARED_BYTES = 200 * 1024  # in which a lattice is swept by one block, about


def shown(plan: SweepPlan, operands: Operands) -> tuple[str, str]:
    """Name of the source of a plan, and its text without the library."""
    if is_tiled(plan):
        shape = Shape(rows=8, panels=1, tensor=bool(tensor_sides(plan)))
        return emit_tiles(plan, shape).name, tiles_text(plan, shape.tensor)
    if is_dense(plan):
        return emit_dense(plan, 4, "float").name, dense_text(plan, 4, "float")
    if is_gathered(plan):
        of_tile = PottsShape(rows=4, q=plan.groups[0].prior.q)
        return emit_gathers(plan, of_tile).name, potts_text(plan, of_tile)
    if is_in_runs(plan):
        degrees = degrees_of(plan, operands)
        return emit_lattice(plan, degrees).name, lattice_text(plan, degrees)
    if not is_sliced(plan):
        return emit(plan).name, kernels_text(plan)
    graph = Graph.of(Sliced.of(plan), operands)
    n, degree = graph.neighbours.shape[1:]
    of = degree, not graph.rows.any(), 4 * n <= SHARED_BYTES
    return emit_planes(plan, *of).name, module_text(plan, *of)

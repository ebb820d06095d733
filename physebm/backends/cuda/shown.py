"""The source that the kernels of a plan are compiled from, for people who want to read it.

Shown are an index, the same for all modules, and what is generated or chosen for the plan; parts of the
hand-written library, which modules share, are included (`index`). Tiles and words are shown as for
thousands of lanes on a card with tensor cores, lattices for the largest degree of the graph at hand.
"""

from __future__ import annotations

from collections.abc import Callable

from physebm.backends.cuda.dense.emit import emit_dense, is_dense
from physebm.backends.cuda.emit import emit
from physebm.backends.cuda.index import with_index
from physebm.backends.cuda.lattice.emit import emit_lattice
from physebm.backends.cuda.lattice.parameters import degrees_of
from physebm.backends.cuda.planes.emit import emit_planes
from physebm.backends.cuda.potts.emit import Shape as PottsShape
from physebm.backends.cuda.potts.emit import emit_gathers, is_gathered
from physebm.backends.cuda.tiles.emit import emit_tiles
from physebm.backends.cuda.tiles.reads import Shape, is_tiled, tensor_sides
from physebm.backends.planes.graph import Graph
from physebm.backends.planes.sliced import Sliced, is_sliced
from physebm.backends.runs.graph import is_in_runs
from physebm.backends.source import Source
from physebm.lowering.operands import Operands
from physebm.lowering.plan import SweepPlan

SHARED_BYTES = 200 * 1024  # in which a lattice is swept by one block, about


def shown(plan: SweepPlan, operands: Operands, library: bool = False) -> tuple[str, str]:
    """Name of the source of a plan, and its text behind an index; `library` prints it whole."""
    source = source_of(plan, operands)
    sizes = _SIZES if room_of(plan) in _SIZED else "//\n"
    return source.name, sizes + with_index(source.text, library)


def source_of(plan: SweepPlan, operands: Operands) -> Source:
    """What is compiled for a plan, library included."""
    return room_of(plan)(plan, operands)


def room_of(plan: SweepPlan) -> Callable[[SweepPlan, Operands], Source]:
    """Who writes the source of a plan: one for all plans of a room (as in `rooms.kernels_of`)."""
    return next((write for belongs, write in _ROOMS if belongs(plan)), _plain)


def _plain(plan: SweepPlan, operands: Operands) -> Source:
    return emit(plan)


def _planes(plan: SweepPlan, operands: Operands) -> Source:
    graph = Graph.of(Sliced.of(plan), operands)
    n, degree = graph.neighbours.shape[1:]
    return emit_planes(plan, degree, not graph.rows.any(), 4 * n <= SHARED_BYTES)


def _tiles(plan: SweepPlan, operands: Operands) -> Source:
    return emit_tiles(plan, Shape(rows=8, panels=1, tensor=bool(tensor_sides(plan))))


def _dense(plan: SweepPlan, operands: Operands) -> Source:
    return emit_dense(plan, 4, "float")


def _gathers(plan: SweepPlan, operands: Operands) -> Source:
    return emit_gathers(plan, PottsShape(rows=4, q=plan.groups[0].prior.q))


def _runs(plan: SweepPlan, operands: Operands) -> Source:
    return emit_lattice(plan, degrees_of(plan, operands))


_ROOMS = (
    (is_sliced, _planes),
    (is_tiled, _tiles),
    (is_dense, _dense),
    (is_gathered, _gathers),
    (is_in_runs, _runs),
)
_SIZED = (_planes, _tiles, _dense, _gathers)
_SIZES = "// tiles and blocks are as large as for thousands of chains; a run has its own sizes\n//\n"

"""Plan -> readable CUDA C for Potts units that gather their fields (`Layout.GATHERS`).

The plain kernel has one thread per state, which goes through all other units alone, and thread 0 takes
all exponentials. Here a block of threads has a tile of 16 to 128 lanes of one instance, all at the same
unit, a thread for four states of a lane (``library/potts_rows.cuh``).

Derived, not measured. A draw reads N rows of `padded` floats from the first cache, 128 bytes per cycle
of a multiprocessor: 40 cycles for N = 53, q = 21, so at most 5.8 draws/ns on an H200; 75 cycles and 3.1
for N = 100. A unit's table of N q rows (107 KB for N = 53, q = 21) comes from the second cache once per
tile, which 128 lanes bring to 21 bytes per cycle; it should stay in the first cache while the lanes go
past, which with N = 100 (202 KB) it hardly does. There are three barriers per unit, q exponentials of
floats, and a quarter of a Philox block. Shared memory: (264 + 12 QUADS + N) TILE bytes; about 70
registers, as ptxas says. Which of these binds only a card can tell.
"""

from __future__ import annotations

from dataclasses import dataclass

from physebm.backends.cuda.blocks import last_of, title
from physebm.backends.cuda.dense.energies import emit_warp_energies
from physebm.backends.cuda.emit import (
    emit_head,
    emit_row,
    emit_struct,
    library,
    library_text,
    sweep_kernel,
)
from physebm.backends.cuda.parameters import Home, Parameter, parameters
from physebm.backends.cuda.writer import CWriter
from physebm.backends.source import Source
from physebm.lowering.gathered import padded_states
from physebm.lowering.plan import Constant, Layout, Running, SweepPlan, Weights

CHUNK = 64
MOST_THREADS = 1024


@dataclass(frozen=True)
class Shape:
    """Lanes of a tile, in eights, of a plan whose units have q states."""

    rows: int
    q: int

    @property
    def quads(self) -> int:
        """Threads of a lane."""
        return padded_states(self.q) // 4

    @property
    def panels(self) -> int:
        """Threads of a block, in units of 128."""
        return -(-8 * self.rows * self.quads // 128)

    def shared(self, units: int) -> int:
        """Bytes of shared memory: ``Room`` of potts_rows.cuh, and states."""
        lanes = 8 * self.rows
        room = lanes * (4 * CHUNK + 12 * self.quads + 8) + 8
        return -(-room // 16) * 16 + units * lanes


def is_gathered(plan: SweepPlan) -> bool:
    """Whether the units of a plan gather their fields."""
    return plan.layout is Layout.GATHERS


def gather_parameters(plan: SweepPlan) -> tuple[Parameter, ...]:
    """The fields of the struct: the plan's, without orders, and the lanes of tiles."""
    tiles = Parameter("tiles", "i64", "[tile, TILE], lanes of one instance, padded with -1", Home.LANE)
    left_out = {f"{stem}0" for stem in ("positions", "classes", "order", "chunk", "held")}
    return (tiles, *(each for each in parameters(plan) if each.name not in left_out))


def emit_gathers(plan: SweepPlan, shape: Shape) -> Source:
    """The source of a plan's kernel for tiles of a shape; deterministic text, library included."""
    return Source("sweep_cuda_potts", f"{library_text()}\n{module_text(plan, shape)}")


def module_text(plan: SweepPlan, shape: Shape) -> str:
    """The module without what all modules share: its constants, its part of the library, the kernel."""
    head = (
        f"constexpr i32 ROWS = {shape.rows}, PANELS = {shape.panels};  // a tile has 8 ROWS lanes\n"
        f"constexpr i32 Q = {shape.q}, QUADS = {shape.quads};  // states, and fours of a padded row\n"
    )
    names = ("tiles", "potts_rows")
    room = shape.shared(0)
    tail = f'static_assert(sizeof(Room) == {room}, "what the launch makes room for");\n'
    return "\n".join((head, library(*names), tail, kernels_text(plan)))


def kernels_text(plan: SweepPlan) -> str:
    """The generated part of a module: the struct of parameters and the kernel."""
    out, fields = CWriter(), gather_parameters(plan)
    emit_head(out, plan)
    emit_struct(out, fields)
    out()
    with sweep_kernel(out, "tile", "THREADS, 1"):
        out("DYNAMIC_SHARED(Room, rooms);")
        out("Room& room = rooms[0];")
        out("u8* states = (u8*)(rooms + 1);")
        out("take_tile(room.tile, p.tiles + (i64)blockIdx.x * TILE);")
        out("const i64 k = p.instance[room.tile.lane[0]];")
        for each in fields:
            if each.home is Home.OPERAND:
                emit_row(out, plan, each)
        out("const i32 place = threadIdx.x / QUADS, quad = threadIdx.x % QUADS;")
        out("const i32 own = place < TILE ? place : 0;  // threads to fill the last warp draw nothing")
        row = f"p.rung[room.tile.lane[own]] * {len(plan.terms)}"
        out(f"const double* c = p.coef + {row};")
        out("take_states(states, p.x0, p.size0, room.tile);")
        with out.braces("for (u32 t = first; t != first + count; t++)"):
            _emit_sweep(out, plan)
        out("if (count > 0) put_states(p.x0, states, p.size0, room.tile);")
        out("// bare term energies")
        emit_warp_energies(out, plan, fields, {}, "room.tile")
    return out.text()


def _emit_sweep(out: CWriter, plan: SweepPlan) -> None:
    pairs = next(t for t, read in enumerate(plan.terms) if isinstance(read, Running))
    out(f"// move 0: {title(plan, 0)}")
    with out.braces("for (i64 i = 0; i < p.size0; i++)"):
        last = f"0x{last_of(plan.moves[0], 0):08x}u"
        out(f"if (i % CHUNK == 0) take_words(room, i, t, {last}, p.walker, p.key);")
        rows = f"J{pairs}_rows + i * p.size0 * (4 * Q * QUADS)"
        out(f"Four theta = gather({rows}, states, p.size0, own, quad);")
        with out.braces("for (i32 a = 0; a < 4; a++)"):
            out(f"theta.value[a] *= (float)c[{pairs}];")
            for t, read in enumerate(plan.terms):
                # a uniform Potts field favours no state
                if isinstance(read, Constant) and read.weights is not Weights.UNIT:
                    field = f"(float)c[{t}] * (float)h{t}[i * Q + 4 * quad + a]"
                    out(f"if (4 * quad + a < Q) theta.value[a] += {field};")
        out("draw_unit(room, theta, room.words[i % CHUNK][own], place, quad, states + i * TILE);")

"""Plan -> readable CUDA C for units that all interact: a block of threads per tile of lanes.

The plain kernel meets at three barriers for each unit of each lane. Here a tile of 8, 16 or 32 lanes
goes from one block of 64 units to the next (``library/dense_blocks.cuh``): fields of the block as a
product of matrices by all eight warps, then the draws, one unit after the other, a thread of one warp
for each lane. It is the same sequential sweep, draw for draw.

With couplings (`Running`) fields come from the states anew for every block: as many multiply-adds as
adding the steps of a block to all fields, a 64th of the memory traffic, and no rounding that adds up.
With patterns (`Overlap` of integers) they come from overlaps, which take up the steps of the block.

Derived, not measured. Couplings: N multiply-adds per update and lane, and 4 / TILE bytes of the second
cache for each. In the inner loop of a thread there are 64 of them (32 lanes) for four loads from global
and four from shared memory: at most 0.85 of a card's rate, so 27 updates/ns for N = 1024 and 7 for
N = 4096 on an H200 with 132 full tiles or more. Fewer lanes go in tiles of 8, which the second cache
binds (N = 1024 with 1024 lanes: some 10 updates/ns). The draws of a block take one warp about 5000
cycles; another block of threads fills them, as two share a multiprocessor (75 KiB of shared memory for
32 lanes, and a word per unit; at most 128 registers, as ptxas says). Patterns: 2 P multiply-adds per
update and lane, 128 P bytes of couplings and 12 P TILE of overlaps per block. Per unit and lane a word,
a quarter of a Philox block, and two logarithms. How much of this a card reaches only a card can tell.
"""

from __future__ import annotations

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
from physebm.backends.cuda.parameters import Home, Parameter, is_integer_overlap, parameters
from physebm.backends.cuda.writer import CWriter
from physebm.backends.source import Source
from physebm.lowering.plan import Constant, Layout, Overlap, Running, SweepPlan, Weights

BLOCK, DEPTH, WARPS = 64, 32, 8
ROWS = (4, 2, 1)  # lanes that a tile may have, in eights


def dense_term(plan: SweepPlan) -> int:
    """The term through which all units interact."""
    return next(t for t, read in enumerate(plan.terms) if isinstance(read, Running | Overlap))


def is_dense(plan: SweepPlan) -> bool:
    """Whether lanes side by side have couplings between all units, or patterns of integers."""
    dense = [read for read in plan.terms if isinstance(read, Running | Overlap)]
    return (
        plan.layout is Layout.VECTORS
        and len(dense) == 1
        and (isinstance(dense[0], Running) or is_integer_overlap(plan, dense[0]))
    )


def dense_parameters(plan: SweepPlan) -> tuple[Parameter, ...]:
    """The fields of the struct: the plan's, without orders, and what this room adds."""
    t = dense_term(plan)
    tiles = Parameter("tiles", "i64", "[tile, TILE], lanes of one instance, padded with -1", Home.LANE)
    left_out = {f"{stem}0" for stem in ("positions", "classes", "order", "chunk", "held")}
    found = [tiles, *(each for each in parameters(plan) if each.name not in left_out)]
    if isinstance(plan.terms[t], Overlap):
        blocks = f"[blocks of 64, 64, 64], couplings of term {t} within a block"
        found += [
            Parameter(f"columns{t}", "i8", f"[patterns{t}, size0], xi", Home.OPERAND),
            Parameter(f"within{t}", "float", blocks, Home.OPERAND),
            Parameter(f"overlaps{t}", "Number", f"[tile, patterns{t}, TILE]", Home.ROOM),
        ]
    return tuple(found)


def emit_dense(plan: SweepPlan, rows: int, number: str) -> Source:
    """The source of a plan's kernel; deterministic text, library included. See `module_text`."""
    return Source("sweep_cuda_dense", f"{library_text()}\n{module_text(plan, rows, number)}")


def module_text(plan: SweepPlan, rows: int, number: str) -> str:
    """The module without what all modules share: its constants, its part of the library, the kernel.

    Parameters
    ----------
    rows
        Lanes of a tile, in eights.
    number
        C type of states and sums: float; or i32, where sums of integers leave float's range.
    """
    couplings = isinstance(plan.terms[dense_term(plan)], Running)
    names = ("tiles", "dense_blocks", "dense_couplings" if couplings else "dense_patterns")
    low, high = plan.groups[0].prior.states
    head = (
        f"constexpr i32 ROWS = {rows}, PANELS = {WARPS // 4};  // a tile has 8 ROWS lanes\n"
        f"constexpr i32 LOW = {low}, HIGH = {high};\n"
        f"typedef {number} Number;  // states, and sums over sources\n"
    )
    tail = f'static_assert(sizeof(Room) == {room_bytes(rows)}, "what the launch makes room for");\n'
    return "\n".join((head, library(*names), tail, kernels_text(plan)))


def room_bytes(rows: int) -> int:
    """Bytes of ``Room`` of dense_blocks.cuh."""
    lanes = 8 * rows
    floats = WARPS * DEPTH * lanes + BLOCK * BLOCK + 2 * BLOCK * lanes + BLOCK * (lanes + 1) + lanes
    return -(-(4 * floats + 8 * lanes + 12 * lanes + 8 * lanes + 8) // 16) * 16


def kernels_text(plan: SweepPlan) -> str:
    """The generated part of a module: the struct of parameters and the kernel."""
    out, fields = CWriter(), dense_parameters(plan)
    emit_head(out, plan)
    emit_struct(out, fields)
    out()
    # two blocks of threads share a multiprocessor: at most 128 registers
    with sweep_kernel(out, "tile", "THREADS, 2"):
        _emit_tile(out, plan, fields)
        if isinstance(plan.terms[dense_term(plan)], Running):
            _emit_couplings(out, plan)
        else:
            _emit_patterns(out, plan)
        out("// bare term energies")
        t = dense_term(plan)
        known = {t: "-room.pairs[place]"} if isinstance(plan.terms[t], Running) else {}
        emit_warp_energies(out, plan, fields, known, "room.tile")
    return out.text()


def _emit_tile(out: CWriter, plan: SweepPlan, fields) -> None:
    """What the threads share, and the rows of the tile's instance."""
    low, high = plan.groups[0].prior.states
    t = dense_term(plan)
    out("DYNAMIC_SHARED(Room, rooms);")
    out("Room& room = rooms[0];")
    out("u32* ups = (u32*)(rooms + 1);  // words of all units, a bit per lane")
    out("take_tile(room.tile, p.tiles + (i64)blockIdx.x * TILE);")
    out("const i64 k = p.instance[room.tile.lane[0]];")
    for each in fields:
        if each.home is Home.OPERAND:
            emit_row(out, plan, each)
    with out.each("place", "TILE"):
        out("const i64 lane = room.tile.lane[place];")
        out("room.stream[place] = Stream{p.walker[lane], p.key[2 * lane], p.key[2 * lane + 1]};")
        coefficient = f"p.coef[p.rung[lane] * {len(plan.terms)} + {t}]"
        out(f"room.rise[place] = {float(high - low)} * {coefficient};")
        out("room.pairs[place] = 0.0;")
    out("take_states(ups, p.x0, p.size0, room.tile);")


def _emit_couplings(out: CWriter, plan: SweepPlan) -> None:
    """All sweeps of a tile, or without any the energies of its pairs."""
    J = f"J{dense_term(plan)}"
    with out.braces("for (u32 n = 0; n == 0 || n < count; n++)"):
        out("const bool last = n + 1 >= count;")
        out(f"// move 0: {title(plan, 0)}")
        with out.braces("for (i64 start = 0; start < p.size0; start += BLOCK)"):
            out(f"take_within(room, {J}, p.size0, start);")
            out("Sums sum = {};")
            out(f"add_sources(sum, room, ups, {J}, p.size0, start, 0, start);")
            with out.braces("if (last)"):
                out("add_warps(room, sum);")
                out("keep_earlier(room);")
            with out.braces("if (count > 0)"):
                out(f"add_sources(sum, room, ups, {J}, p.size0, start, start, p.size0);")
                out("add_warps(room, sum);")
                _emit_margins(out, plan, "first + n", "total_at(room, place, b)")
                out("draw_block(room, ups + start);")
            out("if (last) add_pairs(room, ups + start, p.size0 - start);")
    out("if (count > 0) put_states(p.x0, ups, p.size0, room.tile);")
    t = dense_term(plan)
    out(f"if (rebuild) put_fields(p.work{t}, room, ups, {J}, p.size0);")
    out("__syncthreads();")


def _emit_patterns(out: CWriter, plan: SweepPlan) -> None:
    """All sweeps of a tile, with overlaps in rows of lanes side by side."""
    t = dense_term(plan)
    M, P = f"overlaps{t}", f"p.patterns{t}"
    out(f"Number* {M} = p.{M} + blockIdx.x * {P} * TILE;")
    out(f"if (rebuild) overlaps_of({M}, room, ups, xi{t}, {P}, p.size0);")
    out(f"else take_overlaps({M}, p.work{t}, {P}, room.tile);")
    with out.braces("for (u32 t = first; t != first + count; t++)"):
        out(f"// move 0: {title(plan, 0)}")
        with out.braces("for (i64 start = 0; start < p.size0; start += BLOCK)"):
            out(f"take_within(room, within{t} + start * BLOCK);")
            out("Sums sum = {};")
            out(f"add_overlaps(sum, room, {M}, columns{t}, {P}, p.size0, start);")
            out("add_warps(room, sum);")
            own = f"d{t}[i] * state_at(ups[i], place)"
            _emit_margins(out, plan, "t", f"total_at(room, place, b) - {own}")
            out("draw_block(room, ups + start);")
            out(f"add_steps({M}, room, xi{t}, {P}, p.size0, start);")
    with out.braces("if (count > 0 || rebuild)"):
        out("put_states(p.x0, ups, p.size0, room.tile);")
        out(f"keep_overlaps(p.work{t}, {M}, {P}, room.tile);")
        out("__syncthreads();")


def _emit_margins(out: CWriter, plan: SweepPlan, sweep: str, field: str) -> None:
    """Margins of the units of a block: gap minus noise."""
    low, high = plan.groups[0].prior.states
    constants = [t for t in plan.moves[0].reads if isinstance(plan.terms[t], Constant)]
    with out.each("e", "16 * TILE"):
        out("const i32 place = e / 16;")
        last = f"0x{last_of(plan.moves[0], 0):08x}u"
        block = "(i32)(start / 4) + e % 16"
        out(f"const Words words = words_of({block}, {sweep}, {last}, room.stream[place]);")
        if constants:
            rung = "p.rung[room.tile.lane[place]]"
            out(f"const double* c = p.coef + {rung} * {len(plan.terms)};")
        with out.braces("for (i32 w = 0; w < 4; w++)"):
            out("const i32 b = e % 16 + 16 * w;")
            out("const i64 i = start + b;")
            out("room.margins[b][place] = -1.0f;")
            out("if (i >= p.size0) continue;")
            out(f"float gap = room.rise[place] * (float)({field});")
            for t in constants:
                weight = "" if plan.terms[t].weights is Weights.UNIT else f" * (float)h{t}[i]"
                out(f"gap += (float)({float(high - low)} * c[{t}]){weight};")
            out("room.margins[b][place] = gap - logistic_noise(words.word[w]);")
    out("__syncthreads();")

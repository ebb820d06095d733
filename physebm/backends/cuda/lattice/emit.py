"""Plan -> CUDA C for lattices of integer couplings in runs: few lanes, many blocks of threads for each.

States stand as bytes in visiting order. A thread draws the sixteen units of a run at a time
(``library/lattice_runs.cuh``): neighbours are runs as well, read as 16 bytes and added four to a word;
a chunk of 64 units has sixteen Philox blocks, each with a word for all four of its runs, so that four
threads exchange the indices of their units, decide, and exchange the states. Two ways through a sweep,
chosen by sizes (`shape`):

``whole``  a block of threads has a lane's states in its shared memory and goes through all sweeps of a
           call in one launch (kernel ``sweep``)
``parts``  states stand in device memory, a launch is one colour class of one sweep (kernels ``colour``,
           ``sum``, ``energies``), as nothing but the end of a launch lets blocks wait for each other

Instructions for one update by heat bath in ``colour``, counted in what nvcc 13.0 makes for sm_90 (L a
multiple of 32: three of four runs begin at a multiple of 16, and few are broken), and registers:

====================  ======  ==========  ============  =========
square lattice        issued  logic pipe  bytes         registers
====================  ======  ==========  ============  =========
unit couplings        25      12.8        3.3           64
weights               32      17          7.3           64
====================  ======  ==========  ============  =========

Ten issued ones are Philox, five of them logic; exchanging costs 2 and looking up and comparing 4.
Derived, not measured: at 64 threads' logic and 128 issued a cycle, 132 multiprocessors and 1.755 GHz
the ceilings are 1160 updates per ns without and 860 with weights; 870 and 700 for other L, whose runs
begin anywhere. Of L = 4096 (one chain) a colour is drawn in 7.2 us: the host has to launch the next one
in that time, or it is the bound. The bytes are a state written (1), those of the other colour (1, and
0.25 where parts of blocks meet), and starts of runs (1); weights are 4. States and runs of L = 4096
(33 MB) stay in the second cache, which would bring 3.8 TB/s at the ceiling; weights (67 MB) do not, and
4.8 TB/s of an H200 hardly leave the ceiling above.

Certain are bits, counts, bytes and registers. Whether 32 warps of a multiprocessor (24 with weights)
hide the second cache, what launches cost, and from which size on parts are faster only a card can tell.
"""

from __future__ import annotations

from collections.abc import Mapping

from physebm.backends.cuda.blocks import last_of
from physebm.backends.cuda.emit import emit_head, emit_row, emit_struct, library
from physebm.backends.cuda.lattice.parameters import lattice_parameters, reads_a_sum
from physebm.backends.cuda.lattice.shape import MOST_THREADS, THREADS, blocks_of
from physebm.backends.cuda.parameters import Home
from physebm.backends.cuda.writer import CWriter
from physebm.backends.source import Source
from physebm.lowering.plan import Neighbours, Rule, SweepPlan, Weights
from physebm.model.units import UnitKind

BEFORE, MIDDLE, AFTER = ("types", "philox", "reductions"), ("lattice_runs",), ("lattice_kernels",)
EVERYWHERE = "__device__ __forceinline__"


def emit_lattice(plan: SweepPlan, degrees: Mapping[int, int]) -> Source:
    """The source for graphs of at most `degrees` neighbours, by term; library included."""
    return Source("lattice_cuda", f"{library(*BEFORE)}\n{module_text(plan, degrees)}")


def module_text(plan: SweepPlan, degrees: Mapping[int, int]) -> str:
    """The source without what other modules have as well."""
    texts = head_text(plan, degrees), library(*MIDDLE), functions_text(plan), library(*AFTER)
    return "\n".join(texts)


def head_text(plan: SweepPlan, degrees: Mapping[int, int]) -> str:
    """What the plan says as constants."""
    (move,), out = plan.moves, CWriter()
    ising = plan.groups[0].prior.kind is UnitKind.ISING
    draws, with_state = move.rule is not Rule.ZERO_TEMPERATURE, move.rule is not Rule.HEAT_BATH
    step = 8 if with_state else 16
    most = max(degrees.values()) * (2 if ising else 1) * (2 if with_state else 1) + with_state
    scale = step if reads_a_sum(plan) and most * step < 256 else 1
    emit_head(out, plan, "A lattice in runs,")
    constants = [
        ("u8", "NONE", int(ising), "in the place of a unit that is not there: the state 0"),
        ("u8", "UP", 2 if ising else 1, "a unit that is up; 0 is down"),
        ("bool", "DRAWS", draws, "random words decide"),
        (
            "bool",
            "WITH_STATE",
            with_state,
            "thresholds depend on the present state",
        ),
        ("i32", "STEP", step, "bytes from one index to the next in the table of thresholds"),
        ("i32", "SCALE", scale, "by how much of it bytes of indices are multiplied"),
        ("i32", "TERMS", len(plan.terms), "of the energy"),
        *(("i32", f"DEGREE{t}", d, f"neighbours in term {t} at most") for t, d in degrees.items()),
        ("i32", "THREADS", THREADS, "of a block that has a part of a lane"),
        ("i32", "BLOCKS", blocks_of(plan), "such blocks of a multiprocessor"),
        ("i32", "MOST_THREADS", MOST_THREADS, "of a block that has a lane"),
    ]
    for kind, name, value, meaning in constants:
        out(f"constexpr {kind} {name} = {str(value).lower()};  // {meaning}")
    out(f"constexpr u32 LAST = 0x{last_of(move, 0):08x};  // counter word c3 of the draw")
    return out.text()


def functions_text(plan: SweepPlan) -> str:
    """The generated part of a module: the struct, the rows of a lane, its draws and its energies."""
    out, fields = CWriter(), lattice_parameters(plan)
    rows = [each for each in fields if each.home is Home.OPERAND]
    emit_struct(out, fields)
    out()
    out("// What belongs to one lane.")
    with out.braces("struct Lane", "};"):
        for each in rows:
            out(f"const {each.type}* {each.name};")
        out("Stream stream;")
    out()
    with out.braces(f"{EVERYWHERE} Lane lane_of(const Parameters& p, i64 lane)"):
        out("const i64 k = p.instance[lane];")
        for each in rows:
            emit_row(out, plan, each)
        out("const Stream stream = {p.walker[lane], p.key[2 * lane], p.key[2 * lane + 1]};")
        out(f"return {{{', '.join(each.name for each in rows)}, stream}};")
    out()
    _emit_entry_of(out, plan)
    out()
    _emit_new_states(out, plan)
    out()
    _emit_add_energies(out, plan)
    return out.text()


def _emit_new_states(out: CWriter, plan: SweepPlan) -> None:
    (move,) = plan.moves
    out("// New states of run r. Every thread of a warp calls.")
    arguments = "const Parameters& p, const Lane& lane, const u8* y, const i64* table, i32 r, u32 sweep"
    with out.braces(f"{EVERYWHERE} Sixteen new_states(\n    {arguments})"):
        if reads_a_sum(plan):
            t = next(t for t in move.reads if isinstance(plan.terms[t], Neighbours))
            out(f"return decided(y, table, {_sum(t)}, r, sweep, lane.stream);")
            return
        out("i32 index[16] = {0}, field[16];")
        for place, t in enumerate(move.reads):
            _emit_field(out, plan, t)
            out(f"index_further(index, field, (i32)p.range0_{place});")
        out("return decided(y, table, as_bytes(index), r, sweep, lane.stream);")


def _emit_entry_of(out: CWriter, plan: SweepPlan) -> None:
    """Which thresholds stand in shared memory: those of a sum, or all."""
    reads = plan.moves[0].reads
    out("// Thresholds in shared memory, and where in the table of a rung number i of them stands.")
    is_sum = reads_a_sum(plan)
    pairs = next((t for t in reads if isinstance(plan.terms[t], Neighbours)), 0)
    count = f"2 * ((NONE + 1) * DEGREE{pairs} + 1)" if is_sum else "p.entries0"
    out(f"{EVERYWHERE} i64 thresholds_of(const Parameters& p) {{ return {count}; }}")
    out()
    with out.braces(f"{EVERYWHERE} i64 entry_of(const Parameters& p, i32 i)"):
        if not is_sum:
            out("return i;")
            return
        out("i64 index = 0;")
        for place, t in enumerate(reads):
            field = f"i / 2 - NONE * DEGREE{t}" if t == pairs else "1"
            out(f"index = index * (2 * p.range0_{place} + 1) + {field} + p.range0_{place};")
        out("return 2 * index + i % 2;")


def _emit_add_energies(out: CWriter, plan: SweepPlan) -> None:
    out("// Twice minus the bare term energies of run r: bonds are met from both their ends.")
    head = f"{EVERYWHERE} void add_energies(const Lane& lane, const u8* y, i32 r, i64 (&total)[TERMS])"
    with out.braces(head):
        out("i32 field[16];")
        for t, read in enumerate(plan.terms):
            if isinstance(read, Neighbours):
                _emit_field(out, plan, t)
                out(f"total[{t}] += times_states(y, field, r);")
                continue
            # unlike fields of neighbours these do not vanish at empty positions
            value = f"lane.order0[16 * r + j] < 0 ? 0 : {_constant(read, t)}"
            out(f"for (i32 j = 0; j < 16; j++) field[j] = {value};")
            out(f"total[{t}] += 2 * times_states(y, field, r);")


def _emit_field(out: CWriter, plan: SweepPlan, t: int) -> None:
    """``field``: the integer field of term t on the units of run r."""
    read = plan.terms[t]
    unit = read.weights is Weights.UNIT
    if isinstance(read, Neighbours):
        if unit:
            out(f"fields_of({_sum(t)}, NONE * DEGREE{t}, field);")
        else:
            runs = f"lane.run{t} + r * DEGREE{t}, lane.place0"
            weights = f"(const Sixteen*)lane.weight{t} + r * ((DEGREE{t} + 3) / 4 * 4)"
            out(f"weighted_neighbours<DEGREE{t}>(y, {runs}, {weights}, field);")
        return
    out(f"for (i32 j = 0; j < 16; j++) field[j] = {_constant(read, t)};")


def _constant(read, t: int) -> str:
    """The field of term t on unit j of run r, as C."""
    return "1" if read.weights is Weights.UNIT else f"lane.field{t}[16 * r + j]"


def _sum(t: int) -> str:
    """Sums of neighbours as bytes, as C."""
    return f"sum_of_neighbours<DEGREE{t}>(y, lane.run{t} + r * DEGREE{t}, lane.place0)"

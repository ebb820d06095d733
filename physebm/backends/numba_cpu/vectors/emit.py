"""The text of the kernels of a plan whose lanes lie side by side, sixteen in a vector.

A generated module holds

``energies``     the term energies of one lane
``sweep_tile``   a tile of lanes of one instance through all their sweeps
``sweep``        some tiles; threads take a range each

Within a tile states are ``S[unit, lane]``, or with dense couplings words of bits ``ups[block, lane]``;
at its ends they are copied from and to the configurations. Units of a colour class are drawn 64 at a
time; the units of a dense model in blocks with delayed updates, of 64 with couplings, of 32 with
patterns. See the other modules of this folder for the steps.
"""

from __future__ import annotations

from physebm.backends.numba_cpu.blocks import title
from physebm.backends.numba_cpu.derived import derived_names
from physebm.backends.numba_cpu.signature import Signature
from physebm.backends.numba_cpu.tiles.emit import _emit_call as emit_call
from physebm.backends.numba_cpu.tiles.emit import _emit_energies as emit_energies
from physebm.backends.source import Writer
from physebm.lowering.plan import (
    REBUILD_EVERY,
    Constant,
    Neighbours,
    Order,
    Overlap,
    Running,
    SweepPlan,
    Weights,
)
from physebm.rng.streams import Purpose, last_word

_LAUNCH = (
    "lanes", "size", "first", "count", "rebuild", "rung", "walker", "key", "coef", "E"
)  # fmt: skip


def lanes_of_a_tile(plan: SweepPlan) -> int:
    """The largest tile of a plan, in lanes.

    Couplings that do not stay in the second cache are read once per tile and block: more lanes share
    them (N = 1024 takes 0.9 of the time with 128 for 48, N = 256 as much). Sums over patterns fill the
    registers with three vectors.
    """
    return 128 if any(isinstance(read, Running) for read in plan.terms) else 48


def emit_vectors(out: Writer, plan: SweepPlan, names: Signature) -> None:
    """All functions of a plan with lanes side by side."""
    energies = emit_energies(out, plan, names)
    arguments = [*names.all, *derived_names(plan)]
    _emit_tile(out, plan, arguments, energies)
    _emit_driver(out, plan, names, arguments)


def _emit_tile(out: Writer, plan: SweepPlan, arguments: list[str], energies: list[str]) -> None:
    low, high = (float(state) for state in plan.groups[0].prior.states)
    dense = [t for t, read in enumerate(plan.terms) if isinstance(read, Running | Overlap)]
    out("@njit(nogil=True, error_model='numpy')")
    with out.block(f"def sweep_tile({', '.join([*_LAUNCH, *arguments])}):"):
        out("width = whole_vectors(size)")
        out("walkers, k0, k1 = lane_streams(lanes, size, width, walker, key)")
        out(f"c = lane_coefficients(lanes, size, width, rung, coef, {high - low})")
        out("words = np.empty((64, width), np.uint32)")
        out("noise = np.empty((64, width), np.float32)")
        out("gap = np.empty((64, width), np.float32)")
        running = dense and isinstance(plan.terms[dense[0]], Running)
        if running:
            out(f"states = np.array([{low}, {high}], np.float32)")
            out(f"steps = np.array([{low - high}, {high - low}], np.float32)")
            out(f"ups = states_in(x0, {high}, lanes, size, width)")
            out("moved = np.empty(width, np.uint64)")
        else:
            out("S = np.empty((x0.shape[1], width), np.float32)")
            out("lanes_in(S, x0, lanes, size)")
        for t in dense:
            if running:
                out(f"F = fields_in(work{t}, lanes, size, width)")
            else:
                out("H = np.empty((32, width), np.float32)")
                out("D = np.zeros((32, width), np.float32)")
                out(f"M = overlaps_in(work{t}, lanes, size, width, kind{t})")
                out(f"sums = sum_room(width, kind{t})")
            with out.block("if rebuild:"):
                _emit_rebuild(out, plan, t)
        with out.block("for t in range(first, first + count):"):
            for t in dense:
                with out.block(f"if t % {REBUILD_EVERY} == 0:"):
                    if not running:
                        out("lanes_out(x0, S, lanes, size)")
                    _emit_rebuild(out, plan, t)
            out(f"# move 0: {title(plan, 0)}")
            with out.block("for chunk in range(order0.shape[0] // 64):"):
                last = last_word(Purpose.HEAT_BATH, 0)
                out(f"fill_lane_words(words, chunk, walkers, t, {last}, k0, k1)")
                out("logistic_noise(noise, words)")
                if plan.moves[0].order is Order.COLOURED:
                    _emit_class(out, plan, low, high)
                elif running:
                    _emit_coupling_block(out, plan, dense[0], high - low)
                else:
                    _emit_pattern_blocks(out, plan, dense[0], low, high)
        out("states_out(x0, ups, states, lanes, size)" if running else "lanes_out(x0, S, lanes, size)")
        for t in dense:
            held = "fields_out(work{t}, F" if running else "overlaps_out(work{t}, M"
            out(f"{held.format(t=t)}, lanes, size)")
        with out.block("for place in range(size):"):
            out("lane = lanes[place]")
            per_lane = [name for name in energies if name.startswith(("x", "work"))]
            emit_call(
                out, "energies", ["E[lane]", *(f"{n}[lane]" if n in per_lane else n for n in energies)]
            )
    out()
    out()


def _emit_rebuild(out: Writer, plan: SweepPlan, t: int) -> None:
    if isinstance(plan.terms[t], Running):
        out(f"fields_of(F, ups, strips{t}, size, x0.shape[1], states)")
        return
    with out.block("for place in range(size):"):
        out("lane = lanes[place]")
        out(f"rebuild_overlap(work{t}[lane], xi{t}, x0[lane], 0)")
    out(f"M = overlaps_in(work{t}, lanes, size, width, kind{t})")


def _emit_class(out: Writer, plan: SweepPlan, low: float, high: float) -> None:
    with out.block("for p in range(64):"):
        out("i = order0[64 * chunk + p]")
        with out.block("if i < 0:"):
            out("break")
        out("gap[p] = np.float32(0.0)")
        _emit_constants(out, plan, "gap[p]", "i")
        for t in plan.moves[0].reads:
            read = plan.terms[t]
            if isinstance(read, Neighbours):
                w = f"w{t}[i]" if read.weights is not Weights.UNIT else f"n{t}[i]"
                out(f"field_of_{read.weights}(gap[p], c[{t}], S, n{t}[i], {w})")
    out(f"draw_independent(S, order0, 64 * chunk, gap, noise, np.float32({low}), np.float32({high}))")


def _emit_constants(out: Writer, plan: SweepPlan, gap: str, i: str, sign: str = "") -> None:
    for t in plan.moves[0].reads:
        read = plan.terms[t]
        if isinstance(read, Constant):
            h = "1.0" if read.weights is Weights.UNIT else f"h{t}[{i}]"
            out(f"axpy({gap}, np.float32({sign}{h}), c[{t}])")


def _emit_coupling_block(out: Writer, plan: SweepPlan, t: int, distance: float) -> None:
    """A chunk of units with running fields; sequential order numbers the units as the file does."""
    out("start = 64 * chunk")
    out("units = min(64, x0.shape[1] - start)")
    out(f"margins_of(gap, F[chunk], noise, c[{t}])")
    for other in plan.moves[0].reads:
        read = plan.terms[other]
        if isinstance(read, Constant) and read.weights is Weights.UNIT:
            out(f"add_constant(gap, np.float32(1.0), c[{other}], units)")
        elif isinstance(read, Constant):
            out(f"add_constants(gap, h{other}, c[{other}], start, units)")
    out(
        f"decide_units(gap, c[{t}], strips{t}[chunk, chunk], units, np.float32({distance}), moved, "
        "ups[chunk])"
    )
    out(f"add_flips(F, strips{t}, chunk, moved, ups[chunk], size, units, steps)")


def _emit_pattern_blocks(out: Writer, plan: SweepPlan, t: int, low: float, high: float) -> None:
    """The two blocks of a chunk that is read by overlaps."""
    with out.block("for part in range(2):"):
        out("start = 64 * chunk + 32 * part")
        out("units = min(32, S.shape[0] - start)")
        with out.block("if units <= 0:"):
            out("break")
        out("block, needed = start // 32, noise[32 * part : 32 * (part + 1)]")
        if any(isinstance(plan.terms[read], Constant) for read in plan.moves[0].reads):
            with out.block("for b in range(units):"):
                _emit_constants(out, plan, "needed[b]", "start + b", sign="-")
        out(f"pattern_sums(H, rows{t}[block], M, sums)")
        states = f"np.float32({low}), np.float32({high})"
        reads = f"c[{t}], own{t}[block], within{t}[block]"
        out(f"moved = draw_block(S, H, D, needed, {reads}, start, units, {states})")
        with out.block("if moved:"):
            out(f"add_steps_to_overlaps(M, columns{t}[block], D, units, sums)")


def _emit_driver(out: Writer, plan: SweepPlan, names: Signature, arguments: list[str]) -> None:
    out("@njit(cache=True, nogil=True, error_model='numpy')")
    with out.block(
        "def sweep(begin, end, tiles, first, count, rebuild, instance, rung, walker, key, coef, E, "
        f"{', '.join(arguments)}):"
    ):
        with out.block("for tile in range(begin, end):"):
            out("lanes = tiles[tile]")
            out("size = np.sum(lanes >= 0)")
            out("k = instance[lanes[0]]")
            values = {*names.operands, *derived_names(plan)}
            rows = [f"{n}[min(k, {n}.shape[0] - 1)]" if n in values else n for n in arguments]
            emit_call(out, "sweep_tile", [*_LAUNCH, *rows])

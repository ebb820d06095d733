"""Plan -> readable CUDA C for plans with products between groups: a block of threads per tile of lanes.

The plain kernel reads all couplings once per lane and block update. Here a block of threads takes a
tile of lanes of one instance through all sweeps, and reads the couplings once for the tile: products
of matrices whose sums stay with the thread that draws the units (``library/tiles.cuh`` says who has
which). Sources of two states, or one-hot of a few, are multiplied by tensor cores, their couplings
split in three planes of bf16 (``tensor_products.cuh``; kernel ``split`` makes the planes when couplings
are new), real-valued ones by multiply-adds of floats (``tile_products.cuh``); sources of more named
states add one row of couplings each. The draw is the plain kernel's text; fields reach global memory
only where units of named states gather all theirs, and in the last sweep, for the energies.

Bounds for 784 x 500 couplings on an H200, derived and not measured. Multiply-adds of floats: 33e12/s,
43e6 chain-steps/s. Tensor cores: 150e6 chain-steps/s at the rate of the data sheet, of which
``mma.sync`` is known to reach about two thirds. Every tile reads the planes (6 bytes for a coupling and
direction, 4.7 MB in a sweep) from the second cache, 24 bytes a clock for each multiprocessor: 110
microseconds a sweep, so that tiles of 80 lanes on 132 multiprocessors are held to 95e6. The plain
kernel, which reads 4 bytes of couplings for every multiply-add, is held to 1.8e6. Per unit a quarter of
a Philox block and one exponential. What a card makes of it, only a card can tell.
"""

from __future__ import annotations

import re

from physebm.backends.cuda.blocks import emit_four_units, title
from physebm.backends.cuda.emit import (
    emit_head,
    emit_row,
    emit_struct,
    library,
    library_text,
    sweep_kernel,
)
from physebm.backends.cuda.energies import emit_energy
from physebm.backends.cuda.fields import is_potts, side_of, width
from physebm.backends.cuda.parameters import Home
from physebm.backends.cuda.tiles.reads import (
    Shape,
    fma_sides,
    kept_sides,
    products_of,
    source_of,
    tensor_sides,
    tile_parameters,
)
from physebm.backends.cuda.writer import CWriter
from physebm.backends.source import Source
from physebm.lowering.plan import SweepPlan
from physebm.model.units import UnitKind

SPLIT = 'extern "C" __global__ void split(const Parameters p, u32 instances)'


def emit_tiles(plan: SweepPlan, shape: Shape) -> Source:
    """The source of a plan's kernels for tiles of a shape; deterministic text, library included."""
    parts = ("tiles", "tile_products", *(("tensor_products",) if shape.tensor else ()))
    constants = f"constexpr i32 ROWS = {shape.rows}, PANELS = {shape.panels};\n"
    kernels = kernels_text(plan, shape.tensor)
    text = "\n".join([library_text(), constants, library(*parts), kernels])
    return Source("sweep_cuda_tiles", text)


def kernels_text(plan: SweepPlan, tensor: bool) -> str:
    """The generated part of a module: the struct of parameters and the kernels."""
    return _Emitter(plan, tensor).text()


class _WarpWriter(CWriter):
    """Lines of CUDA C in which the threads of a warp, not those of a block, share out ranges."""

    def each(self, index: str, count: str):
        """A range that the threads of a warp share out."""
        return self.braces(f"EACH_OF_WARP({index}, {count})")


class _Emitter:
    """Writes the kernels of a plan."""

    def __init__(self, plan: SweepPlan, tensor: bool):
        self.plan = plan
        self.fields = tile_parameters(plan, tensor)
        self.kept = kept_sides(plan)
        self.by_tensor = tensor_sides(plan) if tensor else []
        self.packed = sorted({source_of(plan, *each) for each in self.by_tensor})
        self.staged = bool(fma_sides(plan, tensor))

    def text(self) -> str:
        """The struct, and the kernels."""
        out, body = CWriter(), CWriter()
        self._body(body)
        emit_head(out, self.plan)
        emit_struct(out, self.fields)
        out()
        if self.by_tensor:
            self._split(out)
            out()
        with sweep_kernel(out, "tile", "THREADS, 1"):
            self._of_tile(out, set(re.findall(r"\w+", body.text())))
            out()
            _copy(out, body)
        return out.text()

    def _split(self, out: CWriter) -> None:
        """Kernel ``split``: planes of all couplings that tensor cores multiply."""
        out("// Couplings in planes; before the first sweep, and whenever they have changed.")
        with out.braces(SPLIT), out.braces("for (i64 k = 0; k < instances; k++)"):
            for t, side in self.by_tensor:
                planes, sizes = f"planes{t}_to_{side}", self._sizes(t, side)
                J, signs = f"J{t}_to_{side}", self._signs(t, side)
                with out.braces(f"if (k == 0 || p.{J}_step)"):
                    out(f"Fragments* {planes} = p.{planes} + k * fragments_of({sizes});")
                    out(f"split_couplings<{signs}>({planes}, p.{J} + k * p.{J}_step, {sizes});")

    def _sizes(self, t: int, side: str) -> str:
        """Sources, and numbers of the group on a side of a product."""
        source, target = source_of(self.plan, t, side), getattr(self.plan.terms[t], side)
        return f"{width(self.plan, source)}, {width(self.plan, target)}"

    def _of_tile(self, out: CWriter, used: set[str]) -> None:
        """What all lanes of the tile have in common, and room that the threads share."""
        plan = self.plan
        out("__shared__ Tile tile;")
        if self.staged:
            out("__shared__ Stage stage;")
        out("DYNAMIC_SHARED(Fields, fields);  // of the products of a move")
        out("take_tile(tile, p.tiles + (i64)blockIdx.x * TILE);")
        out("const i64 k = p.instance[tile.lane[0]];")
        for each in self.fields:
            if each.home is Home.OPERAND and each.name in used:
                emit_row(out, plan, each)
        for t, side in self.by_tensor:
            name, row = f"planes{t}_to_{side}", f"(p.J{t}_to_{side}_step ? k : 0)"
            out(f"const Fragments* {name} = p.{name} + {row} * fragments_of({self._sizes(t, side)});")
        for g in self.packed:
            words = f"words_of_bits({width(plan, g)})"
            out(f"u32* bits{g} = p.bits{g} + blockIdx.x * {words} * TILE;")

    def _body(self, out: CWriter) -> None:
        """All sweeps of a tile, and its energies."""
        plan = self.plan
        for g in self.packed:
            self._pack(out, g)
        with out.braces("for (u32 t = first; t != first + count; t++)"):
            for m, move in enumerate(plan.moves):
                out(f"// move {m}: {title(plan, m)}")
                (self._potts if is_potts(plan, move.group) else self._scalars)(out, m)
                out("__syncthreads();")
                if move.group in self.packed:
                    self._pack(out, move.group)
        out("// bare term energies")
        if self.kept:
            with out.braces("if (count == 0)"):
                for t, side in self.kept.items():
                    self._kept_products(out, [t], getattr(plan.terms[t], side))
                out("__syncthreads();")
        energies = _WarpWriter()
        for t in range(len(plan.terms)):
            total, first = "warp_sum(part)", "threadIdx.x % 32 == 0"
            emit_energy(energies, plan, t, total, first, self.kept.get(t, "a"))
        with out.braces("for (i32 place = threadIdx.x / 32; place < tile.size; place += THREADS / 32)"):
            self._lane(out, energies)

    def _scalars(self, out: CWriter, m: int) -> None:
        """A pass of products, and the draws of its units by the threads that have their fields."""
        plan, move, g = self.plan, self.plan.moves[m], self.plan.moves[m].group
        products = products_of(plan, move)
        with out.braces(f"for (i32 start = 0; start < p.size{g}; start += UNITS)"):
            for n, t in enumerate(products):
                self._product(out, t, g, n)
            last = [(n, t) for n, t in enumerate(products) if self.kept[t] == side_of(plan, t, g)]
            if last:
                with out.braces("if (t + 1 == first + count)"):
                    for n, t in last:
                        self._keep(out, t, g, n)
            out("const i32 b = block_of(start);")
            with out.braces("for (i32 r = 0; r < ROWS; r++)"):
                out("const i32 place = place_of(r);")
                out(f"if (place >= tile.size || 4 * b >= p.positions{m}) break;")
                draw = CWriter()
                places = {t: f"fields[{n}][4 * r + w][threadIdx.x]" for n, t in enumerate(products)}
                emit_four_units(draw, plan, m, move, places)
                self._lane(out, draw)

    def _potts(self, out: CWriter, m: int) -> None:
        """Fields of all states of all units, which stay in rows; then the draws."""
        move = self.plan.moves[m]
        products = products_of(self.plan, move)
        if products:
            self._kept_products(out, products, move.group)
            out("__syncthreads();")
        blocks = f"(p.positions{m} / 4)"
        with out.braces(f"for (i64 e = threadIdx.x; e < tile.size * {blocks}; e += THREADS)"):
            out(f"const i32 place = e / {blocks}, b = e % {blocks};")
            draw = CWriter()
            emit_four_units(draw, self.plan, m, move)
            self._lane(out, draw)

    def _kept_products(self, out: CWriter, terms: list[int], g: int) -> None:
        with out.braces(f"for (i32 start = 0; start < {width(self.plan, g)}; start += UNITS)"):
            for t in terms:
                self._product(out, t, g, 0)
                self._keep(out, t, g, 0)

    def _product(self, out: CWriter, t: int, g: int, n: int) -> None:
        side, numbers = side_of(self.plan, t, g), width(self.plan, g)
        source, J = source_of(self.plan, t, side), f"J{t}_to_{side}"
        prior = self.plan.groups[source].prior
        x = f"p.x{source}, p.size{source}"
        if (t, side) in self.by_tensor:
            sources, planes = width(self.plan, source), f"planes{t}_to_{side}"
            head = f"tensor_product<{self._signs(t, side)}>(fields[{n}], bits{source}, {sources}"
            out(f"{head}, {planes}, {numbers}, start);")
        elif prior.q:
            out(f"tile_gather(fields[{n}], {x}, {prior.q}, {J}, {numbers}, start, tile);")
        else:
            out(f"tile_product(fields[{n}], {x}, {J}, {numbers}, start, tile, stage);")

    def _pack(self, out: CWriter, g: int) -> None:
        out(f"pack_states(bits{g}, p.x{g}, p.size{g}, {self.plan.groups[g].prior.q or 0}, tile);")

    def _signs(self, t: int, side: str) -> str:
        """Whether the states of the sources are signs, as C."""
        prior = self.plan.groups[source_of(self.plan, t, side)].prior
        return "true" if prior.kind is UnitKind.ISING else "false"

    def _keep(self, out: CWriter, t: int, g: int, n: int) -> None:
        side = side_of(self.plan, t, g)
        out(f"keep_fields(fields[{n}], p.f{t}_{side}, {width(self.plan, g)}, start, tile);")

    def _lane(self, out: CWriter, body: CWriter) -> None:
        """What belongs to the lane at `place`, as far as the body uses it, and the body."""
        used = set(re.findall(r"\w+", body.text()))
        out("const i64 lane = tile.lane[place];")
        if "stream" in used:
            out("const Stream stream = {p.walker[lane], p.key[2 * lane], p.key[2 * lane + 1]};")
        if "c" in used:
            out(f"const double* c = p.coef + p.rung[lane] * {len(self.plan.terms)};")
        for each in self.fields:
            if each.is_array and each.name in used and each.home not in (Home.OPERAND, Home.TABLE):
                emit_row(out, self.plan, each)
        _copy(out, body)


def _copy(out: CWriter, body: CWriter) -> None:
    for line in body.text().splitlines():
        out(line)

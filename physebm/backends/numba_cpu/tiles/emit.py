"""The text of the kernels of a plan with products between groups: tiles of lanes.

Bipartite and deep models spend their time in ``F = X J`` between two groups, which is fast as a product
of matrices: some lanes of one instance, a tile, go through a sweep together. For each move, one product
per Product read (`physebm.backends.numba_cpu.tiles.products` or, for sources of two states,
`physebm.native.subset_sums`; where many lanes are swept together on a processor with a matrix unit, all
by `physebm.native.plane_products`), then every lane by itself: ``draw{m}`` takes rows of lane arrays
and of the tile's fields. A generated module holds

``draw{m}``      one block update of one lane, ``draw{m}_lanes`` those of a tile
``energies``     the term energies of one lane, ``energies_lanes`` those of a tile
``sweep_tile``   a tile through all its sweeps; without energies where there is no room for them
``sweep``        some tiles; threads take a range each

No bit of a lane depends on the tile that it stands in.
"""

from __future__ import annotations

import re

from physebm.backends.numba_cpu.blocks import draws_of, emit_block, emit_row_block, row_drawn, title
from physebm.backends.numba_cpu.energies import emit_energy
from physebm.backends.numba_cpu.signature import Signature
from physebm.backends.source import Writer
from physebm.lowering.plan import (
    CHUNK,
    REBUILD_EVERY,
    Layout,
    Overlap,
    Product,
    Running,
    SweepPlan,
)
from physebm.model.units import UnitKind
from physebm.native import matrix_unit

TILE = 64
# the more lanes, the more often a table is read, or a panel of couplings; their fields stay in the
# second cache
SUBSET_TILE = 256
MATRIX_TILE = 512
_NORMAL_ROOM = ("mean", "scale", "u", "z", "beyond", "tails")
# What goes lane by lane allocates nothing: without numba's counts of references, which atomic
# instructions keep for every row that is passed on, a sweep of small machines takes half the time.
_UNCOUNTED = "nogil=True, error_model='numpy', _nrt=False"
_LAUNCH = (
    "lanes", "size", "first", "count", "rebuild", "rung", "walker", "key", "coef", "E"
)  # fmt: skip


def is_tiled(plan: SweepPlan) -> bool:
    """Whether the lanes of a plan go through products of matrices together."""
    return plan.layout is Layout.TILES


def tile_size(plan: SweepPlan) -> int:
    """The most lanes of a tile."""
    if by_matrix_unit(plan):
        return MATRIX_TILE
    return SUBSET_TILE if takes_subsets(plan) else TILE


def takes_subsets(plan: SweepPlan) -> bool:
    """Whether any product of a plan reads tables of subset sums."""
    return any(
        by_subsets(plan, t, side)
        for t, read in enumerate(plan.terms)
        if isinstance(read, Product)
        for side in "ab"
    )


def by_matrix_unit(plan: SweepPlan) -> bool:
    """Whether this processor's matrix unit takes the products of a plan."""
    planes = any(isinstance(read, Product) and read.by_planes for read in plan.terms)
    return planes and matrix_unit.is_allowed()


def by_subsets(plan: SweepPlan, t: int, side: str) -> bool:
    """Whether the field on a side of a product is read from tables of subset sums."""
    read = plan.terms[t]
    return read.subsets_to_a if side == "a" else read.subsets_to_b


def emit_tiles(out: Writer, plan: SweepPlan, names: Signature) -> None:
    """All functions of a tiled plan."""
    per_lane = {}
    for m in range(len(plan.moves)):
        per_lane[f"draw{m}"] = _emit_draw(out, plan, m, names)
    per_lane["energies"] = _emit_energies(out, plan, names)
    for function, arguments in per_lane.items():
        _emit_lanes(out, function, arguments, names)
    _emit_tile(out, plan, names, per_lane)
    _emit_driver(out, plan, names)


def _function(out: Writer, head: str, first: str, body: Writer, choices: list[str]) -> list[str]:
    """A function whose arguments are `first` and those of `choices` that its body uses."""
    text = body.text()
    used = [name for name in choices if re.search(rf"\b{name}\b", text)]
    out(f"@njit({_UNCOUNTED}, forceinline=True)")
    with out.block(f"def {head}({', '.join([first, *used])}):"):
        for line in text.splitlines():
            out(line)
    out()
    out()
    return used


def _emit_draw(out: Writer, plan: SweepPlan, m: int, names: Signature) -> list[str]:
    body, move = Writer(), plan.moves[m]
    (emit_row_block if row_drawn(plan, move) else emit_block)(body, plan, m, move)
    out(f"# move {m}: {title(plan, m)}")
    choices = [*_room(plan), *_field_rows(plan), *names.all]
    return _function(out, f"draw{m}", "t, walker, k0, k1, c", body, choices)


def _emit_energies(out: Writer, plan: SweepPlan, names: Signature) -> list[str]:
    body = Writer()
    for t, read in enumerate(plan.terms):
        emit_energy(body, plan, t, read, last_side(plan, t) if isinstance(read, Product) else "")
    return _function(out, "energies", "E", body, [*_field_rows(plan), *names.all])


def last_side(plan: SweepPlan, t: int) -> str:
    """The side of a product whose group is drawn last: its field still holds after the sweep."""
    read = plan.terms[t]
    drawn = [move.group for move in plan.moves]
    return "a" if drawn.index(read.a) > drawn.index(read.b) else "b"


def _emit_tile(out: Writer, plan: SweepPlan, names: Signature, per_lane) -> None:
    arguments = ", ".join([*_tile_room(plan), *_room(plan), *names.all])
    out("@njit(nogil=True, error_model='numpy')")
    with out.block(
        f"def sweep_tile(lanes, size, first, count, rebuild, rung, walker, key, coef, E, {arguments}):"
    ):
        rebuilt = [t for t, read in enumerate(plan.terms) if isinstance(read, Running | Overlap)]
        if rebuilt:
            with out.block("if rebuild:"):
                _emit_rebuild(out, plan, rebuilt)
        with out.block("for t in range(first, first + count):"):
            if rebuilt:
                with out.block(f"if t % {REBUILD_EVERY} == 0:"):
                    _emit_rebuild(out, plan, rebuilt)
            for m, move in enumerate(plan.moves):
                products = [t for t in move.reads if isinstance(plan.terms[t], Product)]
                _emit_products(out, plan, [(t, _side(plan, t, move.group)) for t in products])
                _emit_lanes_call(out, f"draw{m}", per_lane)
        with out.block("if count == 0:"):
            products = [t for t, read in enumerate(plan.terms) if isinstance(read, Product)]
            _emit_products(out, plan, [(t, last_side(plan, t)) for t in products])
        with out.block("if len(E):"):
            _emit_lanes_call(out, "energies", per_lane)
    out()
    out()


def _side(plan: SweepPlan, t: int, group: int) -> str:
    return "a" if group == plan.terms[t].a else "b"


def _emit_products(out: Writer, plan: SweepPlan, wanted: list[tuple[int, str]]) -> None:
    """Fields of the given sides of products, from the present configurations of the other side."""
    ready = set()
    for t, side in wanted:
        source = plan.terms[t].b if side == "a" else plan.terms[t].a
        q = plan.groups[source].prior.q
        if q:
            out(f"tile_gather(F{t}_{side}, x{source}, lanes, size, J{t}_to_{side}, {q})")
            continue
        rows = _source_room(plan, t, side)
        if rows not in ready:
            copy = {"N": "source_nibbles", "P": "source_planes", "X": "source_rows"}[rows[0]]
            room = ", panel" if rows[0] == "P" else ""
            out(f"{copy}({rows}, x{source}, lanes, size{room})")
            ready.add(rows)
        if rows[0] == "N":
            low = plan.groups[source].prior.states[0]
            out(f"subset_product(F{t}_{side}, {rows}, J{t}_to_{side}, size, {low}, tables)")
        elif rows[0] == "P":
            out(f"matrix_product(F{t}_{side}, {rows}, J{t}_to_{side}, size, panel)")
        else:
            out(f"tile_product(F{t}_{side}, {rows}, J{t}_to_{side}, size)")


def _source_room(plan: SweepPlan, t: int, side: str) -> str:
    """Sources as a product reads them: planes (P), nibbles (N) or numbers (X) of their group."""
    read = plan.terms[t]
    kind = "P" if by_matrix_unit(plan) else "N" if by_subsets(plan, t, side) else "X"
    return f"{kind}{read.b if side == 'a' else read.a}"


def _emit_rebuild(out: Writer, plan: SweepPlan, terms: list[int]) -> None:
    with out.block("for place in range(size):"):
        out("lane = lanes[place]")
        for t in terms:
            g = plan.terms[t].group
            q = plan.groups[g].prior.q
            if isinstance(plan.terms[t], Running):
                out(f"product_field(work{t}[lane], J{t}, x{g}[lane], {q})")
            else:
                out(f"rebuild_overlap(work{t}[lane], xi{t}, x{g}[lane], {q})")


def _emit_lanes(out: Writer, function: str, per_lane: list[str], names: Signature) -> None:
    """A call of `function` for every lane of a tile, with the lane's rows."""
    out(f"@njit({_UNCOUNTED})")
    with out.block(f"def {function}_lanes({', '.join(_of_tile(function, per_lane))}):"):
        with out.block("for place in range(size):"):
            out("lane = lanes[place]")
            first = ["E[lane]"]
            if function != "energies":
                first = ["t", "walker[lane]", "key[lane, 0]", "key[lane, 1]", "coef[rung[lane]]"]
            _emit_call(out, function, [*first, *(_row(name, names) for name in per_lane)])
    out()
    out()


def _emit_lanes_call(out: Writer, function: str, per_lane: dict[str, list[str]]) -> None:
    _emit_call(out, f"{function}_lanes", _of_tile(function, per_lane[function]))


def _of_tile(function: str, per_lane: list[str]) -> list[str]:
    """What ``{function}_lanes`` takes: fields by the name that they have for a tile."""
    arrays = [f"F{name[1:]}" if name.startswith("f") else name for name in per_lane]
    tables = any(name.startswith("table") for name in per_lane)
    if function == "energies":
        return ["lanes", "size", *(["rung"] if tables else []), "E", *arrays]
    return ["t", "lanes", "size", "rung", "walker", "key", "coef", *arrays]


def _emit_call(out: Writer, function: str, arguments: list[str]) -> None:
    """A call with its arguments in lines of at most 100 characters."""
    out(f"{function}(")
    line = ""
    for argument in arguments:
        if len(line) + len(argument) > 88:
            out(f"    {line.rstrip()}")
            line = ""
        line += f"{argument}, "
    out(f"    {line.rstrip()}")
    out(")")


def _row(name: str, names: Signature) -> str:
    """What a lane's function gets for an argument."""
    if name.startswith("f"):
        return f"F{name[1:]}[place]"
    if name.startswith("held"):
        return f"{name}[min(lane, {name}.shape[0] - 1)]"
    if name in names.x or name in names.work:
        return f"{name}[lane]"
    return f"{name}[rung[lane]]" if name.startswith("table") else name


def _field_rows(plan: SweepPlan) -> list[str]:
    terms = [t for t, read in enumerate(plan.terms) if isinstance(read, Product)]
    return [f"f{t}_{side}" for t in terms for side in "ab"]


def _room(plan: SweepPlan) -> list[str]:
    """Scratch of one lane: words, gaps and normal laws of a row, fields of a Potts unit."""
    words = max(draws_of(plan, move) for move in plan.moves)
    room = [f"words{d}" for d in range(words)]
    rows = [plan.groups[move.group].prior for move in plan.moves if row_drawn(plan, move)]
    if any(prior.discrete for prior in rows):
        room.append("gap")
    if any(not prior.discrete for prior in rows):
        room += _NORMAL_ROOM
    potts = [g for g, group in enumerate(plan.groups) if group.prior.kind is UnitKind.POTTS]
    return room + [f"theta{g}" for g in potts]


def _tile_room(plan: SweepPlan) -> list[str]:
    """Scratch of a tile: sources, fields, and room for tables or a panel of couplings."""
    sources = set()
    for t, read in enumerate(plan.terms):
        if isinstance(read, Product):
            for side, source in (("a", read.b), ("b", read.a)):
                if not plan.groups[source].prior.q:
                    sources.add(_source_room(plan, t, side))
    kinds = {name[0] for name in sources}
    shared = ["tables"] * ("N" in kinds) + ["panel"] * ("P" in kinds)
    return [*sorted(sources), *(f"F{name[1:]}" for name in _field_rows(plan)), *shared]


def _emit_driver(out: Writer, plan: SweepPlan, names: Signature) -> None:
    out("@njit(cache=True, nogil=True, error_model='numpy')")
    with out.block(
        "def sweep(begin, end, tiles, first, count, rebuild, instance, rung, walker, key, coef, E, "
        f"{', '.join(names.all)}):"
    ):
        room = [*_tile_room(plan), *_room(plan)]
        widest = ", ".join(f"x{g}.shape[1]" for g in range(len(plan.groups)))
        out(f"widest = max({widest}) + {CHUNK}")
        for name in room:
            out(f"{name} = {_allocation(name, plan)}")
        with out.block("for tile in range(begin, end):"):
            out("lanes = tiles[tile]")
            out("size = np.sum(lanes >= 0)")
            out("k = instance[lanes[0]]")
            rows = [
                f"{name}[min(k, {name}.shape[0] - 1)]" if name in names.operands else name
                for name in names.all
            ]
            _emit_call(out, "sweep_tile", [*_LAUNCH, *room, *rows])


def _allocation(name: str, plan: SweepPlan) -> str:
    lanes = tile_size(plan)
    if name == "tables":
        return "table_room()"
    if name == "panel":
        return "panel_room()"
    if name.startswith("P"):
        planes = 1 if plan.groups[int(name[1:])].prior.discrete else matrix_unit.PLANES
        return f"plane_room({lanes}, x{name[1:]}.shape[1], {planes})"
    if name.startswith("N"):
        return f"nibble_room({lanes}, x{name[1:]}.shape[1])"
    if name.startswith("X"):
        return f"np.zeros(({lanes}, x{name[1:]}.shape[1]), np.float32)"
    if name.startswith("F"):
        t, side = name[1:].split("_")
        read = plan.terms[int(t)]
        potts = plan.groups[read.b if side == "a" else read.a].prior.q
        if by_matrix_unit(plan) and not potts:
            return f"matrix_field_room({lanes}, J{t}_to_{side}.shape[2])"
        if by_subsets(plan, int(t), side):
            return f"field_room({lanes}, J{t}_to_{side}.shape[2])"
        return f"np.zeros(({lanes}, J{t}_to_{side}.shape[2]), np.float32)"
    if name.startswith("theta"):
        return f"np.empty({plan.groups[int(name[5:])].prior.q})"
    kinds = {"gap": "float32", "tails": "int64", **dict.fromkeys(_NORMAL_ROOM[:-1], "float64")}
    return f"np.empty(widest, np.{kinds.get(name, 'uint32')})"

"""What kernels for tiles ask of a plan: its products, who takes them, which fields are kept."""

from __future__ import annotations

import re
from dataclasses import dataclass

from physebm.backends.cuda.fields import is_potts, side_of
from physebm.backends.cuda.parameters import Home, Parameter, parameters
from physebm.lowering.plan import (
    BlockUpdate,
    Constant,
    Decision,
    Layout,
    Order,
    Product,
    Quadratic,
    SweepPlan,
)
from physebm.model.units import Prior, UnitKind

TWO_STATES = (UnitKind.ISING, UnitKind.BERNOULLI)
# Up to so many named states tensor cores multiply q one-hot sources in less time (3 q products) than it
# takes to find and add the row of the state; derived, not measured.
ONE_HOT_STATES = 12


@dataclass(frozen=True)
class Shape:
    """Lanes of a thread, and panels of 64 units that a block of threads takes side by side.

    With `tensor` products of two-state sources are taken by tensor cores; then `rows` is even.
    """

    rows: int
    panels: int
    tensor: bool = False

    @property
    def lanes(self) -> int:
        """Lanes of a tile."""
        return 8 * self.rows

    @property
    def threads(self) -> int:
        """Threads of a block."""
        return 128 * self.panels


def is_tiled(plan: SweepPlan) -> bool:
    """Whether every move draws a whole group from products, fields and precisions."""
    return plan.layout is Layout.TILES and all(
        isinstance(move, BlockUpdate)
        and move.order is Order.PARALLEL
        and move.decision is Decision.REAL
        and all(isinstance(plan.terms[t], Product | Constant | Quadratic) for t in move.reads)
        for move in plan.moves
    )


def products_of(plan: SweepPlan, move: BlockUpdate) -> list[int]:
    """Terms whose fields a move reads as products."""
    return [t for t in move.reads if isinstance(plan.terms[t], Product)]


def source_of(plan: SweepPlan, t: int, side: str) -> int:
    """The group whose states make the field on a side of a product."""
    return plan.terms[t].b if side == "a" else plan.terms[t].a


def kept_sides(plan: SweepPlan) -> dict[int, str]:
    """Of every product the side that is drawn last: its field still holds after the sweep."""
    place = {move.group: m for m, move in enumerate(plan.moves)}
    products = {t: read for t, read in enumerate(plan.terms) if isinstance(read, Product)}
    return {t: max("ab", key=lambda side: place[getattr(read, side)]) for t, read in products.items()}


def tensor_sides(plan: SweepPlan) -> list[tuple[int, str]]:
    """Sides of products, as (term, side), whose sources have two states, or few and are one-hot."""
    products = [t for t, read in enumerate(plan.terms) if isinstance(read, Product)]
    sides = [(t, side) for t in products for side in "ab"]
    return [each for each in sides if _is_binary(plan.groups[source_of(plan, *each)].prior)]


def _is_binary(prior: Prior) -> bool:
    return prior.kind in TWO_STATES or 0 < (prior.q or 0) <= ONE_HOT_STATES


def fma_sides(plan: SweepPlan, tensor: bool) -> list[tuple[int, str]]:
    """Sides of products, as (term, side), whose fields are summed by multiply-adds of floats."""
    taken = tensor_sides(plan) if tensor else []
    products = [t for t, read in enumerate(plan.terms) if isinstance(read, Product)]
    sides = [(t, side) for t in products for side in "ab" if (t, side) not in taken]
    return [each for each in sides if not is_potts(plan, source_of(plan, *each))]


def tile_parameters(plan: SweepPlan, tensor: bool) -> tuple[Parameter, ...]:
    """The fields of the struct: the plan's, with lanes of tiles, rows of fields, bits and planes."""
    rows = {f"f{t}_{side}" for t, side in kept_sides(plan).items()}
    for move in plan.moves:
        if is_potts(plan, move.group):
            rows |= {f"f{t}_{side_of(plan, t, move.group)}" for t in products_of(plan, move)}
    found = [
        Parameter("tiles", "i64", "[tile, TILE], lanes of one instance, padded with -1", Home.LANE)
    ]
    if tensor:
        sides = tensor_sides(plan)
        for g in sorted({source_of(plan, *each) for each in sides}):
            found.append(Parameter(f"bits{g}", "u32", "[tile, word, TILE], states", Home.ROOM))
        for t, side in sides:
            shape = f"J{t}_to_{side} in three planes"
            found.append(Parameter(f"planes{t}_to_{side}", "Fragments", shape, Home.ROOM))
    unread = re.compile(r"(classes|chunk)\d+|f\d+_[ab]")
    plain = [each for each in parameters(plan) if each.name in rows or not unread.fullmatch(each.name)]
    return (*found, *plain)

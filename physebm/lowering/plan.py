"""SweepPlan, the second IR: what a sweep does, as immutable data that no backend may reinterpret.

::

    SweepPlan   = UnitGroup+ , TermRead+ , Move+ , Layout
    UnitGroup   = name, prior, size                        the groups that have a state
    TermRead    = Constant | Product | Running | Overlap | Neighbours | Hyper | Quadratic
                                                           one per term: how it is read
    Move        = BlockUpdate | ClusterMove
    BlockUpdate = group, order, reads (term indices), rule, decision
    ClusterMove = group, term, kind

A plan knows structure and sizes, never values: couplings, colour lists and thresholds are `Operands`,
bound to a plan later. Two plans with the same `kernel_key` share one compiled kernel.

Order of a block update
    ``coloured``: colour classes, no two units of a class share a term; ``sequential``: unit after unit;
    ``parallel``: the units are independent given the other groups and form one class.
Decision
    ``word-table``: every local field of the block is an integer combination, so that P(up) is looked
    up as a 32-bit threshold (equal bits on every backend); ``bit-planes``: the same, with the word of a
    draw assembled from bits (below); ``real``: computed in float64.

Draw positions
    The units of a class are numbered in the order of the plan; every class starts at a multiple of
    64. Position p reads word ``(p >> 4) & 3`` of unit block ``16 (p >> 6) + (p & 15)``: the layout in
    which sixteen Philox blocks fill sixty-four words without a shuffle. With bit planes 32 walkers
    share the blocks of position p: binary digit d of a walker's word (0 = the most significant) is bit
    ``walker & 31`` of word ``d & 3`` of the block at ``(p, walker >> 5)`` and draw index ``d >> 2``.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import StrEnum
from typing import TypeAlias

from physebm.model.units import Prior, UnitKind

# Running fields are rebuilt from the configuration at absolute sweeps divisible by this, so that
# rounding never accumulates and a resumed run has the same bits.
REBUILD_EVERY = 64
CHUNK = 64


class Rule(StrEnum):
    """The update rule of a block."""

    HEAT_BATH = "heat-bath"
    METROPOLIS = "metropolis"
    ZERO_TEMPERATURE = "zero-temperature"


class Order(StrEnum):
    """In which order the units of a block are visited."""

    COLOURED = "coloured"
    SEQUENTIAL = "sequential"
    PARALLEL = "parallel"


class Decision(StrEnum):
    """How the drawn state is decided."""

    WORD_TABLE = "word-table"
    BIT_PLANES = "bit-planes"
    REAL = "real"


class Layout(StrEnum):
    """How the lanes of a call lie in memory while they are swept.

    ``rows``: lane after lane; ``tiles``: many lanes of one instance go through products of matrices
    together; ``planes``: bit-sliced, one bit per lane in words of 32 lanes; ``vectors``: sixteen lanes
    of one instance side by side; ``gathers``: all lanes of one instance at one Potts unit before the
    next, fields gathered from rows of couplings and not kept.
    """

    ROWS = "rows"
    TILES = "tiles"
    PLANES = "planes"
    VECTORS = "vectors"
    GATHERS = "gathers"


# Decisions that look up a 32-bit threshold by integer fields.
TABLED = (Decision.WORD_TABLE, Decision.BIT_PLANES)


class Weights(StrEnum):
    """The kind of numbers on the bonds of a term."""

    UNIT = "unit"
    INTEGER = "integer"
    REAL = "real"
    STATES = "states"


@dataclass(frozen=True, slots=True)
class UnitGroup:
    """A sampled group: sites ``0..size-1`` of one prior."""

    name: str
    prior: Prior
    size: int

    @property
    def width(self) -> int:
        """Numbers through which the whole group couples: units times features."""
        return self.size * self.prior.features


@dataclass(frozen=True, slots=True)
class Constant:
    """``f_i = h_i``: a field term."""

    group: int
    weights: Weights


@dataclass(frozen=True, slots=True)
class Product:
    """``f = J^T x`` between two groups, computed for a whole block before it is drawn.

    ``subsets_to_a``: the field on a is read from tables of subset sums of its couplings, which needs
    sources b of two states; likewise ``subsets_to_b``. ``by_planes``: so many lanes are swept together
    that the matrix unit of a processor, where it has one, takes the fields of both sides.
    """

    a: int
    b: int
    subsets_to_a: bool = False
    subsets_to_b: bool = False
    by_planes: bool = False


@dataclass(frozen=True, slots=True)
class Running:
    """``f = J x`` within a group, kept up to date unit by unit."""

    group: int


@dataclass(frozen=True, slots=True)
class Overlap:
    """``f_i = sum_mu xi_i^mu (M_mu - xi_i^mu x_i)`` with running overlaps ``M = xi x``."""

    group: int
    weights: Weights


@dataclass(frozen=True, slots=True)
class Neighbours:
    """``f_i = sum_d w_id x_{n(i, d)}`` gathered from a neighbour table (Potts: by state)."""

    group: int
    weights: Weights
    shared: bool


@dataclass(frozen=True, slots=True)
class Hyper:
    """``f_i = sum_e w_e prod_{j in e, j != i} x_j`` gathered from the edges at i."""

    group: int
    arity: int
    weights: Weights
    shared: bool


@dataclass(frozen=True, slots=True)
class Quadratic:
    """``lam_i = w_i``: precision of a continuous group."""

    group: int
    weights: Weights


TermRead: TypeAlias = Constant | Product | Running | Overlap | Neighbours | Hyper | Quadratic


@dataclass(frozen=True, slots=True)
class BlockUpdate:
    """Units of one group drawn from their conditionals; `reads` are indices of ``plan.terms``."""

    group: int
    order: Order
    reads: tuple[int, ...]
    rule: Rule
    decision: Decision


@dataclass(frozen=True, slots=True)
class ClusterMove:
    """Swendsen-Wang or Wolff clusters on the bonds of one pair term."""

    group: int
    term: int
    kind: str


Move: TypeAlias = BlockUpdate | ClusterMove


@dataclass(frozen=True)
class SweepPlan:
    """One sweep: `moves` in order; ``terms[t]`` says how term t of the Hamiltonian is read.

    `layout` says how lanes lie in memory: a hint of how many are swept together (`Options.lanes`) and
    the reads decide, so that no bit depends on the lanes of one call.
    """

    name: str
    groups: tuple[UnitGroup, ...]
    terms: tuple[TermRead, ...]
    moves: tuple[Move, ...]
    layout: Layout = Layout.ROWS

    @property
    def kernel_key(self) -> tuple:
        """What a compiled kernel depends on: kinds and reads, no sizes and no names."""
        kinds = tuple((group.prior.kind, group.prior.q) for group in self.groups)
        return kinds, self.terms, self.moves, self.layout

    def group_index(self, name: str) -> int:
        """Position of a group in ``groups``."""
        return [group.name for group in self.groups].index(name)


def groups_read(read: TermRead) -> tuple[int, ...]:
    """The groups that a term joins."""
    return (read.a, read.b) if isinstance(read, Product) else (read.group,)


def words_per_unit(prior: Prior, rule: Rule) -> int:
    """Random 32-bit words that one draw uses: two for Gaussian units (52 bits), one otherwise."""
    if rule is Rule.ZERO_TEMPERATURE:
        return 0
    if prior.kind in (UnitKind.GAUSSIAN, UnitKind.TRUNCATED_GAUSSIAN):
        return 2
    return 2 if prior.kind is UnitKind.POTTS and rule is Rule.METROPOLIS else 1


def read_text(read: TermRead) -> str:
    """A read in one line, e.g. ``Neighbours(group 0, integer weights, shared)``."""
    words = []
    for item in fields(read):
        value = getattr(read, item.name)
        match item.name, value:
            case "weights", _:
                words.append(f"{value} weights")
            case name, bool():
                words += [name.replace("_", " ")] if value else []
            case name, _:
                words.append(f"{name} {value}")
    return f"{type(read).__name__}({', '.join(words)})"

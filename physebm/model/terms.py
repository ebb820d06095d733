"""Terms of a Hamiltonian, and the one place where their signs are fixed.

    H(x) = sum_t scale_t E_t(x),

    Field      E = - sum_i h_i x_i                         Potts: - sum_i h_i(x_i)
    Pair       E = - sum_edges J_ij x_i x_j                each unordered edge once
               Potts without state axes: - sum J_ij delta(x_i, x_j); with them: - sum J_ij(x_i, x_j)
    LowRank    E = - sum_{i<j} sum_mu xi_i^mu xi_j^mu x_i x_j
    Many       E = - sum_edges J_e prod_{i in e} x_i
    Square     E = + (1/2) sum_i w_i x_i^2                 continuous units; also carries their priors

A term without an array (``J is None``) has unit weights; a number or expression given for J or h is
part of the scale. Structure only: arrays live in `Params`, scales in `Coefficients`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class AllPairs:
    """Every pair of units: i < j within a group, all (i, j) between two groups."""


@dataclass(frozen=True, slots=True)
class Lattice:
    """Nearest neighbours of a named lattice on the group's shape; see `graphs.LATTICES`."""

    name: str
    periodic: tuple[bool, ...]


@dataclass(frozen=True, slots=True)
class EdgeList:
    """A sparse graph whose edges are values: random graphs, files, inline lists."""

    origin: str


Graph: TypeAlias = AllPairs | Lattice | EdgeList


@dataclass(frozen=True, slots=True)
class Field:
    """``- sum_i h_i x_i`` on one group."""

    group: str
    h: str | None = None


@dataclass(frozen=True, slots=True)
class Pair:
    """``- sum J_ij x_i x_j`` within a group (``a == b``) or between two."""

    a: str
    b: str
    graph: Graph
    J: str | None = None
    states: bool = False


@dataclass(frozen=True, slots=True)
class LowRank:
    """``- sum_{i<j} sum_mu xi_i^mu xi_j^mu x_i x_j`` within one group; patterns ``[P, *shape]``."""

    group: str
    xi: str | None = None


@dataclass(frozen=True, slots=True)
class Many:
    """``- sum_e J_e prod_{i in e} x_i`` over edges of `arity` distinct units of one group."""

    group: str
    arity: int
    graph: Graph
    J: str | None = None


@dataclass(frozen=True, slots=True)
class Square:
    """``+ (1/2) sum_i w_i x_i^2``; ``inverse`` stores a variance, so that w = 1 / array."""

    group: str
    w: str | None = None
    inverse: bool = False


Term: TypeAlias = Field | Pair | LowRank | Many | Square


def groups_of(term: Term) -> tuple[str, ...]:
    """The groups that a term joins, each once."""
    match term:
        case Pair(a=a, b=b):
            return (a,) if a == b else (a, b)
        case _:
            return (term.group,)


def array_of(term: Term) -> str | None:
    """The name of the array of a term, or None for unit weights."""
    match term:
        case Field(h=name) | Pair(J=name) | Many(J=name) | LowRank(xi=name) | Square(w=name):
            return name

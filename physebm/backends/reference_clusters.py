"""Swendsen-Wang and Wolff clusters in plain numpy: the definition that other backends reproduce.

A bond e between equal units is *active* with probability ``1 - exp(-2 c w_e)`` (Ising) or
``1 - exp(-c w_e)`` (Potts, delta coupling), c the term's coefficient at the lane's rung, ``w_e >= 0``;
clusters are the components of the active bonds. Given the bonds, all states of a cluster are equally
likely, so that a fresh state per cluster leaves the distribution unchanged.

``swendsen-wang``
    one sweep decides every bond and gives every cluster, single units included, a fresh state.
``wolff``
    one sweep moves exactly one cluster, the one of a random seed, to the other state (Potts: to one of
    the q - 1 others, uniformly). The unit of time is one cluster, not one visit of every unit.

Words are addressed, never consumed in the order of a traversal: a bond by its index, a new state by the
smallest unit of its cluster, a seed by position 0 (layout: `physebm.lowering.plan`). Decisions are
integer, ``word < rint(p 2^32)``, so that all backends have equal bits.

Sources: R. H. Swendsen & J.-S. Wang, Phys. Rev. Lett. 58, 86 (1987); U. Wolff, Phys. Rev. Lett. 62,
361 (1989); bonds: R. G. Edwards & A. D. Sokal, Phys. Rev. D 38, 2009 (1988).
"""

from __future__ import annotations

import math

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from physebm.backends.base import Lanes, LaneState, Launch
from physebm.errors import LoweringError
from physebm.lowering.plan import ClusterMove, SweepPlan
from physebm.model.units import UnitKind
from physebm.rng.philox import philox4x32
from physebm.rng.streams import Purpose, last_word


def cluster_move(
    plan: SweepPlan,
    m: int,
    move: ClusterMove,
    state: LaneState,
    lanes: Lanes,
    launch: Launch,
    sweep: int,
) -> None:
    """Advance every lane by one cluster sweep (move m of the plan), in place.

    Raises
    ------
    LoweringError
        where clusters are invalid for these lanes; see `refuse_invalid`.
    """
    refuse_invalid(plan, lanes, launch)
    group = plan.groups[move.group]
    x = state.x[group.name]
    root = _smallest_of_cluster(x, _active_bonds(plan, m, move, x, lanes, launch, sweep))
    units = np.arange(group.size)
    words = _words(units, lanes, sweep, Purpose.CLUSTER_SPINS, m)
    words = np.take_along_axis(words, root, axis=1).astype(np.uint64)
    potts = group.prior.kind is UnitKind.POTTS
    if move.kind == "swendsen-wang":
        x[:] = _below(words, group.prior.q) if potts else np.where(words < 2**31, 1, -1)
        return
    # A cluster has the same chance to be seeded before and after its move, whatever the
    # distribution of seeds: the last bits of a uniform choice do not matter.
    seed = _below(_words(np.zeros(1, int), lanes, sweep, Purpose.CLUSTER_SEED, m), group.size)
    chosen = root == np.take_along_axis(root, seed, axis=1)
    other = (x + 1 + _below(words, group.prior.q - 1)) % group.prior.q if potts else -x
    x[chosen] = other[chosen]


def refuse_invalid(plan: SweepPlan, lanes: Lanes, launch: Launch) -> None:
    """Refuse what only the values show: held units, and couplings made negative by their coefficient.

    Raises
    ------
    LoweringError
        with the reason; every backend asks this before a cluster sweep.
    """
    for m, move in enumerate(plan.moves):
        if not isinstance(move, ClusterMove):
            continue
        if lanes.clamp:
            raise LoweringError(
                "clamp",
                got=f"{move.kind} with held units in '{next(iter(lanes.clamp))}'",
                expected=["heat-bath", "metropolis"],
                hint="a held unit acts as a field: its cluster has no free choice of a state",
            )
        c = launch.coefficients.value[lanes.rung, move.term]
        if np.any(c < 0) and np.any(launch.operands.arrays[f"bond{m}"] > 0):
            raise LoweringError(
                "sample.method",
                got=f"{move.kind} on a model with negative couplings (coefficient {c.min():g})",
                expected=["heat-bath", "metropolis"],
                hint="a bond joins equal units with probability 1 - exp(-c w), which needs c w >= 0",
            )


def bond_thresholds(bond: np.ndarray, c: np.ndarray, q: int) -> np.ndarray:
    """``rint(2^32 (1 - exp(-a c w)))`` per lane and bond, int64; a = 2 for Ising (q = 0), 1 for Potts.

    `bond` is ``[lane, bond]``, `c` ``[lane]``. By the C library's expm1, as the compiled backend does:
    numpy's own may differ in the last bit.
    """
    strength, place = np.unique((1.0 if q else 2.0) * c[:, None] * bond, return_inverse=True)
    p = np.array([-math.expm1(-s) for s in strength.tolist()])
    return np.rint(p * 2.0**32).astype(np.int64)[place].reshape(bond.shape)


def _active_bonds(plan, m, move, x, lanes, launch, sweep) -> np.ndarray:
    """Nodes ``lane n + unit`` joined by the active bonds of all lanes, ``[bond, 2]``."""
    edges, bond = launch.operands.arrays[f"edges{m}"], launch.operands.arrays[f"bond{m}"]
    edges = edges[lanes.instance if len(edges) > 1 else np.zeros_like(lanes.instance)]
    bond = bond[lanes.instance if len(bond) > 1 else np.zeros_like(lanes.instance)]
    c = launch.coefficients.value[lanes.rung, move.term]
    thresholds = bond_thresholds(bond, c, plan.groups[move.group].prior.q)
    words = _words(np.arange(edges.shape[1]), lanes, sweep, Purpose.CLUSTER_BONDS, m)
    rows = np.arange(len(lanes))[:, None]
    equal = x[rows, edges[..., 0]] == x[rows, edges[..., 1]]
    nodes = edges.astype(np.int64) + x.shape[1] * rows[..., None]
    return nodes[equal & (words.astype(np.int64) < thresholds)]


def _smallest_of_cluster(x: np.ndarray, bonds: np.ndarray) -> np.ndarray:
    """The smallest unit of every unit's cluster, ``[lane, unit]``."""
    lanes, n = x.shape
    graph = coo_array((np.ones(len(bonds), bool), (bonds[:, 0], bonds[:, 1])), shape=(x.size, x.size))
    _, label = connected_components(graph, directed=False)
    _, first = np.unique(label, return_index=True)
    return first[label].reshape(lanes, n) % n


def _words(positions, lanes: Lanes, sweep: int, purpose: Purpose, move: int) -> np.ndarray:
    """Word ``(p >> 4) & 3`` of block ``16 (p >> 6) + (p & 15)`` for every lane and position."""
    p = np.asarray(positions)[None, :]
    block = 16 * (p >> 6) + (p & 15)
    last = last_word(purpose, move)
    four = philox4x32(block, lanes.walker[:, None], sweep, last, lanes.key[:, :1], lanes.key[:, 1:])
    return np.choose((p >> 4) & 3, four)


def _below(words: np.ndarray, count: int) -> np.ndarray:
    """A uniform integer in ``0 .. count-1`` from each word: ``(word count) >> 32``."""
    return (words.astype(np.uint64) * np.uint64(count) >> np.uint64(32)).astype(np.int64)

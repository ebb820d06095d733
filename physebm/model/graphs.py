"""Graphs: lattices in closed form, random graphs addressed by the counter generator.

An edge list is an int64 array ``[edge, 2]``. A bond of a lattice joins x and x + e_d for every site x
and direction d, in the order ``[d, *shape]`` (C order), which is also the order of a coupling array.
A periodic axis of length 2 has two bonds between its pair; length 1 is refused.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import combinations
from math import prod

import numpy as np

from physebm.errors import ModelFileError
from physebm.rng.philox import philox4x32, uniform
from physebm.rng.streams import Purpose, last_word

# Bond vectors by lattice; None means the unit vectors of the group's own dimension.
LATTICES: dict[str, tuple[tuple[int, ...], ...] | None] = {
    "chain": ((1,),),
    "square": ((1, 0), (0, 1)),
    "triangular": ((1, 0), (0, 1), (1, 1)),
    "honeycomb": ((0, 0), (-1, 0), (0, -1)),
    "cubic": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "hypercubic": None,
}


def bond_vectors(name: str, dimension: int) -> tuple[tuple[int, ...], ...]:
    """Bond vectors of a lattice; for honeycomb the cell shifts from sublattice 0 to sublattice 1."""
    vectors = LATTICES[name]
    if vectors is None:
        return tuple(tuple(int(i == d) for i in range(dimension)) for d in range(dimension))
    return vectors


def lattice_dimension(name: str, shape: tuple[int, ...]) -> int:
    """Number of axes that the group's shape must have."""
    vectors = LATTICES[name]
    if vectors is None:
        return len(shape)
    return 3 if name == "honeycomb" else len(vectors[0])


def bond_shape(name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Shape of a coupling array on the lattice: ``[d, *shape]`` (honeycomb: ``[3, L1, L2]``)."""
    if name == "honeycomb":
        return (3, *shape[:2])
    return (len(bond_vectors(name, len(shape))), *shape)


@lru_cache(maxsize=64)
def lattice_bonds(
    name: str, shape: tuple[int, ...], periodic: tuple[bool, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Edges ``[bond, 2]`` and, for each, its index in the flattened coupling array.

    Open axes have no bond across the boundary: their entries of a coupling array are never read.

    Raises
    ------
    ModelFileError
        for a periodic axis of length 1 (a site would be its own neighbour).
    """
    for axis, (length, wrap) in enumerate(zip(shape, periodic)):
        if wrap and length < 2 and not (name == "honeycomb" and axis == 2):
            raise ModelFileError(
                f"lattice '{name}': axis {axis}",
                got=f"periodic length {length}",
                expected="a length of at least 2",
                hint="a site would be its own neighbour; use boundary = 'open' or a longer axis",
            )
    cells = shape[:2] if name == "honeycomb" else shape
    sites = np.arange(prod(shape)).reshape(shape)
    base = np.stack(np.meshgrid(*(np.arange(n) for n in cells), indexing="ij"), axis=-1)
    base = base.reshape(-1, len(cells))
    edges, index = [], []
    for d, vector in enumerate(bond_vectors(name, len(shape))):
        moved = base + np.array(vector)
        inside = np.ones(len(base), dtype=bool)
        for axis, length in enumerate(cells):
            if periodic[axis]:
                moved[:, axis] %= length
            else:
                inside &= (moved[:, axis] >= 0) & (moved[:, axis] < length)
        start, end = tuple(base[inside].T), tuple(moved[inside].T)
        if name == "honeycomb":
            pair = (sites[(*start, 0)], sites[(*end, 1)])
        else:
            pair = (sites[start], sites[end])
        edges.append(np.stack(pair, axis=1))
        index.append(d * len(base) + np.flatnonzero(inside))
    all_edges = np.concatenate(edges).astype(np.int64)
    if np.any(all_edges[:, 0] == all_edges[:, 1]):
        raise ModelFileError(f"lattice '{name}'", got=list(shape), hint="a site is its own neighbour")
    return all_edges, np.concatenate(index).astype(np.int64)


def all_tuples(units: int, arity: int) -> np.ndarray:
    """Every set of `arity` units, ``[edge, arity]`` with increasing indices."""
    count = 1
    for i in range(arity):
        count = count * (units - i) // (i + 1)
    flat = np.fromiter(
        (i for edge in combinations(range(units), arity) for i in edge),
        dtype=np.int64,
        count=count * arity,
    )
    return flat.reshape(-1, arity)


def erdos_renyi(units: int, mean_degree: float, key: tuple[int, int]) -> np.ndarray:
    """Each pair i < j is an edge with probability ``mean_degree / (units - 1)``, independently.

    The decision of a pair is addressed by (i, j).
    """
    p = mean_degree / max(units - 1, 1)
    edges = []
    for i in range(units - 1):
        j = np.arange(i + 1, units)
        word = philox4x32(i, j, 0, last_word(Purpose.GRAPH), *key)[0]
        keep = j[uniform(word) < p]
        edges.append(np.stack([np.full(len(keep), i), keep], axis=1))
    return np.concatenate(edges).astype(np.int64) if edges else np.zeros((0, 2), dtype=np.int64)


def random_regular(units: int, degree: int, key: tuple[int, int]) -> np.ndarray:
    """A simple graph in which every unit has `degree` neighbours, asymptotically uniform.

    Pairs free half-edges at random, refusing loops and double edges, and starts again when stuck.
    Source: A. Steger & N. C. Wormald, Combin. Probab. Comput. 8, 377 (1999).
    """
    if units * degree % 2 or degree >= units or degree < 0:
        raise ModelFileError(
            "graph 'random-regular'",
            got=f"{units} units of degree {degree}",
            expected="an even product units * degree, and a degree smaller than the number of units",
        )
    for attempt in range(10_000):
        edges = _pair_half_edges(units, degree, attempt, key)
        if edges is not None:
            return edges
    raise ModelFileError(
        "graph 'random-regular'",
        got=f"{units} units of degree {degree}",
        hint="no simple graph was found in 10000 attempts",
    )


def _pair_half_edges(units, degree, attempt, key) -> np.ndarray | None:
    free = np.repeat(np.arange(units), degree)
    taken: set[tuple[int, int]] = set()
    edges: list[tuple[int, int]] = []
    for round_ in range(1000):
        if not len(free):
            return np.array(sorted(edges), dtype=np.int64).reshape(-1, 2)
        word = philox4x32(np.arange(len(free)), attempt, round_, last_word(Purpose.GRAPH), *key)[0]
        free = free[np.argsort(word, kind="stable")]
        left = []
        for a, b in zip(free[0::2].tolist(), free[1::2].tolist()):
            edge = (min(a, b), max(a, b))
            if a == b or edge in taken:
                left += [a, b]
            else:
                taken.add(edge)
                edges.append(edge)
        if len(left) == len(free) and _stuck(left, taken):
            return None
        free = np.array(left, dtype=np.int64)
    return None


def _stuck(free: list[int], taken: set[tuple[int, int]]) -> bool:
    return all((min(a, b), max(a, b)) in taken for a, b in combinations(sorted(set(free)), 2))

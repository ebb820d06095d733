"""Sparse pair terms as sums over their edges: the edges, their weights, energies and fields.

    E = - sum_e w_e x_i x_j,    Potts: - sum_e w_e delta(x_i, x_j), or - sum_e w_e(x_i, x_j) with states

for edges e = (i, j), each once; edges that are listed twice count twice. Sums go over blocks of edges:
beside the edges (16 bytes each), their places in the array (8) and weights (8, or the dtype of the
couplings) less than 16 MiB are taken by up to 4096 lanes, whatever the lattice: never a matrix.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy import sparse

from physebm.model.graphs import lattice_bonds
from physebm.model.hamiltonian import Hamiltonian
from physebm.model.params import Params
from physebm.model.terms import Lattice
from physebm.model.units import UnitKind

# Numbers [lane, edge] that are taken at a time, and edges at least.
BLOCK, LEAST = 1 << 18, 64


def bonds(hamiltonian: Hamiltonian, params: Params, index: int, instance: int):
    """Edges ``[edge, 2]`` of a sparse Pair term, and the place of each in its array of couplings."""
    term = hamiltonian.terms[index]
    if isinstance(term.graph, Lattice):
        shape = hamiltonian.group(term.a).shape
        return lattice_bonds(term.graph.name, shape, term.graph.periodic)
    edges = params.edges[index][instance]
    edges = edges[edges[:, 0] >= 0]
    return edges, np.arange(len(edges))


def weighted_edges(hamiltonian: Hamiltonian, params: Params, index: int, instance: int):
    """Edges ``[edge, 2]`` and weights ``[edge]`` or ``[edge, q, q]`` of a sparse Pair term."""
    term = hamiltonian.terms[index]
    edges, place = bonds(hamiltonian, params, index, instance)
    if term.J is None:
        return edges, np.ones(len(edges))
    values = params.arrays[term.J][instance]
    tail = values.shape[-2:] if term.states else ()
    return edges, values.reshape(-1, *tail)[place]


def sparse_couplings(hamiltonian: Hamiltonian, params: Params, index: int, c: float = 1.0):
    """``c J [unit * feature, unit * feature]`` of a sparse Pair term, one instance; symmetric, CSR."""
    term = hamiltonian.terms[index]
    group = hamiltonian.group(term.a)
    k = group.prior.features
    edges, w = weighted_edges(hamiltonian, params, index, 0)
    w = c * np.asarray(w, np.float64)
    # without `states` only equal features couple
    f, g = np.indices((k, k)).reshape(2, -1) if term.states else np.arange(k)[None].repeat(2, 0)
    w = (w.reshape(len(edges), k * k) if term.states else w[:, None]) * np.ones(len(f))
    rows, columns = k * edges[:, :1] + f, k * edges[:, 1:] + g
    size = group.size * k
    half = sparse.coo_array((w.ravel(), (rows.ravel(), columns.ravel())), (size, size))
    return (half + half.T).tocsr()


def edge_energies(
    hamiltonian: Hamiltonian, params: Params, index: int, instance: int, x: np.ndarray
) -> np.ndarray:
    """``E [lane]`` of a sparse Pair term at states ``x [lane, unit]``, float64."""
    term = hamiltonian.terms[index]
    potts = hamiltonian.group(term.a).prior.kind is UnitKind.POTTS
    total = np.zeros(len(x))
    for i, j, w in _blocks(hamiltonian, params, index, instance, len(x)):
        if term.states:
            total -= w[np.arange(len(w)), x[:, i], x[:, j]].sum(axis=1)
        elif potts:
            total -= (x[:, i] == x[:, j]) @ w
        else:
            both = x[:, i].astype(np.float64)
            both *= x[:, j]
            total -= both @ w
    return total


def add_edge_fields(
    theta: np.ndarray,
    c: np.ndarray,
    hamiltonian: Hamiltonian,
    params: Params,
    index: int,
    instance: int,
    x: np.ndarray,
) -> None:
    """Add ``- c dE/dx`` of a sparse Pair term to ``theta [lane, unit, feature]``; c is ``[lane]``."""
    term = hamiltonian.terms[index]
    potts = hamiltonian.group(term.a).prior.kind is UnitKind.POTTS
    lane = np.arange(len(x))[:, None]
    for i, j, w in _blocks(hamiltonian, params, index, instance, len(x)):
        if term.states:
            at = np.arange(len(w))
            np.add.at(theta, (lane, i), c[:, None, None] * w[at, :, x[:, j]])
            np.add.at(theta, (lane, j), c[:, None, None] * w[at, x[:, i], :])
            continue
        for one, other in ((i, j), (j, i)):
            if potts:
                np.add.at(theta, (lane, one, x[:, other]), c[:, None] * w)
            else:
                np.add.at(theta, (lane, one, 0), c[:, None] * w * x[:, other])


def _blocks(
    hamiltonian: Hamiltonian, params: Params, index: int, instance: int, lanes: int
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """First and second units and weights in float64, some edges at a time."""
    edges, weights = weighted_edges(hamiltonian, params, index, instance)
    step = max(LEAST, BLOCK // max(lanes, 1))
    for start in range(0, len(edges), step):
        i, j = edges[start : start + step].T
        yield i, j, weights[start : start + step].astype(np.float64)

"""Exact log Z of chains and narrow lattices: a transfer matrix, one unit at a time.

Units of one discrete group on lattices (any couplings, fields and boundaries, disorder included) are
taken in order along one axis. The sum over all units passed so far is a function of the *frontier*, the
passed units that still have a neighbour ahead:

    psi(..., x_s) = sum_{x_u} psi(..., x_u) exp(h_s(x_s) + sum_n J_ns(x_n, x_s)),

n running over the passed neighbours of s and u over those that s is the last neighbour of. Along an
axis that closes on itself the first slab can be held: the sum is taken for each of its states, and
these are summed at the end, which takes q^slab times as long as the open lattice, and no more memory.
Weights are relative to the largest of each held state; where one falls below what a double can hold,
the batch is done again in logarithms.

Source: H. A. Kramers & G. H. Wannier, Phys. Rev. 60, 252 (1941); unit by unit as in
M. P. Nightingale, J. Appl. Phys. 53, 7927 (1982).
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.special import logsumexp

from physebm.errors import LoweringError
from physebm.model.edges import weighted_edges
from physebm.model.graphs import lattice_bonds
from physebm.model.hamiltonian import Group, Hamiltonian
from physebm.model.params import Coefficients, Params
from physebm.model.terms import Field, Lattice, Pair
from physebm.model.units import UnitKind

# log2 of the multiplications of one row of coefficients (a minute), and of the numbers held at once.
WORK_BITS = 33
MEMORY_BITS = 23
# Numbers of one batch of held states: what a core keeps in its own cache.
BATCH = 2**17
# What the handling of one unit costs beside its multiplications, in multiplications.
STEP = 2.0**12
THREADS = 2
SMALLEST = 1e-250


@dataclass(frozen=True)
class Transfer:
    """In which order the units are taken.

    Attributes
    ----------
    held
        Units whose states are held, and summed at the end.
    order
        All other units.
    summed
        Per unit of `order` the passed units that are summed out with it.
    width
        Largest number of units of the frontier, the newest one included.
    log2_work
        log2 of the multiplications per row of coefficients.
    """

    held: tuple[int, ...]
    order: tuple[int, ...]
    summed: tuple[tuple[int, ...], ...]
    width: int
    log2_work: float


def on_lattice(hamiltonian: Hamiltonian) -> bool:
    """Whether a model is of one discrete group with fields and couplings along lattices."""
    if len(hamiltonian.groups) != 1 or not hamiltonian.groups[0].prior.discrete:
        return False
    pairs = [term for term in hamiltonian.terms if isinstance(term, Pair)]
    return (
        bool(pairs)
        and all(isinstance(term, Field | Pair) for term in hamiltonian.terms)
        and all(isinstance(term.graph, Lattice) for term in pairs)
    )


@lru_cache(maxsize=64)
def transfer(hamiltonian: Hamiltonian) -> Transfer | None:
    """The cheapest order, None where the model is no lattice or too wide; from the structure alone."""
    return min(orders(hamiltonian), key=lambda each: each.log2_work, default=None)


def orders(hamiltonian: Hamiltonian) -> list[Transfer]:
    """The orders along each axis, with the first slab held or not, that are within the limits."""
    if not on_lattice(hamiltonian):
        return []
    group = hamiltonian.groups[0]
    bits = np.log2(len(group.prior.states))
    sites = np.arange(group.size).reshape(group.shape)
    slabs = [group.size // length for length in group.shape]
    if bits * min(slabs) > WORK_BITS or group.size * STEP > 2.0**WORK_BITS:
        return []
    neighbours = _neighbours(hamiltonian, group)
    found = []
    for axis in range(len(group.shape)):
        along = np.moveaxis(sites, axis, 0).reshape(group.shape[axis], -1)
        for held in ((), tuple(along[0].tolist())):
            order = tuple(along.ravel()[len(held) :].tolist())
            planned = _plan(held, order, neighbours, bits)
            if planned is not None:
                found.append(planned)
    return found


def transfer_log_z(
    hamiltonian: Hamiltonian, params: Params, coefficients: Coefficients, where: str | None = None
) -> np.ndarray:
    """``log Z`` of the first instance at every row of coefficients, ``[row]``, in nats.

    Raises
    ------
    LoweringError
        where the model is no lattice of one discrete group, or too wide.
    """
    planned = transfer(hamiltonian)
    if planned is None:
        raise LoweringError(
            where or hamiltonian.name,
            got=_described(hamiltonian),
            expected="a chain or narrow lattice of one discrete group, with fields and couplings along "
            f"lattices, of at most 2^{WORK_BITS} multiplications (about 12 Ising units around and any "
            "number along; 20 where the long axis is open)",
            hint="use a narrower lattice, or open boundaries along its long axis",
        )
    return np.array([_log_z(hamiltonian, params, row, planned) for row in coefficients.value])


def _described(hamiltonian: Hamiltonian) -> str:
    shape = " x ".join(str(n) for n in hamiltonian.groups[0].shape)
    kinds = ", ".join(sorted({group.prior.kind for group in hamiltonian.groups}))
    return f"{kinds} units, first group {shape}"


def _neighbours(hamiltonian: Hamiltonian, group: Group) -> list[list[int]]:
    near: list[set[int]] = [set() for _ in range(group.size)]
    for term in hamiltonian.terms:
        if isinstance(term, Pair):
            for i, j in lattice_bonds(term.graph.name, group.shape, term.graph.periodic)[0].tolist():
                near[i].add(j)
                near[j].add(i)
    return [sorted(each) for each in near]


def _plan(held, order, neighbours, bits: float) -> Transfer | None:
    rank = {site: r for r, site in enumerate(order)}
    last = {s: max([rank[s], *(rank[n] for n in neighbours[s] if n in rank)]) for s in order}
    frontier, summed, width, work = 0, [], 0, 0.0
    ends: list[list[int]] = [[] for _ in order]
    for site in order:
        ends[last[site]].append(site)
    for gone in ends:
        frontier += 1
        width = max(width, frontier)
        work += 2.0 ** (bits * frontier) + STEP * 2.0 ** (-bits * len(held))
        frontier -= len(gone)
        summed.append(tuple(gone))
        if bits * width > MEMORY_BITS:
            return None
    log2_work = bits * (len(held) + 1) + np.log2(max(work, 1.0))
    if log2_work > WORK_BITS:
        return None
    return Transfer(held, order, tuple(summed), width, log2_work)


def _log_z(hamiltonian: Hamiltonian, params: Params, row: np.ndarray, planned: Transfer) -> float:
    h, J = _weights(hamiltonian, params, row)
    q, held = h.shape[1], planned.held
    states = q ** len(held)
    step = max(1, int(BATCH // q**planned.width))

    def batch(start: int) -> np.ndarray:
        index = np.arange(start, min(start + step, states))
        known = {site: index // q**j % q for j, site in enumerate(held)}
        found = _sums(h, J, planned, known, len(index), logs=False)
        return _sums(h, J, planned, known, len(index), logs=True) if found is None else found

    with ThreadPoolExecutor(THREADS) as pool:
        return float(logsumexp(np.concatenate(list(pool.map(batch, range(0, states, step))))))


def _weights(hamiltonian: Hamiltonian, params: Params, row: np.ndarray):
    """Fields ``h[unit, state]`` and couplings ``{(i, j): J[state, state]}``, both ways, times c."""
    group = hamiltonian.groups[0]
    potts = group.prior.kind is UnitKind.POTTS
    x = np.eye(group.prior.q) if potts else np.array(group.prior.states, dtype=float)[:, None]
    h = np.zeros((group.size, len(x)))
    J: dict[tuple[int, int], np.ndarray] = {}
    for t, (term, c) in enumerate(zip(hamiltonian.terms, row, strict=True)):
        if isinstance(term, Field):
            field = np.ones((group.size, x.shape[1]))
            if term.h is not None:
                field = params.arrays[term.h][0].reshape(field.shape).astype(np.float64)
            h += c * (field @ x.T)
            continue
        edges, weights = weighted_edges(hamiltonian, params, t, 0)
        for (i, j), w in zip(edges.tolist(), weights, strict=True):
            pair = c * (w if term.states else w * (x @ x.T))
            J[i, j] = J.get((i, j), 0.0) + pair
            J[j, i] = J.get((j, i), 0.0) + pair.T
    return h, J


def _sums(h, J, planned: Transfer, known, lanes: int, logs: bool) -> np.ndarray | None:
    """``log`` of the sums over all units of the order, ``[lane]``; None where doubles do not suffice.

    psi is ``[*frontier, lane]``, the oldest unit first.
    """
    q = h.shape[1]
    total = np.zeros(lanes)
    for site in known:
        total += h[site, known[site]]
        for other in known:
            if other < site and (site, other) in J:
                total += J[site, other][known[site], known[other]]
    near: dict[int, list[int]] = {}
    for i, j in J:
        near.setdefault(i, []).append(j)
    psi, frontier = np.full((1, lanes), 0.0 if logs else 1.0), []
    for site, gone in zip(planned.order, planned.summed, strict=True):
        field = np.repeat(h[site][:, None], lanes, axis=1)
        for n in near.get(site, []):
            if n in known:
                field += J[site, n][:, known[n]]
        ended = next((u for u in frontier if u in gone), None)
        psi = psi.reshape(*[q] * len(frontier), lanes)
        if ended is None:
            table, psi = np.zeros((1, q)), psi[None]
        else:
            table = J[ended, site]
            psi = np.moveaxis(psi, frontier.index(ended), 0)
            frontier.remove(ended)
        psi = _passed(psi.reshape(len(psi), -1, lanes), table, field, logs)
        total += field.max(axis=0) + table.max()
        for n in frontier:
            if (n, site) in J:
                total += J[n, site].max()
                _couple(psi, J[n, site] - J[n, site].max(), q, frontier.index(n), logs)
        frontier.append(site)
        for u in gone:
            if u in frontier:
                at = frontier.index(u)
                psi = _summed(psi.reshape(q**at, q, -1, lanes), logs)
                frontier.remove(u)
        psi = psi.reshape(-1, lanes)
        top = psi.max(axis=0)
        if logs:
            psi -= top
            total += top
            continue
        if psi.min() < SMALLEST:
            return None
        psi /= top
        total += np.log(top)
    return total + (psi[0] if logs else np.log(psi[0]))


def _passed(psi, table, field, logs: bool) -> np.ndarray:
    """``sum_u psi[u, b, lane] exp(table[u, s] + field[s, lane])``, ``[b, s, lane]``, rescaled."""
    table, field = table - table.max(), field - field.max(axis=0)
    out = np.empty((psi.shape[1], table.shape[1], psi.shape[2]))
    if logs:
        for s in range(table.shape[1]):
            out[:, s] = np.logaddexp.reduce(psi + table[:, s, None, None], axis=0) + field[s]
        return out
    weights = np.exp(table)
    for s, factor in enumerate(np.exp(field)):
        part = psi[0] * weights[0, s]
        for u in range(1, len(psi)):
            part += psi[u] * weights[u, s]
        np.multiply(part, factor, out=out[:, s])
    return out


def _couple(psi, table, q: int, at: int, logs: bool) -> None:
    """Multiply ``exp(table[x_n, x_s])`` into ``psi[frontier, s, lane]``, n at place `at`; in place."""
    view = psi.reshape(q**at, q, -1, q, psi.shape[-1])
    for a in range(q):
        for s in range(q):
            if logs:
                view[:, a, :, s] += table[a, s]
            else:
                view[:, a, :, s] *= np.exp(table[a, s])


def _summed(psi, logs: bool) -> np.ndarray:
    return np.logaddexp.reduce(psi, axis=1) if logs else psi.sum(axis=1)

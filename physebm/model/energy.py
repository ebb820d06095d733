"""Energy, local field and reduced potential in plain numpy float64: the definition.

Configurations are ``{group: x}`` with ``x`` of shape ``[lane, unit]`` (Ising -1/+1, Bernoulli 0/1,
Potts 0..q-1, continuous real). Lane l belongs to instance ``instance[l]``. Slow and obvious on purpose:
every kernel is tested against this file. Pair terms of lattices and sparse graphs are summed edge by
edge (`edges`), dense ones through their couplings ``[unit, unit]``.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.special import log_ndtr

from physebm.model import units
from physebm.model.edges import add_edge_fields, edge_energies, weighted_edges
from physebm.model.graphs import all_tuples
from physebm.model.hamiltonian import Hamiltonian
from physebm.model.params import Coefficients, Params
from physebm.model.terms import (
    AllPairs,
    Field,
    LowRank,
    Many,
    Pair,
    Square,
    groups_of,
)
from physebm.model.units import UnitKind

State = Mapping[str, np.ndarray]


def features(hamiltonian: Hamiltonian, name: str, x: np.ndarray) -> np.ndarray:
    """The numbers through which units couple, ``[lane, unit, feature]``: values, or indicators."""
    prior = hamiltonian.group(name).prior
    if prior.kind is UnitKind.POTTS:
        return (x[..., None] == np.arange(prior.q)).astype(np.float64)
    return x[..., None].astype(np.float64)


def dense_couplings(hamiltonian: Hamiltonian, params: Params, index: int, instance: int):
    """``J[i, f, j, g]`` of a Pair or LowRank term between features f of unit i and g of unit j.

    Symmetric with zero diagonal within a group; multi-edges add up.
    """
    term = hamiltonian.terms[index]
    if isinstance(term, LowRank):
        group = hamiltonian.group(term.group)
        n, k = group.size, group.prior.features
        xi = np.ones((1, n, k)) if term.xi is None else params.arrays[term.xi][instance]
        xi = xi.reshape(-1, n * k).astype(np.float64)
        J = (xi.T @ xi).reshape(n, k, n, k)
        J[np.arange(n), :, np.arange(n), :] = 0.0
        return J
    a, b = hamiltonian.group(term.a), hamiltonian.group(term.b)
    ka, kb = a.prior.features, b.prior.features
    J = np.zeros((a.size, ka, b.size, kb))
    values = None if term.J is None else params.arrays[term.J][instance].astype(np.float64)
    if isinstance(term.graph, AllPairs):
        full = np.ones((a.size, b.size)) if values is None else values
        if term.states:
            J[:] = full.reshape(a.size, b.size, ka, kb).transpose(0, 2, 1, 3)
        else:
            for f in range(ka):
                J[:, f, :, f] = full.reshape(a.size, b.size)
        if term.a == term.b:
            J[np.arange(a.size), :, np.arange(a.size), :] = 0.0
        return J
    edges, weights = weighted_edges(hamiltonian, params, index, instance)
    for (i, j), w in zip(edges, weights):
        block = w if term.states else w * np.eye(ka)
        J[i, :, j, :] += block
        J[j, :, i, :] += np.transpose(block)
    return J


def term_energies(
    hamiltonian: Hamiltonian, params: Params, state: State, instance: np.ndarray | None = None
) -> np.ndarray:
    """``E_lt``: the bare energy of every term for every lane, float64.

    Terms that touch an integrated group have no value of their own and are reported as 0; they enter
    through `marginal_potential`.
    """
    lanes = len(next(iter(state.values())))
    instance = np.zeros(lanes, dtype=int) if instance is None else np.asarray(instance)
    energies = np.zeros((lanes, len(hamiltonian.terms)))
    for t, term in enumerate(hamiltonian.terms):
        if any(hamiltonian.group(name).integrated for name in groups_of(term)):
            continue
        for which in np.unique(instance):
            rows = np.flatnonzero(instance == which)
            part = {name: x if len(rows) == lanes else x[rows] for name, x in state.items()}
            energies[rows, t] = _energy(hamiltonian, params, t, int(which), part)
    return energies


def _energy(hamiltonian, params, t, instance, state) -> np.ndarray:
    term = hamiltonian.terms[t]
    match term:
        case Field(group=name):
            f = features(hamiltonian, name, state[name])
            h = np.ones(f.shape[1:])
            if term.h is not None:
                h = params.arrays[term.h][instance].astype(np.float64).reshape(f.shape[1:])
            return -np.einsum("lif,if->l", f, h)
        case Square(group=name):
            x = state[name].astype(np.float64)
            return 0.5 * (x**2 @ square_weights(hamiltonian, params, t, instance))
        case Many(group=name):
            x = state[name].astype(np.float64)
            edges, weights = hyperedges(hamiltonian, params, t, instance)
            return -np.prod(x[:, edges], axis=-1) @ weights
        case Pair(a=name, graph=graph) if not isinstance(graph, AllPairs):
            return edge_energies(hamiltonian, params, t, instance, state[name])
        case LowRank(group=name) | Pair(a=name):
            other = term.b if isinstance(term, Pair) else name
            J = dense_couplings(hamiltonian, params, t, instance)
            fa = features(hamiltonian, name, state[name])
            fb = features(hamiltonian, other, state[other])
            total = np.einsum("lif,ifjg,ljg->l", fa, J, fb, optimize=True)
            return -(0.5 if other == name else 1.0) * total


def square_weights(hamiltonian: Hamiltonian, params: Params, t: int, instance: int) -> np.ndarray:
    """``w_i`` of a Square term, ``[unit]``."""
    term = hamiltonian.terms[t]
    if term.w is None:
        return np.ones(hamiltonian.group(term.group).size)
    w = params.arrays[term.w][instance].astype(np.float64).ravel()
    return 1.0 / w if term.inverse else w


def hyperedges(hamiltonian: Hamiltonian, params: Params, t: int, instance: int):
    """Edges ``[edge, arity]`` and weights ``[edge]`` of a Many term; dense terms list i < j < k."""
    term = hamiltonian.terms[t]
    n = hamiltonian.group(term.group).size
    dense = isinstance(term.graph, AllPairs)
    edges = all_tuples(n, term.arity) if dense else params.edges[t][instance]
    edges = edges[edges[:, 0] >= 0]
    if term.J is None:
        return edges, np.ones(len(edges))
    J = params.arrays[term.J][instance].astype(np.float64)
    return edges, J.reshape((n,) * term.arity)[tuple(edges.T)] if dense else J.ravel()[: len(edges)]


def local_field(
    hamiltonian: Hamiltonian,
    params: Params,
    coefficients: np.ndarray,
    name: str,
    state: State,
    instance: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """``theta[lane, unit, feature]`` and precision ``lam[lane, unit]`` of one group.

    `coefficients` is ``[lane, term]``; ``theta = sum_t c_t f_t`` with ``f = -dE/dx``; `lam` includes
    the prior's own precision. All lanes belong to one instance.
    """
    group = hamiltonian.group(name)
    lanes = len(coefficients)
    theta = np.zeros((lanes, group.size, group.prior.features))
    lam = np.zeros((lanes, group.size))
    for t, term in enumerate(hamiltonian.terms):
        if name not in groups_of(term):
            continue
        c = coefficients[:, t]
        match term:
            case Field():
                h = 1.0 if term.h is None else params.arrays[term.h][instance]
                theta += c[:, None, None] * np.reshape(
                    h, (1, *theta.shape[1:]) if term.h else (1, 1, 1)
                )
            case Square():
                lam += c[:, None] * square_weights(hamiltonian, params, t, instance)
            case Many():
                edges, weights = hyperedges(hamiltonian, params, t, instance)
                x = state[name].astype(np.float64)
                for place in range(term.arity):
                    others = np.delete(edges, place, axis=1)
                    pull = np.prod(x[:, others], axis=-1) * weights
                    np.add.at(theta[:, :, 0].T, edges[:, place], (c[:, None] * pull).T)
            case Pair(graph=graph) if not isinstance(graph, AllPairs):
                add_edge_fields(theta, c, hamiltonian, params, t, instance, state[name])
            case LowRank() | Pair():
                J = dense_couplings(hamiltonian, params, t, instance)
                if isinstance(term, Pair) and term.a != term.b and term.b == name:
                    J = J.transpose(2, 3, 0, 1)
                source = name
                if isinstance(term, Pair):
                    source = term.b if term.a == name else term.a
                f = features(hamiltonian, source, state[source])
                theta += c[:, None, None] * np.einsum("ifjg,ljg->lif", J, f, optimize=True)
    return theta, lam


def log_normalisers(hamiltonian: Hamiltonian, params: Params, coefficients: Coefficients) -> np.ndarray:
    """``constant[instance, rung] = - sum log(normaliser of the continuous priors)``, part of u.

    Gaussian ``(1/2) log(2 pi v)`` per unit; truncated at `lower` adds ``log Q(lower / sqrt v)``.
    """
    total = np.zeros((params.instances, coefficients.rungs))
    for group in hamiltonian.sampled:
        if group.prior.discrete:
            continue
        t = hamiltonian.prior_term(group.name)
        c = coefficients.value[:, t]
        for instance in range(params.instances):
            v = 1.0 / (square_weights(hamiltonian, params, t, instance)[None, :] * c[:, None])
            total[instance] += 0.5 * np.log(2 * np.pi * v).sum(axis=1)
            if group.prior.kind is UnitKind.TRUNCATED_GAUSSIAN:
                lower = params.lower[group.name][instance]
                total[instance] += log_ndtr(-lower / np.sqrt(v)).sum(axis=1)
    return total


def marginal_potential(
    hamiltonian: Hamiltonian, params: Params, coefficients: np.ndarray, state: State, instance: int
) -> np.ndarray:
    """``- sum_j Gamma(theta_j, lam_j)`` over integrated groups, per lane; coefficients [lane, term]."""
    total = np.zeros(len(coefficients))
    for group in hamiltonian.groups:
        if not group.integrated:
            continue
        theta, lam = local_field(hamiltonian, params, coefficients, group.name, state, instance)
        if group.prior.discrete:
            theta = theta if group.prior.kind is UnitKind.POTTS else theta[..., 0]
            total -= units.log_normaliser(group.prior, theta).sum(axis=1)
            continue
        t = hamiltonian.prior_term(group.name)
        weights = square_weights(hamiltonian, params, t, instance)
        precision = coefficients[:, t][:, None] * weights
        lower = params.lower.get(group.name)
        total -= units.log_normaliser(
            group.prior,
            theta[..., 0],
            lam - precision,
            1.0 / precision,
            0.0 if lower is None else lower[instance],
        ).sum(axis=1)
    return total


def reduced_potential(
    hamiltonian: Hamiltonian,
    params: Params,
    coefficients: Coefficients,
    state: State,
    instance: np.ndarray | None = None,
) -> np.ndarray:
    """``u_lk``: reduced potential of every lane at every rung, priors and marginals included."""
    lanes = len(next(iter(state.values())))
    instance = np.zeros(lanes, dtype=int) if instance is None else np.asarray(instance)
    E = term_energies(hamiltonian, params, state, instance)
    u = E @ coefficients.value.T
    u += log_normalisers(hamiltonian, params, coefficients)[instance]
    if any(group.integrated for group in hamiltonian.groups):
        for which in np.unique(instance):
            rows = np.flatnonzero(instance == which)
            part = {name: x[rows] for name, x in state.items()}
            for k in range(coefficients.rungs):
                c = np.broadcast_to(coefficients.value[k], (len(rows), E.shape[1]))
                u[rows, k] += marginal_potential(hamiltonian, params, c, part, int(which))
    return u


def energy_derivatives(
    hamiltonian: Hamiltonian, coefficients: Coefficients, E_lt: np.ndarray, rung: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """``du/dbeta`` and ``d2u/dbeta2`` per lane, from the term energies of each lane at its rung.

    The log-normalisers of continuous priors contribute ``-(n/2) d log c / dbeta``: for a Gaussian
    of variance T this is ``-nT/2``.
    """
    first = np.einsum("lt,lt->l", E_lt, coefficients.first[rung])
    second = np.einsum("lt,lt->l", E_lt, coefficients.second[rung])
    for group in hamiltonian.sampled:
        if group.prior.discrete:
            continue
        t = hamiltonian.prior_term(group.name)
        c, d1, d2 = (a[rung, t] for a in (coefficients.value, coefficients.first, coefficients.second))
        first -= 0.5 * group.size * d1 / c
        second -= 0.5 * group.size * (d2 / c - (d1 / c) ** 2)
    return first, second

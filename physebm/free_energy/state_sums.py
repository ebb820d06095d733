"""log Z by enumeration: a model as a sum over discrete states of products of factors.

Given the enumerated units F, `theory.conditional_form` leaves Gaussian, truncated Gaussian and discrete
units y with fields ``theta = b + F B``. Their integrals become

    Gaussian       theta A^-1 theta / 2: fields and couplings of F
    discrete       a factor ``sum_k exp(theta_k)`` of the weight, its first state taken out

so that `native.gray_sums` can sum all models but those with truncated Gaussian units, or with many-body
terms beside layers that are summed out: these are summed in numpy.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
from scipy.linalg import block_diag
from scipy.special import logsumexp

from physebm.model import units
from physebm.model.hamiltonian import Group, Hamiltonian
from physebm.model.independent import independent_log_z, is_independent
from physebm.model.params import Coefficients, Params
from physebm.native.products import single_threaded_blas
from physebm.theory.conditional_form import ConditionalForm, conditional_form
from physebm.theory.conditional_weights import TRUNCATED, RungWeights
from physebm.theory.enumeration import enumerate_states

CHUNK = 2**12
THREADS = 2


def enumerated_log_z(
    hamiltonian: Hamiltonian, params: Params, coefficients: Coefficients
) -> np.ndarray:
    """``log Z [row]`` by the sum over the states of `hamiltonian`, as `smaller_side` gives it."""
    if is_independent(hamiltonian, np.ones(len(hamiltonian.terms))):
        groups = tuple(replace(group, integrated=False) for group in hamiltonian.groups)
        alone = replace(hamiltonian, groups=groups)
        return np.array([independent_log_z(alone, params, row) for row in coefficients.value])
    form = conditional_form(hamiltonian, params)
    if form.many and not form.conditional and all(len(g.prior.states) == 2 for g in form.enumerated):
        return enumerate_states(hamiltonian, params, coefficients, probabilities=False).log_z
    # Numba is loaded only where something is enumerated.
    from physebm.native.gray_sums import log_sum

    rows = range(coefficients.rungs)
    with single_threaded_blas():
        if form.many or form.truncated:
            return np.array([sum_by_chunks(form, coefficients, k) for k in rows])
        return np.array([log_sum(state_sum(form, coefficients, k)) for k in rows])


def state_sum(form: ConditionalForm, coefficients: Coefficients, row: int):
    """The `StateSum` of a model at one row, without its many-body terms and truncated units.

    Of a discrete unit that is summed out the first state goes into the fields of the enumerated ones;
    Gaussian units give ``theta A^-1 theta / 2`` with ``theta = b + F B``, fields and couplings, too.
    """
    from physebm.native.gray_sums import StateSum

    c = coefficients.value[row]
    n, smooth = form.gaussian, form.gaussian + form.truncated
    values, states = _values(form)
    h, J = c @ form.h_tf, np.tensordot(c, form.J_tff, 1)
    b, B = c @ form.b_ty, np.tensordot(c, form.B_tfy, 1)
    constant = 0.0
    if smooth:
        gauss = RungWeights(form, coefficients, row)
        pull = B[:, :n] @ gauss.S
        h, J = h + pull @ b[:n], J + pull @ B[:, :n].T
        constant += 0.5 * (b[:n] @ gauss.S @ b[:n] + np.log(gauss.p[0][:n]).sum())
        constant -= np.log(np.diag(gauss.root)).sum()
    first, rest, widths = [], [], []
    for group in form.conditional:
        if not group.prior.discrete:
            continue
        at = form.place[group.name]
        # A two-state unit has one feature x: its states are x = states[0] and states[1].
        x = np.eye(group.prior.q) if group.prior.features > 1 else np.array([group.prior.states]).T
        weights = np.einsum("...if,sf->...is", _by_unit(np.vstack([b[at], B[:, at]]), group), x)
        first.append(weights[..., 0].sum(axis=1))
        others = weights[..., 1:] - weights[..., :1]
        rest.append(others.reshape(len(others), -1))
        widths += [len(x) - 1] * group.size
    base = np.sum(first, axis=0) if first else np.zeros(1 + len(h))
    columns = np.concatenate(rest, axis=1) if rest else np.zeros((1 + len(h), 0))
    M = values @ J @ values.T
    unit = np.repeat(np.arange(len(states)), states)
    same = unit[:, None] == unit
    return StateSum(
        states=states,
        h=values @ (h + base[1:]) + 0.5 * np.diag(M),
        M=np.where(same, 0.0, M),
        b=columns[0],
        B=values @ columns[1:],
        widths=np.array(widths, dtype=np.int64),
        constant=float(constant + base[0]),
    )


def _by_unit(table: np.ndarray, group: Group) -> np.ndarray:
    return table.reshape(len(table), group.size, group.prior.features)


def _values(form: ConditionalForm) -> tuple[np.ndarray, np.ndarray]:
    """Features of every state of every enumerated unit ``[column, feature]``; numbers of states."""
    blocks, states = [np.zeros((0, 0))], []
    for group in form.enumerated:
        potts = group.prior.features > 1
        x = np.eye(group.prior.q) if potts else np.array([group.prior.states], dtype=float).T
        blocks += [x] * group.size
        states += [len(x)] * group.size
    return block_diag(*blocks), np.array(states, dtype=np.int64)


def _chosen(form: ConditionalForm, F: np.ndarray) -> np.ndarray:
    """Which state every enumerated unit is in, ``[state, column]``, from features."""
    parts = [np.zeros((len(F), 0))]
    for group in form.enumerated:
        x = F[:, form.place[group.name]]
        if group.prior.features == 1:
            x = (x[..., None] == np.array(group.prior.states)).reshape(len(F), -1)
        parts.append(x.astype(np.float64))
    return np.concatenate(parts, axis=1)


def sum_by_chunks(form: ConditionalForm, coefficients: Coefficients, row: int) -> float:
    """The sum in numpy, chunk after chunk of states, for what the compiled one does not know."""
    given, c = state_sum(form, coefficients, row), coefficients.value[row]
    at = slice(form.gaussian, form.gaussian + form.truncated)
    theta_b, theta_B = c @ form.b_ty[:, at], np.tensordot(c, form.B_tfy[:, :, at], 1)
    precision = c @ form.w_ty[:, at]
    prior = form.prior_y[at]
    own = c[prior] * form.w_ty[prior, np.arange(at.start, at.stop)]
    # theta . y of discrete units: logsumexp over (0, columns) of each.
    starts = np.concatenate([[0], np.cumsum(given.widths)])[:-1].astype(np.int64)

    def chunk(start: int) -> np.ndarray:
        F = form.features(form.digits(np.arange(start, min(start + CHUNK, form.states))))
        chosen = _chosen(form, F)
        total = chosen @ given.h + 0.5 * ((chosen @ given.M) * chosen).sum(axis=1)
        for t, edges, weights in form.many:
            for cut in range(0, len(edges), 256):
                product = np.prod(F[:, edges[cut : cut + 256]], axis=-1)
                total += c[t] * (product @ weights[cut : cut + 256])
        theta, lower = theta_b + F @ theta_B, form.lower_y[at]
        total += units.log_normaliser(TRUNCATED, theta, precision - own, 1.0 / own, lower).sum(axis=1)
        if len(starts):
            field = given.b + chosen @ given.B
            top = np.maximum(np.maximum.reduceat(field, starts, axis=1), 0.0)
            wide = np.repeat(top, given.widths, axis=1)
            sums = np.add.reduceat(np.exp(field - wide), starts, axis=1) + np.exp(-top)
            total += (top + np.log(sums)).sum(axis=1)
        return logsumexp(total)

    with ThreadPoolExecutor(THREADS) as pool:
        parts = list(pool.map(chunk, range(0, form.states, CHUNK)))
    return float(given.constant + logsumexp(parts))

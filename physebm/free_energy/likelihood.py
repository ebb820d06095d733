"""What a model makes of data: u(v), log Z and log-likelihood, for recording and for scoring.

    u(v)     = sum_t c_t E_t(v) - sum_j Gamma(theta_j) + constants of continuous visible priors,
    log p(v) = - u(v) - log Z,  Z = int dv exp(-u(v)),

j the hidden units, summed out. Where they do not factorise, the variational bound of `meanfield` stands
for it: ``u_bound(v) >= u(v)``, so that every log-likelihood made from it is a lower bound. All in nats.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

import numpy as np

from physebm.errors import LoweringError
from physebm.free_energy.exact import log_states, summed_out
from physebm.free_energy.meanfield import mean_field_posterior, variational_bound
from physebm.model.conditionals import Conditionals
from physebm.model.energy import log_normalisers
from physebm.model.hamiltonian import Group, Hamiltonian
from physebm.model.params import Coefficients, Params
from physebm.model.roles import factorises
from physebm.model.units import UnitKind
from physebm.theory.enumeration import enumerate_states

# log2 of the states that are enumerated at a recorded age.
BITS = 20
# Numbers of one block of rows: 8 MiB in double precision; and what a core holds in its own cache.
BLOCK = 2**20
CACHED = 2**16
# Factors of at most 2 whose product stays far below the largest double.
FACTORS = 512


def visible_potential(
    conditionals: Conditionals, states: Mapping[str, np.ndarray], hidden: Iterable[str]
) -> np.ndarray:
    """``u(v)`` of visible configurations, ``[row]``, float64.

    Parameters
    ----------
    conditionals
        The model at one set of arrays; its precision is that of the fields of hidden units.
    states
        ``{visible group: x[row, unit]}``.
    hidden
        Names of all other groups. Where they do not factorise the result is ``-bound``, an upper bound
        of u at the mean-field posterior.
    """
    hidden = tuple(hidden)
    flat = factorises(conditionals.hamiltonian, hidden)
    u = np.empty(len(next(iter(states.values()))))
    for at in _blocks(len(u), conditionals.hamiltonian):
        known = conditionals.states({name: x[at] for name, x in states.items()})
        if not flat:
            fields = mean_field_posterior(conditionals, known, hidden).fields
            u[at] = -variational_bound(conditionals, known, fields)
            continue
        u[at] = conditionals.energy(known)
        for name in hidden:
            u[at] -= log_normaliser(conditionals, name, conditionals.field(name, known))
    return u + _constant(conditionals, hidden) if flat else u


def joint_potential(conditionals: Conditionals, states: Mapping[str, np.ndarray]) -> np.ndarray:
    """``u(x)`` of configurations of all groups ``{group: x[row, unit]}``, ``[row]``, float64."""
    u = np.empty(len(next(iter(states.values()))))
    for at in _blocks(len(u), conditionals.hamiltonian):
        u[at] = conditionals.energy(conditionals.states({name: x[at] for name, x in states.items()}))
    return u + _constant(conditionals, ())


def log_partition(hamiltonian: Hamiltonian, params: Params, coefficients: Coefficients) -> float | None:
    """``log Z`` at the first coefficient row, exact; None where it is out of reach.

    By enumeration of the smaller side, which may have up to 2^20 states, in closed form for Gaussian
    models. None beyond, and where couplings have no closed-form integral.
    """
    summed = summed_out(hamiltonian)
    if log_states(summed) > BITS:
        return None
    listed = [g for g in summed.groups if g.prior.discrete and not g.integrated]
    rest = [g.name for g in summed.groups if g not in listed]
    if listed and factorises(summed, rest):
        return _sum_over_states(Conditionals(summed, coefficients.value[0], params), listed, rest)
    try:
        exact = enumerate_states(summed, params, coefficients.take([0]), probabilities=False)
    except LoweringError:
        return None
    return float(exact.log_z[0])


def log_likelihood(
    conditionals: Conditionals,
    states: Mapping[str, np.ndarray],
    weights: np.ndarray,
    hidden: Iterable[str],
    log_z: float,
) -> float:
    """``sum_r w_r log p(v_r)``, `weights` with sum 1; a lower bound where u(v) is a bound."""
    return float(-(weights @ visible_potential(conditionals, states, hidden)) - log_z)


def log_normaliser(conditionals: Conditionals, name: str, theta: np.ndarray) -> np.ndarray:
    """``sum_i Gamma(theta_i)`` of the units of a group, ``[row]``, float64.

    The same as `Conditionals.log_normaliser`, with one logarithm for many units: that of a product of
    factors ``1 + exp(-|theta|)``, between 1 and 2, which no double overflows. Ten times faster.
    """
    prior = conditionals.hamiltonian.group(name).prior
    if not prior.discrete:
        return conditionals.log_normaliser(name, theta)
    total, step = np.empty(len(theta)), max(1, CACHED // theta.shape[1])
    for start in range(0, len(theta), step):
        part = theta[start : start + step].astype(np.float64)
        if prior.kind is UnitKind.POTTS:
            part = part.reshape(len(part), -1, prior.q)
            top = part.max(axis=-1)
            part = np.exp(part - top[..., None]).sum(axis=-1)
            total[start : start + step] = (top + np.log(part)).sum(axis=1)
        else:
            total[start : start + step] = _log_two_states(part, prior.kind is UnitKind.ISING)
    return total


def _log_two_states(theta: np.ndarray, ising: bool) -> np.ndarray:
    """``sum_i log 2cosh(theta_i)`` or ``sum_i log(1 + exp(theta_i))``; works in place."""
    linear = 0.0 if ising else 0.5 * theta.sum(axis=1)
    size = np.abs(theta, out=theta)
    total = (1.0 if ising else 0.5) * size.sum(axis=1) + linear
    size *= -2.0 if ising else -1.0
    factors = np.exp(size, out=size)
    factors += 1.0
    for start in range(0, factors.shape[1], FACTORS):
        total += np.log(np.multiply.reduce(factors[:, start : start + FACTORS], axis=1))
    return total


def _constant(conditionals: Conditionals, hidden: tuple[str, ...]) -> float:
    """Log-normalisers of the continuous priors of all groups but those that are summed out."""
    hamiltonian, c = conditionals.hamiltonian, conditionals.coefficients[None]
    groups = tuple(replace(g, integrated=g.name in hidden) for g in hamiltonian.groups)
    row = Coefficients(np.ones(1), c, np.zeros_like(c), np.zeros_like(c))
    return float(log_normalisers(replace(hamiltonian, groups=groups), conditionals.params, row)[0, 0])


def _blocks(rows: int, hamiltonian: Hamiltonian) -> Iterator[slice]:
    width = sum(group.size * group.prior.features for group in hamiltonian.groups)
    step = max(64, BLOCK // width)
    return (slice(start, start + step) for start in range(0, rows, step))


def _sum_over_states(conditionals: Conditionals, listed: list[Group], rest: list[str]) -> float:
    """``log sum exp(-u)`` over all states of the `listed` groups, in each the `rest` summed out."""
    count = 1
    for group in listed:
        count *= len(group.prior.states) ** group.size
    shift, total = -np.inf, 0.0
    for at in _blocks(count, conditionals.hamiltonian):
        known = conditionals.states(_states(listed, np.arange(at.start, min(at.stop, count))))
        log_w = -conditionals.energy(known)
        for name in rest:
            log_w += log_normaliser(conditionals, name, conditionals.field(name, known))
        top = max(shift, float(log_w.max()))
        total = total * np.exp(shift - top) + float(np.exp(log_w - top).sum())
        shift = top
    return float(shift + np.log(total))


def _states(groups: list[Group], index: np.ndarray) -> dict[str, np.ndarray]:
    """Configurations ``{group: x[state, unit]}`` of state numbers; unit i is digit i, lowest first."""
    states = {}
    for group in groups:
        values = np.array(group.prior.states, dtype=np.int8)
        states[group.name] = np.empty((len(index), group.size), dtype=np.int8)
        for i in range(group.size):
            index, digit = np.divmod(index, len(values))
            states[group.name][:, i] = values[digit]
    return states

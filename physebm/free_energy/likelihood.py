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

from physebm.free_energy.exact import exact_log_z, reach, truncated_units
from physebm.free_energy.meanfield import mean_field_posterior, variational_bound
from physebm.model.conditionals import Conditionals
from physebm.model.energy import log_normalisers
from physebm.model.hamiltonian import Hamiltonian
from physebm.model.params import Coefficients, Params
from physebm.model.roles import factorises
from physebm.model.units import UnitKind
from physebm.theory.transfer_matrix import transfer

# log2 of the states that are enumerated at a recorded age, of the integrals over truncated Gaussian
# units, and of the multiplications of a transfer matrix: a second each, or a few.
BITS = 20
INTEGRAL_BITS = 25
TRANSFER_BITS = 27
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
    return u + prior_constant(conditionals, hidden) if flat else u


def joint_potential(conditionals: Conditionals, states: Mapping[str, np.ndarray]) -> np.ndarray:
    """``u(x)`` of configurations of all groups ``{group: x[row, unit]}``, ``[row]``, float64."""
    u = np.empty(len(next(iter(states.values()))))
    for at in _blocks(len(u), conditionals.hamiltonian):
        u[at] = conditionals.energy(conditionals.states({name: x[at] for name, x in states.items()}))
    return u + prior_constant(conditionals, ())


def log_partition(hamiltonian: Hamiltonian, params: Params, coefficients: Coefficients) -> float | None:
    """``log Z`` at the first coefficient row, exact; None where it takes more than seconds.

    As `exact.exact_log_z`, by enumeration of at most 2^20 states (fewer beside truncated Gaussian
    units), a short transfer matrix, or in closed form. None beyond, and where couplings have no
    closed-form integral.
    """
    found = reach(hamiltonian)
    match found.way:
        case None:
            return None
        case "transfer matrix" if transfer(hamiltonian).log2_work > TRANSFER_BITS:
            return None
        case "enumeration":
            truncated = truncated_units(hamiltonian)
            if found.bits > BITS or (truncated and found.bits + np.log2(truncated) > INTEGRAL_BITS):
                return None
    return float(exact_log_z(hamiltonian, params, coefficients.take([0]), hamiltonian.name)[0])


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


def prior_constant(conditionals: Conditionals, hidden: tuple[str, ...]) -> float:
    """Log-normalisers of the continuous priors of all groups but those that are summed out."""
    hamiltonian, c = conditionals.hamiltonian, conditionals.coefficients[None]
    groups = tuple(replace(g, integrated=g.name in hidden) for g in hamiltonian.groups)
    row = Coefficients(np.ones(1), c, np.zeros_like(c), np.zeros_like(c))
    return float(log_normalisers(replace(hamiltonian, groups=groups), conditionals.params, row)[0, 0])


def _blocks(rows: int, hamiltonian: Hamiltonian) -> Iterator[slice]:
    width = sum(group.size * group.prior.features for group in hamiltonian.groups)
    step = max(64, BLOCK // width)
    return (slice(start, start + step) for start in range(0, rows, step))

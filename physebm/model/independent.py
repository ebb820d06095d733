"""Independent units: the model that everything is measured from.

At coefficients that leave fields and priors alone the units are independent, so that

    log Z = sum_i Gamma(theta_i, lam_i)

(relative to the priors) in closed form, and one heat-bath sweep is an exact draw.
"""

from __future__ import annotations

import numpy as np

from physebm.model.conditionals import Conditionals
from physebm.model.energy import hyperedges
from physebm.model.hamiltonian import Hamiltonian
from physebm.model.params import Params
from physebm.model.terms import Field, LowRank, Many, Pair, Square
from physebm.model.units import Prior, UnitKind


def is_independent(hamiltonian: Hamiltonian, coefficients: np.ndarray) -> bool:
    """Whether nothing but fields and squares has a coefficient, of ``c_t [term]``, other than 0."""
    return all(
        isinstance(term, Field | Square) or c == 0.0
        for term, c in zip(hamiltonian.terms, coefficients, strict=True)
    )


def is_uncoupled(conditionals: Conditionals) -> bool:
    """Whether all couplings are 0, by their coefficients or by their numbers; one unit has none."""
    hamiltonian, c = conditionals.hamiltonian, conditionals.coefficients
    for t, term in enumerate(hamiltonian.terms):
        if isinstance(term, Field | Square) or c[t] == 0.0:
            continue
        if isinstance(term, Many):
            w = hyperedges(hamiltonian, conditionals.params, t, 0)[1]
        elif isinstance(term, LowRank):
            several = hamiltonian.group(term.group).size > 1
            w = conditionals.operator(t) if several else np.zeros(1)
        else:
            w = abs(conditionals.operator(t)).max() if _pairs(hamiltonian, term) else 0.0
        if np.any(w != 0.0):
            return False
    return True


def _pairs(hamiltonian: Hamiltonian, term: Pair) -> int:
    """Pairs of units that a term may couple."""
    a, b = hamiltonian.group(term.a).size, hamiltonian.group(term.b).size
    return a * (a - 1) if term.a == term.b else a * b


def independent_log_z(hamiltonian: Hamiltonian, params: Params, coefficients: np.ndarray) -> float:
    """``log Z`` of the first instance at coefficients ``c_t [term]`` without couplings.

    Raises
    ------
    ValueError
        where a coupling has a coefficient.
    """
    if not is_independent(hamiltonian, coefficients):
        raise ValueError("units that couple are not independent")
    conditionals = Conditionals(hamiltonian, coefficients, params)
    total = 0.0
    for group in hamiltonian.sampled:
        theta = np.zeros((1, group.size * group.prior.features))
        for t, term in enumerate(hamiltonian.terms):
            if isinstance(term, Field) and term.group == group.name:
                h = 1.0 if term.h is None else params.arrays[term.h][0].reshape(1, -1)
                theta += coefficients[t] * h
        total += float(conditionals.log_normaliser(group.name, theta)[0])
    return total


def fitted_field(prior: Prior, mean: np.ndarray, samples: float, precision: np.ndarray) -> np.ndarray:
    """The field ``theta = Gamma'^-1(mean)`` of independent units, ``[unit, feature]``.

    atanh m (Ising), logit m (Bernoulli), log p_a less its mean over a (Potts), m times the precision
    (Gaussian). Means of discrete units are smoothed by one sample of uniform states, so that a constant
    unit has a finite field.

    Parameters
    ----------
    mean
        ``<phi_i(a)>``, ``[unit, feature]``, over `samples` samples.
    precision
        ``lam [unit]`` of Gaussian units.

    Raises
    ------
    ValueError
        for truncated Gaussian units, whose mean has no inverse in closed form.
    """
    n = samples
    match prior.kind:
        case UnitKind.ISING:
            return np.arctanh(mean * n / (n + 1.0))
        case UnitKind.BERNOULLI:
            p = (mean * n + 0.5) / (n + 1.0)
            return np.log(p / (1.0 - p))
        case UnitKind.POTTS:
            logs = np.log((mean * n + 1.0 / prior.q) / (n + 1.0))
            return logs - logs.mean(axis=1, keepdims=True)
        case UnitKind.GAUSSIAN:
            return mean * precision[:, None]
    raise ValueError(f"no closed-form field for the mean of {prior.kind} units")

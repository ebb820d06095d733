"""What data say of log Z before anything is sampled: a lower bound, and a limit of likelihoods.

With Z the sum of ``exp(-u(v))`` over all configurations v of discrete visible units, hidden ones summed
out, every set D of *distinct* configurations is a part of it:

    log Z >= log sum_{v in D} exp(-u(v)).

Where hidden units do not factorise, ``u_bound(v) >= u(v)`` stands for u, and the bound holds as well.
By the same sum ``log p(v) = -u(v) - log Z <= 0``: the mean log-likelihood of any data is not above 0.
Continuous visible units have densities, and neither holds.

A model may put all its weight on a few memorised samples that no annealed or tempered chain finds; the
data know where they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
from scipy.special import logsumexp

from physebm.free_energy.bounded import with_finding
from physebm.free_energy.estimate import Estimate, Finding, Verdict
from physebm.model.hamiltonian import Hamiltonian

# Standard errors by which a log-likelihood may lie above 0, and nats that are rounding: of every nat.
SIGMAS, NEGLIGIBLE, ROUNDING = 4.0, 1e-6, 1e-9


def bounds_from_data(
    hamiltonian: Hamiltonian,
    states: Iterable[Mapping[str, np.ndarray]],
    potentials: Iterable[np.ndarray],
) -> np.ndarray | None:
    """The bound on log Z by all parts of the data together, ``[row]``; None for continuous units.

    Parameters
    ----------
    states
        Of every part ``{visible group: x[sample, unit]}``.
    potentials
        ``u(v) [row, sample]`` of every part, or upper bounds on it.
    """
    if not all(group.prior.discrete for group in hamiltonian.counted):
        return None
    rows = [np.concatenate([x for _, x in sorted(part.items())], axis=1) for part in states]
    _, first = np.unique(np.concatenate(rows).astype(np.int64), axis=0, return_index=True)
    return logsumexp(-np.concatenate(list(potentials), axis=1)[:, first], axis=1)


def likelihoods_held(
    estimates: Iterable[Estimate], potentials: Mapping[str, np.ndarray]
) -> list[Estimate]:
    """The estimates, failed where the log-likelihood of discrete data would be above 0.

    Parameters
    ----------
    potentials
        Mean ``u(v) [row]`` of every part of the data.
    """
    held = list(estimates)
    for part, u in potentials.items():
        for k, each in enumerate(held):
            value = -u[k] - each.log_z
            error = float(np.nan_to_num(each.stderr))
            if not value > max(SIGMAS * error, NEGLIGIBLE + ROUNDING * abs(u[k])):
                continue
            reason = (
                f"the log-likelihood of the {part} data would be {value:.3g} nats a sample, and a "
                "probability of discrete units is at most 1: log Z is too low"
            )
            held[k] = replace(with_finding(each, Finding(Verdict.FAILED, reason)), high=float("nan"))
    return held

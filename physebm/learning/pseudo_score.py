"""How well single visible units are predicted from all others: the log pseudo-likelihood as a score.

    PL = sum_r w_r sum_i log p(v_i | v_rest)      at row r of the data, in nats per sample,

with hidden units summed out. It needs no partition function, and falls on a test set where a model
overfits (J. Besag, J. R. Stat. Soc. B 36, 192 (1974)). Rows, or pairs (row, unit), are chosen once by
their address: two ages are compared on the same ones, and their difference is better known than either.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from scipy.special import logsumexp

from physebm.arrays import Key
from physebm.data.permutation import permutation
from physebm.free_energy.likelihood import visible_potential
from physebm.learning.pseudolikelihood import pseudo_likelihood
from physebm.model.conditionals import Conditionals
from physebm.model.hamiltonian import Hamiltonian
from physebm.model.roles import factorises, hidden_groups, visible_groups
from physebm.rng.philox import philox4x32, uniform
from physebm.rng.streams import Purpose, last_word

ROWS = 2000  # samples of a fully visible model
STRATUM = 50  # rows of one block of the error estimate
PAIRS = 1000  # fewest pairs (row, unit) of a model with hidden units; two per unit where those are more
# Multiplications that more pairs may cost: a twentieth of a second.
WORK = 2e8


class Score(NamedTuple):
    """An average over data and the standard error from having chosen some; 0 where all were taken."""

    value: float
    stderr: float


def scorable(hamiltonian: Hamiltonian) -> bool:
    """Whether ``p(v_i | v_rest)`` is a probability that can be computed.

    That needs discrete visible units, and hidden ones that factorise.
    """
    visible = [hamiltonian.group(name) for name in visible_groups(hamiltonian)]
    return all(group.prior.discrete for group in visible) and factorises(
        hamiltonian, hidden_groups(hamiltonian)
    )


def pseudo_log_likelihood(
    conditionals: Conditionals, states: Mapping[str, np.ndarray], weights: np.ndarray, key: Key
) -> Score:
    """The score of data, in nats per sample.

    Fully visible models: all units of at most 2000 samples. With hidden units: pairs (row, unit), rows
    with probability `weights`, units evenly (each stratum of pairs has its own units).

    Parameters
    ----------
    states
        ``{visible group: x[row, unit]}``, for a model that is `scorable`.
    weights
        ``[row]`` with sum 1.
    key
        Of the choice of rows or pairs.
    """
    hidden = hidden_groups(conditionals.hamiltonian)
    if hidden:
        return _of_pairs(conditionals, states, weights, hidden, key)
    return _of_rows(conditionals, states, weights, key)


def _of_rows(conditionals, states, weights, key) -> Score:
    """Block averages over chosen rows; their scatter gives the error."""
    samples = len(weights)
    rows = permutation(key, samples)[:ROWS]
    blocks = [rows[start : start + STRATUM] for start in range(0, len(rows), STRATUM)]
    if len(rows) == samples:
        blocks = [rows]
    value, share = np.zeros(len(blocks)), np.zeros(len(blocks))
    for n, at in enumerate(blocks):
        share[n] = weights[at].sum()
        if share[n] > 0:
            part = {name: x[at] for name, x in states.items()}
            value[n] = pseudo_likelihood(conditionals, part, weights[at] / share[n])[0]
    share /= share.sum()
    mean = float(share @ value)
    if len(rows) == samples:
        return Score(mean, 0.0)
    scatter = np.sum((share * (value - mean)) ** 2) * len(blocks) / (len(blocks) - 1)
    return Score(mean, float(np.sqrt(scatter * (1.0 - len(rows) / samples))))


def _of_pairs(conditionals, states, weights, hidden, key) -> Score:
    """Pairs in strata of units; neighbouring strata differ by chance mostly, which gives the error."""
    units = sum(x.shape[1] for x in states.values())
    samples, count = len(weights), max(PAIRS, 2 * units, _affordable(conditionals.hamiltonian))
    if samples * units <= count:
        row, unit = np.divmod(np.arange(samples * units), units)
        each = _log_conditionals(conditionals, states, hidden, row, unit)
        return Score(float(weights[row] @ each), 0.0)
    count += count % 2
    unit = ((np.arange(count) + _uniform(count, key, 1)) * units / count).astype(np.int64)
    cdf = np.cumsum(weights)
    row = np.searchsorted(cdf, _uniform(count, key) * cdf[-1], side="right")
    row = np.minimum(row, samples - 1)
    each = _log_conditionals(conditionals, states, hidden, row, unit)
    scale = units / count
    return Score(
        scale * float(each.sum()), scale * float(np.sqrt(np.sum((each[::2] - each[1::2]) ** 2)))
    )


def _affordable(hamiltonian: Hamiltonian) -> int:
    """Number of pairs that `WORK` pays for: a product of fields per state of the unit."""
    size = {group.name: group.size * group.prior.features for group in hamiltonian.groups}
    visible = [hamiltonian.group(name) for name in visible_groups(hamiltonian)]
    fields = sum(size[group.name] for group in visible) * sum(map(size.get, hidden_groups(hamiltonian)))
    return int(WORK / (fields * max(len(group.prior.states) for group in visible)))


def _log_conditionals(conditionals, states, hidden, row, unit) -> np.ndarray:
    """``log p(v_i | v_rest)`` of every pair, units numbered through the visible groups."""
    found, start = np.zeros(len(row)), 0
    for name in states:
        group = conditionals.hamiltonian.group(name)
        mine = np.flatnonzero((unit >= start) & (unit < start + group.size))
        place, values = unit[mine] - start, np.array(group.prior.states)
        start += group.size
        if not len(mine):
            continue
        flipped = {n: np.repeat(x[row[mine]], len(values), axis=0) for n, x in states.items()}
        flipped[name][np.arange(len(mine) * len(values)), np.repeat(place, len(values))] = np.tile(
            values, len(mine)
        )
        u = visible_potential(conditionals, flipped, hidden).reshape(len(mine), -1)
        actual = np.searchsorted(values, states[name][row[mine], place])
        found[mine] = -u[np.arange(len(mine)), actual] - logsumexp(-u, axis=1)
    return found


def _uniform(count: int, key: Key, which: int = 0) -> np.ndarray:
    words = philox4x32(np.arange(count), 0, 0, last_word(Purpose.CHECK), key[0], key[1])
    return uniform(words[which])

"""Data as configurations of all units: where phases of a model may be that it has learned by heart.

Samples are taken by their weights, hidden units drawn given them: from the conditional where they
factorise, and from the mean-field posterior elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from physebm.backends.reference import draw
from physebm.free_energy.meanfield import mean_field_posterior
from physebm.lowering.plan import Rule
from physebm.model.conditionals import Conditionals
from physebm.model.hamiltonian import Hamiltonian
from physebm.model.params import Params
from physebm.model.roles import hidden_groups
from physebm.rng.philox import philox4x32, uniform
from physebm.rng.streams import Purpose, key_of, last_word

# Steps of this on a circle of length 1 spread any number of points evenly, the first ones too.
GOLDEN = 0.5 * (np.sqrt(5.0) - 1.0)

Part = tuple[Mapping[str, np.ndarray], np.ndarray]


def data_starts(
    hamiltonian: Hamiltonian,
    params: Params,
    coefficients: np.ndarray,
    parts: Iterable[Part],
    key: tuple[int, int],
    count: int,
) -> dict[str, np.ndarray]:
    """Configurations ``{group: x[start, unit]}`` of all groups, `count` of them.

    Parameters
    ----------
    coefficients
        ``c_t [term]`` of the model.
    parts
        ``({visible group: x[sample, unit]}, weights[sample])`` of every part of the data, weights with
        sum 1; parts count alike.
    """
    parts = list(parts)
    key = key_of(key[0], key[1], "data starts")
    word = last_word(Purpose.INITIAL_STATE, draw=1)
    offset = float(uniform(philox4x32(0, 0, 0, word, *key)[0]))
    points = (offset + GOLDEN * np.arange(count)) % 1.0
    cumulated = np.cumsum(np.concatenate([weights for _, weights in parts]))
    rows = np.searchsorted(cumulated, points * cumulated[-1], side="right")
    rows = np.minimum(rows, len(cumulated) - 1)
    x = {name: np.concatenate([part[name] for part, _ in parts])[rows] for name in parts[0][0]}
    hidden = hidden_groups(hamiltonian)
    if not hidden:
        return x
    conditionals = Conditionals(hamiltonian, coefficients, params)
    fields = mean_field_posterior(conditionals, conditionals.states(x), hidden).fields
    for g, group in enumerate(hamiltonian.groups):
        if group.name not in fields:
            continue
        unit, start = np.arange(group.size), np.arange(count)[:, None]
        words = philox4x32(unit, start, g, last_word(Purpose.INITIAL_STATE), *key)[:2]
        theta = fields[group.name].reshape(count, group.size, -1)
        lam = None if group.prior.discrete else conditionals.precision(group.name)
        lower = params.lower.get(group.name)
        old, edge = np.zeros(theta.shape[:2]), 0.0 if lower is None else lower[0]
        x[group.name] = draw(group.prior, Rule.HEAT_BATH, theta, lam, edge, old, words)
    return x

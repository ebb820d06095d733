"""Where searches for fixed points begin: given, uniform and random configurations."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from physebm.model.conditionals import Conditionals
from physebm.model.units import UnitKind
from physebm.rng.philox import philox4x32, uniform
from physebm.rng.streams import Purpose, key_of, last_word

# Starts in which all units are in their first, second, ... state.
UNIFORM = 4


def start_configurations(
    conditionals: Conditionals,
    key: tuple[int, int],
    random: int,
    given: Mapping[str, np.ndarray] | None = None,
) -> dict[str, np.ndarray]:
    """Configurations ``{group: x[start, unit]}`` to begin from, beside the paramagnet.

    First the `given` ones (all groups), then uniform ones (all units in their first, second, ... state,
    at most 4), then `random` ones. Continuous units are two standard deviations of their quadratic part
    below or above zero, inside their support.
    """
    groups = conditionals.hamiltonian.groups
    count = max((len(g.prior.states) if g.prior.discrete else 2 for g in groups), default=0)
    key = key_of(key[0], key[1], "starts of fixed points")
    found = {}
    for g, group in enumerate(groups):
        unit, row = np.arange(group.size), np.arange(random)[:, None]
        u = uniform(philox4x32(unit, row, g, last_word(Purpose.INITIAL_STATE), *key)[0])
        number = len(group.prior.states) if group.prior.discrete else 2
        uniforms = np.arange(min(count, UNIFORM))[:, None] % number
        index = np.concatenate(
            [np.broadcast_to(uniforms, (len(uniforms), group.size)), (u * number).astype(int)]
        )
        if group.prior.discrete:
            x = np.array(group.prior.states)[index]
        else:
            x = (4.0 * index - 2.0) / np.sqrt(conditionals.precision(group.name))
            if group.prior.kind is UnitKind.TRUNCATED_GAUSSIAN:
                x = np.maximum(x, conditionals.params.lower[group.name][0])
        found[group.name] = x if given is None else np.concatenate([given[group.name], x])
    return found

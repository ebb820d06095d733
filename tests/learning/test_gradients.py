"""The one gradient, against finite differences of the exact log-likelihood, for every family."""

from dataclasses import replace

import numpy as np
import pytest
from learning_models import FAMILIES, family, free_places, nudged, some_visibles

from physebm.free_energy.exact import exact_averages, summed_out
from physebm.model.conditionals import Conditionals
from physebm.model.energy import reduced_potential
from physebm.model.roles import factorises
from physebm.model.statistics import RowAverages, statistics
from physebm.theory.enumeration import enumerate_states


def exact_log_likelihood(loaded, params, states, weights):
    """Mean of ``log p(v)``: hidden layers through Gamma, Z by enumeration."""
    H, c = loaded.hamiltonian, loaded.coefficients([1.0])
    groups = tuple(replace(g, integrated=not g.visible) for g in H.groups)
    u = reduced_potential(replace(H, groups=groups), params, c, states)[:, 0]
    return -weights @ u - enumerate_states(H, params, c).log_z[0]


def computable(name: str) -> bool:
    """Truncated hidden units on Gaussian visible ones have no closed normalisation."""
    return name != "gaussian x truncated_gaussian"


@pytest.mark.parametrize("name", [name for name in FAMILIES if computable(name)])
def test_gradient_is_that_of_the_exact_log_likelihood(name):
    loaded = family(name)
    H, c = loaded.hamiltonian, loaded.coefficients([1.0])
    params = loaded.params(3)
    states = some_visibles(loaded, 7)
    weights = np.arange(1.0, 8.0) / 28.0
    hidden = [g.name for g in H.groups if not g.visible]
    assert factorises(H, hidden)
    conditionals = Conditionals(H, c.value[0], params)
    known = conditionals.states(states)
    moments = dict(known)
    for group in hidden:
        moments[group] = conditionals.moments(group, conditionals.field(group, known))
    slots = [slot.name for slot in H.slots]
    data = statistics(H, params, RowAverages(H, moments, weights), c.value[0], slots)
    model = statistics(H, params, exact_averages(summed_out(H), params, c), c.value[0], slots)
    step = 1e-4
    for slot in slots:
        gradient = data[slot] - model[slot]
        for place in free_places(loaded, params, slot):
            up, down, up2, down2 = (
                exact_log_likelihood(loaded, nudged(loaded, params, slot, place, by), states, weights)
                for by in (step, -step, 2 * step, -2 * step)
            )
            slope = (8.0 * (up - down) - (up2 - down2)) / (12.0 * step)
            assert gradient[place] == pytest.approx(slope, rel=1e-6, abs=1e-9), (slot, place)

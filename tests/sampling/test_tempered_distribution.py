"""What tempering leaves stationary, against enumeration; and planted errors that the same numbers show.

Long runs from random states, averaged over time and compared by their scatter over independent
ladders. Planted errors fail the very numbers that the right code passes, by more than 8 sigma.
"""

from __future__ import annotations

import numpy as np
import pytest
from small_models import small
from tempered_models import (
    assert_agree,
    assert_detected,
    averages,
    by_slot,
    deviations,
    enumerated,
    spin_moments,
    tempered,
)

from physebm.backends.base import Lanes, LaneState
from physebm.model.energy import energy_derivatives
from physebm.sampling import tempering
from physebm.sampling.chain import PlanSampler
from physebm.theory.ising2d import torus_energy

RUN = {"discard": 80, "draws": 32, "every": 5}
COLD_TO_HOT = (0.7, 0.95, 1.3, 1.8, 2.6)


def glass_deviations():
    """Every ``s_i`` and ``s_i s_j`` of a spin glass of ten spins at every rung."""
    model = small("sk", temperatures=COLD_TO_HOT)
    rungs = len(COLD_TO_HOT)
    found = averages(*tempered(model, 128), lambda state: spin_moments(state, rungs), **RUN)
    return deviations(found, enumerated(model)[0])


def test_every_rung_of_a_spin_glass_keeps_its_distribution():
    assert_agree(glass_deviations())


def test_every_rung_of_an_ising_torus_keeps_its_energy():
    betas = np.array([0.2, 0.35, 0.44, 0.55])
    model = small("ising_2d", temperatures=tuple(1 / betas), L=4, J=1.0, h=0.0)
    sampler, state = tempered(model, 128, every=2)
    found = averages(sampler, state, lambda state: by_slot(state, state.energies[:, 0], 4) / 16, **RUN)
    assert_agree(deviations(found, torus_energy(betas, 4)))


def upper_walker_alone(c_rt, row, E_lt, lane_of, lower):
    """Planted: ``u_a(x_a) - u_b(x_a)`` is missing."""
    difference = c_rt[row[lower + 1]] - c_rt[row[lower]]
    return np.exp(np.minimum(np.einsum("pt,pt->p", difference, E_lt[lane_of[lower + 1]]), 0.0))


def always(c_rt, row, E_lt, lane_of, lower):
    """Planted: exchanges are made whatever they cost."""
    return np.ones(len(lower))


@pytest.mark.parametrize("planted", [upper_walker_alone, always])
def test_a_missing_factor_of_the_exchange_is_detected(monkeypatch, planted):
    monkeypatch.setattr(tempering, "acceptance", planted)
    assert_detected(glass_deviations())


def memory_deviations():
    """Energies and spin pairs of Hopfield's bipartite form against the enumerated Hopfield model."""
    temperatures, N, P = (0.4, 0.6, 0.9, 1.3), 8, 4
    joint = small("hopfield_gaussian", temperatures=temperatures, N=N, P=P)
    plain = small("hopfield", temperatures=temperatures, N=N, P=P)
    assert (joint.params.arrays["xi"] == plain.params.arrays["xi"]).all()
    moments, energy, _ = enumerated(plain)
    exact = np.concatenate([energy[:, None] / N - P / (2 * N), moments[:, N:]], axis=1)
    sampler, state = tempered(joint, 128)
    rows, coefficients = sampler.ladders.row, joint.launch.coefficients

    def measure(state):
        E_lt = state.energies[state.lane_of]
        first, _ = energy_derivatives(joint.hamiltonian, coefficients, E_lt, rows)
        return np.concatenate([first.reshape(-1, 4, 1) / N, spin_moments(state, 4)[..., N:]], axis=2)

    return deviations(averages(sampler, state, measure, **RUN | {"draws": 50}), exact)


def test_exchanges_count_priors_that_depend_on_the_temperature():
    """``hopfield_gaussian`` has E = that of hopfield - P/(2N): its z_mu have variance T."""
    assert_agree(memory_deviations())


def test_exchanges_by_beta_times_the_energy_alone_are_detected(monkeypatch):
    right = tempering.acceptance

    def without_the_prior(c_rt, row, E_lt, lane_of, lower):
        return right(c_rt * [1.0, 0.0], row, E_lt, lane_of, lower)

    monkeypatch.setattr(tempering, "acceptance", without_the_prior)
    assert_detected(memory_deviations())


def cross_deviations(shared_words):
    """``<q^2>`` between all pairs of rungs of one ladder, whose walkers are independent."""
    model = small("sk", temperatures=COLD_TO_HOT, h=0.0)
    a, b = np.triu_indices(len(COLD_TO_HOT), 1)

    def measure(state):
        s = by_slot(state, state.configurations.x["s"], len(COLD_TO_HOT)).astype(np.float64)
        return (s[:, a] * s[:, b]).mean(axis=-1) ** 2

    found = averages(*tempered(model, 128, shared_words=shared_words), measure, **RUN)
    pairs = enumerated(model)[2]
    return deviations(found, (pairs[a] * pairs[b]).mean(axis=(1, 2)))


def test_walkers_of_one_ladder_are_independent():
    assert_agree(cross_deviations(shared_words=False))


def test_random_numbers_shared_by_the_temperatures_of_a_sample_are_detected():
    assert_detected(cross_deviations(shared_words=True))


@pytest.mark.parametrize("name", ["ising_2d", "sk", "hopfield_gaussian"])
def test_a_walker_led_alone_along_the_rungs_that_it_visited_has_the_same_bits(name):
    """Compiled running fields, thresholds and words belong to the walker; only its rung moves."""
    model = small(name, temperatures=(0.8, 1.1, 1.5, 2.0))
    sampler, state = tempered(model, 3)
    walker, key = state.lanes.walker.copy(), state.lanes.key.copy()
    first, visited = state.configurations.copy(), []
    for _ in range(40):
        visited.append(state.lanes.rung.copy())
        state = sampler.step(state, 1)
    assert (state.lanes.walker == walker).all() and (state.lanes.key == key).all()
    assert all(len(np.unique(lane)) > 1 for lane in np.transpose(visited))
    for lane in (0, 5, 11):
        part = slice(lane, lane + 1)
        lanes = Lanes(np.zeros(1), visited[0][part], walker[part], key[part])
        alone = PlanSampler(model.kernels(), model.launch)
        chain = alone.init(LaneState({k: x[part].copy() for k, x in first.x.items()}), lanes)
        for rungs in visited:
            chain.lanes.rung[:] = rungs[lane]
            chain = alone.step(chain, 1)
        for group, x in state.configurations.x.items():
            assert x[part].tobytes() == chain.configurations.x[group].tobytes()


def test_backends_make_the_same_exchanges_of_an_integer_model():
    model = small("ising_2d", temperatures=(1.5, 2.0, 2.5, 3.0), L=4, J=1.0, h=0.0)
    numba, reference = (
        sampler.step(state, 30)
        for sampler, state in (tempered(model, 4, backend=name) for name in ("numba", "reference"))
    )
    assert numba.exchanged.sum() > 0
    assert (numba.lane_of == reference.lane_of).all()
    assert (numba.accepted == reference.accepted).all()
    assert (numba.configurations.x["s"] == reference.configurations.x["s"]).all()

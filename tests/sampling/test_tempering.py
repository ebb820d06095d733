"""Tempering exchanges at the exact rate, keeps every rung's distribution, and loses no bit.

Ladders are independent of each other and start in exact samples, so every standard error below is the
scatter over ladders, with no autocorrelation time in it. Seeds are pinned; over fresh ones the family
of each statistical test would fail once in some 10^3.
"""

import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from scipy.special import gammaln
from small_models import small

from physebm.backends.base import Lanes, LaneState
from physebm.model import energy
from physebm.rng.philox import philox4x32, uniform
from physebm.rng.streams import Purpose, last_word
from physebm.sampling import tempering
from physebm.sampling.chain import ChainState, PlanSampler
from physebm.sampling.tempering import Ladders, ParallelTempering, acceptance, flow, mean_acceptance

REFERENCE = json.loads((Path(__file__).parents[1] / "reference/replica_exchange.json").read_text())
SIGMAS = 4.0


def tempered(model, rows, backend="reference", every=1, instance=0, seed=11, key=None, chain=None):
    """Sampler and lanes of one ladder per list of rows, ladder l being chain l."""
    chain = np.arange(len(rows)) if chain is None else np.asarray(chain)
    key = np.broadcast_to([seed, 77], (len(rows), 2)) if key is None else np.asarray(key)
    ladders = Ladders.of([np.asarray(r) for r in rows], key, chain)
    sampler = ParallelTempering(
        PlanSampler(model.kernels(backend), model.launch),
        ladders,
        model.launch.coefficients,
        every,
    )
    which = ladders.ladder
    lanes = Lanes(
        np.broadcast_to(instance, len(rows))[which],
        np.zeros(len(which)),
        1000 * ladders.chain[which] + ladders.position,
        ladders.key[which],
    )
    return sampler, lanes


def table(name, **match):
    return next(
        entry
        for entry in REFERENCE["data"][name]
        if all(entry[key] == value for key, value in match.items())
    )


@cache
def torus():
    """All states of the 4 x 4 Ising torus and their energies, from the bonds alone."""
    bits = (np.arange(2**16)[:, None] >> np.arange(16)) & 1
    s = (2 * bits - 1).astype(np.int8)
    grid = s.reshape(-1, 4, 4).astype(np.int64)
    bonds = grid * np.roll(grid, 1, axis=1) + grid * np.roll(grid, 1, axis=2)
    return s, -bonds.sum(axis=(1, 2))


def torus_ladders(count, every=1):
    """Tempered 4 x 4 tori in exact samples at every rung; `betas` as in the reference."""
    betas = np.array(table("ising2d", L=4)["betas"])
    model = small("ising_2d", temperatures=tuple(1 / betas), L=4, J=1.0, h=0.0)
    sampler, lanes = tempered(model, [np.arange(len(betas))] * count, every=every)
    states, E = torus()
    rng = np.random.default_rng(4)
    x = np.empty((count, len(betas), 16), dtype=np.int8)
    for k, beta in enumerate(betas):
        p = np.exp(-beta * (E - E.min()))
        x[:, k] = states[rng.choice(len(p), count, p=p / p.sum())]
    return betas, sampler, sampler.init(LaneState({"s": x.reshape(-1, 16)}), lanes)


def sigmas_of_rungs(rungs_state, betas) -> np.ndarray:
    """Deviations from enumeration in standard errors: ``E`` and ``m^2`` of every rung."""
    states, E = torus()
    x = rungs_state.configurations.x["s"][rungs_state.lane_of].reshape(-1, len(betas), 16)
    found = rungs_state.energies[rungs_state.lane_of].sum(axis=1).reshape(-1, len(betas))
    deviations = []
    for values, samples in ((E, found), (states.mean(axis=1) ** 2, x.mean(axis=2) ** 2)):
        for k, beta in enumerate(betas):
            p = np.exp(-beta * (E - E.min()))
            p /= p.sum()
            mean = p @ values
            error = np.sqrt((p @ values**2 - mean**2) / len(samples))
            deviations.append((samples[:, k].mean() - mean) / error)
    return np.array(deviations)


def rates_agree(state, ladders, exact):
    """Mean acceptance of every pair against exact values, errors from the scatter over ladders."""
    rungs = len(exact) + 1
    accepted = state.accepted.reshape(-1, rungs)[:, :-1]
    rate = accepted / state.attempts.reshape(-1, rungs)[:, :-1]
    error = rate.std(axis=0, ddof=1) / np.sqrt(len(rate))
    assert error.max() < 0.012
    np.testing.assert_array_less(np.abs(rate.mean(axis=0) - exact), SIGMAS * error)
    # as many exchanges are made as the acceptance probabilities say
    lower = ~ladders.last
    excess = (state.exchanged - state.accepted)[lower].sum()
    assert abs(excess) < SIGMAS * np.sqrt(state.attempts[lower].sum() / 4)


def test_ising_exchanges_at_the_exact_rate_and_every_rung_keeps_its_distribution():
    betas, sampler, state = torus_ladders(3000)
    state = sampler.step(state, 10)
    assert np.abs(sigmas_of_rungs(state, betas)).max() < SIGMAS
    rates_agree(state, sampler.ladders, table("ising2d", L=4)["acceptance"])


def test_exchanges_that_are_rarer_than_sweeps_keep_the_distribution_too():
    betas, sampler, state = torus_ladders(3000, every=3)
    state = sampler.step(state, 8)
    assert state.attempts[:5].sum() == 4
    assert np.abs(sigmas_of_rungs(state, betas)).max() < SIGMAS


def one_energy(c_rt, row, E_lt, lane_of, lower):
    """Planted: exp[u_a(x_a) - u_b(x_a)], the other walker forgotten."""
    difference = c_rt[row[lower]] - c_rt[row[lower + 1]]
    return np.exp(np.minimum(np.einsum("pt,pt->p", difference, E_lt[lane_of[lower]]), 0.0))


def no_factor(c_rt, row, E_lt, lane_of, lower):
    """Planted: exchanges without a question."""
    return np.ones(len(lower))


def wrong_sign(c_rt, row, E_lt, lane_of, lower):
    """Planted: the swap of the other sign."""
    return acceptance(-c_rt, row, E_lt, lane_of, lower)


@pytest.mark.parametrize("planted", [one_energy, no_factor, wrong_sign])
def test_a_wrong_swap_factor_is_detected(planted, monkeypatch):
    monkeypatch.setattr(tempering, "acceptance", planted)
    betas, sampler, state = torus_ladders(3000)
    state = sampler.step(state, 10)
    assert np.abs(sigmas_of_rungs(state, betas)).max() > 8


def test_larger_ising_tori_exchange_at_the_exact_rate_after_thermalising():
    exact = table("ising2d", L=8)
    betas = np.array(exact["betas"])
    model = small("ising_2d", temperatures=tuple(1 / betas), L=8, J=1.0, h=0.0)
    sampler, lanes = tempered(model, [np.arange(len(betas))] * 800, "numba")
    state = sampler.init(model.random_state(lanes), lanes)
    state = tempering.reset(sampler.step(state, 400))
    rates_agree(sampler.step(state, 60), sampler.ladders, exact["acceptance"])


def test_curie_weiss_exchanges_at_the_exact_rate():
    exact = table("curie_weiss", N=64)
    betas, N, count = np.array(exact["betas"]), 64, 1600
    model = small("curie_weiss", temperatures=tuple(1 / betas), N=N, h=0.0)
    sampler, lanes = tempered(model, [np.arange(len(betas))] * count, "numba")
    rng = np.random.default_rng(8)
    up = np.arange(N + 1)
    x = np.empty((count, len(betas), N), dtype=np.int8)
    for k, beta in enumerate(betas):
        log_p = -gammaln(up + 1) - gammaln(N - up + 1) + beta * (2 * up - N) ** 2 / (2 * N)
        p = np.exp(log_p - log_p.max())
        ordered = np.arange(N) < rng.choice(up, count, p=p / p.sum())[:, None]
        x[:, k] = 2 * rng.permuted(ordered, axis=1) - 1
    state = sampler.init(LaneState({"s": x.reshape(-1, N)}), lanes)
    rates_agree(sampler.step(state, 12), sampler.ladders, exact["acceptance"])


@pytest.mark.parametrize("name", ["hopfield_gaussian", "rbm_truncated_gaussian_hidden", "rbm"])
def test_normalising_constants_of_rungs_cancel(name):
    """The swap by term energies is that of the whole reduced potential, priors included."""
    model = small(name, temperatures=(0.7, 1.3, 2.9))
    sampler, lanes = tempered(model, [[0, 1, 2]] * 8)
    state = sampler.step(sampler.init(model.random_state(lanes), lanes), 3)
    u = energy.reduced_potential(
        model.hamiltonian,
        model.params,
        model.launch.coefficients,
        state.configurations.x,
        lanes.instance,
    )
    lower = np.flatnonzero(~sampler.ladders.last)
    row, walker = sampler.ladders.row, state.lane_of
    a, b, xa, xb = row[lower], row[lower + 1], walker[lower], walker[lower + 1]
    whole = np.exp(np.minimum(u[xa, a] + u[xb, b] - u[xb, a] - u[xa, b], 0.0))
    swap = acceptance(model.launch.coefficients.value, row, state.energies, walker, lower)
    np.testing.assert_allclose(swap, whole, rtol=1e-5)
    assert 1e-6 < swap.min() < 0.9


def test_swap_keeps_each_replica_on_its_own_stream():
    """Between equal rungs every exchange is made, and no walker's trajectory notices."""
    model = small("sk", temperatures=(1.1,) * 4)
    sampler, lanes = tempered(model, [np.arange(4)] * 5)
    alone = PlanSampler(model.kernels("reference"), model.launch)
    still = Lanes(lanes.instance, sampler.ladders.row, lanes.walker, lanes.key)
    x = model.random_state(lanes)
    walker, key = lanes.walker.copy(), lanes.key.copy()
    state = sampler.step(sampler.init(x.copy(), lanes), 9)
    apart = alone.step(alone.init(x, still), 9)
    assert np.array_equal(state.configurations.x["s"], apart.configurations.x["s"])
    assert np.array_equal(state.lanes.walker, walker) and np.array_equal(state.lanes.key, key)
    assert not np.array_equal(state.lanes.rung, sampler.ladders.row)
    assert np.array_equal(state.exchanged, state.attempts)


def ragged(model, **options):
    rows = [np.arange(5), [2], [4, 3], [0, 2, 4], np.arange(5)]
    return tempered(model, rows, **options)


@pytest.mark.parametrize("name", ["ising_2d", "sk", "hopfield_gaussian"])
@pytest.mark.parametrize("every", [1, 3])
def test_a_step_may_be_cut_anywhere(name, every):
    model = small(name, temperatures=(0.8, 1.0, 1.3, 1.7, 2.5))
    whole, lanes = ragged(model, every=every)
    x = model.random_state(lanes)
    a = whole.step(whole.init(x.copy(), lanes), 17)
    cut, lanes = ragged(model, every=every)
    b = cut.init(x.copy(), lanes)
    for sweeps in (1, 4, 2, 0, 7, 3):
        b = cut.step(b, sweeps)
    assert a.sweep == b.sweep == 17
    assert_same_bits(cut, a, b)
    assert a.exchanged.sum() > 0


def assert_same_bits(sampler, a, b):
    for name in a.configurations.x:
        assert np.array_equal(a.configurations.x[name], b.configurations.x[name])
    assert np.array_equal(a.energies, b.energies) and np.array_equal(a.lanes.rung, b.lanes.rung)
    first, second = sampler.checkpoint(a), sampler.checkpoint(b)
    for name, values in first.items():
        assert np.array_equal(values, second[name]), name


def test_a_checkpoint_continues_with_the_same_bits():
    model = small("ising_2d", temperatures=(1.5, 2.0, 2.3, 3.0, 4.0))
    sampler, lanes = ragged(model)
    x = model.random_state(lanes)
    whole = sampler.step(sampler.init(x.copy(), lanes), 6)
    saved = {name: values.copy() for name, values in sampler.checkpoint(whole).items()}
    half = whole.configurations.copy()
    whole = sampler.step(whole, 7)

    again, lanes = ragged(model)
    resumed = again.init(half, lanes)
    resumed.sweep = 6
    again.restore(resumed, saved)
    assert_same_bits(sampler, whole, again.step(resumed, 7))


def test_labels_are_always_a_permutation_within_each_ladder():
    model = small("sk", temperatures=(0.9, 1.1, 1.4, 1.9, 2.5))
    sampler, lanes = ragged(model)
    state = sampler.init(model.random_state(lanes), lanes)
    ladders = sampler.ladders
    met = set()
    for _ in range(40):
        state = sampler.step(state, 1)
        met.add(tuple(state.lane_of))
        assert np.array_equal(state.lanes.rung[state.lane_of], ladders.row)
        for ladder in range(5):
            slots = np.flatnonzero(ladders.ladder == ladder)
            assert sorted(state.lane_of[slots]) == list(slots)
    assert len(met) > 20


def test_ragged_ladders_try_even_and_odd_pairs_in_turn_and_never_across():
    ladders = Ladders.of([[0, 1, 2, 3, 4], [7], [5, 6], [0, 1, 2]], np.zeros((4, 2)), np.arange(4))
    assert ladders.pairs(0).tolist() == [0, 2, 6, 8]
    assert ladders.pairs(1).tolist() == [1, 3, 9]
    assert np.flatnonzero(ladders.last).tolist() == [4, 5, 7, 10]
    assert [end.tolist() for end in ladders.ends] == [[0, 6, 8], [4, 7, 10]]


def test_a_ladder_does_not_feel_what_else_is_in_the_batch():
    """Samples of disorder with ladders of their own: alone and among others, equal bits."""
    model = small("sk", temperatures=(0.9, 1.1, 1.4, 1.9, 2.5), instances=3)
    rows = [[0, 2, 4], np.arange(5), [1, 2]]
    keys, chains, instances = [[5, 6], [7, 8], [7, 8]], [0, 0, 1], [2, 0, 1]
    sampler, lanes = tempered(model, rows, instance=instances, key=keys, chain=chains)
    x = model.random_state(lanes)
    together = sampler.step(sampler.init(x.copy(), lanes), 12)
    for ladder in range(3):
        alone, lanes = tempered(
            model,
            rows[ladder : ladder + 1],
            instance=instances[ladder],
            key=keys[ladder : ladder + 1],
            chain=chains[ladder : ladder + 1],
        )
        held = np.flatnonzero(sampler.ladders.ladder == ladder)
        state = alone.step(alone.init(LaneState({"s": x.x["s"][held]}), lanes), 12)
        assert np.array_equal(state.configurations.x["s"], together.configurations.x["s"][held])
        assert np.array_equal(state.lane_of + held[0], together.lane_of[held])
        assert np.array_equal(state.accepted, together.accepted[held])


def test_the_word_of_a_swap_is_addressed_by_key_position_chain_and_round():
    model = small("sk", temperatures=(0.9, 1.1, 1.4, 1.9, 2.5))
    sampler, lanes = tempered(model, [np.arange(5)] * 20, key=[[l, 3 * l] for l in range(20)])
    state = sampler.step(sampler.init(model.random_state(lanes), lanes), 1)
    for slot in np.flatnonzero(state.attempts):
        l, k = sampler.ladders.ladder[slot], sampler.ladders.position[slot]
        word = philox4x32(k, l, 1, last_word(Purpose.SWAP), l, 3 * l)[0]
        assert k % 2 == 1
        assert state.exchanged[slot] == (uniform(word) < state.accepted[slot])
    assert 0 < state.exchanged.sum() < state.attempts.sum()


class Still:
    """An inner sampler that moves nothing."""

    def __init__(self, energies):
        self.energies = np.asarray(energies, dtype=float)

    def init(self, configurations, lanes):
        return ChainState(configurations, lanes, 0, self.energies)

    def step(self, state, sweeps):
        return replace(state, sweep=state.sweep + sweeps)


def still(lengths, coefficients=None):
    """Ladders of unmoving walkers between equal rungs, where every exchange is made."""
    count = sum(lengths)
    model = small("sk", temperatures=(1.0,) * max(lengths))
    ladders = Ladders.of([np.arange(n) for n in lengths], np.zeros((len(lengths), 2)), lengths)
    sampler = ParallelTempering(Still(np.zeros((count, 1))), ladders, model.launch.coefficients)
    lanes = Lanes(np.zeros(count), np.zeros(count), np.zeros(count), np.zeros((count, 2)))
    return sampler, sampler.init(LaneState({}), lanes)


def test_round_trips_of_a_walk_made_by_hand():
    """Three walkers pushed through three rungs; only first, last, first is a trip."""
    sampler, state = still([3])
    history = [
        # order of walkers on rungs, trips of walkers 0, 1, 2
        ([0, 1, 2], [0, 0, 0]),  # 0 starts at the first rung, 2 at the last: its return is no trip
        ([1, 0, 2], [0, 0, 0]),
        ([1, 2, 0], [0, 0, 0]),  # 0 at the last
        ([2, 1, 0], [0, 0, 0]),  # 2 at the first, for the first time: half a trip
        ([2, 0, 1], [0, 0, 0]),
        ([0, 2, 1], [1, 0, 0]),  # 0 back: one trip
        ([0, 2, 1], [1, 0, 0]),  # staying counts once
        ([0, 1, 2], [1, 0, 0]),
        ([1, 0, 2], [1, 1, 0]),  # 1: first, last, first
        ([2, 0, 1], [1, 1, 1]),  # 2: first, last, first
        ([0, 2, 1], [1, 1, 1]),  # 0 turned before the last rung: no trip
    ]
    for order, trips in history:
        state.lane_of[:] = order
        sampler._count_trips(state)
        assert state.trips.tolist() == trips, order
    # walkers 0, 1, 2 were at the middle rung in rounds where they came from first or last
    middle = [order[1] for order, _ in history]
    assert middle == [1, 0, 2, 1, 0, 2, 2, 1, 0, 0, 2]
    # came from:  -  first hot first hot first first hot first first first
    assert state.visits.tolist() == [11, 10, 11]
    assert state.flow.tolist() == [11, 7, 0]
    np.testing.assert_allclose(flow(state), [1, 0.7, 0])


def test_without_rejection_walkers_cross_the_ladder_without_turning_back():
    """Even-odd exchanges carry each walker one rung per round: 2 n rounds per round trip."""
    sampler, state = still([6, 4])
    state = sampler.step(state, 12 * 20)
    assert set(state.trips[:6]) <= {19, 20} and state.trips[:6].max() == 20
    assert set(state.trips[6:]) <= {29, 30}
    np.testing.assert_allclose(flow(state)[[0, 5, 6, 9]], [1, 0, 1, 0])
    assert np.all(mean_acceptance(state)[~sampler.ladders.last] == 1)
    assert np.all(np.isnan(mean_acceptance(state)[sampler.ladders.last]))


def test_a_ladder_of_one_rung_makes_no_trips():
    sampler, state = still([1, 3])
    state = sampler.step(state, 30)
    assert state.trips[0] == 0 and np.isnan(flow(state)[0])
    assert state.trips[1:].min() > 0


def test_reset_forgets_statistics_but_not_places():
    sampler, state = still([4])
    state = sampler.step(state, 5)
    fresh = tempering.reset(state)
    assert np.array_equal(fresh.lane_of, state.lane_of) and fresh.sweep == 5
    assert not any(
        values.any() for name, values in sampler.checkpoint(fresh).items() if name != "lane_of"
    )
    assert state.attempts.any()


def test_a_ladder_over_two_samples_of_disorder_is_refused():
    model = small("sk", temperatures=(1.0, 2.0), instances=2)
    sampler, lanes = tempered(model, [[0, 1], [0, 1]], instance=[0, 1])
    x = model.random_state(lanes)
    sampler.init(x.copy(), lanes)
    lanes.instance = np.array([0, 1, 1, 1])
    with pytest.raises(ValueError, match="share one instance"):
        sampler.init(x, lanes)
    with pytest.raises(ValueError, match="3 walkers for 4 rungs"):
        sampler.init(x, Lanes(np.zeros(3), np.zeros(3), np.zeros(3), np.zeros((3, 2))))
    with pytest.raises(ValueError, match="1 or more"):
        ParallelTempering(sampler.inner, sampler.ladders, sampler.coefficients, 0)

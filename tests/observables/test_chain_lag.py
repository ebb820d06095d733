"""The lag of persistent chains, where it is known: moving Gaussians and small Markov chains."""

import numpy as np
import pytest
from observables_series import ar1, tau_of

from physebm.observables.chain_lag import (
    LARGE_LAG,
    SMALL_LAG,
    Following,
    Shift,
    chain_lag,
    frozen_shift,
    training_tau,
)
from physebm.observables.reweighting import effective_sample_size


@pytest.mark.parametrize("rho", [0.3, 0.9, 0.99])
@pytest.mark.parametrize("sweeps", [1, 3, 10])
@pytest.mark.parametrize("speed", [0.01, 0.5, 2.0])
@pytest.mark.parametrize("updates", [1, 4])
def test_the_lag_behind_a_moving_gaussian_is_exact(rho, sweeps, speed, updates):
    """Target N(v t, 1), AR(1) chain: the chains' mean obeys d -> rho^k (d - v)."""
    behind = 0.0
    for _ in range(20_000):
        behind = rho**sweeps * (behind - speed)
    # u_new - u_old is Gaussian of variance (m v)^2: E[w]^2/E[w^2] = exp(-(m v)^2).
    ess = np.exp(-((updates * speed) ** 2))
    found = chain_lag(tau_of(rho), sweeps, ess, updates=updates)
    assert np.isclose(found.lag, -behind, rtol=1e-9)
    assert np.isclose(found.memory, rho**sweeps, rtol=1e-12)
    assert np.isclose(found.divergence, speed**2, rtol=1e-9)


def test_a_measured_lag_agrees_with_the_chains_that_were_run():
    """The whole way: chains that follow, their weights, their tau, and the lag they are caught at."""
    rng = np.random.default_rng(81)
    rho, sweeps, speed, chains = 0.9, 2, 0.05, 4000
    x, target = rng.normal(size=chains), 0.0
    recorded = np.empty((400, chains))
    for update in range(400):
        recorded[update] = x
        target += speed
        for _ in range(sweeps):
            x = target + rho * (x - target) + np.sqrt(1 - rho**2) * rng.normal(size=chains)
    expected = speed * rho**sweeps / (1 - rho**sweeps)
    # u = (x - target)^2 / 2 before and after one more update, over the chains as they are.
    log_w = -((x - target - speed) ** 2 - (x - target) ** 2) / 2
    ess = effective_sample_size(log_w) / chains
    tau = training_tau(recorded[100:])
    assert tau.reliable and abs(tau.tau - tau_of(rho**sweeps)) < 4 * tau.stderr
    assert tau.stderr < 0.03 * tau.tau
    assert np.isclose(chain_lag(tau.tau, 1, ess).lag, expected, rtol=0.08)
    assert np.isclose(chain_lag(tau_of(rho), sweeps, ess).lag, expected, rtol=0.05)

    frozen = np.empty((chains, 200))
    for draw in range(200):
        frozen[:, draw] = x
        x = target + rho * (x - target) + np.sqrt(1 - rho**2) * rng.normal(size=chains)
    shift = frozen_shift(frozen)
    assert abs(shift.value + expected) < 4 * shift.stderr and shift.stderr < 0.02


@pytest.mark.parametrize("memory", [0.2, 0.9, 0.98])
def test_noise_of_updates_is_overestimated_as_stated_and_averages_out(memory):
    """A target that walks at random with steps of size s: rms lag s M / sqrt(1 - M^2)."""
    s = 0.1
    square = 0.0
    for _ in range(5000):
        square = memory**2 * (square + s**2)
    walk = np.sqrt(square)
    assert np.isclose(walk, s * memory / np.sqrt(1 - memory**2), rtol=1e-9)
    tau = tau_of(memory)
    one = chain_lag(tau, 1, np.exp(-(s**2))).lag
    assert np.isclose(one / walk, np.sqrt((1 + memory) / (1 - memory)), rtol=1e-9)
    span = 1 / (1 - memory)
    many = chain_lag(tau, 1, np.exp(-span * s**2), updates=span).lag
    assert 1.0 <= many / walk < 1.45


def transitions(u):
    """Random-site heat bath on the 2^n states of n spins with reduced potential u: reversible."""
    n = int(np.log2(len(u)))
    states = np.arange(len(u))
    P = np.zeros((len(u), len(u)))
    for site in range(n):
        flipped = states ^ (1 << site)
        move = 1 / (1 + np.exp(u[flipped] - u))
        P[states, flipped] += move / n
        P[states, states] += (1 - move) / n
    return P


def following(u, drift, size, sweeps, updates):
    """g of the chains' exact distribution p (1 + g), and p, after steady drift of the potential."""
    p = np.exp(-u) / np.exp(-u).sum()
    chains = p.copy()
    for _ in range(updates):
        u = u + size * drift
        P = transitions(u)
        for _ in range(sweeps):
            chains = chains @ P
    p = np.exp(-u) / np.exp(-u).sum()
    return chains / p - 1, p


@pytest.mark.parametrize("sweeps", [1, 5])
def test_the_lag_bounds_every_average_of_a_small_spin_system(sweeps):
    rng = np.random.default_rng(82)
    u = 1.5 * rng.normal(size=16)
    p = np.exp(-u) / np.exp(-u).sum()
    root = np.sqrt(p)
    symmetric = transitions(u) * root[:, None] / root
    values, vectors = np.linalg.eigh((symmetric + symmetric.T) / 2)
    slowest, size = values[-2], 1e-6
    for drift in (*rng.normal(size=(4, 16)), vectors[:, -2] / root, vectors[:, -5] / root):
        drift = drift - p @ drift
        drift = drift / np.sqrt(p @ drift**2)
        w = np.exp(-size * drift)
        ess = (p @ w) ** 2 / (p @ w**2)
        found = chain_lag(tau_of(slowest), sweeps, ess)
        g, now = following(u, drift, size, sweeps, int(40 / (1 - slowest**sweeps)))
        distance = np.sqrt(now @ g**2)
        # Terms of second order and the rounding of 1 - ess = 1e-12 (one part in 1e4).
        assert distance <= found.lag * 1.001
        for observable in rng.normal(size=(20, 16)):
            sd = np.sqrt(now @ observable**2 - (now @ observable) ** 2)
            assert abs((now * g) @ observable) <= found.lag * sd * 1.001
        if np.allclose(np.abs(drift), np.abs(vectors[:, -2] / root)):
            assert np.isclose(distance, found.lag, rtol=1e-3)  # the slowest mode reaches it
        else:
            assert distance < 0.9 * found.lag


def test_the_verdict_has_the_stated_thresholds():
    tau, sweeps = tau_of(0.5), 1  # memory 1/2: lag = s
    lags = np.array([0.0, 0.99 * SMALL_LAG, 1.01 * SMALL_LAG, 0.99 * LARGE_LAG, 1.01 * LARGE_LAG])
    found = chain_lag(tau, sweeps, np.exp(-(lags**2)))
    assert np.allclose(found.lag, lags)
    assert found.code.tolist() == [0, 0, 1, 1, 2] and found.code.dtype == np.int8
    assert [m.split(";")[0] for m in found.message] == [
        "the chains follow the model",
        "the chains follow the model",
        "the chains lag behind the model",
        "the chains lag behind the model",
        "the chains do not follow the model",
    ]
    assert "0.99 standard deviations" in found.message[3]


def test_times_without_memory_and_without_end():
    assert chain_lag(3.0, 1, 1 + 1e-15).lag == 0.0
    found = chain_lag([0.3, 0.5, np.inf], 1, 0.5)
    assert found.lag.tolist() == [0.0, 0.0, np.inf] and found.memory.tolist() == [0.0, 0.0, 1.0]
    assert found.code.tolist() == [0, 0, 2]
    assert np.isclose(chain_lag(1e9, 10, np.exp(-1e-10)).lag, 1e-5 * 1e8, rtol=1e-6)  # s tau / k


def test_what_is_not_known_is_not_called_equilibrated():
    frozen = chain_lag(np.nan, 1, 1.0)
    assert frozen.code == Following.LAGGING and "not shown" in frozen.message[()]
    assert chain_lag(1.0, 5, np.nan).code == Following.LAGGING
    bound = chain_lag([1.0, 1.0], 5, 0.999, reliable=[True, False])
    assert bound.code.tolist() == [0, 1]
    assert "not shown" in bound.message[1] and "lower bound" in bound.message[1]
    assert "not shown" not in chain_lag(100.0, 5, 0.999, reliable=False).message[()]


def test_a_measured_shift_overrules_the_estimate():
    shift = Shift(
        np.array([[0.0, 0.2], [0.3, 0.0], [-2.0, 0.0], [np.nan, 0.0]]),
        np.array([[0.01, 0.04], [0.01, 0.01], [0.1, 0.01], [np.nan, 0.01]]),
    )
    found = chain_lag(0.5, 1, np.ones(4), shift=shift)
    assert found.code.tolist() == [0, 1, 2, 0]
    assert "0.26 standard deviations when training stops" in found.message[1]
    assert chain_lag(0.5, 1, 1.0, shift=Shift(shift.value[2], shift.stderr[2])).code == 2
    assert chain_lag(np.nan, 1, 1.0, shift=Shift(shift.value[2], shift.stderr[2])).code == 2


def test_the_tau_of_training_does_not_see_the_motion_of_the_model():
    x = ar1(np.random.default_rng(83), 0.8, (50, 2000)).T
    moving = x + np.linspace(0, 100, 2000)[:, None] + np.sin(np.arange(2000))[:, None]
    still, found = training_tau(x), training_tau(moving)
    assert np.isclose(still.tau, found.tau, rtol=1e-9)
    assert abs(found.tau - tau_of(0.8)) < 4 * found.stderr and found.stderr < 0.04 * found.tau
    stack = training_tau(np.stack([moving, x]))
    assert np.allclose(stack.tau, found.tau, rtol=1e-9)


def test_chains_in_different_valleys_lengthen_the_tau_of_training():
    x = ar1(np.random.default_rng(84), 0.5, (20, 1000)).T
    assert training_tau(x + np.where(np.arange(20) < 10, 3.0, -3.0)).tau > 20 * training_tau(x).tau


def test_the_shift_of_a_stationary_run_is_zero_within_its_error():
    x = ar1(np.random.default_rng(85), 0.7, (300, 40, 60))
    found = frozen_shift(x)
    z = found.value / found.stderr
    assert np.abs(z).max() < 4.5 and 0.5 < np.mean(z**2) < 1.6


def test_the_shift_of_relaxing_chains_is_their_known_offset():
    rho, start, draws = 0.9, 0.8, 400
    x = ar1(np.random.default_rng(86), rho, (2000, draws)) + start * rho ** np.arange(draws) + 5.0
    found = frozen_shift(x)
    assert abs(found.value - start) < 4 * found.stderr
    # x_0 and the mean of 200 draws, 2 tau = 19 of them alike: variance 1 + 19/200 per chain.
    assert np.isclose(found.stderr, np.sqrt((1 + 19 / 200) / 2000), rtol=0.1)


def test_a_shift_where_nothing_moves_is_undefined():
    still = frozen_shift(np.full((3, 10), 0.1))
    assert np.isnan(still.value) and np.isnan(still.stderr)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((-1.0, 1, 0.5), "tau = -1"),
        ((1.0, 0, 0.5), "sweeps = 0"),
        ((1.0, 1, 0.0), "ess_fraction = 0"),
        ((1.0, 1, [0.5, 1.1]), "ess_fraction = 1.1"),
        ((1.0, 1, 0.5), "updates = 0"),
    ],
)
def test_numbers_that_cannot_be_are_refused(arguments, said):
    with pytest.raises(ValueError, match=said):
        chain_lag(*arguments, updates=0 if "updates" in said else 1)


def test_series_that_are_too_small_are_refused():
    with pytest.raises(ValueError, match="chain >= 2"):
        training_tau(np.zeros((100, 1)))
    with pytest.raises(ValueError, match="draw >= 4"):
        frozen_shift(np.zeros((5, 3)))

"""What enumeration must satisfy by itself: derivatives, equivalent declarations, exact samples."""

from __future__ import annotations

import numpy as np
import pytest
from enumeration_models import cubic, fixed, group, model, plain
from scipy import stats
from scipy.special import logsumexp

from physebm.model.energy import reduced_potential
from physebm.model.terms import AllPairs, EdgeList, Field, LowRank, Many, Pair, Square
from physebm.theory import enumeration
from physebm.theory.enumeration import enumerate_states, sample_exact

RNG = np.random.default_rng(5)


def symmetric(n, *tail):
    J = RNG.normal(size=(n, n, *tail))
    J = J + J.transpose(1, 0, *((3, 2) if tail else ()))
    J[np.arange(n), np.arange(n)] = 0.0
    return J


def mixed(betas, *, integrated=()):
    """All priors at once, Gaussian units coupled to each other, and curved coefficients."""
    groups = [
        group("s", "ising", 3, visible=True),
        group("z", "gaussian", 2, integrated="z" in integrated),
        group("p", "potts", 2, q=3),
        group("b", "bernoulli", 2, integrated="b" in integrated),
        group("t", "truncated_gaussian", 2, integrated="t" in integrated),
        group("y", "gaussian", 1),
        group("o", "potts", 2, q=3, integrated="o" in integrated),
    ]
    rng = np.random.default_rng(8)
    arrays = {
        "J": np.array([[0, 0.5, -0.4], [0.5, 0, 0.9], [-0.4, 0.9, 0]]),
        "sz": rng.normal(size=(3, 2)),
        "zp": rng.normal(size=(2, 2, 3)),
        "sb": rng.normal(size=(3, 2)),
        "ts": rng.normal(size=(2, 3)),
        "zy": 0.2 * rng.normal(size=(2, 1)),
        "hp": rng.normal(size=(2, 3)),
        "po": rng.normal(size=(2, 2, 3, 3)),
        "v": np.array([0.7, 1.3]),
        "w": np.array([0.4, 0.8]),
    }
    terms = [
        (Pair("s", "s", AllPairs(), "J"), plain(0.7)),
        (Pair("s", "z", AllPairs(), "sz"), cubic(0.3)),
        (Pair("z", "p", AllPairs(), "zp", states=True), plain(0.4)),
        (Pair("s", "b", AllPairs(), "sb"), cubic(0.5)),
        (Pair("t", "s", AllPairs(), "ts"), plain(0.6)),
        (Pair("z", "y", AllPairs(), "zy"), cubic(0.5)),
        (Field("p", "hp"), plain(1.1)),
        (Pair("p", "o", AllPairs(), "po", states=True), cubic(0.4)),
        (Square("z", "v", inverse=True), plain()),
        (Square("t", "v", inverse=True), cubic(1.2)),
        (Square("y"), fixed(1.4)),
        (Square("z", "w"), cubic(0.6)),
        (Square("t", "w"), plain(0.5)),
        (Field("t"), plain(-0.8)),
        (Field("o"), plain(0.3)),
    ]
    return model(groups, terms, betas, arrays, {"t": [-0.3, 0.4]})


@pytest.mark.parametrize("integrated", [(), ("z",), ("t", "b"), ("z", "o")])
def test_energy_and_specific_heat_are_derivatives_of_log_z(integrated):
    beta, step = 0.9, 2e-3
    betas = beta + step * np.arange(-4, 5)
    exact = enumerate_states(*mixed(betas, integrated=integrated))
    f = exact.log_z
    # Eighth-order central differences.
    first = [1 / 280, -4 / 105, 1 / 5, -4 / 5, 0, 4 / 5, -1 / 5, 4 / 105, -1 / 280]
    second = [-1 / 560, 8 / 315, -1 / 5, 8 / 5, -205 / 72, 8 / 5, -1 / 5, 8 / 315, -1 / 560]
    assert exact.derivative[4] == pytest.approx(-(first @ f) / step, rel=1e-10)
    assert exact.curvature[4] == pytest.approx(second @ f / step**2, rel=2e-8)
    assert exact.energy[4] == pytest.approx(exact.derivative[4] / exact.hamiltonian.counted_units)


def test_integrating_a_layer_changes_no_average():
    betas = [0.4, 1.1]
    whole = enumerate_states(*mixed(betas))
    for integrated in (("z",), ("b", "o"), ("t", "z", "b", "o")):
        part = enumerate_states(*mixed(betas, integrated=integrated))
        for name in ("log_z", "derivative", "curvature", "order"):
            np.testing.assert_allclose(getattr(part, name), getattr(whole, name), rtol=1e-11)
        for a in "szpbtyo":
            np.testing.assert_allclose(part.mean(a), whole.mean(a), rtol=1e-10, atol=1e-13)
            for b in "szpbtyo":
                np.testing.assert_allclose(part.pair(a, b), whole.pair(a, b), rtol=1e-9, atol=1e-12)


def test_continuous_integrals_agree_with_quadrature_over_the_reduced_potential():
    groups = [group("s", "ising", 1), group("z", "gaussian", 1), group("t", "truncated_gaussian", 1)]
    terms = [
        (Pair("s", "z", AllPairs()), plain(0.8)),
        (Pair("s", "t", AllPairs()), cubic(0.7)),
        (Field("s"), plain(0.3)),
        (Square("z"), plain()),
        (Square("t"), cubic(1.3)),
    ]
    H, params, c = model(groups, terms, [0.7, 1.6], lower={"t": [-0.6]})
    exact = enumerate_states(H, params, c)
    x, wx = np.polynomial.legendre.leggauss(120)
    z, t = 14.0 * x, -0.6 + 7.0 * (x + 1.0)
    S, Z, T = np.meshgrid([-1, 1], z, t, indexing="ij")
    weight = (14.0 * wx[:, None] * 7.0 * wx[None, :])[None] * np.ones_like(S)
    state = {"s": S.reshape(-1, 1), "z": Z.reshape(-1, 1), "t": T.reshape(-1, 1)}
    u = reduced_potential(H, params, c, state)
    log_z = logsumexp(-u, b=weight.reshape(-1, 1), axis=0)
    np.testing.assert_allclose(exact.log_z, log_z, atol=1e-9)
    p = weight.reshape(-1, 1) * np.exp(-u - log_z)
    for a in "szt":
        np.testing.assert_allclose(exact.mean(a)[:, 0], p.T @ state[a][:, 0], atol=1e-9)
        for b in "szt":
            np.testing.assert_allclose(
                exact.pair(a, b)[:, 0, 0], p.T @ (state[a] * state[b])[:, 0], atol=1e-9
            )


def binary(n_ising, n_bernoulli, betas, jets):
    """Ising and Bernoulli units with every kind of term."""
    J, K = symmetric(n_bernoulli), RNG.normal(size=(n_ising,) * 3)
    edges = np.array([[0, 1, 2, 3], [1, 2, 3, n_bernoulli - 1]])
    groups = [group("s", "ising", n_ising), group("b", "bernoulli", n_bernoulli, visible=True)]
    arrays = {
        "xi": RNG.normal(size=(2, n_ising)),
        "J": J,
        "K": K,
        "W": RNG.normal(size=(n_ising, n_bernoulli)),
        "L": RNG.normal(size=2),
        "h": RNG.normal(size=n_bernoulli),
    }
    kinds = [
        LowRank("s", "xi"),
        Pair("b", "b", AllPairs(), "J"),
        Many("s", 3, AllPairs(), "K"),
        Pair("s", "b", AllPairs(), "W"),
        Many("b", 4, EdgeList("inline"), "L"),
        Field("b", "h"),
    ]
    return model(groups, list(zip(kinds, jets)), betas, arrays, edges={4: edges})


@pytest.mark.parametrize(
    "jets",
    [[plain(0.3)] * 6, [plain(0.2), cubic(0.3), plain(0.1), fixed(0.5), cubic(0.3), plain(0.4)]],
    ids=["tempering", "curved"],
)
@pytest.mark.parametrize("sizes", [(4, 5), (7, 8)])
def test_the_compiled_sum_equals_the_numpy_sum(jets, sizes, monkeypatch):
    declared = binary(*sizes, [0.2, 0.9, 2.5], jets)
    slow = enumerate_states(*declared)
    monkeypatch.setattr(enumeration, "STORED_STATES", 0)
    fast = enumerate_states(*declared)
    assert slow.probabilities is not None and fast.probabilities is None
    for name in ("log_z", "first", "second", "derivative", "order"):
        np.testing.assert_allclose(getattr(fast, name), getattr(slow, name), rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(fast.curvature, slow.curvature, rtol=1e-8, atol=1e-9)


def test_the_compiled_sum_does_not_depend_on_the_number_of_threads(monkeypatch):
    from physebm.native import enumerate as native

    declared = binary(9, 9, [0.2, 0.9], [plain(0.3)] * 6)
    two = enumerate_states(*declared)
    monkeypatch.setattr(native, "THREADS", 1)
    one = enumerate_states(*declared)
    assert two.probabilities is None
    for name in ("log_z", "first", "second", "derivative", "curvature", "order"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))


def test_chunks_of_states_add_up(monkeypatch):
    declared = mixed([0.4, 2.1])
    whole = enumerate_states(*declared)
    monkeypatch.setattr(enumeration, "CHUNK", 37)
    parts = enumerate_states(*declared)
    for name in ("log_z", "first", "second", "derivative", "curvature", "probabilities"):
        np.testing.assert_allclose(getattr(parts, name), getattr(whole, name), rtol=1e-10, atol=1e-13)


def test_exact_samples_follow_the_exact_distribution():
    """Chi-square over the states and Kolmogorov-Smirnov given the likeliest: false alarms 1e-6 each."""
    H, params, c = mixed([0.6, 1.2], integrated=("b", "z"))
    exact = enumerate_states(H, params, c)
    n = 60_000
    x = sample_exact(exact, n, (7, 9), rung=1)
    assert list(x) == [g.name for g in H.sampled]
    # z is integrated: with it and b gone, s, p and o are the enumerated units.
    index, base = np.zeros(n, dtype=int), 1
    for q, digit in ((2, (x["s"] + 1) // 2), (3, x["p"]), (3, x["o"])):
        for i in range(digit.shape[1]):
            index += base * digit[:, i].astype(int)
            base *= q
    p = exact.probabilities[1]
    counts = np.bincount(index, minlength=len(p))
    rare = n * p < 10
    observed = np.append(counts[~rare], counts[rare].sum())
    expected = np.append(n * p[~rare], n * p[rare].sum())
    assert stats.chisquare(observed, expected * n / expected.sum()).pvalue > 1e-6
    for name, power in (("y", 1), ("t", 1), ("y", 2), ("t", 2)):
        values = x[name].astype(float) ** power
        full = exact.mean(name)[1] if power == 1 else np.diagonal(exact.pair(name, name)[1])
        z = (values.mean(axis=0) - full) / (values.std(axis=0) / np.sqrt(n))
        assert np.abs(z).max() < 5.0
    assert np.all(x["t"] >= [-0.3, 0.4])


def test_a_truncated_unit_far_beyond_its_edge_is_drawn_from_an_exponential():
    # With theta = -1e4 and edge 0 the density is exp(-1e4 t) to within 1e-8.
    declared = model(
        [group("t", "truncated_gaussian", 1)],
        [(Square("t"), fixed()), (Field("t"), plain(-1e4))],
        [1.0],
        lower={"t": [0.0]},
    )
    t = sample_exact(enumerate_states(*declared), 4000, (1, 2))["t"][:, 0]
    assert stats.kstest(1e4 * t, "expon").pvalue > 1e-6


def test_samples_are_addressed_by_key_and_extend():
    exact = enumerate_states(*mixed([0.8]))
    short, long = sample_exact(exact, 10, (3, 4)), sample_exact(exact, 25, (3, 4))
    other = sample_exact(exact, 25, (3, 5))
    for name in short:
        np.testing.assert_array_equal(short[name], long[name][:10])
    assert any(np.any(long[name] != other[name]) for name in long)

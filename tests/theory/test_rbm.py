"""Machines of few modes: block sums, mean field and the instability, against independent numbers."""

import itertools
import json
from math import gamma, pi
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import brentq

from physebm.errors import InputError
from physebm.theory.rbm import block_distribution, gain, mean_field

RANK_1 = json.loads((Path(__file__).parents[1] / "reference" / "rbm_rank1.json").read_text())["data"]
RNG = np.random.Generator(np.random.PCG64(5))


def one_mode(w, N, M):
    """Couplings of one block of N units to M hidden ones with singular value w."""
    return np.full((1, M), w / np.sqrt(N * M))


def test_block_sums_are_enumeration():
    sizes, M = (3, 2, 1), 3
    W = RNG.normal(size=(3, M))
    spins = np.array(list(itertools.product((-1, 1), repeat=sum(sizes))))
    hidden = np.array(list(itertools.product((-1, 1), repeat=M)))
    full = np.repeat(W, sizes, axis=0)
    weight = np.exp(spins @ full @ hidden.T).sum(axis=1)
    found = block_distribution(W, sizes)
    assert found.log_z == pytest.approx(np.log(weight.sum()), rel=1e-13)
    p = weight / weight.sum()
    at = np.cumsum([0, *sizes])
    m = np.array([spins[:, at[b] : at[b + 1]].mean(axis=1) for b in range(3)])
    np.testing.assert_allclose(found.average(lambda x: x**2), (m**2) @ p, rtol=1e-12)
    np.testing.assert_allclose(found.average(np.abs), np.abs(m) @ p, rtol=1e-12)
    joint = np.zeros((4, 3, 2))
    np.add.at(joint, tuple(((m + 1) / 2 * np.array(sizes)[:, None]).round().astype(int)), p)
    np.testing.assert_allclose(found.probability, joint, rtol=1e-11)


@pytest.mark.parametrize("case", RANK_1["ising_ising"], ids=lambda case: f"w{case['w']}")
def test_one_mode_has_the_moments_of_the_double_sum(case):
    found = block_distribution(one_mode(case["w"], case["N"], case["M"]), [case["N"]])
    assert found.average(np.square)[0] == pytest.approx(case["m2_v"], rel=1e-11)


def test_the_transition_of_one_mode_is_that_of_infinite_range():
    """At w = 1 the Binder cumulant goes to ``1 - Gamma(1/4)^4 / (24 pi^2)``, as 1/sqrt N."""
    limit, off = 1.0 - gamma(0.25) ** 4 / (24.0 * pi**2), []
    for N in (256, 1024, 4096):
        found = block_distribution(one_mode(1.0, N, N), [N])
        m2, m4 = found.average(np.square)[0], found.average(lambda m: m**4)[0]
        off.append(1.0 - m4 / (3.0 * m2**2) - limit)
    assert abs(off[2]) < 0.004
    np.testing.assert_allclose([off[0] / off[1], off[1] / off[2]], 2.0, rtol=0.1)


@pytest.mark.parametrize("w", [0.9, 1.1, 1.5])
def test_mean_field_of_one_mode(w):
    """Both layers have N units and one magnetisation, ``m = tanh(w m)``."""
    N = 40
    W = np.full((N, N), w / N)
    m_v, m_h = mean_field(W, np.full(N, 0.8))
    m = brentq(lambda x: x - np.tanh(w * x), 0.1, 1.0) if w > 1 else 0.0
    np.testing.assert_allclose(m_v, m, atol=1e-10)
    np.testing.assert_allclose(m_h, m, atol=1e-10)
    assert gain(W) == pytest.approx(w, rel=1e-12)
    # the ordered state is stable where the other one is not
    assert gain(W, 1 - m_v**2, 1 - m_h**2) == pytest.approx(w * (1 - m**2), rel=1e-8)
    assert gain(W, 1 - m_v**2, 1 - m_h**2) < 1


def test_large_blocks_have_the_magnetisation_of_mean_field():
    """Of two modes with w = 1.4 and 0.6; the other mode fluctuates as ``1 / (n (1 - w^2))``."""
    off = []
    for scale in (1, 4):
        sizes, M = (200 * scale, 50 * scale), 30 * scale
        modes = np.linalg.qr(np.random.Generator(np.random.PCG64(1)).normal(size=(M, 2)))[0].T
        W = modes * np.array([[1.4], [0.6]]) / np.sqrt(sizes)[:, None]
        m_v, m_h = mean_field(np.repeat(W, sizes, axis=0), np.repeat([1.0, 0.0], sizes))
        exact = block_distribution(W, sizes).average(np.square)
        off.append(exact[0] - m_v[0] ** 2)
        variance = 1.0 / (1.0 - gain(np.repeat(W, sizes, axis=0)[sizes[0] :], 1.0, 1 - m_h**2) ** 2)
        assert exact[1] * sizes[1] == pytest.approx(variance, rel=0.1 / scale)
    assert m_v[0] ** 2 > 0.1
    assert abs(off[0]) < 2e-3 and abs(off[1]) < 3e-4


def test_the_gain_is_what_comes_back_from_a_sweep():
    """Its square is the largest eigenvalue of the derivative of the mean-field sweep."""
    W = 0.6 * RNG.normal(size=(7, 5))
    m_v, m_h = mean_field(W, np.ones(7))
    assert np.abs(m_v).max() > 0.3
    step = 1e-5

    def sweep(m):
        return np.tanh(W @ np.tanh(m @ W))

    columns = [(sweep(m_v + step * e) - sweep(m_v - step * e)) / (2 * step) for e in np.eye(7)]
    largest = np.abs(np.linalg.eigvals(np.array(columns).T)).max()
    assert gain(W, 1 - m_v**2, 1 - m_h**2) ** 2 == pytest.approx(largest, rel=1e-8)


def test_thresholds_of_the_priors():
    W = np.outer(np.ones(6), np.ones(4)) / np.sqrt(24)
    assert gain(W) == pytest.approx(1.0)
    assert gain(4.0 * W, 0.25, 0.25) == pytest.approx(1.0)
    assert gain(W / np.sqrt(0.3), 1.0, 0.3) == pytest.approx(1.0)


def test_held_units_stay_where_they_are():
    W = np.zeros((6, 6))
    W[:3, :3] = W[3:, 3:] = 2.0 / 3.0
    held = np.arange(6) >= 3
    m_v, m_h = mean_field(W, np.ones(6), held)
    assert (m_v[3:] == 0).all() and (m_h[3:] == 0).all() and m_v[0] > 0.9
    assert gain(W[3:], 1 - m_v[3:] ** 2, 1 - m_h**2) == pytest.approx(2.0)


def test_what_cannot_be_done_is_refused():
    with pytest.raises(InputError, match="at a transition"):
        mean_field(np.full((10, 10), 0.1), np.full(10, 0.5))
    with pytest.raises(InputError, match="one per row"):
        block_distribution(np.ones((2, 3)), [4])
    with pytest.raises(InputError, match="at most"):
        block_distribution(np.ones((3, 3)), [400, 400, 400])

"""Passes of the training of small machines: against plain sums, and the same bits for any sharing."""

import numpy as np
import pytest
from scipy.special import expit

from physebm.backends.numba_cpu.climb import BLOCK, sum_blocks
from physebm.native.row_nibbles import column_nibbles


@pytest.mark.parametrize("low", [0, -1])
@pytest.mark.parametrize(("rows", "units"), [(1, 16), (4, 5), (63, 64), (130, 37)])
def test_nibbles_hold_four_rows_of_a_unit(rows, units, low):
    rng = np.random.default_rng(rows)
    x = rng.choice(np.array([low, 1], np.int8), size=(rows + 9, units))
    chosen = rng.permutation(len(x))[:rows]
    N, total = np.full((40, units), 7, np.uint8), np.full(units, 7, np.int16)
    column_nibbles(N, total, x, chosen)
    bits = np.zeros((160, units), np.uint8)
    bits[:rows] = x[chosen] > 0
    assert np.array_equal(N, (bits.reshape(40, 4, units) << np.arange(4)[:, None]).sum(axis=1))
    assert np.array_equal(total, x[chosen].sum(axis=0))


@pytest.mark.parametrize("ising", [False, True])
@pytest.mark.parametrize("low", [0, -1])
@pytest.mark.parametrize(("n", "m"), [(64, 32), (37, 18), (17, 70)])
def test_blocks_hold_sums_over_samples_and_over_chains(n, m, low, ising):
    rng = np.random.default_rng(n)
    states = np.array([low, 1], np.int8)
    data, chains = rng.choice(states, size=(90, n)), rng.choice(states, size=(BLOCK + 30, n))
    rows, lanes = rng.permutation(90)[:61], rng.permutation(len(chains))[: BLOCK + 7]
    J = (0.5 * rng.normal(size=(n, m))).astype(np.float32)
    b = rng.normal(size=m).astype(np.float32)
    cuts = np.array([[0, 61], [61, 61 + BLOCK], [61 + BLOCK, 68 + BLOCK]])
    x = np.concatenate([data[rows], chains[lanes]]).astype(float)
    theta = x @ J.astype(float) + b
    p = np.tanh(theta) if ising else expit(theta)
    D, v, h = (np.full((3, *shape), np.nan, kind) for shape, kind in _room(n, m))
    given = cuts, data, rows, chains, lanes, low, ising, J, b
    sum_blocks(0, 3, *given, D, v, h)
    for block, (first, last) in enumerate(cuts):
        at = slice(first, last)
        np.testing.assert_allclose(D[block], x[at].T @ p[at], rtol=1e-5, atol=3e-4)
        assert np.array_equal(v[block], x[at].sum(axis=0))
        np.testing.assert_allclose(h[block], p[at].sum(axis=0), rtol=1e-5, atol=1e-4)
    D_2, v_2, h_2 = np.zeros_like(D), np.zeros_like(v), np.zeros_like(h)
    for begin, end in ((2, 3), (0, 2)):
        sum_blocks(begin, end, *given, D_2, v_2, h_2)
    assert np.array_equal(D_2, D) and np.array_equal(v_2, v) and np.array_equal(h_2, h)


def _room(n, m):
    return ((n, m), np.float32), ((n,), np.float64), ((m,), np.float64)

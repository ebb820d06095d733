"""Steps of dense sweeps with lanes side by side, against loops over units and lanes in float64."""

import numpy as np
import pytest

from physebm.backends.numba_cpu.vectors import decide, flips
from physebm.backends.numba_cpu.vectors.coupling_blocks import coupling_strips


def couplings(n: int, seed: int = 1) -> np.ndarray:
    J = np.triu(np.random.default_rng(seed).normal(size=(n, n)), 1).astype(np.float32)
    return J + J.T


def words(flags: np.ndarray) -> np.ndarray:
    """Words of 64 bits from ``flags[b, lane]``."""
    bits = np.uint64(1) << np.arange(len(flags), dtype=np.uint64)
    return np.sum(flags * bits[:, None], axis=0, dtype=np.uint64)


def rows_of(F: np.ndarray) -> np.ndarray:
    """``[lane, unit]`` from ``[strip, lane, column]``."""
    return F.transpose(1, 0, 2).reshape(F.shape[1], -1)


@pytest.mark.parametrize("n", [1, 63, 64, 130])
def test_strips_are_the_couplings_and_zeros(n):
    J = np.stack([couplings(n, seed) for seed in range(3)])
    strips = coupling_strips(J)
    blocks = -(-n // 64)
    assert strips.shape == (3, blocks, blocks, 64, 64)
    assert strips.ctypes.data % 64 == 0
    whole = strips.transpose(0, 1, 3, 2, 4).reshape(3, 64 * blocks, 64 * blocks)
    assert np.array_equal(whole[:, :n, :n], J)
    assert np.count_nonzero(strips) == np.count_nonzero(J)


def test_states_come_back():
    """Bits of units that are up; lanes of a tile in any order, the last one padded."""
    rng = np.random.default_rng(2)
    x = rng.choice(np.array([-1, 1], np.int8), (20, 70))
    lanes = rng.permutation(20)[:17]
    ups = flips.states_in(x, 1.0, lanes, 17, 32)
    assert ups.shape == (2, 32)
    assert np.array_equal(ups[0, :17], words((x[lanes, :64] > 0).T))
    assert np.all(ups[:, 17:] == ups[:, :1])
    y = np.zeros_like(x)
    flips.states_out(y, ups, np.array([-1, 1], np.float32), lanes, 17)
    assert np.array_equal(y[lanes], x[lanes])
    assert np.count_nonzero(y) == 17 * 70


def test_fields_go_in_and_out():
    rng = np.random.default_rng(3)
    work = rng.normal(size=(20, 70)).astype(np.float32)
    lanes = rng.permutation(20)[:17]
    F = flips.fields_in(work, lanes, 17, 32)
    assert F.ctypes.data % 64 == 0
    assert np.array_equal(rows_of(F)[:17, :70], work[lanes])
    assert np.count_nonzero(F) == 17 * 70
    back = np.zeros_like(work)
    flips.fields_out(back, F, lanes, 17)
    assert np.array_equal(back[lanes], work[lanes])
    assert np.count_nonzero(back) == 17 * 70


def test_margins_are_fields_of_units_side_by_side():
    """``c F + constants - noise``, the fields transposed."""
    rng = np.random.default_rng(4)
    F = rng.normal(size=(48, 64)).astype(np.float32)
    noise = rng.normal(size=(64, 48)).astype(np.float32)
    c, h = rng.normal(size=(2, 48)).astype(np.float32), rng.normal(size=140)
    G = np.empty((64, 48), np.float32)
    decide.margins_of(G, F, noise, c[0])
    np.testing.assert_allclose(G, c[0] * F.T - noise, rtol=1e-6, atol=1e-6)
    before = G.copy()
    decide.add_constants(G, h, c[1], 70, 60)
    np.testing.assert_allclose(G[:60], before[:60] + np.outer(h[70:130], c[1]), rtol=1e-5, atol=1e-5)
    decide.add_constant(before, np.float32(3.0), c[1], 60)
    np.testing.assert_allclose(
        before[:60] - G[:60], np.outer(3 - h[70:130], c[1]), rtol=1e-4, atol=1e-4
    )
    assert np.array_equal(before[60:], G[60:])


@pytest.mark.parametrize("width", [16, 32, 48])
@pytest.mark.parametrize("count", [1, 8, 30, 64])
@pytest.mark.parametrize(("low", "high"), [(-1.0, 1.0), (0.0, 1.0)])
def test_decisions_are_those_of_unit_after_unit(width, count, low, high):
    """Every margin takes the flips of the units before it; no margin of the pinned ones is a tie."""
    rng = np.random.default_rng(5)
    A = np.zeros((64, 64), np.float32)
    A[:count, :count] = couplings(count) / np.sqrt(count)
    G = rng.normal(size=(64, width)).astype(np.float32)
    c = rng.uniform(0.5, 2.0, width).astype(np.float32)
    up = rng.random((64, width)) < 0.5
    moved, ups = np.full(width, 7, np.uint64), words(up)
    expected, margins = up.copy(), G.astype(float)
    for b in range(count):
        assert np.min(np.abs(margins[b])) > 1e-5
        expected[b] = margins[b] > 0
        step = (high - low) * (expected[b].astype(float) - up[b])
        margins[b + 1 :] += c * A[b, b + 1 :, None].astype(float) * step
    decide.decide_units(G, c, A, count, np.float32(high - low), moved, ups)
    units = np.uint64(2**count - 1)
    assert np.array_equal(ups & units, words(expected[:count]))
    assert np.array_equal(moved & units, words((expected ^ up)[:count]))
    assert np.any(moved & units) and np.any(~moved & units)


@pytest.mark.parametrize("n", [64, 130, 200])
@pytest.mark.parametrize("at_once", [1, 2])
def test_flips_are_added_to_all_fields(n, at_once):
    """With the strips of narrow registers and of wide ones; the same bits in any company."""
    rng = np.random.default_rng(6)
    J, size = couplings(n), 19
    strips = coupling_strips(J[None])[0]
    moved, up = rng.random((2, 64, 32)) < 0.3
    steps = np.array([-2, 2], np.float32)
    block = n // 64 - 1
    start = rng.normal(size=(size, n)).astype(np.float32)
    lanes = np.arange(size)
    F = flips.fields_in(start, lanes, size, 32)
    # further bits than units belong to no unit
    flips.add_flips(F, strips, block, words(moved), words(up), size, 60, steps, at_once)
    step = np.where(up, 2.0, -2.0) * moved
    added = step[:60].T @ J[64 * block : 64 * block + 60].astype(float)
    np.testing.assert_allclose(rows_of(F)[:size, :n], start + added[:size], rtol=1e-5, atol=1e-4)
    assert np.count_nonzero(F[:, size:]) == 0
    alone = flips.fields_in(start, lanes[7:8], 1, 16)
    flips.add_flips(alone, strips, block, words(moved)[7:], words(up)[7:], 1, 60, steps, 1)
    assert np.array_equal(alone[:, 0], F[:, 7])


@pytest.mark.parametrize("states", [(-1.0, 1.0), (0.0, 1.0)])
def test_fields_anew(states):
    rng = np.random.default_rng(7)
    n, lanes = 130, np.arange(17)
    x = rng.choice(np.array(states, np.float32), (17, n))
    strips = coupling_strips(couplings(n)[None])[0]
    F = flips.fields_in(np.ones((17, n), np.float32), lanes, 17, 32)
    ups = flips.states_in(x, states[1], lanes, 17, 32)
    flips.fields_of(F, ups, strips, 17, n, np.array(states, np.float32))
    expected = x @ couplings(n).astype(float)
    np.testing.assert_allclose(rows_of(F)[:17, :n], expected, rtol=1e-5, atol=1e-4)

"""Sums over states of products of factors against the plain sum, at every size of weights."""

import numpy as np
import pytest
from scipy.special import logsumexp

from physebm.native import gray_sums
from physebm.native.gray_sums import StateSum, log_sum


def drawn(states, widths, scale=1.0, seed=0):
    rng = np.random.Generator(np.random.PCG64(seed))
    states, widths = np.array(states), np.array(widths, dtype=int)
    n, m = states.sum(), widths.sum()
    unit = np.repeat(np.arange(len(states)), states)
    M = rng.normal(size=(n, n)) * (unit[:, None] != unit)
    return StateSum(
        states,
        scale * rng.normal(size=n),
        scale * (M + M.T),
        scale * rng.normal(size=m),
        scale * rng.normal(size=(n, m)),
        widths,
        0.7,
    )


def plainly(given):
    """The formula of the module, in logarithms throughout."""
    digits = np.indices(given.states).reshape(len(given.states), -1).T
    starts = np.concatenate([[0], np.cumsum(given.states)[:-1]])
    chosen = np.zeros((len(digits), given.states.sum()))
    np.put_along_axis(chosen, digits + starts, 1.0, axis=1)
    total = chosen @ given.h + 0.5 * np.einsum("sf,fg,sg->s", chosen, given.M, chosen)
    start = 0
    for width in given.widths:
        at = slice(start, start + width)
        theta = given.b[at] + chosen @ given.B[:, at]
        total += logsumexp(np.concatenate([np.zeros((len(theta), 1)), theta], axis=1), axis=1)
        start += width
    return given.constant + logsumexp(total)


STATES = [[2] * 9, [3, 2, 4, 2, 3], [5], [2]]
WIDTHS = [[], [1] * 11, [1, 1, 1, 1, 2, 3, 1, 1, 1, 1, 1], [4]]


@pytest.mark.parametrize("scale", [0.0, 1.0, 40.0, 3000.0])
@pytest.mark.parametrize("widths", WIDTHS, ids=str)
@pytest.mark.parametrize("states", STATES, ids=str)
def test_every_kind_of_sum(states, widths, scale):
    given = drawn(states, widths, scale)
    assert log_sum(given) == pytest.approx(plainly(given), rel=1e-13, abs=1e-13)


def test_a_sum_without_enumerated_units():
    none = np.zeros(0)
    M, B = np.zeros((0, 0)), np.zeros((0, 4))
    given = StateSum(none.astype(int), none, M, np.arange(4.0), B, np.array([1, 3]), 0.2)
    expected = 0.2 + np.log(2.0) + logsumexp([0.0, 1.0, 2.0, 3.0])
    assert log_sum(given) == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("bits", [0, 1, 2, 5, 9])
@pytest.mark.parametrize("widths", [[], [1, 2] * 6], ids=["no factors", "factors"])
def test_the_size_of_blocks_changes_rounding_only(widths, bits, monkeypatch):
    given = drawn([2, 3, 2, 2, 3, 2], widths, 3.0)
    expected = plainly(given)
    monkeypatch.setattr(gray_sums, "LOW", bits)
    monkeypatch.setattr(gray_sums, "LOW_FACTORS", bits)
    assert log_sum(given) == pytest.approx(expected, rel=1e-13)


def test_many_factors_neither_overflow_nor_vanish():
    """3000 factors of up to e^60 each: products beyond doubles, in groups of ten."""
    given = drawn([2] * 8, [1] * 3000, 8.0)
    assert log_sum(given) == pytest.approx(plainly(given), rel=1e-13)


@pytest.mark.parametrize("size", [300.0, 735.0, 5000.0])
def test_a_block_whose_states_all_lie_far_below_its_bound(size):
    """Couplings for all down, fields for all up: e^-size of the bound, small, subnormal or 0."""
    n = 4
    down = np.arange(2 * n) % 2 == 0
    unit = np.arange(2 * n) // 2
    M = size / 6.0 * np.outer(down, down) * (unit[:, None] != unit)
    none = np.zeros(0)
    given = StateSum(np.full(n, 2), size / n * ~down, M, none, np.zeros((2 * n, 0)), none)
    assert log_sum(given) == pytest.approx(size + np.log(2.0), rel=1e-14)
    assert log_sum(given) == pytest.approx(plainly(given), rel=1e-14)


def test_the_same_bits_on_any_number_of_threads(monkeypatch):
    for widths in ([], [1] * 30):
        found = set()
        for threads in ("1", "2", "5"):
            monkeypatch.setenv("NUMBA_NUM_THREADS", threads)
            found.add(log_sum(drawn([2] * 15, widths)))
        assert len(found) == 1

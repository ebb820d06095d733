"""Passes over trained arrays: a move by a rate, and numbers beyond a limit."""

import numpy as np
import pytest

from physebm.native.ascent import count_beyond, moved


@pytest.mark.parametrize("shape", [(7,), (5, 3), (2, 3, 2, 4)])
def test_a_move_is_the_sum_whatever_the_strides(shape):
    rng = np.random.default_rng(len(shape))
    x, direction = rng.normal(size=shape), rng.normal(size=shape[::-1]).T
    before = x.copy()
    found = moved(x, direction, 0.3)
    np.testing.assert_allclose(found, x + 0.3 * direction, rtol=1e-15, atol=1e-16)
    assert np.array_equal(x, before)


@pytest.mark.parametrize(("bad", "count"), [((), 0), ((np.nan,), 1), ((np.inf, -2.1, 2.0, np.nan), 3)])
def test_what_is_not_within_a_limit_is_counted(bad, count):
    x = np.zeros((3, 4))
    x.flat[: len(bad)] = bad
    assert count_beyond(x, 2.0) == count

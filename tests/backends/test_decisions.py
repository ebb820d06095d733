"""Two-state units decided sixteen at a time: the bits of the plain loop, at every length of a row."""

import numpy as np
import pytest

from physebm.backends.numba_cpu.tiles.rows import draw_two_states

FREE = np.zeros(0, bool)


def _gaps(rng, n: int) -> np.ndarray:
    """Gaps of all sizes, with zeros of both signs and numbers beyond the range of the exponential."""
    gaps = (rng.normal(size=n) * 10.0 ** rng.integers(-6, 3, n)).astype(np.float32)
    gaps[rng.random(n) < 0.1] = 0.0
    gaps[rng.random(n) < 0.1] = -0.0
    gaps[rng.random(n) < 0.1] = 200.0
    gaps[rng.random(n) < 0.1] = -200.0
    return gaps


def _words(rng, gaps: np.ndarray) -> np.ndarray:
    """Random words, of which every second one lies within a few steps of where the state changes."""
    words = rng.integers(0, 2**32, len(gaps), dtype=np.uint32)
    p = 1.0 / (1.0 + np.exp(-np.clip(gaps.astype(np.float64), -50, 50)))
    edge = np.clip(p * 2.0**32 + rng.integers(-2000, 2000, len(gaps)), 0, 2**32 - 1).astype(np.uint32)
    return np.where(rng.random(len(gaps)) < 0.5, words, edge)


@pytest.mark.parametrize("low", [0, -1])
def test_sixteen_at_a_time_are_the_bits_of_one_at_a_time(low):
    rng = np.random.default_rng(5)
    for n in [*range(1, 50), 64, 1000, 4003]:
        gaps = _gaps(rng, n)
        words = _words(rng, gaps)
        together, alone = (np.full(n, 7, np.int8) for _ in range(2))
        draw_two_states(together, FREE, gaps, words, low, 1)
        # rows with a mask of held units, here none, go unit by unit
        draw_two_states(alone, np.zeros(n, bool), gaps, words, low, 1)
        assert set(np.unique(alone)) <= {low, 1}
        assert np.array_equal(together, alone)


def test_a_row_with_gaps_in_memory_is_written_in_its_own_places():
    rng = np.random.default_rng(6)
    gaps = _gaps(rng, 40)
    words = _words(rng, gaps)
    wide, plain = np.full((40, 3), 7, np.int8), np.empty(40, np.int8)
    draw_two_states(wide[:, 1], FREE, gaps, words, 0, 1)
    draw_two_states(plain, FREE, gaps, words, 0, 1)
    assert np.array_equal(wide[:, 1], plain)
    assert np.all(wide[:, [0, 2]] == 7)

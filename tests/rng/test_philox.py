"""The published known answers of Philox4x32-10, open uniforms, and streams that never meet."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from physebm.rng.philox import philox4x32, uniform, uniform53
from physebm.rng.streams import Purpose, key_of, last_word

FULL = 0xFFFFFFFF
KNOWN_ANSWERS = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((FULL,) * 4, (FULL,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


@pytest.mark.parametrize(("counter", "key", "words"), KNOWN_ANSWERS)
def test_philox_gives_the_published_words(counter, key, words):
    assert tuple(int(word) for word in philox4x32(*counter, *key)) == words


def test_broadcast_words_equal_single_ones():
    units, sweeps = np.arange(7), np.arange(3)[:, None]
    words = philox4x32(units, 5, sweeps, 9, 11, 13)
    for i, t in itertools.product(range(7), range(3)):
        single = philox4x32(i, 5, t, 9, 11, 13)
        assert [int(w[t, i]) for w in words] == [int(w) for w in single]


def test_uniforms_lie_strictly_between_zero_and_one():
    extremes = np.array([0, 1, FULL - 1, FULL], dtype=np.uint32)
    for u in (uniform(extremes), uniform53(extremes, extremes), uniform53(extremes, extremes[::-1])):
        assert u.min() > 0.0 and u.max() < 1.0
    assert uniform(np.uint32(0)) == 2.0**-33
    assert uniform53(np.uint32(FULL), np.uint32(FULL)) == 1.0 - 2.0**-53


def test_uniforms_have_the_moments_of_a_uniform():
    """Four moments of 4 x 50 000 draws within 5 standard errors (false alarm 2e-6)."""
    words = np.stack(philox4x32(np.arange(50_000), 0, 0, 0, *key_of(3, "moments")))
    u = uniform(words)
    n = u.size
    for k in (1, 2, 3, 4):
        error = np.sqrt((1 / (2 * k + 1) - 1 / (k + 1) ** 2) / n)
        assert abs((u**k).mean() - 1 / (k + 1)) < 5 * error
    # Neither the words of one counter nor those of consecutive counters are correlated.
    for a, b in itertools.combinations(range(4), 2):
        assert abs(np.corrcoef(u[a], u[b])[0, 1]) < 5 / np.sqrt(50_000)
    assert abs(np.corrcoef(u[0, 1:], u[0, :-1])[0, 1]) < 5 / np.sqrt(50_000)


def test_purposes_moves_and_draws_never_share_a_counter_word():
    words = [
        last_word(purpose, move, draw)
        for purpose in Purpose
        for move in (0, 1, 255)
        for draw in (0, 1, 65535)
    ]
    assert len(set(words)) == len(words)
    assert max(words) <= FULL
    assert len({int(purpose) for purpose in Purpose}) == len(Purpose)


@pytest.mark.parametrize(("move", "draw"), [(256, 0), (-1, 0), (0, 65536), (0, -1)])
def test_moves_and_draws_that_do_not_fit_are_refused(move, draw):
    with pytest.raises(ValueError, match="does not fit"):
        last_word(Purpose.HEAT_BATH, move, draw)


def test_keys_differ_by_seed_and_by_every_part():
    parts = [
        (1, "a"),
        (2, "a"),
        (1, "b"),
        (1, "a", 0),
        (1, "a", 1),
        (1, "a", 0.1),
        (1, "a", "0"),
        (1, "a", "b"),
        (1, "ab"),
    ]
    keys = [key_of(*each) for each in parts]
    assert len(set(keys)) == len(keys)
    assert key_of(1, "a", 0.1) == key_of(1, "a", 0.1)
    assert all(0 <= word <= FULL for key in keys for word in key)


def test_a_key_is_the_same_on_every_machine():
    assert key_of(1985, "disorder", 0, "xi") == (1826772042, 4123757428)

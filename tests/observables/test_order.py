"""Magnetisation and its lowest mode against sums written out."""

import numpy as np
import pytest

from physebm.observables.order import magnetisation, spins, structure_factor_amplitude


@pytest.fixture
def rng():
    return np.random.default_rng(11)


def test_ising_magnetisation_is_the_mean_spin_exactly(rng):
    x = rng.choice(np.array([-1, 1], dtype=np.int8), size=(50, 1001))
    m = magnetisation(x)
    assert m.dtype == np.float64
    assert np.array_equal(m, [sum(int(s) for s in row) / 1001 for row in x])


def test_int8_sums_do_not_overflow():
    assert magnetisation(np.ones((1, 100_000), dtype=np.int8))[0] == 1.0


def test_bernoulli_magnetisation_goes_through_2x_minus_1(rng):
    x = rng.integers(0, 2, size=(20, 77), dtype=np.uint8)
    assert np.array_equal(magnetisation(x, "bernoulli"), magnetisation(spins(x, "bernoulli")))
    assert magnetisation(np.zeros((1, 4), dtype=np.uint8), "bernoulli")[0] == -1.0


def test_potts_magnetisation_is_one_when_ordered_and_zero_when_states_share_equally():
    ordered, equal = np.full(12, 2), np.tile([0, 1, 2], 4)
    assert magnetisation(np.stack([ordered, equal]), "potts", 3).tolist() == [1.0, 0.0]


def test_two_state_potts_magnetisation_is_the_absolute_ising_one(rng):
    x = rng.integers(0, 2, size=(100, 31))
    expected = abs(magnetisation(2 * x - 1))
    assert np.allclose(magnetisation(x, "potts", 2), expected, rtol=0, atol=1e-15)


def test_potts_without_a_number_of_states_is_refused():
    with pytest.raises(ValueError, match="q >= 2"):
        magnetisation(np.zeros(4, dtype=int), "potts")


@pytest.mark.parametrize("shape", [(8,), (4, 6), (4, 3, 5)])
def test_lowest_mode_equals_the_fourier_transform(rng, shape):
    s = rng.choice([-1, 1], size=(7, *shape))
    amplitude = structure_factor_amplitude(s.astype(np.int8), len(shape))
    axes = tuple(range(1, s.ndim))
    power = abs(np.fft.fftn(s, axes=axes) / np.prod(shape)) ** 2
    for d in range(len(shape)):
        k1 = tuple(int(e == d) for e in range(len(shape)))
        assert np.allclose(amplitude[:, d], power[(slice(None), *k1)], rtol=1e-12, atol=1e-16)


def test_a_plane_wave_has_a_quarter_of_its_square_at_k1():
    wave = np.cos(2 * np.pi * np.arange(16) / 16)[:, None] * np.ones(10)
    assert np.allclose(structure_factor_amplitude(wave, 2), [0.25, 0.0], atol=1e-15)


def test_more_lanes_do_not_change_the_bits_of_a_lane(rng):
    s = rng.choice([-1, 1], size=(9, 6, 6, 6)).astype(np.int8)
    many = structure_factor_amplitude(s, 3)
    assert np.array_equal(many[4:5], structure_factor_amplitude(s[4:5], 3))

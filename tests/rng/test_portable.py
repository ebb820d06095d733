"""The portable exponential against the C library's, and its bits against recorded ones."""

import math

import numpy as np

from physebm.rng.portable import exp_of_negative

RECORDED = 0x2BAD86F90253DE71


def test_it_is_the_exponential():
    x = -np.concatenate([np.geomspace(1e-300, 745.0, 40_001), np.linspace(0.0, 50.0, 20_001)])
    exact = np.array([math.exp(each) for each in x])
    normal = exact > 1e-300
    np.testing.assert_allclose(exp_of_negative(x)[normal], exact[normal], rtol=4e-16, atol=0)
    np.testing.assert_allclose(exp_of_negative(x), exact, rtol=4e-16, atol=5e-324)


def test_its_ends():
    assert exp_of_negative(np.array([0.0, -0.0, -1e4, -np.inf])).tolist() == [1.0, 1.0, 0.0, 0.0]


def test_its_bits():
    """Recorded on x86-64 with AVX-512; every machine must have them."""
    x = -((np.arange(1000) * 0.0371) ** 2) / 3
    bits = exp_of_negative(x).view(np.uint64)
    assert int(np.bitwise_xor.reduce(bits)) == RECORDED

"""Errors that see chains which disagree, and leave converged runs alone."""

import numpy as np

from physebm.observables.chains import chain_error, honest_error, limit, mean_error


def test_the_jackknife_over_chains_of_a_mean_is_the_scatter_of_its_chains():
    means = np.random.default_rng(0).normal(size=(5, 7))
    without = (means.sum(axis=0) - means) / 4
    error = chain_error(means.mean(axis=0), lambda m: m, without)
    np.testing.assert_allclose(error, mean_error(means), rtol=1e-12)


def test_a_variance_between_frozen_chains_is_no_thermal_variance():
    """Two chains at -1 and +1: <m^2> - <m>^2 = 1 over all, 0 within each."""
    error = chain_error(1.0, lambda m, m2: m2 - m**2, np.array([-1.0, 1.0]), np.array([1.0, 1.0]))
    assert error == 1.0


def test_frozen_chains_replace_an_error_of_zero():
    assert honest_error(0.0, None, 0.25, 2) == 0.25
    assert honest_error(0.1, 0.2, None, 1) == 0.2


def test_converged_chains_keep_the_error_of_their_blocks():
    """At a false-alarm rate of 1e-3 a hundred in 1e5 runs may switch; blocks have 31 degrees."""
    rng = np.random.default_rng(1)
    for chains in (2, 4):
        means = rng.normal(size=(chains, 100_000))
        blocks = np.sqrt(rng.chisquare(31, 100_000) / 31 / chains)
        switched = (honest_error(blocks, None, mean_error(means), chains) != blocks).mean()
        assert 6e-4 < switched < 1.5e-3
        assert limit(chains) > 2

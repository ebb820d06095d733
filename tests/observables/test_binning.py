"""Streaming bins: the same bits in any chunking, and errors that hold after merging."""

import numpy as np
import pytest
from observables_series import ar1, tau_of, variance_of_mean

from physebm.observables.binning import BinnedSeries, pool


def filled(x, sizes, capacity=64):
    series, at, k = BinnedSeries(x.shape[1:], capacity), 0, 0
    while at < len(x):
        series.append(x[at : at + sizes[k % len(sizes)]])
        at, k = at + sizes[k % len(sizes)], k + 1
    return series


def same_bits(a, b):
    a, b = a.state_dict(), b.state_dict()
    return all(a[k].tobytes() == b[k].tobytes() and a[k].shape == b[k].shape for k in a)


@pytest.mark.parametrize("shape", [(), (1,), (3, 2)])
def test_chunking_does_not_change_a_bit(shape):
    x = np.random.default_rng(1).normal(size=(1337, *shape)) * 1e3
    x[:300], x[1:300] = 0.0, -0.0  # sums of negative zeros must not depend on where they start
    whole = filled(x, [len(x)])
    for sizes in ([1], [3, 50, 1, 129], [64], [65, 63]):
        assert same_bits(whole, filled(x, sizes))


def test_more_points_do_not_change_the_bits_of_a_point():
    x = np.random.default_rng(2).normal(size=(777, 5))
    many, one = filled(x, [100]), filled(x[:, 3:4], [100])
    for f in ("mean", "variance", "series", "bins", "stderr"):
        assert np.array_equal(getattr(many, f)()[..., 3:4], getattr(one, f)())
    assert many.tau().tau[3] == one.tau().tau[0]


def test_a_checkpoint_continues_with_the_same_bits():
    x = np.random.default_rng(3).normal(size=(1000, 2))
    for cut in (0, 1, 63, 64, 500, 777):
        first = filled(x[:cut], [37])
        again = BinnedSeries.from_state(first.state_dict())
        assert same_bits(first, again)
        again.append(x[cut:])
        assert same_bits(again, filled(x, [11]))


def test_moments_of_single_measurements_survive_merging():
    x = np.random.default_rng(4).integers(-50, 50, size=(5000, 3)) + 1000
    series = filled(x, [123])
    assert series.bin_size == 128 and series.count == 5000
    assert np.allclose(series.mean(), x.mean(0), rtol=1e-15)
    assert np.allclose(series.variance(), x.var(0), rtol=1e-12)


def test_variance_does_not_drown_in_a_large_mean():
    x = np.random.default_rng(5).normal(size=20_000)
    series = filled(x + 1e8, [999])
    assert np.isclose(series.variance(), (x + 1e8).var(), rtol=1e-9)


def test_bins_are_the_means_of_consecutive_measurements():
    x = np.random.default_rng(6).normal(size=(3000, 2))
    series = filled(x, [77])
    size = series.bin_size
    n = len(x) // size
    assert np.allclose(series.series(), x[: n * size].reshape(n, size, 2).mean(1), atol=1e-14)


@pytest.mark.parametrize("n", [32, 63, 64, 100, 1000, 4095, 4096, 10_000])
def test_there_are_at_least_32_equal_blocks_and_almost_nothing_is_dropped(n):
    x = np.arange(n, dtype=float)
    series = filled(x, [500], capacity=4096)
    blocks = series.bins()
    assert 32 <= len(blocks) < 64
    step = np.diff(blocks)
    assert np.all(step == step[0])  # equal lengths, nothing missing between them
    assert n - len(blocks) * step[0] < step[0] + series.bin_size


def test_too_few_measurements_are_refused():
    with pytest.raises(ValueError, match="32 are needed"):
        filled(np.zeros(31), [31]).bins()
    with pytest.raises(ValueError, match="shape"):
        BinnedSeries((3,)).append(np.zeros((4, 2)))


@pytest.mark.parametrize("chains", [1, 4])
def test_error_bars_are_calibrated_after_merging(chains):
    rho, n = 0.8, 4000
    x = np.moveaxis(ar1(np.random.default_rng(7), rho, (500, chains, n)), -1, 0)
    series = filled(x, [1000], capacity=512)
    assert series.bin_size == 8
    error = series.stderr(chain_axis=1)
    pull = series.mean().mean(-1) / error
    assert 0.85 < np.mean(pull**2) < 1.25  # Student's t: 1.07 for 32 blocks; 500 pulls scatter by 0.07
    exact = np.sqrt(variance_of_mean(rho, n) / chains)
    assert abs(error.mean() / exact - 1) < 0.06


@pytest.mark.parametrize("rho", [0.0, 0.8, 0.98])
@pytest.mark.parametrize("capacity", [512, 1 << 15])
def test_tau_is_right_before_and_after_merging(rho, capacity):
    x = np.moveaxis(ar1(np.random.default_rng(8), rho, (25, 2, 1 << 14)), -1, 0)
    series = filled(x, [4096], capacity)
    pooled, single = series.tau(chain_axis=1), series.tau()
    assert pooled.tau.shape == (25,) and single.tau.shape == (25, 2)
    assert np.array_equal(pooled.tau, series.tau(chain_axis=-1).tau)
    for found in (pooled, single):
        assert abs(found.tau.mean() / tau_of(rho) - 1) < 0.05
        # the error is proportional to tau: take it at the exact tau, not at one that came out low
        pull = (found.tau / tau_of(rho) - 1) / (found.stderr / found.tau)
        assert 0.4 < np.mean(pull**2) < 1.9


def test_tau_of_chains_on_the_first_axis_is_the_same():
    x = ar1(np.random.default_rng(9), 0.5, (3, 2, 500)).transpose(2, 0, 1)
    swapped = filled(x.transpose(0, 2, 1), [500])
    assert np.array_equal(filled(x, [500]).tau(chain_axis=1).tau, swapped.tau(chain_axis=0).tau)
    assert np.array_equal(filled(x, [500]).stderr(chain_axis=1), swapped.stderr(chain_axis=0))


def test_a_constant_series_has_no_error_and_undefined_tau():
    for n in (100, 1000):
        series = filled(np.full((n, 2), 0.1), [30])
        assert np.all(series.mean() == 0.1) and np.all(series.stderr() == 0.0)
        assert np.isnan(series.tau().tau).all()
        assert np.isnan(series.tau(chain_axis=0).tau)


def test_pooled_blocks_keep_each_chain_together():
    blocks = np.arange(24).reshape(4, 2, 3)
    assert pool(blocks, 0)[:, 0].tolist() == [0, 6, 12, 18, 3, 9, 15, 21]
    assert np.array_equal(pool(blocks, -2), pool(blocks, 0))

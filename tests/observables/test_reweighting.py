"""Weights in logarithms: plain sums where those exist, and where they overflow."""

import numpy as np
import pytest

from physebm.observables.reweighting import effective_sample_size, largest_share, log_mean_exp


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("offset", [0.0, 2000.0, -2000.0])
def test_the_sums_are_the_plain_ones_at_any_scale(axis, offset):
    w = np.random.default_rng(51).exponential(size=(4, 6, 5))
    log_w = np.log(w) + offset
    assert np.allclose(log_mean_exp(log_w, axis), np.log(w.mean(axis)) + offset, rtol=1e-12)
    ess = w.sum(axis) ** 2 / (w**2).sum(axis)
    assert np.allclose(effective_sample_size(log_w, axis), ess, rtol=1e-9)
    assert np.allclose(largest_share(log_w, axis), w.max(axis) / w.sum(axis), rtol=1e-9)


def test_equal_weights_count_all_and_one_weight_counts_one():
    log_w = np.array([[3.0, 3.0, 3.0, 3.0], [0.0, -np.inf, -np.inf, -np.inf]])
    assert effective_sample_size(log_w).tolist() == [4.0, 1.0]
    assert largest_share(log_w).tolist() == [0.25, 1.0]
    assert log_mean_exp(log_w).tolist() == [3.0, -np.log(4.0)]


def test_samples_without_any_weight_have_no_size():
    none = np.full((2, 3), -np.inf)
    assert np.all(np.isneginf(log_mean_exp(none)))
    assert np.isnan(effective_sample_size(none)).all() and np.isnan(largest_share(none)).all()


def test_gaussian_log_weights_keep_the_stated_share():
    # E[w]^2 / E[w^2] = exp(-variance); the error of this sample is 1 %.
    log_w = 0.8 * np.random.default_rng(52).normal(size=200_000)
    assert np.isclose(effective_sample_size(log_w) / log_w.size, np.exp(-0.64), rtol=0.03)
    assert np.isclose(log_mean_exp(log_w), 0.32, atol=0.01)


@pytest.mark.parametrize("log_w", [np.zeros((2, 0)), np.array([0.0, np.inf])])
def test_what_has_no_weight_or_no_limit_is_refused(log_w):
    with pytest.raises(ValueError, match=r"no sample|\+inf"):
        effective_sample_size(log_w)


def test_what_is_not_a_number_stays_so():
    assert np.isnan(log_mean_exp(np.array([0.0, np.nan])))

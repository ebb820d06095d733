"""Statistics of log-weights against independent numbers, closed forms and plain loops."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.special import ndtri

from physebm.free_energy.estimate import Verdict, judged
from physebm.free_energy.weights import findings, log_mean, systematic
from physebm.observables.reweighting import log_mean_exp

REFERENCE = Path(__file__).parents[1] / "reference" / "ais_weights.json"
RNG = np.random.default_rng(5)
LOG_W = RNG.normal(size=40)


def normal(n, sigma=1.0, mu=0.0):
    """Quantiles of a normal law: a sample without scatter."""
    return mu + sigma * ndtri((np.arange(n) + 0.5) / n)


def test_the_reference():
    case = json.loads(REFERENCE.read_text())["data"]
    found = log_mean(np.array(case["log_weights"]))
    assert found.value == pytest.approx(case["log_mean_weight"], abs=1e-10)
    assert found.effective == pytest.approx(case["ESS"], rel=1e-10)
    assert found.stderr == pytest.approx(case["rel_std_error"], rel=1e-10)
    assert findings(found) == []


@pytest.mark.parametrize("sigma", [0.1, 0.5, 1.0])
def test_log_normal_weights(sigma):
    """log <w> = mu + s^2/2, Var(w)/<w>^2 = exp(s^2) - 1, ESS/n = exp(-s^2)."""
    n, square = 2_000_000, sigma**2
    found = log_mean(normal(n, sigma, mu=-700.0))
    assert found.value == pytest.approx(-700.0 + square / 2, abs=2e-4)
    assert found.stderr == pytest.approx(np.sqrt(np.expm1(square) / n), rel=3e-3)
    assert found.lognormal == pytest.approx(np.sqrt(np.expm1(square) / n), rel=1e-3)
    assert found.effective == pytest.approx(n * np.exp(-square), rel=3e-3)
    assert found.variance == pytest.approx(square, rel=1e-4)
    assert found.mean_log == pytest.approx(-700.0, abs=1e-6)
    assert found.mean_log_stderr == pytest.approx(sigma / np.sqrt(n), rel=1e-4)


def test_the_jackknife_is_that_of_leaving_chains_out():
    n = len(LOG_W)
    without = np.array([np.log(np.exp(np.delete(LOG_W, c)).mean()) for c in range(n)])
    found = log_mean(LOG_W)
    assert found.bias == pytest.approx((n - 1) * (without.mean() - found.value), rel=1e-9)
    spread = np.sqrt((n - 1) / n * ((without - without.mean()) ** 2).sum())
    assert found.jackknife == pytest.approx(spread, rel=1e-9)


def test_the_bias_is_minus_half_the_squared_error():
    """To first order; over 20000 groups of 50 the mean of values shows it (error 0.0007)."""
    log_w = np.random.default_rng(2).normal(scale=0.7, size=(20_000, 50))
    low = log_mean_exp(log_w).mean() - 0.7**2 / 2
    expected = -0.5 * np.expm1(0.7**2) / 50
    assert low == pytest.approx(expected, abs=4 * 0.0007)
    assert np.mean([log_mean(each).bias for each in log_w[:1000]]) == pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize("shift", [-1e5, 1e5])
def test_the_size_of_weights_does_not_matter(shift):
    one, two = log_mean(LOG_W), log_mean(LOG_W + shift)
    assert two.value - shift == pytest.approx(one.value, abs=1e-9)
    assert two.stderr == pytest.approx(one.stderr, rel=1e-9)
    assert two.share == pytest.approx(one.share, rel=1e-9)


def test_extremes():
    alone = log_mean(np.array([0.0, *[-np.inf] * 99]))
    assert alone.value == pytest.approx(-np.log(100.0))
    assert (alone.share, alone.effective) == (1.0, 1.0)
    assert alone.stderr == pytest.approx(1.0)
    assert (alone.bias, alone.jackknife) == (-np.inf, np.inf)
    assert judged(findings(alone))[0] is Verdict.FAILED
    one = log_mean(np.array([3.0]))
    assert one.value == 3.0 and np.isnan(one.stderr)
    equal = log_mean(np.full(12, 3.0))
    assert (equal.value, equal.stderr, equal.bias) == (3.0, 0.0, 0.0)
    assert findings(equal) == []
    for bad in (np.nan, np.inf):
        with pytest.raises(ValueError):
            log_mean(np.array([0.0, bad]))


@pytest.mark.parametrize(
    "log_w, verdict, reason",
    [
        (normal(2000, 1.0), Verdict.TRUSTED, ""),
        (normal(12, 0.1), Verdict.TRUSTED, ""),
        (normal(4, 0.1), Verdict.SUSPECT, "4 chains are too few"),
        (normal(60, 1.5), Verdict.SUSPECT, "effective sample size"),
        (normal(1000, 2.2), Verdict.SUSPECT, "variance 4.8"),
        (normal(1000, 3.0), Verdict.FAILED, "variance 9"),
        (np.append(np.zeros(300), np.log(120.0)), Verdict.SUSPECT, "29% of the weight"),
        (np.append(np.zeros(300), np.log(900.0)), Verdict.FAILED, "75% of the weight"),
    ],
)
def test_what_speaks_against_weights(log_w, verdict, reason):
    found, text = judged(findings(log_mean(log_w)))
    assert found is verdict
    assert reason in text
    if verdict is Verdict.FAILED:
        softened, _ = judged(findings(log_mean(log_w), worst=Verdict.SUSPECT))
        assert softened is Verdict.SUSPECT


def test_systematic_resampling_copies_in_proportion():
    log_w = 1000.0 + RNG.normal(size=30)
    due = 30 * np.exp(log_w - 1000.0) / np.exp(log_w - 1000.0).sum()
    offsets = (np.arange(5000) + 0.5) / 5000
    parents = np.stack([systematic(log_w, offset) for offset in offsets])
    copies = np.stack([np.bincount(each, minlength=30) for each in parents])
    assert (copies >= np.floor(due)).all() and (copies <= np.ceil(due)).all()
    assert copies.mean(axis=0) == pytest.approx(due, abs=1e-3)
    assert (np.diff(parents, axis=1) >= 0).all()


def test_equal_weights_copy_everyone_once():
    for offset in (1e-12, 0.5, 1 - 1e-12):
        assert np.array_equal(systematic(np.full(7, -3.0), offset), np.arange(7))

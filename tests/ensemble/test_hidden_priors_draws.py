"""Conditional draws of every prior at fields from -50 to 50, by the compiled kernels.

One unit per field, many lanes, one sweep. The field comes through a coupling to a held visible unit
(a tile's product, draws of rows in vectors) or from a field term alone (one lane at a time). Discrete
units are held to their probabilities by exact binomial or chi-square tests, continuous ones to their
distribution function by Kolmogorov-Smirnov: smallest p-value above 1e-5 for at most 15 of them, a false
alarm in 7000 per test.
"""

import numpy as np
import pytest
from hidden_prior_machines import Q, machine
from scipy.special import expit, log_ndtr, ndtr, softmax
from scipy.stats import binomtest, chisquare, kstest
from small_models import bound

from physebm.backends.base import Lanes
from physebm.model import units
from physebm.model.units import Prior
from physebm.schema.load import load
from physebm.schema.model_file import read_model

FIELDS = np.array([-50, -20, -10, -5, -2, -1, -0.25, 0, 0.25, 1, 2, 5, 10, 20, 50.0])
LANES = 20_000
VARIANCE, LOWER = 0.5, -0.3
SMALLEST = 1e-5

through = pytest.mark.parametrize("through", ["coupling", "field"])


def drawn(hidden: str, theta: np.ndarray, through: str, lanes: int = LANES) -> np.ndarray:
    """``x[lane, unit]`` after one heat bath with fields ``theta[unit]`` (or ``[unit, state]``)."""
    n = len(theta)
    if through == "coupling":
        model = machine("bernoulli", hidden, 1, n, variance=VARIANCE, lower=LOWER)
        zero = {"a": np.zeros((1, 1)), "b": np.zeros((1, *theta.shape))}
        params = model.params(0, 0).with_arrays(W=theta[None, None], **zero)
    else:
        model = alone(hidden, n)
        params = model.params(0, 0).with_arrays(b=theta[None])
    small = bound(model, params, "heat-bath", (1.0,))
    zeros = np.zeros(lanes, dtype=int)
    clamp = {"v": np.ones((lanes, 1), dtype=bool)} if through == "coupling" else {}
    rows = Lanes(zeros, zeros, np.arange(lanes), np.broadcast_to([7, 8], (lanes, 2)), clamp)
    state = small.random_state(rows)
    if through == "coupling":
        state.x["v"][:] = 1
    kernels = small.kernels()
    kernels.prepare(state, rows, small.launch)
    kernels.sweep(state, rows, small.launch, 0, 1)
    return state.x["h"]


def alone(prior: str, n: int):
    """Independent units in a field."""
    unit = {"prior": prior, "shape": n}
    if prior == "potts":
        unit["q"] = Q
    if "gaussian" in prior:
        unit["variance"] = VARIANCE
    if prior == "truncated_gaussian":
        unit["lower"] = LOWER
    shape = [n, Q] if prior == "potts" else [n]
    return load(
        read_model(
            f"{prior}_alone",
            {
                "title": f"{prior} units in a field",
                "units": {"h": unit},
                "arrays": {"b": {"law": "normal", "std": 1.0, "shape": shape}},
                "terms": [{"field": "h", "h": "b"}],
            },
            "test",
        )
    )


@through
@pytest.mark.parametrize("hidden", ["bernoulli", "ising"])
def test_two_state_units(hidden, through):
    x = drawn(hidden, FIELDS, through)
    low, high = Prior(hidden).states
    assert set(np.unique(x)) == {low, high}
    p = expit((high - low) * FIELDS)
    ups = (x == high).sum(axis=0)
    assert min(binomtest(int(k), LANES, q).pvalue for k, q in zip(ups, p)) > SMALLEST
    # beyond 32 bits a state is certain
    assert np.all(ups[p < 2.0**-33] == 0) and np.all(ups[p > 1 - 2.0**-33] == LANES)


@through
def test_potts_units(through):
    """A field of each size on state 0, another on state 1."""
    theta = np.stack([FIELDS, -FIELDS / 3, np.zeros_like(FIELDS)], axis=1)
    x = drawn("potts", theta, through)
    p = softmax(theta, axis=1)
    for i in range(len(theta)):
        counts = np.bincount(x[:, i], minlength=Q)
        assert len(counts) == Q
        assert min(binomtest(int(k), LANES, q).pvalue for k, q in zip(counts, p[i])) > SMALLEST / Q
        common = LANES * p[i] > 10
        if common.sum() == Q:
            assert chisquare(counts, LANES * p[i]).pvalue > SMALLEST


@through
def test_gaussian_units(through):
    x = drawn("gaussian", FIELDS, through)
    p = [
        kstest((x[:, i] - VARIANCE * f) / np.sqrt(VARIANCE), ndtr).pvalue for i, f in enumerate(FIELDS)
    ]
    assert min(p) > SMALLEST


def survival(x, theta):
    """``P(X > x)`` of a Gaussian of mean v theta and variance v, conditioned on X >= LOWER."""
    root = np.sqrt(VARIANCE)
    tail = log_ndtr((VARIANCE * theta - x) / root)
    return np.exp(tail - log_ndtr((VARIANCE * theta - LOWER) / root))


@through
def test_truncated_gaussian_units(through):
    x = drawn("truncated_gaussian", FIELDS, through)
    assert x.min() >= LOWER
    p = [kstest(survival(x[:, i], theta), "uniform").pvalue for i, theta in enumerate(FIELDS)]
    assert min(p) > SMALLEST


@through
def test_moments_of_truncated_gaussian_units_far_out(through):
    """Mean and variance at fields up to 1e4, where the mass stands in 1e-4 above the edge."""
    theta = np.array([-1e4, -1e3, -100, -30, -8, -6, -4, 4, 100, 1e4])
    x = drawn("truncated_gaussian", theta, through)
    prior, parameters = Prior("truncated_gaussian"), {"variance": VARIANCE, "lower": LOWER}
    mean = units.mean(prior, theta, **parameters)
    variance = units.variance_of(prior, theta, **parameters)
    assert x.min() >= LOWER
    error = x.std(axis=0, ddof=1) / np.sqrt(LANES)
    assert np.abs((x.mean(axis=0) - mean) / error).max() < 4.5
    square = (x - mean) ** 2
    error = square.std(axis=0, ddof=1) / np.sqrt(LANES)
    assert np.abs((square.mean(axis=0) - variance) / error).max() < 4.5
    # a draw of the wrong tail would be seen: the mean is 1e-4 above the edge
    assert np.isclose(mean[0] - LOWER, 1e-4, rtol=1e-2)


def test_a_field_that_is_a_tenth_off_is_seen():
    theta = FIELDS * 1.1
    ups = (drawn("bernoulli", theta, "coupling") == 1).sum(axis=0)
    p = expit(FIELDS)
    assert min(binomtest(int(k), LANES, q).pvalue for k, q in zip(ups, p)) < SMALLEST
    x = drawn("truncated_gaussian", theta, "coupling")
    p = [kstest(survival(x[:, i], f), "uniform").pvalue for i, f in enumerate(FIELDS)]
    assert min(p) < SMALLEST

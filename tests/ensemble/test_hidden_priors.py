"""Sweeps keep exact samples exact, for every pair of a visible and a hidden prior.

Chains start in independent exact samples and are compared with the exact moments after 1, 4 and 16
sweeps of the compiled kernels. All first moments and products of two units are judged, z from the
spread over the chains; |z| <= 4.5 for each (about 60 of them: a false alarm in 2500 per pair), and the
mean of z^2 within [0.5, 1.6] over all pairs.
"""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from ensemble_runs import Runs, assert_family, exact_of, exact_start, features, often
from hidden_prior_machines import HIDDEN, VISIBLE, at_unit_temperature, machine
from scipy.integrate import quad
from scipy.special import log_ndtr, ndtri_exp
from small_models import Small

from physebm.backends.base import Lanes, LaneState
from physebm.model.units import UnitKind

CHAINS = 4000
AFTER = (1, 4, 16)
PAIRS = [(v, h) for v in VISIBLE for h in HIDDEN if (v, h) != ("gaussian", "truncated_gaussian")]


def model_of(visible: str, hidden: str) -> Small:
    smooth = "gaussian" in visible and "gaussian" in hidden
    sizes = {"potts": 2, "gaussian": 3}
    model = machine(
        visible,
        hidden,
        sizes.get(visible, 4),
        2 if hidden == "potts" else 3,
        coupling=0.3 if smooth else 0.8,
    )
    return at_unit_temperature(model, seed=5)


def z_after(model: Small, exact, state: LaneState, lanes: Lanes, launch=None) -> np.ndarray:
    """z of first moments and of products of different units (squares of continuous ones too)."""
    kernels, launch, z, done = model.kernels(), launch or model.launch, [], 0
    a, b = np.triu_indices(exact.first.shape[1], 1)
    use = often(exact, 0, (a, b), len(lanes))[1:]
    squares = np.concatenate(
        [
            np.full(group.size * group.prior.features, not group.prior.discrete)
            for group in (*exact.form.enumerated, *exact.form.conditional)
        ]
    )
    for sweeps in AFTER:
        kernels.sweep(state, lanes, launch, done, sweeps - done)
        done = sweeps
        f = features(exact, state.x)
        found = np.concatenate([f, f[:, a] * f[:, b]], axis=1)[:, use]
        truth = np.concatenate([exact.first[0], exact.second[0][a, b]])[use]
        z.append(scores(found, truth))
        z.append(scores(f[:, squares] ** 2, np.diag(exact.second[0])[squares]))
    return np.concatenate(z)


def scores(found: np.ndarray, truth: np.ndarray) -> np.ndarray:
    error = found.std(axis=0, ddof=1) / np.sqrt(len(found))
    varies = error > 1e-12  # two states of one Potts unit never stand together
    assert np.allclose(found.mean(axis=0)[~varies], truth[~varies], atol=1e-9)
    return (found.mean(axis=0) - truth)[varies] / error[varies]


@cache
def z_of(visible: str, hidden: str) -> np.ndarray:
    if (visible, hidden) == ("gaussian", "truncated_gaussian"):
        return z_of_gaussian_and_truncated()
    model = model_of(visible, hidden)
    exact = exact_of(model)
    state, lanes = exact_start(model, exact, Runs(chains=CHAINS, seed=2024))
    return z_after(model, exact, state, lanes)


@pytest.mark.parametrize(("visible", "hidden"), PAIRS)
def test_exact_samples_stay_exact(visible, hidden):
    z = z_of(visible, hidden)
    assert len(z) >= 3 * 5
    assert_family(z)


def z_of_gaussian_and_truncated() -> np.ndarray:
    """Two Gaussian units and one truncated: h alone is a truncated Gaussian, v given h a Gaussian.

    ``p(h) ~ exp((b + a.W) h - (1 - W.W) h^2 / 2)`` on h >= 0 at unit variances; moments by quadrature.
    """
    W, a, b = np.array([0.5, -0.6]), np.array([0.4, 0.3]), -0.7
    declared = machine("gaussian", "truncated_gaussian", 2, 1)
    model = at_unit_temperature(declared, 0, W=W[None, :, None], a=a[None], b=np.array([[b]]))
    theta, precision = b + a @ W, 1.0 - W @ W

    def weight(h, power):
        return h**power * np.exp(theta * h - 0.5 * precision * h**2)

    moments = [quad(weight, 0, np.inf, args=(n,), epsabs=1e-13, epsrel=1e-12)[0] for n in range(3)]
    h1, h2 = moments[1] / moments[0], moments[2] / moments[0]
    rng = np.random.default_rng(31)
    # inverse of the survival function, in logarithms: log Q(x) = log u + log Q(edge)
    edge = -theta / np.sqrt(precision)
    x = -ndtri_exp(np.log(rng.random(CHAINS)) + log_ndtr(-edge))
    h = (theta / precision + x / np.sqrt(precision))[:, None]
    v = a + h * W + rng.normal(size=(CHAINS, 2))
    state = LaneState({"v": v, "h": h})
    lanes = model.lanes(CHAINS, seed=32)
    truth = np.concatenate(
        [
            [h1, h2],
            a + W * h1,
            (a**2 + 2 * a * W * h1 + W**2 * h2 + 1.0),
            a * h1 + W * h2,
            [a[0] * a[1] + (a[0] * W[1] + a[1] * W[0]) * h1 + W[0] * W[1] * h2],
        ]
    )
    kernels, z, done = model.kernels(), [], 0
    for sweeps in (0, *AFTER):
        kernels.sweep(state, lanes, model.launch, done, sweeps - done)
        done = sweeps
        v, h = state.x["v"], state.x["h"]
        found = np.concatenate([h, h**2, v, v**2, v * h, v[:, :1] * v[:, 1:]], axis=1)
        z.append(scores(found, truth))
    return np.concatenate(z)


def test_gaussian_and_truncated_units_stay_exact():
    assert_family(z_of("gaussian", "truncated_gaussian"))


def test_errors_over_all_pairs_are_neither_too_small_nor_too_large():
    z = np.concatenate([z_of(v, h) for v in VISIBLE for h in HIDDEN])
    assert len(z) > 1000
    assert 0.5 <= np.mean(z**2) <= 1.6


@pytest.mark.parametrize("hidden", HIDDEN)
def test_a_coupling_that_is_weaker_one_way_is_seen(hidden):
    """The visible layer drawn with 0.7 W, the hidden one with W: beyond 8 sigma after one sweep."""
    model = model_of("bernoulli", hidden)
    exact = exact_of(model)
    state, lanes = exact_start(model, exact, Runs(chains=CHAINS, seed=2024))
    arrays = dict(model.launch.operands.arrays)
    arrays["J0_to_a"] = arrays["J0_to_a"] * np.float32(0.7)
    wrong = replace(model.launch, operands=replace(model.launch.operands, arrays=arrays))
    assert np.abs(z_after(model, exact, state, lanes, wrong)).max() > 8


def test_every_prior_of_the_package_is_on_a_list():
    assert set(VISIBLE) | set(HIDDEN) == {str(kind) for kind in UnitKind}

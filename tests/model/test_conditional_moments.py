"""Conditional moments and marginal energies of every prior, against sums and adaptive quadrature.

Quadrature is scaled by the largest value of its integrand, so that fields of 50 do not overflow; the
prior's normalisation is an integral of its own. Fields reach from -50 to 50, where a truncated unit is
anything from a Gaussian to an exponential of mean 1/50 above its edge.
"""

from dataclasses import replace

import numpy as np
import pytest
from learning_models import declared, rbm
from scipy.integrate import quad

from physebm.model.conditionals import Conditionals
from physebm.model.energy import reduced_potential
from physebm.model.params import Params
from physebm.model.terms import Square

FIELDS = np.array([-50.0, -23.7, -6.0, -1.5, -0.2, 0.0, 0.4, 1.1, 3.0, 12.5, 50.0])
# single precision: of fields and of moments, relative
SINGLE = 2e-6

UNIT = """
[units]
v = {{ prior = "ising", shape = 2, visible = true }}
h = {{ {prior}, shape = {n} }}
[[terms]]
couple = ["v", "h"]
J = 1.0
"""


def conditionals(prior, n=1, extra=None, dtype=np.float64):
    """Of one group h; `extra` adds a Square term of that coefficient, precision beside the prior's."""
    loaded = declared(UNIT.format(prior=prior, n=n))
    H, c = loaded.hamiltonian, loaded.coefficients([1.0]).value[0]
    if extra is not None:
        H, c = replace(H, terms=(*H.terms, Square("h"))), np.append(c, extra)
    return Conditionals(H, c, loaded.params(0), dtype)


def integrals(log_f, lower, upper, peak, width):
    """``log I_0`` and ``I_n / I_0``, n = 1, 2, of ``I_n = int x^n exp(log_f) dx``."""
    top = log_f(peak)
    far = (max(lower, peak - 40.0 * width), min(upper, peak + 40.0 * width))

    def f(x, n):
        return (x - peak) ** n * np.exp(log_f(x) - top)

    near = [x for x in (peak - 3.0 * width, peak, peak + 3.0 * width) if far[0] < x < far[1]]
    edges = [far[0], *near, far[1]]
    zero, one, two = (
        sum(quad(f, a, b, args=(n,), epsabs=0.0, epsrel=1e-12)[0] for a, b in zip(edges, edges[1:]))
        for n in range(3)
    )
    mean, second = one / zero, two / zero
    return top + np.log(zero), peak + mean, second + 2.0 * peak * mean + peak**2


def continuous(theta, variance, lower, extra):
    """Gamma, mean and second moment of one continuous unit from the integrals of its definition."""
    precision = 1.0 / variance + extra
    base = max(lower, 0.0)
    prior, _, _ = integrals(lambda x: -0.5 * x * x / variance, lower, np.inf, base, variance**0.5)
    peak = max(lower, theta / precision)
    slope = abs(theta - precision * peak)
    width = 1.0 / max(precision**0.5, slope)
    log_z, one, two = integrals(
        lambda x: theta * x - 0.5 * precision * x * x, lower, np.inf, peak, width
    )
    return log_z - prior, one, two


def expected(kind, theta, variance=1.0, lower=-np.inf, extra=0.0):
    """``[field]`` of Gamma, mean and second moment."""
    return np.array([continuous(t, variance, lower, extra) for t in theta]).T


GAUSSIANS = [("gaussian", v, -np.inf, e) for v, e in ((1.0, 0.0), (0.3, 0.0), (4.0, 0.0), (2.0, 0.7))]
TRUNCATED = [
    ("truncated_gaussian", v, lower, e)
    for v, lower, e in (
        (1.0, 0.0, 0.0),
        (0.3, 0.0, 0.0),
        (4.0, 0.5, 0.0),
        (1.0, -1.3, 0.0),
        (0.6, 2.5, 0.0),
        (2.0, -0.4, 0.7),
        (0.8, 1.5, 1.9),
    )
]


def declared_prior(kind, variance, lower):
    edge = f", lower = {lower}" if np.isfinite(lower) else ""
    return f'prior = "{kind}", variance = {variance}{edge}'


@pytest.mark.parametrize(("kind", "variance", "lower", "extra"), GAUSSIANS + TRUNCATED)
def test_continuous_units(kind, variance, lower, extra):
    gamma, one, two = expected(kind, FIELDS, variance, lower, extra)
    prior, theta = declared_prior(kind, variance, lower), FIELDS[:, None]
    double = conditionals(prior, extra=extra or None)
    found = double.moments("h", theta)
    np.testing.assert_allclose(found.first[:, 0], one, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found.second[:, 0], two, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(double.log_normaliser("h", theta), gamma, rtol=1e-9, atol=1e-11)
    # the distance from the edge keeps its digits where the unit is pressed against it
    if np.isfinite(lower):
        np.testing.assert_allclose(found.first[:, 0] - lower, one - lower, rtol=1e-8)
    single = conditionals(prior, extra=extra or None, dtype=np.float32)
    found = single.moments("h", theta.astype(np.float32))
    assert found.first.dtype == found.second.dtype == np.float32
    np.testing.assert_allclose(found.first[:, 0], one, rtol=SINGLE, atol=1e-7)
    np.testing.assert_allclose(found.second[:, 0], two, rtol=SINGLE, atol=1e-7)
    wide = single.log_normaliser("h", theta.astype(np.float32))
    assert wide.dtype == np.float64
    np.testing.assert_allclose(wide, gamma, rtol=SINGLE, atol=1e-6)


@pytest.mark.parametrize(
    ("prior", "states"),
    [('prior = "ising"', (-1, 1)), ('prior = "bernoulli"', (0, 1))],
    ids=["ising", "bernoulli"],
)
def test_two_state_units(prior, states):
    weights = np.outer(FIELDS, states)
    top = weights.max(axis=1, keepdims=True)
    p = np.exp(weights - top)
    gamma = top[:, 0] + np.log1p(p.min(axis=1))
    one = p @ states / p.sum(axis=1)
    double, single = conditionals(prior), conditionals(prior, dtype=np.float32)
    found = double.moments("h", FIELDS[:, None])
    assert found.second is None
    np.testing.assert_allclose(found.first[:, 0], one, rtol=1e-9, atol=1e-15)
    np.testing.assert_allclose(double.log_normaliser("h", FIELDS[:, None]), gamma, rtol=1e-9)
    found = single.moments("h", FIELDS[:, None].astype(np.float32))
    assert found.first.dtype == np.float32
    np.testing.assert_allclose(found.first[:, 0], one, rtol=SINGLE, atol=2e-7)


def test_potts_units():
    q, rng = 4, np.random.default_rng(3)
    theta = FIELDS[:, None] * rng.uniform(-1.0, 1.0, (len(FIELDS), q))
    p = np.exp(theta - theta.max(axis=1, keepdims=True))
    gamma = theta.max(axis=1) + np.log(p.sum(axis=1))
    p = p / p.sum(axis=1, keepdims=True)
    prior = f'prior = "potts", q = {q}'
    text = (
        UNIT.replace("J = 1.0", 'J = "W"')
        + "[arrays]\nW = {{ law = 'normal', std = 1, shape = [2, {n}, 4] }}\n"
    )
    for dtype, rtol, atol in ((np.float64, 1e-9, 1e-30), (np.float32, 2e-5, 2e-6)):
        loaded = declared(text.format(prior=prior, n=1))
        c = loaded.coefficients([1.0]).value[0]
        of_one = Conditionals(loaded.hamiltonian, c, loaded.params(0), dtype)
        found = of_one.moments("h", theta.astype(dtype))
        assert found.first.dtype == dtype and found.second is None
        np.testing.assert_allclose(found.first, p, rtol=rtol, atol=atol)
        np.testing.assert_allclose(of_one.log_normaliser("h", theta.astype(dtype)), gamma, rtol=rtol)


def test_units_of_one_group_have_their_own_variances_and_edges():
    """Sums over the units of a row; no unit reads the number of another."""
    variances, edges = [0.3, 1.0, 4.0], [-1.3, 0.0, 2.5]
    loaded = declared(
        UNIT.format(prior='prior = "truncated_gaussian", variance = "s", lower = "edge"', n=3)
        + "[arrays]\ns = { values = [0.3, 1.0, 4.0] }\nedge = { values = [-1.3, 0.0, 2.5] }\n"
    )
    params: Params = loaded.params(0)
    c = loaded.coefficients([1.0]).value[0]
    of_all = Conditionals(loaded.hamiltonian, c, params)
    theta = np.stack([FIELDS, FIELDS[::-1], 0.5 * FIELDS], axis=1)
    units = [expected("", theta[:, i], variances[i], edges[i]) for i in range(3)]
    found = of_all.moments("h", theta)
    np.testing.assert_allclose(found.first, np.array([u[1] for u in units]).T, rtol=1e-9)
    np.testing.assert_allclose(found.second, np.array([u[2] for u in units]).T, rtol=1e-9)
    gamma = sum(u[0] for u in units)
    np.testing.assert_allclose(of_all.log_normaliser("h", theta), gamma, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("hidden", ["bernoulli", "ising", "gaussian", "truncated_gaussian", "potts"])
@pytest.mark.parametrize("visible", ["bernoulli", "ising", "gaussian", "potts"])
def test_marginal_energies_are_integrals_of_the_defining_energy(visible, hidden):
    """``-log int exp(-u(v, h)) dh`` of one hidden unit, strongly coupled; u by its definition.

    u holds the log of the normalised prior: the integral is over Lebesgue measure.
    """
    loaded = rbm(visible, hidden, nv=3, nh=1, std=6.0 if hidden != "gaussian" else 2.0)
    H, c, params = loaded.hamiltonian, loaded.coefficients([1.0]), loaded.params(2)
    rng = np.random.default_rng(1)
    prior = H.group("v").prior
    v = rng.choice(prior.states, (4, 3)) if prior.discrete else rng.normal(0.4, 1.0, (4, 3))
    of_rows = Conditionals(H, c.value[0], params)
    known = of_rows.states({"v": v})
    found = of_rows.energy(known) - of_rows.log_normaliser("h", of_rows.field("h", known))
    unit = H.group("h").prior
    own = 0.0
    if not prior.discrete:
        s = params.arrays["v_variance"][0]
        # Conditionals counts the quadratic form of v, the reduced potential the log of its density
        own = 0.5 * np.log(2.0 * np.pi * s).sum()
    for row, value in zip(v, found):

        def log_f(x, row=row):
            x = np.array([[x]])
            return -reduced_potential(H, params, c, {"v": row[None], "h": x})[0, 0]

        if unit.discrete:
            log_z = np.logaddexp.reduce([log_f(x) for x in unit.states])
        else:
            theta = of_rows.field("h", of_rows.states({"v": row[None]}))[0, 0]
            variance = params.arrays["h_variance"][0, 0]
            lower = 0.3 if hidden == "truncated_gaussian" else -np.inf
            peak = max(lower, theta * variance)
            width = 1.0 / max(variance**-0.5, abs(theta - peak / variance))
            log_z = integrals(log_f, lower, np.inf, peak, width)[0]
        assert value + own == pytest.approx(-log_z, rel=1e-9, abs=1e-9)

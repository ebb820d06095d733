"""Restricted machines of every hidden prior against independent numbers, through the learning rooms.

Units of the reference: ``E = - a.v - v W h + sum_j U_j(h_j)``, Lebesgue measure for continuous units.
Here priors are normalised, so that its ln Z is larger by

    (1/2) ln(2 pi / gamma)      per Gaussian hidden unit, of variance 1/gamma,
    (1/2) ln(pi / (2 gamma))    per hidden unit truncated at 0, whose field here is -theta,
    (1/2) ln(2 pi sigma^2) - a^2 / (2 sigma^2)   per Gaussian visible unit, of field a / sigma^2.

p(v) is the same in both, and gradients follow by the chain rule.
"""

import numpy as np
import pytest
from learning_models import declared
from trained_problems import exact_gradient, reference, with_values

from physebm.free_energy.exact import exact_averages, summed_out
from physebm.model.conditionals import Conditionals
from physebm.model.statistics import RowAverages, statistics

CLOSE = {"rtol": 1e-8, "atol": 1e-12}
CASES = reference("rbm_exact")["rbm"]

MACHINE = """
[units]
v = {{ {visible}, shape = {N}, visible = true }}
h = {{ {hidden} }}
[arrays]
W = {{ law = "normal", std = 1, shape = [{N}, {couplings}], trainable = true }}
a = {{ law = "normal", std = 1, shape = {N}, trainable = true }}
b = {{ law = "normal", std = 1, shape = [{fields}], trainable = true }}
{variance}
[[terms]]
couple = ["v", "h"]
J = "W"
[[terms]]
field = "v"
h = "a"
[[terms]]
field = "h"
h = "b"
"""
VARIANCE = 'variance = {{ law = "uniform", low = 1, high = 2, shape = {n}, trainable = true }}'


def machine(case):
    """The model, its arrays here, and ln Z there minus ln Z here."""
    N, M, p = case["N"], case["M"], case["params"]
    arrays = {"W": np.array(case["W"]), "a": case["a"]}
    hidden, sizes, shift = f'prior = "{case["hidden"]}", shape = {M}', (M, M), 0.0
    variance = ""
    if case["hidden"] == "onehot":
        hidden, sizes = f'prior = "potts", q = {M}, shape = 1', (f"1, {M}", f"1, {M}")
        arrays |= {"W": arrays["W"].reshape(N, 1, M), "b": np.reshape(p["b"], (1, M))}
    elif "gamma" in p:
        gamma = np.array(p["gamma"])
        kind = 'truncated_gaussian", lower = 0' if case["hidden"] == "relu" else 'gaussian"'
        hidden = f'prior = "{kind}, variance = "variance", shape = {M}'
        variance = VARIANCE.format(n=M)
        shift = 0.5 * np.log(2.0 * np.pi / gamma).sum()
        if case["hidden"] == "relu":
            shift = 0.5 * np.log(np.pi / (2.0 * gamma)).sum()
        b = -np.array(p["theta"]) if "theta" in p else p["b"]
        arrays |= {"variance": 1.0 / gamma, "b": b}
    else:
        arrays["b"] = p["b"]
    loaded = declared(
        MACHINE.format(
            visible=f'prior = "{case["visible"]}"',
            hidden=hidden,
            N=N,
            couplings=sizes[0],
            fields=sizes[1],
            variance=variance,
        )
    )
    return loaded, with_values(loaded, arrays), shift


def gaussian_machine():
    """Bernoulli hidden units on Gaussian visible ones, trainable variances included."""
    (case,) = reference("rbm_exact")["gaussian_visible"]
    N, M, a, sigma = case["N"], case["M"], np.array(case["a"]), np.array(case["sigma"])
    loaded = declared(
        MACHINE.format(
            visible='prior = "gaussian", variance = "variance"',
            hidden=f'prior = "bernoulli", shape = {M}',
            N=N,
            couplings=M,
            fields=M,
            variance=VARIANCE.format(n=N),
        )
    )
    arrays = {"W": case["W"], "a": a / sigma**2, "b": case["b"], "variance": sigma**2}
    shift = (0.5 * np.log(2.0 * np.pi * sigma**2) - a**2 / (2.0 * sigma**2)).sum()
    return case, loaded, with_values(loaded, arrays), shift


def mixture(mu, pi, sigma):
    """One Potts unit of K states on Gaussian visible units of one variance: K equal Gaussians.

    ``pi_k exp(-|v - mu_k|^2 / (2 sigma^2))`` is reached with ``W_k = mu_k / sigma^2`` and
    ``b_k = ln pi_k - |mu_k|^2 / (2 sigma^2)``.
    """
    (K, N), mu = np.shape(mu), np.array(mu)
    loaded = declared(
        MACHINE.format(
            visible=f'prior = "gaussian", variance = {sigma**2!r}',
            hidden=f'prior = "potts", q = {K}, shape = 1',
            N=N,
            couplings=f"1, {K}",
            fields=f"1, {K}",
            variance="",
        )
    )
    b = np.log(pi) - (mu**2).sum(axis=1) / (2.0 * sigma**2)
    arrays = {"W": (mu.T / sigma**2).reshape(N, 1, K), "a": np.zeros(N), "b": b.reshape(1, K)}
    return loaded, with_values(loaded, arrays)


def log_probability(loaded, params, v):
    """``log p(v)``: energies of visible units and Gamma of hidden ones over the enumerated Z."""
    H, c = loaded.hamiltonian, loaded.coefficients([1.0])
    conditionals = Conditionals(H, c.value[0], params)
    known = conditionals.states({"v": v})
    theta = conditionals.field("h", known)
    log_z = exact_averages(summed_out(H), params, c).exact.log_z[0]
    return -conditionals.energy(known) + conditionals.log_normaliser("h", theta) - log_z


def all_states(visible, N):
    """State k of the reference: unit i is bit i."""
    bits = (np.arange(2**N)[:, None] >> np.arange(N)) & 1
    return 2 * bits - 1 if visible == "ising" else bits


@pytest.mark.parametrize("case", CASES, ids=lambda c: c["hidden"])
def test_log_z_probabilities_and_moments(case):
    loaded, params, shift = machine(case)
    H, c, known = loaded.hamiltonian, loaded.coefficients([1.0]), case["exact"]
    N, M = case["N"], case["M"]
    model = exact_averages(summed_out(H), params, c)
    assert model.exact.log_z[0] + shift == pytest.approx(known["lnZ"], rel=1e-10)
    v = all_states(case["visible"], N)
    log_p = log_probability(loaded, params, v)
    np.testing.assert_allclose(np.exp(log_p[::5]), known["p_v"], rtol=1e-8)
    assert np.exp(log_p).sum() == pytest.approx(1.0, rel=1e-12)
    # the same moments by rows: all visible states with their probabilities, hidden means given each
    conditionals = Conditionals(H, c.value[0], params)
    held = conditionals.states({"v": v})
    moments = {**held, "h": conditionals.moments("h", conditionals.field("h", held))}
    rows = RowAverages(H, moments, np.exp(log_p))
    for averages in (model, rows):
        np.testing.assert_allclose(averages.mean("v").ravel(), known["v"], **CLOSE)
        np.testing.assert_allclose(averages.mean("h").ravel(), known["h"], **CLOSE)
        np.testing.assert_allclose(averages.pair("v", "h").reshape(N, M), known["vh"], **CLOSE)
        pairs = averages.pair("v", "v").reshape(N, N)
        off = ~np.eye(N, dtype=bool)
        np.testing.assert_allclose(pairs[off], np.array(known["vv"])[off], **CLOSE)
        if "h2" in known:
            np.testing.assert_allclose(averages.square("h"), known["h2"], **CLOSE)


@pytest.mark.parametrize("case", CASES, ids=lambda c: c["hidden"])
def test_likelihood_and_gradients(case):
    """Of every array, precisions included: ``d/dgamma = - v^2 d/dv`` at ``v = 1/gamma``."""
    loaded, params, _ = machine(case)
    N, M, known = case["N"], case["M"], case["gradients"]
    v = np.array(case["data"], dtype=int)
    found = exact_gradient(loaded, params, {"v": v})
    assert log_probability(loaded, params, v).mean() == pytest.approx(known["mean_loglik"], rel=1e-10)
    np.testing.assert_allclose(found["W"].reshape(N, M), known["dW"], rtol=1e-8, atol=1e-11)
    np.testing.assert_allclose(found["a"], known["da"], rtol=1e-8, atol=1e-11)
    b = -np.array(known["dtheta"]) if "dtheta" in known else known["db"]
    np.testing.assert_allclose(found["b"].ravel(), b, rtol=1e-8, atol=1e-11)
    assert ("variance" in found) == ("dgamma" in known)
    if "dgamma" in known:
        variance = params.arrays["variance"][0]
        np.testing.assert_allclose(
            -(variance**2) * found["variance"], known["dgamma"], rtol=1e-8, atol=1e-11
        )


def test_gaussian_visible_units():
    """``a`` of the reference moves the field ``a / sigma^2``: its gradient is that over sigma^2."""
    case, loaded, params, shift = gaussian_machine()
    H, c, known = loaded.hamiltonian, loaded.coefficients([1.0]), case["exact"]
    model = exact_averages(summed_out(H), params, c)
    assert model.exact.log_z[0] + shift == pytest.approx(known["lnZ"], rel=1e-10)
    np.testing.assert_allclose(model.mean("v").ravel(), known["v"], **CLOSE)
    np.testing.assert_allclose(model.mean("h").ravel(), known["h"], **CLOSE)
    np.testing.assert_allclose(model.pair("v", "h")[:, 0, :, 0], known["vh"], **CLOSE)
    squares = np.diag(known["v_cov"]) + np.array(known["v"]) ** 2
    np.testing.assert_allclose(model.square("v"), squares, **CLOSE)
    v, sigma = np.array(case["data"]), np.array(case["sigma"])
    # Densities here are relative to the prior N(0, sigma^2): the reference's are Lebesgue densities.
    prior = -0.5 * (v**2 / sigma**2 + np.log(2.0 * np.pi * sigma**2)).sum(axis=1)
    relative = log_probability(loaded, params, v) + 0.5 * (v**2 / sigma**2).sum(axis=1)
    np.testing.assert_allclose(relative + prior, case["logp"], rtol=1e-10)
    found, wanted = exact_gradient(loaded, params, {"v": v}), case["gradients"]
    assert np.mean(case["logp"]) == pytest.approx(wanted["mean_loglik"], rel=1e-12)
    np.testing.assert_allclose(found["W"], wanted["dW"], rtol=1e-8, atol=1e-11)
    np.testing.assert_allclose(found["b"], wanted["db"], rtol=1e-8, atol=1e-11)
    np.testing.assert_allclose(found["a"] / sigma**2, wanted["da"], rtol=1e-8, atol=1e-11)


def test_the_gaussian_mixture_and_one_step_of_its_em():
    """Responsibilities are the hidden conditional; EM's means are the data phase of the gradient.

    The M step solves ``<statistic>_data = <statistic>_model`` with the responsibilities held. So the
    data phase at the old parameters must be the model phase at those that the reference's step found.
    """
    (case,) = reference("rbm_exact")["gmm"]
    loaded, params = mixture(case["mu"], case["pi"], case["sigma"])
    np.testing.assert_allclose(params.arrays["W"][0, :, 0], case["W"], rtol=1e-10)
    H, c, sigma = loaded.hamiltonian, loaded.coefficients([1.0]), case["sigma"]
    np.testing.assert_allclose(
        params.arrays["b"][0, 0] - params.arrays["b"][0, 0, 0],
        np.array(case["b"]) - case["b"][0],
        rtol=1e-10,
        atol=1e-12,
    )
    v, N = np.array(case["data"]), case["N"]
    prior = -0.5 * (v**2).sum(axis=1) / sigma**2 - 0.5 * N * np.log(2.0 * np.pi * sigma**2)
    relative = log_probability(loaded, params, v) + 0.5 * (v**2).sum(axis=1) / sigma**2
    np.testing.assert_allclose(relative + prior, case["logp"], rtol=1e-10)
    assert np.mean(case["logp"]) == pytest.approx(case["mean_loglik"], rel=1e-12)
    conditionals = Conditionals(H, c.value[0], params)
    held = conditionals.states({"v": v})
    z = conditionals.moments("h", conditionals.field("h", held))
    np.testing.assert_allclose(z.first, case["responsibilities"], rtol=1e-8, atol=1e-14)
    data = RowAverages(H, {**held, "h": z})
    step = case["one_EM_step"]
    mu, pi, one_sigma = np.array(step["mu"]), np.array(step["pi"]), step["sigma_isotropic"]
    np.testing.assert_allclose(data.mean("h").ravel(), pi, rtol=1e-8)
    np.testing.assert_allclose(data.pair("v", "h")[:, 0, 0], (pi[:, None] * mu).T, rtol=1e-8)
    inner = (pi * (mu**2).sum(axis=1)).sum()
    assert data.square("v").sum() == pytest.approx(N * one_sigma**2 + inner, rel=1e-8)
    better, new = mixture(mu, pi, one_sigma)
    model = exact_averages(summed_out(better.hamiltonian), new, better.coefficients([1.0]))
    slots = ["W", "a", "b"]
    one = statistics(H, params, data, c.value[0], slots)
    two = statistics(better.hamiltonian, new, model, c.value[0], slots)
    for slot in slots:
        np.testing.assert_allclose(one[slot], two[slot], rtol=1e-8, atol=1e-11)
    assert data.square("v").sum() == pytest.approx(model.square("v").sum(), rel=1e-8)

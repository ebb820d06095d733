"""Exact enumeration against numbers computed independently, and against its own identities."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from enumeration_models import fixed, group, model, plain, reference

from physebm.errors import LoweringError
from physebm.model.terms import AllPairs, EdgeList, Field, Lattice, LowRank, Many, Pair, Square
from physebm.theory import curie_weiss
from physebm.theory.enumeration import enumerate_states

CLOSE = {"rtol": 1e-10, "atol": 1e-12}


@pytest.mark.parametrize("case", reference("hopfield_enum")["cases"], ids=lambda c: f"N{c['N']}")
def test_hopfield_agrees_with_the_reference(case):
    """N = 16 keeps its probabilities and averages overlaps; N = 18 goes through the kernel."""
    N, P, xi = case["N"], case["P"], np.array(case["xi"])
    thermo = case["thermo"]
    exact = enumerate_states(
        *model(
            [group("s", "ising", N)],
            [(LowRank("s", "xi"), plain(1 / N))],
            [t["beta"] for t in thermo],
            {"xi": xi},
        )
    )

    def overlaps(state):
        m = state["s"] @ xi.T / N
        return np.concatenate(
            [m**2, np.abs(m), m**4, m[:, :1] * m[:, 1:2], np.abs(m).max(axis=1)[:, None]], axis=1
        )

    # The reference's H carries no constant: -(1/2) sum_{i != j}, as here.
    np.testing.assert_allclose(exact.log_z, [t["lnZ"] for t in thermo], **CLOSE)
    np.testing.assert_allclose(exact.energy, [t["e"] for t in thermo], **CLOSE)
    np.testing.assert_allclose(exact.specific_heat, [t["c"] for t in thermo], rtol=1e-9)
    # m_mu m_nu = (1/N^2) sum_ij xi_i^mu xi_j^nu s_i s_j
    mm = np.einsum("mi,kij,nj->kmn", xi, exact.pair("s", "s"), xi, optimize=True) / N**2
    np.testing.assert_allclose(mm, [t["mm"] for t in thermo], **CLOSE)
    if N > 16:
        assert exact.probabilities is None
        return
    expected = [
        [*t["m2"], *t["abs_m"], *t["m4"], t["mm"][0][1], t["abs_max_overlap_mean"]] for t in thermo
    ]
    np.testing.assert_allclose(exact.average(overlaps), expected, **CLOSE)
    values = np.array(thermo[0]["overlap_values"])

    def histogram(state):
        return np.isclose((state["s"] @ xi.T / N)[..., None], values).reshape(len(state["s"]), -1)

    hist = exact.average(histogram).reshape(len(thermo), P, -1)
    np.testing.assert_allclose(hist, [t["overlap_hist"] for t in thermo], **CLOSE)


@pytest.mark.parametrize("integrated", [False, True])
def test_the_gaussian_form_of_hopfield_agrees_with_the_reference(integrated):
    case = reference("hopfield_enum")["cases"][0]
    N, P, thermo = case["N"], case["P"], case["thermo"]
    exact = enumerate_states(
        *model(
            [
                group("s", "ising", N, visible=True),
                group("z", "gaussian", P, integrated=integrated),
            ],
            [(Pair("z", "s", AllPairs(), "xi"), plain(N**-0.5)), (Square("z"), plain())],
            [t["beta"] for t in thermo],
            {"xi": case["xi"]},
        ),
        probabilities=False,
    )
    # Here z = sqrt(T) h of the reference, whose measure is Lebesgue: + (P/2) ln 2 pi there.
    beta = exact.beta
    np.testing.assert_allclose(exact.log_z, [t["lnZ"] + t["beta"] * P / 2 for t in thermo], **CLOSE)
    np.testing.assert_allclose(exact.energy, [t["e"] - P / (2 * N) for t in thermo], **CLOSE)
    np.testing.assert_allclose(exact.specific_heat, [t["c"] for t in thermo], rtol=1e-8)
    hh = np.array([t["gaussian_hidden"]["hh"] for t in thermo])
    sh = np.array([t["gaussian_hidden"]["sh"] for t in thermo])
    np.testing.assert_allclose(exact.pair("z", "z"), hh / beta[:, None, None], **CLOSE)
    np.testing.assert_allclose(exact.pair("s", "z"), sh / np.sqrt(beta)[:, None, None], **CLOSE)


def _thermodynamics(exact, thermo, rtol=1e-9):
    np.testing.assert_allclose(exact.log_z, [t["lnZ"] for t in thermo], rtol=1e-11)
    np.testing.assert_allclose(exact.energy, [t["e"] for t in thermo], rtol=rtol)
    np.testing.assert_allclose(exact.specific_heat, [t["c"] for t in thermo], rtol=max(rtol, 1e-9))


def test_sherrington_kirkpatrick_agrees_with_the_reference():
    (case,) = reference("spinglass")["sk_finite"]
    thermo = case["thermo"]
    exact = enumerate_states(
        *model(
            [group("s", "ising", case["N"])],
            [(Pair("s", "s", AllPairs(), "J"), plain())],
            [t["beta"] for t in thermo],
            {"J": case["J"]},
        )
    )
    _thermodynamics(exact, thermo)
    np.testing.assert_allclose(exact.pair("s", "s"), [t["corr"] for t in thermo], **CLOSE)
    np.testing.assert_allclose(exact.mean("s"), 0.0, atol=1e-13)
    q2 = (exact.pair("s", "s") ** 2).mean(axis=(1, 2))
    np.testing.assert_allclose(q2, [t["q2"] for t in thermo], **CLOSE)


@pytest.mark.parametrize("form", ["dense", "edges"])
def test_the_three_spin_model_agrees_with_the_reference(form):
    (case,) = reference("spinglass")["pspin"]
    N, thermo, tuples = case["N"], case["thermo"], np.array(case["tuples"])
    graph, J, edges = AllPairs(), np.zeros((N, N, N)), None
    J[tuple(tuples.T)] = case["J"]
    if form == "edges":
        graph, J, edges = EdgeList("inline"), np.array(case["J"]), {0: tuples}
    exact = enumerate_states(
        *model(
            [group("s", "ising", N)],
            [(Many("s", 3, graph, "J"), plain())],
            [t["beta"] for t in thermo],
            {"J": J},
            edges=edges,
        )
    )
    _thermodynamics(exact, thermo)
    np.testing.assert_allclose(exact.mean("s"), [t["m"] for t in thermo], **CLOSE)
    np.testing.assert_allclose(exact.pair("s", "s"), [t["corr"] for t in thermo], **CLOSE)


@pytest.mark.parametrize(
    "case", reference("spinglass")["ea"], ids=lambda c: f"{c['d']}d-L{c['L']}-{c['disorder']}"
)
def test_edwards_anderson_agrees_with_the_reference(case):
    d, L, thermo = case["d"], case["L"], case["thermo"][1:2]
    lattice = Lattice({2: "square", 3: "cubic"}[d], (True,) * d)
    exact = enumerate_states(
        *model(
            [group("s", "ising", (L,) * d)],
            [(Pair("s", "s", lattice, "J"), plain())],
            [t["beta"] for t in thermo],
            {"J": case["J"]},
        )
    )
    # The reference differentiates an exact log Z numerically: e to 1e-9, c to 1e-7.
    np.testing.assert_allclose(exact.log_z, [t["lnZ"] for t in thermo], rtol=1e-11)
    np.testing.assert_allclose(exact.energy, [t["e"] for t in thermo], atol=1e-8)
    np.testing.assert_allclose(exact.specific_heat, [t["c"] for t in thermo], atol=2e-6)


def test_the_three_dimensional_ising_model_of_27_spins_agrees_with_the_reference():
    thermo = [t for t in reference("ising3d_small") if t["L"] == 3][1:2]
    exact = enumerate_states(
        *model(
            [group("s", "ising", (3, 3, 3))],
            [(Pair("s", "s", Lattice("cubic", (True,) * 3)), plain())],
            [t["beta"] for t in thermo],
        )
    )
    np.testing.assert_allclose(exact.log_z, [t["lnZ"] for t in thermo], rtol=1e-11)
    np.testing.assert_allclose(exact.energy, [t["e"] for t in thermo], atol=1e-8)
    np.testing.assert_allclose(exact.specific_heat, [t["c"] for t in thermo], atol=1e-6)
    # Every bond of the torus is equivalent: e = -3 <s_0 s_1>.
    np.testing.assert_allclose(-3.0 * exact.pair("s", "s")[:, 0, 1], exact.energy, rtol=1e-12)


@pytest.mark.parametrize("case", reference("potts2d")["enumeration"], ids=lambda c: f"q{c['q']}")
def test_the_potts_model_agrees_with_the_reference(case):
    q, thermo = case["q"], case["thermo"]
    exact = enumerate_states(
        *model(
            [group("s", "potts", (case["Lx"], case["Ly"]), q=q)],
            [(Pair("s", "s", Lattice("square", (True, True))), plain())],
            [t["beta"] for t in thermo],
        )
    )
    _thermodynamics(exact, thermo)
    np.testing.assert_allclose(exact.order[:, 0], [t["m_max"] for t in thermo], **CLOSE)
    np.testing.assert_allclose(exact.order[:, 2], [t["m_max2"] for t in thermo], **CLOSE)
    # sum_a rho_a^2 = (1/N^2) sum_ij P(s_i = s_j)
    same = np.einsum("kijaa->k", exact.pair("s", "s")) / (case["Lx"] * case["Ly"]) ** 2
    np.testing.assert_allclose(same, [t["sum_rho2"] for t in thermo], **CLOSE)


@pytest.mark.parametrize("size", [9, 18])
def test_curie_weiss_agrees_with_the_sum_over_the_magnetisation(size):
    betas, h = [0.5, 1.0, 1.6], 0.07
    exact = enumerate_states(
        *model(
            [group("s", "ising", size)],
            [(Pair("s", "s", AllPairs()), plain(1 / size)), (Field("s"), plain(h))],
            betas,
        )
    )
    for k, beta in enumerate(betas):
        at = (beta, size, h)
        assert exact.log_z[k] == pytest.approx(curie_weiss.log_z(*at), rel=1e-12)
        assert exact.energy[k] == pytest.approx(curie_weiss.energy(*at), rel=1e-11)
        assert exact.specific_heat[k] == pytest.approx(curie_weiss.specific_heat(*at), rel=1e-10)
        assert exact.free_energy[k] == pytest.approx(curie_weiss.free_energy(*at), rel=1e-12)
        order = [curie_weiss.magnetisation(*at), curie_weiss.abs_magnetisation(*at)]
        order += [curie_weiss.m2(*at), curie_weiss.m4(*at)]
        np.testing.assert_allclose(exact.order[k], order, rtol=1e-11)
        assert exact.susceptibility[k] == pytest.approx(curie_weiss.susceptibility(*at), rel=1e-10)
        assert exact.binder[k] == pytest.approx(curie_weiss.binder(*at), rel=1e-10)


def test_boltzmann_probabilities_stand_in_state_order():
    (case,) = reference("markov_spin")["spin"]
    exact = enumerate_states(
        *model(
            [group("s", "ising", case["N"])],
            [(Pair("s", "s", AllPairs(), "J"), plain()), (Field("s", "h"), plain())],
            [case["beta"]],
            {"J": case["J"], "h": case["h"]},
        )
    )
    np.testing.assert_allclose(exact.probabilities[0], case["p"], rtol=1e-12)
    assert np.abs(exact.probabilities[0] - case["synchronous_stationary"]).sum() > 1.0


def _rbm(case, integrated):
    """The machine in this package's terms, and what its log Z lacks of the reference's."""
    W, p, M = np.array(case["W"]), case["params"], case["M"]
    arrays = {"W": W, "a": case["a"]}
    shift, lower = 0.0, {}
    kind = {"relu": "truncated_gaussian", "onehot": "potts"}.get(case["hidden"], case["hidden"])
    size, q = (1, M) if kind == "potts" else (M, 0)
    if kind == "potts":
        arrays["W"] = W.reshape(-1, 1, M)
        arrays["b"] = np.reshape(p["b"], (1, M))
    else:
        arrays["b"] = -np.array(p["theta"]) if "theta" in p else p["b"]
    terms = [
        (Pair("v", "h", AllPairs(), "W", states=kind == "potts"), plain()),
        (Field("v", "a"), plain()),
        (Field("h", "b"), plain()),
    ]
    if "gamma" in p:
        # Priors are densities here: the reference counts sqrt(2 pi / gamma) more per Gaussian
        # unit, sqrt(pi / (2 gamma)) more per unit truncated at 0.
        gamma = np.array(p["gamma"])
        arrays["variance"] = 1.0 / gamma
        terms.append((Square("h", "variance", inverse=True), fixed()))
        measure = 2.0 * np.pi / gamma if kind == "gaussian" else np.pi / (2.0 * gamma)
        shift = 0.5 * np.log(measure).sum()
        if kind == "truncated_gaussian":
            lower = {"h": np.zeros(M)}
    groups = [
        group("v", case["visible"], case["N"], visible=True),
        group("h", kind, size, q=q, integrated=integrated),
    ]
    return model(groups, terms, [1.0], arrays, lower), shift


@pytest.mark.parametrize("integrated", [False, True])
@pytest.mark.parametrize("case", reference("rbm_exact")["rbm"], ids=lambda c: c["hidden"])
def test_restricted_boltzmann_machines_agree_with_the_reference(case, integrated):
    declared, shift = _rbm(case, integrated)
    exact = enumerate_states(*declared)
    N, M, known = case["N"], case["M"], case["exact"]
    assert exact.log_z[0] + shift == pytest.approx(known["lnZ"], rel=1e-12)
    p_v = exact.probabilities[0].reshape(-1, 2**N).sum(axis=0)
    np.testing.assert_allclose(p_v[::5], known["p_v"], rtol=1e-10)
    np.testing.assert_allclose(exact.mean("v")[0], known["v"], **CLOSE)
    np.testing.assert_allclose(exact.mean("h")[0].ravel(), known["h"], **CLOSE)
    np.testing.assert_allclose(exact.pair("v", "h")[0].reshape(N, M), known["vh"], **CLOSE)
    np.testing.assert_allclose(exact.pair("v", "v")[0], known["vv"], **CLOSE)
    if "h2" in known:
        squares = np.diag(exact.pair("h", "h")[0])
        np.testing.assert_allclose(squares, known["h2"], **CLOSE)


@pytest.mark.parametrize("integrated", [False, True])
def test_gaussian_visible_units_agree_with_the_reference(integrated):
    (case,) = reference("rbm_exact")["gaussian_visible"]
    N, sigma, a = case["N"], np.array(case["sigma"]), np.array(case["a"])
    groups = [
        group("v", "gaussian", N, visible=True),
        group("h", "bernoulli", case["M"], integrated=integrated),
    ]
    terms = [
        (Pair("v", "h", AllPairs(), "W"), plain()),
        (Field("v", "a"), plain()),
        (Field("h", "b"), plain()),
        (Square("v", "variance", inverse=True), fixed()),
    ]
    arrays = {"W": case["W"], "a": a / sigma**2, "b": case["b"], "variance": sigma**2}
    exact = enumerate_states(*model(groups, terms, [1.0], arrays))
    # (v - a)^2 / 2 sigma^2 = v^2 / 2 sigma^2 - (a / sigma^2) v + a^2 / 2 sigma^2
    shift = (0.5 * np.log(2 * np.pi * sigma**2) - a**2 / (2 * sigma**2)).sum()
    known = case["exact"]
    assert exact.log_z[0] + shift == pytest.approx(known["lnZ"], rel=1e-12)
    np.testing.assert_allclose(exact.probabilities[0], known["mixture_weights_h"], rtol=1e-11)
    np.testing.assert_allclose(exact.mean("v")[0], known["v"], **CLOSE)
    np.testing.assert_allclose(exact.mean("h")[0], known["h"], **CLOSE)
    np.testing.assert_allclose(exact.pair("v", "h")[0], known["vh"], **CLOSE)
    cov = exact.pair("v", "v")[0] - np.outer(exact.mean("v")[0], exact.mean("v")[0])
    np.testing.assert_allclose(cov, known["v_cov"], **CLOSE)


def test_the_gaussian_mixture_agrees_with_the_reference():
    (case,) = reference("rbm_exact")["gmm"]
    N, K, sigma = case["N"], case["K"], case["sigma"]
    groups = [group("v", "gaussian", N, visible=True), group("z", "potts", 1, q=K)]
    terms = [
        (Pair("v", "z", AllPairs(), "W", states=True), plain()),
        (Field("z", "b"), plain()),
        (Square("v"), fixed(1 / sigma**2)),
    ]
    arrays = {"W": np.reshape(case["W"], (N, 1, K)), "b": np.reshape(case["b"], (1, K))}
    exact = enumerate_states(*model(groups, terms, [1.0], arrays))
    shift = 0.5 * N * np.log(2 * np.pi * sigma**2)
    assert exact.log_z[0] + shift == pytest.approx(case["lnZ"], rel=1e-11)
    np.testing.assert_allclose(exact.mean("z")[0, 0], case["pi"], rtol=1e-10)
    pi, mu = np.array(case["pi"]), np.array(case["mu"])
    np.testing.assert_allclose(exact.mean("v")[0], pi @ mu, rtol=1e-9)
    squares = sigma**2 * np.eye(N) + np.einsum("k,ki,kj->ij", pi, mu, mu)
    np.testing.assert_allclose(exact.pair("v", "v")[0], squares, rtol=1e-9)


@pytest.mark.parametrize("integrated", ["", "h1", "h2"])
def test_a_deep_boltzmann_machine_agrees_with_the_reference(integrated):
    (case,) = reference("dbm")["dbm"]
    sizes = {"v": case["N"], "h1": case["M"], "h2": case["K"]}
    groups = [group(g, "bernoulli", n, integrated=g == integrated) for g, n in sizes.items()]
    terms = [
        (Pair("v", "h1", AllPairs(), "W1"), plain()),
        (Pair("h1", "h2", AllPairs(), "W2"), plain()),
        *((Field(g, name), plain()) for g, name in zip(sizes, "abc")),
    ]
    exact = enumerate_states(
        *model(groups, terms, [1.0], {k: case[k] for k in ("W1", "W2", "a", "b", "c")})
    )
    known = case["exact"]
    assert exact.log_z[0] == pytest.approx(known["lnZ"], rel=1e-12)
    for name in sizes:
        np.testing.assert_allclose(exact.mean(name)[0], known[name], **CLOSE)
    np.testing.assert_allclose(exact.pair("v", "h1")[0], known["vh1"], **CLOSE)
    np.testing.assert_allclose(exact.pair("h1", "h2")[0], known["h1h2"], **CLOSE)


def test_too_many_states_are_refused_with_the_limit():
    declared = model([group("s", "ising", 29)], [(Field("s"), plain())], [1.0])
    with pytest.raises(LoweringError, match="29 discrete units"):
        enumerate_states(*declared)


def test_coupled_truncated_units_are_refused_with_the_reason():
    declared = model(
        [group("z", "truncated_gaussian", 3)],
        [(Square("z"), fixed()), (Pair("z", "z", AllPairs()), plain(-0.1))],
        [1.0],
        lower={"z": np.zeros(3)},
    )
    with pytest.raises(LoweringError, match="no closed form"):
        enumerate_states(*declared)


def test_importing_the_enumeration_does_not_load_numba():
    code = "import sys, physebm.theory.enumeration; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

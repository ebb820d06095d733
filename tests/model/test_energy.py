"""Energies against loops over their definition; fields and derivatives against differences."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from physebm.model.energy import (
    energy_derivatives,
    features,
    local_field,
    reduced_potential,
    term_energies,
)
from physebm.model.hamiltonian import Group, Hamiltonian, Slot
from physebm.model.params import Coefficients, Params
from physebm.model.terms import (
    AllPairs,
    EdgeList,
    Field,
    Lattice,
    LowRank,
    Many,
    Pair,
    Square,
    groups_of,
)
from physebm.model.units import Prior

Q = 3
LANES = 4
GROUPS = (
    Group("s", Prior("ising"), (2, 3)),
    Group("b", Prior("bernoulli"), (4,)),
    Group("p", Prior("potts", Q), (3,)),
    Group("z", Prior("gaussian"), (2,)),
    Group("t", Prior("truncated_gaussian"), (3,)),
)
SIZE = {g.name: g.size for g in GROUPS}
EDGES = np.array([[0, 1], [2, 3], [0, 1], [1, 3]])
HYPEREDGES = np.array([[0, 1, 3], [1, 2, 3], [3, 0, 2]])
LATTICE = Lattice("square", (True, False))
TERMS = (
    Field("s", "h_s"),
    Field("p", "h_p"),
    Field("t"),
    Pair("s", "s", AllPairs(), "J_s"),
    Pair("s", "s", LATTICE, "J_l"),
    Pair("s", "s", LATTICE),
    Pair("b", "b", EdgeList("inline"), "J_e"),
    Pair("p", "p", AllPairs(), "J_d"),
    Pair("p", "p", AllPairs(), "J_p", states=True),
    Pair("p", "p", EdgeList("inline"), "J_pe", states=True),
    Pair("s", "b", AllPairs(), "W_sb"),
    Pair("z", "s", AllPairs(), "W_zs"),
    Pair("z", "p", AllPairs(), "W_zp", states=True),
    Pair("t", "z", AllPairs(), "W_tz"),
    LowRank("s", "xi_s"),
    LowRank("b"),
    LowRank("p", "xi_p"),
    Many("s", 3, AllPairs(), "K"),
    Many("b", 3, EdgeList("inline"), "L"),
    Square("z"),
    Square("t", "v", inverse=True),
    Square("z", "w"),
)
SHAPES = {
    "h_s": (2, 3),
    "h_p": (3, Q),
    "J_s": (6, 6),
    "J_l": (2, 2, 3),
    "J_e": (4,),
    "J_d": (3, 3),
    "J_p": (3, 3, Q, Q),
    "J_pe": (2, Q, Q),
    "W_sb": (2, 3, 4),
    "W_zs": (2, 2, 3),
    "W_zp": (2, 3, Q),
    "W_tz": (3, 2),
    "xi_s": (2, 2, 3),
    "xi_p": (2, 3, Q),
    "K": (6, 6, 6),
    "L": (3,),
    "v": (3,),
    "w": (2,),
}


def everything():
    """Two instances of a model with every kind of term, and a state of every prior."""
    rng = np.random.default_rng(4)
    arrays = {name: rng.normal(size=(2, *shape)) for name, shape in SHAPES.items()}
    arrays["v"], arrays["w"] = np.abs(arrays["v"]) + 0.2, np.abs(arrays["w"])
    for name in ("J_s", "J_d", "J_p"):
        J = arrays[name]
        J = J + J.transpose(0, 2, 1, *((4, 3) if J.ndim == 5 else ()))
        J[:, np.arange(J.shape[1]), np.arange(J.shape[1])] = 0.0
        arrays[name] = J
    edges = {
        6: np.stack([EDGES, EDGES[::-1]]),
        9: np.stack([[[0, 1], [2, 1]]] * 2),
        18: np.stack([HYPEREDGES, np.vstack([HYPEREDGES[:2], [[-1, -1, -1]]])]),
    }
    slots = tuple(Slot(name, shape) for name, shape in SHAPES.items())
    H = Hamiltonian("toy", GROUPS, TERMS, slots)
    state = {
        "s": rng.choice([-1, 1], size=(LANES, 6)),
        "b": rng.integers(0, 2, size=(LANES, 4)),
        "p": rng.integers(0, Q, size=(LANES, 3)),
        "z": rng.normal(size=(LANES, 2)),
        "t": np.abs(rng.normal(size=(LANES, 3))),
    }
    return H, Params(arrays, edges, {"t": np.zeros((2, 3))}), state


def pairs(n):
    return itertools.combinations(range(n), 2)


def by_definition(params, instance, state):
    """The energy of every term of `TERMS`, written as sums over units, for one configuration."""
    a = {name: values[instance] for name, values in params.arrays.items()}
    s, b, p, z, t = (state[g].tolist() for g in "sbpzt")
    site = lambda x, y: 3 * x + y  # noqa: E731
    # Square lattice 2 x 3: axis 0 periodic (length 2: two bonds), axis 1 open.
    bonds = [(0, x, y, site(x, y), site((x + 1) % 2, y)) for x in range(2) for y in range(3)]
    bonds += [(1, x, y, site(x, y), site(x, y + 1)) for x in range(2) for y in range(2)]
    edges = params.edges[6][instance]
    triples = [e for e in params.edges[18][instance].tolist() if e[0] >= 0]
    xi_s = a["xi_s"].reshape(2, 6)
    W_sb, W_zs, h_s = a["W_sb"].reshape(6, 4), a["W_zs"].reshape(2, 6), a["h_s"].ravel()
    return [
        -sum(h_s[i] * s[i] for i in range(6)),
        -sum(a["h_p"][i][p[i]] for i in range(3)),
        -sum(t),
        -sum(a["J_s"][i][j] * s[i] * s[j] for i, j in pairs(6)),
        -sum(a["J_l"][d][x][y] * s[i] * s[j] for d, x, y, i, j in bonds),
        -sum(s[i] * s[j] for *_, i, j in bonds),
        -sum(J * b[i] * b[j] for J, (i, j) in zip(a["J_e"], edges)),
        -sum(a["J_d"][i][j] * (p[i] == p[j]) for i, j in pairs(3)),
        -sum(a["J_p"][i][j][p[i]][p[j]] for i, j in pairs(3)),
        -(a["J_pe"][0][p[0]][p[1]] + a["J_pe"][1][p[2]][p[1]]),
        -sum(W_sb[i][j] * s[i] * b[j] for i in range(6) for j in range(4)),
        -sum(W_zs[m][i] * z[m] * s[i] for m in range(2) for i in range(6)),
        -sum(a["W_zp"][m][i][p[i]] * z[m] for m in range(2) for i in range(3)),
        -sum(a["W_tz"][j][m] * t[j] * z[m] for j in range(3) for m in range(2)),
        -sum(xi_s[m][i] * xi_s[m][j] * s[i] * s[j] for m in range(2) for i, j in pairs(6)),
        -sum(b[i] * b[j] for i, j in pairs(4)),
        -sum(a["xi_p"][m][i][p[i]] * a["xi_p"][m][j][p[j]] for m in range(2) for i, j in pairs(3)),
        -sum(a["K"][e] * s[e[0]] * s[e[1]] * s[e[2]] for e in itertools.combinations(range(6), 3)),
        -sum(L * b[i] * b[j] * b[k] for L, (i, j, k) in zip(a["L"], triples)),
        0.5 * sum(x**2 for x in z),
        0.5 * sum(x**2 / v for x, v in zip(t, a["v"])),
        0.5 * sum(w * x**2 for x, w in zip(z, a["w"])),
    ]


def test_every_term_has_the_energy_of_its_definition():
    H, params, state = everything()
    instance = np.array([0, 1, 1, 0])
    E = term_energies(H, params, state, instance)
    for lane in range(LANES):
        one = {name: x[lane] for name, x in state.items()}
        expected = by_definition(params, instance[lane], one)
        np.testing.assert_allclose(E[lane], expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("instance", [0, 1])
@pytest.mark.parametrize("name", [g.name for g in GROUPS])
def test_the_local_field_is_minus_the_energy_difference_of_every_term(name, instance):
    """``sum_t c_t [E_t(x') - E_t(x)] = -theta (f' - f) + lam (x'^2 - x^2) / 2``, term by term."""
    H, params, state = everything()
    group, which = H.group(name), np.full(LANES, instance)
    before = term_energies(H, params, state, which)
    f0 = features(H, name, state[name])
    new = {"s": lambda x: -x, "b": lambda x: 1 - x, "p": lambda x: (x + 1) % Q}.get(
        name, lambda x: x + 0.37
    )
    touched = 0
    for t, term in enumerate(H.terms):
        c = np.zeros((LANES, len(H.terms)))
        c[:, t] = [0.5, -1.0, 2.0, 0.3]
        theta, lam = local_field(H, params, c, name, state, instance)
        if name not in groups_of(term):
            assert not theta.any() and not lam.any()
            continue
        touched += 1
        for i in range(group.size):
            moved = {**state, name: state[name].copy()}
            moved[name][:, i] = new(state[name][:, i])
            df = features(H, name, moved[name])[:, i] - f0[:, i]
            expected = -(theta[:, i] * df).sum(axis=1)
            if not group.prior.discrete:
                square = moved[name][:, i] ** 2 - state[name][:, i] ** 2
                expected = expected + 0.5 * lam[:, i] * square
            difference = c[:, t] * (term_energies(H, params, moved, which) - before)[:, t]
            np.testing.assert_allclose(difference, expected, rtol=1e-10, atol=1e-12)
    assert touched >= 3


def jets(betas):
    """Coefficients that bend with beta; the priors' (terms 19 and 20) stay positive."""
    betas = np.asarray(betas, dtype=float)
    power = np.linspace(0.5, 3.0, len(TERMS))
    size = np.linspace(-1.0, 1.0, len(TERMS))
    size[[19, 20]] = (1.0, 0.8)
    b = betas[:, None]
    return Coefficients(
        betas,
        size * b**power,
        size * power * b ** (power - 1),
        size * power * (power - 1) * b ** (power - 2),
    )


def test_energy_derivatives_are_those_of_the_reduced_potential_in_beta():
    H, params, state = everything()
    step = 1e-3
    instance = np.array([0, 1, 1, 0])
    stencil = step * np.arange(-2, 3)
    u = reduced_potential(H, params, jets(0.8 + stencil), state, instance)
    E = term_energies(H, params, state, instance)
    first, second = energy_derivatives(H, jets([0.8]), E, np.zeros(LANES, dtype=int))
    np.testing.assert_allclose(first, u @ [1, -8, 0, 8, -1] / (12 * step), rtol=1e-8)
    np.testing.assert_allclose(second, u @ [-1, 16, -30, 16, -1] / (12 * step**2), rtol=1e-6)


def test_energy_derivatives_follow_the_rung_of_each_lane():
    H, params, state = everything()
    E = term_energies(H, params, state)
    c = jets([0.5, 0.8, 1.1])
    rung = np.array([2, 0, 1, 2])
    first, second = energy_derivatives(H, c, E, rung)
    for lane, k in enumerate(rung):
        one = energy_derivatives(H, c.take([k]), E[lane : lane + 1], np.array([0]))
        assert (first[lane], second[lane]) == pytest.approx((one[0][0], one[1][0]), rel=1e-14)


def test_the_reduced_potential_is_beta_h_minus_the_log_of_the_priors():
    H, params, state = everything()
    c = jets([0.5, 1.3])
    E = term_energies(H, params, state)
    u = reduced_potential(H, params, c, state)
    v = params.arrays["v"][0]
    for k in range(2):
        expected = E @ c.value[k]
        # Gaussian z of variance 1/c, half-normal t of variance v/c: their normalising constants.
        expected += 0.5 * 2 * np.log(2 * np.pi / c.value[k, 19])
        expected += (0.5 * np.log(2 * np.pi * v / c.value[k, 20]) - np.log(2)).sum()
        np.testing.assert_allclose(u[:, k], expected, rtol=1e-12)


def test_integrating_a_layer_sums_its_states_out_of_the_reduced_potential():
    rng = np.random.default_rng(2)
    arrays = {"W": rng.normal(size=(1, 3, 2)), "b": rng.normal(size=(1, 2))}
    slots = (Slot("W", (3, 2)), Slot("b", (2,)))
    terms = (Pair("v", "h", AllPairs(), "W"), Field("h", "b"))
    v, h = Group("v", Prior("ising"), (3,)), Group("h", Prior("bernoulli"), (2,))
    c = Coefficients(*(np.array(x, float) for x in ([0.7], [[0.7, 1.2]], [[1, 1]], [[0, 0]])))
    joint = Hamiltonian("joint", (v, h), terms, slots)
    summed = Hamiltonian("sum", (v, Group("h", h.prior, (2,), integrated=True)), terms, slots)
    params = Params(arrays)
    x = rng.choice([-1, 1], size=(6, 3))
    weights = sum(
        np.exp(-reduced_potential(joint, params, c, {"v": x, "h": np.tile(hidden, (6, 1))}))
        for hidden in itertools.product([0, 1], repeat=2)
    )
    marginal = reduced_potential(summed, params, c, {"v": x})
    np.testing.assert_allclose(marginal, -np.log(weights), rtol=1e-13)

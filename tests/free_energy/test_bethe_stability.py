"""The Hessian of the Bethe free energy: closed forms, linear response, saturated beliefs."""

import numpy as np
import pytest
from approximations import KEY, graph
from learning_models import declared, family
from small_models import loaded

from physebm.free_energy.bethe import Bethe, bethe_fixed_points, estimate_bethe
from physebm.free_energy.bethe_stability import bethe_smallest_eigenvalue
from physebm.free_energy.estimate import Verdict
from physebm.model.conditionals import Conditionals


@pytest.mark.parametrize("t", [0.4, 0.49, 0.51, 0.7])
def test_the_paramagnet_of_a_regular_graph_becomes_unstable_at_its_critical_point(t):
    """Degree 3: smallest eigenvalue ``(1 - 2 t) / (1 + t)``, t = tanh K, zero at t = 1/2."""
    K, N = np.arctanh(t), 20
    model = declared(
        f"[units]\ns = {{ prior = 'ising', shape = {N} }}\n[[terms]]\ncouple = ['s', 's']\nJ = {K}\n"
        "on = { graph = 'random-regular', degree = 3 }\n"
    )
    row = model.coefficients([1.0])
    approximation = Bethe(Conditionals(model.hamiltonian, row.value[0], model.params(0)))
    found = bethe_fixed_points(approximation, KEY)
    flat = next(point for point in found.points if point.norm < 1e-4)
    assert flat.smallest_eigenvalue == pytest.approx((1.0 - 2.0 * t) / (1.0 + t), abs=1e-6)
    value = N * np.log(2.0) + 1.5 * N * np.log(np.cosh(K))
    assert flat.log_z == pytest.approx(value, abs=1e-9)
    if t < 0.5:
        assert found.best is flat and len(found.points) == 1
        return
    # u = message field: u = atanh(t tanh 2u), m = tanh 3u
    u = 1.0
    for _ in range(5000):
        u = np.arctanh(t * np.tanh(2.0 * u))
    up, down = found.points[:2]
    assert not flat.stable and up.stable and down.stable
    assert up.norm == pytest.approx(np.tanh(3.0 * u), abs=1e-7)
    np.testing.assert_allclose(up.means["s"], -down.means["s"], atol=1e-7)
    assert up.log_z == pytest.approx(down.log_z, abs=1e-9) and up.log_z > flat.log_z


@pytest.mark.parametrize("K", [-2.0, -1.0, -0.4, 0.4])
@pytest.mark.parametrize("N", [3, 4, 7])
def test_the_hessian_of_a_ring_has_eigenvalues_above_one_where_it_is_frustrated(N, K):
    """``(1 + t^2 - 2 t cos k) / (1 - t^2)`` at the wave numbers of the ring, t = tanh K."""
    edges = [[i, (i + 1) % N] for i in range(N)]
    model = declared(
        f"[units]\ns = {{ prior = 'ising', shape = {N} }}\n[[terms]]\ncouple = ['s', 's']\nJ = {K}\n"
        f"on = {{ edges = {{ values = {edges} }} }}\n"
    )
    found = estimate_bethe(model.hamiltonian, model.params(0), model.coefficients([1.0]), KEY)
    t, k = np.tanh(K), 2.0 * np.pi * np.arange(N) / N
    lowest = ((1.0 + t**2 - 2.0 * t * np.cos(k)) / (1.0 - t**2)).min()
    assert found.diagnostics["smallest_eigenvalue"] == pytest.approx([lowest], abs=1e-6)
    assert (lowest > 1.0) == (N % 2 == 1 and -t > np.cos(np.pi / N))


@pytest.mark.parametrize("q", [2, 3, 5])
def test_surplus_states_are_no_modes(q):
    """A Potts antiferromagnet on K_5: ``1 + (d r^2 - abs r) / (1 - r^2)``, d = 4, above 1.

    ``r = (e^J - 1) / (e^J + q - 1)``. The same beliefs in wider tables have the same eigenvalue.
    """
    model = declared(
        f"[units]\ns = {{ prior = 'potts', q = {q}, shape = 5 }}\n"
        "[[terms]]\ncouple = ['s', 's']\nJ = -3.0\n"
    )
    r = abs(np.expm1(-3.0) / (np.exp(-3.0) + q - 1.0))
    lowest = 1.0 + (4.0 * r**2 - r) / (1.0 - r**2)
    assert (lowest > 1.0) == (q < 5)
    row = model.coefficients([1.0])
    bethe = Bethe(Conditionals(model.hamiltonian, row.value[0], model.params(0)))
    found = bethe_fixed_points(bethe, KEY, step=0.5).points
    flat = next(point for point in found if np.ptp(point.means["s"]) < 1e-6)
    assert flat.smallest_eigenvalue == pytest.approx(lowest, abs=1e-6)
    weights = bethe.weights(flat.state["messages"])
    pairs = bethe.pairs(flat.state["messages"], weights)[0]
    wide, wide_pairs = np.full((q + 2, 5), -np.inf), np.full((q + 2, q + 2, 10), -np.inf)
    wide[:q], wide_pairs[:q, :q] = weights[0], pairs
    again = bethe_smallest_eigenvalue(wide, wide_pairs, bethe.edges)
    assert again == pytest.approx(lowest, abs=1e-6)


@pytest.mark.parametrize(
    "name", ["boltzmann machine", "sparse potts graph", "ising x potts", "deep", "potts machine"]
)
def test_the_hessian_is_the_inverse_of_linear_response(name):
    """``G'' = (dm/dh)^-1``: the smallest eigenvalue from fixed points in slightly other fields."""
    model = family(name)
    approximation = Bethe(
        Conditionals(model.hamiltonian, model.coefficients([1.5]).value[0], model.params(2))
    )
    point = bethe_fixed_points(approximation, KEY, random=0, tolerance=1e-13).points[0]
    own, step = approximation.h.copy(), 1e-4
    places = [(a, i) for i in range(own.shape[1]) for a in range(1, own.shape[0])]
    places = [(a, i) for a, i in places if np.isfinite(own[a, i])]

    def response(state_of):
        columns = []
        for a, i in places:
            sides = []
            for by in (step, -step):
                approximation.h = own.copy()
                approximation.h[a, i] += by
                p = state_of(approximation)
                sides.append(np.array([p[b, j] for b, j in places]))
            columns.append((sides[0] - sides[1]) / (2.0 * step))
        approximation.h = own
        return np.stack(columns)

    def solved(approximation):
        state = point.state
        for _ in range(400):
            state, moved = approximation.advance(state, np.ones(1))
            if moved[0] < 1e-14:
                break
        return approximation.beliefs(state)[0]

    chi = response(solved)
    p = approximation.beliefs(point.state)[0]
    C = np.array(
        [[(i == j) * ((a == b) * p[a, i] - p[a, i] * p[b, i]) for b, j in places] for a, i in places]
    )
    largest = np.linalg.eigvals(np.linalg.solve(C, chi)).real.max()
    assert point.smallest_eigenvalue == pytest.approx(1.0 / largest, abs=1e-6)


def test_the_frozen_chain_is_one_large_spin():
    """All spins are one: the susceptibility in units of single spins is their number."""
    N = 20
    model = graph(
        "ising", N, [[i, i + 1] for i in range(19)], 'law = "normal", std = 1.0, shape = 19', False
    )
    for beta in (20.0, 100.0):
        params = model.params(0).with_arrays(J=np.where(np.arange(19) % 3, 1.0, -1.0)[None])
        found = estimate_bethe(model.hamiltonian, params, model.coefficients([1.0 / beta]), KEY)
        assert found.diagnostics["smallest_eigenvalue"] == pytest.approx([1.0 / N], abs=1e-6)


def test_frozen_loops_have_stable_points_and_the_energy_of_the_ground_state():
    """A ferromagnetic lattice at T = 0.02 has two states; Bethe finds both, and no false saddle."""
    model = loaded("ising_2d", (("L", 4), ("J", 1.0), ("h", 0.0)))
    found = estimate_bethe(model.hamiltonian, model.params(0), model.coefficients([0.02]), KEY)
    assert found.verdict is Verdict.SUSPECT
    assert found.log_z == pytest.approx(50.0 * 32, rel=1e-12)
    assert (found.diagnostics["smallest_eigenvalue"][:2] > 0.9).all()

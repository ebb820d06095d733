"""Bethe: exact on trees, closed forms on loops and regular graphs, bounds, response, refusals."""

import numpy as np
import pytest
from approximations import KEY, exact_log_z, graph
from learning_models import declared, family
from small_models import loaded

from physebm.errors import LoweringError
from physebm.free_energy.bethe import Bethe, bethe_fixed_points, estimate_bethe
from physebm.free_energy.estimate import Verdict
from physebm.model.conditionals import Conditionals

# unit 7 is alone, 5 - 6 a second component
FOREST = [[0, 1], [2, 1], [1, 3], [3, 4], [6, 5]]
TREES = {
    "ising": graph("ising", 8, FOREST, 'law = "normal", std = 1.5, shape = 5'),
    "bernoulli": graph("bernoulli", 8, FOREST, 'law = "normal", std = 2.0, shape = 5'),
    "potts": graph("potts", 8, FOREST, 'law = "normal", std = 1.2, shape = [5, 3, 3]', q=3),
    "potts delta": graph("potts", 8, FOREST, 'law = "normal", std = 1.2, shape = 5', q=3),
    "star of two kinds": declared(
        "[units]\nv = { prior = 'potts', q = 4, shape = 5 }\nh = { prior = 'ising', shape = 1 }\n"
        "[arrays]\nW = { law = 'normal', std = 1.0, shape = [5, 1, 4] }\n"
        "a = { law = 'normal', std = 0.5, shape = [5, 4] }\n"
        "[[terms]]\ncouple = ['v', 'h']\nJ = 'W'\n[[terms]]\nfield = 'v'\nh = 'a'\n"
        "[[terms]]\nfield = 'h'\nh = 0.3\n"
    ),
}


@pytest.mark.parametrize("name", TREES)
def test_messages_are_exact_on_trees(name):
    model = TREES[name]
    for seed in range(4):
        params, row = model.params(seed), model.coefficients([1.0])
        found = estimate_bethe(model.hamiltonian, params, row, KEY)
        exact = exact_log_z(model.hamiltonian, params, row)
        assert found.log_z == pytest.approx(exact, abs=1e-10)
        assert found.verdict is Verdict.TRUSTED and found.stderr == 0.0
        assert found.low == found.high == found.log_z
        assert len(found.diagnostics["starts"]) == 1
        # as many passes as the forest is long, one to see it
        assert found.diagnostics["iterations"][0] <= 6


def test_couplings_beyond_the_range_of_exponentials():
    """An open chain: ``log Z = log 2 + sum log 2cosh K``."""
    K = np.array([400.0, -350.0, 0.5, 600.0])
    model = graph(
        "ising", 5, [[0, 1], [1, 2], [2, 3], [3, 4]], 'law = "normal", std = 1.0, shape = 4', False
    )
    params = model.params(0).with_arrays(J=K[None])
    found = estimate_bethe(model.hamiltonian, params, model.coefficients([1.0]), KEY)
    exact = np.log(2.0) + np.logaddexp(K, -K).sum()
    assert found.log_z == pytest.approx(exact, rel=1e-12)


@pytest.mark.parametrize("K", [0.1, 0.3, 0.6])
def test_a_loop_is_missing_its_winding_number(K):
    """Exact: ``(2cosh K)^N (1 + tanh^N K)``; without the loop the last factor is 1."""
    N = 12
    model = loaded("ising_chain", (("L", N), ("h", 0.0)))
    row = model.coefficients([0.7 / K])
    found = estimate_bethe(model.hamiltonian, model.params(0), row, KEY)
    assert found.log_z == pytest.approx(N * np.log(2.0 * np.cosh(K)), abs=1e-10)
    exact = exact_log_z(model.hamiltonian, model.params(0), row)
    assert exact - found.log_z == pytest.approx(np.log1p(np.tanh(K) ** N), abs=1e-10)
    assert found.verdict is Verdict.SUSPECT and found.low == found.log_z


@pytest.mark.parametrize("prior", ["ising", "bernoulli"])
def test_attractive_models_are_bounded_from_below(prior):
    edges = [[i, j] for i in range(6) for j in range(i + 1, 6) if (i * j) % 4 != 2]
    law = f'law = "uniform", low = 0.0, high = 2.0, shape = {len(edges)}'
    model = graph(prior, 6, edges, law)
    gaps = []
    for seed in range(10):
        params, row = model.params(seed), model.coefficients([1.0])
        found = estimate_bethe(model.hamiltonian, params, row, KEY)
        gaps.append(exact_log_z(model.hamiltonian, params, row) - found.low)
    assert min(gaps) > 0.0 and max(gaps) > 1e-3
    frustrated = graph(prior, 6, edges, f'law = "normal", std = 1.0, shape = {len(edges)}')
    found = estimate_bethe(
        frustrated.hamiltonian, frustrated.params(0), frustrated.coefficients([1.0]), KEY
    )
    assert np.isnan(found.low)


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


def test_bonds_between_one_pair_are_one_edge():
    model = loaded("ising_2d", (("L", 2),))
    row = model.coefficients([1.0])
    approximation = Bethe(Conditionals(model.hamiltonian, row.value[0], model.params(0)))
    assert len(approximation.edges) == 4 and approximation.degree.tolist() == [2] * 4
    np.testing.assert_allclose(approximation.J[1, 1], 2.0 * 0.7)


@pytest.mark.parametrize(
    "name, what",
    [("gaussian", "units.s"), ("bernoulli x gaussian", "units.h"), ("p-spin", "3 units"),
     ("patterns", "patterns")],
)  # fmt: skip
def test_what_is_no_graph_of_discrete_pairs_is_refused(name, what):
    model = family(name)
    with pytest.raises(LoweringError, match=what) as caught:
        estimate_bethe(model.hamiltonian, model.params(0), model.coefficients([1.0]), KEY)
    assert "mean-field" in str(caught.value)

"""Bethe: exact on trees, closed forms on loops and regular graphs, bounds, response, refusals."""

import numpy as np
import pytest
from approximations import KEY, exact_log_z, graph
from learning_models import declared, family
from small_models import loaded

from physebm.errors import LoweringError
from physebm.free_energy.bethe import Bethe, estimate_bethe
from physebm.free_energy.estimate import Verdict
from physebm.free_energy.fixed_points import search
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


def tree_log_z(h, J, edges):
    """log Z of a tree whose edges are ``[earlier, later]``: leaves summed out, the last unit first.

    ``h [unit, state]``, ``J [edge, state, state]``.
    """
    h = h.copy()
    for (i, j), table in sorted(zip(edges, J), key=lambda pair: -pair[0][1]):
        h[i] += np.logaddexp.reduce(table + h[j], axis=1)
    return np.logaddexp.reduce(h[0])


BRANCHING = [[0, 1], [0, 2], [1, 3], [1, 4], [4, 5], [4, 6], [2, 7], [7, 8], [8, 9], [8, 10],
             [10, 11], [3, 12], [3, 13], [3, 14], [14, 15], [15, 16], [9, 17], [17, 18],
             [18, 19]]  # fmt: skip
SHAPES = {
    "chain": [[i, i + 1] for i in range(19)],
    "tree": BRANCHING,
    "star": [[0, i] for i in range(1, 20)],
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("prior, q", [("ising", 0), ("bernoulli", 0), ("potts", 3)])
@pytest.mark.parametrize("fields", [True, False])
def test_saturated_messages_are_exact_on_trees(shape, prior, q, fields):
    """Frozen units, and units frozen to one another: nothing is lost, whatever the damping."""
    edges = SHAPES[shape]
    size = "[19, 3, 3]" if q else "19"
    model = graph(prior, 20, edges, f'law = "normal", std = 1.5, shape = {size}', fields, q=q)
    values = {"ising": [-1.0, 1.0], "bernoulli": [0.0, 1.0]}
    for seed in range(2):
        params = model.params(seed)
        J = params.arrays["J"][0]
        h = params.arrays["h"][0] if fields else np.zeros((20, q) if q else 20)
        if not q:
            x = np.array(values[prior])
            J, h = J[:, None, None] * np.outer(x, x), h[:, None] * x
        for beta in (5.0, 20.0, 100.0, 1000.0):
            row = model.coefficients([1.0 / beta])
            exact = tree_log_z(beta * h, beta * J, edges)
            for step in (1.0, 0.5):
                found = estimate_bethe(model.hamiltonian, params, row, KEY, step=step)
                assert found.log_z == pytest.approx(exact, rel=1e-10)
                assert found.verdict is Verdict.TRUSTED and found.low == found.high == found.log_z
                lowest = found.diagnostics["smallest_eigenvalue"]
                # the largest eigenvalue of all correlations is at least 1 and at most their number
                assert len(lowest) == 1 and 1.0 / (20 * max(q - 1, 1)) - 1e-6 < lowest[0] < 1.0 + 1e-6


def test_a_chain_longer_than_the_allowed_passes_and_than_a_dense_matrix():
    """Messages travel from one end to the other before the estimate is read."""
    N, beta = 700, 30.0
    text = (
        f"[units]\ns = {{ prior = 'ising', shape = {N} }}\n[[terms]]\ncouple = ['s', 's']\nJ = 1.0\n"
        "on = { lattice = 'chain', boundary = 'open' }\n"
        f"[arrays]\nh = {{ law = 'normal', std = 1.0, shape = {N} }}\n[[terms]]\nfield = 's'\nh = 'h'\n"
    )
    model = declared(text)
    params = model.params(0)
    h = np.zeros((1, N))
    h[0, -1] = 0.05  # one end alone decides
    params = params.with_arrays(h=h)
    found = estimate_bethe(
        model.hamiltonian, params, model.coefficients([1.0 / beta]), KEY, iterations=50, step=0.5
    )
    up = beta * np.outer([-1.0, 1.0], [-1.0, 1.0])
    fields = beta * h[0][:, None] * np.array([-1.0, 1.0])
    exact = tree_log_z(fields, [up] * (N - 1), [[i, i + 1] for i in range(N - 1)])
    assert found.log_z == pytest.approx(exact, rel=1e-10) and found.verdict is Verdict.TRUSTED
    # one spin of +-1: its mean, and the susceptibility N
    assert found.diagnostics["fixed_point_norm"] == pytest.approx([np.tanh(1.5)], abs=1e-9)
    assert found.diagnostics["smallest_eigenvalue"] == pytest.approx([1.0 / N], abs=1e-6)


@pytest.mark.parametrize("step", [1.0, 0.5])
def test_news_travels_through_frozen_units(step):
    """All beliefs rest from the second pass on, until what the chain has summed up turns its end."""
    h = np.full(20, 20.0)
    h[-1] = -80.0
    J = np.full(19, 100.0)
    model = graph("ising", 20, SHAPES["chain"], 'law = "normal", std = 1.0, shape = 19')
    params = model.params(0).with_arrays(J=J[None], h=h[None])
    row = model.coefficients([1.0])
    found = estimate_bethe(model.hamiltonian, params, row, KEY, step=step)
    assert found.log_z == pytest.approx(h.sum() + J.sum(), rel=1e-12)
    bethe = Bethe(Conditionals(model.hamiltonian, row.value[0], params))
    # without the schedule of forests the residual itself has to wait
    state = bethe.start({"s": np.zeros((0, 20))})
    searched = search(model.hamiltonian, bethe, state, step=step)
    assert searched.points[0].log_z == pytest.approx(h.sum() + J.sum(), rel=1e-12)
    np.testing.assert_allclose(searched.points[0].means["s"], 1.0, atol=1e-12)


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

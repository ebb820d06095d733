"""Starts, damping, merging and choice of fixed points; what the verdicts say."""

import numpy as np
import pytest
from approximations import KEY, couplings_times, exact_log_z
from learning_models import declared, family
from small_models import loaded

from physebm.free_energy.bethe import Bethe, bethe_fixed_points, estimate_bethe
from physebm.free_energy.estimate import Verdict
from physebm.free_energy.fixed_points import order_norm, search
from physebm.free_energy.judged_search import estimate
from physebm.free_energy.naive import NaiveMeanField, estimate_mean_field, fixed_points
from physebm.free_energy.stability import one_less_largest
from physebm.free_energy.starts import start_configurations
from physebm.free_energy.tap import Tap, estimate_tap
from physebm.model.conditionals import Conditionals

N, T = 60, 0.7


def ferromagnet(temperature=T, h=0.0):
    model = loaded("curie_weiss", (("N", N), ("h", h)))
    return model, model.params(0), model.coefficients([temperature])


def test_a_ferromagnet_below_its_critical_point_has_two_phases_and_a_saddle_point():
    """``m = tanh(K m)``, K = beta (N - 1) / N; the Hessian's uniform mode is ``1 - K (1 - m^2)``."""
    model, params, row = ferromagnet()
    approximation = NaiveMeanField(Conditionals(model.hamiltonian, row.value[0], params))
    found = fixed_points(approximation, KEY)
    K, m = (N - 1) / N / T, 1.0
    for _ in range(1000):
        m = np.tanh(K * m)
    assert len(found.points) == 3 and found.unconverged == 0
    assert sum(point.starts for point in found.points) == 9
    up, down, saddle = found.points
    assert sorted([up.means["s"][0, 0], down.means["s"][0, 0]]) == pytest.approx([-m, m], abs=1e-9)
    for point, size in ((up, m), (down, m), (saddle, 0.0)):
        assert point.norm == pytest.approx(size, abs=1e-9)
        lowest = 1.0 - K * (1.0 - size**2)
        assert point.smallest_eigenvalue == pytest.approx(lowest, abs=1e-9)
        p = np.array([1.0 + size, 1.0 - size]) / 2.0
        value = N * (0.5 * K * size**2 - (p * np.log(np.maximum(p, 1e-300))).sum())
        assert point.log_z == pytest.approx(value, abs=1e-9)
    assert up.stable and down.stable and not saddle.stable and found.best is up


@pytest.mark.parametrize("method", [estimate_mean_field, estimate_tap, estimate_bethe])
def test_the_estimate_is_the_stable_point_and_the_diagnostics_hold_all(method):
    model, params, row = ferromagnet()
    found = method(model.hamiltonian, params, row, KEY)
    table = found.diagnostics
    assert table["smallest_eigenvalue"][0] > 0.1 > -0.1 > table["smallest_eigenvalue"][-1]
    assert table["fixed_point_norm"][0] > 0.8 and table["fixed_point_norm"][-1] < 1e-9
    assert found.log_z == table["fixed_point_log_z"][0] > table["fixed_point_log_z"][-1]
    assert np.all(np.diff(table["fixed_point_log_z"]) <= 0.0)
    assert (table["residual"] <= 1e-11).all() and table["starts"].sum() == 9
    hot, params, row = ferromagnet(2.0)
    above = method(hot.hamiltonian, params, row, KEY)
    assert above.diagnostics["starts"].tolist() == [9]
    assert above.diagnostics["fixed_point_norm"][0] < 1e-9


def test_a_saddle_point_alone_is_a_failure():
    model, params, row = ferromagnet()
    approximation = NaiveMeanField(Conditionals(model.hamiltonian, row.value[0], params))
    start = approximation.start({"s": np.zeros((0, N))})
    found = search(model.hamiltonian, approximation, start)
    assert found.best is None and len(found.points) == 1
    judged = estimate("mean-field", found, model.hamiltonian, row, exact=False, lower_bound=True)
    assert judged.verdict is Verdict.FAILED and "no fixed point is stable" in judged.reason
    assert judged.log_z == pytest.approx(N * np.log(2.0)) and judged.low == judged.log_z


def test_given_starts_come_first_and_lead_to_their_own_phase():
    """In a field against it the smaller magnetisation is metastable: only a start there finds it."""
    model, params, row = ferromagnet(0.5, h=0.02)
    approximation = NaiveMeanField(Conditionals(model.hamiltonian, row.value[0], params))
    given = {"s": -np.ones((1, N))}
    x = start_configurations(approximation.conditionals, KEY, 2, given)["s"]
    np.testing.assert_array_equal(x[:3], np.array([[-1.0], [-1.0], [1.0]]) * np.ones(N))
    found = fixed_points(approximation, KEY, given, random=0)
    signs = [np.sign(point.means["s"][0, 0]) for point in found.points]
    assert signs[0] == 1.0 and -1.0 in signs
    metastable = found.points[signs.index(-1.0)]
    assert metastable.stable and metastable.starts == 2 and metastable.log_z < found.best.log_z


def test_random_starts_are_addressed_and_lie_in_the_support():
    model = family("potts x truncated_gaussian")
    conditionals = Conditionals(model.hamiltonian, model.coefficients([1.0]).value[0], model.params(0))
    x = start_configurations(conditionals, KEY, 400)
    again = start_configurations(conditionals, KEY, 400)
    other = start_configurations(conditionals, (5, 8), 400)
    more = start_configurations(conditionals, KEY, 500)
    for name in ("v", "h"):
        np.testing.assert_array_equal(x[name], again[name])
        np.testing.assert_array_equal(x[name], more[name][:403])
        assert (x[name] != other[name]).any()
    counts = np.bincount(x["v"][3:].ravel(), minlength=3)
    assert counts.sum() == 1600 and abs(counts - 1600 / 3).max() < 4 * np.sqrt(1600 * 2 / 9)
    assert (x["h"] >= 0.3).all() and len(np.unique(x["h"])) > 2


@pytest.mark.parametrize("kind", [NaiveMeanField, Tap])
def test_damping_grows_where_units_switch_together(kind):
    """Units that all exclude each other flip for ever without damping; steps are halved until not."""
    model = declared(
        "[units]\ns = { prior = 'bernoulli', shape = 8 }\n[[terms]]\ncouple = ['s', 's']\nJ = -6.0\n"
        "[[terms]]\nfield = 's'\nh = 3.0\n"
    )
    row = model.coefficients([1.0 if kind is NaiveMeanField else 4.0])
    approximation = kind(Conditionals(model.hamiltonian, row.value[0], model.params(0)))
    state = approximation.start({"s": np.zeros((0, 8))})
    found = search(model.hamiltonian, approximation, state, step=1.0)
    assert found.unconverged == 0
    point = found.points[0]
    _, moved = approximation.advance(point.state, np.ones(1))
    assert moved[0] < 1e-10
    if kind is NaiveMeanField:
        assert point.iterations > 40
        m = point.means["s"][0, 0]
        assert m == pytest.approx(1.0 / (1.0 + np.exp(-3.0 + 42.0 * m)), abs=1e-9)


@pytest.mark.parametrize("method", [estimate_mean_field, estimate_tap, estimate_bethe])
@pytest.mark.parametrize("how", ["an empty graph", "couplings times zero"])
def test_independent_units_are_exact_with_every_method(method, how):
    if how == "an empty graph":
        model = declared(
            "[units]\ns = { prior = 'ising', shape = 5 }\n[[terms]]\ncouple = ['s', 's']\nJ = 1.0\n"
            "on = { graph = 'erdos-renyi', mean_degree = 0.0 }\n[[terms]]\nfield = 's'\nh = 0.4\n"
        )
        row, exact = model.coefficients([1.0]), 5 * np.log(2.0 * np.cosh(0.4))
    else:
        model = family("bernoulli x potts")
        row = couplings_times(model, 0.0)
        exact = exact_log_z(model.hamiltonian, model.params(0), row)
    found = method(model.hamiltonian, model.params(0), row, KEY)
    assert found.log_z == pytest.approx(exact, abs=1e-12)
    if method is estimate_bethe or how != "an empty graph":
        assert found.verdict is Verdict.TRUSTED and found.stderr == 0.0
        assert found.low == found.high == found.log_z


def test_starts_that_do_not_converge_fail_and_are_counted():
    model = loaded("sk", (("N", 40), ("h", 0.0)))
    row = model.coefficients([0.5])
    for method in (estimate_mean_field, estimate_tap, estimate_bethe):
        few = {"starts": {"s": np.ones((1, 40))}, "random": 2, "iterations": 3}
        found = method(model.hamiltonian, model.params(0), row, KEY, **few)
        # the paramagnet of a model without fields is found at once, and is unstable or suspect
        assert found.diagnostics["unconverged_starts"] == 5
        assert found.verdict is not Verdict.TRUSTED
        assert found.diagnostics["fixed_point_norm"].tolist() == [0.0]


def test_order_is_one_in_a_frozen_state_and_zero_without_order():
    model = declared(
        "[units]\na = { prior = 'ising', shape = 2 }\nb = { prior = 'bernoulli', shape = 3 }\n"
        "c = { prior = 'potts', q = 4, shape = 2 }\n"
    )
    frozen = {"a": [[1.0], [-1.0]], "b": [[0.0], [1.0], [0.0]], "c": np.eye(4)[[2, 0]]}
    flat = {"a": [[0.0], [0.0]], "b": [[0.5]] * 3, "c": np.full((2, 4), 0.25)}
    for means, order in ((frozen, 1.0), (flat, 0.0)):
        held = {name: np.array(values) for name, values in means.items()}
        assert order_norm(model.hamiltonian, held) == pytest.approx(order)


def test_large_matrices_get_a_lanczos_iteration():
    n = 900
    x = np.arange(n)
    matrix = np.cos(0.01 * np.subtract.outer(x, x)) + np.diag(np.sin(x) ** 2)
    found = one_less_largest(lambda X: X @ matrix, n)
    assert found == pytest.approx(1.0 - np.linalg.eigvalsh(matrix)[-1], rel=1e-6)


def test_a_larger_lattice_meets_mean_field_in_closed_form():
    """The uniform paramagnet of a 32 x 32 lattice: eigenvalue ``1 - 4 K``, by Lanczos."""
    model = loaded("ising_2d", (("L", 32), ("J", 1.0), ("h", 0.0)))
    row = model.coefficients([5.0])
    found = estimate_mean_field(model.hamiltonian, model.params(0), row, KEY, random=1)
    assert found.diagnostics["smallest_eigenvalue"] == pytest.approx([1.0 - 4.0 / 5.0], abs=1e-5)
    bethe = Bethe(Conditionals(model.hamiltonian, row.value[0], model.params(0)))
    point = bethe_fixed_points(bethe, KEY, random=1).best
    t = np.tanh(0.2)
    assert point.smallest_eigenvalue == pytest.approx((1.0 - 3.0 * t) / (1.0 + t), abs=1e-5)

"""Annealed importance sampling, both ways: exact values, calibrated errors, traps that it must see.

Pinned seeds. Of 100 groups of chains the mean pull has an error of 0.1 and its standard deviation
one of 0.07: limits of 0.3 and [0.7, 1.4] are crossed by chance in 3 of 1000 runs.
"""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from annealed_models import KNOWN, NUMBA, curie_weiss, ising_4x4, known, random_machine, sk, spaced
from learning_models import declared, family
from small_models import loaded

from physebm.backends.select import select
from physebm.errors import InputError, StudyError
from physebm.free_energy.annealed import annealed, forward, from_weights, own_starts, reverse
from physebm.free_energy.estimate import Verdict
from physebm.free_energy.path import data_path, scaled_path
from physebm.free_energy.schedule import equal_speed
from physebm.free_energy.walkers import Walkers
from physebm.free_energy.weights import log_mean
from physebm.model.terms import Square

GROUPS, ROWS = 100, 48
LINEAR = np.linspace(0.0, 1.0, 9)


def pulls(log_w, exact):
    """Deviations of the groups' log-means from an exact value, in their own errors."""
    found = [log_mean(each) for each in log_w.reshape(GROUPS, -1)]
    return np.array([(each.value - exact) / each.stderr for each in found])


def assert_calibrated(z):
    assert abs(z.mean()) <= 0.3
    assert 0.7 <= z.std(ddof=1) <= 1.4


def assert_mean_is_one(log_w):
    w = np.exp(log_w)
    assert abs(w.mean() - 1.0) <= 4.0 * w.std(ddof=1) / np.sqrt(len(w))


@pytest.mark.parametrize("name", KNOWN)
def test_forward_weights_average_to_z_and_errors_are_calibrated(name):
    path, exact = spaced(name, ROWS), known(name).log_z
    log_w = forward(path, NUMBA, (3, 4), GROUPS * 128).log_w
    assert_mean_is_one(path.base_log_z + log_w - exact)
    assert_calibrated(pulls(log_w, exact - path.base_log_z))


@pytest.mark.parametrize("name", [name for name in KNOWN if name != "curie-weiss"])
def test_reverse_weights_average_to_1_over_z_and_errors_are_calibrated(name):
    path, exact = spaced(name, ROWS), known(name).log_z
    log_w = reverse(path, NUMBA, (5, 6), known(name).starts(GROUPS * 128)).log_w
    assert_mean_is_one(log_w + exact - path.base_log_z)
    assert_calibrated(pulls(log_w, path.base_log_z - exact))


@pytest.mark.parametrize("name", ["sk", "potts", "rbm truncated gaussian"])
@pytest.mark.parametrize("own", [True, False])
def test_a_good_run_is_trusted_and_bracketed(name, own):
    start = None if own else known(name).starts(1000)
    found = annealed(spaced(name, 128), NUMBA, 7, (name,), chains=1000, start=start)
    exact = known(name).log_z
    assert (found.verdict, found.reason) == (Verdict.TRUSTED, "")
    assert abs(found.log_z - exact) <= 4.0 * found.stderr
    assert found.low <= exact <= found.high
    assert found.stderr < 0.05
    d = found.diagnostics
    assert abs(d["reverse"] - exact) <= 4.0 * d["reverse_stderr"]
    assert d["gap"] == pytest.approx(d["reverse"] - found.log_z, abs=1e-12)
    assert (d["rows"], d["chains"], d["reverse_chains"]) == (128, 1000, 500 if own else 1000)


def test_a_base_fitted_to_data_gives_the_same_z():
    model = known("rbm bernoulli")
    fields = {"v": np.linspace(-1.0, 1.0, 8)[:, None]}
    path = data_path(model.hamiltonian, model.params, model.row, np.linspace(0.0, 1.0, 64), fields)
    found = annealed(path, NUMBA, 8, chains=2000, start=model.starts(500))
    assert found.verdict is Verdict.TRUSTED
    assert abs(found.log_z - model.log_z) <= 4.0 * found.stderr
    # four chains share each start: the errors of the reverse are those of 500
    assert found.diagnostics["reverse_chains"] == 500


@pytest.mark.parametrize("visible", ["ising", "bernoulli"])
def test_a_large_random_machine(visible):
    """784 x 500 units; the reference is good to 0.03."""
    model = random_machine(visible)
    path = model.path(equal_speed(model.path([0.0, 1.0]), NUMBA, 250, 1))
    found = annealed(path, NUMBA, 3, chains=200)
    assert found.verdict is Verdict.TRUSTED
    assert abs(found.log_z - model.log_z) <= 4.0 * np.hypot(found.stderr, 0.03)
    assert found.low < model.log_z < found.high
    assert found.stderr < 0.2


def test_priors_may_change_along_the_path():
    """Widths of Gaussian units that shrink to those of the target: their normalisers are work, too."""
    model = known("rbm gaussian")
    path = model.path(np.linspace(0.0, 1.0, 48))
    prior = [isinstance(term, Square) for term in path.hamiltonian.terms]
    value = path.coefficients.value.copy()
    value[:, prior] *= np.linspace(3.0, 1.0, 48)[:, None]
    path = replace(path, coefficients=replace(path.coefficients, value=value))
    assert np.ptp(path.constants) > 0.5
    forth = forward(path, NUMBA, (3, 5), GROUPS * 128).log_w
    assert_mean_is_one(path.base_log_z + forth - model.log_z)
    back = reverse(path, NUMBA, (5, 7), model.starts(GROUPS * 128)).log_w
    assert_mean_is_one(back + model.log_z - path.base_log_z)


def test_a_frustrated_triangle_has_the_entropy_of_six_states():
    beta = 30.0
    text = """
[units]
s = { prior = "ising", shape = 3, visible = true }
[[terms]]
couple = ["s", "s"]
J = "-1.0"
"""
    model = declared(text)
    path = scaled_path(
        model.hamiltonian, model.params(0), model.coefficients([1.0 / beta]), np.linspace(0, 1, 400)
    )
    found = annealed(path, NUMBA, 1, chains=2000)
    # 6 states of energy -1 and 2 of energy 3
    exact = beta + np.log(6.0 + 2.0 * np.exp(-4.0 * beta))
    assert found.verdict is Verdict.TRUSTED
    assert abs(found.log_z - exact) <= 4.0 * found.stderr
    assert found.stderr < 0.01


def test_independent_units_have_equal_weights():
    """The factor of H moves their fields, so that steps have work, whose mean is that of the fields."""
    model = known("rbm gaussian")
    arrays = model.params.arrays
    alone = model.params.with_arrays(W=np.zeros_like(arrays["W"]))
    path = scaled_path(model.hamiltonian, alone, model.row, LINEAR)
    # 2 cosh a per Ising unit; exp(b^2 variance / 2) per Gaussian unit
    exact = (
        np.log(2.0 * np.cosh(arrays["a"])).sum() + 0.5 * (arrays["b"] ** 2 * arrays["variance"]).sum()
    )
    found = annealed(path, NUMBA, 6, chains=4000)
    assert abs(found.log_z - exact) <= 4.0 * found.stderr
    none = alone.with_arrays(a=np.zeros_like(arrays["a"]), b=np.zeros_like(arrays["b"]))
    found = annealed(scaled_path(model.hamiltonian, none, model.row, LINEAR), NUMBA, 6, chains=400)
    assert found.log_z == found.low == found.high == pytest.approx(8.0 * np.log(2.0), abs=1e-12)
    assert (found.stderr, found.verdict) == (0.0, Verdict.TRUSTED)


def test_traps_are_seen():
    """Estimates that are wrong, or right by luck alone, are never trusted."""
    hard = curie_weiss(1.5)
    two_steps = annealed(hard.path([0.0, 0.5, 1.0]), NUMBA, 2, chains=200)
    assert two_steps.verdict > Verdict.TRUSTED
    assert abs(two_steps.log_z - hard.log_z) > 3.0
    glass = sk(2.0)
    few_rows = annealed(glass.path(np.linspace(0, 1, 4)), NUMBA, 2, chains=100, start=glass.starts(100))
    assert few_rows.verdict > Verdict.TRUSTED
    one_way = from_weights(hard.path(LINEAR), np.zeros(1000))
    assert one_way.verdict is Verdict.SUSPECT and "no reverse" in one_way.reason
    # the reverse starts at states that the target does not have
    path = spaced("ising 4x4", 128)
    random = {"s": np.random.default_rng(1).choice([-1, 1], (500, 16))}
    wrong_starts = annealed(path, NUMBA, 2, chains=500, start=random)
    assert wrong_starts.verdict > Verdict.TRUSTED and "reverse and forward" in wrong_starts.reason


@pytest.mark.parametrize("own", [True, False])
def test_a_base_in_one_of_two_phases_is_found_out(own):
    """Fields far off send all chains into one of two phases: log 2 is missing, weights are even."""
    model = ising_4x4(0.8)
    fields = {"s": np.full((16, 1), 4.0)}
    path = data_path(model.hamiltonian, model.params, model.row, np.linspace(0, 1, 200) ** 0.5, fields)
    found = annealed(path, NUMBA, 3, chains=400, start=None if own else model.starts(400))
    assert found.log_z == pytest.approx(model.log_z - np.log(2.0), abs=0.1)
    assert found.diagnostics["ess"] > 300
    assert found.verdict > Verdict.TRUSTED
    assert "reverse and forward" in found.reason


def test_a_weight_that_is_not_finite_names_row_and_chain():
    model = family("gaussian")
    params = model.params(0)
    J = 40.0 * params.arrays["J"]
    path = scaled_path(
        model.hamiltonian,
        params.with_arrays(J=J),
        model.coefficients([1.0]),
        np.linspace(0.0, 1.0, 400),
    )
    with pytest.raises(StudyError, match=r"rows \d+ and \d+ \(factors 0\.\d+ and 0\.\d+\), chain \d+"):
        forward(path, NUMBA, (1, 2), 8)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"chains": 1}, "ais.chains"),
        ({"start": {"h": np.zeros((9, 4))}}, "ais.start.v"),
        ({"start": {"v": np.zeros((9, 8)), "h": np.zeros((9, 3))}}, "ais.start.h"),
        ({"start": {"v": np.zeros((1, 8)), "h": np.zeros((1, 4))}}, "2 or more"),
    ],
)
def test_what_cannot_be_annealed_is_refused(options, message):
    with pytest.raises(InputError, match=message):
        annealed(known("rbm bernoulli").path(LINEAR), NUMBA, **options)


def test_a_chain_does_not_feel_the_others_nor_the_backend():
    path = known("rbm truncated gaussian").path(LINEAR[::4])
    # few chains have another plan, which sums in another order
    many, fewer = (forward(path, NUMBA, (1, 2), n).log_w for n in (40, 20))
    assert np.array_equal(many[:20], fewer)
    slow = forward(path, select("reference"), (1, 2), 20).log_w
    assert slow == pytest.approx(fewer, rel=1e-3)


def test_own_starts_are_ends_by_weight_and_random_states():
    path = known("rbm truncated gaussian").path(LINEAR)
    there = forward(path, NUMBA, (1, 2), 40)
    log_w = np.full(40, -np.inf)
    log_w[13] = 5.0
    starts = own_starts(path, NUMBA, (3, 4), replace(there, log_w=log_w), sweeps=0)
    for name, x in starts.items():
        assert len(x) == 20
        assert (x[:10] == there.ends[name][13]).all()
        assert not (x[10:] == there.ends[name][13]).all(axis=1).any()
    assert (starts["h"] >= 0.0).all()


def test_copies_carry_everything_that_belongs_to_a_state():
    for name in ("sk", "rbm gaussian"):
        path = known(name).path(LINEAR)
        walkers = Walkers(path, NUMBA, (1, 2), 6)
        walkers.scatter()
        walkers.move(4, 2)
        parents = np.array([5, 5, 0, 1, 2, 2])
        expected = walkers.work(2, 7)[parents]
        walkers.copy(parents)
        assert np.array_equal(walkers.work(2, 7), expected)
        again = Walkers(path, NUMBA, (1, 2), 6)
        again.place(walkers.state.x)
        assert walkers.work(2, 7) == pytest.approx(again.work(2, 7), abs=1e-5)
        for field, x in walkers.state.work.items():
            assert x == pytest.approx(again.state.work[field], abs=1e-5)
        # copies have words of their own
        walkers.move(4, 3)
        assert len(np.unique(walkers.work(2, 7))) == 6


def test_runs_repeat_and_depend_on_seed_and_name():
    path = known("sk").path(LINEAR)
    calls = []
    one, two = (
        annealed(path, NUMBA, 4, ("a",), chains=50, progress=lambda *n: calls.append(n)) for _ in "ab"
    )
    assert one.log_z == two.log_z and one.high == two.high
    assert calls[: len(LINEAR) - 1] == [(k, 8) for k in range(1, 9)]
    assert annealed(path, NUMBA, 5, ("a",), chains=50).log_z != one.log_z
    assert annealed(path, NUMBA, 4, ("b",), chains=50).log_z != one.log_z


def test_memory_does_not_grow_with_the_number_of_rows():
    """Tables of all 4096 rows would take 1.3 MB more; two blocks of rows are held at a time."""
    model = ising_4x4(0.44)
    peaks = []
    for rows in (1024, 4096):
        path = model.path(np.linspace(0.0, 1.0, rows))
        assert len(path.constants) == rows
        walkers = Walkers(path, NUMBA, (1, 2), 4)
        walkers.draw()
        tracemalloc.start()
        walkers.walk(range(rows))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 100_000


def test_rows_of_a_chain_stand_at_equal_distances():
    """Ring of L spins: Var(H) = L J^2 sech^2(K) up to tanh^L, so that the distance is sqrt(L) gd(K)."""
    model = loaded("ising_chain", (("L", 32), ("J", 1.0), ("h", 0.0)))
    K, rows = 1.0, 21
    path = scaled_path(
        model.hamiltonian, model.params(0), model.coefficients([1.0 / K]), np.array([0.0, 1.0])
    )
    found = equal_speed(path, NUMBA, rows, seed=3, chains=2000)
    gd = 2.0 * np.arctan(np.tanh(0.5 * K))
    expected = 2.0 * np.arctanh(np.tan(0.5 * np.linspace(0.0, gd, rows))) / K
    assert found == pytest.approx(expected, abs=0.01)
    assert np.abs(np.linspace(0.0, 1.0, rows) - expected).max() > 0.04


def test_equal_distances_lower_the_variance():
    """Free spins in a field h: a speed of sqrt(N) h / cosh(h s), which every sweep forgets.

    The variance of log-weights is ``N h tanh(h) / K`` in K linear steps and ``N gd(h)^2 / K`` in equal
    ones, up to O(1/K^2); that of 4000 normal numbers is known to 2 per cent.
    """
    N, h, rows = 16, 5.0, 129
    model = declared(
        f"""
[units]
s = {{ prior = "ising", shape = {N}, visible = true }}
[[terms]]
field = "s"
h = {h}
"""
    )
    at = model.hamiltonian, model.params(0), model.coefficients([1.0])
    path = scaled_path(*at, np.array([0.0, 1.0]))
    linear, equal = (
        forward(scaled_path(*at, factors), NUMBA, (8, 9), 4000).log_w.var()
        for factors in (np.linspace(0.0, 1.0, rows), equal_speed(path, NUMBA, rows, seed=1))
    )
    gd = 2.0 * np.arctan(np.tanh(0.5 * h))
    assert linear == pytest.approx(N * h * np.tanh(h) / (rows - 1), rel=0.1)
    assert equal == pytest.approx(N * gd**2 / (rows - 1), rel=0.1)


def test_no_distance_gives_linear_factors():
    model = known("rbm bernoulli")
    zero = {name: np.zeros_like(x) for name, x in model.params.arrays.items()}
    path = scaled_path(
        model.hamiltonian, model.params.with_arrays(**zero), model.row, np.array([0.0, 1.0])
    )
    assert np.array_equal(equal_speed(path, NUMBA, 5), np.linspace(0.0, 1.0, 5))

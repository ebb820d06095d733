"""TAP: orders in the couplings on every kind of unit, stationarity, independent numbers, refusals."""

import numpy as np
import pytest
from approximations import KEY, couplings_times, exact_log_z
from learning_models import FAMILIES, declared, family
from small_models import loaded
from test_naive import REFERENCE, reference_rbm

from physebm.errors import LoweringError
from physebm.free_energy.estimate import Verdict
from physebm.free_energy.naive import NaiveMeanField, estimate_mean_field, fixed_points
from physebm.free_energy.tap import PRECISION, Tap, estimate_tap
from physebm.model.conditionals import Conditionals

REFUSED = ("patterns", "p-spin")
PAIRWISE = [name for name in FAMILIES if name not in REFUSED]


@pytest.mark.parametrize("case", REFERENCE["tap_rbm"], ids=lambda case: f"scale {case['scale']}")
def test_independent_numbers_of_restricted_machines(case):
    model, params = reference_rbm(case)
    row = model.coefficients([1.0])
    assert estimate_tap(model.hamiltonian, params, row, KEY).log_z == pytest.approx(
        case["lnZ_TAP2"], rel=1e-8
    )
    tap = Tap(Conditionals(model.hamiltonian, row.value[0], params))
    best = fixed_points(tap, KEY).best
    np.testing.assert_allclose(best.means["v"][:, 0], case["mv"], rtol=1e-8)
    np.testing.assert_allclose(best.means["h"][:, 0], case["mh"], rtol=1e-8)


@pytest.mark.parametrize(
    "name", [*(n for n in PAIRWISE if n != "gaussian x truncated_gaussian"), "deep"]
)
def test_the_error_is_one_order_higher_in_the_couplings_than_that_of_mean_field(name):
    """Couplings times eps = 0.1 and 0.05: the errors shrink as eps^2 and as eps^3 or faster."""
    model = family(name)
    params, errors = model.params(1), []
    for eps in (0.1, 0.05):
        row = couplings_times(model, eps)
        exact = exact_log_z(model.hamiltonian, params, row)
        naive = estimate_mean_field(model.hamiltonian, params, row, KEY, random=1).log_z
        tap = estimate_tap(model.hamiltonian, params, row, KEY, random=1).log_z
        errors.append([abs(exact - naive), abs(exact - tap)])
    naive, tap = np.log2(np.divide(*errors))
    assert naive == pytest.approx(2.0, abs=0.03)
    assert tap > 2.6
    assert errors[1][1] < 0.01 * errors[1][0]


def test_dense_gaussian_units_are_met_to_leading_order_in_their_number():
    """Second moments are free: without that the error would be extensive, as that of mean field is."""
    N = 200
    model = declared(
        f"[units]\ns = {{ prior = 'gaussian', variance = 0.9, shape = {N} }}\n[arrays]\n"
        f"J = {{ law = 'normal', std = '0.4 / sqrt({N})', shape = [{N}, {N}] }}\n"
        "[[terms]]\ncouple = ['s', 's']\nJ = 'J'\n"
    )
    params, row = model.params(0), model.coefficients([1.0])
    A = np.eye(N) / 0.9 - params.arrays["J"][0]
    exact = -0.5 * (np.linalg.slogdet(A)[1] + N * np.log(0.9))
    tap = estimate_tap(model.hamiltonian, params, row, KEY, random=1)
    naive = estimate_mean_field(model.hamiltonian, params, row, KEY, random=1)
    assert exact - naive.log_z > 7.0
    assert tap.log_z == pytest.approx(exact, abs=0.25)


@pytest.mark.parametrize("J, real", [(0.4, True), (0.8, False)])
def test_two_gaussian_units_have_a_real_solution_up_to_one_half(J, real):
    """Variances ``c = 1 / (1 - J^2 c)``: complex for J > 1/2, though the model exists up to 1."""
    model = declared(
        "[units]\ns = { prior = 'gaussian', variance = 1.0, shape = 2 }\n"
        f"[[terms]]\ncouple = ['s', 's']\nJ = {J}\n"
    )
    found = estimate_tap(model.hamiltonian, model.params(0), model.coefficients([1.0]), KEY)
    if not real:
        assert found.verdict is Verdict.FAILED and "complex" in found.reason
        assert np.isnan(found.log_z)
        return
    c = (1.0 - np.sqrt(1.0 - 4.0 * J**2)) / (2.0 * J**2)
    # S = (1 + log c - c) / 2 of each, no mean, Onsager term J^2 c^2 / 2, lam c = 1
    assert found.log_z == pytest.approx(np.log(c) + 1.0 - c + 0.5 * J**2 * c**2, abs=1e-10)
    assert found.verdict is Verdict.SUSPECT


@pytest.mark.parametrize("dense", [False, True])
def test_two_state_potts_units_are_ising_units(dense):
    """``delta(s, t) = (1 + s t) / 2``: the same values of the functional up to a constant."""
    edges = "[[0, 1], [1, 2], [2, 0], [2, 3], [3, 4]]"
    on = "" if dense else f"on = {{ edges = {{ values = {edges} }} }}\n"
    text = "[units]\ns = {{ {}, shape = 5 }}\n[[terms]]\ncouple = ['s', 's']\nJ = {}\n"
    potts = declared(text.format("prior = 'potts', q = 2", 1.0) + on)
    ising = declared(text.format("prior = 'ising'", 0.5) + on)
    for T in (0.9, 4.0):
        values = []
        for model in (potts, ising):
            row = model.coefficients([T])
            found = estimate_tap(model.hamiltonian, model.params(0), row, KEY, random=0)
            values.append(found)
        bonds = 10 if dense else 5
        shift = 0.5 / T * bonds
        assert values[0].log_z == pytest.approx(values[1].log_z + shift, abs=1e-9)
        assert values[0].diagnostics["smallest_eigenvalue"][0] == pytest.approx(
            values[1].diagnostics["smallest_eigenvalue"][0], abs=1e-7
        )


def natural(approximation: NaiveMeanField, state) -> list[tuple[str, int, float]]:
    """Independent parameters of q: state keys, places, and how much eta changes with them."""
    found = []
    for group in approximation.conditionals.hamiltonian.groups:
        q = group.prior.q
        found += [
            (group.name, k, 1.0)
            for k in range(state[group.name].shape[1])
            if not q or k % q  # one state of a Potts unit is the reference
        ]
        key = PRECISION + group.name
        if key in state:
            found += [(key, k, -2.0) for k in range(group.size)]
    return found


@pytest.mark.parametrize(
    "kind, name",
    [(NaiveMeanField, n) for n in [*FAMILIES, "deep"]] + [(Tap, n) for n in [*PAIRWISE, "deep"]],
)
def test_fixed_points_are_stationary_and_their_hessian_is_that_of_differences(kind, name):
    """In natural parameters eta of q the Hessian is ``C G'' C``, C = d<phi>/d eta.

    Its eigenvalues relative to C are those of ``L^T G'' L``. First differences vanish in every
    parameter; C comes from differences of the moments.
    """
    model = family(name)
    # triples need an ordered state: without order their Hessian is 1
    row = couplings_times(model, 2.0 if name == "p-spin" else 0.5)
    approximation = kind(Conditionals(model.hamiltonian, row.value[0], model.params(6)))
    point = fixed_points(approximation, KEY, random=1, tolerance=1e-13).points[0]
    places, step = natural(approximation, point.state), 2e-3
    n = len(places)

    def rows(moves):
        state = {key: np.repeat(values, len(moves), axis=0) for key, values in point.state.items()}
        for r, move in enumerate(moves):
            for p, by in move:
                key, k, scale = places[p]
                state[key][r, k] += scale * by * step
        return state

    def values(moves):
        return approximation.log_z(rows(moves))

    signs = [(1, 1), (1, -1), (-1, 1), (-1, -1)]
    gradient = values([[(p, 1)] for p in range(n)]) - values([[(p, -1)] for p in range(n)])
    third = values([[(p, 2)] for p in range(n)]) - values([[(p, -2)] for p in range(n)])
    # of a cubic remainder only the linear part counts
    np.testing.assert_allclose((8 * gradient - third) / (12 * step), 0.0, atol=3e-7)

    moves = [[(a, s), (b, t)] for a in range(n) for b in range(n) for s, t in signs]
    four = values(moves).reshape(n, n, 4) @ [1.0, -1.0, -1.0, 1.0]
    hessian = -four / (4.0 * step**2)

    def statistics(moves):
        state, parts = rows(moves), []
        for key, k, _ in places:
            held = approximation.moments(key.removeprefix(PRECISION), state)
            parts.append((held.second if key.startswith(PRECISION) else held.first)[:, k])
        return np.stack(parts)

    up = statistics([[(p, 1)] for p in range(n)])
    C = (up - statistics([[(p, -1)] for p in range(n)])) / (2.0 * step)
    C = 0.5 * (C + C.T)
    smallest = np.linalg.eigvals(np.linalg.solve(C, hessian)).real.min()
    assert point.smallest_eigenvalue == pytest.approx(smallest, abs=2e-4)


@pytest.mark.parametrize("theta, lam", [(0.7, 1.3), (-2.0, 0.6), (6.0, 2.0)])
def test_the_covariance_of_a_truncated_unit_and_its_square(theta, lam):
    model = family("bernoulli x truncated_gaussian")
    tap = Tap(Conditionals(model.hamiltonian, model.coefficients([1.0]).value[0], model.params(0)))
    state = {"h": np.full((1, 3), theta), PRECISION + "h": np.full((1, 3), lam)}
    L = tap.factor("h", state, tap.moments("h", state))[0]
    x = np.linspace(0.3, 40.0, 400_001)
    w = np.exp(theta * x - 0.5 * lam * x**2 - (theta * x - 0.5 * lam * x**2).max())
    w[[0, -1]] *= 0.5
    np.testing.assert_allclose(L @ L.T, np.cov(np.stack([x, x**2]), aweights=w, ddof=0), rtol=1e-6)


def test_bonds_between_one_pair_are_one_coupling():
    """A periodic axis of length 2 has two bonds: squares of sums, not sums of squares."""
    double = loaded("ising_2d", (("L", 2), ("J", 0.3), ("h", 0.2)))
    single = declared(
        "[units]\ns = { prior = 'ising', shape = [2, 2] }\n[[terms]]\ncouple = ['s', 's']\nJ = 0.6\n"
        "on = { lattice = 'square', boundary = 'open' }\n[[terms]]\nfield = 's'\nh = 0.2\n"
    )
    values = [
        estimate_tap(m.hamiltonian, m.params(0), m.coefficients([1.0]), KEY).log_z
        for m in (double, single)
    ]
    assert values[0] == pytest.approx(values[1], abs=1e-10)


@pytest.mark.parametrize("name", REFUSED)
def test_terms_without_an_onsager_term_are_refused(name):
    model = family(name)
    with pytest.raises(LoweringError, match=r"terms\[0\]") as caught:
        estimate_tap(model.hamiltonian, model.params(0), model.coefficients([1.0]), KEY)
    assert "mean-field" in str(caught.value)
    assert ("hopfield_gaussian" in str(caught.value)) is (name == "patterns")

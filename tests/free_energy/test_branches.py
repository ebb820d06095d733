"""Free energies of branches by integration, against Curie-Weiss and Hopfield in the limit."""

import numpy as np
import pytest

from physebm.errors import InputError
from physebm.free_energy.branches import (
    Branch,
    crossing,
    from_infinite_temperature,
    from_zero_temperature,
)
from physebm.theory import curie_weiss, hopfield

LOAD = 0.04


def ladder(cold, hot, rows):
    return 1.0 / np.geomspace(cold, hot, rows)


def retrieval_states(T):
    return [hopfield.retrieval(LOAD, t) for t in T]


def glass_states(T):
    return [hopfield.spin_glass(LOAD, t) for t in T]


def of(states, name):
    return np.array([getattr(state, name) for state in states])


def test_the_ordered_branch_of_curie_weiss_from_zero_temperature_has_its_closed_form():
    beta = ladder(0.05, 0.95, 40)
    found = from_zero_temperature(beta, curie_weiss.limit_energy(beta))
    exact = -found.beta * curie_weiss.limit_free_energy(found.beta)
    assert np.all(np.diff(found.beta) > 0.0)
    assert found.log_z == pytest.approx(exact, abs=5e-5)
    assert found.free_energy == pytest.approx(-exact / found.beta, abs=5e-5)
    assert np.all(np.abs(found.log_z - exact) <= found.discretisation + 1e-12)
    assert found.entropy == pytest.approx(exact + found.beta * found.energy, abs=5e-5)


@pytest.mark.parametrize("size", [10, 200])
def test_a_finite_ferromagnet_from_infinite_temperature_has_its_exact_sum(size):
    beta = ladder(0.3, 10.0, 60)
    curvature = curie_weiss.specific_heat(beta, size) / beta**2
    found = from_infinite_temperature(beta, curie_weiss.energy(beta, size), curvature=curvature)
    exact = curie_weiss.log_z(found.beta, size) / size
    assert found.beta[0] == 0.0 and found.log_z[0] == np.log(2.0) and found.free_energy[0] == -np.inf
    assert found.log_z == pytest.approx(exact, abs=1e-5)
    assert np.all(np.abs(found.log_z - exact) <= found.discretisation + 1e-12)


def test_measured_curvatures_are_used_where_they_are_finite():
    beta, size = np.array([0.3, 0.6, 0.9]), 20
    curvature = curie_weiss.specific_heat(beta, size) / beta**2
    exact = curie_weiss.log_z(beta, size) / size

    def wrong(curvature, **known):
        energy = curie_weiss.energy(beta, size)
        found = from_infinite_temperature(beta, energy, curvature=curvature, **known)
        return np.abs(found.log_z[1:] - exact)

    zero = (size - 1) / (2.0 * size**2)
    measured = wrong(curvature, curvature_0=zero)
    assert np.all(measured < 5e-5) and measured[-1] < 0.3 * wrong(None)[-1]
    gap = curvature * np.array([1, 1, np.nan])
    one = wrong(gap, curvature_0=zero)
    assert np.array_equal(one[:2], measured[:2]) and measured[-1] < one[-1]


def test_the_rule_is_of_fourth_order_and_its_discretisation_error_a_bound_within_reason():
    wrong, claimed, trapezoid = [], [], []
    for rows in (10, 20, 40):
        beta = np.linspace(0.05, 0.9, rows)
        found = from_infinite_temperature(beta, curie_weiss.energy(beta, 30))
        wrong.append(abs(found.log_z[-1] - curie_weiss.log_z(0.9, 30) / 30))
        claimed.append(found.discretisation[-1])
        straight = np.log(2.0) - np.trapezoid(found.energy, found.beta)
        trapezoid.append(abs(straight - curie_weiss.log_z(0.9, 30) / 30))
    assert np.all(np.array(wrong) <= claimed)
    assert wrong[2] < wrong[0] / 30.0
    assert claimed[2] < claimed[1] / 6.0 < claimed[0] / 36.0
    assert claimed[2] < 0.1 * trapezoid[2]


def test_both_branches_of_the_hopfield_model_have_the_free_energies_of_the_theory():
    T = np.geomspace(0.04, 0.55, 30)
    stored = retrieval_states(T)
    ordered = from_zero_temperature(1 / T, of(stored, "energy"))
    assert ordered.free_energy[::-1] == pytest.approx(of(stored, "free_energy"), abs=3e-5)
    hot = np.geomspace(0.2, 10.0, 60)
    glass = glass_states(hot)
    disordered = from_infinite_temperature(1 / hot, of(glass, "energy"))
    assert disordered.free_energy[:0:-1] == pytest.approx(of(glass, "free_energy"), abs=3e-4)


def test_the_branches_of_the_hopfield_model_cross_at_its_transition_temperature():
    T = np.geomspace(0.04, 10.0, 60)
    cold = T[T < hopfield.spinodal_temperature(LOAD)]
    ordered = from_zero_temperature(1 / cold, of(retrieval_states(cold), "energy"))
    disordered = from_infinite_temperature(1 / T, of(glass_states(T), "energy"))
    found = crossing(ordered, disordered)
    exact = hopfield.transition_temperature(LOAD)
    assert found.stderr == 0.0 and abs(found.temperature - exact) <= found.discretisation < 0.01
    both = hopfield.retrieval(LOAD, exact), hopfield.spin_glass(LOAD, exact)
    assert found.latent_energy == pytest.approx(both[1].energy - both[0].energy, abs=1e-3)
    back = crossing(disordered, ordered)
    assert back.temperature == found.temperature and back.latent_energy == -found.latent_energy


def test_a_ground_state_and_free_units_cross_where_the_entropy_outweighs_the_energy():
    beta = np.linspace(0.1, 3.0, 8)
    frozen = from_zero_temperature(beta, np.full(8, -1.0))
    free = from_infinite_temperature(beta, np.zeros(8))
    found = crossing(frozen, free)
    assert found.temperature == pytest.approx(1.0 / np.log(2.0), abs=1e-12)
    assert found.latent_energy == pytest.approx(1.0, abs=1e-12)
    assert free.entropy == pytest.approx(np.full(9, np.log(2.0)), abs=1e-12)
    above = from_zero_temperature(beta, np.full(8, -9.0))
    assert crossing(above, free) is None
    assert crossing(from_zero_temperature(beta + 7.0, np.full(8, -1.0)), free) is None


def test_of_two_crossings_the_colder_is_given():
    beta = np.linspace(0.5, 3.5, 13)
    flat = Branch(beta, np.zeros(13), np.zeros(13), np.zeros(13), np.zeros(13))
    bent = Branch(beta, -(2 * beta - 4.0), (beta - 1.1) * (beta - 2.9), np.zeros(13), np.zeros(13))
    assert crossing(bent, flat).temperature == pytest.approx(1.0 / 2.9, abs=1e-12)


def test_errors_of_both_branches_move_the_crossing_by_the_difference_of_their_energies():
    beta = np.array([1.0, 2.0, 3.0])

    def line(energy, *errors):
        return Branch(
            beta, np.full(3, energy), -energy * (beta - 2.2), *(np.full(3, e) for e in errors)
        )

    found = crossing(line(-0.5, 3e-3, 1e-3), line(-0.1, 4e-3, 2e-3))
    assert found.temperature == pytest.approx(1.0 / 2.2)
    assert found.stderr == pytest.approx(5e-3 / 0.4 / 2.2**2)
    assert found.discretisation == pytest.approx(3e-3 / 0.4 / 2.2**2)


def test_few_rows_make_a_branch_without_a_discretisation_error():
    one = from_zero_temperature([2.0], [-0.5], [0.1])
    assert one.log_z == pytest.approx([1.0]) and one.stderr == pytest.approx([0.2])
    two = from_zero_temperature([1.5, 2.0], [-0.3, -0.5], [0.2, 0.1])
    assert two.log_z == pytest.approx([1.0 - 0.5 * 0.4, 1.0])
    assert two.stderr == pytest.approx([np.hypot(0.25 * 0.2, 1.75 * 0.1), 0.2])
    three = from_zero_temperature([1.0, 2.0, 3.0], [-0.4, -0.5, -0.5])
    assert np.isnan(three.discretisation[:2]).all() and three.discretisation[2] == 0.0
    assert np.isfinite(
        from_infinite_temperature([1.0, 2.0, 3.0], [-0.4, -0.5, -0.5]).discretisation
    ).all()


def test_an_entropy_of_the_coldest_row_moves_the_whole_branch_and_its_error_adds():
    beta = ladder(0.1, 0.9, 9)
    energy, error = curie_weiss.limit_energy(beta), np.full(9, 1e-3)
    without = from_zero_temperature(beta, energy, error)
    found = from_zero_temperature(beta, energy, error, entropy=0.02, entropy_error=0.01)
    assert found.log_z - without.log_z == pytest.approx(np.full(9, 0.02), abs=1e-14)
    assert found.stderr == pytest.approx(np.hypot(without.stderr, 0.01), abs=1e-14)


def test_errors_of_branches_and_of_their_crossing_are_the_scatter_over_400_noisy_copies():
    # The standard deviation of 400 pulls has an error of 0.035: a factor of 0.85 to 1.15 is 4 of them.
    beta = ladder(0.3, 10.0, 24)
    noise = np.random.default_rng(4)
    sizes = np.linspace(2e-3, 6e-3, 24)
    stored, free = np.full(24, -1.0), np.zeros(24)
    pulls, places = [], []
    for _ in range(400):
        e_F, e_R = (sizes * noise.standard_normal(24) for _ in range(2))
        cold = from_zero_temperature(beta, stored + e_F, sizes)
        warm = from_infinite_temperature(beta, free + e_R, sizes)
        f = (cold.log_z - cold.beta) / cold.stderr, (warm.log_z[1:] - np.log(2.0)) / warm.stderr[1:]
        pulls.append(np.stack([f[0], f[1]])[:, [0, 10, -1]])
        at = crossing(cold, warm)
        places.append((at.temperature - 1.0 / np.log(2.0)) / at.stderr)
    for family in (*np.array(pulls).reshape(400, -1).T, np.array(places)):
        assert 0.85 < family.std() < 1.15
        assert abs(family.mean()) < 4.0 / np.sqrt(400)


@pytest.mark.parametrize("build", [from_infinite_temperature, from_zero_temperature])
def test_arrays_that_make_no_branch_are_refused(build):
    beta, energy = np.array([1.0, 2.0, 3.0]), np.array([-0.2, -0.4, -0.5])
    with pytest.raises(InputError, match="numbers above 0"):
        build(np.array([0.0, 1.0, 2.0]), energy)
    with pytest.raises(InputError, match="numbers above 0"):
        build(np.array([]), np.array([]))
    with pytest.raises(InputError, match="different numbers"):
        build(np.array([1.0, 2.0, 2.0]), energy)
    with pytest.raises(InputError, match=r"energy(.|\n)*the shape of beta, \(3,\)"):
        build(beta, energy[:2])
    with pytest.raises(InputError, match="stderr"):
        build(beta, energy, np.zeros(2))
    with pytest.raises(InputError, match="end the branch before the first"):
        build(beta, np.array([-0.2, np.nan, -0.5]))


def test_rows_come_in_any_order():
    beta, energy = np.array([2.0, 0.5, 1.0]), np.array([-0.5, -0.1, -0.2])
    order = np.argsort(beta)
    for build in (from_infinite_temperature, from_zero_temperature):
        one, other = build(beta, energy), build(beta[order], energy[order])
        assert np.array_equal(one.log_z, other.log_z) and np.array_equal(one.beta, other.beta)

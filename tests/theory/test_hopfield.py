"""The replica-symmetric theory of the Hopfield model against independent numbers and identities."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pytest
from scipy.special import erf

from physebm.errors import InputError
from physebm.theory import hopfield

REFERENCE = json.loads((Path(__file__).parents[1] / "reference" / "ags.json").read_text())["data"]
CURVES = [(c["alpha"], row) for c in REFERENCE["curves"] for row in c["rows"]]
POINTS = [(0.03, 0.2), (0.05, 0.45), (0.1, 0.05), (0.12, 0.15), (0.13, 0.003)]


def test_capacity_at_zero_temperature_agrees_with_the_reference():
    zero = REFERENCE["T0"]
    assert hopfield.critical_load() == pytest.approx(zero["alpha_c"], abs=1e-12)
    assert hopfield.transition_load() == pytest.approx(zero["alpha_1"], abs=1e-11)
    at_capacity = hopfield.retrieval(hopfield.critical_load(), 0.0)
    assert at_capacity.m == pytest.approx(zero["m_at_alpha_c"], abs=1e-6)


def test_zero_temperature_states_agree_with_the_reference():
    for row in REFERENCE["T0"]["retrieval"]:
        state = hopfield.retrieval(row["alpha"], 0.0)
        found = (state.m, state.r, state.c, state.free_energy)
        assert found == pytest.approx([row[k] for k in ("m", "r", "C", "f")], abs=1e-11)
        assert state.energy == pytest.approx(state.free_energy, abs=1e-12)
    for row in REFERENCE["T0"]["sg"]:
        assert hopfield.spin_glass(row["alpha"], 0.0).free_energy == pytest.approx(row["f"], abs=1e-12)


@pytest.mark.parametrize("row", REFERENCE["lines"], ids=lambda row: f"alpha={row['alpha']}")
def test_phase_lines_agree_with_the_reference(row):
    alpha = row["alpha"]
    assert hopfield.spinodal_temperature(alpha) == pytest.approx(row["T_M"], abs=1e-9)
    assert hopfield.glass_temperature(alpha) == pytest.approx(row["T_g"], abs=1e-14)
    if row["T_c"] is None:
        assert np.isnan(hopfield.transition_temperature(alpha))
    else:
        assert hopfield.transition_temperature(alpha) == pytest.approx(row["T_c"], abs=1e-9)


def test_curves_agree_with_the_reference_and_retrieval_exists_exactly_where_it_does():
    for alpha, row in CURVES:
        state = hopfield.retrieval(alpha, row["T"])
        if row.get("m", 0.0) == 0.0:
            assert state is None
        else:
            found = (state.m, state.q, state.free_energy, state.energy)
            assert found == pytest.approx([row[k] for k in ("m", "q", "f", "e")], abs=1e-10)
        for other in (row[kind] for kind in ("sg", "para") if kind in row):
            glass = hopfield.spin_glass(alpha, row["T"])
            assert glass.q == pytest.approx(other.get("q", 0.0), abs=1e-10)
            assert glass.free_energy == pytest.approx(other["f"], abs=1e-10)
            assert glass.energy == pytest.approx(other["e"], abs=1e-10)


@pytest.mark.parametrize("alpha, temperature", POINTS)
@pytest.mark.parametrize("solution", [hopfield.retrieval, hopfield.spin_glass])
def test_solutions_satisfy_the_saddle_point_equations_by_brute_force(solution, alpha, temperature):
    state = solution(alpha, temperature)
    sigma = np.sqrt(alpha * state.r)

    z = np.linspace(-9.0, 9.0, 40001)
    weight = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi) * (z[1] - z[0])
    tanh = np.tanh((state.m + sigma * z) / temperature)
    assert weight @ tanh == pytest.approx(state.m, abs=1e-10)
    assert weight @ tanh**2 == pytest.approx(state.q, abs=1e-10)
    assert state.r == pytest.approx(state.q / (1 - state.c) ** 2, rel=1e-10)
    assert state.c == pytest.approx((1 - state.q) / temperature, rel=1e-9)


@pytest.mark.parametrize("alpha, temperature", POINTS)
@pytest.mark.parametrize("solution", [hopfield.retrieval, hopfield.spin_glass])
def test_energy_is_the_derivative_of_beta_f(solution, alpha, temperature):
    beta, step = 1.0 / temperature, 1e-4 / temperature
    up, down = (solution(alpha, 1.0 / b) for b in (beta + step, beta - step))
    slope = (up.free_energy * (beta + step) - down.free_energy * (beta - step)) / (2 * step)
    assert solution(alpha, temperature).energy == pytest.approx(slope, abs=2e-8)


def test_zero_temperature_is_the_limit_of_low_temperatures():
    cold, frozen = hopfield.retrieval(0.1, 1e-7), hopfield.retrieval(0.1, 0.0)
    assert (cold.m, cold.c, cold.free_energy) == pytest.approx(
        (frozen.m, frozen.c, frozen.free_energy), abs=1e-6
    )
    assert frozen.m == pytest.approx(erf(frozen.m / np.sqrt(2 * 0.1 * frozen.r)), abs=1e-14)


def test_retrieval_ends_exactly_on_the_spinodal():
    for temperature in (0.0, 0.02, 0.3, 0.9, 0.999):
        alpha = hopfield.spinodal_load(temperature)
        assert hopfield.retrieval(alpha * (1 - 1e-9), temperature) is not None
        assert hopfield.retrieval(alpha * (1 + 1e-9), temperature) is None
        if temperature >= 0.3:
            assert hopfield.spinodal_temperature(alpha) == pytest.approx(temperature, abs=1e-9)


def test_spinodal_leaves_the_corner_with_the_known_slope():
    # AGS 1987: T_M = 1 - 1.95 sqrt(alpha) at small load.
    assert (1 - hopfield.spinodal_temperature(1e-7)) / np.sqrt(1e-7) == pytest.approx(1.954, abs=2e-3)


def test_replica_symmetric_lines_bend_back_near_zero_temperature():
    assert hopfield.spinodal_load(0.02) > hopfield.critical_load()
    beyond = 0.5 * (hopfield.spinodal_load(0.02) + hopfield.critical_load())
    assert hopfield.retrieval(beyond, 0.0) is None
    assert hopfield.spinodal_temperature(beyond) > 0.02
    assert np.isnan(hopfield.spinodal_temperature(0.139))
    alpha = hopfield.transition_load() + 1e-4
    temperature = hopfield.transition_temperature(alpha)
    assert hopfield.retrieval(alpha, temperature).free_energy == pytest.approx(
        hopfield.spin_glass(alpha, temperature).free_energy, abs=1e-12
    )


def test_glass_order_vanishes_at_the_glass_temperature_and_symmetry_breaks_there():
    for alpha in (0.01, 0.2, 1.0):
        edge = hopfield.glass_temperature(alpha)
        assert hopfield.spin_glass(alpha, edge + 1e-6).q == 0.0
        assert 0.0 < hopfield.spin_glass(alpha, edge - 1e-3).q < 2e-3
        assert hopfield.spin_glass(alpha, edge).replicon == pytest.approx(0.0, abs=1e-12)
        assert hopfield.spin_glass(alpha, edge + 0.1).replicon > 0.0
        assert hopfield.spin_glass(alpha, edge - 0.1).replicon < 0.0


def test_retrieval_is_replica_symmetric_except_at_very_low_temperature():
    assert hopfield.retrieval(0.1, 0.2).replicon > 0.0
    assert hopfield.retrieval(0.13, 0.001).replicon < 0.0


def test_overlap_broadcasts_and_is_nan_where_there_is_no_retrieval():
    found = hopfield.retrieval_overlap(np.array([[0.0], [0.1]]), np.array([0.0, 0.2, 0.5, 1.2]))
    assert found.shape == (2, 4)
    assert np.isnan(found).tolist() == [[False] * 3 + [True], [False] * 2 + [True] * 2]
    m = hopfield.curie_weiss_overlap(0.5)
    assert found[0, 2] == m == pytest.approx(np.tanh(2 * m), abs=1e-15)
    assert hopfield.curie_weiss_overlap([0.0, 1.0, 2.0]).tolist() == [1.0, 0.0, 0.0]


def test_spinodal_line_is_quick_enough_to_draw():
    hopfield._spinodal.cache_clear()
    start = time.process_time()
    line = hopfield.spinodal_temperature(np.linspace(0.002, 0.137, 40))
    assert np.all(np.diff(line) < 0.0)
    assert time.process_time() - start < 4.0


def test_unusable_arguments_are_refused():
    with pytest.raises(InputError, match="alpha"):
        hopfield.retrieval(-0.1, 0.5)
    with pytest.raises(InputError, match="temperature"):
        hopfield.spin_glass(0.1, -0.5)

"""Theory curves of free energies against enumeration, closed forms and thermodynamic identities."""

import numpy as np
import pytest

from physebm.study.models import load_model
from physebm.study.theory_curves import THEORIES
from physebm.theory import hopfield
from physebm.theory.enumeration import enumerate_states

FREE = ("log_z", "free_energy", "energy", "entropy")


def curve(name, loaded, quantity, temperatures):
    assert THEORIES[name].applies(loaded) is None
    return THEORIES[name].values[quantity](loaded, np.asarray(temperatures, dtype=float))


@pytest.mark.parametrize(
    "theory, model",
    [
        ("kaufman", load_model("ising_2d", L=3, J=0.7)),
        ("curie-weiss", load_model("curie_weiss", N=9, J=1.3, h=0.4)),
        ("exact", load_model("ising_2d", L=3, J=0.7, h=0.3)),
        ("exact", load_model("potts_2d", L=2)),
    ],
)
def test_finite_models_are_the_sums_over_their_states(theory, model):
    T = np.array([0.8, 1.7, 4.0])
    states = enumerate_states(model.hamiltonian, model.params(), model.coefficients(T))
    units = model.hamiltonian.counted_units
    truth = {
        "log_z": states.log_z,
        "free_energy": -T * states.log_z / units,
        "energy": states.derivative / units,
        "entropy": (states.log_z + states.derivative / T) / units,
    }
    for quantity in FREE:
        assert curve(theory, model, quantity, T) == pytest.approx(truth[quantity], abs=1e-8), quantity


def test_onsager_at_the_critical_point_and_as_the_limit_of_tori():
    J, catalan = 1.5, 0.9159655941772190
    critical = 2.0 * J / np.log1p(np.sqrt(2.0))
    model = load_model("ising_2d", L=4, J=J)
    # Onsager 1944, eq. 121: log lambda_c = log(2)/2 + 2 G / pi
    log_z = 0.5 * np.log(2.0) + 2.0 * catalan / np.pi
    assert curve("onsager", model, "free_energy", [critical]) == pytest.approx(-critical * log_z)
    entropy = log_z - np.sqrt(2.0) * J / critical
    assert curve("onsager", model, "entropy", [critical]) == pytest.approx(entropy, abs=1e-6)
    large = load_model("ising_2d", L=64, J=J)
    for T in (2.0, 5.0):
        for quantity in ("free_energy", "entropy"):
            torus = curve("kaufman", large, quantity, [T])
            limit = curve("onsager", large, quantity, [T])
            # below T_c two phases: log 2 / N
            assert torus == pytest.approx(limit, abs=1.1 * np.log(2.0) * T / 64**2)


def test_sk_above_its_transition_and_in_a_field_without_couplings():
    T = np.array([1.0, 1.5, 3.0])
    for name in ("sk-rs", "parisi"):
        model = load_model("sk", N=8)
        assert curve(name, model, "free_energy", T) == pytest.approx(-1 / (4 * T) - T * np.log(2.0))
        assert curve(name, model, "entropy", T) == pytest.approx(np.log(2.0) - 1 / (4 * T**2))
    cold = curve("sk-rs", load_model("sk", N=8), "free_energy", [0.5])
    assert np.isnan(cold).all()


@pytest.mark.parametrize(
    "theory, model, temperatures",
    [
        ("onsager", load_model("ising_2d", L=4, J=0.8), (0.9, 1.4, 3.0)),
        ("kaufman", load_model("ising_2d", L=6), (1.0, 2.27, 4.0)),
        ("curie-weiss", load_model("curie_weiss", N=30, h=0.1), (0.3, 0.9, 2.0)),
        ("sk-rs", load_model("sk", N=8, h=0.5), (0.9, 1.4)),
        ("parisi", load_model("sk", N=8), (0.85, 0.95)),
        ("ags-equilibrium", load_model("hopfield", N=100, alpha=0.03), (0.3, 0.5, 1.4)),
        ("exact", load_model("ising_chain", L=12, h=0.3), (0.4, 1.0)),
    ],
)
def test_entropy_is_minus_the_slope_of_the_free_energy_and_fits_the_energy(theory, model, temperatures):
    T = np.array(temperatures)
    step = 2e-3 if theory == "parisi" else 1e-4
    f, e, s = (curve(theory, model, quantity, T) for quantity in ("free_energy", "energy", "entropy"))
    below, above = (curve(theory, model, "free_energy", T + d) for d in (-step, step))
    # parisi is interpolated between solutions 0.05 apart
    tolerance = 2e-3 if theory == "parisi" else 1e-6
    assert -(above - below) / (2 * step) == pytest.approx(s, abs=tolerance)
    assert f == pytest.approx(e - T * s, abs=1e-3 if theory == "parisi" else 1e-8)


def test_chains_by_transfer_matrix_and_independent_units_in_closed_form():
    T, J, h, L = np.array([0.5, 1.0, 3.0]), 0.9, 0.2, 200
    beta = 1.0 / T
    root = np.sqrt(np.exp(2 * beta * J) * np.sinh(beta * h) ** 2 + np.exp(-2 * beta * J))
    middle = np.exp(beta * J) * np.cosh(beta * h)
    log_z = L * np.log(middle + root) + np.log1p(((middle - root) / (middle + root)) ** L)
    chain = load_model("ising_chain", L=L, J=J, h=h)
    assert curve("exact", chain, "log_z", T) == pytest.approx(log_z, rel=1e-10)
    assert curve("exact", chain, "free_energy", T) == pytest.approx(-T * log_z / L, rel=1e-10)
    free = load_model("ising_chain", L=L, J=0.0, h=h)
    alone = np.log(2 * np.cosh(beta * h))
    assert curve("exact", free, "log_z", T) == pytest.approx(L * alone, rel=1e-10)
    mean = np.tanh(beta * h)
    assert curve("exact", free, "energy", T) == pytest.approx(-h * mean, abs=1e-7)
    assert curve("exact", free, "entropy", T) == pytest.approx(alone - beta * h * mean, abs=1e-7)


def test_the_exact_sum_says_which_models_it_does_not_draw():
    for model, words in (
        (load_model("sk", N=6), "disorder"),
        (load_model("rbm", Nv=4, Nh=2), "learned"),
        (load_model("curie_weiss", N=40), "18 units"),
        (load_model("ising_2d", L=24), "18 units"),
    ):
        reason = THEORIES["exact"].applies(model)
        assert reason and words in reason, (model.hamiltonian.name, reason)


def test_the_equilibrium_of_hopfield_networks_changes_its_branch_at_the_thermodynamic_line():
    load = 0.03
    line = float(hopfield.transition_temperature(load))
    model = load_model("hopfield", N=100, alpha=load)
    below, above = line - 1e-3, line + 1e-3
    for T, state in (
        (below, hopfield.retrieval(load, below)),
        (above, hopfield.spin_glass(load, above)),
    ):
        assert curve("ags-equilibrium", model, "free_energy", [T]) == pytest.approx(state.free_energy)
        assert curve("ags-equilibrium", model, "energy", [T]) == pytest.approx(state.energy)
    assert THEORIES["ags-equilibrium"].applies(load_model("hopfield_gaussian", N=20)) is not None
    jump = curve("ags-equilibrium", model, "energy", [below, above])
    assert jump[1] - jump[0] > 0.01

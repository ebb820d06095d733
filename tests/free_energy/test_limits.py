"""Approximations beyond what discrete units can have are failed, and single units are exact."""

import numpy as np
import pytest
from learning_models import rbm

import physebm
from physebm.free_energy.estimate import Verdict
from physebm.free_energy.limits import entropy_findings, upper_bound, value_findings
from physebm.model.conditionals import Conditionals
from physebm.theory.enumeration import enumerate_states

MODELS = {
    "curie_weiss": {"N": 8, "h": -0.4},
    "sk": {"N": 8},
    "hopfield": {"N": 8, "P": 2},
    "p_spin": {"N": 8},
    "potts_2d": {"L": 3},
    "rbm": {"Nv": 6, "Nh": 3, "sigma": 0.7},
}


@pytest.mark.parametrize("name", MODELS)
def test_log_z_lies_below_the_bound_which_the_cold_reaches(name):
    model = physebm.load_model(name, **MODELS[name])
    params, rows = model.params(1), model.coefficients([0.01, 1.0, 100.0])
    exact = enumerate_states(model.hamiltonian, params, rows).log_z
    bounds = [upper_bound(Conditionals(model.hamiltonian, c, params)) for c in rows.value]
    assert (exact <= np.array(bounds) + 1e-9).all()
    if name in ("curie_weiss", "potts_2d"):
        # the ground state breaks no coupling; only the field of curie_weiss could point elsewhere
        assert bounds[0] == pytest.approx(exact[0], rel=0.01)


@pytest.mark.parametrize("J, T", [(300.0, 1.0), (1.0, 1e-20)])
def test_tap_of_absurd_couplings_has_failed(J, T):
    model = physebm.load_model("curie_weiss", N=10, J=J)
    ds = physebm.free_energies(model, "tap", T)
    assert ds["verdict"].item() == Verdict.FAILED
    assert "couplings this strong allow" in ds["verdict_message"].item()


def test_entropies_are_between_0_and_all_states():
    hamiltonian = physebm.load_model("curie_weiss", N=10).hamiltonian
    most = 10 * np.log(2.0)
    assert not entropy_findings(10.0, -10.0, hamiltonian)
    assert not entropy_findings(most, 0.0, hamiltonian)
    assert not entropy_findings(1e15, -1e15 - 1.0, hamiltonian)  # rounding
    for log_z, slope in ((10.0, -10.1), (most, 0.1)):
        (found,) = entropy_findings(log_z, slope, hamiltonian)
        assert found.verdict == Verdict.FAILED and "between 0 and 6.931" in found.reason
    smooth = rbm("gaussian", "bernoulli")
    assert not entropy_findings(1.0, -5.0, smooth.hamiltonian)
    conditionals = Conditionals(
        smooth.hamiltonian, smooth.coefficients([1.0]).value[0], smooth.params(0)
    )
    assert not value_findings(1e9, conditionals)


@pytest.mark.parametrize("method", ["mean-field", "tap"])
def test_a_single_unit_is_exact_and_trusted(method):
    model = physebm.load_model("curie_weiss", N=1, h=0.3)
    ds = physebm.free_energies(model, ["exact", method], 0.7)
    assert ds["log_z"].values.ravel() == pytest.approx(np.log(2.0 * np.cosh(0.3 / 0.7)), abs=1e-9)
    assert (ds["verdict"] == 0).all() and (ds["log_z_stderr"] == 0).all()
    pair = physebm.load_model("curie_weiss", N=2, h=0.3)
    assert physebm.free_energies(pair, method, 0.7)["verdict"].item() == Verdict.SUSPECT


@pytest.mark.parametrize("wrong", [1e300, 1e-300, True, [1.0, True], ["1"], [1.0, np.nan], 0.0, 1e51])
def test_temperatures_are_those_of_studies(wrong):
    model = physebm.load_model("curie_weiss", N=4)
    with pytest.raises(physebm.PhysebmError, match="free_energies: temperature"):
        physebm.free_energies(model, "exact", wrong)

"""Exact energies and entropies from the hottest to the coldest temperatures, against closed forms."""

import numpy as np
import pytest

import physebm
from physebm.study import exact_energies
from physebm.theory import curie_weiss

T = np.array([1e-6, 0.3, 1.0, 1e4, 1e5, 1e6])


@pytest.fixture(params=["averages", "derivative"])
def way(request, monkeypatch):
    """By averages over states, and by the derivative that larger models have."""
    if request.param == "derivative":
        monkeypatch.setattr(exact_energies, "_averaged", lambda found: False)
    return request.param


def test_energies_and_entropies_at_any_temperature(way):
    model = physebm.load_model("curie_weiss", N=10)
    ds = physebm.free_energies(model, "exact", T).isel(estimator=0)
    truth = curie_weiss.energy(1.0 / T, 10)
    error = np.abs(ds["energy"].values - truth)
    near = 1e-9 if way == "averages" else 1e-5
    assert (error <= near * np.abs(truth) + ds["energy_stderr"].values).all(), error / truth
    if way == "averages":
        assert (ds["energy_stderr"] == 0.0).all()
    entropy, S = ds["entropy"].values, curie_weiss.entropy(1.0 / T, 10)
    known = np.isfinite(entropy)
    assert known[1:].all() and known[0] == (way == "averages")
    assert entropy[known] == pytest.approx(S[known], abs=1e-8)


@pytest.mark.parametrize("cold", [1e-9, 1e-13, 1e-20])
def test_entropies_that_rounding_has_eaten_are_not_given(way, cold):
    model = physebm.load_model("curie_weiss", N=10)
    ds = physebm.free_energies(model, "exact", cold)
    assert np.isnan(ds["entropy"].item()) and np.isnan(ds["entropy_stderr"].item())
    assert ds["energy"].item() == pytest.approx(-0.45) and ds["verdict"].item() == 0
    assert "rounding" in ds["verdict_message"].item()


def test_energies_of_hopeless_heat_say_how_far_they_are_off():
    model = physebm.load_model("curie_weiss", N=10)
    ds = physebm.free_energies(model, "exact", 1e15)
    error = abs(ds["energy"].item() - curie_weiss.energy(1e-15, 10))
    assert 0.0 < error <= ds["energy_stderr"].item()
    assert ds["entropy"].item() == pytest.approx(np.log(2.0), abs=1e-12)


@pytest.mark.parametrize(
    "name", ["rbm", "rbm_gaussian_hidden", "rbm_gaussian_visible", "rbm_potts_hidden"]
)
def test_both_ways_agree(name, monkeypatch):
    model = physebm.load_model(name, Nv=6, Nh=3)
    at = [1.0, 3.0, 300.0]
    ways = [physebm.free_energies(model, "exact", at)]
    monkeypatch.setattr(exact_energies, "_averaged", lambda found: False)
    ways.append(physebm.free_energies(model, "exact", at))
    for quantity in ("energy", "entropy"):
        one, other = (each[quantity].values.ravel() for each in ways)
        assert one == pytest.approx(other, rel=1e-6, abs=1e-7), quantity


def test_independent_units_are_averaged_in_closed_form():
    model = physebm.load_model("curie_weiss", N=5, J=0.0, h=0.7)
    ds = physebm.free_energies(model, "exact", [0.5, 1e6])
    expected = -0.7 * np.tanh(0.7 / np.array([0.5, 1e6]))
    assert ds["energy"].values.ravel() == pytest.approx(expected, rel=1e-12)

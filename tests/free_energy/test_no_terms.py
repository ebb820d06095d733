"""A model whose couplings and fields are all 0 has no terms left: log Z = N log 2, by every method."""

import numpy as np
import pytest

import physebm

METHODS = (
    "exact bar mbar integration stepping-stone ais population-annealing mean-field tap bethe".split()
)


@pytest.mark.parametrize("method", METHODS)
def test_free_spins_have_n_log_2(method):
    model = physebm.load_model("curie_weiss", N=6, J=0.0, h=0.0)
    ds = physebm.free_energies(model, method, [1.0, 2.0])
    assert ds["log_z"].values.ravel() == pytest.approx(np.full(2, 6 * np.log(2.0)), abs=1e-12)
    assert (ds["verdict"] == 0).all() and (ds["energy"] == 0.0).all()
    assert ds["entropy"].values.ravel() == pytest.approx(np.full(2, np.log(2.0)), abs=1e-12)


def test_a_ladder_without_terms_is_reweighted():
    model = physebm.load_model("curie_weiss", N=6, J=0.0, h=0.0)
    table = {"temperature": [1.5], "observables": ["energy"]}
    ds = physebm.free_energies(model, "mbar", [1.0, 2.0], reweight=table)
    found = next(ds[name] for name in ds if str(name).startswith("reweighted_energy"))
    assert float(found.values.ravel()[0]) == 0.0


def test_free_spins_are_sampled():
    model = physebm.load_model("curie_weiss", N=6, J=0.0, h=0.0)
    ds = physebm.sample(model, [1.0, 2.0], sweeps=4000, record=["energy", "abs_magnetisation"])
    assert (ds["energy"] == 0.0).all()
    # <|m|> of six fair coins is 5/16; of two numbers |z| <= 4.5
    z = (ds["abs_magnetisation"] - 5.0 / 16.0) / ds["abs_magnetisation_stderr"]
    assert float(np.abs(z).max()) < 4.5

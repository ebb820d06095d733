"""Every diagnostic that a method gives has a definition, and every definition has a method."""

import numpy as np
import pytest

import physebm
from physebm.schema.free_energy_declarations import FREE_ENERGY_METHODS
from physebm.storage.free_energy import ROWS, free_energy_dataset
from physebm.storage.free_energy_diagnostics import DIAGNOSTICS, UNDESCRIBED

NOT_DIAGNOSTICS = {*ROWS, "verdict", "verdict_message"}


@pytest.fixture(scope="module")
def given():
    """What all methods give of a glass, and the exact one of a lattice, ``[dataset]``."""
    glass = physebm.free_energies(
        physebm.load_model("sk", N=6),
        list(FREE_ENERGY_METHODS),
        [1.0, 3.0],
        ladder={"chains": 4, "sweeps": 320, "discard": 20},
        annealing={"chains": 40, "temperatures": 8},
        population={"size": 40, "runs": 2},
        data=np.random.default_rng(1).choice([-1, 1], (20, 6)),
    )
    return glass, physebm.free_energies(physebm.load_model("ising_2d", L=6), "exact", 2.0)


def named(ds):
    names = {n for n in ds.data_vars if n.removesuffix("_stderr") not in ROWS} - NOT_DIAGNOSTICS
    return {n for n in names if not n.startswith("log_likelihood")}


def test_the_table_is_what_the_methods_give(given):
    assert set.union(*map(named, given)) == set(DIAGNOSTICS)


def test_the_methods_of_the_table_are_those_that_give_a_number(given):
    """Of single runs: a diagnostic is NaN for the methods that its row does not name."""
    givers = {name: set() for name in DIAGNOSTICS}
    for ds in given:
        for name in named(ds):
            for method in ds["estimator"].values:
                if np.isfinite(ds[name].sel(estimator=method)).any():
                    givers[name].add(str(method))
    assert givers == {name: set(row.methods) for name, row in DIAGNOSTICS.items()}


def test_attributes_say_what_it_is_and_when_it_is_bad(given):
    for ds in given:
        for name in named(ds):
            attributes = ds[name].attrs
            assert attributes["units"] in ("1", "nat")
            assert all(len(attributes[key]) > 3 for key in ("long_name", "definition", "bad_value"))
            assert ds[name].dims == ("temperature", "estimator", *DIAGNOSTICS[name].dims)
    of_all = list(DIAGNOSTICS.values())
    for key in ("long_name", "definition"):
        assert len({getattr(row, key) for row in of_all}) == len(of_all)


def test_a_diagnostic_without_a_definition_is_stored_all_the_same():
    """Scalars and arrays; and one with other axes than its definition says."""
    values = {"verdict": np.zeros((2, 1)), "verdict_message": np.full((2, 1), "", dtype=object)}
    given = {
        "mystery": np.arange(2.0)[:, None],
        "odd_one": np.ones((2, 1, 3)),
        "gap": np.ones((2, 1, 5)),
    }
    ds = free_energy_dataset({"temperature": [1.0, 2.0]}, ["ais"], values, given)
    assert ds["mystery"].dims == ("temperature", "estimator")
    assert ds["odd_one"].dims == ("temperature", "estimator", "odd_one_0")
    assert ds["mystery"].attrs["definition"] == UNDESCRIBED != ds["gap"].attrs["definition"]
    assert ds["gap"].sizes["gap_0"] == 5
    assert ds["mystery"].values[:, 0].tolist() == [0.0, 1.0]

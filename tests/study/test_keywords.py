"""Calls from Python are answered like study files: with the place, what was given and the nearest."""

import pytest

import physebm
from physebm.errors import InputError


def test_an_unknown_keyword_is_answered_with_the_nearest():
    model = physebm.load_model("ising_2d", L=4)
    with pytest.raises(InputError, match=r'physebm\.sample\n  got +"sweep"\n.*did you mean sweeps\?'):
        physebm.sample(model, 2.0, sweep=400)


def test_one_observable_may_be_named_alone():
    model = physebm.load_model("ising_2d", L=4)
    options = {"sweeps": 64, "backend": "reference", "chains": 2}
    alone, listed = (physebm.sample(model, record=r, **options) for r in ("energy", ["energy"]))
    assert alone.identical(listed)


def test_a_model_prints_in_a_line():
    shown = repr(physebm.load_model("ising_2d", L=16))
    assert shown == "Loaded(ising_2d: 256 ising units s; L = 16, J = 1, h = 0)"


def test_an_impossible_method_is_to_be_removed_where_others_can_stay():
    model = physebm.load_model("sk", N=64)
    with pytest.raises(InputError, match=r"asked for \(ais\): remove `exact` from") as caught:
        physebm.free_energies(model, ["exact", "ais"])
    assert "use mbar" not in str(caught.value)
    with pytest.raises(InputError, match="use mbar, bar"):
        physebm.free_energies(model, "exact")

"""Calls from Python are answered like study files: with the place, what was given and the nearest."""

import numpy as np
import pytest

import physebm
from physebm.errors import InputError


def test_an_unknown_keyword_is_answered_with_the_nearest():
    model = physebm.load_model("ising_2d", L=4)
    with pytest.raises(InputError, match=r'physebm\.sample\n  got +"sweep"\n.*did you mean sweeps\?'):
        physebm.sample(model, 2.0, sweep=400)


@pytest.mark.parametrize(
    ("call", "place"),
    [
        ({"sweeps": 10}, "sweeps"),
        ({"temperature": -1.0}, "temperature"),
        ({"temperature": np.array([1.0, -1.0])}, r"temperature\[1\]"),
        ({"temperature": [1.0, "cold"]}, r"temperature\[1\]"),
        ({"record": "energi"}, "record"),
        ({"record": ["energy", "binde"]}, r"record\[1\]"),
        ({"start": "hot"}, "start"),
        ({"method": "heatbath"}, "method"),
        ({"disorder": 0}, "disorder"),
        ({"scan": {"l": [4, 8]}}, r"scan\.l"),
        ({"model": "ising_2d"}, "model"),
    ],
)
def test_a_wrong_argument_is_named_as_it_was_written(call, place):
    arguments = {"model": physebm.load_model("ising_2d", L=4), "temperature": 2.0} | call
    with pytest.raises(InputError, match=rf"^sample: {place}\n") as caught:
        physebm.sample(**arguments)
    assert type(caught.value) is InputError  # and of no file: there is none


def test_wrong_data_of_a_training_are_no_mistake_of_a_file():
    model = physebm.load_model("rbm", Nv=6, Nh=3)
    with pytest.raises(InputError, match=r"^train: data\n") as caught:
        physebm.train(model, np.zeros((10, 5)))
    assert type(caught.value) is InputError


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

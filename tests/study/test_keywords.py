"""Calls from Python are answered like study files: with the place, what was given and the nearest."""

import numpy as np
import pytest

import physebm
from physebm.data.raw import native_numbers
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
        ({"sweeps": 100.5}, "sweeps"),
        ({"every": np.float64(1.5)}, "every"),
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


def test_masked_entries_are_no_data():
    """Whatever stands under a mask is used neither by a training nor by an estimate."""
    model = physebm.load_model("rbm", Nv=4, Nh=2)
    data = np.array([[0, 0, 1, 1], [1, 1, 0, 0]])
    gap = np.ma.masked_array(data, mask=[[0, 0, 0, 1], [0, 0, 0, 0]])
    got = r"got +\"a masked array, 1 of 8 entries masked\""
    for given in (gap, gap.astype(float)):
        with pytest.raises(InputError, match=rf"^train: data\n +{got}"):
            physebm.train(model, given)
    with pytest.raises(InputError, match=r"^train: data\n +got +\"a masked array, 1 of 4"):
        physebm.train(model, list(gap))
    weights = np.ma.masked_array([1.0, 1.0], mask=[True, False])
    with pytest.raises(InputError, match=r"^train: weights\n +got +\"a masked array"):
        physebm.train(model, data, weights=weights)
    with pytest.raises(InputError, match=rf"^free_energies: data\n +{got}"):
        physebm.free_energies(model, "ais", data=gap)
    with pytest.raises(InputError, match=rf"data\n +{got}"):
        native_numbers(gap, "data")
    assert native_numbers(np.ma.masked_array(data), "data").tolist() == data.tolist()


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


@pytest.mark.parametrize(
    "call",
    [
        {"temperature": [2.0, 3.0], "scan": {"temperature": [1.0]}},
        {"temperature": 1.0, "scan": {"temperature": [1.0]}},
        {"disorder": 3, "scan": {"disorder": 2}},
        {"disorder": 1, "scan": {"disorder": 2}},
        {"start": "all-up", "scan": {"start": ["random"]}},
        {"sweeps": 100, "scan": {"sweeps": [100, 200]}},
        {"discard": 10, "scan": {"discard": [10, 20]}},
    ],
)
def test_an_argument_and_an_axis_of_one_name_contradict(call):
    name = next(iter(call))
    hint = rf"^sample: {name}\n  got .*\n  hint +`{name}` is scanned too; keep one of them$"
    with pytest.raises(InputError, match=hint):
        physebm.sample(physebm.load_model("ising_2d", L=4), **call)


def test_what_is_scanned_need_not_be_given():
    """Defaults contradict no axis, and a spacing is an axis wherever it stands."""
    model = physebm.load_model("ising_2d", L=4)
    options = {"backend": "reference", "seed": 3}
    scan = {"temperature": [2.0, 3.0], "sweeps": [64], "start": ["all-up"]}
    scanned = physebm.sample(model, scan=scan, **options).squeeze(drop=True)
    spaced = {"linspace": [2.0, 3.0, 2]}
    given = physebm.sample(model, spaced, sweeps=64, start="all-up", **options)
    assert scanned.temperature.values.tolist() == [2.0, 3.0] == given.temperature.values.tolist()
    assert scanned.energy.dims == given.energy.dims == ("temperature",)


def test_numbers_of_numpy_are_numbers():
    """Scalars, arrays without an axis and with one, in every argument and inside tables."""

    def result(whole, real, several):
        model = physebm.load_model("sk", h=real(0.5))
        return physebm.sample(
            model, real(2.0), sweeps=whole(128), discard=whole(2), every=whole(2), chains=whole(2),
            seed=whole(3), disorder=whole(2), scan={"N": several([4, 6])}, backend="reference",
        )  # fmt: skip

    expected = result(int, float, list)
    assert expected.identical(result(np.int64, np.float64, np.array))
    assert expected.identical(result(np.int32, np.array, np.array))


def test_temperatures_of_numpy_are_temperatures():
    model = physebm.load_model("ising_2d", L=np.int64(4))
    options = {"sweeps": 64, "backend": "reference"}
    assert physebm.sample(model, np.array(2.0), **options).energy.dims == ()
    two = physebm.sample(model, np.array([2.0, 3.0], dtype=np.float32), **options)
    assert two.temperature.values.tolist() == [2.0, 3.0]


def test_trainings_and_free_energies_take_numbers_of_numpy():
    model = physebm.load_model("rbm", Nv=np.int64(4), Nh=np.int32(2))
    data = np.array([[0, 0, 1, 1], [1, 1, 0, 0]] * 4)
    half = {"test": np.float64(0.5)}
    number = np.int64(1)
    trained, _ = physebm.train(
        model, data, split=half, seed=number, updates=number, batch=np.int32(4), chains=np.int64(4),
        backend="reference",
    )  # fmt: skip
    assert trained.update == 1
    found = physebm.free_energies(trained, "exact", np.array(1.0), seed=number)
    assert found.sizes["temperature"] == 1


@pytest.mark.parametrize(
    ("call", "place", "legal"),
    [
        ({"record": None}, "record", "the name of an observable or a list of them"),
        ({"record": 3}, "record", "the name of an observable or a list of them"),
        ({"record": [3]}, r"record\[0\]", ""),
        ({"tempering": True}, "tempering", "{}, or a table of options: ladder, acceptance"),
        ({"tempering": "adaptive"}, "tempering", "{}, or a table of options: ladder, acceptance"),
        ({"scan": ["L"]}, "scan", "a table of axes"),
        ({"temperature": [[1.0], [2.0]]}, r"temperature\[0\]", "a finite number"),
        ({"start": ["all-up"]}, "start", ""),
        ({"temperature": object()}, "temperature", "a number"),
    ],
)
def test_an_argument_of_another_type_is_refused_with_what_is_legal(call, place, legal):
    model = physebm.load_model("ising_2d")
    with pytest.raises(InputError, match=rf"^sample: {place}\n") as caught:
        physebm.sample(model, **call)
    assert legal in str(caught.value)

"""Arrays from the result of a training: which numbers are read, and answers to mistakes."""

import tracemalloc
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import xarray as xr

from physebm.errors import ModelFileError, StudyFileError
from physebm.schema.load import load
from physebm.schema.model_file import read_model, read_models
from physebm.schema.result_arrays import read_trained, trained_names
from physebm.schema.study_file import study_from_dict, study_from_text, study_to_dict
from physebm.storage.netcdf import write_tree

ZOO = read_models(Path(__file__).parents[2] / "models.toml")
AGES = [0, 1, 10, 100]
NV, NH = 4, 3


def value(method: int, age: int, shape=(NV, NH)):
    """Numbers that tell the method and the age they belong to."""
    return 1000.0 * method + age + 0.25 * np.arange(np.prod(shape)).reshape(shape)


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    """A result with two methods and a temperature scan; tap stops at age 1."""
    path = tmp_path_factory.mktemp("trained") / "results" / "rbm.nc"
    path.parent.mkdir()
    W = np.full((2, len(AGES), NV, NH), np.nan, np.float32)
    a = np.zeros((2, len(AGES), NV), np.float32)
    for u, age in enumerate(AGES):
        W[0, u] = value(0, age)
    for u, age in enumerate(AGES[:2]):
        W[1, u] = value(1, age)
    a[1, 2:] = np.nan
    coords = {"method": np.array(["pcd", "tap"], object)}
    summary = xr.Dataset(
        {"status": (("method", "temperature"), np.zeros((2, 2), np.int8))},
        coords={**coords, "temperature": [0.5, 1.0]},
    )
    arrays = xr.Dataset(
        {
            "W": (("method", "update", "W_0", "W_1"), W),
            "a": (("method", "update", "a_0"), a),
        },
        coords={**coords, "update": np.array(AGES)},
    )
    write_tree(path, {"/": summary, "/arrays": arrays}, study_hash="0" * 40)
    return path


@pytest.fixture(scope="module")
def sizes(tmp_path_factory):
    """A result of one method that scanned numbers of hidden units."""
    path = tmp_path_factory.mktemp("sizes") / "sizes.nc"
    W = np.full((2, 1, NV, 5), np.nan)
    W[0, 0, :, :3] = value(0, 0)
    W[1, 0] = value(1, 0, (NV, 5))
    arrays = xr.Dataset(
        {"W": (("Nh", "update", "W_0", "W_1"), W)}, coords={"Nh": [3, 5], "update": [7]}
    )
    write_tree(path, {"/": xr.Dataset(coords={"Nh": [3, 5]}), "/arrays": arrays}, study_hash="1" * 40)
    return path


def read(result, slot="W", update="last", **at):
    return read_trained(result, slot, update, at, "models.toml: rbm.arrays")


def study_model(result, more="", sets=f"Nv = {NV}\nNh = {NH}", model="rbm"):
    """The model of a study that takes its arrays from a result, at the study's parameters."""
    text = f'model = "{model}"\n[arrays]\nfrom = "{result}"\n{more}\n[set]\n{sets}\n'
    study = study_from_text(text)
    return load(study.with_arrays(ZOO[model]), study.parameters_at({}))


@pytest.mark.parametrize("age", AGES)
def test_one_age_of_one_training_is_read(result, age):
    np.testing.assert_array_equal(read(result, update=age, method="pcd"), value(0, age))
    assert read(result, update=age, method="pcd").dtype == np.float64


def test_the_last_age_is_that_of_the_training_itself(result):
    np.testing.assert_array_equal(read(result, method="pcd"), value(0, 100))
    np.testing.assert_array_equal(read(result, method="tap"), value(1, 1))


def test_arrays_of_smaller_trainings_have_their_own_shape(sizes):
    np.testing.assert_array_equal(read(sizes, Nh=3), value(0, 0))
    np.testing.assert_array_equal(read(sizes, Nh=5.0), value(1, 0, (NV, 5)))


def test_the_other_ages_stay_on_the_disk(tmp_path):
    # 2 GB of single precision, of which one age was ever written
    path = tmp_path / "large.nc"
    with netCDF4.Dataset(path, "w") as held:
        held.physebm_format, held.study_hash = np.int32(1), "2" * 40
        group = held.createGroup("arrays")
        for name, size in (("update", 500), ("W_0", 1000), ("W_1", 1000)):
            group.createDimension(name, size)
        group.createVariable("update", "i8", ("update",))[:] = np.arange(500)
        W = group.createVariable(
            "W", "f4", ("update", "W_0", "W_1"), fill_value=np.nan, chunksizes=(1, 100, 100)
        )
        W[400] = 1.5
    assert path.stat().st_size < 2e7
    tracemalloc.start()
    assert read(path, update=400).sum() == 1.5e6
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 5e7  # a few times the 4 MB of one age
    with pytest.raises(ModelFileError, match="no arrays of this training at this age"):
        read(path, update=401)


def test_a_study_takes_the_arrays_that_the_result_has_and_declares_the_others(result):
    loaded = study_model(result, "at = { method = 'pcd' }\nupdate = 10")
    params = loaded.params()
    np.testing.assert_array_equal(params.arrays["W"][0], value(0, 10))
    np.testing.assert_array_equal(params.arrays["a"][0], np.zeros(NV))
    assert loaded.sources["b"].law == "constant" and loaded.sources["W"].from_result
    assert loaded.sources["W"].variable == "W" and loaded.sources["W"].at == {"method": "pcd"}
    H = loaded.hamiltonian
    assert not H.slot("W").trainable and not H.slot("W").quenched and H.slot("b").trainable
    assert loaded.integer_slots == frozenset()


def test_a_result_is_looked_for_beside_the_file_above_it_and_here(result, monkeypatch, tmp_path):
    root = result.parents[1]
    text = (
        'model = "rbm"\n[arrays]\nfrom = "results/rbm.nc"\nat = { method = "tap" }\n'
        f"[set]\nNv = {NV}\nNh = {NH}\n"
    )
    for directory, here in ((root, tmp_path), (root / "studies", tmp_path), (tmp_path, root)):
        monkeypatch.chdir(here)
        study = study_from_text(text, directory=directory)
        loaded = load(study.with_arrays(ZOO["rbm"]), study.parameters_at({}))
        np.testing.assert_array_equal(loaded.params().arrays["W"][0], value(1, 1))
    monkeypatch.chdir(tmp_path)
    study = study_from_text(text, directory=tmp_path / "x" / "y")
    with pytest.raises(StudyFileError, match=r"looked for .*rbm\.nc.* Run the study that") as caught:
        load(study.with_arrays(ZOO["rbm"]), study.parameters_at({}))
    assert caught.value.where == "study: arrays.from"


RBM = {
    "parameters": {"N": NV, "M": NH},
    "units": {
        "v": {"prior": "bernoulli", "shape": "N"},
        "h": {"prior": "bernoulli", "shape": "M"},
    },
    "terms": [{"couple": ["v", "h"], "J": "W"}, {"field": "v", "h": "a"}],
}


def model_of(arrays, directory, **parameters):
    model = read_model("m", {**RBM, "arrays": arrays}, "f: m", directory=directory)
    return load(model, parameters)


def test_a_model_takes_single_arrays_or_all_of_them(result):
    folder, name = result.parent, result.name
    single = {
        "W": {"from": name, "update": 1, "at": {"method": "tap"}},
        "a": {"from": name, "variable": "a", "at": {"method": "pcd"}, "shape": "N"},
    }
    np.testing.assert_array_equal(model_of(single, folder).params().arrays["W"][0], value(1, 1))
    every = {"from": name, "update": 100, "at": {"method": "pcd"}}
    params = model_of(every, folder).params()
    np.testing.assert_array_equal(params.arrays["W"][0], value(0, 100))
    assert set(params.arrays) == {"W", "a"}


def test_arrays_written_in_place_are_taken_by_their_key(tmp_path):
    arrays = xr.Dataset(
        {"terms[0].J": (("update", "x", "y"), value(0, 7)[None])}, coords={"update": [7]}
    )
    write_tree(tmp_path / "r.nc", {"/": xr.Dataset(), "/arrays": arrays}, study_hash="3" * 40)
    held = {"law": "normal", "std": 1, "shape": ["N", "M"], "trainable": True}
    terms = [{"couple": ["v", "h"], "J": held}]
    model = read_model("m", {**RBM, "terms": terms}, "f: m", directory=tmp_path)
    study = study_from_text('model = "m"\n[arrays]\nfrom = "r.nc"\n', directory=tmp_path)
    params = load(study.with_arrays(model)).params()
    np.testing.assert_array_equal(params.arrays["terms[0].J"][0], value(0, 7))


def test_the_study_that_names_a_result_reads_back_as_itself():
    text = 'model = "rbm"\n[arrays]\nfrom = "r.nc"\nupdate = 10\nat = { method = "pcd", Nh = 3 }\n'
    study = study_from_text(text)
    assert study_from_dict(study_to_dict(study)).arrays == study.arrays
    assert study.arrays.at == {"method": "pcd", "Nh": 3}
    assert study_from_text('model = "sk"\n').with_arrays(ZOO["sk"]) is ZOO["sk"]


def refused(call, *arguments, kind=ModelFileError, **named):
    with pytest.raises(kind) as caught:
        call(*arguments, **named)
    assert caught.value.exit_status == 2 and caught.value.__cause__ is None
    return caught.value


def test_an_unknown_array_is_answered_by_those_there_are(result):
    problem = refused(read, result, "V", method="pcd")
    assert problem.where == "models.toml: rbm.arrays.variable"
    assert "expected  W, a" in str(problem)
    problem = refused(model_of, {"from": result.name, "at": {"method": "pcd"}, "update": 0}, ".")
    assert problem.where == "f: m.arrays.from"


def test_an_age_that_was_not_recorded_is_answered_by_the_nearest(result):
    problem = refused(read, result, update=90, method="pcd")
    assert problem.where == "models.toml: rbm.arrays.update" and problem.got == 90
    assert "nearest recorded ages: 0, 1, 10, 100" in str(problem)
    assert "4 ages from 0 to 100" in str(problem)
    problem = refused(read, result, update=10, method="tap")
    assert "an age with arrays: 0, 1" in str(problem)


def test_a_training_is_named_where_there_are_several(result, sizes):
    problem = refused(read, result)
    assert problem.where == "models.toml: rbm.arrays.at"
    assert "method of pcd, tap" in str(problem)
    assert 'at = { method = "pcd" }' in str(problem)
    assert "at = { Nh = 3 }" in str(refused(read, sizes))
    problem = refused(read, result, method="pcdd")
    assert problem.where == "models.toml: rbm.arrays.at.method"
    assert "did you mean pcd?" in str(problem)
    problem = refused(read, sizes, Nh=4)
    assert "expected  3, 5" in str(problem)
    problem = refused(read, result, method="pcd", temperature=1)
    assert problem.got == "temperature" and "expected  method" in str(problem)


def test_a_file_without_learned_arrays_is_refused(tmp_path):
    path = tmp_path / "plain.nc"
    write_tree(path, {"/": xr.Dataset({"energy": ((), 1.0)})}, study_hash="4" * 40)
    problem = refused(read, path)
    assert problem.where == "models.toml: rbm.arrays.from"
    assert "this study did not train" in str(problem)
    foreign = tmp_path / "foreign.nc"
    xr.Dataset({"W": ("x", [1.0])}).to_netcdf(foreign, engine="netcdf4")
    assert "physebm did not write" in str(refused(read, foreign))
    text = tmp_path / "text.nc"
    text.write_text("W")
    assert "not a netCDF4 file" in str(refused(trained_names, text, "models.toml: rbm.arrays"))


def test_a_diverged_training_is_refused(tmp_path):
    W = value(0, 0)[None]
    W[0, 1, 1] = np.inf
    arrays = xr.Dataset({"W": (("update", "x", "y"), W)}, coords={"update": [0]})
    write_tree(tmp_path / "r.nc", {"/": xr.Dataset(), "/arrays": arrays}, study_hash="5" * 40)
    assert "non-finite numbers in W" in str(refused(read, tmp_path / "r.nc"))


def test_the_end_of_a_diverged_training_is_taken_by_its_number_alone(tmp_path):
    W = np.full((2, len(AGES), NV, NH), np.nan, np.float32)
    W[0, :3] = [value(0, age) for age in AGES[:3]]
    W[1] = [value(1, age) for age in AGES]
    message = np.array([["", ""], ["", ""]], object)
    # one temperature was never sampled, of the other it is said why
    message[0, 1] = "training diverged at update 37: array 'W' reached inf"
    message[1, 0] = "a task failed"
    coords = {"method": np.array(["pcd", "pt"], object)}
    summary = xr.Dataset(
        {"message": (("temperature", "method"), message.T)}, {**coords, "temperature": [0.5, 1.0]}
    )
    arrays = xr.Dataset(
        {"W": (("method", "update", "W_0", "W_1"), W)}, coords={**coords, "update": np.array(AGES)}
    )
    result = tmp_path / "rbm.nc"
    write_tree(result, {"/": summary, "/arrays": arrays}, study_hash="7" * 40)
    more = "at = { method = 'pcd' }"
    problem = refused(study_model, result, more, kind=StudyFileError)
    assert problem.where == "study: arrays.from"
    assert "rbm.nc, a training that diverged at update 37" in str(problem)
    assert "update = 10 takes" in str(problem) and "train.learning_rate" in str(problem)
    every = {"from": result.name, "at": {"method": "pcd"}}
    single = {"W": {**every, "shape": ["N", "M"]}, "a": {"law": "constant", "value": 0, "shape": "N"}}
    assert refused(model_of, single, tmp_path).where == "f: m.arrays.W.from"
    for age in AGES[:3]:
        params = study_model(result, f"{more}\nupdate = {age}").params()
        np.testing.assert_array_equal(params.arrays["W"][0], value(0, age))
    params = study_model(result, "at = { method = 'pt' }").params()
    np.testing.assert_array_equal(params.arrays["W"][0], value(1, 100))


def test_other_sizes_are_answered_by_what_to_set(result):
    more = "at = { method = 'pcd' }"
    problem = refused(study_model, result, more, sets="Nv = 64\nNh = 3", kind=StudyFileError)
    assert problem.where == "study: arrays"
    assert f"W of shape [{NV}, {NH}] in rbm.nc" in str(problem)
    assert "shape [64, 3], as rbm has it" in str(problem)
    assert str(problem).endswith("as they were in the training: Nv = 4")
    problem = refused(study_model, result, more, sets="Nv = 64\nNh = 9", kind=StudyFileError)
    assert str(problem).endswith("Nv = 4, Nh = 3")
    every = {"from": result.name, "at": {"method": "pcd"}}
    problem = refused(model_of, every, result.parent, N=7)
    assert problem.where == "f: m.arrays"
    assert "shape [7, 3], as f: m.terms[0] needs" in str(problem)
    assert str(problem).endswith("N = 4")
    single = {"W": {**every, "shape": ["N", "M"]}, "a": {"law": "constant", "value": 0, "shape": "N"}}
    problem = refused(model_of, single, result.parent, M=2)
    assert problem.where == "f: m.arrays.W" and str(problem).endswith("M = 3")


def test_a_result_that_has_nothing_of_the_model_is_refused(result):
    sets = "N = 8"
    problem = refused(study_model, result, sets=sets, model="sk", kind=StudyFileError)
    assert problem.where == "study: arrays.from"
    assert "rbm.nc, which holds W, a" in str(problem)
    assert "it has none of the arrays of sk" in str(problem)


MISTAKES = [
    ({"from": "r.nc", "update": -1}, ".update", '0 or more, or "last"'),
    ({"from": "r.nc", "update": "lst"}, ".update", '0 or more, or "last"'),
    ({"from": "r.nc", "at": 3}, ".at", "axis = value"),
    ({"from": "r.nc", "at": {"method": True}}, ".at.method", "a number or a text"),
    ({"from": "r.nc", "trainable": True}, ".trainable", "used as they are"),
    ({"file": "x.npy", "at": {"a": 1}}, ".at", "belongs to `from`"),
    ({"file": "x.npy", "update": 3}, ".update", "belongs to `from`"),
]


@pytest.mark.parametrize(("array", "path", "says"), MISTAKES)
def test_a_mistake_is_answered_by_place_value_and_remedy(array, path, says):
    problem = refused(model_of, {"W": array, "a": array}, ".")
    assert problem.where == f"f: m.arrays.W{path}"
    assert says in str(problem)


def test_the_lower_edge_of_a_unit_is_not_learned():
    held = {"law": "constant", "value": 0, "shape": "N", "trainable": True}
    for lower, arrays in (("edge", {"edge": held}), (held, {})):
        units = {"z": {"prior": "truncated_gaussian", "shape": "N", "lower": lower}}
        raw = {"parameters": {"N": 3}, "units": units, "arrays": arrays}
        with pytest.raises(ModelFileError, match="lower edge of a unit is not learned") as caught:
            read_model("m", raw, "f: m")
        assert caught.value.where == "f: m.units.z.lower"


def test_a_variance_may_be_learned():
    held = {"law": "constant", "value": 1, "shape": "N", "trainable": True}
    for prior in ("gaussian", "truncated_gaussian"):
        units = {"z": {"prior": prior, "shape": "N", "variance": held}}
        model = read_model("m", {"parameters": {"N": 3}, "units": units}, "f: m")
        assert load(model).hamiltonian.slots[0].trainable


def test_a_learned_variance_of_another_size_is_refused(tmp_path):
    arrays = xr.Dataset({"s": (("update", "s_0"), np.ones((1, 5)))}, coords={"update": [0]})
    write_tree(tmp_path / "r.nc", {"/": xr.Dataset(), "/arrays": arrays}, study_hash="6" * 40)
    units = {"z": {"prior": "gaussian", "shape": "N", "variance": "s"}}
    raw = {"parameters": {"N": 3}, "units": units, "arrays": {"from": "r.nc"}}
    model = read_model("m", raw, "f: m", directory=tmp_path)
    problem = refused(load, model)
    assert "shape [3], one variance per unit of z" in str(problem)
    assert str(problem).endswith("N = 5")
    assert load(model, {"N": 5}).params().arrays["s"].shape == (1, 5)

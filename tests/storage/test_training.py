"""Histories and arrays of a training: names, axes, flags, and one age read without the others."""

import re
import zlib

import netCDF4
import numpy as np
import pytest

from physebm.errors import InputError, ResultFileError
from physebm.schema.result_arrays import read_trained
from physebm.storage.dataset import summary_dataset
from physebm.storage.netcdf import open_group, write_tree
from physebm.storage.training import (
    arrays_dataset,
    chains_dataset,
    final_dataset,
    training_dataset,
)
from physebm.storage.training_quantities import (
    TRAINING_QUANTITIES,
    training_axis,
    training_quantity,
)

HASH = "a" * 64
AXES = {"disorder": [0, 1], "recipe": ["pcd", "exact"]}
UPDATES = [0, 10, 100]
RNG = np.random.Generator(np.random.PCG64(2))


def histories():
    verdict = np.array([[[1, 0, 2], [np.nan] * 3], [[0, 0, 0], [np.nan] * 3]])
    text = np.full((2, 2, 3), "", dtype=object)
    text[:, 0] = "the chains follow the model"
    chain_tau = RNG.uniform(1, 9, (2, 2, 3))
    chain_tau[:, 1] = np.nan
    return {
        "log_likelihood_train": RNG.normal(size=(2, 2, 3)),
        "pseudo_log_likelihood_test": RNG.normal(size=(2, 2, 3)),
        "pseudo_log_likelihood_test_stderr": RNG.uniform(size=(2, 2, 3)),
        "replica_overlap": RNG.uniform(size=(2, 2, 3)),
        "singular_values_W": RNG.uniform(size=(2, 2, 3, 5)),
        "singular_values_W_top": RNG.uniform(size=(2, 2, 3, 2)),
        "mode_alignment_W": RNG.uniform(size=(2, 2, 3, 4, 6)),
        "mode_magnetisation_W_data": RNG.uniform(size=(2, 2, 3, 4)),
        "weight_participation_W": RNG.uniform(size=(2, 2, 3, 7)),
        "hidden_mean_h": RNG.uniform(size=(2, 2, 3, 7)),
        "hidden_mean_g_data": RNG.uniform(size=(2, 2, 3, 2, 3)),
        "chain_tau": chain_tau,
        "chain_verdict": verdict,
        "chain_verdict_message": text,
    }


def test_every_row_says_what_it_is():
    for name, row in TRAINING_QUANTITIES.items():
        assert row.name == name and row.dims == ("update",)
        assert row.long_name and row.definition and row.normalisation and row.units


def test_names_of_arrays_and_groups_are_part_of_names():
    row = training_quantity("mode_magnetisation_W_top_data")
    assert row.dims == ("update", "leading_mode_W_top")
    assert "singular vectors of W_top" in row.definition and "training data" in row.definition
    assert training_quantity("hidden_mean_h").long_name == "mean of the hidden units h"
    assert training_quantity("weight_norm_v_h").dims == ("update",)
    assert training_axis("leading_mode_W")["long_name"] == "leading mode of W"
    assert training_axis("temperature") is None
    for wrong in ("weight_norm_", "weight_norms_W", "loss"):
        with pytest.raises(InputError, match="recorded quantity"):
            training_quantity(wrong)


def test_histories_are_labelled():
    given = histories()
    ds = training_dataset(AXES, UPDATES, given)
    assert ds["log_likelihood_train"].dims == ("disorder", "recipe", "update")
    assert ds["mode_alignment_W"].dims[-2:] == ("leading_mode_W", "component_W")
    assert ds["hidden_mean_g_data"].dims[-2:] == ("unit_g", "state_g")
    assert ds.sizes["mode_W"] == 5 and ds.sizes["mode_W_top"] == 2
    np.testing.assert_array_equal(ds["update"], UPDATES)
    assert ds["update"].attrs["units"] == "update"
    assert ds["mode_W"].attrs["long_name"] == "mode of W"
    about = ds["pseudo_log_likelihood_test"].attrs
    assert about["ancillary_variables"] == "pseudo_log_likelihood_test_stderr"
    assert about["units"] == "nat"
    np.testing.assert_array_equal(ds["singular_values_W"], given["singular_values_W"])


def test_what_was_not_recorded_is_a_code_of_its_own():
    ds = training_dataset(AXES, UPDATES, histories())
    verdict = ds["chain_verdict"]
    assert verdict.dtype == np.int8
    np.testing.assert_array_equal(verdict.sel(recipe="exact"), 3)
    np.testing.assert_array_equal(verdict.sel(recipe="pcd", disorder=0), [1, 0, 2])
    meanings = verdict.attrs["flag_meanings"].split()
    assert meanings == ["equilibrated", "lagging", "out_of_equilibrium", "not_recorded"]
    np.testing.assert_array_equal(verdict.attrs["flag_values"], [0, 1, 2, 3])
    assert ds["chain_verdict_message"].sel(recipe="exact", update=10, disorder=1).item() == ""


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"chain_tau has shape \(2, 2, 4\)"):
        training_dataset(AXES, UPDATES, {"chain_tau": np.zeros((2, 2, 4))})
    with pytest.raises(
        ValueError, match=r"W has shape \(2, 3, 4\), expected \(disorder: 2, recipe: 2, update: 3\)"
    ):
        arrays_dataset(AXES, UPDATES, {"W": np.zeros((2, 3, 4))})


def test_scalars_of_the_last_recorded_age():
    given = histories()
    given["log_likelihood_train"][1, 0, 2] = np.nan  # one training diverged after age 10
    given["chain_verdict"][1, 0, 2] = np.nan
    training = training_dataset(AXES, UPDATES, given)
    ds = final_dataset(AXES, training)
    assert "singular_values_W" not in ds
    assert "replica_overlap" not in ds  # the sampling of the trained model reports it
    values = given["log_likelihood_train"]
    expected = [[values[0, 0, 2], values[0, 1, 2]], [values[1, 0, 1], values[1, 1, 2]]]
    np.testing.assert_array_equal(ds["log_likelihood_train"], expected)
    np.testing.assert_array_equal(ds["chain_verdict"], [[2, 3], [0, 3]])
    assert np.isnan(ds["chain_tau"].sel(recipe="exact")).all()
    assert ds["log_likelihood_train"].attrs["definition"].startswith("at the last recorded age")


@pytest.fixture
def written(tmp_path):
    """A result whose arrays are larger than what is stored in one piece."""
    W = RNG.normal(size=(2, 2, 3, 40, 30)).astype(np.float32)
    W[1, 0, 2] = np.nan  # diverged before the last age
    h = RNG.normal(size=(2, 2, 3, 6))
    h[:, 1, :, 4:] = np.nan  # four units in these trainings
    path = tmp_path / "r.nc"
    training = training_dataset(AXES, UPDATES, histories())
    groups = {
        "/": summary_dataset(AXES, {}, title="a study"),
        "/training": training,
        "/arrays": arrays_dataset(AXES, UPDATES, {"W": W, "h": h}),
        "/teacher": arrays_dataset(AXES, None, {"W": W[:, :, 0]}),
        "/chains": chains_dataset(AXES, {"v": np.ones((2, 2, 5, 4), np.int8)}),
    }
    write_tree(path, groups, study_hash=HASH)
    return path, W, h, training


def test_everything_comes_back(written):
    path, W, _, training = written
    np.testing.assert_array_equal(open_group(path, "arrays")["W"], W)
    np.testing.assert_array_equal(open_group(path, "teacher")["W"], W[:, :, 0])
    assert open_group(path, "chains")["v"].dims == ("disorder", "recipe", "chain", "unit_v")
    back = open_group(path, "training")
    assert set(back.data_vars) == set(training.data_vars)
    np.testing.assert_array_equal(back["chain_verdict"], training["chain_verdict"])


def read_age(path, slot, update="last", at=None):
    return read_trained(path, slot, update, at or {}, "arrays", ResultFileError)


def test_every_age_of_every_training_is_a_chunk(written):
    path, *_ = written
    with netCDF4.Dataset(path) as nc:
        assert nc["arrays/W"].chunking() == [1, 1, 1, 40, 30]


def place_of(array, whole):
    """Where a chunk (with its checksum shuffled and deflated) stands among the bytes of a file."""
    for found in re.finditer(b"x", whole):  # every deflated stream begins so
        try:
            held = zlib.decompressobj().decompress(whole[found.start() :])
        except zlib.error:
            continue
        if len(held) == array.nbytes + 4:
            plain = np.frombuffer(held, np.uint8).reshape(array.itemsize, -1).T.tobytes()
            if plain[:-4] == array.tobytes():
                return found.start()
    raise AssertionError("no such chunk")


def test_one_age_is_read_without_the_others(written):
    """A damage that makes one age unreadable (its checksum fails) leaves the others whole."""
    path, W, _, _ = written
    damaged = bytearray(path.read_bytes())
    at = place_of(W[0, 0, 0], bytes(damaged)) + 1000
    damaged[at : at + 16] = bytes(b ^ 0x5A for b in damaged[at : at + 16])
    path.write_bytes(damaged)
    with pytest.raises(ResultFileError, match="damaged"):
        read_age(path, "W", 0, {"disorder": 0, "recipe": "pcd"})
    found = read_age(path, "W", 10, {"disorder": 1, "recipe": "exact"})
    np.testing.assert_array_equal(found, W[1, 1, 1])


def test_padding_is_taken_off_again(written):
    path, W, h, _ = written
    np.testing.assert_array_equal(
        read_age(path, "h", 100, {"disorder": 0, "recipe": "exact"}), h[0, 1, 2, :4]
    )
    found = read_age(path, "W", at={"disorder": 0, "recipe": "pcd"})
    np.testing.assert_array_equal(found, W[0, 0, 2])


def test_a_study_that_trained_once_needs_no_place(tmp_path):
    path = tmp_path / "r.nc"
    J = RNG.normal(size=(3, 4, 4))
    write_tree(path, {"/arrays": arrays_dataset({}, UPDATES, {"J": J})}, study_hash=HASH)
    np.testing.assert_array_equal(read_age(path, "J"), J[2])
    np.testing.assert_array_equal(read_age(path, "J", 0), J[0])

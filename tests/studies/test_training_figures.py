"""Figures of trainings: drawn from the result alone, every number where it belongs."""

import numpy as np
import pytest
import xarray as xr

from physebm.errors import ResultFileError, StudyFileError
from physebm.schema.result_arrays import read_trained
from physebm.schema.study_file import study_from_text
from physebm.storage.netcdf import open_group
from physebm.study.figures import Drawn, draw_figures
from physebm.study.runner import run_study
from physebm.study.theory_curves import addresses

MACHINE = """
seed = 5
[model]
[model.units]
v = { prior = "bernoulli", shape = [2, 3], visible = true }
h = { prior = "bernoulli", shape = 4 }
[[model.terms]]
couple = ["v", "h"]
J = "W"
[[model.terms]]
field = "v"
h = "a"
[model.arrays]
W = { shape = [2, 3, 4], law = "normal", std = 0.5, trainable = true }
a = { shape = [2, 3], law = "constant", value = 0.0, trainable = true }
[scan]
train.steps = [1, 2]
[train]
data = { path = "data.npy", split = { test = 0.25 } }
method = "pcd"
chains = 20
batch = 10
updates = 8
record = [1, 2, 4]
[plot]
training = { y = "log_likelihood" }
spectrum = { array = "W", panel = "steps" }
samples = { count = 3 }
features = { array = "W", count = 2, panel = "steps", title = "what is seen" }
"""

INVERSE = """
seed = 6
[model]
[model.units]
s = { prior = "ising", shape = 5, visible = true }
[[model.terms]]
couple = ["s", "s"]
J = "J"
[[model.terms]]
field = "s"
h = "h"
[model.arrays]
J = { shape = [5, 5], law = "constant", value = 0.0, trainable = true }
h = { shape = 5, law = "constant", value = 0.0, trainable = true }
[scan]
train.method = ["exact", "mean-field"]
disorder = 2
[train]
data = { source = "model", model = "sk", set = { N = 5 }, samples = 200, chains = 20, discard = 20 }
updates = 4
[plot]
features = { array = "J" }
training = { y = "moment2_rms" }
"""


def result_of(folder, name, text):
    (folder / f"{name}.toml").write_text(text)
    return run_study(folder / f"{name}.toml", out=folder / f"{name}.nc", backend="reference").result


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    folder = tmp_path_factory.mktemp("machine")
    random = np.random.Generator(np.random.PCG64(2))
    np.save(folder / "data.npy", (random.random((40, 6)) < np.linspace(0.1, 0.9, 6)).astype(np.int8))
    return result_of(folder, "machine", MACHINE)


@pytest.fixture(scope="module")
def inverse(tmp_path_factory):
    return result_of(tmp_path_factory.mktemp("inverse"), "inverse", INVERSE)


def figure_of(result, text, plots):
    """The first figure of these [plot] tables instead of the study's own."""
    drawn = Drawn(result)
    drawn.study = study_from_text(text.split("[plot]")[0] + plots)
    ((where, plot),) = addresses(drawn.study)
    return drawn.figure(plot, where)


def drawn_cells(ax):
    return np.asarray(ax.images[0].get_array().filled(np.nan))


def test_every_figure_is_drawn_and_named_after_what_it_shows(machine, tmp_path):
    files = {file.name for file in draw_figures(machine, tmp_path)}
    assert files == {
        "machine_log_likelihood.png",
        "machine_spectrum_W.png",
        "machine_samples.png",
        "machine_features_W.png",
    }


def test_a_quantity_recorded_of_parts_draws_them_all(machine):
    fig = figure_of(machine, MACHINE, '[plot]\ntraining = { y = "log_likelihood" }')
    (ax,) = fig.axes
    ds = open_group(machine, "training")
    lines = [container.lines[0] for container in ax.containers]
    expected = [
        ds[f"log_likelihood_{part}"].isel(steps=place) for place in (0, 1) for part in ("train", "test")
    ]
    for line, values in zip(lines, expected, strict=True):
        np.testing.assert_array_equal(line.get_xdata(), [0, 1, 2, 4, 8])
        np.testing.assert_array_equal(line.get_ydata(), values)
    words = {text.get_text() for text in fig.legends[0].get_texts()} - {""}
    assert words == {"training data", "test data", "steps = 1", "steps = 2"}


@pytest.mark.parametrize(
    "y, beside, words",
    [
        ("moment2_rms", "moment2_noise", ["error", "noise floor"]),
        ("chain_energy", "data_energy", ["chains", "training data"]),
    ],
)
def test_what_a_quantity_is_held_against_is_drawn_beside_it(machine, y, beside, words):
    fig = figure_of(machine, MACHINE, f'[plot]\ntraining = {{ y = "{y}", panel = "steps" }}')
    ds = open_group(machine, "training").isel(steps=1)
    one, other = (container.lines[0] for container in fig.axes[1].containers)
    np.testing.assert_array_equal(one.get_ydata(), ds[y])
    known = ds[beside].dropna("update")  # chains that have not run have no noise floor
    np.testing.assert_array_equal(other.get_ydata(), known)
    np.testing.assert_array_equal(other.get_xdata(), known["update"])
    assert [text.get_text() for text in fig.legends[0].get_texts()] == words


def test_axes_without_room_stand_at_their_first_value_and_the_title_says_so(machine):
    fig = figure_of(machine, MACHINE, '[plot]\nspectrum = { array = "W" }')
    assert [ax.get_title() for ax in fig.axes[:2]] == ["steps = 1", "steps = 2"]
    ds = open_group(machine, "training")
    np.testing.assert_array_equal(
        fig.axes[1].get_lines()[-1].get_ydata(), ds["singular_values_W"][1, :, 0]
    )
    wide = figure_of(
        machine, MACHINE, '[plot]\ntraining = { y = "mode_magnetisation_W", by = "steps" }'
    )
    assert [ax.get_title() for ax in wide.axes] == [f"$a$ = {mode}" for mode in range(4)]


def test_samples_are_the_chains_in_the_shape_of_their_units(machine):
    fig = figure_of(machine, MACHINE, "[plot]\nsamples = { count = 3 }")
    ax = fig.axes[0]
    chains = open_group(machine, "chains")["v"].values
    cells = drawn_cells(ax)
    for row in (0, 1):
        for column in range(3):
            found = cells[row * 3 : row * 3 + 2, column * 4 : column * 4 + 3]
            np.testing.assert_array_equal(found, chains[row, column].reshape(2, 3))
    assert [label.get_text() for label in ax.get_yticklabels()] == ["steps = 1", "steps = 2"]
    turned = figure_of(machine, MACHINE, "[plot]\nsamples = { count = 1, shape = [3, 2] }")
    np.testing.assert_array_equal(drawn_cells(turned.axes[0])[:3], chains[0, 0].reshape(3, 2))


def learned(path, slot, update, at):
    return read_trained(path, slot, update, at, "arrays", ResultFileError)


def test_features_are_the_columns_of_the_last_age_by_norm(machine):
    fig = figure_of(machine, MACHINE, '[plot]\nfeatures = { array = "W", count = 2 }')
    for row, steps in enumerate((1, 2)):
        W = learned(machine, "W", "last", {"steps": steps}).reshape(6, 4)
        largest = W[:, np.linalg.norm(W, axis=0).argmax()].reshape(2, 3)
        found = drawn_cells(fig.axes[0])[row * 3 : row * 3 + 2, :3]
        np.testing.assert_array_equal(found, largest)
    assert fig.axes[-1].get_ylabel() == "weight $W_{ik}$"
    maps = figure_of(machine, MACHINE, '[plot]\nfeatures = { array = "W", shape = [1, 6] }')
    assert maps.axes[1].get_xlabel() == "hidden unit $k$, by norm"
    W = learned(machine, "W", "last", {"steps": 2}).reshape(6, 4)
    order = np.argsort(-np.linalg.norm(W, axis=0))
    np.testing.assert_array_equal(maps.axes[1].images[0].get_array(), W[:, order])


def test_inferred_couplings_stand_below_those_of_the_teacher(inverse):
    fig = figure_of(inverse, INVERSE, '[plot]\nfeatures = { array = "J" }')
    exact, field = fig.axes[:2]
    assert [ax.get_title() for ax in (exact, field)] == ["exact", "mean-field"]
    teacher = open_group(inverse, "teacher")["J"].isel(disorder=0).values
    upper, lower = np.triu_indices(5, 1), np.tril_indices(5, -1)
    for ax, method, age in ((exact, "exact", 4), (field, "mean-field", 1)):
        J = learned(inverse, "J", age, {"train_method": method, "disorder": 0})
        np.testing.assert_array_equal(drawn_cells(ax)[lower], J[lower])
        held = teacher[("exact", "mean-field").index(method)]
        np.testing.assert_array_equal(drawn_cells(ax)[upper], held[upper])
    assert fig.get_suptitle() == "disorder sample = 0"


@pytest.mark.parametrize(
    "plots, message",
    [
        ('training = { y = "log_likelihoods" }', r"training.y[\s\S]*did you mean log_likelihood_"),
        ('training = { y = "chain_verdict_message" }', r"training.y[\s\S]*chain_verdict"),
        ('spectrum = { array = "a" }', r"spectrum.array[\s\S]*expected  W"),
        ('features = { array = "a" }', r"features.array[\s\S]*expected  W"),
    ],
)
def test_what_was_not_recorded_is_refused_with_what_was(machine, plots, message):
    with pytest.raises(ResultFileError, match=message):
        figure_of(machine, MACHINE, f"[plot]\n{plots}")


def test_a_group_that_the_training_did_not_fill_lists_those_that_there_are(inverse):
    with pytest.raises(ResultFileError, match=r"got       \"/chains\"[\s\S]*/training[\s\S]*Markov"):
        figure_of(inverse, INVERSE, "[plot]\nsamples = {}")


def test_a_shape_that_does_not_fit_is_refused(machine):
    for plots in ("samples = { shape = [2, 2] }", 'features = { array = "W", shape = [2, 2] }'):
        with pytest.raises(StudyFileError, match=r"shape[\s\S]*6 units"):
            figure_of(machine, MACHINE, f"[plot]\n{plots}")


def test_only_what_a_figure_shows_is_read(machine, monkeypatch):
    read = []
    load = xr.Dataset.load

    def noted(ds, *args, **kwargs):
        read.append(set(map(str, ds.data_vars)))
        return load(ds, *args, **kwargs)

    monkeypatch.setattr(xr.Dataset, "load", noted)
    figure_of(machine, MACHINE, '[plot]\ntraining = { y = "moment1_pearson" }')
    assert {"moment1_pearson"} in read
    assert not any("W" in names or "singular_values_W" in names for names in read)

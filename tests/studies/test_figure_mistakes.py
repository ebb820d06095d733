"""Mistakes in [plot]: refused before anything is computed, and no figure stops the others."""

import netCDF4
import numpy as np
import pytest
from click.testing import CliRunner

from physebm.cli import main
from physebm.errors import InputError, StudyFileError
from physebm.study.figures import draw_figures
from physebm.study.opened import open_study
from physebm.study.runner import run_study
from physebm.study.training import run_training, training_title

MACHINE = """
seed = 5
backend = "reference"
[model]
[model.units]
v = { prior = "bernoulli", shape = 4, visible = true }
h = { prior = "bernoulli", shape = 2 }
[[model.terms]]
couple = ["v", "h"]
J = "W"
[[model.terms]]
field = "v"
h = "a"
[model.arrays]
W = { shape = [4, 2], law = "normal", std = 0.5, trainable = true }
a = { shape = 4, law = "constant", value = 0.0, trainable = true }
[train]
data = { path = "data.npy", split = { test = 0.25 } }
method = "pcd"
chains = 20
batch = 10
updates = 4
tau_sweeps = 20
"""
POTTS = """
[model]
[model.units]
s = { prior = "potts", q = 3, shape = 4, visible = true }
[[model.terms]]
couple = ["s", "s"]
J = "J"
[[model.terms]]
field = "s"
h = "h"
[model.arrays]
J = { shape = [4, 4, 3, 3], law = "constant", value = 0.0, trainable = true }
h = { shape = [4, 3], law = "constant", value = 0.0, trainable = true }
[train]
data = { path = "data.npy" }
method = "pseudo-likelihood"
updates = 4
"""


@pytest.fixture
def folder(tmp_path):
    random = np.random.Generator(np.random.PCG64(2))
    np.save(tmp_path / "data.npy", random.integers(0, 2, (40, 4)).astype(np.int8))
    return tmp_path


def written(folder, text, plots, name="machine"):
    path = folder / f"{name}.toml"
    path.write_text(f"{text}\n[plot]\n{plots}\n")
    return path


def physebm(*arguments):
    done = CliRunner().invoke(main, [str(each) for each in arguments])
    return done.exit_code, done.output


@pytest.mark.parametrize(
    "text, plots, message",
    [
        (
            MACHINE,
            'training = { y = "loglik" }',
            r"plot.training.y\n.*loglik[\s\S]*mean log_likelihood\?",
        ),
        (MACHINE, 'training = { y = "chain_verdict_message" }', r"training.y[\s\S]*mean chain_verdict"),
        (
            MACHINE.replace("tau_sweeps = 20", "tau_sweeps = 0"),
            'training = { y = "chain_tau" }',
            r"training.y[\s\S]*tau_sweeps",
        ),
        (MACHINE, "samples = { shape = [5, 5] }", r"samples.shape[\s\S]*4 units"),
        (MACHINE, 'features = { array = "W", shape = [5, 5] }', r"features.shape[\s\S]*4 units"),
        (MACHINE, 'spectrum = { array = "a" }', r"spectrum.array[\s\S]*expected  W"),
        (MACHINE, 'curve = { x = "steps", y = "log_likelihood" }', r"curve.y[\s\S]*log_likelihood_t"),
        (POTTS, 'features = { array = "h" }', r"features.array[\s\S]*expected  J"),
        (POTTS, 'spectrum = { array = "h" }', r"spectrum.array[\s\S]*expected  J"),
        (POTTS, "samples = {}", r"plot.samples[\s\S]*Markov"),
        (POTTS, 'training = { y = "chain_energy" }', r"training.y[\s\S]*expected .*objective"),
    ],
)
def test_what_a_study_will_not_have_is_refused_before_it_runs(folder, text, plots, message):
    if "curve" in plots:
        text = text.replace("[train]", "[scan]\ntrain.steps = [1, 2]\n[train]")
    with pytest.raises(StudyFileError, match=message):
        open_study(written(folder, text, plots))


def test_a_number_of_the_training_is_no_curve_over_what_comes_after_it(folder):
    text = MACHINE.replace("[train]", "[scan]\ntemperature = [1.0, 2.0]\n[train]")
    text += '[sample]\n[observe]\nrecord = ["energy"]\n'
    good = 'curve = { x = "temperature", y = "energy" }'
    open_study(written(folder, text, good))
    with pytest.raises(StudyFileError, match=r"curve.x[\s\S]*does not depend on temperature"):
        open_study(written(folder, text, good.replace("energy", "log_likelihood_test")))


def test_figures_are_those_of_the_study_file_as_it_is_now(folder):
    path, out = written(folder, MACHINE, 'training = { y = "moment1_rms" }'), folder / "r.nc"
    status, text = physebm("run", path, "--out", out)
    assert status == 0 and "r_moment1_rms.png" in text
    written(folder, MACHINE, 'training = { y = "gradient_norm" }\nsamples = {}')
    before = out.read_bytes()
    status, text = physebm("run", path, "--out", out)
    assert status == 0 and "; nothing was run; figures drawn again" in text
    assert {file.name for file in folder.glob("*.png")} == {
        "r_moment1_rms.png",
        "r_gradient_norm.png",
        "r_samples.png",
    }
    assert out.read_bytes() == before
    stored = physebm("plot", out, "--out", folder / "stored")
    assert stored == (0, f"{folder / 'stored' / 'r_moment1_rms.png'}\n")
    status, text = physebm("plot", out, "--out", folder / "new", "--study", path)
    assert status == 0
    files = {line.rpartition("/")[2] for line in text.split()}
    assert files == {"r_samples.png", "r_gradient_norm.png"}


def test_a_result_without_figures_says_so(folder):
    out = folder / "r.nc"
    run_study(written(folder, MACHINE, ""), out=out)
    status, text = physebm("plot", out)
    assert status == 2 and f"study of {out}: plot" in text and "--study" in text


def test_one_bad_figure_does_not_stop_the_others_and_the_study_file_is_named(folder):
    out = folder / "r.nc"
    run_study(written(folder, MACHINE, 'training = { y = "moment1_rms" }'), out=out)
    plots = """
    spectrum = { array = "a" }
    samples = { shape = [3, 3] }
    training = [{ y = "nothing" }, { y = "moment1_rms" }, { y = "rate", log = true }]
    """
    path = written(folder, MACHINE, plots)
    status, text = physebm("plot", out, "--study", path)
    assert status == 2
    assert "r_moment1_rms.png" in text and "r_rate.png" in text
    for key in ("plot.spectrum.array", "plot.samples.shape", "plot.training.y"):
        assert f"{path}: {key}" in text
    assert "3 figures could not be drawn" in text
    with pytest.raises(InputError, match=r"study of .*old.nc: plot.training.y"):
        draw_figures(with_stored(out, folder / "old.nc", "moment1_rms", "moment9_rms"))


def with_stored(result, path, old, new):
    """A copy of a result whose stored study asks for another quantity, of equal length."""
    path.write_bytes(result.read_bytes())
    with netCDF4.Dataset(path, "a") as held:
        variable = held["provenance"]["resolved_study"]
        variable.set_auto_chartostring(False)
        text = np.ma.getdata(variable[:]).astype("S1").tobytes()
        assert f'"y":"{old}"'.encode() in text
        variable[:] = np.frombuffer(text.replace(old.encode(), new.encode()), "S1")
    return path


def test_progress_says_which_training_of_a_scan_it_is_of(folder):
    text = MACHINE.replace("[train]", "[scan]\ntrain.steps = [1, 2]\n[train]")
    opened = open_study(written(folder, text, ""))
    for training, steps in zip(opened.grid.trainings, (1, 2), strict=True):
        notes = []
        own = folder / training.name
        run_training(
            opened.study,
            training,
            opened.models,
            "reference",
            own,
            opened.digest,
            lambda _, note, notes=notes: notes.append(note),
        )
        told = [note for note in notes if note]
        assert told and all(note.startswith(f"steps = {steps}  ll ") for note in told)
    assert training_title([("method", "pcd"), ("learning_rate", 0.1), ("steps", 10)]) == (
        "pcd, learning_rate = 0.1, steps = 10"
    )

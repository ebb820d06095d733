"""What training data are weighed by, and new data read by: parts, correlated teachers, grey scales."""

import numpy as np
import pytest
import xarray as xr
from click.testing import CliRunner

from physebm import open_trained
from physebm.cli import main
from physebm.data.bundled import bundled
from physebm.schema.study_file import study_from_dict
from physebm.study.grid import expand
from physebm.study.models import declared_models
from physebm.study.training_data import training_data


def data_of(raw, tmp_path):
    study = study_from_dict(raw, name="study", directory=tmp_path)
    models = declared_models(study)
    (training,) = expand(study, models).trainings
    loaded = training.point.loaded
    return training_data(
        training.declared.data,
        loaded.hamiltonian,
        loaded.params(study.seed),
        seed=study.seed,
        realisation=0,
        directory=str(tmp_path),
        models=models,
        backend="numba",
        where="train.data",
    )


def test_similar_sequences_share_a_weight_within_their_own_part(tmp_path):
    """Pairs of equal rows; a row whose twin is held out counts fully."""
    rng = np.random.default_rng(0)
    letters = np.repeat(rng.integers(0, 5, (60, 12)), 2, axis=0)
    np.save(tmp_path / "x.npy", letters)
    raw = {
        "model": "potts_machine",
        "set": {"L": 12, "q": 5},
        "train": {"data": {"path": "x.npy", "weights": "sequence", "split": {"test": 0.5}}},
    }
    found = data_of(raw, tmp_path)
    for states, weights in found.parts.values():
        (x,) = states.values()
        twins = (x[:, None] == x[None]).all(axis=2).sum(axis=1)
        assert weights == pytest.approx((1 / twins) / (1 / twins).sum())
    (x,) = found.parts["train"][0].values()
    assert found.effective_samples == pytest.approx(len(np.unique(x, axis=0)))


def test_a_teacher_below_its_transition_gives_few_independent_samples(tmp_path):
    teacher = {"source": "model", "model": "curie_weiss", "samples": 2000, "discard": 50, "every": 1}
    teacher |= {"chains": 20, "set": {"N": 30}}
    raw = {"model": "boltzmann_machine", "set": {"N": 30}}
    raw |= {"train": {"data": {**teacher, "map": True, "temperature": 1.0}}}
    slow = data_of(raw, tmp_path).effective_samples
    raw["train"]["data"] |= {"temperature": 50.0}
    fast = data_of(raw, tmp_path).effective_samples
    assert slow < 600 and fast > 1500


SMALL = """
model = "rbm"
[set]
Nv = 64
Nh = 4
[train]
data = { source = "digits", binarise = 0.5, split = { test = 0.5 } }
updates = 3
chains = 10
record = { every = 3 }
tau_sweeps = 0
"""


def physebm(*words):
    done = CliRunner().invoke(main, [str(word) for word in words])
    return done.exit_code, done.output


def test_new_data_are_read_by_the_scale_of_the_training_data(tmp_path):
    (tmp_path / "s.toml").write_text(SMALL)
    status, message = physebm("run", tmp_path / "s.toml", "--out", tmp_path / "r.nc", "--no-plot")
    assert status == 0, message
    grey = bundled("digits", "digits").flat[:50]
    wanted = open_trained(tmp_path / "r.nc").score((grey / 16 > 0.5).astype(np.int8))
    kinds = {"float": grey.astype(float), "byte": grey.astype(np.uint8), "two": (grey / 16 > 0.5) * 1}
    for name, values in kinds.items():
        np.save(tmp_path / f"{name}.npy", values)
        out = tmp_path / f"{name}.nc"
        status, message = physebm("score", tmp_path / "r.nc", tmp_path / f"{name}.npy", "--out", out)
        assert status == 0, message
        found = xr.open_dataset(out)["free_energy"].values
        assert found == pytest.approx(wanted["free_energy"].values), name


def test_the_energy_of_a_model_without_hidden_units_is_its_free_energy():
    from physebm.study.trained import Trained

    table = """
[m.units]
x = { prior = "gaussian", variance = 0.5, shape = 3 }
[m.arrays]
h = { law = "normal", std = 1.0, shape = 3, trainable = true }
[[m.terms]]
field = "x"
h = "h"
"""
    import tomllib

    from physebm.schema.load import load
    from physebm.schema.model_file import read_model

    loaded = load(read_model("m", tomllib.loads(table)["m"], "m"))
    params = loaded.params(1)
    scores = Trained(loaded, params, 0, (3,)).score(np.random.default_rng(0).normal(size=(5, 3)))
    assert scores["energy"].values == pytest.approx(scores["free_energy"].values)
    x = Trained(loaded, params, 0, (3,)).generate(4000, sweeps=1, seed=2)["x"]
    # one sweep of independent units is exact: 3 means, |z| <= 4.5
    mean = 0.5 * params.arrays["h"][0]
    assert np.abs((x.mean(axis=0) - mean) / np.sqrt(0.5 / 4000)).max() < 4.5

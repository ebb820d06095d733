"""Data sets by name: the digits of the package, the irises of scikit-learn."""

import sys
import tomllib
from importlib import resources
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from physebm.data.bundled import NAMES, bundled
from physebm.errors import StudyFileError


def test_digits():
    data = bundled("digits")
    assert data.values.shape == (1797, 8, 8) and data.values.dtype == np.uint8
    assert (data.values.min(), data.values.max()) == (0, 16)
    assert np.bincount(data.labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    # sum of all pixels and the first picture, from scikit-learn's digits.csv.gz
    assert int(data.values.sum()) == 561718 and data.labels[0] == 0
    assert data.values[0, 0].tolist() == [0, 0, 5, 13, 9, 1, 0, 0]
    assert data.values[0, 7].tolist() == [0, 0, 6, 13, 10, 0, 0, 0]
    assert data.source == "digits"


def test_the_attribution_travels_with_the_file():
    attrs = bundled("digits").attrs
    assert "Alpaydin" in attrs["creator"] and "UCI" in attrs["source"]
    assert attrs["license"] == "CC BY 4.0" and "scikit-learn" in attrs["history"]


def test_every_bundled_file_is_in_the_wheel():
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    globs = project["tool"]["setuptools"]["package-data"]["physebm.data"]
    held = [p.name for p in resources.files("physebm.data").iterdir() if not p.name.endswith(".py")]
    files = {name for name in held if name != "__pycache__"}
    assert files == {f"{name}.nc" for name in NAMES}
    assert all(any(Path(name).match(glob) for glob in globs) for name in files)


def test_another_name():
    with pytest.raises(StudyFileError, match="did you mean digits"):
        bundled("digit")
    with pytest.raises(StudyFileError, match="expected  digits, iris"):
        bundled("mnist")


def test_iris_of_an_installed_scikit_learn():
    pytest.importorskip("sklearn")
    data = bundled("iris")
    assert data.values.shape == (150, 4) and data.values.dtype == np.float64
    assert np.bincount(data.labels).tolist() == [50, 50, 50]
    # R. A. Fisher, Ann. Eugen. 7, 179 (1936), table I: two flowers that other copies have wrong
    assert data.values[34].tolist() == [4.9, 3.1, 1.5, 0.2]
    assert data.values[37].tolist() == [4.9, 3.6, 1.4, 0.1]
    # means of the three species in the same paper
    means = [data.values[data.labels == k].mean(axis=0) for k in range(3)]
    fisher = [(5.006, 3.428, 1.462, 0.246), (5.936, 2.770, 4.260, 1.326), (6.588, 2.974, 5.552, 2.026)]
    np.testing.assert_allclose(means, fisher, atol=1e-12)
    assert data.attrs["classes"] == ["setosa", "versicolor", "virginica"]


def test_iris_is_read_as_scikit_learn_gives_it(monkeypatch):
    held = SimpleNamespace(
        data=[[1, 2.5], [3, 4]], target=[1, 0], feature_names=["a", "b"], target_names=["x", "y"]
    )
    given = ModuleType("sklearn.datasets")
    given.load_iris = lambda: held
    monkeypatch.setitem(sys.modules, "sklearn", ModuleType("sklearn"))
    monkeypatch.setitem(sys.modules, "sklearn.datasets", given)
    data = bundled("iris")
    assert data.values.tolist() == [[1.0, 2.5], [3.0, 4.0]] and data.values.dtype == np.float64
    assert data.labels.tolist() == [1, 0] and data.source == "iris"
    assert data.attrs["columns"] == ["a", "b"]


def test_iris_without_scikit_learn(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(StudyFileError) as caught:
        bundled("iris", "study: train.data.source")
    message = str(caught.value)
    assert message.startswith("study: train.data.source") and "[datasets]" in message
    assert 'train.data = { path = "iris.csv", header = true' in message

"""The digits that come with the package."""

import tomllib
from importlib import resources
from pathlib import Path

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

"""Data against units: what fits, what is mapped, what is refused and with which advice."""

import numpy as np
import pytest

from physebm.data.support import to_support
from physebm.errors import StudyFileError
from physebm.model.units import Prior, UnitKind


def refused(values, kind, *parts, **options):
    with pytest.raises(StudyFileError) as caught:
        to_support(np.asarray(values), kind, where="s.toml: train.data", **options)
    for part in parts:
        assert part in str(caught.value)


@pytest.mark.parametrize("kind", ["ising", "bernoulli"])
@pytest.mark.parametrize("given", [np.int64, np.float32, np.float64])
def test_two_states(kind, given):
    states = Prior(UnitKind(kind)).states
    x = np.array([[*states], [*states[::-1]]])
    for mapped in (False, True):
        found = to_support(x.astype(given), kind, map=mapped)
        assert found.dtype == np.int8 and found.tolist() == x.tolist()


def test_the_map_between_them_has_to_be_asked_for():
    x, s = np.array([[0, 1, 1]]), np.array([[-1, 1, 1]])
    assert to_support(x, "ising", map=True).tolist() == s.tolist()
    assert to_support(s, "bernoulli", map=True).tolist() == x.tolist()
    assert to_support(x.astype(np.uint8), "ising", map=True).dtype == np.int8
    ones = np.ones((1, 3))
    assert to_support(ones, "ising", map=True).tolist() == [[1, 1, 1]]
    refused(
        x, "ising", "0 at sample 0, unit 0", "-1 or 1 (ising units)", "map = true", "bernoulli units"
    )
    refused(s, "bernoulli", "-1 at sample 0, unit 0", "map = true", "ising units")
    refused([[0, 1, -1]], "ising", "-1 at sample 0, unit 2", map=True)


@pytest.mark.parametrize("kind", ["ising", "bernoulli"])
def test_grey_values_get_advice(kind):
    grey = np.array([[[0.0, 1.0]], [[1.0, 0.25]]])
    place = "0.25 at sample 1, unit (0, 1)" if kind == "bernoulli" else "0.0 at sample 0, unit (0, 0)"
    refused(grey, kind, "train.data", place, "binarise = 0.5", '"sample"')
    if kind == "ising":
        refused(grey, kind, "0.25 at sample 1", "binarise = 0.5 (a threshold)", map=True)
    refused([[0, 16], [3, 1]], kind, "16", "scale = [0, 16] with binarise = 0.5")
    refused([[1, np.nan]], kind, "nan at sample 0, unit 1")


def test_potts_states():
    x = np.array([[0, 20], [3, 4]], dtype=np.uint8)
    assert to_support(x, "potts", 21).dtype == np.int8
    assert to_support(x.astype(float), "potts", 21).tolist() == x.tolist()
    wide = np.array([[0, 127], [1, 2]])
    assert to_support(wide, "potts", 128).dtype == np.int16
    assert to_support(wide, "potts", 128).tolist() == wide.tolist()
    refused(x, "potts", "20 at sample 0, unit 1", "0 to 19", "q = 21 would", q=20)
    refused([[0, -1]], "potts", "-1 at sample 0, unit 1", q=3)
    refused([[0, 0.5]], "potts", "0.5 at sample 0", "the number of a state", q=3)
    refused([[np.nan, 0.5]], "potts", "nan at sample 0, unit 0", q=3)
    with pytest.raises(ValueError, match="at least 2 states"):
        to_support(x, "potts")


def test_continuous_units():
    x = np.array([[-1.5, 2.0]])
    assert to_support(x, "gaussian").tolist() == x.tolist()
    assert to_support(x.astype(np.float32), "gaussian").dtype == np.float32
    assert to_support(np.array([[1, 2]]), "gaussian").dtype == np.float64
    refused([[0, np.inf]], "gaussian", "inf at sample 0, unit 1", "finite")
    assert to_support(x, "truncated_gaussian", lower=[-2, 0]).tolist() == x.tolist()
    assert to_support(np.array([[0.0, 1.0]]), "truncated_gaussian").tolist() == [[0, 1]]
    refused(x, "truncated_gaussian", "-1.5 at sample 0, unit 0", "0 or more")
    refused(
        [[5.0, 2.0], [5.0, 0.5]], "truncated_gaussian", "0.5 at sample 1", "1 or more", lower=[3, 1]
    )
    refused([[5.0, np.nan]], "truncated_gaussian", "nan at sample 0")


def test_a_kind_that_no_unit_has():
    with pytest.raises(ValueError, match="unknown unit kind"):
        to_support(np.zeros((1, 1)), "spin")


def test_kinds_are_those_of_the_model():
    for kind in UnitKind:
        assert to_support(np.ones((1, 2)), str(kind), q=3).tolist() == [[1, 1]]

"""The container: axes, weights and subsets."""

import numpy as np
import pytest

from physebm.data.dataset import BY_SEQUENCE, WEIGHTING, DataSet


def test_axes_and_shapes():
    x = np.arange(24)
    data = DataSet(x.reshape(2, 12), shape=(3, 4))
    assert data.values.shape == (2, 3, 4) and data.shape == (3, 4)
    assert (data.samples, data.units) == (2, 12)
    assert data.flat.tolist() == x.reshape(2, 12).tolist()
    assert DataSet(x.reshape(2, 3, 4)).shape == (3, 4)


@pytest.mark.parametrize(
    "given",
    [
        {"values": np.zeros(3)},
        {"values": np.zeros((2, 6)), "shape": (4,)},
        {"values": np.zeros((2, 6)), "weights": np.ones(3)},
        {"values": np.zeros((2, 6)), "labels": np.ones((2, 1))},
    ],
)
def test_parts_that_disagree_are_refused(given):
    with pytest.raises(ValueError, match="shape"):
        DataSet(**given)


def test_a_subset_takes_everything_along():
    data = DataSet(
        np.arange(8).reshape(4, 2), weights=[1, 2, 3, 4], labels=list("abcd"), source="here",
        attrs={"n": 1},
    )  # fmt: skip
    part = data.subset([3, 1])
    assert part.values.tolist() == [[6, 7], [2, 3]]
    assert part.weights.tolist() == [4, 2] and part.labels.tolist() == ["d", "b"]
    assert (part.source, part.attrs) == ("here", {"n": 1})
    assert data.subset(np.array([True, False, False, True])).labels.tolist() == ["a", "d"]
    assert data.subset(slice(2)).samples == 2


def test_effective_samples():
    values, w = np.zeros((4, 1)), np.array([1.0, 0.5, 0.25, 0.25])
    assert DataSet(values).effective_samples == 4
    assert DataSet(values, weights=7 * np.ones(4)).effective_samples == pytest.approx(4)
    assert DataSet(values, weights=3 * w).effective_samples == pytest.approx(4 / (1 + 1 / 4 + 1 / 8))
    clusters = DataSet(values, weights=w, attrs={WEIGHTING: BY_SEQUENCE})
    assert clusters.effective_samples == 2.0
    assert clusters.subset([0, 1]).effective_samples == 1.5

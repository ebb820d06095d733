"""Splits by seed and rows by range; the permutation behind them."""

import itertools

import numpy as np
import pytest

from physebm.data.permutation import permutation
from physebm.data.split import row_range, split
from physebm.errors import StudyFileError


@pytest.mark.parametrize(
    ("n", "validation", "test"), [(10, 0.0, 0.0), (10, 0.2, 0.3), (1797, 0.1, 0.25), (3, 0.34, 0.3)]
)
def test_parts_are_disjoint_and_exhaustive(n, validation, test):
    parts = split(n, validation=validation, test=test, seed=4)
    sizes = [len(parts.train), len(parts.validation), len(parts.test)]
    assert sizes[1:] == [round(validation * n), round(test * n)]
    everything = np.concatenate([parts.train, parts.validation, parts.test])
    assert np.sort(everything).tolist() == list(range(n))
    for part in (parts.train, parts.validation, parts.test):
        assert (np.diff(part) > 0).all()


def test_the_seed_decides_and_nothing_else():
    first, again = (split(100, validation=0.1, test=0.2, seed=7) for _ in range(2))
    assert first.test.tolist() == again.test.tolist() and first.train.tolist() == again.train.tolist()
    assert split(100, test=0.2, seed=8).test.tolist() != first.test.tolist()
    assert split(100, validation=0.5, test=0.2, seed=7).test.tolist() == first.test.tolist()


def test_a_split_is_pinned():
    assert split(12, validation=0.25, test=0.25, seed=1).test.tolist() == [0, 3, 7]


def test_every_order_is_equally_likely():
    orders = {order: 0 for order in itertools.permutations(range(4))}
    draws = 4800
    for k in range(draws):
        orders[tuple(permutation((k, 0), 4))] += 1
    chi2 = sum((found - 200) ** 2 / 200 for found in orders.values())
    # 23 degrees of freedom: above 60 in 3e-5 of all sets of keys
    assert 5 < chi2 < 60


def test_fractions_that_cannot_be():
    for wrong, part in (
        ({"test": 1.0}, "train.data.test"),
        ({"test": -0.1}, "train.data.test"),
        ({"validation": "0.1"}, "train.data.validation"),
        ({"validation": True}, "train.data.validation"),
        ({"test": 0.01}, "less than one of 10"),
        ({"test": 0.5, "validation": 0.5}, "leave some of 10"),
    ):
        with pytest.raises(StudyFileError) as caught:
            split(10, seed=0, **wrong)
        assert part in str(caught.value)


def test_ranges():
    assert row_range([2, 5], 5).tolist() == [2, 3, 4]
    assert row_range((0, 5), 5).tolist() == [0, 1, 2, 3, 4]
    for wrong in ([0, 6], [3, 3], [-1, 2], [4, 2], [1], [0, 1.5], 3, "05", [0, True]):
        with pytest.raises(StudyFileError, match=r"train\.data\.rows"):
            row_range(wrong, 5)

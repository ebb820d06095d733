"""Thresholds and draws; the addresses of the draws."""

import numpy as np
import pytest

from physebm.data.binarise import binarise, rescale
from physebm.errors import StudyFileError
from physebm.rng.philox import philox4x32, uniform
from physebm.rng.streams import Purpose, key_of, last_word


def refused(values, *parts, how=0.5, **options):
    with pytest.raises(StudyFileError) as caught:
        binarise(np.asarray(values), how, where="s.toml: train.data", **options)
    for part in parts:
        assert part in str(caught.value)


def test_a_threshold_is_exceeded_or_not():
    x = np.array([[0.0, 0.5, 0.51], [1.0, 0.2, 0.5]])
    assert binarise(x, 0.5).tolist() == [[0, 0, 1], [1, 0, 0]]
    assert binarise(x, 0.5).dtype == np.int8
    grey = np.array([[[0, 127], [128, 255]]], dtype=np.uint8)
    assert binarise(grey, 0.5, scale=[0, 255]).tolist() == [[[0, 0], [1, 1]]]
    assert binarise(grey, 127).tolist() == [[[0, 0], [1, 1]]]


def test_rescaling():
    assert rescale(np.array([[0, 4, 16]]), [0, 16]).tolist() == [[0, 0.25, 1]]
    assert rescale(np.array([[-1.0, 3.0]]), (-1, 1)).tolist() == [[0, 2]]
    for wrong in ([1, 1], [2, 0], [0], 3, [0, np.inf], ["a", "b"], [0, 1, 2]):
        with pytest.raises(StudyFileError, match=r"train\.data\.scale"):
            rescale(np.zeros((1, 1)), wrong)


def test_draws_have_the_grey_value_as_mean():
    p = np.linspace(0, 1, 21)
    n = 20000
    x = np.broadcast_to(p, (n, 21))
    mean = binarise(x, "sample", seed=11).mean(axis=0)
    assert mean[0] == 0 and mean[-1] == 1
    z = (mean - p)[1:-1] / np.sqrt(p * (1 - p) / n)[1:-1]
    # 19 independent means: a false alarm in about 1e-4 of all seeds for the largest, 5 % for the spread
    assert np.abs(z).max() < 4.5 and 0.5 < (z**2).mean() < 1.6


def test_a_draw_is_a_function_of_seed_sample_and_unit():
    x = np.full((40, 11), 0.5)
    k0, k1 = key_of(5, "binarise")
    expected = np.zeros((40, 11), dtype=int)
    for n in range(40):
        for i in range(11):
            words = philox4x32(i // 4, n, 0, last_word(Purpose.BINARISE), k0, k1)
            expected[n, i] = uniform(words[i % 4]) < 0.5
    drawn = binarise(x, "sample", seed=5)
    assert (drawn == expected).all()
    rows = np.array([31, 2, 7])
    assert (binarise(x[rows], "sample", seed=5, rows=rows) == expected[rows]).all()
    assert (binarise(x, "sample", seed=6) != expected).any()
    wide = np.full((300, 2000), 0.5)  # more than one piece
    pieces = binarise(wide, "sample", seed=5)
    assert (pieces[:40, :11] == expected).all()
    assert (pieces[250:] == binarise(wide[250:], "sample", seed=5, rows=np.arange(250, 300))).all()


def test_what_is_no_probability():
    refused(
        [[0.1, 0.2], [0.3, 1.5]],
        "train.data.binarise",
        "1.5 at sample 1, unit 1",
        "scale",
        how="sample",
    )
    refused(np.full((2, 2, 2), -1), "-1 at sample 0, unit (0, 0)", how="sample")
    refused([[0.2, np.nan]], "nan at sample 0, unit 1", how="sample")
    refused([[0, 256]], "256 at sample 0", how="sample", scale=[0, 255])


def test_what_is_no_threshold():
    for how in ("samples", None, True, np.nan, [0.5]):
        refused([[0, 1]], "train.data.binarise", 'a threshold, or "sample"', how=how)
    refused([[0, 255]], "every unit of every sample is 0", "from 0 to below 1", how=200, scale=[0, 255])
    refused([[1, 2]], "every unit of every sample is 1", "from 1 to below 2", how=0.5)

"""Overlaps and nearest neighbours in blocks, against the overlap of every single pair."""

import numpy as np
import pytest

from physebm.observables import neighbours as nb
from physebm.observables.overlap import overlap_values, replica_overlap

KINDS = [("ising", None), ("bernoulli", None), ("potts", 3), ("potts", 2), ("gaussian", None)]


def draws(rng, kind, q, rows, units=11):
    if kind == "ising":
        return rng.choice(np.array([-1, 1], dtype=np.int8), size=(rows, units))
    if kind == "gaussian":
        return rng.normal(size=(rows, units))
    return rng.integers(0, q or 2, (rows, units)).astype(np.uint8)


@pytest.mark.parametrize(("kind", "q"), KINDS)
@pytest.mark.parametrize("block", [1, 7, 1024])
def test_chain_overlaps_are_those_of_every_pair(kind, q, block):
    x = draws(np.random.default_rng(71), kind, q, 23)
    pairs = [(a, b) for a in range(23) for b in range(a)]
    single = np.array([replica_overlap(x[a], x[b], kind, q) for a, b in pairs])
    found = nb.chain_overlaps(x, kind, q, block)
    assert np.isclose(found.mean, single.mean(), rtol=1e-12)
    assert np.isclose(found.second_moment, (single**2).mean(), rtol=1e-12)
    assert found.counts.sum() == len(pairs)
    if kind == "gaussian":
        assert np.array_equal(found.counts, np.histogram(single, nb.BINS, (-1, 1))[0])
        assert np.allclose(found.values[[0, -1]], [-0.995, 0.995])
    else:
        assert np.array_equal(found.values, overlap_values(11, q or 2))
        # A value of overlap_values may differ by rounding from the same overlap of one pair.
        at = np.abs(single[:, None] - found.values).argmin(axis=1)
        assert np.array_equal(found.counts, np.bincount(at, minlength=12))


def test_independent_chains_have_overlap_moments_zero_and_one_over_n():
    x = draws(np.random.default_rng(72), "ising", None, 400, 50)
    found = nb.chain_overlaps(x)
    # sum over pairs of q: variance (C (C - 1)/2)/N, pairs being uncorrelated.
    assert abs(found.mean) < 4 / np.sqrt(400 * 399 / 2 * 50)
    assert abs(found.second_moment * 50 - 1) < 4 * np.sqrt(2 / (400 * 399 / 2))


def test_collapsed_chains_overlap_completely():
    x = np.tile(draws(np.random.default_rng(73), "potts", 4, 1), (9, 1))
    found = nb.chain_overlaps(x, "potts", 4)
    assert found.mean == found.second_moment == 1.0
    assert found.counts[-1] == 36


@pytest.mark.parametrize(("kind", "q"), KINDS)
@pytest.mark.parametrize("block", [1, 5, 1024])
def test_data_overlaps_are_those_of_every_pair(kind, q, block):
    rng = np.random.default_rng(74)
    x, data = draws(rng, kind, q, 13), draws(rng, kind, q, 37)
    single = np.array([[replica_overlap(a, b, kind, q) for b in data] for a in x])
    found = nb.data_overlaps(x, data, kind, q, block)
    assert np.allclose(found.mean, single.mean(axis=1), rtol=1e-11, atol=1e-14)
    assert np.allclose(found.largest, single.max(axis=1), rtol=1e-12)
    if kind == "gaussian":
        assert np.array_equal(found.nearest, single.argmax(axis=1))
        assert np.isnan(found.distance).all()
    else:
        hamming = (x[:, None] != data[None]).sum(axis=-1)
        assert np.array_equal(found.nearest, hamming.argmin(axis=1))
        assert np.array_equal(found.distance, hamming.min(axis=1))


def test_copies_of_data_are_found_where_they_stand():
    rng = np.random.default_rng(75)
    data = draws(rng, "bernoulli", None, 3000, 60)
    rows = rng.integers(0, 3000, 40)
    found = nb.data_overlaps(data[rows].astype(bool), data, "bernoulli")
    assert np.array_equal(found.nearest, rows)
    assert np.all(found.distance == 0) and np.all(found.largest == 1.0)


def plain_accuracy(real, synthetic, kind):
    def distance(a, b):
        if kind == "gaussian":
            return ((a[:, None] - b[None]) ** 2).sum(-1)
        return (a[:, None] != b[None]).sum(-1).astype(float)

    own_t, own_s, cross = (
        distance(real, real),
        distance(synthetic, synthetic),
        distance(real, synthetic),
    )
    np.fill_diagonal(own_t, np.inf)
    np.fill_diagonal(own_s, np.inf)
    truth = (cross.min(axis=1) > own_t.min(axis=1)).mean()
    return truth, (cross.min(axis=0) > own_s.min(axis=1)).mean()


@pytest.mark.parametrize(("kind", "q"), KINDS)
@pytest.mark.parametrize("block", [1, 9, 1024])
def test_adversarial_accuracy_is_the_plain_count(kind, q, block):
    rng = np.random.default_rng(76)
    real, synthetic = draws(rng, kind, q, 40), draws(rng, kind, q, 40)
    if kind == "gaussian":
        real = real + 100.0  # far from the origin: distances must not drown in norms
        synthetic = synthetic * 0.8 + 100.1
    found = nb.adversarial_accuracy(real, synthetic, kind, q, block)
    assert tuple(found) == plain_accuracy(real, synthetic, kind)


def test_adversarial_accuracy_tells_copies_strangers_and_equals_apart():
    rng = np.random.default_rng(77)
    real = (rng.random((500, 60)) < 0.1).astype(np.uint8)
    assert nb.adversarial_accuracy(real, real[::-1]) == (0.0, 0.0)
    assert nb.adversarial_accuracy(real, 1 - real) == (1.0, 1.0)
    x, y = rng.normal(size=(2, 500, 20))
    truth, synthetic = nb.adversarial_accuracy(x, y, "gaussian")
    # 1/2 each for one distribution; neighbours are shared, hence twice the binomial error.
    assert abs(truth - 0.5) < 4 / np.sqrt(500) and abs(synthetic - 0.5) < 4 / np.sqrt(500)


def test_samples_that_do_not_fit_are_refused():
    x = np.zeros((4, 3), dtype=int)
    with pytest.raises(ValueError, match="two of them"):
        nb.chain_overlaps(x[:1])
    with pytest.raises(ValueError, match="3 and of 2 units"):
        nb.data_overlaps(x, x[:, :2])
    with pytest.raises(ValueError, match="one size"):
        nb.adversarial_accuracy(x, x[:3])
    with pytest.raises(ValueError, match="q >= 2"):
        nb.chain_overlaps(x, "potts")
    with pytest.raises(ValueError, match="no scalar spin"):
        nb.chain_overlaps(x, "clock")
    with pytest.raises(ValueError, match="sample, unit"):
        nb.chain_overlaps(x[0])

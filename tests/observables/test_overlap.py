"""Overlaps with patterns and between replicas, exact for discrete units."""

import numpy as np
import pytest

from physebm.observables import overlap as ov


@pytest.fixture
def rng():
    return np.random.default_rng(12)


def signs(rng, *shape):
    return rng.choice(np.array([-1, 1], dtype=np.int8), size=shape)


def test_pattern_overlaps_are_exact_for_signs(rng):
    x, xi = signs(rng, 13, 999), signs(rng, 5, 999)
    expected = (x.astype(int) @ xi.astype(int).T) / 999
    assert np.array_equal(ov.pattern_overlaps(x, xi), expected)
    assert np.array_equal(ov.pattern_overlaps(x.astype(float), xi), expected)
    bits = ((x + 1) // 2).astype(np.uint8)
    assert np.array_equal(ov.pattern_overlaps(bits, xi, kind="bernoulli"), expected)


def test_every_lane_sees_the_patterns_of_its_own_instance(rng):
    x, xi = signs(rng, 6, 40), signs(rng, 3, 4, 40)
    instance = np.array([2, 0, 2, 1, 0, 1])
    m = ov.pattern_overlaps(x, xi, instance)
    for lane, i in enumerate(instance):
        assert np.array_equal(m[lane], ov.pattern_overlaps(x[lane : lane + 1], xi[i])[0])


def test_larger_integer_patterns_are_exact_too(rng):
    x = np.ones((1, 5000), dtype=np.int8)
    assert ov.pattern_overlaps(x, np.full((1, 5000), 127, dtype=np.int8))[0, 0] == 127.0


def test_stacked_patterns_without_instances_are_refused(rng):
    with pytest.raises(ValueError, match="instance"):
        ov.pattern_overlaps(signs(rng, 2, 4), signs(rng, 1, 2, 4))


def test_a_stored_pattern_and_its_negative_are_retrieved(rng):
    xi = signs(rng, 6, 500)
    m = ov.pattern_overlaps(np.stack([xi[3], -xi[3]]), xi)
    assert ov.retrieval_overlap(m, 3).tolist() == [1.0, -1.0]
    assert ov.retrieval_overlap(m, [3, 0])[1] == m[1, 0]
    assert ov.max_pattern_overlap(m).tolist() == [1.0, 1.0]


def test_random_states_reach_the_noise_floor_and_not_more(rng):
    xi = signs(rng, 400, 2000)
    m = ov.max_pattern_overlap(ov.pattern_overlaps(signs(rng, 200, 2000), xi))
    assert 0.85 < m.mean() / ov.noise_floor(400, 2000) < 1.1


def test_replica_overlap_of_ising_units_is_the_mean_product_exactly(rng):
    a, b = signs(rng, 30, 101), signs(rng, 30, 101)
    expected = (a.astype(int) * b).sum(-1) / 101
    assert np.array_equal(ov.replica_overlap(a, b), expected)
    bits = ((a + 1) // 2).astype(np.uint8), ((b + 1) // 2).astype(np.uint8)
    assert np.array_equal(ov.replica_overlap(*bits, kind="bernoulli"), expected)


def test_potts_overlap_is_one_for_equal_replicas_and_zero_on_average(rng):
    a, b = rng.integers(0, 4, (2, 400, 250))
    q = ov.replica_overlap(a, b, "potts", 4)
    expected = ((4 * (a == b) - 1) / 3).mean(-1)
    assert np.allclose(q, expected, rtol=0, atol=1e-14)
    # variance of (q delta - 1)/(q - 1) for independent uniform states: 1/(q - 1)
    assert abs(q.mean()) < 4 * np.sqrt(1 / 3 / q.size / 250)
    assert np.all(ov.replica_overlap(a, a, "potts", 4) == 1.0)


def test_continuous_overlap_is_the_cosine(rng):
    a, b = rng.normal(size=(2, 5, 30))
    expected = [u @ v / np.linalg.norm(u) / np.linalg.norm(v) for u, v in zip(a, b)]
    assert np.allclose(ov.replica_overlap(a, b, "gaussian"), expected, rtol=1e-13)
    assert ov.replica_overlap(np.zeros(3), np.ones(3), "truncated_gaussian") == 0.0


@pytest.mark.parametrize(("kind", "q"), [("ising", None), ("potts", 3), ("gaussian", None)])
def test_overlap_at_k1_is_the_mode_of_the_overlap_field(rng, kind, q):
    if kind == "ising":
        a, b = signs(rng, 2, 4, 6, 5)
        field = a.astype(float) * b
    elif kind == "potts":
        a, b = rng.integers(0, 3, (2, 4, 6, 5))
        field = (3 * (a == b) - 1) / 2
    else:
        a, b = rng.normal(size=(2, 4, 6, 5))
        field = a * b
    power = abs(np.fft.fft2(field) / 30) ** 2
    expected = np.stack([power[:, 1, 0], power[:, 0, 1]], axis=-1)
    assert np.allclose(ov.overlap_at_k1(a, b, 2, kind, q), expected, rtol=1e-10, atol=1e-15)


def test_overlap_histogram_counts_every_draw_on_an_exact_value(rng):
    a, b = signs(rng, 3, 500, 16), signs(rng, 3, 500, 16)
    q = ov.replica_overlap(a, b)
    counts = ov.overlap_histogram(q, 16)
    values = ov.overlap_values(16)
    assert counts.shape == (3, 17) and np.all(counts.sum(-1) == 500)
    assert np.isin(q, values).all()
    for point in range(3):
        assert counts[point].tolist() == [(q[point] == v).sum() for v in values]


def test_potts_overlaps_have_their_own_values(rng):
    a, b = rng.integers(0, 5, (2, 300, 20))
    q = ov.replica_overlap(a, b, "potts", 5)
    counts = ov.overlap_histogram(q, 20, 5)
    assert np.isclose(counts @ ov.overlap_values(20, 5) / 300, q.mean(), rtol=1e-12)


def test_overlaps_of_another_size_are_refused():
    with pytest.raises(ValueError, match="overlaps are not"):
        ov.overlap_histogram(np.array([0.5]), 3)

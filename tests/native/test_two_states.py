"""Products with rows of two-state units: against plain sums, and the same bits for any sharing."""

import numpy as np
import pytest

from physebm.native import products
from physebm.native.products import TwoStates, average, cross, times


@pytest.fixture(params=[1, 3])
def threads(request, monkeypatch):
    """Blocks are cut for so many threads."""
    monkeypatch.setattr(products, "_threads", lambda: request.param)
    monkeypatch.setattr(products, "SERIAL", 0)
    return request.param


def rows_of(rng, rows: int, units: int, low: int) -> TwoStates:
    return TwoStates(rng.choice([low, 1], size=(rows, units), p=[0.7, 0.3]).astype(np.int8), low)


@pytest.mark.parametrize("low", [0, -1])
@pytest.mark.parametrize(("rows", "units", "m"), [(16, 17, 16), (50, 70, 33), (1100, 37, 100)])
def test_products_are_sums(rows, units, m, low, threads):
    rng = np.random.default_rng(rows)
    A = rows_of(rng, rows, units, low)
    J = rng.normal(size=(units, m)).astype(np.float32)
    B = rng.normal(size=(rows, m)).astype(np.float32)
    w = rng.random(rows)
    w /= w.sum()
    x = A.x.astype(np.float64)
    np.testing.assert_allclose(times(A, J), x @ J, rtol=1e-5, atol=2e-5)
    np.testing.assert_allclose(times(A, J.T.copy().T), x @ J, rtol=1e-5, atol=2e-5)
    np.testing.assert_allclose(cross(A, B), x.T @ B / rows, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(cross(A, B, w), (x * w[:, None]).T @ B, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(average(A, w), w @ x, rtol=1e-13, atol=1e-14)
    np.testing.assert_allclose(average(A), x.mean(axis=0), rtol=1e-13, atol=1e-14)


def test_no_bit_depends_on_how_rows_are_shared(monkeypatch):
    monkeypatch.setattr(products, "SERIAL", 0)
    rng = np.random.default_rng(1)
    A = rows_of(rng, 300, 200, 0)
    J = rng.normal(size=(200, 40)).astype(np.float32)
    B = rng.random((300, 40), dtype=np.float32)
    less = J.T[:2].astype(float), B[:2].astype(float)
    results = []
    for count in (1, 2, 7):
        monkeypatch.setattr(products, "_threads", lambda count=count: count)
        results.append((times(A, J), cross(A, B), cross(A, B, None, less)))
    for other in results[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(results[0], other))
    assert np.array_equal(times(TwoStates(A.x[40:57], 0), J), results[0][0][40:57])


@pytest.mark.parametrize("weighted", [False, True])
def test_an_outer_product_is_taken_off(threads, weighted):
    """From tables and from plain products alike, once, however many groups of rows there are."""
    rng = np.random.default_rng(2)
    A, B = rows_of(rng, 1100, 40, -1), rng.random((1100, 20), dtype=np.float32)
    w = rng.random(1100) if weighted else None
    take, off = rng.normal(size=(2, 40)), rng.normal(size=(2, 20))
    for left in (A, A.x.astype(np.float32)):
        whole = cross(left, B, w)
        np.testing.assert_allclose(
            cross(left, B, w, (take, off)), whole - take.T @ off, rtol=1e-10, atol=1e-12
        )

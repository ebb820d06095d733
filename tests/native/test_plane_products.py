"""Products by the matrix unit of a processor: planes, exact sums, rounding; no lane sees another."""

import numba
import numpy as np
import pytest

from physebm.native import matrix_unit, plane_products

pytestmark = pytest.mark.skipif(not matrix_unit.is_allowed(), reason="no matrix unit")
SIZES = [(1, 1), (3, 40), (31, 32), (33, 31), (64, 65), (130, 33), (300, 100), (784, 50)]


def product(x: np.ndarray, J: np.ndarray, lanes: np.ndarray, planes: int) -> np.ndarray:
    """``x[lanes] J`` in a room for 70 lanes whose numbers are nan before."""
    n, m = J.shape
    room, F = plane_products.panel_room(), plane_products.matrix_field_room(70, m)
    X = plane_products.plane_room(70, n, planes)
    assert F.ctypes.data % 64 == 0 and X.ctypes.data % 64 == 0
    X[:], F[:], room[:] = 0x7FC0, np.nan, np.nan
    plane_products.source_planes(X, x, lanes, len(lanes), room)
    plane_products.matrix_product(F, X, J, len(lanes), room)
    return F[: len(lanes), :m].copy()


def test_a_number_is_the_exact_sum_of_its_planes():
    rng = np.random.default_rng(41)
    x = rng.normal(size=(3, 77)) * 10.0 ** rng.integers(-20, 20, (3, 77))
    X = plane_products.plane_room(3, 77, 3)
    plane_products.source_planes(X, x, np.arange(3), 3, plane_products.panel_room())
    parts = (X.astype(np.uint32) << 16).view(np.float32)[0, 0, :, :, :3]  # [step, plane, lane, source]
    parts = parts.transpose(1, 2, 0, 3).reshape(3, 3, -1)[:, :, :77]
    parts = parts.astype(np.float64)
    assert np.array_equal(parts.sum(axis=0), x.astype(np.float32))
    assert np.all(np.abs(parts[1]) <= 2.0**-8 * np.abs(x))
    assert np.all(np.abs(parts[2]) <= 2.0**-16 * np.abs(x))


@pytest.mark.parametrize("n, m", SIZES)
def test_sums_that_single_precision_holds_are_exact(n, m):
    """Couplings of 12 bits and sources of 3: every partial sum is an integer below 2^24."""
    rng = np.random.default_rng(42)
    J = rng.integers(-2047, 2048, (n, m)).astype(np.float32)
    states = rng.integers(-1, 2, (70, n)).astype(np.int8)
    reals = rng.integers(-7, 8, (70, n)).astype(np.float64)
    for x, planes in ((states, 1), (reals, 3)):
        assert np.array_equal(product(x, J, np.arange(70), planes), x @ J)


@pytest.mark.parametrize("n, m", SIZES)
def test_products_err_by_rounding_in_single_precision(n, m):
    """Below 2^-23 |x| |J| for what is left out, and 2^-24 of the sum for each of some 8 sums a step."""
    rng = np.random.default_rng(43)
    J = rng.normal(size=(n, m)).astype(np.float32)
    states = rng.choice([-1, 1], (70, n)).astype(np.int8)
    for x, planes in ((states, 1), (rng.normal(size=(70, n)), 3)):
        F = product(x, J, np.arange(70), planes)
        single = x.astype(np.float32).astype(np.float64)
        sizes = np.abs(single) @ np.abs(J.astype(np.float64))
        error = np.abs(F - single @ J)
        assert np.all(error < (2.0**-23 + 2.0**-24 * np.sqrt(n * 6 + 10)) * sizes)
        assert np.max(error / sizes) < 3e-7


@pytest.mark.parametrize("planes", [1, 3])
def test_no_bit_depends_on_the_other_lanes(planes):
    rng = np.random.default_rng(44)
    J = rng.normal(size=(200, 70)).astype(np.float32)
    x = rng.integers(-1, 2, (70, 200)).astype(np.int8) if planes == 1 else rng.normal(size=(70, 200))
    whole = product(x, J, np.arange(70), planes)
    order = rng.permutation(70)
    for which in (order, order[:33], order[:32], order[:1], np.arange(15, 18)):
        assert np.array_equal(product(x, J, which, planes), whole[which])


def test_the_unit_is_left_alone_where_numba_compiles_for_another_processor(monkeypatch):
    asked = matrix_unit.is_allowed.__wrapped__
    assert asked()
    monkeypatch.setattr(numba.config, "CPU_NAME", "x86-64")
    assert not asked()

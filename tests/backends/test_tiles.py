"""Tiles of lanes: no bit of a lane depends on its company, and vectors decide like the definition."""

import numpy as np
import pytest
from many_lanes import (
    assert_lanes_are_alone,
    assert_threads_change_nothing,
    for_lanes,
    swept,
)
from scipy.special import expit
from small_models import ZOO, Small, bound, small

from physebm.backends import tiling
from physebm.backends.numba_cpu import load as numba_cpu
from physebm.backends.numba_cpu.tiles import products, rows
from physebm.backends.numba_cpu.tiles.emit import SUBSET_TILE, TILE, is_tiled
from physebm.model.params import stack
from physebm.schema.load import load as load_declared
from physebm.schema.model_file import read_model

TILED = [name for name in ZOO if is_tiled(small(name).plan)]
# sizes that leave a remainder in every direction: 70 = 48 + 16 + 6 columns, 150 lanes = 64 + 64 + 22
LARGE = {"rbm": {"Nv": 70, "Nh": 50}, "rbm_truncated_gaussian_hidden": {"Nv": 33, "Nh": 49}}


def model_of(name: str, together: int = 1) -> Small:
    """The plan for `together` lanes of one instance: subset sums where there are many."""
    model = small(name, "heat-bath", (0.8, 1.5, 3.0), 3, **LARGE.get(name, {}))
    return for_lanes(model, together)


def test_the_list_holds_every_kind_of_source():
    kinds = {group.prior.kind for name in TILED for group in small(name).plan.groups}
    assert len(kinds) == 5
    assert "deep_boltzmann_machine" in TILED and "ising_2d" not in TILED


@pytest.mark.parametrize("together", [1, 500])
@pytest.mark.parametrize("clamped", [False, True], ids=["free", "clamped"])
@pytest.mark.parametrize("name", TILED)
def test_bits_of_a_lane_do_not_depend_on_the_other_lanes(name, clamped, together):
    """Three instances whose lanes interleave; energies too."""
    model = model_of(name, together)
    assert_lanes_are_alone(model, model.lanes(150, seed=11, clamped=clamped))


@pytest.mark.parametrize("together", [1, 500])
def test_threads_change_no_bit_of_large_calls(monkeypatch, together):
    model = model_of("rbm", together)
    assert_threads_change_nothing(model, model.lanes(150, seed=13), monkeypatch)


@pytest.mark.parametrize("name", ["rbm", "ising_2d"])
def test_without_energies_lanes_go_to_the_same_places(name):
    """Of tiles, and of layouts that make no difference."""
    model = small(name, "heat-bath", (0.8, 1.5, 3.0), 3)
    lanes = model.lanes(20, seed=14)
    start = model.random_state(lanes)
    whole, other = start.copy(), start.copy()
    kernels = numba_cpu.compile(model.plan)
    launch = model.launch
    for state in (whole, other):
        kernels.prepare(state, lanes, launch)
    E = kernels.sweep(whole, lanes, launch, 3, 2)
    assert kernels.advance(other, lanes, launch, 3, 2) is None
    for group, x in whole.x.items():
        assert np.array_equal(other.x[group], x)
    assert np.array_equal(kernels.energies(other, lanes, launch), E)


@pytest.mark.parametrize("most", [TILE, SUBSET_TILE])
@pytest.mark.parametrize("threads", [1, 2, 3, 7])
@pytest.mark.parametrize("lanes", [1, 8, 63, 64, 65, 100, 500, 1000])
def test_tiles_hold_every_lane_once_and_one_instance_each(lanes, threads, most):
    instance = np.random.default_rng(lanes).integers(0, 3, lanes)
    for which in (np.zeros(lanes, dtype=np.int64), instance):
        tiles = tiling.tiles_of(which, threads, most)
        assert tiles.shape[1] == most
        assert np.array_equal(np.sort(tiles[tiles >= 0]), np.arange(lanes))
        for tile in tiles:
            size = np.sum(tile >= 0)
            assert size > 0 and np.all(tile[:size] >= 0)
            assert len(set(which[tile[:size]])) == 1
    tiles = tiling.tiles_of(np.zeros(lanes, dtype=np.int64), threads, most)
    cuts = [len(tiles) * i // threads for i in range(threads + 1)]
    busiest = max(np.sum(tiles[a:b] >= 0) for a, b in zip(cuts, cuts[1:]))
    assert busiest <= -(-lanes // threads) + 8 * -(-len(tiles) // threads)


SHAPES = [(8, 3, 16), (4, 3, 8), (8, 3, 4), (4, 3, 4)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_product_has_the_bits_of_its_definition(shape):
    """Sources in increasing order by fused multiply-adds, for all register shapes and remainders."""
    product = products.product_in_blocks(*shape)
    rng = np.random.default_rng(14)
    for n, m in ((1, 1), (3, 15), (2, 16), (7, 47), (5, 48), (9, 71), (33, 130), (290, 100)):
        X = np.zeros((TILE, n), np.float32)
        F = np.full((TILE, m), np.nan, np.float32)
        J = rng.normal(size=(n, m)).astype(np.float32)
        X[:] = rng.normal(size=X.shape)
        for lanes in (1, 4, 13, TILE):
            product(F, X, J, lanes)
            assert np.allclose(F[:lanes], X[:lanes].astype(np.float64) @ J, rtol=1e-5, atol=3e-5)
        # one and zero are exact factors: the sum of the rows of J in order, at any shape
        X[:] = rng.random(X.shape) < 0.4
        product(F, X, J, TILE)
        total = np.zeros((TILE, m), np.float32)
        for k in range(n):
            total += X[:, k, None] * J[k]
        assert np.array_equal(F, total)


def test_a_row_decides_as_the_definition_up_to_rounding():
    """``|u - p| < (2 + |gap|) 2^-23 min(p, 1 - p)`` where decisions differ, out to both tails."""
    rng = np.random.default_rng(15)
    n = 2_000_000
    gap = (rng.normal(size=n) * 6).astype(np.float32)
    p = expit(-np.abs(gap.astype(np.float64)))
    # words within 1e-6 of the threshold of the unlikely state, and any words
    words = rng.integers(0, 2**32, n)
    close = np.rint(p * (1 + rng.normal(size=n) * 1e-6) * 2.0**32 - 0.5)
    words = np.where(np.arange(n) % 2 == 0, np.clip(close, 0, 2**32 - 1), words).astype(np.uint32)
    u = (words + 0.5) * 2.0**-32
    words[gap > 0] ^= np.uint32(2**32 - 1)  # a positive gap reads 1 - u
    x = np.zeros(n, np.int8)
    rows.draw_two_states(x, np.zeros(0, bool), gap, words, -1, 1)
    differ = (x == np.where(gap > 0, 1, -1)) == (u < p)
    assert 1000 < differ.sum() < n // 4
    assert np.all(np.abs(u - p)[differ] < ((2 + np.abs(gap)) * 2.0**-23 * p)[differ])
    held = rng.random(n) < 0.5
    kept = np.full(n, 5, np.int8)
    rows.draw_two_states(kept, held, gap, words, -1, 1)
    assert np.array_equal(kept, np.where(held, 5, x))


def test_certain_units_never_leave_their_state():
    x, words = np.zeros(4, np.int8), np.array([0, 2**32 - 1, 0, 2**32 - 1], np.uint32)
    for size in (30, 100, 1e6, np.inf):
        gap = np.array([-size, -size, size, size], np.float32)
        rows.draw_two_states(x, np.zeros(0, bool), gap, words, 0, 1)
        assert x.tolist() == [0, 0, 1, 1]


def test_running_fields_and_products_stand_in_one_plan():
    """Couplings within the visible layer and to a hidden one: rebuilt fields, and Potts gathers."""
    declared = read_model(
        "semi_restricted",
        {
            "title": "couplings within and between layers",
            "units": {
                "v": {"prior": "potts", "q": 3, "shape": 5, "visible": True},
                "h": {"prior": "ising", "shape": 4},
            },
            "arrays": {
                "J": {"law": "normal", "std": 0.5, "shape": [5, 5, 3, 3]},
                "W": {"law": "normal", "std": 0.5, "shape": [5, 4, 3]},
                "K": {"law": "normal", "std": 0.5, "shape": [4, 4]},
            },
            "terms": [
                {"couple": ["v", "v"], "J": "J"},
                {"couple": ["v", "h"], "J": "W"},
                {"couple": ["h", "h"], "J": "K"},
            ],
        },
        "test",
    )
    model = load_declared(declared)
    model = bound(model, stack([model.params(0, r) for r in range(2)]), "heat-bath", (0.8, 1.5, 3.0))
    assert is_tiled(model.plan)
    lanes = model.lanes(70, seed=16)
    start = model.random_state(lanes)
    whole, E = swept(model, start, lanes)
    reference = start.copy()
    F = model.kernels("reference").sweep(reference, lanes, model.launch, 62, 5)
    assert all(np.array_equal(x, reference.x[group]) for group, x in whole.x.items())
    np.testing.assert_allclose(E, F, rtol=2e-6, atol=1e-5)

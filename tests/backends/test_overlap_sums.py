"""Overlaps of patterns of signs, from tables of sums of four: exact sums, draws, parity, weights."""

from itertools import product

import numpy as np
import pytest
from many_lanes import for_lanes, in_rows
from small_models import Small, bound, loaded

from physebm.backends.numba_cpu.vectors import overlap_blocks as blocks
from physebm.backends.numba_cpu.vectors.overlap_sums import (
    add_steps_to_overlaps,
    pattern_sums,
    sum_room,
)
from physebm.backends.numba_cpu.vectors.pattern_draws import draw_block
from physebm.lowering.plan import Layout

WIDTHS = (16, 32, 48)
KINDS = (np.int16, np.float32)


def signs(rng, *shape) -> np.ndarray:
    return rng.choice(np.array([-1, 1], np.int8), shape)


def signs_of(nibbles: np.ndarray) -> np.ndarray:
    """+1 and -1 from bytes that hold four signs each, along the last axis."""
    bits = nibbles[..., None] >> np.arange(4) & 1
    return 2 * bits.reshape(*nibbles.shape[:-1], -1) - 1


def hopfield(xi: np.ndarray, temperatures=(0.5,), lanes: int = 64) -> Small:
    """The model with given patterns ``[instance, pattern, unit]`` in the plan for many lanes."""
    declared = loaded("hopfield", (("N", xi.shape[2]), ("P", xi.shape[1])))
    model = bound(declared, declared.params(0).with_arrays(xi=xi), "heat-bath", temperatures)
    model = for_lanes(model, lanes)
    assert model.plan.layout is Layout.VECTORS
    return model


def kind_of(model: Small) -> np.dtype:
    return blocks.overlap_blocks(model.launch.operands.arrays["xi0"])["kind"].dtype


def assert_same_sweeps(model: Small, other: Small, x, lanes, first: int, count: int) -> None:
    """States and overlaps after as many sweeps; `other` is any plan or backend's kernels."""
    results = []
    for kernels in (model.kernels(), other.kernels()):
        state = x.copy()
        kernels.prepare(state, lanes, model.launch)
        E = kernels.sweep(state, lanes, model.launch, first, count)
        results.append((state.x["s"], state.work["work0"], E))
    (s, M, E), (s_, M_, E_) = results
    assert np.array_equal(s, s_)
    assert np.array_equal(M, M_)
    np.testing.assert_allclose(E, E_, rtol=1e-12)


@pytest.mark.parametrize(("n", "P"), [(1, 1), (32, 4), (75, 11)])
def test_blocks_of_signs(n, P):
    """Nibbles give the patterns back; couplings within blocks are their sums."""
    xi = signs(np.random.default_rng(1), 2, n, P)
    made = blocks.overlap_blocks(xi)
    assert made["kind"].dtype == np.int16
    rows = signs_of(made["rows"]).reshape(2, -1, made["rows"].shape[-1] * 4)
    assert np.array_equal(rows[:, :n, :P], xi)
    columns = signs_of(made["columns"]).transpose(0, 1, 3, 2).reshape(2, -1, P)
    assert np.array_equal(columns[:, :n], xi)
    whole = np.zeros((2, len(rows[0]), len(rows[0])))
    whole[:, :n, :n] = np.einsum("kim,kjm->kij", xi.astype(int), xi.astype(int))
    for b in range(len(rows[0]) // 32):
        at = slice(32 * b, 32 * (b + 1))
        for k in range(2):
            block = whole[k, at, at]
            assert np.array_equal(made["own"][k, b], np.diag(block))
            assert np.array_equal(made["within"][k, b], block - np.diag(np.diag(block)))


def test_numbers_of_overlaps():
    """16 bits where four times the number of units is below 2^15; others in single precision."""
    for n, kind in ((8191, np.int16), (8192, np.float32)):
        assert blocks.overlap_blocks(np.ones((1, n, 1), np.int8))["kind"].dtype == kind
    made = blocks.overlap_blocks(np.array([[[1, -2], [0, 1]]], np.int8))
    assert made["kind"].dtype == made["rows"].dtype == made["columns"].dtype == np.float32
    assert made["rows"].shape == (1, 1, 32, 8)
    assert np.array_equal(made["rows"][0, 0, :2, :2], [[1, -2], [0, 1]])


@pytest.mark.parametrize(("width", "kind"), [*product(WIDTHS, KINDS)])
def test_sums_are_exact(width, kind):
    """Small and the largest overlaps: sums of these run over 16 bits wherever they are not cut."""
    rng = np.random.default_rng(2)
    for P, largest in ((1, 8191), (3, 20), (11, 8191), (102, 200), (102, 8191), (300, 8191)):
        xi = signs(rng, 1, 32, P)
        made = blocks.overlap_blocks(xi)
        M = np.zeros((-(-P // 8) * 8, width), kind)
        M[:P] = rng.integers(-largest, largest + 1, (P, width))
        M[:P, 1] = largest * xi[0, 5].astype(int)
        room = sum_room(width, np.empty(0, kind))
        assert room.ctypes.data % 64 == 0
        H = np.full((32, width), np.nan, np.float32)
        pattern_sums(H, made["rows"][0, 0], M, room)
        assert np.array_equal(H, xi[0].astype(int) @ M[:P].astype(int))
        assert H[5, 1] == largest * P
        for units in (1, 7, 32):
            D = rng.choice(np.float32([-2, 0, 2]), (32, width))
            after = M[:P].astype(int) // 2
            there = np.concatenate([after, np.zeros((len(M) - P, width))]).astype(kind)
            after += xi[0, :units].T.astype(int) @ D[:units].astype(int)
            add_steps_to_overlaps(there, made["columns"][0, 0], D, units, room)
            assert np.array_equal(there[:P], after)
            assert np.all(there[P:] == 0)


@pytest.mark.parametrize("width", WIDTHS)
def test_other_patterns_are_numbers(width):
    rng = np.random.default_rng(3)
    xi = rng.integers(-3, 4, (1, 32, 11)).astype(np.int8)
    made = blocks.overlap_blocks(xi)
    M = np.zeros((16, width), np.float32)
    M[:11] = rng.integers(-100, 100, (11, width))
    H, room = np.full((32, width), np.nan, np.float32), sum_room(width, made["kind"][0])
    pattern_sums(H, made["rows"][0, 0], M, room)
    assert np.array_equal(H, xi[0].astype(int) @ M[:11].astype(int))
    D, before = rng.choice(np.float32([-2, 0, 2]), (32, width)), M[:11].astype(int)
    add_steps_to_overlaps(M, made["columns"][0, 0], D, 32, room)
    assert np.array_equal(M[:11], before + xi[0].T.astype(int) @ D.astype(int))


@pytest.mark.parametrize(("width", "count"), [*product(WIDTHS, (1, 7, 8, 17, 32))])
def test_draws_of_a_block(width, count):
    """Unit after unit in exact integers; thresholds between the integers, so that nothing is tied."""
    rng = np.random.default_rng(4)
    A = rng.integers(-5, 6, (32, 32)).astype(np.float32)
    A = A + A.T
    own = np.diag(A).copy()
    np.fill_diagonal(A, 0)
    S = rng.choice(np.float32([-1, 1]), (40, width))
    H = rng.integers(-50, 51, (32, width)).astype(np.float32)
    noise = (0.5 * (rng.integers(-60, 60, (32, width)) + 0.5)).astype(np.float32)
    c = np.full(width, 0.5, np.float32)
    states, fields = S.copy(), H.astype(int)
    for b in range(count):
        gap = fields[b] - own[b] * states[3 + b]
        new = np.where(0.5 * gap > noise[b], 1, -1)
        step = new - states[3 + b]
        fields[b + 1 :] += (A[b + 1 :, b, None] * step).astype(int)
        states[3 + b] = new
    before, D = S.copy(), np.zeros((32, width), np.float32)
    low, high = np.float32(-1), np.float32(1)
    assert draw_block(S, H, D, noise, c, own, A, 3, count, low, high)
    assert np.array_equal(S, states)
    assert np.array_equal(D[:count], (S - before)[3 : 3 + count])
    assert not np.any(D[count:])
    needed = np.where(S[3 : 3 + count] > 0, -np.inf, np.inf).astype(np.float32)
    assert not draw_block(S, H, D, needed, c, own, A, 3, count, low, high)
    assert np.array_equal(S, states)
    needed[count - 1, width - 1] *= -1
    assert draw_block(S, H, D, needed, c, own, A, 3, count, low, high)


@pytest.mark.parametrize(("n", "P", "kind"), [(8191, 6, np.int16), (8195, 6, np.float32)])
def test_retrieved_patterns_at_the_largest_sizes(n, P, kind):
    """Equal patterns, all retrieved: fields of P n, far beyond 16 bits, and overlaps at their ends."""
    xi = np.repeat(signs(np.random.default_rng(5), 1, 1, n), P, axis=1)
    xi[0, P - 1, ::3] *= -1
    model = hopfield(xi, (3.0, 6.0))
    assert kind_of(model) == kind
    lanes = model.lanes(6, seed=6)
    x = model.random_state(lanes)
    x.x["s"][:] = xi[0, 0]
    assert_same_sweeps(model, in_rows(model), x, lanes, 63, 2)


def test_patterns_of_other_integers_sweep_as_before():
    rng = np.random.default_rng(7)
    model = hopfield(rng.integers(-2, 3, (1, 5, 70)).astype(np.int8))
    assert kind_of(model) == np.float32
    lanes = model.lanes(40, seed=8)
    assert_same_sweeps(model, in_rows(model), model.random_state(lanes), lanes, 60, 10)


def test_every_state_is_visited_as_often_as_its_weight():
    """Seven units, two patterns and their energies enumerated; 40,000 draws of whole configurations.

    A pinned seed; chi^2 of 127 degrees of freedom exceeds 203 with probability 2e-5.
    """
    xi = np.array([[[1, 1, 1, 1, -1, 1, -1], [1, -1, 1, -1, -1, 1, 1]]], np.int8)
    T, chains, sweeps = 1.3, 400, 100
    model = hopfield(xi, (T,))
    lanes, kernels = model.lanes(chains, seed=9), model.kernels()
    state = model.random_state(lanes)
    kernels.prepare(state, lanes, model.launch)
    kernels.sweep(state, lanes, model.launch, 0, 30)
    counts = np.zeros(128)
    for k in range(sweeps):
        # ten sweeps between draws: correlations at this temperature are gone after three
        kernels.sweep(state, lanes, model.launch, 30 + 10 * k, 10)
        counts += np.bincount((state.x["s"] > 0) @ (1 << np.arange(7)), minlength=128)
    s = 2 * (np.arange(128)[:, None] >> np.arange(7) & 1) - 1
    energy = -((s @ xi[0].T) ** 2).sum(1) / (2 * 7)
    weight = np.exp(-energy / T)
    expected = chains * sweeps * weight / weight.sum()
    assert np.sum((counts - expected) ** 2 / expected) < 203

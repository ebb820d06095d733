"""Potts units that gather their fields: the sweep of lane after lane, and no bit of a lane depends on
its company.

Rows of 8 (q = 5), 24 (21) and 32 (32) numbers, of which only the last fills vectors of sixteen; lanes
leave a remainder against vectors, parts and tiles; 67 units need two chunks of words.
"""

from dataclasses import replace

import numpy as np
import pytest
from many_lanes import (
    assert_lanes_are_alone,
    assert_threads_change_nothing,
    for_lanes,
    in_rows,
    swept,
)
from parity_cases import agree
from small_models import Small, small

from physebm.backends.numba_cpu.potts import draw as potts_draw
from physebm.backends.numba_cpu.potts import emit as potts_emit
from physebm.backends.numba_cpu.potts import load as potts_load
from physebm.backends.numba_cpu.potts import rows as potts_rows
from physebm.backends.numba_cpu.potts.load import GatherKernels
from physebm.errors import LoweringError, StudyError
from physebm.lowering.gathered import ALIGNMENT, couplings, padded_states
from physebm.lowering.layout import GATHER_LANES, choose_layout
from physebm.lowering.operands import bind, update
from physebm.lowering.plan import Layout
from physebm.lowering.verify import verify

SIZES = ((9, 5), (6, 21), (4, 32))
every_size = pytest.mark.parametrize(("L", "q"), SIZES)


def model_of(L: int, q: int, instances: int = 3, **values) -> Small:
    temperatures = (0.8, 1.5, 3.0)
    model = small("potts_machine", "heat-bath", temperatures, instances, L=L, q=q, **values)
    model = for_lanes(model, GATHER_LANES)
    assert model.plan.layout is Layout.GATHERS
    return model


@every_size
@pytest.mark.parametrize("clamped", [False, True])
def test_one_sweep_is_that_of_the_reference(L, q, clamped):
    """3 instances, 3 rungs, 50 lanes.

    A unit can differ only where its number falls within rounding of a partial sum, 2e-6 of it; the
    pinned words do not meet that (about 2e4 draws, a chance below 0.05).
    """
    model = model_of(L, q)
    lanes = model.lanes(50, seed=3, clamped=clamped)
    agree(model.kernels(), model, lanes, single=4, first=62)


@pytest.mark.parametrize(("L", "q"), [*SIZES, (67, 5), (1, 5), (2, 5)])
def test_many_sweeps_are_those_of_lane_after_lane(L, q):
    """The same draws from the same words; couplings of rounded float32 in both."""
    model = model_of(L, q, sigma=1.0)
    lanes = model.lanes(48, seed=4)
    start = model.random_state(lanes)
    state, E = swept(model, start, lanes, 60, 0)
    other, F = swept(in_rows(model), start, lanes, 60, 0)
    assert np.array_equal(state.x["s"], other.x["s"])
    np.testing.assert_allclose(E, F, rtol=2e-6, atol=1e-5)
    assert not state.work


@every_size
@pytest.mark.parametrize("clamped", [False, True])
def test_bits_of_a_lane_do_not_depend_on_the_other_lanes(L, q, clamped):
    """Three instances whose lanes interleave; held units."""
    model = model_of(L, q)
    assert_lanes_are_alone(model, model.lanes(150, seed=11, clamped=clamped))


def test_parts_and_tiles_change_no_bit(monkeypatch):
    """700 lanes: three parts of a tile, the last short; and tiles of 32, parts of 16."""
    model = model_of(6, 21, 1)
    lanes = model.lanes(700, seed=5)
    start = model.random_state(lanes)
    whole, E = swept(model, start, lanes, 3)
    monkeypatch.setattr(potts_emit, "LANES_OF_A_PART", 16)
    monkeypatch.setattr(potts_load, "LANES_OF_A_TILE", 32)
    state, kernels = start.copy(), GatherKernels(model.plan)
    assert np.array_equal(kernels.sweep(state, lanes, model.launch, 62, 3), E)
    assert np.array_equal(state.x["s"], whole.x["s"])


def test_threads_change_no_bit(monkeypatch):
    model = model_of(6, 21)
    assert_threads_change_nothing(model, model.lanes(150, seed=13), monkeypatch)


def test_sweeps_split_over_calls_have_the_bits_of_one():
    model = model_of(9, 5)
    lanes = model.lanes(20, seed=8)
    start = model.random_state(lanes)
    whole, E = swept(model, start, lanes, 11, 59)
    for begin, count in ((59, 4), (63, 1), (64, 6)):
        start, F = swept(model, start, lanes, count, begin)
    assert np.array_equal(E, F)
    assert np.array_equal(start.x["s"], whole.x["s"])


@pytest.mark.parametrize("q", [3, 5, 21, 32, 127])
def test_narrow_vectors_have_the_same_bits(q):
    """As on a processor whose registers hold four numbers; against a plain sum in this order."""
    rng = np.random.default_rng(q)
    padded, units, lanes = padded_states(q), 30, 16
    J = rng.normal(size=(units, q, padded)).astype(np.float32)
    S = rng.integers(0, q, (lanes, units)).astype(np.uint8)
    total = np.zeros((lanes, padded), np.float32)
    for j in range(3, units):
        total += J[j, S[:, j]]
    for widest in (4, 8, 16):
        F = potts_rows.rows_room(lanes, padded)
        potts_rows.gatherer(q, widest)(F, J, S, 3, 20)
        potts_rows.gatherer(q, widest)(F, J, S, 20, units)
        assert np.array_equal(F, total)


def test_functions_for_different_q_have_different_names():
    """Else cached code for one q may be linked where another is meant, see `factories`."""
    functions = [potts_rows.gatherer(q, widest) for q in (5, 9) for widest in (4, 8)]
    functions += [potts_draw.drawer(q) for q in (5, 9)]
    assert len({function.py_func.__qualname__ for function in functions}) == len(functions)


def test_rare_states_keep_their_probability():
    """Of 2^32 words as many decide for a state as its probability says, wherever it stands.

    A gap of 18 makes the others rare: 1.5e-8 each, below the rounding of a float32 sum.
    """
    q, width, gap = 5, 16, 18.0
    for common in range(q):
        F = np.zeros((width, padded_states(q)), np.float32)
        F[:, :q] = -gap
        F[:, common] = 0.0
        weight = np.where(np.arange(q) == common, 1.0, np.exp(-gap))
        edges = np.cumsum(weight)[:-1] / weight.sum() * 2.0**32
        for below, edge in enumerate(edges):
            words = (np.floor(edge) + np.array([-3, 3])).astype(np.int64).clip(0, 2**32 - 1)
            for word, expected in zip(words, (below, below + 1)):
                new, theta = np.empty(width, np.uint8), np.zeros((q, width), np.float32)
                each, ones = np.full(width, word, np.uint32), np.ones(width, np.float32)
                potts_draw.drawer(q)(new, F, theta, ones, each, np.empty((q, 16)))
                assert np.all(new == expected), (common, below, word)


@every_size
def test_draws_are_those_of_the_formula(L, q):
    """Random fields, bases, coefficients and words of every lane, against float64."""
    rng = np.random.default_rng(L)
    width = 32
    F = np.zeros((width, padded_states(q)), np.float32)
    F[:, :q] = rng.normal(size=(width, q))
    base = rng.normal(size=(q, width)).astype(np.float32)
    c = rng.normal(size=width).astype(np.float32)
    words = rng.integers(0, 2**32, width).astype(np.uint32)
    new = np.empty(width, np.uint8)
    theta = base.astype(np.float64) + c * F[:, :q].T.astype(np.float64)
    cumulative = np.cumsum(np.exp(theta), axis=0)
    target = (words + 0.5) * 2.0**-32 * cumulative[-1]
    potts_draw.drawer(q)(new, F, base, c, words, np.empty((q, 16)))
    assert np.array_equal(new, (cumulative <= target).sum(axis=0))


def test_rows_are_the_couplings():
    """Of every instance, aligned; and an update is a bind, bit by bit, in place."""
    model = model_of(6, 21)
    rows = model.launch.operands.arrays["J0_rows"]
    assert rows.ctypes.data % ALIGNMENT == 0
    assert np.array_equal(couplings(rows), in_rows(model).launch.operands.arrays["J0"])
    other = small("potts_machine", instances=3, seed=9, L=6, q=21).params
    update(model.launch.operands, model.plan, model.hamiltonian, other, ["J", "h"])
    assert model.launch.operands.arrays["J0_rows"] is rows
    new = bind(model.plan, model.hamiltonian, other)
    for name, values in model.launch.operands.arrays.items():
        assert np.array_equal(values, new.arrays[name]), name


def test_the_plan_chooses_by_lanes_states_and_method():
    plan = model_of(6, 5).plan
    rows = replace(plan, layout=Layout.ROWS)
    assert choose_layout(rows, GATHER_LANES).layout is Layout.GATHERS
    assert choose_layout(rows, GATHER_LANES - 1).layout is Layout.ROWS
    for method, q in (("metropolis", 5), ("heat-bath", 4), ("heat-bath", 128)):
        other = small("potts_machine", method, L=3, q=q)
        assert choose_layout(other.plan, 64).layout is Layout.ROWS


@pytest.mark.parametrize(
    ("name", "method"),
    [("sk", "heat-bath"), ("potts_2d", "heat-bath"), ("potts_machine", "metropolis")],
)
def test_other_plans_cannot_gather(name, method):
    plan = replace(small(name, method).plan, layout=Layout.GATHERS)
    with pytest.raises(LoweringError, match="gathers"):
        verify(plan)


def test_sweeps_beyond_the_counter_are_refused():
    model = model_of(9, 5)
    lanes = model.lanes(2)
    with pytest.raises(StudyError, match="2\\^32"):
        model.kernels().sweep(model.random_state(lanes), lanes, model.launch, 2**32 - 1, 2)

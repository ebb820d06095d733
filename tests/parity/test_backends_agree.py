"""The compiled backend has the bits of the reference, and no batching changes a bit.

The models, and what agreement means: `parity_cases`. Integer models run over many sweeps, float models
one sweep at a time from the reference's state.
"""

from dataclasses import replace

import numba
import numpy as np
import pytest
from parity_cases import (
    CASES,
    LANES,
    agree,
    assert_equal_bits,
    both_ways,
    build,
    every_case,
    every_model,
    is_integer,
)
from small_models import ZOO

from physebm.backends.base import Lanes, LaneState, launch
from physebm.lowering.operands import bind
from physebm.lowering.plan import REBUILD_EVERY, ClusterMove


def test_the_list_holds_integer_and_float_models_of_every_order():
    kinds = {is_integer(build(name, method)) for name, method in CASES}
    orders = {move.order for name in ZOO for move in build(name, "heat-bath").plan.moves}
    assert kinds == {True, False}
    assert len(orders) == 3


@every_case
def test_numba_agrees_with_the_reference(name, method):
    model = build(name, method)
    for lanes in both_ways(model, LANES):
        agree(model.kernels(), model, lanes)


@every_case
def test_held_units_stay_and_free_units_move(name, method):
    model = build(name, method)
    if any(isinstance(move, ClusterMove) for move in model.plan.moves):
        return
    lanes = model.lanes(LANES, seed=5, clamped=True)
    state = model.random_state(lanes)
    before = state.copy()
    kernels = model.kernels()
    kernels.prepare(state, lanes, model.launch)
    kernels.sweep(state, lanes, model.launch, 0, 5)
    moved = {group: state.x[group] != before.x[group] for group in state.x}
    assert all(not np.any(moved[group] & lanes.clamp[group]) for group in moved)
    assert any(np.any(each) for each in moved.values())


@every_model
def test_threads_change_no_bit(name):
    model = build(name, "heat-bath")
    lanes = model.lanes(LANES, seed=6)
    start, kernels = model.random_state(lanes), model.kernels()
    results = []
    threads = numba.get_num_threads()
    try:
        for count in (1, numba.config.NUMBA_NUM_THREADS):
            numba.set_num_threads(count)
            state = start.copy()
            kernels.prepare(state, lanes, model.launch)
            results.append((state, kernels.sweep(state, lanes, model.launch, 0, 9)))
    finally:
        numba.set_num_threads(threads)
    assert_equal_bits(results[0][0], results[1][0])
    assert np.array_equal(results[0][1], results[1][1])


@every_model
def test_lanes_split_over_two_calls_have_the_bits_of_one(name):
    model = build(name, "heat-bath")
    lanes = model.lanes(LANES, seed=7)
    whole, kernels = model.random_state(lanes), model.kernels()
    kernels.prepare(whole, lanes, model.launch)
    start = whole.copy()
    E = kernels.sweep(whole, lanes, model.launch, 0, 9)
    for part in (slice(0, 7), slice(7, LANES)):
        some = Lanes(*(a[part] for a in (lanes.instance, lanes.rung, lanes.walker, lanes.key)))
        state = cut(start, part)
        assert np.array_equal(kernels.sweep(state, some, model.launch, 0, 9), E[part])
        assert_equal_bits(state, cut(whole, part))


def cut(state: LaneState, part: slice) -> LaneState:
    return LaneState(
        {k: v[part].copy() for k, v in state.x.items()},
        {k: v[part].copy() for k, v in state.work.items()},
    )


@every_model
def test_sweeps_split_over_two_calls_have_the_bits_of_one(name):
    """Across a rebuild of running fields, and with them: they are part of the trajectory."""
    model = build(name, "heat-bath")
    lanes = model.lanes(LANES, seed=8)
    whole, kernels = model.random_state(lanes), model.kernels()
    kernels.prepare(whole, lanes, model.launch)
    split = whole.copy()
    first = REBUILD_EVERY - 5
    E = kernels.sweep(whole, lanes, model.launch, first, 11)
    for begin, count in ((first, 4), (first + 4, 1), (first + 5, 6)):
        F = kernels.sweep(split, lanes, model.launch, begin, count)
    assert np.array_equal(E, F)
    assert_equal_bits(whole, split)


@every_model
def test_an_instance_alone_has_the_bits_of_an_instance_in_a_stack(name):
    """Graphs of different realisations have other neighbours, degrees and colour lists."""
    model = build(name, "heat-bath", instances=3)
    lanes = model.lanes(LANES, seed=9)
    together, kernels = model.random_state(lanes), model.kernels()
    start = together.copy()
    kernels.prepare(together, lanes, model.launch)
    kernels.sweep(together, lanes, model.launch, 0, 6)
    for instance in range(model.params.instances):
        rows = lanes.instance == instance
        alone = Lanes(np.zeros(rows.sum()), lanes.rung[rows], lanes.walker[rows], lanes.key[rows])
        state = LaneState({k: v[rows] for k, v in start.x.items()})
        operands = bind(model.plan, model.hamiltonian, model.params.instance(instance))
        only = launch(model.plan, operands, model.launch.coefficients)
        kernels.prepare(state, alone, only)
        kernels.sweep(state, alone, only, 0, 6)
        assert_equal_bits(LaneState(state.x), LaneState({k: v[rows] for k, v in together.x.items()}))


def test_a_rung_is_its_coefficients_not_its_index():
    """The same temperature at another place of the table gives the same bits."""
    model = build("sk", "heat-bath")
    lanes = model.lanes(LANES, seed=10)
    turned = model.launch.coefficients.take([2, 0, 1])
    other = launch(model.plan, model.launch.operands, turned)
    moved = replace(lanes, rung=(lanes.rung + 1) % 3)
    a, b = model.random_state(lanes), model.random_state(lanes)
    kernels = model.kernels()
    for state, table, which in ((a, model.launch, lanes), (b, other, moved)):
        kernels.prepare(state, which, table)
        kernels.sweep(state, which, table, 0, 5)
    assert_equal_bits(a, b)


@pytest.mark.parametrize("backend", ["reference", "numba", "cuda-host"])
@pytest.mark.parametrize("name", ["ising_2d", "rbm", "potts_2d"])
def test_one_mask_may_hold_units_of_all_lanes(name, backend):
    model = build(name, "heat-bath")
    lanes = model.lanes(LANES, seed=5)
    start = model.random_state(lanes)
    masks = {g.name: np.arange(g.size)[None] % 3 == 0 for g in model.plan.groups}
    results = []
    for clamp in (masks, {group: np.repeat(m, LANES, axis=0) for group, m in masks.items()}):
        state, held = start.copy(), replace(lanes, clamp=clamp)
        kernels = model.kernels(backend)
        kernels.prepare(state, held, model.launch)
        kernels.sweep(state, held, model.launch, 0, 4)
        results.append(state)
    assert_equal_bits(*results)
    assert any(np.any(results[0].x[g] != start.x[g]) for g in start.x)

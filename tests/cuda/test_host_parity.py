"""Kernels of the CUDA backend, run on the host, have the bits of the reference.

As `tests/parity`, whose cases and tolerances these are: integer models over many sweeps, float models
one sweep at a time from the reference's state. Threads of a block run in a shuffled order.
"""

import numpy as np
import pytest
from host_kernels import kernels, needs_compiler
from parity_cases import (
    LANES,
    TEMPERATURES,
    agree,
    assert_equal_bits,
    both_ways,
    build,
    every_case,
)
from small_models import Small, loaded, small

from physebm.backends import base
from physebm.backends.base import LaneState
from physebm.lowering.operands import bind, update
from physebm.lowering.pipeline import Options, lower
from physebm.lowering.plan import Layout
from physebm.model.params import stack

pytestmark = needs_compiler


@every_case
def test_the_host_agrees_with_the_reference(name, method):
    model = build(name, method)
    for lanes in both_ways(model, LANES):
        agree(kernels(model.plan), model, lanes)


MANY = (
    ("ising_2d", Layout.PLANES),
    ("edwards_anderson_3d", Layout.PLANES),
    ("rbm", Layout.TILES),
    ("sk", Layout.VECTORS),
    ("hopfield", Layout.VECTORS),
    ("potts_machine", Layout.GATHERS),
)


@pytest.mark.parametrize(("name", "layout"), MANY)
def test_plans_of_many_lanes_run_as_well(name, layout):
    """Layouts say where the CPU has its lanes; bit planes and gathered rows bind every backend."""
    overrides = {"q": 5} if layout is Layout.GATHERS else {}
    model = loaded(name, tuple(overrides.items()))
    params = stack([model.params(0, realisation) for realisation in range(2)])
    plan = lower(model.hamiltonian, Options.of(params, "heat-bath", 4096))
    assert plan.layout is layout
    operands = bind(plan, model.hamiltonian, params)
    launch = base.launch(plan, operands, model.coefficients(list(TEMPERATURES)))
    many = Small(model, params, plan, launch)
    agree(kernels(plan), many, many.lanes(40, seed=2))


@pytest.mark.parametrize("threads", [1, 8, 128])
@pytest.mark.parametrize("name", ["ising_2d", "potts_2d", "p_spin", "rbm", "hopfield"])
def test_any_number_of_threads_of_a_block_agrees(name, threads):
    model = build(name, "heat-bath")
    agree(kernels(model.plan, threads), model, model.lanes(6, seed=8), sweeps=4)


@pytest.mark.parametrize("name", ["ising_2d", "sk", "hopfield", "rbm", "potts_machine"])
def test_sweeps_in_pieces_are_the_same_sweeps(name):
    """What stays on the device between calls, or is taken by someone, is what was swept."""
    model = build(name, "heat-bath")
    lanes = model.lanes(6, seed=9)
    start = model.random_state(lanes)
    whole, pieces, taken = start.copy(), start.copy(), start.copy()
    for state, cuts in ((whole, [8]), (pieces, [3, 3, 2]), (taken, [3, 3, 2])):
        compiled, first = kernels(model.plan), 60
        compiled.prepare(state, lanes, model.launch)
        for count in cuts:
            E = compiled.sweep(state, lanes, model.launch, first, count)
            first += count
            if state is taken:
                state.x = {group: x.copy() for group, x in state.x.items()}
        np.testing.assert_array_equal(E, compiled.energies(state, lanes, model.launch))
    assert_equal_bits(whole, pieces)
    assert_equal_bits(whole, taken)


def test_configurations_come_from_whoever_wrote_last():
    model = build("ising_2d", "heat-bath")
    lanes = model.lanes(4, seed=1)
    state, compiled = model.random_state(lanes), kernels(model.plan)
    compiled.sweep(state, lanes, model.launch, 0, 2)
    name = model.plan.groups[0].name
    state.x[name][:] = 1
    E = compiled.energies(state, lanes, model.launch)
    other = LaneState({name: np.ones_like(state.seen[name])})
    assert np.array_equal(E, model.kernels("reference").energies(other, lanes, model.launch))


def test_new_values_of_trained_arrays_reach_the_device():
    model = small("rbm", temperatures=(1.0,))
    lanes = model.lanes(4, seed=1)
    state, compiled = model.random_state(lanes), kernels(model.plan)
    before = compiled.energies(state, lanes, model.launch)
    params = model.params
    for name in params.arrays:
        params.arrays[name][...] *= 2.0
    update(model.launch.operands, model.plan, model.hamiltonian, params, list(params.arrays))
    np.testing.assert_allclose(
        compiled.energies(state, lanes, model.launch), 2.0 * before, rtol=1e-5, atol=1e-6
    )

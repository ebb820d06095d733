"""Models in the plans for many lanes, parts of lanes, and sweeps: what tests of layouts share."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numba
import numpy as np
from parity_cases import assert_equal_bits
from small_models import Small

import physebm
from physebm.backends.base import Lanes, LaneState, launch
from physebm.backends.numba_cpu import modules
from physebm.lowering.layout import choose_layout
from physebm.lowering.operands import bind
from physebm.lowering.plan import Layout, SweepPlan


def planned(model: Small, plan: SweepPlan) -> Small:
    """A model in another plan, its operands bound anew."""
    operands = bind(plan, model.hamiltonian, model.params)
    return replace(model, plan=plan, launch=launch(plan, operands, model.launch.coefficients))


def for_lanes(model: Small, lanes: int) -> Small:
    """A model in the layout that so many lanes of one instance have."""
    return planned(model, choose_layout(model.plan, lanes))


def in_rows(model: Small) -> Small:
    """A model swept lane after lane."""
    return planned(model, replace(model.plan, layout=Layout.ROWS))


def part_of(lanes: Lanes, which) -> Lanes:
    """Some of the lanes, held units included."""
    clamp = {group: held[which] for group, held in lanes.clamp.items()}
    return Lanes(*(a[which] for a in (lanes.instance, lanes.rung, lanes.walker, lanes.key)), clamp)


def swept(model: Small, state: LaneState, lanes: Lanes, sweeps: int = 5, first: int = 62):
    """A copy of a state after some sweeps, and its energies, which are those of its configurations.

    From sweep 62 on, running fields are rebuilt on the way.
    """
    state, kernels = state.copy(), model.kernels()
    kernels.prepare(state, lanes, model.launch)
    E = kernels.sweep(state, lanes, model.launch, first, sweeps)
    assert np.array_equal(E, kernels.energies(state, lanes, model.launch))
    return state, E


def assert_resumes(model: Small, lanes: Lanes) -> None:
    """Nine sweeps have the bits of four and five more."""
    kernels, whole = model.kernels(), model.random_state(lanes)
    parts = whole.copy()
    E = kernels.sweep(whole, lanes, model.launch, 0, 9)
    kernels.sweep(parts, lanes, model.launch, 0, 4)
    assert np.array_equal(kernels.sweep(parts, lanes, model.launch, 4, 5), E)
    assert_equal_bits(whole, parts)


def assert_lanes_are_alone(model: Small, lanes: Lanes) -> None:
    """Lanes permuted, dropped and single: no bit of states, energies and running fields changes."""
    start = model.random_state(lanes)
    whole, E = swept(model, start, lanes)
    order = np.random.default_rng(12).permutation(len(lanes))
    for which in (order, order[:97], order[:9], order[:1], np.arange(63, 66)):
        part = LaneState({group: x[which] for group, x in start.x.items()})
        alone, F = swept(model, part, part_of(lanes, which))
        assert np.array_equal(F, E[which])
        assert_equal_bits(
            alone,
            LaneState(*({k: x[which] for k, x in held.items()} for held in (whole.x, whole.work))),
        )


def assert_threads_change_nothing(model: Small, lanes: Lanes, monkeypatch) -> None:
    """Tiles are cut differently for each number of threads; small calls too take several here."""
    monkeypatch.setattr(modules, "SERIAL_UPDATES", 0)
    start, threads = model.random_state(lanes), numba.get_num_threads()
    results = []
    try:
        for count in (1, numba.config.NUMBA_NUM_THREADS):
            numba.set_num_threads(count)
            results.append(swept(model, start, lanes))
    finally:
        numba.set_num_threads(threads)
    assert np.array_equal(results[0][1], results[1][1])
    assert_equal_bits(results[0][0], results[1][0])


def loads_of_another_process(sample: str, functions: tuple[str, ...]) -> list[int]:
    """Functions loaded from the cache and functions compiled, in a process after this one.

    Parameters
    ----------
    sample
        An expression that compiles one module of kernels; `physebm` is imported.
    functions
        Names in that module.
    """
    code = (
        f"import physebm\nfrom physebm.backends.numba_cpu import modules\n{sample}\n"
        "(module,) = modules._modules.values()\n"
        f"stats = [getattr(module, name).stats for name in {functions!r}]\n"
        "print(sum(sum(each.cache_hits.values()) for each in stats))\n"
        "print(sum(sum(each.cache_misses.values()) for each in stats))\n"
    )
    eval(sample, {"physebm": physebm})
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return [int(word) for word in done.stdout.split()]

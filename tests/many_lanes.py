"""Models in the plans for many lanes, parts of lanes, and sweeps: what tests of layouts share."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from small_models import Small

from physebm.backends.base import Lanes, LaneState, launch
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


def loads_of_two_processes(sample: str, functions: tuple[str, ...], cache: Path) -> list[list[int]]:
    """Functions loaded from the cache and functions compiled, in each of two processes.

    Parameters
    ----------
    sample
        Code that compiles one module of kernels; `physebm` is imported.
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
    counts = []
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True, text=True, check=True,
            env={**os.environ, "PHYSEBM_CACHE": str(cache)},
        )  # fmt: skip
        counts.append([int(word) for word in done.stdout.split()])
    return counts

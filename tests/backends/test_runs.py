"""Runs of sixteen units: the tables say where neighbours are, and the bits are the reference's.

Lattices wide enough for runs, with wraps that break them, open edges, several colours, weights, graphs
without any run, held units, and temperatures at which thresholds are 0 and 2^32.
"""

import numpy as np
import pytest
from small_models import small

from physebm.backends.base import LaneState
from physebm.backends.numba_cpu.runs.places import reachable
from physebm.backends.runs.graph import RUN, is_in_runs, neighbour_runs

CASES = {
    "ising_2d": {"L": 32, "h": 0.3},
    "ising_chain": {"L": 70},
    "ising_triangular": {"L": 36},
    "ising_3d": {"L": 33},
    "edwards_anderson_2d": {"L": 40},
    "random_regular_spin_glass": {"N": 300},
}


@pytest.mark.parametrize("method", ["heat-bath", "metropolis", "zero-temperature"])
@pytest.mark.parametrize("clamped", [False, True], ids=["free", "held"])
@pytest.mark.parametrize("name", CASES)
def test_equal_bits(name, clamped, method):
    model = small(name, method, (0.01, 2.0, 50.0), 2, **CASES[name])
    assert is_in_runs(model.plan)
    lanes = model.lanes(6, seed=1, clamped=clamped)
    a = model.random_state(lanes)
    b = LaneState({group: x.copy() for group, x in a.x.items()})
    sweeps = 1 if model.plan.groups[0].size > 10_000 else 4
    E = model.kernels().sweep(a, lanes, model.launch, 5, sweeps)
    F = model.kernels("reference").sweep(b, lanes, model.launch, 5, sweeps)
    assert all(np.array_equal(a.x[group], b.x[group]) for group in a.x)
    assert np.array_equal(E, F)


@pytest.mark.parametrize("name", CASES)
def test_every_place_is_that_of_the_neighbour(name):
    model = small(name, **CASES[name])
    arrays = model.launch.operands.arrays
    order, n = arrays["order0"][0], arrays["n0"][0]
    run, place = neighbour_runs(order, n)
    unit_at = np.append(order, -1)
    for p in np.flatnonzero(order >= 0):
        for d in range(n.shape[1]):
            start = run[p // RUN, d]
            there = start + p % RUN if start >= 0 else place[-1 - start + p % RUN]
            assert unit_at[there] == n[order[p], d]
    share = np.mean(run >= 0)
    assert (share > 0.4) == (name not in ("random_regular_spin_glass",)), share


def test_fields_that_can_be_met():
    """Degree 4 with a uniform field: five of 27 tuples; without parity where degrees differ."""
    model = small("ising_2d", L=6, h=0.3)
    met = reachable(model.plan, model.launch.operands)
    assert len(met) == 27
    assert np.flatnonzero(met).tolist() == [3 * (s + 4) + 2 for s in (-4, -2, 0, 2, 4)]

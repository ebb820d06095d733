"""Exchanges on the device are those of `sampling.tempering`, bit for bit for integer models."""

import numpy as np
import pytest
from host_kernels import elementwise, kernels, needs_compiler
from parity_cases import assert_equal_bits, build

from physebm.backends.base import Lanes
from physebm.rng.portable import exp_of_negative
from physebm.sampling.chain import PlanSampler
from physebm.sampling.tempering import STATISTICS, Ladders, ParallelTempering

pytestmark = needs_compiler

# two samples of disorder; ladders of three rungs, of two and of one
ROWS = ([0, 1, 2], [2, 0], [1], [0, 2, 1])
INSTANCE = (0, 0, 1, 1)


def tempered(model, compiled, every):
    """A sampler of four ladders, and its walkers at the start."""
    length = [len(rows) for rows in ROWS]
    instance = np.repeat(INSTANCE, length)
    key = np.array([[7, 9]] * len(ROWS))
    ladders = Ladders.of([np.array(rows) for rows in ROWS], key, np.arange(4))
    walkers = sum(length)
    lanes = Lanes(instance, ladders.row, np.arange(walkers), np.ones((walkers, 2)))
    sampler = ParallelTempering(
        PlanSampler(compiled, model.launch), ladders, model.launch.coefficients, every
    )
    return sampler, sampler.init(model.random_state(lanes), lanes)


@pytest.mark.parametrize("every", [1, 3])
@pytest.mark.parametrize("name", ["ising_2d", "edwards_anderson_3d", "random_regular_spin_glass"])
def test_rounds_on_the_device_are_rounds_on_the_host(name, every):
    model = build(name, "heat-bath")
    host, a = tempered(model, model.kernels("reference"), every)
    device, b = tempered(model, kernels(model.plan), every)
    assert device.inner.exchanges and not host.inner.exchanges
    for sweeps in (9, 2, 4, 50 * every):  # begins and ends within a round
        a, b = host.step(a, sweeps), device.step(b, sweeps)
        assert a.sweep == b.sweep
        assert np.array_equal(a.energies, b.energies)
        assert np.array_equal(a.lanes.rung, b.lanes.rung)
        for statistic in STATISTICS:
            assert np.array_equal(getattr(a, statistic), getattr(b, statistic)), statistic
    assert_equal_bits(a.configurations, b.configurations)
    assert a.exchanged.sum() > 0 and a.trips.sum() > 0


def test_the_exponential_of_the_device_has_the_bits_of_the_host():
    x = -np.concatenate([np.geomspace(1e-20, 800.0, 5000), [0.0, np.inf]])
    got = elementwise("exp_of_negative(p.a[i])", x)
    assert np.array_equal(got.view(np.uint64), exp_of_negative(x).view(np.uint64))

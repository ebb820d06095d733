"""Machines of two-state units whose training stays on a device, and the same through the processor."""

from __future__ import annotations

import numpy as np
import pytest

from physebm.backends.cuda.host_device import HostDevice
from physebm.backends.cuda.rooms import kernels_of
from physebm.learning.chains import ChainOptions
from physebm.learning.optimisers import Optimiser, Schedule
from physebm.learning.recipe import Problem, Recipe
from physebm.learning.train import Trainer
from physebm.study.models import load_model

UNITS, HIDDEN, SAMPLES = 19, 17, 40


class On:
    """The CUDA backend on a given device."""

    name = "cuda"

    def __init__(self, device):
        self.device = device

    def compile(self, plan):
        return kernels_of(plan, self.device)


def trainer_of(
    model="rbm", device=None, samples=SAMPLES, units=UNITS, hidden=HIDDEN, backend=None, **choices
):
    rng = np.random.default_rng(2)
    loaded = load_model(model, Nv=units, Nh=hidden)
    group = loaded.hamiltonian.groups[0]
    low = group.prior.states[0]
    found = np.where(rng.random((samples, units)) < 0.3, 1, low).astype(np.int8)
    method = choices.pop("method", "pcd")
    recipe = Recipe(
        method=method,
        updates=20,
        batch=choices.pop("batch", 18),
        chains=ChainOptions(method, 1, choices.pop("chains", 12), rungs=3),
        rate=choices.pop("rate", Schedule(0.05)),
        **choices,
    )
    weights = np.full(samples, 1.0 / samples)
    problem = Problem(
        loaded.hamiltonian, loaded.params(1), loaded.coefficients([1.0]), {group.name: found}, weights
    )
    trainer = Trainer(problem, recipe, backend or On(device or HostDevice(8)), 3)
    assert trainer._device is not None and trainer.phases.machine is not None
    return trainer


def through_the_host(**choices):
    """The same chains on the device, but updates by the processor."""
    trainer = trainer_of(**choices)
    trainer._device = None
    return trainer


def assert_same_bits(a, b):
    for slot in a.slots:
        assert np.array_equal(a.params.arrays[slot], b.params.arrays[slot]), slot


def assert_near(device, host, tolerance=1e-6):
    for slot in device.slots:
        for held in ("params", "previous"):
            np.testing.assert_allclose(
                getattr(device, held).arrays[slot],
                getattr(host, held).arrays[slot],
                atol=tolerance,
                err_msg=f"{held} {slot}",
            )
    assert device.info.gradient_norm == pytest.approx(host.info.gradient_norm, rel=1e-4)
    assert device.info.rate == host.info.rate
    assert set(device.phases.offsets) == set(host.phases.offsets)
    for group, mu in device.phases.offsets.items():
        np.testing.assert_allclose(mu, host.phases.offsets[group], atol=1e-6)


# Adam divides by the size of a gradient, be it rounding alone; here by 0.01 at least
ADAM = Optimiser("adam", epsilon=1e-2)
CASES = {
    "plain": {},
    "centred": {"centred": True},
    "ising": {"centred": True, "model": "rbm_ising_hidden"},
    "all data": {"centred": True, "batch": None},
    "tempered": {"centred": True, "method": "pt", "chains": 6},
    "from random starts": {"method": "rdm"},
    "momentum": {"centred": True, "optimiser": Optimiser("momentum")},
    "adam": {"centred": True, "optimiser": ADAM},
    "plain adam": {"optimiser": ADAM},
    "clipped": {"centred": True, "clip": 0.1},
    "penalised": {"centred": True, "l2": {"W": 0.1, "a": 0.2}, "l1": {"W": 0.01, "b": 0.02}},
    "plain and penalised": {"l2": {"W": 0.1}, "l1": {"a": 0.02}},
    "falling rate": {"rate": Schedule(0.05, 0.01, "linear")},
}

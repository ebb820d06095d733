"""Trainings that stay on a real device: products, updates as the host has them, the same bits twice."""

import numpy as np
import pytest
from resident_machines import CASES, assert_near, assert_same_bits, through_the_host, trainer_of

from physebm.backends.cuda.backend import device


@pytest.mark.parametrize("transposed", [False, True])
def test_products_are_those_of_matrices_in_single_precision(transposed):
    rng = np.random.default_rng(1)
    a, b = (
        rng.normal(size=(1024, 784)).astype(np.float32),
        rng.normal(size=(784, 500)).astype(np.float32),
    )
    there = device()
    out = there.room((1024, 500), np.float32)
    first = there.upload(np.ascontiguousarray(a.T) if transposed else a)
    there.matmul(first, there.upload(b), out, transposed)
    # TF32 would be off by some 0.05
    np.testing.assert_allclose(there.download(out), a.astype(float) @ b, atol=2e-3)


@pytest.mark.parametrize("case", CASES)
def test_updates_on_the_device_are_those_of_the_host(case):
    choices = CASES[case] | {"device": device()}
    on, by_host = trainer_of(**choices), through_the_host(**choices)
    on.run(20)
    by_host.run(20)
    assert_near(on, by_host, 1e-5)


def test_a_machine_of_784_x_500_units_is_trained_with_the_same_bits_twice():
    choices = {"units": 784, "hidden": 500, "samples": 2000, "batch": 500, "chains": 500}
    first, second = (trainer_of(device=device(), centred=True, **choices) for _ in range(2))
    first.run(50)
    second.run(20)
    second.checkpoint()
    second.run(50)
    assert_same_bits(first, second)

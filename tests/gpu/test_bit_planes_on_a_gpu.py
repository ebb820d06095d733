"""Bit-sliced kernels on a real device: the bits of the reference by either module, at real sizes."""

import numpy as np
import pytest
from plane_models import CASES, Model, of

from physebm.backends import reference
from physebm.backends.cuda.backend import device
from physebm.backends.cuda.planes.load import PlanesKernels

BOTH = pytest.mark.parametrize("whole", [True, False], ids=["whole", "parts"])


def agree(model: Model, whole: bool, count: int, sweeps: int) -> None:
    lanes = model.lanes(count)
    a, b = model.random_state(lanes), model.random_state(lanes)
    E = PlanesKernels(model.plan, device(), whole).sweep(a, lanes, model.launch, 0, sweeps)
    F = reference.compile(model.plan).sweep(b, lanes, model.launch, 0, sweeps)
    assert np.array_equal(a.x[model.name], b.x[model.name])
    assert np.array_equal(E, F)


@BOTH
@pytest.mark.parametrize("case", CASES)
def test_every_kind_of_field_and_graph(case, whole):
    agree(of(case), whole, 200, 20)


@BOTH
@pytest.mark.parametrize(
    ("name", "L"), [("ising_2d", 64), ("ising_2d", 150), ("edwards_anderson_3d", 16)]
)
def test_lattices_of_many_warps_and_much_shared_memory(name, L, whole):
    agree(Model(name, {"L": L}, instances=2), whole, 40, 3)


def test_a_lattice_of_many_blocks():
    agree(Model("ising_2d", {"L": 700}), None, 4, 2)

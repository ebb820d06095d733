"""Bit-sliced kernels on a real device: the bits of the reference by either module, at real sizes."""

import pytest
from plane_claims import agree
from plane_models import CASES, Model, of

from physebm.backends.cuda.backend import device
from physebm.backends.cuda.planes.load import PlanesKernels

BOTH = pytest.mark.parametrize("whole", [True, False], ids=["whole", "parts"])


def check(model: Model, whole: bool | None, count: int, sweeps: int) -> None:
    agree(PlanesKernels(model.plan, device(), whole), model, (count,), sweeps, first=0)


@BOTH
@pytest.mark.parametrize("case", CASES)
def test_every_kind_of_field_and_graph(case, whole):
    check(of(case), whole, 200, 20)


@BOTH
@pytest.mark.parametrize(
    ("name", "L"), [("ising_2d", 64), ("ising_2d", 150), ("edwards_anderson_3d", 16)]
)
def test_lattices_of_many_warps_and_much_shared_memory(name, L, whole):
    check(Model(name, {"L": L}, instances=2), whole, 40, 3)


def test_a_lattice_of_many_blocks():
    check(Model("ising_2d", {"L": 700}), None, 4, 2)

"""Every room once with the numbers of an H200: 128 threads in a block, 132 multiprocessors."""

import numpy as np
import pytest
import run_lattices
from host_kernels import needs_compiler
from many_lanes import for_lanes
from plane_models import Model
from small_models import Small, small

from physebm.backends import reference
from physebm.backends.cuda.dense.load import DenseKernels
from physebm.backends.cuda.host_device import HostDevice
from physebm.backends.cuda.lattice.load import RunsKernels
from physebm.backends.cuda.planes.load import PlanesKernels
from physebm.backends.cuda.potts.load import GatherKernels
from physebm.backends.cuda.rooms import kernels_of
from physebm.backends.cuda.tiles.load import TileKernels


def many(name: str, **parameters) -> Small:
    return for_lanes(small(name, "heat-bath", (0.8, 1.5, 3.0), 2, **parameters), 64)


# kernels that sizes choose, a model, and for lattices whether a block has a whole one
ROOMS = {
    "planes, whole": (PlanesKernels, lambda: Model("edwards_anderson_3d", {"L": 6}), True),
    "planes, parts": (PlanesKernels, lambda: Model("edwards_anderson_3d", {"L": 6}), False),
    "runs, whole": (RunsKernels, lambda: run_lattices.of("square"), True),
    "runs, parts": (RunsKernels, lambda: run_lattices.of("square"), False),
    "tiles": (TileKernels, lambda: many("rbm", Nv=150, Nh=70), None),
    "dense": (DenseKernels, lambda: many("sk", N=101), None),
    "gathers": (GatherKernels, lambda: many("potts_machine", L=6, q=21), None),
}


@needs_compiler
@pytest.mark.parametrize("room", ROOMS)
def test_a_card_of_this_size_has_the_states_of_the_reference(room):
    """Equal draws: pinned words, none within float32 of its bound."""
    made, build, whole = ROOMS[room]
    model, device = build(), HostDevice(128, 1, 132)
    ours, definition = kernels_of(model.plan, device), reference.compile(model.plan)
    assert type(ours) is made
    if whole is not None:
        ours = made(model.plan, device, whole)
    lanes = model.lanes(21, seed=3)
    a, b = model.random_state(lanes), model.random_state(lanes)
    for kernels, state in ((ours, a), (definition, b)):
        kernels.prepare(state, lanes, model.launch)
    E = ours.sweep(a, lanes, model.launch, 5, 2)
    F = definition.sweep(b, lanes, model.launch, 5, 2)
    for group in model.plan.groups:
        assert np.array_equal(a.x[group.name], b.x[group.name])
    np.testing.assert_allclose(E, F, rtol=2e-6, atol=1e-5)

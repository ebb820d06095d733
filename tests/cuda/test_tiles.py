"""Kernels for tiles of lanes, run on the host: the reference's states, whatever the tile.

Models and tolerances as in `parity_cases`; shapes of tiles are forced, which on a device follow the
lanes of a call.
"""

import numpy as np
import pytest
from host_kernels import needs_compiler
from parity_cases import assert_defined_energies, assert_same, build
from small_models import ZOO, Small

from physebm.backends.cuda.host_device import HostDevice
from physebm.backends.cuda.tiles import load
from physebm.backends.cuda.tiles.load import TileKernels
from physebm.backends.cuda.tiles.reads import Shape, is_tiled

pytestmark = needs_compiler

TILED = [name for name in ZOO if is_tiled(build(name, "heat-bath").plan)]
CASES = [(name, "heat-bath") for name in TILED] + [("rbm_potts_hidden", "metropolis")]


def kernels(model: Small, shape: Shape, monkeypatch, seed: int = 1) -> TileKernels:
    monkeypatch.setattr(load, "shape_for", lambda plan, instance, multiprocessors, tensor: shape)
    return TileKernels(model.plan, HostDevice(seed=seed, tensor_cores=shape.tensor))


def test_the_models_with_products_are_tiled():
    assert len(TILED) == 9
    assert not is_tiled(build("sk", "heat-bath").plan)


@pytest.mark.parametrize("shape", [Shape(3, 1), Shape(2, 1, tensor=True)])
@pytest.mark.parametrize(("name", "method"), CASES)
def test_tiles_agree_with_the_reference(name, method, shape, monkeypatch):
    """Two instances and three rungs; then a third of the units held."""
    model = build(name, method)
    for clamped in (False, True):
        lanes = model.lanes(27, seed=3, clamped=clamped)
        agree(model, lanes, kernels(model, shape, monkeypatch), sweeps=3)


def agree(model: Small, lanes, compiled: TileKernels, sweeps: int) -> None:
    reference, a = model.kernels("reference"), model.random_state(lanes)
    b = a.copy()
    compiled.prepare(a, lanes, model.launch)
    for sweep in range(sweeps):
        a.x = {group: x.copy() for group, x in b.x.items()}
        E = compiled.sweep(a, lanes, model.launch, sweep, 1)
        F = reference.sweep(b, lanes, model.launch, sweep, 1)
        assert_same(a, b, model)
        np.testing.assert_allclose(E, F, rtol=2e-6, atol=1e-5)
        assert_defined_energies(E, a, lanes, model, exact=False)
        np.testing.assert_array_equal(E, compiled.energies(a, lanes, model.launch))

"""Trained arrays change in place: kernels follow, whatever they have made of the old values.

Every plan of the zoo that has arrays, for few chains and for many, after `operands.update` against
kernels that never saw the old values.
"""

import numpy as np
import pytest
from small_models import ZOO, Small, loaded

from physebm.backends import base
from physebm.backends.cuda.host_device import compiler
from physebm.lowering.operands import bind, update
from physebm.lowering.pipeline import Options, lower
from physebm.lowering.plan import REBUILD_EVERY
from physebm.model.params import Params

CHAINS = 48


def instance(name: str, chains: int, scale: float) -> tuple[Small, tuple[str, ...]]:
    """A model whose arrays are `scale` times those of its law, and the arrays that can change."""
    model = loaded(name)
    params = model.params(0)
    params = params.with_arrays(**{k: scale * x for k, x in params.arrays.items()})
    slots = tuple(params.arrays)
    plan = lower(model.hamiltonian, Options.of(params, "heat-bath", chains, changing=slots))
    bound = bind(plan, model.hamiltonian, params)
    return Small(model, params, plan, base.launch(plan, bound, model.coefficients([1.3]))), slots


def copied(params: Params) -> Params:
    return params.with_arrays(**{k: x.copy() for k, x in params.arrays.items()})


no_compiler = pytest.mark.skipif(not compiler(), reason="no C++ compiler on this machine")
BACKENDS = ["numba", pytest.param("cuda-host", marks=no_compiler)]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("chains", [1, CHAINS, 4096])
@pytest.mark.parametrize("name", [name for name in ZOO if loaded(name).params(0).arrays])
def test_kernels_follow_new_values(name, chains, backend):
    old, slots = instance(name, chains, 0.5)
    new, _ = instance(name, chains, 1.0)
    assert old.plan == new.plan
    lanes = new.lanes(CHAINS, seed=4)
    a = new.random_state(lanes)
    b = a.copy()
    kernels = old.kernels(backend)
    kernels.prepare(a, lanes, old.launch)
    kernels.sweep(a, lanes, old.launch, 0, 2)
    a.x = {group: x.copy() for group, x in b.x.items()}
    update(old.launch.operands, old.plan, old.hamiltonian, copied(new.params), slots)
    results = []
    for state, each in ((a, old), (b, new)):
        kernels = kernels if state is a else each.kernels(backend)
        kernels.prepare(state, lanes, each.launch)
        results.append(kernels.sweep(state, lanes, each.launch, REBUILD_EVERY - 2, 5))
    assert np.array_equal(*results)
    for group in a.x:
        assert np.array_equal(a.x[group], b.x[group])

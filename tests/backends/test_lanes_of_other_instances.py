"""Lane tables that are changed in place: tiles follow the values, not the array."""

import numpy as np
import pytest
from small_models import Small, loaded

from physebm.backends import base
from physebm.backends.cuda.host_device import compiler
from physebm.lowering.operands import bind
from physebm.lowering.pipeline import Options, lower
from physebm.model.params import stack

no_compiler = pytest.mark.skipif(not compiler(), reason="no C++ compiler on this machine")


@pytest.mark.parametrize("backend", ["numba", pytest.param("cuda-host", marks=no_compiler)])
@pytest.mark.parametrize("name", ["sk", "rbm", "potts_machine", "hopfield"])
def test_instances_may_change_in_place(name, backend):
    model = loaded(name)
    params = stack([model.params(0, realisation) for realisation in range(2)])
    plan = lower(model.hamiltonian, Options.of(params, "heat-bath", 4096))
    operands = bind(plan, model.hamiltonian, params)
    small = Small(model, params, plan, base.launch(plan, operands, model.coefficients([1.0, 2.0])))
    lanes = small.lanes(32, seed=1)
    kernels, fresh = small.kernels(backend), small.kernels(backend)
    a = small.random_state(lanes)
    b = a.copy()
    kernels.prepare(a, lanes, small.launch)
    kernels.energies(a, lanes, small.launch)
    lanes.instance[:] = 1 - lanes.instance
    lanes.instance[:5] = 1
    kernels.prepare(a, lanes, small.launch)
    fresh.prepare(b, lanes, small.launch)
    E = [k.sweep(s, lanes, small.launch, 0, 3) for k, s in ((kernels, a), (fresh, b))]
    assert np.array_equal(*E)

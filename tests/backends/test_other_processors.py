"""Every layout of lanes on a processor without wide vectors: the decisions are those of the reference.

The kernels are compiled for a plain 64-bit processor (SSE2, no fused multiply-add) in a process of
their own; vectors of sixteen numbers are split there, and products are rounded before they are added.
"""

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
import numpy as np
from dataclasses import replace
from small_models import small
from physebm.backends.base import LaneState, launch
from physebm.lowering.operands import bind
from physebm.lowering.pipeline import Options, lower

for name, parameters in {cases}.items():
    model = small(name, "heat-bath", (0.8, 2.0), 2, **parameters)
    plan = lower(model.hamiltonian, Options.of(model.params, lanes=64))
    operands = bind(plan, model.hamiltonian, model.params)
    model = replace(model, plan=plan, launch=launch(plan, operands, model.launch.coefficients))
    lanes = model.lanes(40, seed=1)
    state = model.random_state(lanes)
    other = LaneState({{group: x.copy() for group, x in state.x.items()}})
    kernels, reference = model.kernels(), model.kernels("reference")
    kernels.prepare(state, lanes, model.launch)
    for sweep in range(2):
        E = kernels.sweep(state, lanes, model.launch, sweep, 1)
        F = reference.sweep(other, lanes, model.launch, sweep, 1)
        np.testing.assert_allclose(E, F, rtol=1e-5, atol=1e-4)
    same = all(
        np.array_equal(x, other.x[group])
        if x.dtype.kind == "i"
        else np.allclose(x, other.x[group], rtol=1e-4, atol=1e-4)
        for group, x in state.x.items()
    )
    print(plan.layout, name, same)
"""
CASES = {
    "ising_2d": {"L": 6},
    "edwards_anderson_3d_gaussian": {"L": 4},
    "sk": {"N": 37},
    "hopfield": {"N": 40, "P": 3},
    "rbm": {"Nv": 20, "Nh": 12},
    "rbm_truncated_gaussian_hidden": {"Nv": 20, "Nh": 12},
    "potts_machine": {},
}


@pytest.mark.slow
@pytest.mark.skipif(platform.machine() != "x86_64", reason="names an x86-64 processor")
def test_without_wide_vectors(tmp_path):
    environment = {
        **os.environ,
        "NUMBA_CPU_NAME": "x86-64",
        "NUMBA_CPU_FEATURES": "+sse2",
        "PHYSEBM_CACHE": str(tmp_path),
        "PYTHONPATH": str(Path(__file__).parents[1]),
    }
    command = [sys.executable, "-c", CODE.format(cases=repr(CASES))]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.split("\n")[:-1]
    assert len(lines) == len(CASES) and all(line.endswith("True") for line in lines), lines
    layouts = {line.split()[0] for line in lines}
    assert layouts >= {"planes", "vectors", "tiles"}, layouts

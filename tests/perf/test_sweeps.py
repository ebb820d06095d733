"""Spin updates per nanosecond of four plans beside a plain numba loop; no assertion on time.

Run: ``python -m pytest tests/perf --override-ini addopts= -s``. Both run on one thread and 32 chains
at equilibrium; a row says what was measured and the ratio of medians, from interleaved rounds.
"""

import time

import numba
import numpy as np
import plain_loops
import pytest

from physebm.backends.base import Lanes, launch
from physebm.backends.select import select
from physebm.lowering.operands import bind
from physebm.lowering.pipeline import Options, lower
from physebm.sampling import initial
from physebm.sampling.chain import PlanSampler
from physebm.study.models import load_model

CHAINS = 32
CASES = {
    "ising_2d L=256": ("ising_2d", {"L": 256}, 2.5, 8),
    "edwards_anderson_3d L=12": ("edwards_anderson_3d", {"L": 12}, 1.2, 40),
    "sk N=1024": ("sk", {"N": 1024}, 1.0, 16),
    "hopfield N=1024, P=51": ("hopfield", {"N": 1024, "alpha": 0.05}, 0.5, 16),
}


def _ours(name, parameters, temperature):
    model = load_model(name, **parameters)
    params = model.params(seed=1)
    plan = lower(model.hamiltonian, Options.of(params, lanes=CHAINS))
    operands = bind(plan, model.hamiltonian, params)
    sampler = PlanSampler(
        select("numba").compile(plan), launch(plan, operands, model.coefficients([temperature]))
    )
    zero = np.zeros(CHAINS, dtype=int)
    lanes = Lanes(zero, zero, np.arange(CHAINS), np.ones((CHAINS, 2)))
    x = initial.empty(plan, CHAINS)
    for g, group in enumerate(plan.groups):
        x.x[group.name][:] = initial.random(plan, lanes, g, np.arange(CHAINS))
    return model, params, sampler, sampler.init(x, lanes)


def _plain(name, model, params, temperature):
    """A function of the number of sweeps that advances 32 chains with the plain loop."""
    rng = np.random.default_rng(0)
    group = model.hamiltonian.groups[0]
    s = rng.choice(np.array([-1, 1]), (CHAINS, *group.shape))
    beta = 1 / temperature
    if name == "ising_2d":
        table = 1 / (1 + np.exp(-2 * beta * np.arange(-4, 5, 2)))
        return lambda n: [plain_loops.ising_2d(c, table) for _ in range(n) for c in s]
    if name == "edwards_anderson_3d":
        table = 1 / (1 + np.exp(-2 * beta * np.arange(-6, 7, 2)))
        J = params.arrays["J"][0].astype(np.int64)
        return lambda n: [plain_loops.edwards_anderson_3d(c, J, table) for _ in range(n) for c in s]
    if name == "sk":
        J = params.arrays["J"][0]
    else:
        xi = params.arrays["xi"][0].astype(float)
        J = xi.T @ xi / group.size
        np.fill_diagonal(J, 0)
    h = s @ J
    return lambda n: [plain_loops.dense(c, J, f, beta) for _ in range(n) for c, f in zip(s, h)]


@pytest.mark.parametrize("case", list(CASES))
def test_spin_updates_per_nanosecond(case, benchmark):
    name, parameters, temperature, sweeps = CASES[case]
    threads = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        model, params, sampler, state = _ours(name, parameters, temperature)
        plain = _plain(name, model, params, temperature)
        state = sampler.step(state, 20)
        plain(20)
        updates = CHAINS * model.hamiltonian.counted_units * sweeps
        ours, theirs = [], []

        def both():
            nonlocal state
            start = time.perf_counter()
            state = sampler.step(state, sweeps)
            middle = time.perf_counter()
            plain(sweeps)
            ours.append(updates / (middle - start) / 1e9)
            theirs.append(updates / (time.perf_counter() - middle) / 1e9)

        benchmark.pedantic(both, rounds=7, iterations=1, warmup_rounds=1)
    finally:
        numba.set_num_threads(threads)
    a, b = np.median(ours), np.median(theirs)
    benchmark.extra_info["updates_per_ns"] = a
    print(f"\n{case:<26} physebm {a:.4f}/ns   plain numba loop {b:.4f}/ns   ratio {a / b:.2f}")

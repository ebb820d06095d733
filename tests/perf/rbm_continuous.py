"""Milliseconds per sweep of block Gibbs with Gaussian and truncated Gaussian hidden units.

Run: ``python tests/perf/rbm_continuous.py [--chains 1000] [--rounds 7]``. 784 two-state visible and 500
hidden units, on as many threads as numba has; beside the same sweep written with numpy and scipy in
single precision. Medians of interleaved rounds of 5 sweeps.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numba
import numpy as np
from scipy.special import expit, ndtr, ndtri
from threadpoolctl import threadpool_limits

from physebm.backends.base import Lanes, launch
from physebm.backends.select import select
from physebm.lowering.operands import bind
from physebm.lowering.pipeline import Options, lower
from physebm.sampling import initial
from physebm.study.models import load_model

NV, NH, SWEEPS, SIGMA = 784, 500, 5, 0.02
MODELS = ("rbm_gaussian_hidden", "rbm_truncated_gaussian_hidden")


def physebm_sweeps(name: str, chains: int) -> Callable[[], None]:
    model = load_model(name, Nv=NV, Nh=NH, sigma=SIGMA)
    plan = lower(model.hamiltonian, Options(lanes=chains))
    kernels = select("numba").compile(plan)
    operands = bind(plan, model.hamiltonian, model.params(seed=1))
    bound = launch(plan, operands, model.coefficients([1.0]))
    zero = np.zeros(chains, dtype=int)
    lanes = Lanes(zero, zero, np.arange(chains), np.ones((chains, 2)))
    state, done = initial.empty(plan, chains), 0
    for g, group in enumerate(plan.groups):
        state.x[group.name][:] = initial.random(plan, lanes, g, np.arange(chains))

    def run():
        nonlocal done
        kernels.sweep(state, lanes, bound, done, SWEEPS)
        done += SWEEPS

    return run


def numpy_sweeps(name: str, chains: int) -> Callable[[], None]:
    rng = np.random.default_rng(0)
    W = rng.normal(0, SIGMA, (NV, NH)).astype(np.float32)
    v = (rng.random((chains, NV)) < 0.3).astype(np.float32)

    def run():
        nonlocal v
        for _ in range(SWEEPS):
            mean = v @ W
            if "truncated" in name:
                u = rng.random(mean.shape, dtype=np.float32)
                h = mean - ndtri(u * ndtr(mean))
            else:
                h = mean + rng.standard_normal(mean.shape, dtype=np.float32)
            p = expit(h @ W.T)
            v = (rng.random(p.shape, dtype=np.float32) < p).astype(np.float32)

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--chains", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args()
    threads = numba.config.NUMBA_NUM_THREADS
    for name in MODELS:
        runs = {
            "physebm": physebm_sweeps(name, given.chains),
            "numpy": numpy_sweeps(name, given.chains),
        }
        times: dict[str, list[float]] = {each: [] for each in runs}
        with threadpool_limits(threads, user_api="blas"):
            for _ in range(given.rounds + 1):
                for each, run in runs.items():
                    start = time.perf_counter()
                    run()
                    times[each].append((time.perf_counter() - start) / SWEEPS * 1e3)
        ours, theirs = (np.median(times[each][1:]) for each in ("physebm", "numpy"))
        print(
            f"{name}, {given.chains} chains, {threads} threads: physebm {ours:.2f} ms, "
            f"numpy {theirs:.2f} ms per sweep, {theirs / ours:.2f} x as fast"
        )


if __name__ == "__main__":
    main()

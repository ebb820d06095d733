"""Unit updates per nanosecond of block Gibbs on a 784 x 500 binary RBM, beside numpy and `rbms`.

Run: ``python tests/perf/rbm_sweeps.py [--chains 500 1000] [--threads 1 2]``. Each line gives medians of
interleaved rounds of 10 sweeps. `rbms` (torch; ``pip install rbms``) is timed where it can be imported.

The floor of a sweep is the time of its two matrix products and its random words alone, measured on
one thread in this process and divided by the number of threads.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numba
import numpy as np
from numba import njit
from threadpoolctl import threadpool_limits

from physebm.backends.base import Lanes, launch
from physebm.backends.numba_cpu.tiles.products import tile_product
from physebm.backends.numba_cpu.tiles.rows import fill_row
from physebm.backends.select import select
from physebm.lowering.operands import bind
from physebm.lowering.pipeline import Options, lower
from physebm.sampling import initial
from physebm.study.models import load_model

NV, NH, SWEEPS = 784, 500, 10
TILE = 64


def problem(seed: int = 0):
    """Couplings of std 0.05 and visible fields at a mean of 0.13, as of a trained machine of digits."""
    rng = np.random.default_rng(seed)
    W = rng.normal(0, 0.05, (NV, NH)).astype(np.float32)
    return W, np.full(NV, np.log(0.13 / 0.87), np.float32), np.zeros(NH, np.float32)


def physebm_sweeps(chains: int) -> Callable[[], None]:
    W, a, b = problem()
    model = load_model("rbm")
    params = model.params(seed=1).with_arrays(W=W[None], a=a[None], b=b[None])
    plan = lower(model.hamiltonian, Options(lanes=chains))
    kernels = select("numba").compile(plan)
    bound = launch(plan, bind(plan, model.hamiltonian, params), model.coefficients([1.0]))
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


def numpy_sweeps(chains: int) -> Callable[[], None]:
    W, a, b = problem()
    rng = np.random.default_rng(0)
    v = (rng.random((chains, NV), dtype=np.float32) < 0.13).astype(np.float32)

    def run():
        nonlocal v
        for _ in range(SWEEPS):
            p = 1 / (1 + np.exp(-(v @ W + b)))
            h = (rng.random(p.shape, dtype=np.float32) < p).astype(np.float32)
            p = 1 / (1 + np.exp(-(h @ W.T + a)))
            v = (rng.random(p.shape, dtype=np.float32) < p).astype(np.float32)

    return run


def rbms_sweeps(chains: int, threads: int) -> Callable[[], None] | None:
    try:
        import torch
        from rbms.bernoulli_bernoulli.classes import BBRBM
    except ImportError:
        return None
    torch.set_num_threads(threads)
    machine = BBRBM(*map(torch.from_numpy, problem()))
    state = machine.init_chains(chains)

    def run():
        nonlocal state
        state = machine.sample_state(chains=state, n_steps=SWEEPS)

    return run


@njit
def _products(F_h, F_v, X_v, X_h, W, W_t, repeats):
    for _ in range(repeats):
        tile_product(F_h, X_v, W, TILE)
        tile_product(F_v, X_h, W_t, TILE)


@njit
def _words(words, k, repeats):
    for sweep in range(repeats):
        for lane in range(TILE):
            fill_row(words, NV, lane, sweep, 0, k, k)
            fill_row(words, NH, lane, sweep, 1, k, k)


def floor() -> tuple[float, float]:
    """Nanoseconds per unit update of the products and of the words, on one thread."""
    W = problem()[0]
    rng = np.random.default_rng(0)
    X_v, X_h = ((rng.random((TILE, n)) < 0.3).astype(np.float32) for n in (NV, NH))
    F_h, F_v = np.zeros((TILE, NH), np.float32), np.zeros((TILE, NV), np.float32)
    words, k = np.zeros(NV + 64, np.uint32), np.uint32(1)
    W_t = np.ascontiguousarray(W.T)
    updates = TILE * (NV + NH) * 20
    products = [
        seconds(lambda: _products(F_h, F_v, X_v, X_h, W, W_t, 20)) / updates * 1e9 for _ in range(9)
    ]
    drawn = [seconds(lambda: _words(words, k, 20)) / updates * 1e9 for _ in range(9)]
    return float(np.min(products)), float(np.min(drawn))


def seconds(run: Callable[[], None]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--chains", type=int, nargs="+", default=[500, 1000])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, numba.config.NUMBA_NUM_THREADS])
    parser.add_argument("--rounds", type=int, default=9)
    given = parser.parse_args()
    products, drawn = floor()
    rate = 4 * NV * NH / (products * (NV + NH))
    print(f"floor on one thread: products {products:.2f} ns ({rate:.0f} GFLOP/s), words {drawn:.2f} ns")
    for threads in given.threads:
        numba.set_num_threads(threads)
        for chains in given.chains:
            runs = {"physebm": physebm_sweeps(chains), "numpy": numpy_sweeps(chains)}
            rbms = rbms_sweeps(chains, threads)
            runs |= {} if rbms is None else {"rbms": rbms}
            times = {name: [] for name in runs}
            with threadpool_limits(threads, user_api="blas"):
                for _ in range(given.rounds + 1):
                    for name, run in runs.items():
                        times[name].append(seconds(run))
            updates = chains * (NV + NH) * SWEEPS
            rates = {name: updates / np.median(each[1:]) / 1e9 for name, each in times.items()}
            lowest = (products + drawn) / threads
            line = "   ".join(f"{name} {each:.4f}/ns" for name, each in rates.items())
            over = 1 / rates["physebm"] / lowest
            print(f"threads {threads}, {chains} chains:   {line}   physebm / floor {over:.2f}")


if __name__ == "__main__":
    main()

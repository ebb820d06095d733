"""Updates per second of training a 784 x 500 binary RBM, beside `rbms` and scikit-learn.

Run: ``python tests/perf/rbm_training.py [--rounds 5] [--updates 20]``. Cases: PCD-1 and PCD-10 with
batches of 500 and 500 chains, PCD-10 with 500 and 2000 chains; scikit-learn has PCD-1 with as many
chains as the batch has samples. Each line gives the median over interleaved rounds of `updates`
updates, on two threads, on random data of mean 0.3. `rbms` (torch) and scikit-learn are timed where
they can be imported (``pip install rbms scikit-learn``).

The floor of an update is the time of its matrix products alone in this process: 2 k of the sweeps per
chain, two for the conditional means and two for the statistics, on as many threads.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable

import numpy as np

from physebm.backends.select import select
from physebm.learning.chains import ChainOptions
from physebm.learning.optimisers import Schedule
from physebm.learning.recipe import Problem, Recipe
from physebm.learning.train import Trainer
from physebm.study.models import load_model

NV, NH, BATCH, SAMPLES = 784, 500, 500, 10_000
CASES = ((1, 500), (10, 500), (10, 2000))


def data() -> np.ndarray:
    return (np.random.default_rng(0).random((SAMPLES, NV)) < 0.3).astype(np.int8)


def physebm_updates(k: int, chains: int, updates: int) -> Callable[[], None]:
    model = load_model("rbm", Nv=NV, Nh=NH)
    weights = np.full(SAMPLES, 1.0 / SAMPLES)
    problem = Problem(
        model.hamiltonian, model.params(1), model.coefficients([1.0]), {"v": data()}, weights
    )
    recipe = Recipe(
        method="pcd",
        updates=10**6,
        batch=BATCH,
        chains=ChainOptions("pcd", k, chains),
        rate=Schedule(0.01),
        centred=True,
    )
    trainer = Trainer(problem, recipe, select("numba"), 1)
    return lambda: trainer.run(trainer.update + updates)


def rbms_updates(k: int, chains: int, updates: int) -> Callable[[], None]:
    """Its own step of training (`fit_batch_pcd`) with its own optimiser, without its records."""
    import torch
    from rbms.bernoulli_bernoulli.classes import BBRBM
    from rbms.dataset.dataset_class import RBMDataset
    from rbms.training.pcd import fit_batch_pcd

    torch.set_num_threads(2)
    X, cpu = data().astype(np.float32), torch.device("cpu")
    held = RBMDataset(
        data=X,
        labels=np.zeros(SAMPLES, dtype=np.int32),
        weights=np.ones(SAMPLES, dtype=np.float32),
        names=np.arange(SAMPLES).astype(str),
        dataset_name="random",
        is_binary=True,
        device="cpu",
        dtype=torch.float32,
    )
    rbm = BBRBM.init_parameters(num_hiddens=NH, dataset=held, device=cpu, dtype=torch.float32)
    parallel = rbm.init_chains(chains)
    optimiser = torch.optim.SGD(rbm.parameters(), lr=0.01, maximize=True)
    for held in rbm.parameters():
        held.grad = torch.zeros_like(held)
    pictures, one = torch.from_numpy(X), torch.ones(BATCH, 1)

    def run():
        nonlocal parallel
        for _ in range(updates):
            rows = torch.randint(0, SAMPLES, (BATCH,))
            optimiser.zero_grad(set_to_none=False)
            parallel, _ = fit_batch_pcd((pictures[rows], one), parallel, rbm, k, 1.0)
            optimiser.step()

    return run


def sklearn_updates(updates: int) -> Callable[[], None]:
    from sklearn.neural_network import BernoulliRBM

    X = data().astype(np.float64)
    machine = BernoulliRBM(NH, learning_rate=0.01, batch_size=BATCH, random_state=0)
    place = [0]

    def run():
        for _ in range(updates):
            start = place[0] * BATCH % SAMPLES
            machine.partial_fit(X[start : start + BATCH])
            place[0] += 1

    return run


def floor_seconds(k: int, chains: int) -> float:
    """The matrix products of one update in single precision, all threads of the BLAS."""
    rng = np.random.default_rng(1)
    W = rng.random((NV, NH), dtype=np.float32)
    V, H = rng.random((chains, NV), dtype=np.float32), rng.random((chains, NH), dtype=np.float32)
    B, C = rng.random((BATCH, NV), dtype=np.float32), rng.random((BATCH, NH), dtype=np.float32)
    times = []
    for _ in range(7):
        start = time.perf_counter()
        for _ in range(k):
            V @ W
            H @ W.T
        B @ W
        V @ W
        B.T @ C
        V.T @ H
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--updates", type=int, default=20)
    chosen = parser.parse_args()
    for k, chains in CASES:
        runs = {"physebm": physebm_updates(k, chains, chosen.updates)}
        for name, make in (("rbms", rbms_updates), ("scikit-learn", None)):
            try:
                if make is not None:
                    runs[name] = make(k, chains, chosen.updates)
                elif k == 1 and chains == BATCH:
                    runs[name] = sklearn_updates(chosen.updates)
            except ImportError as missing:
                print(f"  {name} is not timed: {missing}")
        rates: dict[str, list[float]] = {name: [] for name in runs}
        for run in runs.values():
            run()
        for _ in range(chosen.rounds):
            for name, run in runs.items():
                start = time.perf_counter()
                run()
                rates[name].append(chosen.updates / (time.perf_counter() - start))
        floor = 1.0 / floor_seconds(k, chains)
        print(f"PCD-{k}, batch {BATCH}, {chains} chains; products alone: {floor:.1f} updates/s")
        ours = np.median(rates["physebm"])
        for name, held in rates.items():
            rate = np.median(held)
            print(
                f"  {name:<13} {rate:7.2f} updates/s ({min(held):.2f} to {max(held):.2f}), "
                f"{floor / rate:.2f} x the floor's time, physebm is {ours / rate:.2f} x as fast"
            )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"peak memory of this process {peak:.2f} GiB")


if __name__ == "__main__":
    main()

"""Annealed importance sampling of a 784 x 500 binary RBM: cost of the weights, beside `rbms`.

Run: ``python tests/perf/ais.py [--rounds 3] [--temperatures 200] [--chains 1000]``. Two threads. Lines:
a forward walk (weights in float64), the same number of block-Gibbs sweeps without weights, and `rbms`
(its AIS over as many temperatures) where it can be imported. Random couplings of deviation 0.05.
"""

from __future__ import annotations

import argparse
import resource
import time

import numpy as np

from physebm.backends.select import select
from physebm.free_energy.annealed import forward
from physebm.free_energy.path import placed, scaled_path
from physebm.free_energy.walkers import Walkers
from physebm.study.models import load_model

NV, NH = 784, 500


def physebm_runs(temperatures: int, chains: int):
    """The walk with weights, and sweeps of the last row alone."""
    model = load_model("rbm", Nv=NV, Nh=NH, sigma=0.05)
    row, backend = model.coefficients([1.0]), select("numba")
    ends = scaled_path(model.hamiltonian, model.params(1), row, np.array([0.0, 1.0]))
    path = placed(ends, np.linspace(0.0, 1.0, temperatures))
    walkers = Walkers(path, backend, (1, 2), chains)
    walkers.draw()

    def sweeps() -> None:
        walkers.move(temperatures - 1, temperatures)

    return lambda: forward(path, backend, (1, 2), chains), sweeps


def rbms_run(temperatures: int, chains: int):
    """`rbms`' own annealed importance sampling."""
    import torch
    from rbms.bernoulli_bernoulli.classes import BBRBM
    from rbms.partition_function.ais import compute_partition_function_ais

    torch.set_num_threads(2)
    cpu, kind = torch.device("cpu"), torch.float32
    rng = np.random.default_rng(0)
    machine = BBRBM(
        weight_matrix=torch.tensor(rng.normal(0, 0.05, (NV, NH)), device=cpu, dtype=kind),
        vbias=torch.zeros(NV, dtype=kind),
        hbias=torch.zeros(NH, dtype=kind),
    )
    return lambda: compute_partition_function_ais(chains, temperatures, machine)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--temperatures", type=int, default=200)
    parser.add_argument("--chains", type=int, default=1000)
    chosen = parser.parse_args()
    walk, sweeps = physebm_runs(chosen.temperatures, chosen.chains)
    runs = {"physebm, weights": walk, "physebm, sweeps alone": sweeps}
    try:
        runs["rbms"] = rbms_run(chosen.temperatures, chosen.chains)
    except ImportError as missing:
        print(f"rbms is not timed: {missing}")
    seconds = {name: [] for name in runs}
    for run in runs.values():
        run()
    for _ in range(chosen.rounds):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    least = np.median(seconds["physebm, sweeps alone"])
    for name, times in seconds.items():
        median = np.median(times)
        print(
            f"{name:22s} {1e3 * median / chosen.temperatures:8.2f} ms per temperature "
            f"({1e3 * min(times) / chosen.temperatures:.2f} to "
            f"{1e3 * max(times) / chosen.temperatures:.2f}), {median / least:.2f} x the sweeps"
        )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"peak memory of this process {peak:.2f} GiB")


if __name__ == "__main__":
    main()

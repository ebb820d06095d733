"""One work of the benchmark by physebm: ``python ours.py WORK`` prints one JSON line.

Plans are lowered with as many lanes together as a study would sweep; kernels are compiled and chains
equilibrated before the clock starts. A call of a sweep returns the energies of all chains.
"""

from __future__ import annotations

import cores  # noqa: F401  (before numpy)
import numpy as np
from ours_machines import MACHINES
from ours_study import share_of_kernels
from problems import lattice, patterns, sk, temperatures
from timing import Timed, arguments, measured, report
from works import WORKS

from physebm.backends.base import Lanes, launch
from physebm.backends.select import select
from physebm.lowering.operands import bind
from physebm.lowering.pipeline import Options, lower
from physebm.sampling import initial
from physebm.sampling.chain import PlanSampler
from physebm.sampling.tempering import Ladders, ParallelTempering
from physebm.study.models import load_model

MODELS = {"ea8": "edwards_anderson_3d", "ea16": "edwards_anderson_3d"}
MODELS |= {"ea_gaussian": "edwards_anderson_3d_gaussian", "sk256": "sk", "sk1024": "sk"}
MODELS |= {"ising2d": "ising_2d", "ising2d_large": "ising_2d", "hopfield": "hopfield"}
SWEEPS = {"sk256": 20, "sk1024": 10, "hopfield": 10, "ising2d_large": 5, "ea_gaussian": 50}
SWEEPS |= {"ising2d": 200, "ea8": 500, "ea16": 200}
BURN_IN = {"ising2d_large": 20, "sk256": 100}


def spins(work: str, repetitions: int | None) -> Timed:
    """Seconds per spin update, and the share of updates that change a spin."""
    size, name = WORKS[work].size, MODELS[work]
    given = {"L": size["L"]} if "L" in size else {"N": size["N"]}
    given |= {"P": size["P"]} if "P" in size else {}
    model = load_model(name, **given)
    params = model.params(1)
    held = {"J": sk(size["N"])[None]} if name == "sk" else {}
    held |= {"xi": patterns(size["P"], size["N"])[None]} if name == "hopfield" else {}
    held |= {"J": lattice(work)[None]} if "J" in params.arrays and "L" in size else {}
    params = params.with_arrays(**held)
    ladder, chains = temperatures(work), int(size["chains"])
    lanes_together = chains * len(ladder)
    plan = lower(model.hamiltonian, Options.of(params, lanes=lanes_together))
    coefficients = model.coefficients(list(ladder))
    kernels = select("numba").compile(plan)
    bound = launch(plan, bind(plan, model.hamiltonian, params), coefficients)
    sampler, lanes = _sampler(kernels, bound, coefficients, chains, len(ladder))
    state = initial.empty(plan, lanes_together)
    state.x["s"][:] = initial.random(plan, lanes, 0, np.arange(lanes_together))
    chain = sampler.init(state, lanes)
    sweeps = SWEEPS[work]
    means = np.zeros(lanes_together)

    def run() -> None:
        nonlocal chain, means
        if len(ladder) == 1:
            chain = sampler.step(chain, sweeps)
            return
        for _ in range(sweeps // 10):
            chain = sampler.step(chain, 10)
            means += chain.energies[chain.lane_of, 0]

    chain = sampler.step(chain, BURN_IN.get(work, 50))
    run()
    timed = measured(run, lanes_together * model.hamiltonian.counted_units * sweeps, repetitions)
    before = chain.configurations.seen["s"].copy()
    chain = sampler.step(chain, 1)
    timed.more["flips"] = float((chain.configurations.seen["s"] != before).mean())
    timed.more["layout"] = str(plan.layout)
    return timed


def _sampler(kernels, bound, coefficients, chains: int, rungs: int):
    """Chains at one temperature, or one ladder per chain, exchanging every 10 sweeps."""
    inner = PlanSampler(kernels, bound)
    count = chains * rungs
    key = np.ones((count, 2))
    lanes = Lanes(np.zeros(count), np.zeros(count), np.arange(count), key)
    if rungs == 1:
        return inner, lanes
    ladders = Ladders.of([np.arange(rungs)] * chains, key[:chains], np.arange(chains))
    lanes.walker[:] = 4096 * np.repeat(np.arange(chains), rungs) + np.tile(np.arange(rungs), chains)
    return ParallelTempering(inner, ladders, coefficients, 10), lanes


def main() -> None:
    given = arguments(__doc__.splitlines()[0], "work")
    if given.work == "study":
        report("study", "physebm", share_of_kernels(bool(given.repetitions)), children=True)
        return
    run = MACHINES.get(given.work, spins)
    report(given.work, "physebm", run(given.work, given.repetitions))


if __name__ == "__main__":
    main()

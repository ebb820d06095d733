"""Works on machines with hidden units and on Potts machines, by physebm."""

from __future__ import annotations

import cores  # noqa: F401  (before numpy)
import numpy as np
from problems import pictures, potts, rbm
from timing import Timed, measured
from works import WORKS

from physebm.backends.select import select
from physebm.free_energy.annealed import forward
from physebm.free_energy.exact import exact_log_z
from physebm.free_energy.path import placed, scaled_path
from physebm.learning.chains import ChainOptions, Chains
from physebm.learning.optimisers import Schedule
from physebm.learning.recipe import Problem, Recipe
from physebm.learning.train import Trainer
from physebm.study.models import load_model

MODELS = {"gaussian_hidden": "rbm_gaussian_hidden", "truncated_hidden": "rbm_truncated_gaussian_hidden"}


def _machine(work: str):
    """The model with the couplings that peers have, too."""
    size = WORKS[work].size
    W, a, b = rbm(work)
    model = load_model(MODELS.get(work, "rbm"), Nv=size["Nv"], Nh=size["Nh"])
    return model, model.params(1).with_arrays(W=W[None], a=a[None], b=b[None])


def gibbs(work: str, repetitions: int | None) -> Timed:
    """Block Gibbs, 10 sweeps a call; seconds per unit update. Nothing is trained: no array changes."""
    model, params = _machine(work)
    size, sweeps = WORKS[work].size, 10
    chains = Chains(
        model.hamiltonian, params, model.coefficients([1.0]), (),
        ChainOptions("pcd", sweeps, size["chains"]), select("numba"), 1, ("speed",),
    )  # fmt: skip
    chains.begin()

    def run() -> None:
        chains.state = chains.sampler.step(chains.state, sweeps)

    run()
    run()
    return measured(run, size["chains"] * (size["Nv"] + size["Nh"]) * sweeps, repetitions)


def training(work: str, repetitions: int | None) -> Timed:
    """Persistent contrastive divergence; seconds per update."""
    size, X = WORKS[work].size, pictures(work)
    model = load_model("rbm", Nv=size["Nv"], Nh=size["Nh"])
    return _updates(
        model,
        model.params(1),
        {"v": X},
        size,
        size["batch"],
        True,
        200 if work == "digits" else 5,
        repetitions,
    )


def potts_training(work: str, repetitions: int | None) -> Timed:
    """A Potts machine from given couplings; all data in every update, whose moments are fixed."""
    size = WORKS[work].size
    J, h, sequences = potts()
    model = load_model("potts_machine", L=size["L"], q=size["q"])
    params = model.params(1).with_arrays(J=J[None], h=h[None])
    return _updates(model, params, {"s": sequences}, size, None, False, 1, repetitions)


def _updates(model, params, data, size, batch, centred, updates, repetitions) -> Timed:
    samples = len(next(iter(data.values())))
    weights = np.full(samples, 1.0 / samples)
    problem = Problem(model.hamiltonian, params, model.coefficients([1.0]), data, weights)
    recipe = Recipe(
        method="pcd",
        updates=10**6,
        batch=batch,
        chains=ChainOptions("pcd", size["k"], size["chains"]),
        rate=Schedule(0.01 if centred else 1e-4),
        centred=centred,
        initial_fields="data" if centred else "model",
    )
    trainer = Trainer(problem, recipe, select("numba"), 1)
    trainer.run(trainer.update + max(1, updates))
    return measured(lambda: trainer.run(trainer.update + updates), updates, repetitions)


def annealing(work: str, repetitions: int | None) -> Timed:
    """A forward walk with its weights; seconds per temperature."""
    model, params = _machine(work)
    size, backend = WORKS[work].size, select("numba")
    steps = size["temperatures"]
    row = model.coefficients([1.0])
    ends = scaled_path(model.hamiltonian, params, row, np.array([0.0, 1.0]))
    path = placed(ends, np.linspace(0.0, 1.0, steps))
    forward(path, backend, (1, 2), size["chains"])
    return measured(lambda: forward(path, backend, (1, 2), size["chains"]), steps, repetitions)


def log_z(work: str, repetitions: int | None) -> Timed:
    """The exact sum over the hidden units; the value is printed, too."""
    model, params = _machine(work)
    row = model.coefficients([1.0])

    def run() -> float:
        return float(exact_log_z(model.hamiltonian, params, row, work)[0])

    value = run()
    timed = measured(run, 1, repetitions)
    timed.more["value"] = value
    return timed


MACHINES = {name: training for name in ("pcd1", "pcd10", "pcd10_2000", "digits")}
MACHINES |= {name: gibbs for name in ("rbm_gibbs", "gaussian_hidden", "truncated_hidden")}
MACHINES |= {"potts": potts_training, "ais": annealing, "log_z": log_z}

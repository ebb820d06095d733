"""Samples and chains as rows of one average: against the two phases summed in numpy."""

import numpy as np
import pytest
from trained_problems import trainer_at

from physebm.learning.chains import ChainOptions
from physebm.learning.optimisers import Schedule
from physebm.learning.recipe import Recipe
from physebm.study.models import load_model

UNITS, HIDDEN, SAMPLES = 20, 17, 60


def trainer_of(method: str, centred: bool, batch: int | None, weighted: bool, chains: int = 40):
    rng = np.random.default_rng(5)
    loaded = load_model("rbm", Nv=UNITS, Nh=HIDDEN)
    data = (rng.random((SAMPLES, UNITS)) < 0.3).astype(np.int8)
    weights = rng.random(SAMPLES) if weighted else np.ones(SAMPLES)
    recipe = Recipe(
        method=method,
        updates=10,
        batch=batch,
        chains=ChainOptions(method, 1, chains, rungs=3),
        rate=Schedule(0.1),
        centred=centred,
    )
    return trainer_at(loaded, loaded.params(1), {"v": data}, recipe, weights / weights.sum())


def phase(v, weights, W, b) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """``<v h>``, ``<v>`` and ``<h>`` with h integrated."""
    h = 1.0 / (1.0 + np.exp(-(v @ W + b)))
    return (v * weights[:, None]).T @ h, weights @ v, weights @ h


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize(("method", "batch"), [("pcd", None), ("pcd", 25), ("pt", 25), ("cd", 40)])
def test_the_gradient_is_the_difference_of_two_phases(method, batch, centred, weighted):
    trainer = trainer_of(method, centred, batch, weighted)
    trainer.run(3)
    problem, phases = trainer.problem, trainer.phases
    hamiltonian = problem.hamiltonian
    of_v, of_h = (hamiltonian.field_slots[group][1] for group in ("v", "h"))
    (of_J,) = set(trainer.slots) - {of_v, of_h}
    W, b = (trainer.params.arrays[slot][0] for slot in (of_J, of_h))
    gradient, _ = phases.gradient(trainer.conditionals(operators=trainer.chains.couplings()), 4)
    rows = np.arange(SAMPLES) if batch is None else phases.rows(4)
    w = problem.weights[rows]
    share = w.sum() * SAMPLES / len(rows)
    w = w / w.sum()
    v = trainer.chains.configurations()["v"].astype(float)
    even = np.full(len(v), 1.0 / len(v))
    of_chains = w if method == "cd" else even
    data = phase(problem.data["v"][rows].astype(float), w, W, b)
    model = phase(v, of_chains, W, b)
    C, mean_v, mean_h = (one - two for one, two in zip(data, model))
    if centred:
        C -= np.outer(phases.offsets["v"], mean_h) + np.outer(mean_v, phases.offsets["h"])
    for slot, wanted in ((of_J, C), (of_v, mean_v), (of_h, mean_h)):
        np.testing.assert_allclose(gradient[slot], share * wanted, atol=3e-6)


def test_the_couplings_of_the_kernels_are_those_that_fields_are_made_of():
    trainer = trainer_of("pcd", False, 25, False)
    for updates in (1, 2):
        trainer.run(updates)
        held = trainer.chains.couplings()
        assert held
        for t, J in held.items():
            assert np.array_equal(J, trainer.conditionals().operator(t))

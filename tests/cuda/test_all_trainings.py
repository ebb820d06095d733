"""Every training does on the CUDA backend what it does on the CPU: methods, units, the public API."""

import numpy as np
import pytest
from host_kernels import needs_compiler
from learning_models import family, some_visibles

import physebm
from physebm.backends.cuda.training import DeviceTraining
from physebm.backends.select import select
from physebm.learning.chains import METHODS, ChainOptions
from physebm.learning.optimisers import Schedule
from physebm.learning.recipe import Problem, Recipe
from physebm.learning.train import Trainer

pytestmark = needs_compiler

UPDATES = 4
CASES = {
    "cd": ("bernoulli x bernoulli", {"method": "cd"}),
    "pt": ("bernoulli x bernoulli", {"method": "pt"}),
    "rdm": ("bernoulli x bernoulli", {"method": "rdm"}),
    "pcd": ("bernoulli x ising", {"method": "pcd", "centred": True, "batch": 16}),
    "gaussian hidden": ("bernoulli x gaussian", {"method": "pcd", "centred": True}),
    "potts machine": ("potts machine", {"method": "pcd"}),
    "boltzmann machine": ("boltzmann machine", {"method": "pcd", "centred": True}),
    "pseudo-likelihood": ("boltzmann machine", {"method": "pseudo-likelihood"}),
    "deep": ("deep", {"method": "pcd"}),
    "deep, sampled": ("deep", {"method": "pcd", "positive": "sampled", "positive_steps": 2}),
}


def trained(case: str, backend: str) -> Trainer:
    model, choices = CASES[case]
    loaded, choices = family(model), dict(choices)
    method = choices.pop("method")
    data = some_visibles(loaded, 24)
    kinds = {g.name: np.int8 if g.prior.discrete else np.float64 for g in loaded.hamiltonian.counted}
    problem = Problem(
        loaded.hamiltonian,
        loaded.params(1),
        loaded.coefficients([1.0]),
        {name: x.astype(kinds[name]) for name, x in data.items()},
        np.full(24, 1 / 24),
    )
    recipe = Recipe(
        method=method,
        updates=UPDATES,
        batch=choices.pop("batch", None),
        chains=ChainOptions(method if method in METHODS else "pcd", 2, 6, rungs=3),
        rate=Schedule(0.05),
        **choices,
    )
    trainer = Trainer(problem, recipe, select(backend), 3)
    trainer.run(recipe.updates)
    return trainer


@pytest.mark.parametrize("case", CASES)
def test_a_training_learns_what_the_definition_learns(case):
    # the definition knows no mask that all lanes share, as clamped chains have it
    defining = "numba" if case == "deep, sampled" else "reference"
    device, defined = trained(case, "cuda-host"), trained(case, defining)
    for slot in defined.slots:
        np.testing.assert_allclose(
            device.params.arrays[slot], defined.params.arrays[slot], rtol=1e-5, atol=1e-6, err_msg=slot
        )
    if defined.chains is not None:
        found = device.chains.configurations()
        for group, x in defined.chains.configurations().items():
            np.testing.assert_allclose(found[group], x, rtol=1e-5, atol=1e-5)


def test_a_machine_trained_on_the_device_reaches_the_likelihood_of_the_processor(monkeypatch):
    """16 x 16 units, two noisy patterns; log-likelihoods are exact, at four ages."""
    rng = np.random.default_rng(4)
    pattern = np.repeat([1, 0], 8)
    rows = np.where(rng.random(120) < 0.6, 1, 0)[:, None] ^ pattern
    data = (rows ^ (rng.random((120, 16)) < 0.1)).astype(np.int8)
    made = []
    update = DeviceTraining.update
    monkeypatch.setattr(
        DeviceTraining, "update", lambda self, *given: made.append(1) or update(self, *given)
    )
    scores = {}
    for backend in ("cuda-host", "numba"):
        _, recorded = physebm.train(
            physebm.load_model("rbm", Nv=16, Nh=16),
            data,
            method="pcd",
            updates=40,
            batch=40,
            chains=24,
            learning_rate=0.2,
            gradient="centred",
            record={"logspace": 4},
            tau_sweeps=0,
            seed=1,
            backend=backend,
        )
        scores[backend] = recorded["log_likelihood_train"].values.ravel()
    assert len(made) == 40
    assert scores["numba"][-1] - scores["numba"][0] > 2.0
    np.testing.assert_allclose(scores["cuda-host"], scores["numba"], atol=0.02)

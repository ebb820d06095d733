"""Sampled energies and moments against enumeration: a fixed list of models, priors and updates."""

from functools import cache

import numpy as np
import pytest
from ensemble_runs import assert_family, by_kernels, exact_of, z_scores
from small_models import ZOO, small

CASES = [
    *((name, "heat-bath", None) for name in ZOO),
    ("ising_2d", "metropolis", None),
    ("random_field_ising_3d", "metropolis", None),
    ("potts_2d", "metropolis", None),
    ("sk", "metropolis", None),
    ("hopfield", "metropolis", None),
    ("rbm_potts_hidden", "metropolis", None),
    ("ising_2d", "swendsen-wang", 0.0),
    ("potts_2d", "wolff", None),
]
TEMPERATURES = (1.0, 2.5)


@cache
def z_of(name: str, method: str, field: float | None) -> np.ndarray:
    overrides = {} if field is None else {"h": field}
    model = small(name, method, TEMPERATURES, seed=3, **overrides)
    return z_scores(model, exact_of(model), by_kernels(model.kernels(), model.launch))


@pytest.mark.parametrize("case", CASES, ids=[f"{name}-{method}" for name, method, _ in CASES])
def test_energies_and_moments_agree_with_enumeration(case):
    z = z_of(*case)
    assert len(z) > 2
    assert_family(z)


def test_errors_of_the_whole_list_are_neither_too_small_nor_too_large():
    z = np.concatenate([z_of(*case) for case in CASES])
    assert len(z) > 1000
    assert 0.5 <= np.mean(z**2) <= 1.6


def test_the_reference_agrees_with_enumeration_too():
    z = []
    for name in ("ising_triangular", "rbm_truncated_gaussian_hidden"):
        model = small(name, "heat-bath", TEMPERATURES, seed=4)
        advance = by_kernels(model.kernels("reference"), model.launch)
        z.append(z_scores(model, exact_of(model), advance))
    assert_family(np.concatenate(z))

"""Couplings of continuous units: moved back where an update left what is normalisable, only there."""

import numpy as np
import pytest
from learning_models import declared, family, some_visibles
from trained_problems import trainer_at, with_values

from physebm.errors import StudyError
from physebm.learning.optimisers import Optimiser, Schedule
from physebm.learning.projection import MARGIN, Projection
from physebm.learning.recipe import Recipe
from physebm.learning.trainable import trained_slots
from physebm.lowering.positive import precision_matrix
from physebm.theory.enumeration import enumerate_states

PAIR, WITHIN = "gaussian x gaussian", "gaussian"
TWO_LAYERS = """
[units]
v = { prior = "gaussian", variance = 0.8, shape = 3, visible = true }
g = { prior = "gaussian", variance = 1.1, shape = 2 }
h = { prior = "truncated_gaussian", variance = 0.9, lower = 0, shape = 2 }
[arrays]
W1 = { law = "normal", std = 0.3, shape = [3, 2], trainable = true }
W2 = { law = "normal", std = 0.3, shape = [2, 2], trainable = true }
[[terms]]
couple = ["v", "g"]
J = "W1"
[[terms]]
couple = ["g", "h"]
J = "W2"
scale = 0.7
"""
FIXED = """
[units]
s = { prior = "gaussian", variance = "v", shape = 3, visible = true }
[arrays]
v = { law = "uniform", low = 0.5, high = 0.9, shape = 3, trainable = true }
[[terms]]
couple = ["s", "s"]
J = 0.5
"""


def model(name):
    texts = {"two layers": TWO_LAYERS, "fixed": FIXED}
    return declared(texts[name]) if name in texts else family(name)


def projection(loaded):
    c = loaded.coefficients([1.0])
    return Projection(loaded.hamiltonian, c, trained_slots(loaded.hamiltonian))


def matrix(loaded, params):
    return precision_matrix(loaded.hamiltonian, params, loaded.coefficients([1.0]))


def tightness(loaded, params):
    """The largest eigenvalue of ``D^-1/2 J D^-1/2``; a measure exists below 1."""
    A = matrix(loaded, params)
    root = np.sqrt(np.diag(A))
    return np.linalg.eigvalsh(np.eye(len(A)) - A / np.outer(root, root))[-1]


def couplings(loaded):
    return [slot for slot in trained_slots(loaded.hamiltonian) if slot[0] in "JW"]


def at_tightness(loaded, wanted, seed=3):
    """Params whose couplings are scaled to a given tightness."""
    params = loaded.params(seed)
    factor = wanted / tightness(loaded, params)
    return params.with_arrays(**{slot: params.arrays[slot] * factor for slot in couplings(loaded)})


@pytest.mark.parametrize("name", [PAIR, WITHIN, "two layers"])
@pytest.mark.parametrize("wanted", [0.2, 1.0 - MARGIN - 1e-9])
def test_a_point_inside_is_untouched(name, wanted):
    loaded = model(name)
    params = at_tightness(loaded, wanted)
    found, moved = projection(loaded).apply(params)
    assert not moved
    for slot, x in params.arrays.items():
        np.testing.assert_array_equal(found.arrays[slot], x)


@pytest.mark.parametrize("name", [PAIR, WITHIN, "two layers"])
@pytest.mark.parametrize("wanted", [1.0 - MARGIN + 1e-9, 1.0, 3.7, 1e4])
def test_a_point_outside_comes_back_to_the_margin(name, wanted):
    loaded = model(name)
    params = at_tightness(loaded, wanted)
    if wanted >= 1.0:
        assert np.linalg.eigvalsh(matrix(loaded, params))[0] < 1e-12
    found, moved = projection(loaded).apply(params)
    assert moved
    assert np.linalg.eigvalsh(matrix(loaded, found))[0] > 0
    assert tightness(loaded, found) == pytest.approx(1.0 - MARGIN, rel=1e-10)
    for slot, x in found.arrays.items():
        if slot not in couplings(loaded):
            np.testing.assert_array_equal(x, params.arrays[slot])
    again, _ = projection(loaded).apply(found)
    for slot, x in again.arrays.items():
        np.testing.assert_allclose(x, found.arrays[slot], rtol=1e-12, atol=1e-15)


def test_one_coupling_goes_to_the_nearest_allowed_point():
    """In ``M = D_v^-1/2 W D_h^-1/2``: large singular values are cut, small ones and all modes stay.

    No allowed point is nearer than the cut: not on the way to it, and not beside it.
    """
    loaded = model(PAIR)
    params = at_tightness(loaded, 1.6)
    found, _ = projection(loaded).apply(params)
    v, h = (params.arrays[f"{name}_variance"][0] for name in "vh")

    def scaled(p):
        return 0.7 * p.arrays["W"][0] * np.sqrt(np.outer(v, h))

    before, after = scaled(params), scaled(found)
    U, s, Vt = np.linalg.svd(before, full_matrices=False)
    assert s[0] > 1.0 and s[-1] < 0.9
    np.testing.assert_allclose((U * np.minimum(s, 1.0 - MARGIN)) @ Vt, after, atol=1e-13)
    rng, nearest = np.random.default_rng(0), np.linalg.norm(before - after)
    for size in (1e-3, 0.1, 1.0):
        for _ in range(200):
            other = after + size * rng.normal(size=after.shape)
            other *= min(1.0, (1.0 - MARGIN) / np.linalg.norm(other, 2))
            assert np.linalg.norm(before - other) > nearest


def test_couplings_that_are_not_trained_cannot_be_moved():
    loaded = model("fixed")
    params = with_values(loaded, {"v": np.full(3, 1.1)})
    with pytest.raises(StudyError, match="not trained"):
        projection(loaded).apply(params)
    inside = with_values(loaded, {"v": np.full(3, 0.5)})
    assert not projection(loaded).apply(inside)[1]


@pytest.mark.parametrize("name", [PAIR, WITHIN])
def test_training_that_leaves_is_projected_and_counted(name):
    """Data along one direction, and a rate far too large: couplings leave and come back."""
    loaded = model(name)
    (visible,) = some_visibles(loaded, 2)
    rng = np.random.default_rng(5)
    x = rng.normal(size=(50, 1)) * np.ones(4) + 0.1 * rng.normal(size=(50, 4))
    recipe = Recipe(method="exact", updates=60, rate=Schedule(0.3), clip=5.0)
    trainer = trainer_at(loaded, loaded.params(3), {visible: x}, recipe)
    counted = 0
    for update in range(1, 61):
        trainer.run(update)
        eigenvalues = np.linalg.eigvalsh(matrix(loaded, trainer.params))
        assert eigenvalues[0] > 0
        counted += tightness(loaded, trainer.params) > 1.0 - MARGIN - 1e-9
    assert 2 < trainer.projected == counted < 20
    saved = {key: np.array(value) for key, value in trainer.checkpoint().items()}
    other = trainer_at(loaded, loaded.params(3), {visible: x}, recipe)
    other.restore(saved)
    assert other.projected == trainer.projected


def test_training_inside_is_never_projected():
    loaded = model(WITHIN)
    x = np.random.default_rng(5).normal(size=(50, 4))
    trainer = trainer_at(
        loaded, loaded.params(3), {"s": x}, Recipe(method="exact", updates=50, rate=Schedule(0.05))
    )
    trainer.run(50)
    assert trainer.projected == 0


def test_the_multivariate_gaussian_is_fitted_by_the_inverse_covariance():
    """``diag(1/v) - J = C^-1`` and ``b = C^-1 m`` at the maximum, and its likelihood is the sample's.

    ``log p(x) = - (1/2) ln det(2 pi C) - (1/2) (x - m) C^-1 (x - m)``; here relative to the prior's
    normalisation, ``log Z = (1/2) ln det(C) - (1/2) sum ln v_i + (1/2) m C^-1 m``.
    """
    loaded = family(WITHIN)
    rng = np.random.default_rng(8)
    mix = np.eye(4) + 0.15 * rng.normal(size=(4, 4))
    x = rng.normal(size=(200, 4)) @ mix + np.array([0.5, -1.0, 0.2, 0.0])
    recipe = Recipe(method="exact", updates=700, rate=Schedule(0.05), optimiser=Optimiser("momentum"))
    trainer = trainer_at(loaded, loaded.params(3), {"s": x}, recipe)
    trainer.run(recipe.updates)
    m, C = x.mean(axis=0), np.cov(x.T, bias=True)
    P = np.linalg.inv(C)
    found = matrix(loaded, trainer.params)
    np.testing.assert_allclose(found, P, rtol=0, atol=1e-6 * np.abs(P).max())
    np.testing.assert_allclose(trainer.params.arrays["b"][0], P @ m, rtol=0, atol=1e-5)
    log_z = enumerate_states(loaded.hamiltonian, trainer.params, loaded.coefficients([1.0])).log_z[0]
    wanted = np.linalg.slogdet(C)[1] - np.log(trainer.params.arrays["v"]).sum() + m @ P @ m
    assert log_z == pytest.approx(0.5 * wanted, rel=1e-6)

"""Optimisers, schedules, clipping and penalties in closed form, on one or two numbers."""

import numpy as np
import pytest
from learning_models import declared
from trained_problems import trainer_at, with_values

from physebm.learning.optimisers import Optimiser, Schedule, clipped, penalised
from physebm.learning.recipe import Recipe


def path(optimiser, gradient, rates, start=2.0):
    """Positions after every update of one number x in the gradient ``gradient(x, update)``."""
    x = np.array([start])
    state, found = optimiser.start({"x": x}), []
    for update, rate in enumerate(rates, start=1):
        direction, factor = optimiser.step(
            state, {"x": np.array([gradient(x[0], update)])}, rate, update
        )
        x = x + factor * direction["x"]
        found.append(x[0])
    return np.array(found)


def test_sgd_falls_geometrically_in_a_parabola():
    """``L = - k (x - c)^2 / 2``: the distance from c shrinks by ``1 - rate k`` per update."""
    k, c, rate, n = 0.7, -1.3, 0.2, np.arange(1, 31)
    found = path(Optimiser("sgd"), lambda x, _: -k * (x - c), [rate] * 30)
    np.testing.assert_allclose(found, c + (2.0 - c) * (1.0 - rate * k) ** n, rtol=1e-13)


def test_momentum_is_a_damped_oscillator():
    """``m' = mu m + g, x' = x + rate m'``: x_n obeys ``x'' = (1 + mu - rate k) x' - mu x``.

    Its roots are complex here, of modulus sqrt(mu).
    """
    k, rate, mu, n = 0.7, 0.2, 0.8, np.arange(1, 41)
    found = path(Optimiser("momentum", momentum=mu), lambda x, _: -k * x, [rate] * 40)
    half = 0.5 * (1.0 + mu - rate * k)
    angle = np.arccos(half / np.sqrt(mu))
    # x_0 = 2, x_1 = 2 (1 - rate k)
    second = (2.0 * (1.0 - rate * k) / np.sqrt(mu) - 2.0 * np.cos(angle)) / np.sin(angle)
    wave = 2.0 * np.cos(angle * n) + second * np.sin(angle * n)
    np.testing.assert_allclose(found, np.sqrt(mu) ** n * wave, rtol=1e-11, atol=1e-14)


def test_momentum_in_a_constant_gradient_gains_speed_up_to_its_limit():
    steps = np.diff(path(Optimiser("momentum"), lambda *_: 3.0, [0.1] * 300), prepend=2.0)
    n = np.arange(1, 301)
    np.testing.assert_allclose(steps, 0.1 * 3.0 * (1.0 - 0.9**n) / (1.0 - 0.9), rtol=1e-11)


@pytest.mark.parametrize("size", [1e-6, 0.3, 1e5])
def test_adam_makes_steps_of_one_rate_in_a_constant_gradient(size):
    """Both averages are corrected for their start: ``m = g`` and ``sqrt v = |g|`` from update 1 on."""
    for g in (size, -size):
        steps = np.diff(path(Optimiser("adam"), lambda *_, g=g: g, [0.05] * 20), prepend=2.0)
        np.testing.assert_allclose(steps, 0.05 * g / (size + 1e-8), rtol=1e-12)


def test_adam_in_an_alternating_gradient():
    """``g_n = (-1)^n``: v = 1, and m = ``(1 - b1) sum_s b1^(n-s) (-1)^s`` over ``1 - b1^n``."""
    b1, b2, n = 0.8, 0.95, np.arange(1, 16)
    rule = Optimiser("adam", beta1=b1, beta2=b2, epsilon=1e-3)
    steps = np.diff(path(rule, lambda _, update: (-1.0) ** update, [0.1] * 15), prepend=2.0)
    first = (1.0 - b1) * ((-1.0) ** n - b1**n) / (1.0 + b1) / (1.0 - b1**n)
    np.testing.assert_allclose(steps, 0.1 * first / (1.0 + 1e-3), rtol=1e-11)


def test_adam_remembers_a_large_gradient_by_its_square():
    """``g = 1, 0, 0, ...``: ``m = b1^(n-1) (1 - b1)`` and ``v = b2^(n-1) (1 - b2)``, corrected."""
    n = np.arange(1, 12)
    steps = np.diff(path(Optimiser("adam"), lambda _, u: float(u == 1), [0.1] * 11), prepend=2.0)
    m = 0.9 ** (n - 1) * 0.1 / (1.0 - 0.9**n)
    v = 0.999 ** (n - 1) * 0.001 / (1.0 - 0.999**n)
    np.testing.assert_allclose(steps, 0.1 * m / (np.sqrt(v) + 1e-8), rtol=1e-11)


def test_schedules():
    rates = {
        "constant": Schedule(0.3),
        "linear": Schedule(0.3, 0.1, "linear"),
        "exponential": Schedule(0.4, 0.001, "exponential"),
        "power": Schedule(0.3, kind="power", half=10.0, power=2.0),
    }
    assert [rates["constant"].rate(u, 11) for u in (1, 7, 11)] == [0.3, 0.3, 0.3]
    assert [rates["linear"].rate(u, 11) for u in (1, 6, 11)] == pytest.approx([0.3, 0.2, 0.1])
    ends = [rates["exponential"].rate(u, 11) for u in (1, 6, 11)]
    assert ends == pytest.approx([0.4, 0.02, 0.001])
    steps = np.array([rates["exponential"].rate(u, 11) for u in range(1, 12)])
    np.testing.assert_allclose(steps[1:] / steps[:-1], (0.001 / 0.4) ** 0.1)
    assert [rates["power"].rate(u, 50) for u in (1, 11, 31)] == pytest.approx([0.3, 0.075, 0.01875])
    # one update alone is made at the first rate
    assert [schedule.rate(1, 1) for schedule in rates.values()] == [0.3, 0.3, 0.4, 0.3]


def test_clipping_shortens_the_whole_gradient_and_keeps_its_direction():
    gradient = {"a": np.array([3.0, 0.0]), "b": np.array([[0.0], [-4.0]])}
    short = clipped(gradient, 2.5)
    np.testing.assert_allclose(short["a"], [1.5, 0.0], rtol=1e-15)
    np.testing.assert_allclose(short["b"], [[0.0], [-2.0]], rtol=1e-15)
    for limit in (5.0, 7.0, None):
        for slot, g in clipped(gradient, limit).items():
            np.testing.assert_array_equal(g, gradient[slot])
    np.testing.assert_array_equal(clipped({"a": np.zeros(2)}, 1.0)["a"], 0.0)


def test_penalties_on_chosen_arrays():
    gradient = {"a": np.zeros(3), "b": np.ones(2)}
    arrays = {"a": np.array([2.0, 0.0, -0.5]), "b": np.array([1.0, -3.0])}
    found = penalised(gradient, arrays, {"a": 0.1}, {"a": 0.2, "b": 0.5})
    np.testing.assert_allclose(found["a"], [-0.5, 0.0, 0.2], rtol=1e-15)
    np.testing.assert_allclose(found["b"], [0.5, 2.5], rtol=1e-15)
    np.testing.assert_array_equal(gradient["a"], 0.0)


UNITS = """
[units]
x = { prior = "gaussian", variance = 0.5, shape = 3, visible = true }
[arrays]
b = { law = "normal", std = 1, shape = 3, trainable = true }
[[terms]]
field = "x"
h = "b"
"""


def fitted(**recipe):
    """Fields of three Gaussian units of variance 0.5 fitted to the means 1.2, -0.4, 0.02."""
    loaded = declared(UNITS)
    x = np.array([1.2, -0.4, 0.02]) + np.array([[0.3], [-0.3]])
    recipe = Recipe(**{"method": "exact", "updates": 400, "initial_fields": "declared", **recipe})
    trainer = trainer_at(loaded, with_values(loaded, {"b": np.ones(3)}), {"x": x}, recipe)
    trainer.run(recipe.updates)
    return trainer


def test_a_ridge_shrinks_the_maximum():
    """``d/db [b m - v b^2 / 2 - l2 b^2 / 2] = 0`` at ``b = m / (v + l2)``."""
    m = np.array([1.2, -0.4, 0.02])
    for l2 in (0.0, 0.3):
        found = fitted(rate=Schedule(0.5), l2={"b": l2}).params.arrays["b"][0]
        np.testing.assert_allclose(found, m / (0.5 + l2), rtol=1e-12)


def test_an_absolute_penalty_thresholds_the_maximum():
    """``b = sign(m) (|m| - l1) / v``, 0 where ``|m| < l1``: there the sign flips at every update."""
    rate = Schedule(0.2, 1e-4, "exponential")
    found = fitted(updates=2000, rate=rate, l1={"b": 0.1}).params.arrays["b"][0]
    np.testing.assert_allclose(found[:2], [2.2, -0.6], rtol=1e-8)
    assert abs(found[2]) <= 2e-5


def test_the_trainer_reports_rate_and_norm_before_clipping():
    trainer = fitted(rate=Schedule(0.2, 0.1, "linear"), updates=1, clip=0.05)
    g = np.array([1.2, -0.4, 0.02]) - 0.5
    assert trainer.info.rate == 0.2
    assert trainer.info.gradient_norm == pytest.approx(np.linalg.norm(g), rel=1e-12)
    step = trainer.params.arrays["b"][0] - 1.0
    np.testing.assert_allclose(step, 0.2 * 0.05 * g / np.linalg.norm(g), rtol=1e-10)
    trainer = fitted(rate=Schedule(0.2, 0.1, "linear"), updates=11)
    assert trainer.info.rate == pytest.approx(0.1, rel=1e-12)


def test_variances_move_in_their_logarithm():
    """``d/d log v`` of ``- log v / 2 - <x^2> / (2 v)``: one step multiplies v by ``exp(rate g v)``."""
    text = UNITS.replace("variance = 0.5", 'variance = "v"').replace(
        "[arrays]", '[arrays]\nv = { law = "uniform", low = 1, high = 2, shape = 3, trainable = true }'
    )
    loaded = declared(text)
    x = np.array([[1.0, 2.0, 0.1], [-1.0, -2.0, -0.1]])
    v = np.array([0.5, 1.5, 3.0])
    start = with_values(loaded, {"v": v, "b": np.zeros(3)})
    recipe = Recipe(method="exact", updates=300, rate=Schedule(0.3), initial_fields="declared")
    trainer = trainer_at(loaded, start, {"x": x}, recipe)
    trainer.run(1)
    second = (x**2).mean(axis=0)
    expected = v * np.exp(0.3 * 0.5 * (second / v - 1.0))
    np.testing.assert_allclose(trainer.params.arrays["v"][0], expected, rtol=1e-13)
    trainer.run(300)
    np.testing.assert_allclose(trainer.params.arrays["v"][0], second, rtol=1e-10)

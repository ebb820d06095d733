"""The models that ship: all there, readable, resolvable and of the right scale."""

import math
from pathlib import Path

import pytest

from physebm.schema.model_file import read_models

ZOO = read_models(Path(__file__).parents[2] / "models.toml")
NAMES = """curie_weiss ising_chain ising_2d ising_triangular ising_3d random_field_ising_3d
edwards_anderson_2d edwards_anderson_3d edwards_anderson_2d_gaussian edwards_anderson_3d_gaussian sk
random_regular_spin_glass p_spin potts_2d hopfield hopfield_gaussian boltzmann_machine
potts_machine rbm rbm_ising_hidden rbm_gaussian_hidden rbm_truncated_gaussian_hidden
rbm_potts_hidden rbm_gaussian_visible deep_boltzmann_machine gaussian_mixture""".split()


def test_the_zoo_is_complete():
    assert sorted(ZOO) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_model_has_title_source_and_a_small_instance(name):
    model = ZOO[name]
    assert model.title and model.source and model.small
    values = model.values(model.small)
    discrete = sum(
        math.prod(size.integer(values) for size in unit.shape)
        for unit in model.units.values()
        if unit.prior in ("ising", "bernoulli", "potts")
    )
    assert 1 <= discrete <= 12


@pytest.mark.parametrize("name", NAMES)
def test_every_size_and_law_has_a_value_at_the_defaults(name):
    model = ZOO[name]
    env = model.values() | {"T": 1.0, "beta": 1.0}
    for array in model.arrays.values():
        assert all(size.name == "edges" or size.integer(env) > 0 for size in array.shape)
        assert all(math.isfinite(option.value(env)) for option in array.expressions)


def test_couplings_have_the_scales_of_the_literature():
    def std(name, **overrides):
        model = ZOO[name]
        env = model.values()
        return model.arrays["J"].std.value(env), env["N"]

    value, N = std("sk")
    assert value**2 == pytest.approx(1 / N, rel=1e-14)
    value, N = std("p_spin")
    assert value**2 == pytest.approx(math.factorial(3) / (2 * N**2), rel=1e-14)
    curie_weiss = ZOO["curie_weiss"]
    env = curie_weiss.values()
    assert curie_weiss.terms[0].J.value(env) == pytest.approx(1 / env["N"], rel=1e-14)
    hopfield = ZOO["hopfield"]
    assert hopfield.terms[0].scale.value(hopfield.values()) == pytest.approx(1 / 1000, rel=1e-14)
    assert hopfield.values()["P"] == 50


def test_the_gaussian_form_of_hopfield_has_the_variance_and_scale_of_hubbard_stratonovich():
    model = ZOO["hopfield_gaussian"]
    variance, scale = model.units["z"].variance, model.terms[0].scale
    for T in (0.3, 1.0, 2.5):
        env = model.values() | {"T": T, "beta": 1 / T}
        # Gamma = variance theta^2 / 2 at theta = beta scale (xi.s) must be beta (xi.s)^2 / (2 N).
        coefficient = variance.value(env) * (scale.value(env) / T) ** 2 / 2
        assert coefficient == pytest.approx(1 / (T * 2 * env["N"]), rel=1e-13)

"""The rewrites against the energy definition: by enumeration, quadrature and closed forms."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from lowering_models import (
    BETAS,
    coefficients,
    cubic,
    enumerate_states,
    fixed,
    low_rank_model,
    plain,
    potentials,
)
from scipy.special import logsumexp, softmax

from physebm.errors import ModelFileError
from physebm.lowering.rewrite import (
    hubbard_stratonovich,
    hubbard_stratonovich_constant,
    marginalise,
)
from physebm.model.energy import energy_derivatives, term_energies
from physebm.model.hamiltonian import Group, Hamiltonian, Slot
from physebm.model.params import Params, validate
from physebm.model.terms import AllPairs, Field, LowRank, Pair, Square
from physebm.model.units import Prior, UnitKind
from physebm.schema.load import load
from physebm.schema.model_file import read_models

ZOO = read_models(Path(__file__).parents[2] / "models.toml")
DISCRETE = {
    "ising": dict(kind="ising", shape=(6,), P=2),
    "ising, int8 patterns": dict(kind="ising", shape=(5,), P=3, binary=True),
    "ising on a 2 x 3 grid": dict(kind="ising", shape=(2, 3), P=1),
    "ising, scale ~ T^-2": dict(kind="ising", shape=(4,), P=2, jet=cubic(0.2)),
    "bernoulli": dict(kind="bernoulli", shape=(6,), P=2),
    "bernoulli on a grid, scale ~ T^-2": dict(kind="bernoulli", shape=(2, 2), P=5, jet=cubic(0.3)),
    "potts": dict(kind="potts", shape=(4,), P=2, q=3),
    "potts on a 2 x 2 grid": dict(kind="potts", shape=(2, 2), P=1, q=4),
}


@pytest.mark.parametrize("options", DISCRETE.values(), ids=DISCRETE.keys())
@pytest.mark.parametrize("seed", range(3))
def test_the_transformed_units_keep_their_distribution_and_log_z(options, seed):
    model = low_rank_model(**options, seed=seed)
    constant = hubbard_stratonovich_constant(*model, 1)
    joint = hubbard_stratonovich(*model, 1, "z")
    validate(joint[0], joint[1])
    marginal = marginalise(*joint, "z")
    states = enumerate_states(model[0])
    for instance in range(2):
        before, after = potentials(model, states, instance), potentials(marginal, states, instance)
        # every single weight, not only the normalised ones: u moves by the documented constant
        np.testing.assert_allclose(after, before - constant[instance], atol=1e-12)
        np.testing.assert_allclose(softmax(-after, axis=0), softmax(-before, axis=0), atol=1e-14)
        log_z = logsumexp(-before, axis=0)
        assert logsumexp(-after, axis=0) == pytest.approx(log_z + constant[instance], abs=1e-12)
    assert np.all((constant > 0) == (options["kind"] == "ising"))


@pytest.mark.parametrize("kind", ["gaussian", "truncated_gaussian"])
def test_continuous_units_keep_their_distribution_and_log_z(kind):
    model = low_rank_model(kind, (3,), 2, seed=4, jet=plain(0.1))
    marginal = marginalise(*hubbard_stratonovich(*model, 1, "z"), "z")
    states = {"s": np.random.default_rng(5).normal(size=(50, 3))}
    for instance in range(2):
        before, after = potentials(model, states, instance), potentials(marginal, states, instance)
        np.testing.assert_allclose(after, before, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", ["ising", "bernoulli", "gaussian"])
def test_unit_weights_need_no_new_array(kind):
    hamiltonian, params, table = low_rank_model(kind, (4,), 1, seed=2)
    model = (
        replace(hamiltonian, terms=(Field("s", "h"), LowRank("s"), *hamiltonian.terms[2:])),
        params,
        table,
    )
    joint = hubbard_stratonovich(*model, 1, "z")
    assert joint[0].slots == hamiltonian.slots
    marginal = marginalise(*joint, "z")
    if kind == "gaussian":
        states = {"s": np.random.default_rng(1).normal(size=(20, 4))}
    else:
        states = enumerate_states(hamiltonian)
    moved = potentials(model, states, 0) - potentials(marginal, states, 0)
    expected = 0.5 * 4 * table.value[:, 1] if kind == "ising" else np.zeros(3)
    np.testing.assert_allclose(moved, np.broadcast_to(expected, moved.shape), atol=1e-12)
    np.testing.assert_allclose(hubbard_stratonovich_constant(*model, 1)[0], expected, atol=1e-14)


def joint_quadrature(P, width, points):
    """A trapezoid rule over z: spectrally accurate for Gaussians."""
    axis = np.linspace(-width, width, points)
    grid = np.stack(np.meshgrid(*(axis,) * P, indexing="ij"), axis=-1).reshape(-1, P)
    return grid, P * np.log(axis[1] - axis[0])


def averages(model, P, instance):
    """``log Z``, ``<du/dbeta>``, ``Var(du/dbeta) - <d2u/dbeta2>`` by brute force over s and z."""
    spins = enumerate_states(Hamiltonian("s", (model[0].group("s"),), ()))["s"]
    state, cell = {"s": spins}, 0.0
    if P:
        z, cell = joint_quadrature(P, 14.0, 113)
        state = {
            "s": np.repeat(spins, len(z), axis=0),
            "z": np.tile(z, (len(spins), 1)),
        }
    which = np.full(len(state["s"]), instance)
    u = potentials(model, state, instance)
    E = term_energies(model[0], model[1], state, which)
    out = []
    for k in range(model[2].rungs):
        p = softmax(-u[:, k])
        first, second = energy_derivatives(model[0], model[2], E, np.full(len(E), k))
        mean = p @ first
        out.append((logsumexp(-u[:, k]) + cell, mean, p @ (first - mean) ** 2 - p @ second))
    return np.array(out).T


@pytest.mark.parametrize("P", [1, 2])
def test_joint_energies_of_hopfield_are_lower_by_half_a_unit_per_pattern(P):
    model = low_rank_model("ising", (4,), P, seed=7, binary=True)
    joint = hubbard_stratonovich(*model, 1, "z")
    for instance in range(2):
        log_z, first, heat = averages(model, 0, instance)
        joint_log_z, joint_first, joint_heat = averages(joint, P, instance)
        # c = beta/N and sum xi^2 = N P: Z_joint = exp(beta P / 2) Z
        np.testing.assert_allclose(joint_log_z, log_z + 0.5 * BETAS * P, atol=1e-11)
        np.testing.assert_allclose(joint_first, first - 0.5 * P, atol=1e-11)
        np.testing.assert_allclose(joint_heat, heat, atol=1e-10)


def test_energies_follow_a_temperature_dependent_scale():
    model = low_rank_model("ising", (4,), 1, seed=8, jet=cubic(0.15))
    joint = hubbard_stratonovich(*model, 1, "z")
    squares = np.sum(model[1].arrays["xi"][1] ** 2)
    before, after = averages(model, 0, 1), averages(joint, 1, 1)
    # log Z grows by (c/2) sum xi^2 with c = 0.15 beta^3
    np.testing.assert_allclose(after[0], before[0] + 0.075 * squares * BETAS**3, atol=1e-11)
    np.testing.assert_allclose(after[1], before[1] - 0.225 * squares * BETAS**2, atol=1e-10)
    np.testing.assert_allclose(after[2], before[2] + 0.45 * squares * BETAS, atol=1e-9)


def test_the_derivatives_of_the_coupling_are_those_of_its_value():
    step = 1e-4
    betas = np.concatenate([BETAS - step, BETAS, BETAS + step])

    def jet(b):
        """``c = beta (0.2 + 0.1 / beta^2)``."""
        return 0.2 * b + 0.1 / b, 0.2 - 0.1 / b**2, 0.2 / b**3

    hamiltonian, params, _ = low_rank_model("ising", (3,), 1)
    table = coefficients(betas, plain(1.0), jet)
    new = hubbard_stratonovich(hamiltonian, params, table, 1, "z")[2]
    below, at, above = new.value[:, 1].reshape(3, 3)
    np.testing.assert_allclose(new.first[3:6, 1], (above - below) / (2 * step), rtol=1e-6)
    np.testing.assert_allclose(
        new.second[3:6, 1], (above - 2 * at + below) / step**2, rtol=1e-4, atol=1e-6
    )


def test_the_transformed_hopfield_model_is_the_declared_gaussian_form():
    small = {"N": 6, "P": 2}
    temperatures = [0.2, 0.7, 1.0, 2.5]
    plain_form, gaussian = load(ZOO["hopfield"], small), load(ZOO["hopfield_gaussian"], small)
    params = plain_form.params(seed=3)
    made = hubbard_stratonovich(
        plain_form.hamiltonian, params, plain_form.coefficients(temperatures), 0, "z"
    )
    assert replace(made[0], name=gaussian.hamiltonian.name) == gaussian.hamiltonian
    declared = gaussian.params(seed=3)
    np.testing.assert_array_equal(made[1].arrays["xi"], declared.arrays["xi"])
    table = gaussian.coefficients(temperatures)
    for name in ("beta", "value", "first", "second"):
        np.testing.assert_allclose(getattr(made[2], name), getattr(table, name), rtol=1e-14, atol=1e-14)


def test_other_terms_keep_their_index_and_units_their_count():
    hamiltonian, params, table = low_rank_model("bernoulli", (5,), 2)
    made, arrays, new = hubbard_stratonovich(hamiltonian, params, table, 1, "z")
    assert made.terms == (
        Field("s", "h"),
        Pair("z", "s", AllPairs(), "xi"),
        Field("s", "xi_diagonal"),
        Square("z"),
    )
    assert made.counted_units == hamiltonian.counted_units == 5
    assert made.slot("xi_diagonal") == Slot("xi_diagonal", (5,), quenched=True)
    assert arrays.arrays["xi_diagonal"].shape == (2, 5)
    np.testing.assert_array_equal(new.value[:, 0], table.value[:, 0])
    np.testing.assert_array_equal(new.value[:, 3], BETAS)


def test_two_low_rank_terms_are_transformed_one_after_the_other():
    hamiltonian, params, _ = low_rank_model("bernoulli", (4,), 2, seed=1)
    two = replace(hamiltonian, terms=(LowRank("s", "xi"), LowRank("s", "xi")))
    model = (two, params, coefficients(BETAS, plain(0.2), fixed(0.3)))
    once = marginalise(*hubbard_stratonovich(*model, 0, "y"), "y")
    both = marginalise(*hubbard_stratonovich(*once, 1, "z"), "z")
    states = enumerate_states(two)
    np.testing.assert_allclose(potentials(both, states, 1), potentials(model, states, 1), atol=1e-12)


@pytest.mark.parametrize("kind,q", [("ising", 0), ("bernoulli", 0), ("potts", 3)])
def test_a_discrete_layer_is_summed_out_exactly(kind, q):
    rng = np.random.default_rng(3)
    states = kind == "potts"
    tail = (q,) if q else ()
    hamiltonian = Hamiltonian(
        "toy",
        (Group("v", Prior(UnitKind.ISING), (4,), True), Group("h", Prior(UnitKind(kind), q), (3,))),
        (Pair("v", "h", AllPairs(), "W", states), Field("h", "b"), Field("v", "a")),
        (Slot("W", (4, 3, *tail)), Slot("b", (3, *tail)), Slot("a", (4,))),
    )
    params = Params({s.name: rng.normal(size=(1, *s.shape)) for s in hamiltonian.slots})
    model = (hamiltonian, params, coefficients(BETAS, plain(1.0), plain(0.5), plain(1.0)))
    all_states = enumerate_states(hamiltonian)
    u = potentials(model, all_states, 0)
    marginal = marginalise(*model, "h")
    left = enumerate_states(marginal[0])
    summed = -logsumexp(-u.reshape(len(left["v"]), -1, len(BETAS)), axis=1)
    np.testing.assert_allclose(potentials(marginal, left, 0), summed, atol=1e-12)
    assert marginalise(*marginal, "h") == marginal


def test_an_imaginary_field_is_refused():
    hamiltonian, params, _ = low_rank_model("ising", (4,), 2)
    for scale in (-0.2, 0.0):
        table = coefficients(BETAS, plain(1.0), plain(scale))
        with pytest.raises(ModelFileError, match="imaginary field"):
            hubbard_stratonovich(hamiltonian, params, table, 1, "z")


def test_what_cannot_be_transformed_is_refused_with_the_reason():
    model = low_rank_model("bernoulli", (4,), 2)
    with pytest.raises(ModelFileError, match="a low-rank term"):
        hubbard_stratonovich(*model, 0, "z")
    with pytest.raises(ModelFileError, match="name is taken"):
        hubbard_stratonovich(*model, 1, "s")
    slots = (Slot("h", (4,)), Slot("xi", (2, 4), trainable=True))
    with pytest.raises(ModelFileError, match="training would leave behind"):
        hubbard_stratonovich(replace(model[0], slots=slots), *model[1:], 1, "z")


def test_layers_that_do_not_factorise_are_refused_with_the_reason():
    model = low_rank_model("ising", (4,), 2)
    with pytest.raises(ModelFileError, match=r"couples them to each other[\s\S]*does not factorise"):
        marginalise(*model, "s")
    joint = hubbard_stratonovich(*model, 1, "z")
    with pytest.raises(ModelFileError, match="units of z, which are summed out too"):
        marginalise(*marginalise(*joint, "z"), "s")
    with pytest.raises(ModelFileError, match="did you mean z"):
        marginalise(*joint, "zz")


def test_a_layer_without_a_normalisable_weight_is_not_summed_out():
    hamiltonian = Hamiltonian(
        "toy",
        (Group("s", Prior(UnitKind.ISING), (2,)), Group("z", Prior(UnitKind.GAUSSIAN), (2,))),
        (Pair("s", "z", AllPairs()), Square("z"), Square("z")),
    )
    table = coefficients([0.5, 2.0], plain(1.0), fixed(1.0), plain(-1.0))
    with pytest.raises(ModelFileError, match=r"precision -1 of unit 0 at T = 0\.5"):
        marginalise(hamiltonian, Params(), table, "z")
    marginalise(hamiltonian, Params(), table.take([0]), "z")

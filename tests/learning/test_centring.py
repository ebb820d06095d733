"""The centred gradient: another direction to the same maximum, the same for either name of a state."""

import numpy as np
import pytest
from learning_models import declared, family, some_visibles
from trained_problems import exact_gradient, trainer_at

from physebm.errors import LoweringError
from physebm.free_energy.exact import exact_averages, summed_out
from physebm.learning.centring import CentredAverages, check_centred, field_slots, uncentred
from physebm.learning.optimisers import Optimiser, Schedule
from physebm.learning.recipe import Recipe
from physebm.model.conditionals import Conditionals
from physebm.model.roles import visible_groups
from physebm.model.statistics import RowAverages, statistics

LATTICE = """
[units]
s = { prior = "bernoulli", shape = [3, 3], visible = true }
[arrays]
J = { law = "normal", std = 0.8, shape = [2, 3, 3], trainable = true }
b = { law = "normal", std = 0.5, shape = [3, 3], trainable = true }
[[terms]]
couple = ["s", "s"]
on = { lattice = "square" }
J = "J"
scale = 0.7
[[terms]]
field = "s"
h = "b"
scale = 1.3
"""
MACHINE = """
[units]
s = { prior = "bernoulli", shape = 5, visible = true }
[arrays]
J = { law = "normal", std = 0.9, shape = [5, 5], trainable = true }
b = { law = "normal", std = 0.7, shape = 5, trainable = true }
[[terms]]
couple = ["s", "s"]
J = "J"
scale = 0.7
[[terms]]
field = "s"
h = "b"
scale = 1.3
"""
DISCRETE = [
    "boltzmann machine",
    "potts machine",
    "bernoulli x bernoulli",
    "ising x gaussian",
    "bernoulli x truncated_gaussian",
    "potts x bernoulli",
    "ising x potts",
    "lattice of bernoulli units",
]


def some_model(name):
    return declared(LATTICE) if "lattice of" in name else family(name)


def all_visible_states(loaded):
    (name,) = visible_groups(loaded.hamiltonian)
    group = loaded.hamiltonian.group(name)
    states = np.array(group.prior.states)
    index = np.indices((len(states),) * group.size).reshape(group.size, -1).T
    return {name: states[index]}


def log_p(loaded, params, v):
    """``log p(v)`` of a machine with at most one hidden layer, up to a constant."""
    H, c = loaded.hamiltonian, loaded.coefficients([1.0])
    conditionals = Conditionals(H, c.value[0], params)
    known = conditionals.states(v)
    total = -conditionals.energy(known)
    for group in H.groups:
        if group.name not in v:
            field = conditionals.field(group.name, known)
            total = total + conditionals.log_normaliser(group.name, field)
    return total


def probabilities(loaded, params, v):
    values = log_p(loaded, params, v)
    return np.exp(values - np.logaddexp.reduce(values))


def stepped(loaded, params, data, updates=1, weights=None, rate=0.1, **recipe):
    recipe = Recipe(
        **{
            "method": "exact",
            "updates": updates,
            "rate": Schedule(rate),
            "initial_fields": "declared",
            **recipe,
        }
    )
    trainer = trainer_at(loaded, params, data, recipe, weights)
    trainer.run(updates)
    return trainer


@pytest.mark.parametrize("name", DISCRETE)
def test_zero_offsets_are_the_plain_gradient_to_the_last_bit(name):
    loaded = some_model(name)
    H, params, c = loaded.hamiltonian, loaded.params(3), loaded.coefficients([1.0])
    slots = [slot.name for slot in H.slots]
    zero = {g.name: np.zeros((g.size, g.prior.features)) for g in H.groups}
    averages = exact_averages(summed_out(H), params, c)
    plain = statistics(H, params, averages, c.value[0], slots)
    centred = statistics(H, params, CentredAverages(averages, H, zero), c.value[0], slots)
    back = uncentred(plain, Conditionals(H, c.value[0], params), zero)
    for slot in slots:
        np.testing.assert_array_equal(centred[slot], plain[slot])
        np.testing.assert_array_equal(back[slot], plain[slot])


def test_data_without_means_leave_the_training_plain():
    """Every vector with its mirror image, on a machine without fields: all offsets are 0."""
    loaded = family("ising x ising")
    params = loaded.params(3)
    params = params.with_arrays(v_h=np.zeros((1, 4)), h_h=np.zeros((1, 3)))
    x = some_visibles(loaded, 6)["v"]
    data = {"v": np.concatenate([x, -x])}
    plain = stepped(loaded, params, data, 5)
    centred = stepped(loaded, params, data, 5, centred=True)
    for slot in plain.slots:
        np.testing.assert_allclose(
            centred.params.arrays[slot], plain.params.arrays[slot], rtol=0, atol=1e-15
        )
    assert np.abs(plain.params.arrays["W"] - params.arrays["W"]).max() > 1e-3


@pytest.mark.parametrize("name", DISCRETE)
@pytest.mark.parametrize("centred", [False, True])
def test_the_stationary_point_is_the_same(name, centred):
    """A model on its own distribution does not move."""
    loaded = some_model(name)
    params, v = loaded.params(3), all_visible_states(loaded)
    trainer = stepped(
        loaded, params, v, rate=1.0, weights=probabilities(loaded, params, v), centred=centred
    )
    for slot in trainer.slots:
        np.testing.assert_allclose(trainer.params.arrays[slot], params.arrays[slot], rtol=0, atol=2e-14)


def means(loaded, params, data):
    """Mean features of all groups under the data, as ``[unit * feature]``."""
    H, c = loaded.hamiltonian, loaded.coefficients([1.0]).value[0]
    conditionals = Conditionals(H, c, params)
    known = conditionals.states(data)
    for group in H.groups:
        if group.name not in data:
            field = conditionals.field(group.name, known)
            known[group.name] = conditionals.moments(group.name, field)
    averages = RowAverages(H, known)
    return {g.name: averages.mean(g.name).ravel() for g in H.groups}


@pytest.mark.parametrize("name", ["bernoulli x bernoulli", "ising x gaussian"])
def test_the_direction_is_steepest_in_the_centred_variables(name):
    """With ``h~_i = h_i + (c_J / c_h) sum_j J_ij mu_j``, by the chain rule from the plain gradient:

    dL/dJ_ij at fixed h~ = g_ij - (c_J / c_h) (mu_j g_i + mu_i g_j),
    dh_i = dh~_i - (c_J / c_h) sum_j mu_j dJ_ij.
    """
    loaded = some_model(name)
    params, data = loaded.params(3), some_visibles(loaded, 6)
    mu, g = means(loaded, params, data), exact_gradient(loaded, params, data)
    ratio = 0.7 / 1.3
    one, two = np.outer(g["v_h"], mu["h"]), np.outer(mu["v"], g["h_h"])
    dJ = g["W"] - ratio * (one + two)
    wanted = {
        "W": dJ,
        "v_h": g["v_h"] - ratio * dJ @ mu["h"],
        "h_h": g["h_h"] - ratio * mu["v"] @ dJ,
    }
    trainer = stepped(loaded, params, data, centred=True)
    for slot, step in wanted.items():
        found = (trainer.params.arrays[slot] - params.arrays[slot])[0] / 0.1
        np.testing.assert_allclose(found, step, rtol=1e-10, atol=1e-12)
    assert np.abs(wanted["W"] - g["W"]).max() > 0.05


@pytest.mark.parametrize("name", ["boltzmann machine", "lattice of bernoulli units", "potts machine"])
def test_the_direction_within_one_group(name):
    """The same where both ends of a coupling belong to one group, from the couplings' matrix."""
    loaded = some_model(name)
    params, data = loaded.params(3), some_visibles(loaded, 6)
    H, c = loaded.hamiltonian, loaded.coefficients([1.0]).value[0]
    mu, g = means(loaded, params, data)["s"], exact_gradient(loaded, params, data)
    (t, slot) = field_slots(H)["s"]
    trainer = stepped(loaded, params, data, centred=True)
    moved = trainer.params.with_arrays(
        **{s: trainer.params.arrays[s] - params.arrays[s] for s in trainer.slots}
    )
    dJ = Conditionals(H, c, moved).operator(0)
    dJ = dJ.toarray() if hasattr(dJ, "toarray") else dJ
    dh = moved.arrays[slot][0].ravel() / 0.1
    np.testing.assert_allclose(dh, g[slot].ravel() - dJ @ mu / (0.1 * c[t]), rtol=1e-9, atol=1e-12)
    # plain couplings' gradient as a matrix, and its centred form where there is a bond
    plain = Conditionals(H, c, params.with_arrays(J=g["J"][None])).operator(0)
    plain = plain.toarray() if hasattr(plain, "toarray") else plain
    pull = np.outer(g[slot].ravel(), mu)
    wanted = plain - c[0] ** 2 / c[t] * (pull + pull.T)
    bonds = np.abs(plain) > 0
    assert bonds.any()
    if name == "lattice of bernoulli units":
        assert bonds.sum() == 36
    np.testing.assert_allclose(dJ[bonds] / 0.1, wanted[bonds], rtol=1e-9, atol=1e-12)


def flipped(loaded, params, flips):
    """The model of ``x' = 1 - x`` for the flipped 0/1 units: the same distribution, other arrays.

    With ``x = f + s x'``: ``J'_ij = s_i s_j J_ij`` and ``c h'_i = s_i (c h_i + c_J sum_j J_ij f_j)``.
    """
    H, c = loaded.hamiltonian, loaded.coefficients([1.0]).value[0]
    f = {name: x.astype(float) for name, x in flips.items()}
    s = {name: 1.0 - 2.0 * x for name, x in f.items()}
    (t, pair), *_ = [(t, term) for t, term in enumerate(H.terms) if hasattr(term, "J")]
    J = params.arrays[pair.J][0]
    new = {pair.J: s[pair.a][:, None] * s[pair.b] * J}
    for name, (at, slot) in field_slots(H).items():
        pull = np.zeros(len(f[name]))
        if name == pair.a:
            pull = pull + J @ f[pair.b]
        elif name == pair.b:
            pull = pull + f[pair.a] @ J
        new[slot] = s[name] * (params.arrays[slot][0] + c[t] / c[at] * pull)
    return params.with_arrays(**{slot: x[None] for slot, x in new.items()})


TWINS = {
    "machine": {"s": np.array([1, 0, 1, 1, 0])},
    "restricted machine": {"v": np.array([1, 1, 0, 1]), "h": np.array([0, 1, 1])},
}


def twins(name):
    loaded = declared(MACHINE) if name == "machine" else family("bernoulli x bernoulli")
    params, flips = loaded.params(3), TWINS[name]
    (visible,) = visible_groups(loaded.hamiltonian)
    x = some_visibles(loaded, 7)[visible]
    other = np.where(flips[visible], 1 - x, x)
    states = all_visible_states(loaded)[visible]
    mirrored = np.where(flips[visible], 1 - states, states)

    def distance(one, two):
        p = probabilities(loaded, one, {visible: states})
        q = probabilities(loaded, two, {visible: mirrored})
        return np.abs(p / q - 1.0).max()

    return loaded, params, flipped(loaded, params, flips), {visible: x}, {visible: other}, distance


@pytest.mark.parametrize("name", TWINS)
@pytest.mark.parametrize("optimiser", ["sgd", "momentum", "adam"])
def test_the_name_of_a_state_does_not_matter(name, optimiser):
    """A machine of 0/1 units and its twin with some of them flipped stay one distribution.

    Centred gradients of the twin differ in signs alone, which every optimiser carries along; plain ones
    lead elsewhere at the first step.
    """
    loaded, one, two, x, y, distance = twins(name)
    assert distance(one, two) < 1e-13
    recipe = {"optimiser": Optimiser(optimiser), "rate": 0.05}
    for updates in (1, 10):
        first, second = (
            stepped(loaded, params, data, updates, centred=True, **recipe).params
            for params, data in ((one, x), (two, y))
        )
        assert distance(one, second) > 1e-2
        assert distance(first, second) < 1e-11
        first, second = (
            stepped(loaded, params, data, updates, **recipe).params
            for params, data in ((one, x), (two, y))
        )
        assert distance(first, second) > 1e-3


@pytest.mark.parametrize("name", ["boltzmann machine", "bernoulli x bernoulli"])
def test_penalties_have_one_maximum(name):
    """``L - (l2/2) |theta|^2`` with penalised fields too: its maximum does not know of centring."""
    loaded = family(name)
    params, data = loaded.params(3), some_visibles(loaded, 7)
    strengths = {slot.name: 0.1 + 0.1 * n for n, slot in enumerate(loaded.hamiltonian.slots)}
    ends = [
        stepped(
            loaded,
            params,
            data,
            300,
            rate=0.4,
            l2=strengths,
            optimiser=Optimiser("momentum", momentum=0.8),
            centred=centred,
        ).params
        for centred in (False, True)
    ]
    for slot in strengths:
        np.testing.assert_allclose(ends[1].arrays[slot], ends[0].arrays[slot], rtol=0, atol=1e-9)
    assert max(np.abs(ends[0].arrays[slot]).max() for slot in strengths) > 0.1


def test_models_that_cannot_be_centred_are_refused():
    for name, word in (("patterns", "offset"), ("p-spin", "offset"), ("lattice", "trainable field")):
        with pytest.raises(LoweringError, match=word):
            check_centred(family(name).hamiltonian, "train.gradient")


SHARED = """
[units]
v = { prior = "bernoulli", shape = 3, visible = true }
h = { prior = "bernoulli", shape = 3, visible = true }
[arrays]
W = { law = "normal", std = 0.8, shape = [3, 3], trainable = true }
f = { law = "normal", std = 0.7, shape = 3, trainable = true }
[[terms]]
couple = ["v", "h"]
J = "W"
[[terms]]
field = "v"
h = "f"
[[terms]]
field = "h"
h = "f"
"""


def test_a_field_that_two_groups_share_takes_up_no_offset():
    """It cannot follow both: moved for one it would move the other, and the maximum with it."""
    loaded = declared(SHARED)
    assert not field_slots(loaded.hamiltonian)
    with pytest.raises(LoweringError, match="trainable field"):
        check_centred(loaded.hamiltonian, "train.gradient")
    data = some_visibles(loaded, 9)
    data["v"][:6] = 1
    ends = [
        stepped(loaded, loaded.params(3), data, 400, rate=0.3, l2={"W": 0.05}, centred=centred)
        for centred in (False, True)
    ]
    for slot in ("W", "f"):
        one, two = (end.params.arrays[slot] for end in ends)
        np.testing.assert_allclose(one, two, rtol=0, atol=1e-12)

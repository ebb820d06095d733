"""Gauges of Potts couplings: the distribution stays, the gauge's own conditions hold."""

import numpy as np
import pytest
from learning_models import declared, family, rbm

from physebm.errors import LoweringError
from physebm.learning.gauge import GAUGES, check_gauge, fix_gauge, within_gauge
from physebm.model.energy import reduced_potential
from physebm.model.params import validate
from physebm.theory.enumeration import enumerate_states

FIELD = '[[terms]]\nfield = "s"\nh = "b"\nscale = 1.3\n'
FIELD_ARRAY = 'b = { law = "normal", std = 0.4, shape = [6, 3], trainable = true }\n'


def one_group(array, term):
    return f"""
[units]
s = {{ prior = "potts", q = 3, shape = 6, visible = true }}
[arrays]
{array}
{FIELD_ARRAY}[[terms]]
couple = ["s", "s"]
scale = 0.8
{term}
{FIELD}"""


COUPLINGS = '{{ law = "normal", std = 0.5, shape = {shape}, trainable = true }}'

MODELS = {
    "all pairs": one_group("J = " + COUPLINGS.format(shape="[6, 6, 3, 3]"), 'J = "J"'),
    "open chain": one_group(
        "J = " + COUPLINGS.format(shape="[1, 6, 3, 3]"),
        'J = "J"\non = { lattice = "chain", boundary = "open" }',
    ),
    "ring": one_group(
        "J = " + COUPLINGS.format(shape="[1, 6, 3, 3]"), 'J = "J"\non = { lattice = "chain" }'
    ),
    "random graph": one_group(
        "J = " + COUPLINGS.format(shape='["edges", 3, 3]'),
        'J = "J"\non = { graph = "random-regular", degree = 3 }',
    ),
    "patterns": one_group("xi = " + COUPLINGS.format(shape="[2, 6, 3]"), 'patterns = "xi"'),
}

MACHINES = [
    *(f"potts x {h}" for h in ("bernoulli", "ising", "gaussian", "truncated_gaussian", "potts")),
    *(f"{v} x potts" for v in ("bernoulli", "ising", "gaussian")),
]


def some_model(name):
    return declared(MODELS[name]) if name in MODELS else family(name)


def regauged(loaded, params, kind):
    """Params in a gauge."""
    arrays = {slot.name: params.arrays[slot.name][0] for slot in loaded.hamiltonian.slots}
    c = loaded.coefficients([1.0]).value[0]
    fixed = fix_gauge(loaded.hamiltonian, arrays, c, kind, params.edges)
    assert fixed.keys() == arrays.keys()
    new = params.with_arrays(**{name: values[None] for name, values in fixed.items()})
    validate(loaded.hamiltonian, new)
    return new


def joint_states(loaded, rows=200):
    """Random configurations of all groups, hidden ones too."""
    rng = np.random.default_rng(1)
    return {
        g.name: rng.choice(g.prior.states, (rows, g.size))
        if g.prior.discrete
        else rng.normal(1.0, 1.0, (rows, g.size))
        for g in loaded.hamiltonian.groups
    }


@pytest.mark.parametrize("kind", GAUGES)
@pytest.mark.parametrize("name", [*MODELS, *MACHINES])
def test_the_joint_distribution_is_unchanged(name, kind):
    """The potential changes by a constant: so does neither p(v, h) nor p(v)."""
    loaded = some_model(name)
    params, c, states = loaded.params(2), loaded.coefficients([1.0]), joint_states(loaded)
    new = regauged(loaded, params, kind)
    u = reduced_potential(loaded.hamiltonian, params, c, states)[:, 0]
    change = reduced_potential(loaded.hamiltonian, new, c, states)[:, 0] - u
    np.testing.assert_allclose(change, change[0], rtol=0, atol=1e-12)
    assert any(np.abs(new.arrays[s] - params.arrays[s]).max() > 0.1 for s in params.arrays)


@pytest.mark.parametrize("kind", GAUGES)
@pytest.mark.parametrize("name", [*MODELS, "potts x bernoulli", "potts x potts", "ising x potts"])
def test_enumerated_probabilities_are_unchanged(name, kind):
    loaded = some_model(name)
    H, params, c = loaded.hamiltonian, loaded.params(2), loaded.coefficients([1.0])
    before = enumerate_states(H, params, c, probabilities=True).probabilities
    after = enumerate_states(H, regauged(loaded, params, kind), c, probabilities=True).probabilities
    np.testing.assert_allclose(after, before, rtol=1e-11, atol=0)


@pytest.mark.parametrize("name", [*MODELS, *MACHINES])
def test_the_conditions_of_each_gauge_hold(name):
    loaded = some_model(name)
    params = loaded.params(2)
    for kind in GAUGES:
        new = regauged(loaded, params, kind)
        for slot in loaded.hamiltonian.slots:
            values = new.arrays[slot.name][0]
            axes = [axis for axis in range(1, values.ndim) if values.shape[axis] == 3]
            if name in MODELS:
                axes = [axis for axis in axes if axis >= values.ndim - (2 if slot.name == "J" else 1)]
            elif slot.name == "W":
                axes = [axis for axis in axes if axis > 1]
            for axis in axes:
                found = values.mean(axis) if kind == "zero-sum" else values.take(0, axis)
                np.testing.assert_allclose(found, 0.0, atol=1e-14)
            if name in MODELS or slot.name == "W":
                assert axes


@pytest.mark.parametrize("name", [*MODELS, *MACHINES])
def test_a_gauge_is_the_same_from_everywhere_on_its_orbit(name):
    """Fixing twice changes nothing; nor does a detour through the other gauge."""
    loaded = some_model(name)
    params = loaded.params(2)
    for kind, other in (GAUGES, GAUGES[::-1]):
        once = regauged(loaded, params, kind)
        for start in (once, regauged(loaded, params, other)):
            again = regauged(loaded, start, kind)
            for slot, values in once.arrays.items():
                np.testing.assert_allclose(again.arrays[slot], values, atol=1e-14)


@pytest.mark.parametrize("kind", GAUGES)
@pytest.mark.parametrize("name", [*MODELS, *MACHINES])
def test_projections_onto_a_gauge_are_orthogonal(name, kind):
    """P P = P, <x, P y> = <P x, y>, and its image is what fixing the gauge leaves as it is."""
    loaded = some_model(name)
    H, c = loaded.hamiltonian, loaded.coefficients([1.0]).value[0]
    params = loaded.params(2)
    of_x, of_y = ({s: v[0] for s, v in loaded.params(k).arrays.items()} for k in (2, 3))
    along_x, along_y = (within_gauge(H, arrays, kind) for arrays in (of_x, of_y))
    once, again = fix_gauge(H, of_x, c, kind, params.edges), within_gauge(H, along_x, kind)
    stays = fix_gauge(H, along_x, c, kind, params.edges)
    inside = within_gauge(H, once, kind)
    removed = 0.0
    for slot in of_x:
        np.testing.assert_allclose(again[slot], along_x[slot], rtol=0, atol=1e-15)
        np.testing.assert_allclose(stays[slot], along_x[slot], rtol=0, atol=1e-14)
        np.testing.assert_allclose(inside[slot], once[slot], rtol=0, atol=1e-14)
        assert np.vdot(of_x[slot], along_y[slot]) == pytest.approx(np.vdot(along_x[slot], of_y[slot]))
        removed += np.sum((of_x[slot] - along_x[slot]) ** 2)
        if slot in loaded.structure.mirrored:
            np.testing.assert_array_equal(along_x[slot], along_x[slot].transpose(1, 0, 3, 2))
    assert removed > 0.1


def test_the_zero_sum_gauge_has_the_least_square_of_the_couplings():
    loaded = some_model("all pairs")
    params = loaded.params(2)
    size = {kind: np.sum(regauged(loaded, params, kind).arrays["J"] ** 2) for kind in GAUGES}
    assert size["zero-sum"] < np.sum(params.arrays["J"] ** 2)
    assert size["zero-sum"] < size["lattice-gas"]


def test_fields_move_by_the_ratio_of_the_coefficients():
    """Two Potts units, by hand: scale 0.8 on J, 1.3 on h."""
    text = one_group("J = " + COUPLINGS.format(shape="[6, 6, 3, 3]"), 'J = "J"')
    loaded = declared(
        text.replace("shape = 6", "shape = 2").replace("[6, ", "[2, ").replace(", 6,", ", 2,")
    )
    params = loaded.params(2)
    J, b = params.arrays["J"][0], params.arrays["b"][0]
    new = regauged(loaded, params, "zero-sum")
    h = b[0] + 0.8 / 1.3 * J[0, 1].mean(axis=1)
    np.testing.assert_allclose(new.arrays["b"][0, 0], h - h.mean(), atol=1e-14)


def test_arrays_that_are_not_trained_stay():
    """A fixed coupling keeps its gauge, and fields without a trained coupling to states only shift."""
    text = one_group("J = " + COUPLINGS.format(shape="[6, 6, 3, 3]"), 'J = "J"')
    fixed = text.replace("[6, 6, 3, 3], trainable = true", "[6, 6, 3, 3]")
    with pytest.raises(LoweringError, match="nothing to fix"):
        check_gauge(declared(fixed).hamiltonian, "zero-sum", "here")
    loaded = declared(
        fixed.replace(
            "[arrays]",
            '[arrays]\nK = { law = "normal", std = 1, shape = [6, 6, 3, 3], trainable = true }',
        )
        + '[[terms]]\ncouple = ["s", "s"]\nJ = "K"\n'
    )
    params = loaded.params(0)
    new = regauged(loaded, params, "zero-sum")
    np.testing.assert_array_equal(new.arrays["J"], params.arrays["J"])
    assert np.abs(new.arrays["K"] - params.arrays["K"]).max() > 0.1


def test_what_cannot_move_is_refused_with_the_reason():
    loaded = some_model("all pairs")
    with pytest.raises(LoweringError, match="did you mean zero-sum"):
        check_gauge(loaded.hamiltonian, "zerosum", "study.toml: train.gauge")
    text = MODELS["all pairs"]
    bare = declared(text.replace(FIELD, "").replace(FIELD_ARRAY, ""))
    with pytest.raises(LoweringError, match="trainable field of 's'") as caught:
        check_gauge(bare.hamiltonian, "zero-sum", "study.toml: train.gauge")
    assert caught.value.where == "study.toml: train.gauge"
    frozen = declared(text.replace("[6, 3], trainable = true", "[6, 3]"))
    with pytest.raises(LoweringError, match="trainable field of 's'"):
        check_gauge(frozen.hamiltonian, "zero-sum", "here")
    shared = declared(text + '[[terms]]\ncouple = ["s", "s"]\nJ = "J"\n')
    with pytest.raises(LoweringError, match="share the array J"):
        check_gauge(shared.hamiltonian, "zero-sum", "here")
    with pytest.raises(LoweringError, match="nothing to fix"):
        check_gauge(rbm("bernoulli", "ising").hamiltonian, "zero-sum", "here")
    off = declared(text.replace("scale = 1.3", "scale = 0"))
    with pytest.raises(LoweringError, match=r"terms\[1\].scale"):
        regauged(off, off.params(0), "zero-sum")
    # the hidden units' field takes up the part of W; the visible units' own is not needed
    words = """
[units]
v = { prior = "potts", q = 3, shape = 2, visible = true }
h = { prior = "ising", shape = 2 }
[arrays]
W = { law = "normal", std = 1, shape = [2, 2, 3], trainable = true }
g = { law = "normal", std = 1, shape = 2, trainable = true }
[[terms]]
couple = ["v", "h"]
J = "W"
[[terms]]
field = "h"
h = "g"
"""
    check_gauge(declared(words).hamiltonian, "zero-sum", "here")

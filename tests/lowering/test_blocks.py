"""The order of a sweep's blocks: hidden groups first, so that a start on visible units is kept."""

import numpy as np
import pytest
from small_models import bound, loaded

from physebm.lowering.pipeline import lower
from physebm.model.hamiltonian import Group, Hamiltonian, Slot
from physebm.model.terms import AllPairs, Pair
from physebm.model.units import Prior
from physebm.study.models import load_model


def drawn(hamiltonian):
    plan = lower(hamiltonian)
    return [plan.groups[move.group].name for move in plan.moves]


def test_hidden_groups_are_drawn_before_visible_ones():
    assert drawn(load_model("rbm").hamiltonian) == ["h", "v"]
    assert drawn(load_model("deep_boltzmann_machine").hamiltonian) == ["h1", "h2", "v"]


@pytest.mark.parametrize("visible", [(), ("x", "y", "z"), ("z",), ("x", "z")])
def test_the_order_is_the_files_among_hidden_and_among_visible_groups(visible):
    groups = tuple(Group(n, Prior("ising"), (2,), visible=n in visible) for n in "xyz")
    slots = (Slot("A", (2, 2)), Slot("B", (2, 2)))
    terms = (Pair("x", "y", AllPairs(), "A"), Pair("y", "z", AllPairs(), "B"))
    chain = Hamiltonian("chain", groups, terms, slots)
    hidden = [n for n in "xyz" if n not in visible]
    assert drawn(chain) == hidden + [n for n in "xyz" if n in visible]


@pytest.mark.parametrize("backend", ["numba", "reference"])
def test_one_sweep_from_a_visible_pattern_is_one_step_of_contrastive_divergence(backend):
    """Strong couplings: ``h ~ p(h | v)`` copies v, and ``v ~ p(v | h)`` copies it back."""
    declared = loaded("rbm", (("Nv", 4), ("Nh", 4)))
    bias = np.full((1, 4), -100.0)
    params = declared.params(0, 0).with_arrays(W=200.0 * np.eye(4)[None], a=bias, b=bias)
    model = bound(declared, params, "heat-bath", (1.0,))
    lanes = model.lanes(16)
    state = model.random_state(lanes)
    start = state.x["v"].copy()
    assert not np.array_equal(start, state.x["h"])
    kernels = model.kernels(backend)
    kernels.prepare(state, lanes, model.launch)
    kernels.sweep(state, lanes, model.launch, 0, 1)
    assert np.array_equal(state.x["v"], start)
    assert np.array_equal(state.x["h"], start)

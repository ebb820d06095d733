"""Planted mistakes, each seen beyond 8 sigma by the assertion that correct models pass at 4.5.

Swap factors and shared random numbers are planted in ``tests/sampling``.
"""

from dataclasses import replace

import numpy as np
import pytest
from ensemble_runs import Runs, assert_family, by_kernels, exact_of, z_scores
from small_models import Small, small

from physebm.backends.base import launch
from physebm.backends.select import select
from physebm.errors import LoweringError
from physebm.lowering import colour
from physebm.lowering.operands import bind
from physebm.lowering.plan import CHUNK, Order
from physebm.lowering.verify import no_term_within_a_class, verify

TEMPERATURES = (1.0, 2.5)
RUNS = Runs(chains=1000)


def largest(model: Small, backend="numba", plan=None, bound=None) -> float:
    plan, bound = plan or model.plan, bound or model.launch
    advance = by_kernels(select(backend).compile(plan), bound)
    return np.abs(z_scores(model, exact_of(model), advance, RUNS)).max()


def with_operands(model: Small, **arrays):
    changed = replace(model.launch.operands, arrays={**model.launch.operands.arrays, **arrays})
    return replace(model.launch, operands=changed)


@pytest.mark.parametrize("name", ["ising_2d", "sk", "hopfield", "rbm_truncated_gaussian_hidden"])
def test_the_models_below_pass_when_nothing_is_planted(name):
    model = small(name, "heat-bath", TEMPERATURES, seed=6)
    assert_family(z_scores(model, exact_of(model), by_kernels(model.kernels(), model.launch), RUNS))


@pytest.mark.parametrize("name", ["ising_2d", "sk"])
def test_a_sign_error_in_beta(name):
    model = small(name, "heat-bath", TEMPERATURES, seed=6)
    wrong = replace(model.launch.coefficients, value=-model.launch.coefficients.value)
    assert largest(model, bound=launch(model.plan, model.launch.operands, wrong)) > 8


def test_a_kept_self_coupling_of_a_dense_model():
    model = small("sk", "heat-bath", TEMPERATURES, seed=6)
    J = model.launch.operands.arrays["J0"] + np.eye(10, dtype=np.float32)
    assert largest(model, bound=with_operands(model, J0=J)) > 8


def test_a_kept_self_coupling_of_patterns():
    """``(1/N) sum_mu (xi_i^mu)^2 = P/N`` on the diagonal: units prefer to stay as they are."""
    model = small("hopfield", "heat-bath", TEMPERATURES, seed=6, P=5)
    d = np.zeros_like(model.launch.operands.arrays["d0"])
    assert largest(model, bound=with_operands(model, d0=d)) > 8


def test_two_colours_on_an_odd_lattice():
    model = small("ising_2d", "heat-bath", TEMPERATURES, seed=6)
    parity = np.indices((3, 3)).sum(axis=0).ravel() % 2
    order = colour.padded_order(parity)
    classes = parity[order[::CHUNK]]
    wrong = with_operands(model, order0=order[None], class0=classes[None].astype(np.int32))
    # the reference draws a class at once, as a parallel device does
    assert largest(model, "reference", bound=wrong) > 8
    edges = np.array([[0, 2]])
    with pytest.raises(LoweringError, match="share a term and the colour"):
        no_term_within_a_class(order, parity, edges, "ising_2d")
    with pytest.raises(LoweringError, match="odd periodic length"):
        bind(model.plan, model.hamiltonian, model.params, colours=2)


def test_a_synchronous_update_of_a_dense_model():
    model = small("sk", "heat-bath", TEMPERATURES, seed=6)
    move = replace(model.plan.moves[0], order=Order.PARALLEL)
    wrong = replace(model.plan, moves=(move,))
    assert largest(model, "reference", plan=wrong) > 8
    with pytest.raises(LoweringError, match="synchronous"):
        verify(wrong)


def test_a_hidden_layer_drawn_with_a_wrong_variance():
    """The prior's coefficient scaled by 0.8."""
    model = small("rbm_truncated_gaussian_hidden", "heat-bath", TEMPERATURES, seed=6)
    value = model.launch.coefficients.value.copy()
    value[:, model.hamiltonian.prior_term("h")] *= 0.8
    wrong = replace(model.launch.coefficients, value=value)
    assert largest(model, bound=launch(model.plan, model.launch.operands, wrong)) > 8


def test_conditionals_that_ignore_a_neighbour():
    model = small("edwards_anderson_2d", "heat-bath", TEMPERATURES, seed=6)
    weights = model.launch.operands.arrays["w0"].copy()
    weights[0, 0, 0] = 0
    assert largest(model, bound=with_operands(model, w0=weights)) > 8

"""Which models have an exact phase, and that nothing is enumerated that could be summed."""

import numpy as np
import pytest
from learning_models import RBM_PAIRS, family, rbm

from physebm.errors import LoweringError
from physebm.free_energy.exact import exact_averages, log_states, summed_out
from physebm.learning.enumerable import check_enumerable
from physebm.theory.enumeration import enumerate_states

OPEN = ("gaussian", "truncated_gaussian")


@pytest.mark.parametrize("pair", [pair for pair in RBM_PAIRS if pair != OPEN], ids=" x ".join)
def test_summing_layers_out_changes_nothing(pair):
    loaded = family(" x ".join(pair))
    H, params, c = loaded.hamiltonian, loaded.params(3), loaded.coefficients([1.0])
    whole, summed = enumerate_states(H, params, c), exact_averages(summed_out(H), params, c)
    assert summed.exact.log_z[0] == pytest.approx(whole.log_z[0], rel=1e-12)
    for a in "vh":
        np.testing.assert_allclose(summed.exact.mean(a), whole.mean(a), rtol=1e-10, atol=1e-13)
    np.testing.assert_allclose(
        summed.exact.pair("v", "h"), whole.pair("v", "h"), rtol=1e-10, atol=1e-13
    )


@pytest.mark.parametrize("pair", [pair for pair in RBM_PAIRS if pair != OPEN], ids=" x ".join)
def test_the_number_of_states_is_that_of_the_enumeration(pair):
    """Of a discrete side alone, if the other is discrete too; 5 units against 2."""
    loaded = rbm(*pair, nv=5, nh=2)
    H, params = loaded.hamiltonian, loaded.params(3)
    summed = summed_out(H)
    exact = enumerate_states(summed, params, loaded.coefficients([1.0]), probabilities=False)
    assert 2.0 ** log_states(summed) == pytest.approx(exact.form.states)
    per_unit = {"bernoulli": 2, "ising": 2, "potts": 3}
    sides = [per_unit[kind] ** n for kind, n in zip(pair, (5, 2)) if kind in per_unit]
    assert exact.form.states == min(sides, default=1)


def test_too_many_states_are_refused_before_any_training():
    """Also where all hidden units are discrete and all visible ones Gaussian."""
    for visible, hidden in (("ising", "bernoulli"), ("gaussian", "bernoulli"), ("ising", "gaussian")):
        small = rbm(visible, hidden, nv=20, nh=20)
        check_enumerable(small.hamiltonian, "study.toml: train.method")
        large = rbm(visible, hidden, nv=24, nh=24)
        with pytest.raises(LoweringError, match=r"2\^24 states") as caught:
            check_enumerable(large.hamiltonian, "study.toml: train.method")
        assert caught.value.where == "study.toml: train.method" and "pcd" in caught.value.hint


def test_truncated_units_on_continuous_ones_are_refused():
    loaded = rbm(*OPEN)
    with pytest.raises(LoweringError, match="gaussian and truncated_gaussian") as caught:
        check_enumerable(loaded.hamiltonian, "study.toml: train.method")
    assert caught.value.where == "study.toml: train.method" and "closed form" in caught.value.hint

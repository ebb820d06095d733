"""Paths of models: both ends are the models they claim to be, for every kind of unit."""

import numpy as np
import pytest
from learning_models import FAMILIES, family

from physebm.free_energy.path import data_path, scaled_path
from physebm.model.energy import reduced_potential, term_energies
from physebm.model.independent import fitted_field, independent_log_z
from physebm.model.statistics import feature_means
from physebm.model.units import UnitKind
from physebm.theory.enumeration import enumerate_states, sample_exact

FACTORS = np.array([0.0, 0.3, 1.0])
# an integral over coupled truncated Gaussian units has no closed form
SUMMABLE = [name for name in FAMILIES if name != "gaussian x truncated_gaussian"]


def some_fields(hamiltonian, rng):
    return {g.name: rng.normal(size=(g.size, g.prior.features)) for g in hamiltonian.groups[:1]}


@pytest.mark.parametrize("name", SUMMABLE)
@pytest.mark.parametrize("base", ["scaled", "data"])
def test_a_path_leads_from_independent_units_to_the_model(name, base):
    model = family(name)
    H, params, row = model.hamiltonian, model.params(1), model.coefficients([1.0])
    if base == "scaled":
        path = scaled_path(H, params, row, FACTORS)
    else:
        fields = some_fields(H, np.random.default_rng(3))
        path = data_path(H, params, row, FACTORS, fields)
    exact = enumerate_states(path.hamiltonian, path.params, path.coefficients)
    assert exact.log_z[0] == pytest.approx(path.base_log_z, abs=1e-10)
    target = enumerate_states(H, params, row)
    assert exact.log_z[-1] == pytest.approx(target.log_z[0], abs=1e-10)
    x = sample_exact(target, 5, (1, 2))
    u = path.potentials(term_energies(path.hamiltonian, path.params, x))
    assert u == pytest.approx(
        reduced_potential(path.hamiltonian, path.params, path.coefficients, x), abs=1e-10
    )
    assert u[:, -1] == pytest.approx(reduced_potential(H, params, row, x)[:, 0], abs=1e-10)
    assert path.take([0, 2]).rows == 2


@pytest.mark.parametrize("name", SUMMABLE)
def test_fitted_fields_have_the_means(name):
    model = family(name)
    H, params, row = model.hamiltonian, model.params(1), model.coefficients([1.0])
    x = sample_exact(enumerate_states(H, params, row), 400, (5, 6))
    group = H.groups[0]
    if group.prior.kind is UnitKind.TRUNCATED_GAUSSIAN:
        with pytest.raises(ValueError, match="closed-form"):
            fitted_field(group.prior, np.ones((group.size, 1)), 400, np.ones(group.size))
        return
    n = len(x[group.name])
    means = feature_means(H, group.name, x[group.name], np.full(n, 1.0 / n))
    theta = fitted_field(group.prior, means, n, np.ones(group.size))
    path = data_path(H, params, row, np.array([0.0, 1.0]), {group.name: theta})
    start = enumerate_states(path.hamiltonian, path.params, path.coefficients.take([0]))
    found = start.mean(group.name)[0].reshape(means.shape)
    if group.prior.discrete:
        assert np.abs(found - means).max() < 2.0 / n


def test_couplings_are_not_independent():
    model = family(SUMMABLE[0])
    row = model.coefficients([1.0])
    with pytest.raises(ValueError, match="not independent"):
        independent_log_z(model.hamiltonian, model.params(1), row.value[0])


@pytest.mark.parametrize("factors", [[0.1, 1.0], [0.0, 0.9], [0.0, 0.5, 0.5, 1.0]])
def test_factors_begin_at_0_rise_and_end_at_1(factors):
    model = family(SUMMABLE[0])
    row = model.coefficients([1.0])
    with pytest.raises(ValueError, match="increasing"):
        scaled_path(model.hamiltonian, model.params(1), row, np.array(factors))

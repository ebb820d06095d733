"""When coupled continuous units have a normalisable measure."""

import numpy as np
import pytest
from lowering_models import coefficients, fixed, plain, potentials
from scipy.stats import multivariate_normal

from physebm.errors import ModelFileError
from physebm.lowering.positive import check_positive_form, precision_matrix
from physebm.model.hamiltonian import Group, Hamiltonian, Slot
from physebm.model.params import Params
from physebm.model.terms import AllPairs, Lattice, LowRank, Pair, Square
from physebm.model.units import Prior, UnitKind

GAUSSIAN, ISING = Prior(UnitKind.GAUSSIAN), Prior(UnitKind.ISING)
TRUNCATED = Prior(UnitKind.TRUNCATED_GAUSSIAN)
SIGMA_V, SIGMA_H = 0.8, 1.5


def rbm(W, visible=GAUSSIAN, hidden=GAUSSIAN):
    """Hamiltonian and params of a bipartite model of continuous units; W is [instance, Nv, Nh]."""
    instances, Nv, Nh = W.shape
    hamiltonian = Hamiltonian(
        "rbm",
        (Group("v", visible, (Nv,), True), Group("h", hidden, (Nh,))),
        (Pair("v", "h", AllPairs(), "W"), Square("v"), Square("h")),
        (Slot("W", (Nv, Nh)),),
    )
    zero = {"v": np.zeros((instances, Nv)), "h": np.zeros((instances, Nh))}
    lower = {g.name: zero[g.name] for g in hamiltonian.groups if g.prior == TRUNCATED}
    return hamiltonian, Params({"W": W}, {}, lower)


def at(*betas):
    """Plain tempering at fixed variances."""
    return coefficients(betas, plain(1.0), fixed(1 / SIGMA_V**2), fixed(1 / SIGMA_H**2))


def weights(seed=0, norm=1.0, shape=(2, 5, 3)):
    W = np.random.default_rng(seed).normal(size=shape)
    return norm * W / np.linalg.norm(W, 2, axis=(1, 2))[:, None, None]


def test_a_gaussian_rbm_exists_exactly_below_its_bound():
    # beta sigma_v sigma_h ||W||_2 < 1
    hamiltonian, params = rbm(weights(norm=2.0))
    bound = 1 / (SIGMA_V * SIGMA_H * 2.0)
    check_positive_form(hamiltonian, params, at(0.1 * bound, bound * (1 - 1e-9)))
    for beta in (bound, bound * (1 + 1e-9), 3 * bound):
        with pytest.raises(ModelFileError):
            check_positive_form(hamiltonian, params, at(0.1 * bound, beta))


def test_the_message_names_eigenvalue_temperature_and_excess():
    W = weights(norm=2.0)
    W[0] *= 0.1
    hamiltonian, params = rbm(W)
    table = at(0.1, 0.8)
    A = np.block([[np.eye(5) / SIGMA_V**2, -0.8 * W[1]], [-0.8 * W[1].T, np.eye(3) / SIGMA_H**2]])
    with pytest.raises(ModelFileError) as caught:
        check_positive_form(hamiltonian, params, table)
    text = str(caught.value)
    assert f"smallest eigenvalue {np.linalg.eigvalsh(A)[0]:.6g} " in text
    assert "T = 1.25, instance 1" in text
    assert f"more than {0.8 * SIGMA_V * SIGMA_H * 2:.4g} times weaker" in text
    assert text.startswith("rbm.terms[0]\n") and "raise the temperature" in text


def test_the_precision_matrix_is_that_of_the_reduced_potential():
    hamiltonian, params = rbm(weights(norm=0.5))
    table = at(0.4, 1.1)
    rng = np.random.default_rng(2)
    v, h = rng.normal(size=(20, 5)), rng.normal(size=(20, 3))
    u = potentials((hamiltonian, params, table), {"v": v, "h": h}, 1)
    x = np.concatenate([v, h], axis=1)
    for k in range(2):
        A = precision_matrix(hamiltonian, params, table, instance=1, rung=k)
        # u = -log(p Z): its constant is free, so that differences are compared
        log_p = multivariate_normal(np.zeros(8), np.linalg.inv(A)).logpdf(x)
        np.testing.assert_allclose(-(u[:, k] - u[0, k]), log_p - log_p[0], atol=1e-10)


def test_couplings_within_a_group_count_once():
    # H = -(1/2) x^T J x with J = g (1 1^T - 1): eigenvalues g (n - 1) and -g
    n = 6
    one = Group("x", GAUSSIAN, (n,))
    dense = Hamiltonian("m", (one,), (Pair("x", "x", AllPairs()), Square("x")))
    low = Hamiltonian("m", (one,), (LowRank("x"), Square("x")))
    for hamiltonian in (dense, low):
        for g, bound in ((1.0, n - 1), (-1.0, 1.0)):
            for factor, legal in ((0.999, True), (1.001, False)):
                table = coefficients([1.0], plain(factor * g / bound), fixed(1.0))
                if legal:
                    check_positive_form(hamiltonian, Params(), table)
                else:
                    with pytest.raises(ModelFileError):
                        check_positive_form(hamiltonian, Params(), table)


@pytest.mark.parametrize("shape", [(6, 6), (48, 48)])
def test_a_gaussian_lattice_exists_down_to_zero_mass(shape):
    # eigenvalues of the square lattice: 2 cos k_x + 2 cos k_y, largest 4; dense and sparse path
    hamiltonian = Hamiltonian(
        "field",
        (Group("x", GAUSSIAN, shape),),
        (Pair("x", "x", Lattice("square", (True, True))), Square("x")),
    )
    table = coefficients([0.2], plain(1.0), plain(4.0 + 1e-6))
    check_positive_form(hamiltonian, Params(), table)
    table = coefficients([0.2], plain(1.0), plain(4.0 - 1e-3))
    with pytest.raises(ModelFileError, match=r"smallest eigenvalue -0\.0002 of"):
        check_positive_form(hamiltonian, Params(), table)


def test_a_variance_of_T_leaves_no_temperature_to_raise():
    # precision beta against coupling beta: the bound does not depend on T
    hamiltonian, params = rbm(weights(norm=1.01))
    for beta in (0.01, 1.0, 10.0):
        with pytest.raises(ModelFileError):
            check_positive_form(
                hamiltonian, params, coefficients([beta], plain(1.0), plain(1.0), plain(1.0))
            )


def test_repulsive_truncated_units_need_no_bound():
    W = -np.abs(weights(norm=5.0))
    check_positive_form(*rbm(W, TRUNCATED, TRUNCATED), at(2.0))
    for visible, hidden in ((GAUSSIAN, TRUNCATED), (GAUSSIAN, GAUSSIAN)):
        with pytest.raises(ModelFileError):
            check_positive_form(*rbm(W, visible, hidden), at(2.0))


def test_attracting_truncated_units_are_refused_with_the_reason():
    W = np.abs(weights(norm=5.0))
    with pytest.raises(ModelFileError, match="copositive"):
        check_positive_form(*rbm(W, TRUNCATED, TRUNCATED), at(2.0))
    check_positive_form(*rbm(W / 100, TRUNCATED, TRUNCATED), at(2.0))


def test_couplings_to_discrete_units_need_no_bound():
    hamiltonian = Hamiltonian(
        "m",
        (Group("s", ISING, (5,)), Group("h", GAUSSIAN, (3,))),
        (Pair("s", "h", AllPairs(), "W"), Square("h")),
        (Slot("W", (5, 3)),),
    )
    params = Params({"W": weights(norm=1e3)})
    check_positive_form(hamiltonian, params, coefficients([5.0], plain(1.0), fixed(1.0)))


def test_a_negative_square_term_is_refused():
    hamiltonian = Hamiltonian(
        "m", (Group("x", GAUSSIAN, (2,)),), (Square("x"), Square("x", "w")), (Slot("w", (2,)),)
    )
    params = Params({"w": np.array([[1.0, -2.0]])})
    check_positive_form(hamiltonian, params, coefficients([0.4], fixed(1.0), plain(1.0)))
    with pytest.raises(ModelFileError, match=r"precision -0.2 of unit 1 at T = 1.66667"):
        check_positive_form(hamiltonian, params, coefficients([0.4, 0.6], fixed(1.0), plain(1.0)))

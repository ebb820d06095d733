"""Models of coupled continuous units exist only where their quadratic form is positive.

The reduced potential of the continuous units x, whatever the discrete units do, is

    u = (1/2) x^T A x - theta . x + ...,      A = diag(lam) - sum_t c_t J_t,

with lam from the `Square` terms (priors included). Gaussian units are normalisable if and only if A is
positive definite. Truncated units go to infinity in one direction only, so that it is enough that
``x^T A x > 0`` where their x are >= 0 (copositivity). Two sufficient forms of this are accepted: A is
positive definite, or it is after dropping entries > 0 (repulsion) between truncated units.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import eigsh, splu

from physebm.errors import ModelFileError
from physebm.model.edges import weighted_edges
from physebm.model.energy import dense_couplings, square_weights
from physebm.model.hamiltonian import Hamiltonian
from physebm.model.params import Coefficients, Params
from physebm.model.terms import AllPairs, LowRank, Pair, Square, Term, groups_of
from physebm.model.units import UnitKind

# Below this many units, or above this filling, a dense factorisation is the faster one.
DENSE_UNITS = 1500
DENSE_FILLING = 0.02


def check_positive_form(hamiltonian: Hamiltonian, params: Params, coefficients: Coefficients) -> None:
    """Check that the continuous units have a normalisable measure at every rung and instance.

    Raises
    ------
    ModelFileError
        with the smallest eigenvalue of the precision matrix, the temperature, and by which factor
        the couplings are too strong.
    """
    for group in hamiltonian.groups:
        if not group.prior.discrete:
            check_precisions(hamiltonian, params, coefficients, group.name)
    joining = joining_terms(hamiltonian)
    if not joining:
        return
    truncated = np.concatenate(
        [
            np.full(group.size, group.prior.kind is UnitKind.TRUNCATED_GAUSSIAN)
            for group in hamiltonian.groups
            if not group.prior.discrete
        ]
    )
    for instance in range(params.instances):
        couplings = {t: _couplings(hamiltonian, params, t, instance) for t in joining}
        for rung in range(coefficients.rungs):
            A = _precision(hamiltonian, params, coefficients, instance, rung, couplings)
            if _positive(A) or (truncated.any() and _positive(_without_repulsion(A, truncated))):
                continue
            _refuse(hamiltonian, coefficients, instance, rung, joining, A, bool(truncated.any()))


def check_precisions(
    hamiltonian: Hamiltonian, params: Params, coefficients: Coefficients, name: str
) -> None:
    """Check that each unit of one continuous group, taken alone, has a positive precision.

    Raises
    ------
    ModelFileError
        naming the unit, its precision and the temperature.
    """
    lam = unit_precisions(hamiltonian, params, coefficients, name)
    if np.all(lam > 0):
        return
    instance, rung, unit = (int(i) for i in np.unravel_index(int(lam.argmin()), lam.shape))
    raise ModelFileError(
        f"{hamiltonian.name}.units.{name}",
        got=f"precision {lam.min():.6g} of unit {unit} at {_where(coefficients, instance, rung)}",
        expected="a precision greater than 0",
        hint="its weight exp(-u) grows without bound; raise the temperature or the precision",
    )


def unit_precisions(
    hamiltonian: Hamiltonian, params: Params, coefficients: Coefficients, name: str
) -> np.ndarray:
    """``lam[instance, rung, unit] = sum_t c_kt w_i`` over the Square terms of a continuous group."""
    size = hamiltonian.group(name).size
    lam = np.zeros((params.instances, coefficients.rungs, size))
    for t, term in enumerate(hamiltonian.terms):
        if isinstance(term, Square) and term.group == name:
            for instance in range(params.instances):
                w = square_weights(hamiltonian, params, t, instance)
                lam[instance] += coefficients.value[:, t, None] * w
    return lam


def joining_terms(hamiltonian: Hamiltonian) -> tuple[int, ...]:
    """Indices of the couplings with continuous units on both sides."""

    def joins(term: Term) -> bool:
        return isinstance(term, Pair | LowRank) and not any(
            hamiltonian.group(name).prior.discrete for name in groups_of(term)
        )

    return tuple(t for t, term in enumerate(hamiltonian.terms) if joins(term))


def precision_matrix(
    hamiltonian: Hamiltonian,
    params: Params,
    coefficients: Coefficients,
    instance: int = 0,
    rung: int = 0,
) -> np.ndarray:
    """``A = diag(lam) - sum_t c_t J_t`` over all continuous units, in the order of the groups."""
    couplings = {t: _couplings(hamiltonian, params, t, instance) for t in joining_terms(hamiltonian)}
    return _precision(hamiltonian, params, coefficients, instance, rung, couplings).toarray()


def _offsets(hamiltonian: Hamiltonian) -> tuple[dict[str, int], int]:
    offsets, total = {}, 0
    for group in hamiltonian.groups:
        if not group.prior.discrete:
            offsets[group.name] = total
            total += group.size
    return offsets, total


def _couplings(hamiltonian, params, t, instance) -> sparse.csr_array:
    """Symmetric matrix J of one term over all continuous units."""
    term = hamiltonian.terms[t]
    offsets, total = _offsets(hamiltonian)
    if isinstance(term, Pair) and not isinstance(term.graph, AllPairs):
        edges, weights = weighted_edges(hamiltonian, params, t, instance)
        i, j = (edges + offsets[term.a]).T
        half = sparse.coo_array((np.asarray(weights, float), (i, j)), (total, total))
        return (half + half.T).tocsr()
    a, b = (term.a, term.b) if isinstance(term, Pair) else (term.group, term.group)
    block = sparse.coo_array(dense_couplings(hamiltonian, params, t, instance)[:, 0, :, 0])
    i, j = block.row + offsets[a], block.col + offsets[b]
    J = sparse.coo_array((block.data, (i, j)), (total, total))
    return (J if a == b else J + J.T).tocsr()


def _precision(hamiltonian, params, coefficients, instance, rung, couplings) -> sparse.csr_array:
    one, at = params.instance(instance), coefficients.take([rung])
    lam = [
        unit_precisions(hamiltonian, one, at, group.name)[0, 0]
        for group in hamiltonian.groups
        if not group.prior.discrete
    ]
    A = sparse.diags_array(np.concatenate(lam)).tocsr()
    for t, J in couplings.items():
        A = A - coefficients.value[rung, t] * J
    return A.tocsr()


def _without_repulsion(A: sparse.csr_array, truncated: np.ndarray) -> sparse.csr_array:
    entries = A.tocoo()
    drop = truncated[entries.row] & truncated[entries.col] & (entries.data > 0)
    drop &= entries.row != entries.col
    data = np.where(drop, 0.0, entries.data)
    return sparse.coo_array((data, (entries.row, entries.col)), A.shape).tocsr()


def _positive(A: sparse.csr_array) -> bool:
    """True where every eigenvalue lies above the rounding of the matrix."""
    n = A.shape[0]
    rounding = 8 * np.finfo(float).eps * n * float(np.abs(A.diagonal()).max())
    if n <= DENSE_UNITS or A.nnz > DENSE_FILLING * n * n:
        try:
            np.linalg.cholesky(A.toarray() - rounding * np.eye(n))
        except np.linalg.LinAlgError:
            return False
        return True
    shifted = (A - rounding * sparse.eye_array(n)).tocsc()
    try:
        factors = splu(
            shifted,
            permc_spec="MMD_AT_PLUS_A",
            diag_pivot_thresh=0.0,
            options={"SymmetricMode": True},
        )
    except RuntimeError:  # an exactly singular matrix
        return False
    # With pivots on the diagonal this is L D L^T, and by Sylvester's law D has the signs of A.
    on_diagonal = np.array_equal(factors.perm_r, factors.perm_c)
    return on_diagonal and bool(np.all(factors.U.diagonal() > 0))


def _refuse(hamiltonian, coefficients, instance, rung, joining, A, truncated) -> None:
    scale = sparse.diags_array(1.0 / np.sqrt(A.diagonal()))
    smallest, excess = _smallest(A), 1.0 - _smallest(scale @ A @ scale)
    hint = (
        f"along its eigenvector exp(-u) does not fall off; the couplings between continuous units "
        f"must be more than {excess:.4g} times weaker: raise the temperature, or lower the "
        "couplings or the variances"
    )
    if truncated:
        hint += (
            ". (For truncated units a copositive form would be enough; physebm accepts what it can "
            "prove: a form that is positive definite, or is so without the repulsive couplings "
            "between truncated units)"
        )
    raise ModelFileError(
        f"{hamiltonian.name}." + ", ".join(f"terms[{t}]" for t in joining),
        got=f"smallest eigenvalue {smallest:.6g} of the precision matrix "
        f"at {_where(coefficients, instance, rung)}",
        expected="a positive-definite precision matrix diag(1/variance) - beta J",
        hint=hint,
    )


def _smallest(A: sparse.csr_array) -> float:
    """The smallest eigenvalue; by Lanczos, to a part in a million, where the matrix is large."""
    n = A.shape[0]
    if n <= DENSE_UNITS:
        return float(np.linalg.eigvalsh(A.toarray())[0])
    start = np.cos(np.arange(n) ** 2)  # fixed, so that the message is reproducible
    return float(eigsh(A, k=1, which="SA", v0=start, tol=1e-6, return_eigenvectors=False)[0])


def _where(coefficients: Coefficients, instance: int, rung: int) -> str:
    return f"T = {1.0 / coefficients.beta[rung]:.6g}, instance {instance}"

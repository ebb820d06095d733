"""Inverse Ising problem in closed form: couplings from the inverse of the correlation matrix.

For ``p(s) ~ exp(sum_{i<j} J_ij s_i s_j + sum_i h_i s_i)``, s = -1/+1, linear response gives J from the
magnetisations m and ``P = C^-1``, the inverse of the connected correlations; with i != j,

naive-mean-field    J_ij = -P_ij
    h_i = atanh m_i - sum_j J_ij m_j             (H. J. Kappen, F. B. Rodriguez, Neural Comput. 10,
                                                  1137 (1998))
tap                 P_ij = -J_ij - 2 m_i m_j J_ij^2, the root that joins -P_ij as m -> 0
    h_i = atanh m_i - sum_j J_ij m_j + m_i sum_j J_ij^2 (1 - m_j^2)
                                                 (T. Tanaka, Phys. Rev. E 58, 2302 (1998); Y. Roudi,
                                                  J. Tyrcha, J. Hertz, Phys. Rev. E 79, 051915 (2009))
bethe               tanh J_ij = -2 P_ij / (B + sqrt(B^2 - 4 P_ij^2)),
                    B = sqrt(1 + 4 (1 - m_i^2)(1 - m_j^2) P_ij^2) - 2 m_i m_j P_ij
    h_i = atanh m_i - sum_j atanh(t_ij m_ji)     (F. Ricci-Tersenghi, J. Stat. Mech. P08015 (2012))
    m_ji the magnetisation of j without its bond to i, t = tanh J; exact on trees.

The errors in J are of second (naive mean field) and third order (tap) in the couplings. Where a pair
has no real solution (strong couplings, few samples) its J is the real part of the complex one, for tap
the J that violates the equation least; `Inversion.unsolved` counts such pairs.

Bernoulli units are converted, s = 2 x - 1:  J_x = 4 J_s,  h_x = 2 h_s - 2 sum_j J_s,ij.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from physebm.errors import InputError, LoweringError
from physebm.model.hamiltonian import Hamiltonian
from physebm.model.statistics import Averages
from physebm.model.terms import AllPairs, Field, Pair, array_of
from physebm.model.units import UnitKind

# Eigenvalues of the matrix of correlation coefficients below this one are taken for zero: sums over a
# million samples in double precision are good to 1e-13.
SINGULAR = 1e-10
NAMED = 8


@dataclass(frozen=True)
class Inversion:
    """Couplings and fields of an inverse Ising problem.

    Attributes
    ----------
    arrays
        ``{slot: [*shape]}`` of the couplings and, where there is one, the field.
    unsolved
        Number of pairs without a real solution; see the module.
    """

    arrays: dict[str, np.ndarray]
    unsolved: int


def invert(
    hamiltonian: Hamiltonian,
    coefficients: np.ndarray,
    averages: Averages,
    method: str,
    pseudocount: float = 0.0,
) -> Inversion:
    """The arrays that the data's first and second moments give.

    Parameters
    ----------
    coefficients
        ``c_t``, one row ``[term]``; the exponent of p is ``sum_t c_t (...)``.
    averages
        Moments of the data in double precision, e.g. `RowAverages` of weighted samples.
    method
        One of `METHODS`.
    pseudocount
        Share, 0 to below 1, of independent units without fields that is mixed into the data:
        ``<s_i>`` and ``<s_i s_j>`` are multiplied by ``1 - pseudocount``.

    Raises
    ------
    LoweringError
        for other models than `check_inversion` takes.
    InputError
        for units that are constant or depend on each other, so that C has no inverse.

    Notes
    -----
    An Ising model without a field term has m = 0, so that the data's ``<s_i s_j>`` stand for C.
    """
    check_inversion(hamiltonian, hamiltonian.name)
    _check_options(hamiltonian.name, method, pseudocount)
    (group,) = hamiltonian.groups
    m = averages.mean(group.name)[:, 0]
    S = averages.pair(group.name, group.name)[:, 0, :, 0].copy()
    np.fill_diagonal(S, 1.0)
    if group.prior.kind is UnitKind.BERNOULLI:
        np.fill_diagonal(S, m)
        S = 4.0 * S - 2.0 * (m[:, None] + m[None, :]) + 1.0
        m = 2.0 * m - 1.0
    m, S = (1.0 - pseudocount) * m, (1.0 - pseudocount) * S
    fields = [t for t, term in enumerate(hamiltonian.terms) if isinstance(term, Field)]
    if not fields:
        m = np.zeros(group.size)
    C = S - np.outer(m, m)
    np.fill_diagonal(C, 1.0 - m**2)
    _check_regular(hamiltonian, C)
    J, h, unsolved = METHODS[method](m, C)
    if group.prior.kind is UnitKind.BERNOULLI:
        J, h = 4.0 * J, 2.0 * h - 2.0 * J.sum(axis=1)
    arrays = {}
    for t, term in enumerate(hamiltonian.terms):
        slot, values = hamiltonian.slot(array_of(term)), h if t in fields else J
        if coefficients[t] == 0:
            raise LoweringError(
                f"{hamiltonian.name}.terms[{t}].scale", got=0, expected="a number other than 0"
            )
        # Adding 0 makes the diagonal +0, whatever the sign of the formula.
        arrays[slot.name] = (values / coefficients[t] + 0.0).reshape(slot.shape)
    return Inversion(arrays, unsolved)


def naive_mean_field(m: np.ndarray, C: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """``J [unit, unit]``, ``h [unit]`` and the number of unsolved pairs, from m and C of spins."""
    J = -_inverse(C)
    return J, np.arctanh(m) - J @ m, 0


def tap(m: np.ndarray, C: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """The same to second order, with Onsager's reaction field."""
    P, mm = _inverse(C), np.outer(m, m)
    square = 1.0 - 8.0 * mm * P
    J = -2.0 * P / (1.0 + np.sqrt(np.maximum(square, 0.0)))
    unsolved = square < 0
    J[unsolved] = -0.25 / mm[unsolved]
    return J, np.arctanh(m) - J @ m + m * (J**2 @ (1.0 - m**2)), int(unsolved.sum()) // 2


def bethe(m: np.ndarray, C: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """The same from the Bethe free energy."""
    P, mm = _inverse(C), np.outer(m, m)
    loose = 1.0 - m**2
    B = np.sqrt(1.0 + 4.0 * np.outer(loose, loose) * P**2) - 2.0 * mm * P
    square = B**2 - 4.0 * P**2
    t = -2.0 * P / (B + np.sqrt(np.maximum(square, 0.0)))
    unsolved = square < 0
    t[unsolved] = -0.5 * B[unsolved] / P[unsolved]
    # The magnetisation of j (column) in the field that it would have without its bond to i (row).
    mi, mj, a = m[:, None], m[None, :], 1.0 - t**2
    root = np.sqrt(np.maximum(a**2 - 4.0 * t * (mj - mi * t) * (mi - mj * t), 0.0))
    cavity = 2.0 * (mj - mi * t) / (a + root)
    h = np.arctanh(m) - np.arctanh(t * cavity).sum(axis=1)
    return np.arctanh(t), h, int(unsolved.sum()) // 2


METHODS = {"naive-mean-field": naive_mean_field, "tap": tap, "bethe": bethe}


def _inverse(C: np.ndarray) -> np.ndarray:
    """``C^-1`` off its diagonal, symmetric to the last bit."""
    P = np.linalg.inv(C)
    P = 0.5 * (P + P.T)
    np.fill_diagonal(P, 0.0)
    return P


def check_inversion(hamiltonian: Hamiltonian, where: str) -> None:
    """Refuse models other than Ising or Bernoulli units with one trainable coupling of all pairs.

    One trainable field may stand beside it; Bernoulli units need one.

    Raises
    ------
    LoweringError
        with the reason, and the methods that would work.
    """

    def refuse(got: str, reason: str):
        raise LoweringError(
            where,
            got=f"mean-field inversion, for a model with {got}",
            expected="ising or bernoulli units, all visible, of one group, with one trainable "
            "coupling of all pairs and at most one trainable field",
            hint=f'{reason}; use method = "exact", "pcd", or "pseudo-likelihood" where all units are '
            "visible and discrete",
        )

    seen = {group.name for group in hamiltonian.counted}
    hidden = [group.name for group in hamiltonian.groups if group.name not in seen]
    if hidden:
        refuse(f"hidden units {', '.join(hidden)}", "the data hold no correlations of hidden units")
    if len(hamiltonian.groups) > 1:
        refuse(f"{len(hamiltonian.groups)} groups", "the formulas are written for one group")
    (group,) = hamiltonian.groups
    if group.prior.kind not in (UnitKind.ISING, UnitKind.BERNOULLI):
        refuse(f"{group.prior.kind} units", "the formulas are those of two-state units")
    pairs, fields = 0, 0
    for t, term in enumerate(hamiltonian.terms):
        name = array_of(term)
        trained = name is not None and hamiltonian.slot(name).trainable
        pair = isinstance(term, Pair) and isinstance(term.graph, AllPairs)
        if not trained or not (pair or isinstance(term, Field)):
            refuse(
                f"another term, terms[{t}]", "the inverse of C gives all couplings, and nothing else"
            )
        pairs, fields = pairs + pair, fields + (not pair)
    if pairs != 1 or fields > 1:
        refuse(f"{pairs} couplings and {fields} fields", "the data determine only their sum")
    if group.prior.kind is UnitKind.BERNOULLI and not fields:
        refuse("no field", "units 0 and 1 have a mean, which couplings and fields set together")


def _check_options(where: str, method: str, pseudocount: float) -> None:
    if method not in METHODS:
        raise LoweringError(where, got=method, expected=METHODS)
    if not 0.0 <= pseudocount < 1.0:
        raise InputError(f"{where}: pseudocount", got=pseudocount, expected="a share, 0 to below 1")


def _check_regular(hamiltonian: Hamiltonian, C: np.ndarray) -> None:
    """Raise with the names of the units that leave C without an inverse."""
    (group,) = hamiltonian.groups
    remedy = "leave these units out of the model, use more samples, or set a pseudocount, e.g. 0.01"
    spread = np.sqrt(np.maximum(np.diag(C), 0.0))
    constant = np.flatnonzero(spread**2 < SINGULAR)
    if len(constant):
        raise InputError(
            f"{hamiltonian.name}: data of '{group.name}'",
            got=f"units that never change: {_named(constant, group.shape)}",
            expected="units that take both values",
            hint=f"their fields would be infinite; {remedy}",
        )
    values, vectors = np.linalg.eigh(C / np.outer(spread, spread))
    null = np.abs(vectors[:, values < SINGULAR])
    if null.shape[1]:
        tied = np.flatnonzero(null.max(axis=1) > 1e-6)
        raise InputError(
            f"{hamiltonian.name}: data of '{group.name}'",
            got=f"{null.shape[1]} linear relation(s) among the units {_named(tied, group.shape)}",
            expected="correlations with an inverse",
            hint=f"some of them are functions of the others in every sample; {remedy}",
        )


def _named(units: np.ndarray, shape: tuple[int, ...]) -> str:
    places = [np.unravel_index(i, shape) for i in units[:NAMED]]
    names = [",".join(str(int(n)) for n in place) for place in places]
    names = names if len(shape) == 1 else [f"({name})" for name in names]
    return ", ".join(names) + (f" and {len(units) - NAMED} more" if len(units) > NAMED else "")

"""A path of models from independent units to the one whose log Z is wanted.

Row k of the coefficients is a model with ``u_k(x) = sum_t c_kt E_t(x) + constant_k``; row 0 couples no
units, so that its ``log Z_0`` is known and one sweep from any start draws from it exactly; the last row
is the target. Annealed sampling walks along the rows, tempering exchanges between them, integration and
reweighting read what either records. Three ways lead from independent units to a model:

    thermal    u_k at rising inverse temperatures, from beta = 0 on; priors that depend on T change too
    scaled     u_k = s_k (H and its fields), priors as they are: s = 0 is temperature infinity
    data       u_k = s_k (H and its fields) - (1 - s_k) sum_i b_i x_i, b fitted to the means of data
               (R. Salakhutdinov, I. Murray, ICML (2008), section 4.2)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from physebm.model.energy import log_normalisers
from physebm.model.hamiltonian import Hamiltonian, Slot
from physebm.model.independent import independent_log_z
from physebm.model.params import Coefficients, Params
from physebm.model.terms import Field, Square

# In front of the names of the arrays that hold the fields of the base; no declared name has a blank.
BASE = "base of "


@dataclass(frozen=True)
class Path:
    """Models in a row; one instance of the arrays.

    Attributes
    ----------
    coefficients
        ``c_kt [row, term]``, row 0 without couplings.
    """

    hamiltonian: Hamiltonian
    params: Params
    coefficients: Coefficients

    @property
    def rows(self) -> int:
        """Number of models."""
        return self.coefficients.rungs

    @cached_property
    def base_log_z(self) -> float:
        """``log Z`` of row 0, exact."""
        return independent_log_z(self.hamiltonian, self.params, self.coefficients.value[0])

    @cached_property
    def constants(self) -> np.ndarray:
        """``u_k - sum_t c_kt E_t``, ``[row]``: the normalisers of the continuous priors."""
        return log_normalisers(self.hamiltonian, self.params, self.coefficients)[0]

    def potentials(self, E_lt: np.ndarray) -> np.ndarray:
        """``u_lk``, the reduced potential of every lane at every row, from its term energies."""
        return E_lt @ self.coefficients.value.T + self.constants

    def take(self, rows) -> Path:
        """The path over some of its rows, which begin with row 0."""
        return replace(self, coefficients=self.coefficients.take(rows))


def scaled(hamiltonian: Hamiltonian, row: Coefficients, factors: np.ndarray) -> Coefficients:
    """Coefficient rows of ``factor H`` with the priors as they are; `row` is one row."""
    prior = np.array([isinstance(term, Square) for term in hamiltonian.terms], dtype=bool)
    value = np.where(prior, row.value[0], np.asarray(factors)[:, None] * row.value[0])
    zeros = np.zeros_like(value)
    return Coefficients(np.asarray(factors, dtype=float), value, zeros, zeros)


def scaled_path(
    hamiltonian: Hamiltonian, params: Params, row: Coefficients, factors: np.ndarray
) -> Path:
    """From all interactions switched off to the model at one coefficient row.

    Parameters
    ----------
    row
        One row of coefficients, the target.
    factors
        ``s_k`` in increasing order, from 0 to 1.
    """
    _check_factors(factors)
    return Path(hamiltonian, params, scaled(hamiltonian, row, factors))


def thermal_path(hamiltonian: Hamiltonian, params: Params, rows: Coefficients) -> Path:
    """From the hottest row with its interactions switched off through rows at temperatures.

    Parameters
    ----------
    rows
        Coefficients at temperatures, hottest first; their ``beta`` is the place on the path; row 0
        stands at 0.
    """
    if np.any(rows.beta <= 0.0) or np.any(np.diff(rows.beta) <= 0.0):
        raise ValueError("rows of a thermal path: expected increasing inverse temperatures above 0")
    base = scaled(hamiltonian, rows.take([0]), np.zeros(1))
    joined = (
        np.concatenate([getattr(part, name) for part in (base, rows)])
        for name in ("beta", "value", "first", "second")
    )
    return Path(hamiltonian, params, Coefficients(*joined))


def data_path(
    hamiltonian: Hamiltonian,
    params: Params,
    row: Coefficients,
    factors: np.ndarray,
    fields: Mapping[str, np.ndarray],
) -> Path:
    """From independent units in given fields to the model at one coefficient row.

    Parameters
    ----------
    fields
        ``theta [unit, feature]`` by group, `model.independent.fitted_field` of the data's means; groups
        without one start without a field.
    """
    _check_factors(factors)
    coefficients = scaled(hamiltonian, row, factors)
    slots, terms, arrays = list(hamiltonian.slots), list(hamiltonian.terms), {}
    for name, theta in fields.items():
        group = hamiltonian.group(name)
        shape = (*group.shape, group.prior.q) if group.prior.features > 1 else group.shape
        slots.append(Slot(BASE + name, shape))
        terms.append(Field(name, BASE + name))
        arrays[BASE + name] = np.reshape(theta, (1, *shape)).astype(np.float64)
    off = np.repeat(1.0 - coefficients.beta[:, None], len(fields), axis=1)
    value = np.concatenate([coefficients.value, off], axis=1)
    zeros = np.zeros_like(value)
    return Path(
        replace(hamiltonian, slots=tuple(slots), terms=tuple(terms)),
        params.with_arrays(**arrays),
        Coefficients(coefficients.beta, value, zeros, zeros),
    )


def placed(path: Path, factors: np.ndarray) -> Path:
    """The path with rows at other factors, on the straight lines between its own rows."""
    old = path.coefficients
    value = np.empty((len(factors), old.value.shape[1]))
    for t, c in enumerate(old.value.T):
        value[:, t] = np.interp(factors, old.beta, c)
    zeros = np.zeros_like(value)
    new = Coefficients(np.asarray(factors, dtype=np.float64), value, zeros, zeros)
    return replace(path, coefficients=new)


def _check_factors(factors: np.ndarray) -> None:
    factors = np.asarray(factors)
    if factors[0] != 0.0 or factors[-1] != 1.0 or np.any(np.diff(factors) <= 0.0):
        raise ValueError("factors of a path: expected increasing numbers from 0 to 1")

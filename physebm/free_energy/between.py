"""Averages at models between the rows of a ladder, with errors that know the chains.

All draws of all rows, weighted as MBAR weighs them (M. R. Shirts, J. D. Chodera, J. Chem. Phys. 129,
124105 (2008)): with ``w_n = exp(-u(x_n)) / sum_l N exp(-u_l(x_n)) / Z_l``, N draws of every row,

    Z = sum_n w_n,    <A> = sum_n w_n A_n / Z.

pymbar gives the same numbers with the errors of independent draws. Here both are linearised, as the
estimators of log Z are (`estimators`): a draw adds its own term, and moves the log Z_l of the rows,
which all weights depend on,

    d log Z / d log Z_l = sum_n W_n p_nl,    d<A> / d log Z_l = sum_n W_n (A_n - <A>) p_nl,

W = w / Z, and ``p_nl = (exp(-u_l(x_n)) / Z_l) / sum_m exp(-u_m(x_n)) / Z_m``. The series of what all
draws of one time add has the autocorrelation of the run; its error is the error.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from physebm.free_energy.estimators import Rows, influence_error

# Fewest effective draws of a model that none was taken from, as a share of what one row has.
SHARE = 0.1


@dataclass(frozen=True)
class Between:
    """Averages at one model that no draw was taken from.

    Attributes
    ----------
    log_z, log_z_stderr
        ``log Z - log Z_0``.
    value
        ``<A> [observable]``.
    influence
        What the draws of one time add to the averages, ``[chain, draw, observable]``.
    effective
        Kish's effective number of draws.
    """

    log_z: float
    log_z_stderr: float
    value: np.ndarray
    influence: np.ndarray
    effective: float

    def derived(self, formula: Callable[..., float]) -> tuple[float, float]:
        """Value and error of ``formula(<A_1>, <A_2>, ...)``, to first order in the fluctuations."""
        value = float(formula(*self.value))
        slopes = np.empty(len(self.value))
        for i, mean in enumerate(self.value):
            step = 1e-6 * max(abs(mean), 1e-6)
            sides = [self.value.copy() for _ in range(2)]
            sides[0][i] -= step
            sides[1][i] += step
            slopes[i] = (formula(*sides[1]) - formula(*sides[0])) / (2.0 * step)
        return value, float(influence_error((self.influence @ slopes)[..., None])[0])


class Ladder:
    """The draws of a ladder, ready to be weighted for other models.

    Parameters
    ----------
    energies
        Term energies ``E_t [row, chain, draw, term]``.
    coefficients, constants
        ``c_kt [row, term]`` and ``[row]``: ``u_k(x) = sum_t c_kt E_t(x) + constant_k``.
    solved
        MBAR's log Z of the rows and its influence, `multistate.mbar_rows`.
    """

    def __init__(
        self, energies: np.ndarray, coefficients: np.ndarray, constants: np.ndarray, solved: Rows
    ):
        self.energies, self.coefficients, self.solved = energies, coefficients, solved
        self.offsets = constants + solved.log_z
        self.log_mixture = np.empty(energies.shape[:3])
        for k, E in enumerate(energies):
            self.log_mixture[k] = self._against(E)[1]

    def _against(self, E: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """``p_nl [chain, draw, row]`` of draws ``[chain, draw, term]``; the log of its denominator."""
        p = E @ -self.coefficients.T - self.offsets
        largest = p.max(axis=-1, keepdims=True)
        np.exp(p - largest, out=p)
        total = p.sum(axis=-1, keepdims=True)
        return p / total, (largest + np.log(total))[..., 0]

    def at(self, coefficients: np.ndarray, constant: float, observables: np.ndarray) -> Between:
        """Averages at the model ``u(x) = sum_t c_t E_t(x) + constant``.

        NaN where fewer than `SHARE` of one row's draws count, and where the ladder has no solution.

        Parameters
        ----------
        coefficients
            ``c_t [term]``.
        observables
            ``A(x_n) [row, chain, draw, observable]``.
        """
        rows, chains, draws, _ = self.energies.shape
        count = chains * draws
        kinds = observables.shape[-1]
        unknown = Between(
            np.nan, np.nan, np.full(kinds, np.nan), np.full((chains, draws, kinds), np.nan), 0.0
        )
        log_w = -(self.energies @ coefficients + constant) - self.log_mixture
        if not np.isfinite(log_w).all():
            return unknown
        largest = log_w.max()
        W = np.exp(log_w - largest)
        total = W.sum()
        W /= total
        effective = float(1.0 / np.sum(W * W))
        if not effective >= SHARE * count:
            return Between(np.nan, np.nan, unknown.value, unknown.influence, effective)
        value = np.einsum("kcd,kcda->a", W, observables)
        # of log Z and of every average: the draws' own terms, and the slopes by log Z_l
        own = np.zeros((chains, draws, 1 + kinds))
        slopes = np.zeros((rows, 1 + kinds))
        for k, E in enumerate(self.energies):
            terms = W[k][..., None] * np.concatenate(
                [np.ones((chains, draws, 1)), observables[k] - value], axis=-1
            )
            own += terms
            p, _ = self._against(E)
            slopes += np.einsum("cdl,cda->la", p, terms)
        influence = count * (own - own.mean(axis=(0, 1))) + self.solved.influence @ slopes
        log_z = float(largest + np.log(total) - np.log(count))
        return Between(
            log_z,
            float(influence_error(influence[..., :1])[0]),
            value,
            influence[..., 1:],
            effective,
        )

"""The weight of every state of the enumerated units at one temperature, and moments of the others.

For a state F, ``l = -sum_t c_t E_t(F) + log int rho(y) exp(theta . y - y^T A y / 2) dy`` (a sum for
discrete y) with its first two derivatives in beta. For Gaussian y of mean mu and covariance S = A^-1,

    l'  = theta' mu - mu A' mu / 2 - tr(A' S) / 2 - n',        v = theta' - A' mu,
    l'' = v S v + tr(A' S A' S) / 2 + theta'' mu - mu A'' mu / 2 - tr(A'' S) / 2 - n'',

with n the log-normaliser of the priors; for other y the same with the moments of one unit up to the
fourth. Definition of a Gaussian integral; truncated moments by partial integration.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from physebm.errors import ModelFileError
from physebm.model import units
from physebm.model.params import Coefficients
from physebm.model.units import Prior, UnitKind
from physebm.theory.conditional_form import ConditionalForm

TRUNCATED = Prior(UnitKind.TRUNCATED_GAUSSIAN)


@dataclass(frozen=True)
class StateWeights:
    """Per state: l and its derivatives ``[state]``, mean and variance of y ``[state, feature]``."""

    l0: np.ndarray
    l1: np.ndarray
    l2: np.ndarray
    mean: np.ndarray
    variance: np.ndarray


class RungWeights:
    """`ConditionalForm` at one set of coefficients: ``theta = b + F B`` and A, each with derivatives.

    Raises
    ------
    ModelFileError
        where the Gaussian units have no normalisable measure.
    """

    def __init__(self, form: ConditionalForm, coefficients: Coefficients, rung: int):
        self.form = form
        jets = (coefficients.value, coefficients.first, coefficients.second)
        self.c = [jet[rung] for jet in jets]
        self.b = [c @ form.b_ty for c in self.c]
        self.B = [np.tensordot(c, form.B_tfy, 1) for c in self.c]
        self.w = [c @ form.w_ty for c in self.c]
        n, smooth = form.gaussian, slice(0, form.gaussian + form.truncated)
        self.A = [
            np.diag(w[:n]) - np.tensordot(c, form.K_tyy[:, :n, :n], 1) for c, w in zip(self.c, self.w)
        ]
        prior = form.prior_y[smooth]
        own = form.w_ty[prior, np.arange(len(prior))]
        self.p = [c[prior] * own for c in self.c]
        try:
            self.root = np.linalg.cholesky(self.A[0])
        except np.linalg.LinAlgError:
            raise ModelFileError(
                "gaussian units",
                got=f"smallest eigenvalue {np.linalg.eigvalsh(self.A[0])[0]:.3g} of their precision",
                expected="a positive-definite precision matrix",
                hint=f"at beta = {coefficients.beta[rung]:g} the couplings beat the priors",
            ) from None
        self.S = np.linalg.inv(self.A[0])

    def evaluate(self, F: np.ndarray, E: np.ndarray) -> StateWeights:
        """Weights of states with features F and term energies E among the enumerated units."""
        l = [-E @ c for c in self.c]
        theta = [b + F @ B for b, B in zip(self.b, self.B)]
        mean, variance = np.zeros_like(theta[0]), np.zeros_like(theta[0])
        if self.form.gaussian:
            self._gaussian(l, theta, mean, variance)
        if self.form.truncated:
            self._truncated(l, theta, mean, variance)
        for group in self.form.conditional:
            if group.prior.discrete:
                self._discrete(group, l, theta, mean, variance)
        return StateWeights(*l, mean, variance)

    def _gaussian(self, l, theta, mean, variance):
        n, S = self.form.gaussian, self.S
        t0, t1, t2 = (t[:, :n] for t in theta)
        _, A1, A2 = self.A
        p0, p1, p2 = (p[:n] for p in self.p)
        mu = t0 @ S
        mean[:, :n], variance[:, :n] = mu, np.diag(S)
        log_norm = 0.5 * np.log(p0).sum() - np.log(np.diag(self.root)).sum()
        l[0] += 0.5 * _dot(t0, mu) + log_norm
        l[1] += _dot(t1, mu) - 0.5 * _dot(mu @ A1, mu) + 0.5 * ((p1 / p0).sum() - (A1 * S).sum())
        v, SA = t1 - mu @ A1, S @ A1
        norm = 0.5 * ((p2 / p0 - (p1 / p0) ** 2).sum() - (A2 * S).sum() + (SA * SA.T).sum())
        l[2] += _dot(v @ S, v) + _dot(t2, mu) - 0.5 * _dot(mu @ A2, mu) + norm

    def _truncated(self, l, theta, mean, variance):
        n = self.form.gaussian
        at = slice(n, n + self.form.truncated)
        t0, t1, t2 = (t[:, at] for t in theta)
        a0, a1, a2 = (w[at] for w in self.w)
        p0, p1, p2 = (p[at] for p in self.p)
        lower = self.form.lower_y[at]
        m = truncated_moments(t0, a0, lower)
        free = truncated_moments(np.zeros((1, len(lower))), p0, lower)
        mean[:, at], variance[:, at] = m.mean, m.variance
        l[0] += units.log_normaliser(TRUNCATED, t0, a0 - p0, 1.0 / p0, lower).sum(axis=1)
        norm = 0.5 * (p1 * free.square).sum(axis=1)
        l[1] += (t1 * m.mean - 0.5 * a1 * m.square).sum(axis=1) + norm
        norm = (0.5 * p2 * free.square - 0.25 * p1**2 * free.square_variance).sum(axis=1)
        spread = t1**2 * m.variance - t1 * a1 * m.covariance + 0.25 * a1**2 * m.square_variance
        l[2] += (spread + t2 * m.mean - 0.5 * a2 * m.square).sum(axis=1) + norm

    def _discrete(self, group, l, theta, mean, variance):
        at = self.form.place[group.name]
        t0, t1, t2 = (t[:, at].reshape(len(t), group.size, group.prior.features) for t in theta)
        potts = group.prior.kind is UnitKind.POTTS
        m, var = units.mean(group.prior, t0), units.variance_of(group.prior, t0)
        mean[:, at], variance[:, at] = m.reshape(len(m), -1), var.reshape(len(m), -1)
        pull = (t1 * m).sum(axis=-1)
        spread = (t1**2 * m).sum(axis=-1) - pull**2 if potts else (t1**2 * var)[..., 0]
        l[0] += units.log_normaliser(group.prior, t0 if potts else t0[..., 0]).sum(axis=1)
        l[1] += pull.sum(axis=1)
        l[2] += (spread + (t2 * m).sum(axis=-1)).sum(axis=1)


@dataclass(frozen=True)
class TruncatedMoments:
    """Moments of z with density ``exp(theta z - a z^2 / 2)`` on [lower, inf).

    Besides mean and variance: `square` ``<z^2>``, `covariance` ``Cov(z, z^2)``, `square_variance`
    ``Var(z^2)``.
    """

    mean: np.ndarray
    variance: np.ndarray
    square: np.ndarray
    covariance: np.ndarray
    square_variance: np.ndarray


def truncated_moments(theta, precision, lower) -> TruncatedMoments:
    """Moments up to the fourth; `precision` is the full one, a = 1 / variance + lam.

    With ``y = z - lower`` and ``t = theta - a lower``, by parts:
    ``a <y^(n+1)> = t <y^n> + n <y^(n-1)>`` for n >= 1, where the boundary term vanishes.
    """
    mean = units.mean(TRUNCATED, theta, 0.0, 1.0 / precision, lower)
    variance = units.variance_of(TRUNCATED, theta, 0.0, 1.0 / precision, lower)
    t = theta - precision * lower
    y1 = mean - lower
    y2 = variance + y1**2
    y3 = (t * y2 + 2.0 * y1) / precision
    y4 = (t * y3 + 3.0 * y2) / precision
    covariance = y3 - y1 * y2
    return TruncatedMoments(
        mean,
        variance,
        variance + mean**2,
        covariance + 2.0 * lower * variance,
        y4 - y2**2 + 4.0 * lower * covariance + 4.0 * lower**2 * variance,
    )


def _dot(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.einsum("si,si->s", x, y)

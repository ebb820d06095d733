"""Second derivatives of the TAP functional, and the line beyond which its expansion has no meaning."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from physebm.free_energy.onsager import Onsager
from physebm.free_energy.stability import one_less_largest
from physebm.model.statistics import Moments
from physebm.model.units import Prior, UnitKind

Action = Callable[[Mapping[str, np.ndarray]], dict[str, np.ndarray]]


def onsager_curvature(onsager: Onsager, moments: Mapping[str, Moments], plain: Action) -> Action:
    """K of `fixed_points` as its action, from `plain`, that of naive mean field; moments of one row."""
    priors = {group.name: group.prior for group in onsager.hamiltonian.groups}
    slope = {name: _slope(priors[name], moments[name]) for name in priors}
    pull = {name: onsager.pull(name, moments)[0] for name in priors}
    squares = [onsager.centred(block, moments, 0) ** 2 for block in onsager.blocks]
    gram = {name: onsager.gram(name, moments) for name in priors if priors[name].q}

    def apply(x: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        out = plain({name: part if priors[name].q else part[..., :1] for name, part in x.items()})
        moved = {name: _moved(priors[name], slope[name], part) for name, part in x.items()}
        onto = {name: np.zeros_like(part) for name, part in moved.items()}
        for block, X in zip(onsager.blocks, squares, strict=True):
            onto[block.a] += 0.5 * block.onto_a(X, moved[block.b])
            if block.a != block.b:
                onto[block.b] += 0.5 * block.onto_b(X, moved[block.a])
        for name, part in x.items():
            if priors[name].q:
                out[name] += onto[name] - np.einsum("iab,rib->ria", gram[name], part)
                continue
            out[name] += slope[name][:, None] * onto[name] - pull[name] * part[..., :1]
            if not priors[name].discrete:
                out[name] = np.concatenate([out[name], onto[name]], axis=-1)
        return out

    return apply


def _slope(prior: Prior, held: Moments) -> np.ndarray:
    """dV/dm of scalar units, at fixed <x^2> for continuous ones, ``[unit]``."""
    double = 2.0 * held.first[0]
    return 1.0 - double if prior.kind is UnitKind.BERNOULLI else -double


def _moved(prior: Prior, slope: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The change of the weights of one group by ``x [row, unit, feature]``."""
    if prior.q:
        return x
    change = slope[:, None] * x[..., :1]
    return change if prior.discrete else change + x[..., 1:]


def expansion(onsager: Onsager, moments: Mapping[str, Moments]) -> float:
    """1 less the largest eigenvalue of ``V_i J_ij^2 V_j``, moments of one row; NaN for Potts units."""
    priors = {group.name: group.prior for group in onsager.hamiltonian.groups}
    if any(prior.q for prior in priors.values()):
        return float("nan")
    V = np.concatenate([onsager.weights(name, moments[name])[0, :, 0] for name in priors])
    places = np.cumsum([0, *(moments[name].first.shape[1] for name in priors)])

    def apply(X: np.ndarray) -> np.ndarray:
        x = np.split((X * V)[..., None], places[1:-1], axis=1)
        parts = dict(zip(priors, x, strict=True))
        out = {name: np.zeros_like(part) for name, part in parts.items()}
        for block in onsager.blocks:
            out[block.a] += block.onto_a(block.J**2, parts[block.b])
            if block.a != block.b:
                out[block.b] += block.onto_b(block.J**2, parts[block.a])
        return np.concatenate([out[name][..., 0] for name in priors], axis=1) * V

    return one_less_largest(apply, len(V))


def continuous_factor(
    kind: UnitKind, moments: Moments, theta: np.ndarray, lam: np.ndarray, lower: np.ndarray | float
) -> np.ndarray:
    """L of the covariance ``L L^T`` of ``(x, x^2)`` of every continuous unit, ``[unit, 2, 2]``.

    Moments of one row, of ``exp(theta x - lam x^2 / 2)``, from `lower` on where truncated.
    """
    m, s = moments.first[0], moments.second[0]
    # by parts: lam <x^(n+1)> = theta <x^n> + n <x^(n-1)> + lower^n rho, rho the density at the edge
    edge = np.zeros_like(m)
    if kind is UnitKind.TRUNCATED_GAUSSIAN:
        edge = lam * m - theta
    third = (theta * s + 2.0 * m + lower**2 * edge) / lam
    fourth = (theta * third + 3.0 * s + lower**3 * edge) / lam
    L = np.zeros((len(m), 2, 2))
    L[:, 0, 0] = np.sqrt(np.maximum(s - m**2, 0.0))
    L[:, 1, 0] = (third - m * s) / np.maximum(L[:, 0, 0], 1e-300)
    L[:, 1, 1] = np.sqrt(np.maximum(fourth - s**2 - L[:, 1, 0] ** 2, 0.0))
    return L

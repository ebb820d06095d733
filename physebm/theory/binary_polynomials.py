"""Models of Ising and Bernoulli units as polynomials of +-1 spins, for the compiled enumeration.

``x = s`` (Ising) or ``x = (1 + s)/2`` (Bernoulli) makes every energy a multilinear polynomial of the s:
fields, pairs, low-rank and many-body terms become sets of spins with a coefficient. Terms whose
coefficients are proportional at every rung (all terms, in plain tempering) share one polynomial.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np

from physebm.model.params import Coefficients
from physebm.model.units import UnitKind
from physebm.theory.conditional_form import ConditionalForm


def binary_sums(form: ConditionalForm, coefficients: Coefficients, counted: set[str]) -> tuple:
    """``log_z, first, second, derivative, curvature, order`` of `enumeration.Exact`.

    Counted spins enter the magnetisation ``m = (2 up - N)/N``, N the number of units of `counted`.
    """
    # Numba is loaded only where a model is too large for numpy.
    from physebm.native.enumerate import sum_over_spins

    masks, a_et = polynomials(form)
    a_eg, c_jkg = merged(a_et, coefficients)
    mask, unit = 0, 0
    for group in form.enumerated:
        if group.name in counted:
            mask |= ((1 << group.size) - 1) << unit
        unit += group.size
    sums = sum_over_spins(unit, masks, a_eg, c_jkg, mask)
    alpha, scale = _spin_form(form)
    s, ss = sums.spin, sums.pair
    first = alpha + scale * s
    cross = alpha[:, None] * (scale * s)[:, None, :]
    second = np.outer(alpha, alpha) + cross + cross.transpose(0, 2, 1) + np.outer(scale, scale) * ss
    N = mask.bit_count()
    m = (2.0 * np.arange(N + 1) - N) / N
    order = sums.up @ np.stack([m, np.abs(m), m**2, m**4], axis=1)
    return sums.log_z, first, second, sums.g1, sums.g11 - sums.g1**2 - sums.g2, order


def polynomials(form: ConditionalForm) -> tuple[np.ndarray, np.ndarray]:
    """Sets of spins as bit masks and ``a[mask, term]`` with ``E_t(s) = sum a[mask, t] prod s_i``."""
    alpha, scale = _spin_form(form)
    terms = len(form.h_tf)
    found: dict[int, np.ndarray] = {0: np.zeros(terms)}

    def add(t: int, units, weight: float) -> None:
        """Expand ``weight prod_i (alpha_i + scale_i s_i)`` over distinct units."""
        free = [i for i in units if alpha[i]]
        value = weight * np.prod(scale[list(units)])
        for kept in range(len(free) + 1):
            for dropped in combinations(free, kept):
                mask = sum(1 << int(i) for i in units if i not in dropped)
                factor = np.prod([alpha[i] / scale[i] for i in dropped])
                found.setdefault(mask, np.zeros(terms))[t] += value * factor

    for t, h in enumerate(form.h_tf):
        for i in np.flatnonzero(h):
            add(t, (i,), -h[i])
    for t, J in enumerate(form.J_tff):
        for i, j in np.argwhere(np.triu(J, 1)):
            add(t, (i, j), -J[i, j])
    for t, edges, weights in form.many:
        for edge, weight in zip(edges, weights):
            add(t, tuple(edge), -weight)
    masks = np.array(sorted(found), dtype=np.int64)
    return masks, np.stack([found[mask] for mask in masks.tolist()])


def merged(a_et: np.ndarray, coefficients: Coefficients) -> tuple[np.ndarray, np.ndarray]:
    """Join terms whose coefficients are proportional: ``a[mask, polynomial]``, ``c[3, rung, g]``."""
    jets = np.stack([coefficients.value, coefficients.first, coefficients.second])
    kept: list[np.ndarray] = []
    columns: list[np.ndarray] = []
    for t in range(a_et.shape[1]):
        c = jets[..., t]
        if not a_et[:, t].any() or not c.any():
            continue
        for g, other in enumerate(kept):
            ratio = (c * other).sum() / (other * other).sum()
            if np.allclose(c, ratio * other, rtol=1e-15, atol=1e-15 * np.abs(c).max()):
                columns[g] = columns[g] + ratio * a_et[:, t]
                break
        else:
            kept.append(c)
            columns.append(a_et[:, t])
    if not kept:
        return np.zeros((len(a_et), 1)), np.zeros((*jets.shape[:2], 1))
    return np.stack(columns, axis=1), np.stack(kept, axis=-1)


def _spin_form(form: ConditionalForm) -> tuple[np.ndarray, np.ndarray]:
    """``alpha_i, scale_i`` of ``x_i = alpha_i + scale_i s_i``."""
    ising = np.concatenate([np.full(g.size, g.prior.kind is UnitKind.ISING) for g in form.enumerated])
    return np.where(ising, 0.0, 0.5), np.where(ising, 1.0, 0.5)

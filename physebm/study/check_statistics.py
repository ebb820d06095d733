"""p-values of independent configurations against exact averages; Bonferroni over each family.

Configurations are independent lanes, so no autocorrelation enters. Every function returns a statistic
and one p-value for its whole family: ``min(1, m min p)`` over its m tests.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.stats import chi2, ks_2samp, norm

from physebm.model.hamiltonian import Group
from physebm.model.units import UnitKind
from physebm.theory.enumeration import Exact

# Least expected counts of a chi-square cell.
CELL_COUNTS = 10
# Least variance of a count that is called normal: below it the far tails are Poisson's, not normal.
NORMAL_COUNTS = 400

Found = tuple[float, float]
State = Mapping[str, np.ndarray]


def state_index(exact: Exact, x: State) -> np.ndarray:
    """Index of the enumerated state of each configuration, in the order of ``exact.probabilities``."""
    place, index = 1, np.zeros(len(next(iter(x.values()))), dtype=np.int64)
    for group in exact.form.enumerated:
        radix = len(group.prior.states)
        digits = np.searchsorted(group.prior.states, x[group.name])
        index += digits @ (place * radix ** np.arange(group.size, dtype=np.int64))
        place *= radix**group.size
    return index


def states_chi_square(exact: Exact, rung: int, x: State) -> Found:
    """Chi-square of the discrete states; rare states of neighbouring probability share a cell."""
    p = exact.probabilities[rung]
    index = state_index(exact, x)
    by_weight = np.argsort(-p, kind="stable")
    weight = p[by_weight] * len(index)
    common = int((weight >= CELL_COUNTS).sum())
    # cells twice as wide as needed, so that whole states still fill each one
    rare = np.cumsum(weight[common:]) / (2 * CELL_COUNTS)
    cell = np.empty(len(p), dtype=np.int64)
    cell[by_weight] = np.concatenate([np.arange(common), common + rare.astype(np.int64)])
    expected = np.bincount(cell, p * len(index))
    found = np.bincount(cell[index], minlength=len(expected)).astype(float)
    while len(expected) > 1 and expected[-1] < CELL_COUNTS:
        expected = np.append(expected[:-2], expected[-2:].sum())
        found = np.append(found[:-2], found[-2:].sum())
    if len(expected) < 2:  # one state holds nearly all the weight
        return 0.0, 1.0
    statistic = float(((found - expected) ** 2 / expected).sum())
    return statistic, float(chi2.sf(statistic, len(expected) - 1))


def moments(exact: Exact, rung: int, x: State) -> Found:
    """All first moments and pair moments of the units, max |z|."""
    groups = exact.hamiltonian.groups
    z = []
    for a, group in enumerate(groups):
        f, often_f = _features(group, x)
        mean = exact.mean(group.name)[rung].reshape(group.size, -1)[:, : _kept(group)]
        z.append(_z(f.mean(axis=0), mean.ravel(), (f * f).mean(axis=0), len(f), often_f))
        for other in groups[a:]:
            g, often_g = _features(other, x)
            pair = exact.pair(group.name, other.name)[rung]
            pair = pair.reshape(*pair.shape[:2], group.prior.features, other.prior.features)
            pair = pair[:, :, : _kept(group), : _kept(other)].transpose(0, 2, 1, 3)
            square = (f * f).T @ (g * g) / len(f)
            use = np.outer(often_f, often_g)
            if other is group:
                use = np.triu(use)
            if group.prior.discrete and other.prior.discrete:
                spread = square - pair.reshape(square.shape) ** 2
                use &= len(f) * spread / (_range(group) * _range(other)) > NORMAL_COUNTS
            z.append(_z(f.T @ g / len(f), pair.reshape(square.shape), square, len(f), use))
    return _largest(np.concatenate(z))


def mean_energy(exact: Exact, rung: int, slope: np.ndarray) -> Found:
    """Mean of ``du/dbeta`` over the lanes against its exact value, |z|."""
    spread = np.full(1, (slope**2).mean())
    mean = exact.derivative[rung : rung + 1]
    return _largest(_z(slope.mean(keepdims=True), mean, spread, len(slope), np.ones(1, bool)))


def kolmogorov_smirnov(exact: Exact, x: State, fresh: State) -> Found:
    """Largest two-sample distance of a continuous unit from fresh exact samples."""
    statistic, p, tests = 0.0, 1.0, 0
    for group in exact.hamiltonian.groups:
        if group.prior.discrete:
            continue
        for a, b in zip(x[group.name].T, fresh[group.name].T):
            found = ks_2samp(a, b, method="asymp")
            statistic, p = max(statistic, float(found.statistic)), min(p, float(found.pvalue))
            tests += 1
    return statistic, min(1.0, p * tests)


def _features(group: Group, x: State) -> tuple[np.ndarray, np.ndarray]:
    """``[lane, feature]`` of a group, without a Potts unit's last state; and which are not rare."""
    values = x[group.name]
    if group.prior.kind is UnitKind.POTTS:
        values = (values[..., None] == np.arange(_kept(group))).reshape(len(values), -1)
    f = values.astype(np.float64)
    if not group.prior.discrete:
        return f, np.ones(f.shape[1], dtype=bool)
    return f, len(f) * f.var(axis=0) / _range(group) ** 2 > NORMAL_COUNTS


def _kept(group: Group) -> int:
    return max(group.prior.features - 1, 1)


def _range(group: Group) -> float:
    return 2.0 if group.prior.kind is UnitKind.ISING else 1.0


def _z(found, expected, square, count: int, use) -> np.ndarray:
    """Z of the means selected by `use`, from the mean squares of single configurations."""
    variance = square - expected**2
    use = use & (variance > 1e-12 * (1.0 + square))
    return ((found - expected)[use] / np.sqrt(variance[use] / count)).ravel()


def _largest(z: np.ndarray) -> Found:
    if z.size == 0:
        return 0.0, 1.0
    worst = float(np.abs(z).max())
    return worst, float(min(1.0, 2.0 * norm.sf(worst) * z.size))

"""Non-linear quantities ``f(<A>, <B>, ...)``, declared as data, estimated by jackknife.

While running, only linear moments are averaged; a ratio of averages is formed afterwards, with the
bias of order 1/n removed and with its error from leave-one-out values (B. Efron, "The jackknife, the
bootstrap and other resampling plans", SIAM 1982, chapter 2):

``value = n f(all) - (n-1) mean_k f(without k)``,
``stderr^2 = (n-1)/n sum_k (f(without k) - mean)^2``.

With one disorder sample the blocks of its chains are left out one by one; with several samples the
samples are, because they differ more than any chain of theirs. What "disorder average" means is part
of a definition: ``moments`` averages the moments first and forms the ratio after (Binder, xi/L),
``values`` forms each sample's own value and averages those (specific heat).

========================================  ====================================================
moment                                    what is averaged
========================================  ====================================================
du_dbeta, du_dbeta_squared, d2u_dbeta2    total du/dbeta, its square, d2u/dbeta2; for priors that
                                          do not depend on beta H, H^2 and 0
abs_m, m2, m4                             |m|, m^2, m^4 of `order.magnetisation`
q2, q4                                    q^2, q^4 of `overlap.replica_overlap`
mk2, qk2                                  |m_k|^2, |q_k|^2 at k1, mean over the lattice axes
========================================  ====================================================
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from physebm.arrays import Array, Float64
from physebm.observables.sums import ordered_mean, ordered_sum


@dataclass(frozen=True, slots=True)
class Derived:
    """A non-linear quantity: the moments and constants it needs, and its formula.

    Attributes
    ----------
    name
        Name in the result.
    moments
        Averages that enter, in the order of the formula's first arguments.
    constants
        Known numbers (or arrays over points) that enter after them.
    formula
        ``formula(*moments, *constants)``, elementwise.
    disorder
        What is averaged over disorder: the ``moments``, or the ``values`` of single samples.
    definition
        The formula as text.
    """

    name: str
    moments: tuple[str, ...]
    constants: tuple[str, ...]
    formula: Callable[..., Float64]
    disorder: Literal["moments", "values"]
    definition: str


def jackknife(formula: Callable[..., Float64], *moments: Array) -> tuple[Float64, Float64]:
    """Bias-corrected value and standard error of ``formula(<A>, <B>, ...)``.

    `moments` are arrays ``[block, ...]`` of equal blocks, independent of each other (longer than a few
    tau); `formula` is elementwise. Reduces the first axis.
    """
    moments = tuple(np.asarray(a, dtype=np.float64) for a in moments)
    n = len(moments[0])
    if n < 2 or any(len(a) != n for a in moments):
        raise ValueError(f"the jackknife needs two or more blocks, got {[len(a) for a in moments]}")
    totals = [ordered_sum(a) for a in moments]
    value = formula(*(total / n for total in totals))
    without = formula(*((total - a) / (n - 1) for total, a in zip(totals, moments)))
    shift = without - value  # about `value`: a quantity without scatter has error zero, not rounding
    mean_shift = ordered_mean(shift)
    spread = shift - mean_shift
    stderr = np.sqrt((n - 1) / n * ordered_sum(spread * spread))
    return value - (n - 1) * mean_shift, stderr


def estimate(
    derived: Derived,
    moments: Mapping[str, Array],
    constants: Mapping[str, Array | float],
    disorder: bool = False,
) -> tuple[Float64, Float64]:
    """Value and standard error of a derived quantity.

    Parameters
    ----------
    derived
        One of `DERIVED`, or a declaration of your own.
    moments
        Block means by name, ``[block, ...point]``, all chains pooled; with `disorder`
        ``[sample, block, ...point]``.
    constants
        By name; broadcast against ``[...point]``.
    disorder
        Whether the first axis runs over disorder samples.
    """
    blocks = [np.asarray(moments[name], dtype=np.float64) for name in derived.moments]
    known = [np.asarray(constants[name], dtype=np.float64) for name in derived.constants]

    def formula(*means):
        return derived.formula(*means, *known)

    if not disorder:
        return jackknife(formula, *blocks)
    samples = len(blocks[0])
    if samples == 1:
        return jackknife(formula, *(a[0] for a in blocks))
    if derived.disorder == "moments":
        return jackknife(formula, *(ordered_mean(a, 1) for a in blocks))
    value, _ = jackknife(formula, *(np.moveaxis(a, 1, 0) for a in blocks))
    mean = ordered_mean(value)
    return mean, np.sqrt(ordered_sum((value - mean) ** 2) / (samples * (samples - 1)))


def _specific_heat(u1, u2, curvature, beta, n_units):
    return beta**2 * (u2 - u1 * u1 - curvature) / n_units


def _susceptibility(abs_m, m2, beta, n_units):
    return beta * n_units * (m2 - abs_m * abs_m)


def _binder(m2, m4):
    return 1.0 - _ratio(m4, m2 * m2) / 3.0


def _binder_overlap(q2, q4):
    return (3.0 - _ratio(q4, q2 * q2)) / 2.0


def _sg_susceptibility(q2, n_units):
    return n_units * q2


def _correlation_length(zero, k1, length):
    # Above the ordering temperature noise may put chi(0) below chi(k1): no correlation resolved, 0.
    square = np.maximum(_ratio(zero, k1) - 1.0, 0.0)
    return np.sqrt(square) / (2.0 * np.sin(np.pi / length) * length)


def _ratio(a, b):
    """``a/b``, NaN where b = 0 (a ratio of moments that vanish is undefined)."""
    return np.divide(a, b, out=np.full(np.shape(b), np.nan), where=np.asarray(b) != 0)


DERIVED = {
    derived.name: derived
    for derived in (
        Derived(
            "specific_heat",
            ("du_dbeta", "du_dbeta_squared", "d2u_dbeta2"),
            ("beta", "n_units"),
            _specific_heat,
            "values",
            "beta^2 (Var(du/dbeta) - <d2u/dbeta2>) / N",
        ),
        Derived(
            "susceptibility",
            ("abs_m", "m2"),
            ("beta", "n_units"),
            _susceptibility,
            "values",
            "beta N (<m^2> - <abs m>^2)",
        ),
        Derived("binder", ("m2", "m4"), (), _binder, "moments", "1 - [<m^4>] / (3 [<m^2>]^2)"),
        Derived(
            "binder_overlap",
            ("q2", "q4"),
            (),
            _binder_overlap,
            "moments",
            "(3 - [<q^4>] / [<q^2>]^2) / 2",
        ),
        Derived(
            "sg_susceptibility",
            ("q2",),
            ("n_units",),
            _sg_susceptibility,
            "moments",
            "N [<q^2>]",
        ),
        Derived(
            "correlation_length_over_L",
            ("q2", "qk2"),
            ("length",),
            _correlation_length,
            "moments",
            "sqrt(chi(0)/chi(k1) - 1) / (2 sin(k1/2)) / L, chi(k) = N [<abs(q_k)^2>], k1 = 2 pi/L",
        ),
        Derived(
            "correlation_length_over_L_ferromagnet",
            ("m2", "mk2"),
            ("length",),
            _correlation_length,
            "moments",
            "sqrt(chi(0)/chi(k1) - 1) / (2 sin(k1/2)) / L, chi(k) = N [<abs(m_k)^2>], k1 = 2 pi/L",
        ),
    )
}
"""The declared quantities by name."""

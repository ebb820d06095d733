"""Order parameters of configurations: magnetisation and its lowest Fourier mode.

Configurations are arrays ``x[..., unit]`` or, on a lattice, ``x[..., *L]``; the leading axes (lanes,
draws, points) are kept. `kind` is the prior of the units, which fixes how a value becomes a spin:

========================================  ==========================================
ising, gaussian, truncated_gaussian       ``s = x``
bernoulli                                 ``s = 2x - 1``
potts (values 0 .. q-1)                   no scalar spin; fractions ``rho_a`` of state a
========================================  ==========================================

Integer configurations are summed as integers, so that these values are exact multiples of 1/N and the
same on every machine.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from physebm.arrays import Array, Float64

SCALAR_KINDS = ("ising", "bernoulli", "gaussian", "truncated_gaussian")
DISCRETE_KINDS = ("ising", "bernoulli", "potts")


def magnetisation(x_ln: Array, kind: str = "ising", q: int | None = None) -> Float64:
    """Magnetisation per unit ``m_l`` of configurations ``x_ln [..., unit]``; reduces the last axis.

    ``m = (1/N) sum_i s_i``, Bernoulli units through ``2x - 1``; for Potts units with `q` states
    ``m = (q max_a rho_a - 1)/(q - 1)``, rho_a the fraction of units in state a, in [0, 1].
    Definition; Potts: F. Y. Wu, Rev. Mod. Phys. 54, 235 (1982).
    """
    x = np.asarray(x_ln)
    n = x.shape[-1]
    if kind == "potts":
        largest = _count(x == 0)
        for state in range(1, _states(q)):
            largest = np.maximum(largest, _count(x == state))
        return _of_largest(largest, _states(q), n)
    total = _sum(x)
    if kind == "bernoulli":
        return (2 * total - n) / n
    _check_scalar(kind)
    return total / n


def magnetisation_of_counts(counts: Array, kind: str = "ising") -> Float64:
    """`magnetisation` of discrete units from how many of them stand in each state ``[..., state]``.

    Of two states the lower first. The same bits: all sums are those of integers.
    """
    n = counts.sum(axis=-1)
    if kind == "potts":
        return _of_largest(counts.max(axis=-1), counts.shape[-1], n)
    return (counts[..., 1] - counts[..., 0]) / n


def _of_largest(largest: Array, states: int, n: Array | int) -> Float64:
    return (states * largest - n) / ((states - 1) * n)


def spins(x: Array, kind: str = "ising") -> Array:
    """The scalar spin of each unit, same shape: ``2x - 1`` for Bernoulli units, x otherwise."""
    _check_scalar(kind)
    x = np.asarray(x)
    if kind != "bernoulli":
        return x
    return 2 * x.astype(np.int8) - 1 if x.dtype.kind in "bu" else 2 * x - 1


def structure_factor_amplitude(s: Array, dimension: int) -> Float64:
    """Squared lowest Fourier mode ``|m_k|^2`` along every lattice axis.

    ``m_k = (1/N) sum_x s_x exp(i k1 x_d)`` with ``k1 = 2 pi / L_d``, one value per lattice axis d.

    Parameters
    ----------
    s
        Spins (see `spins`) or any lattice field, ``[..., *L]`` with `dimension` lattice axes.
    dimension
        Number of lattice axes.

    Returns
    -------
    Float64
        ``[..., dimension]``. With ``chi(k) = N <|m_k|^2>`` it gives the second-moment correlation
        length (F. Cooper, B. Freedman, D. Preston, Nucl. Phys. B 210, 210 (1982)).
    """
    s = np.asarray(s)
    lead, shape = s.shape[: s.ndim - dimension], s.shape[s.ndim - dimension :]
    if len(shape) != dimension or dimension < 1:
        raise ValueError(f"a field of shape {s.shape} has no {dimension} lattice axes")
    axes = range(len(lead), s.ndim)
    return amplitude_of_profiles([_sum(s, tuple(e for e in axes if e != d)) for d in axes])


def amplitude_of_profiles(profiles: Sequence[Array]) -> Float64:
    """`structure_factor_amplitude` from the sums of a field over all axes but one, ``[..., place]``."""
    shape = [each.shape[-1] for each in profiles]
    n, out = int(np.prod(shape)), np.empty((*profiles[0].shape[:-1], len(shape)))
    for d, (length, profile) in enumerate(zip(shape, profiles)):
        slices = np.ascontiguousarray(profile, dtype=np.float64)
        angle = 2.0 * np.pi / length * np.arange(length)
        real = (slices * np.cos(angle)).sum(axis=-1) / n
        imaginary = (slices * np.sin(angle)).sum(axis=-1) / n
        out[..., d] = real**2 + imaginary**2
    return out


def _count(mask: Array) -> Array:
    return np.count_nonzero(mask, axis=-1)


def _sum(x: Array, axis: int | tuple[int, ...] = -1) -> Array:
    return x.sum(axis=axis, dtype=np.int64 if x.dtype.kind in "biu" else np.float64)


def _check_scalar(kind: str) -> None:
    if kind not in SCALAR_KINDS:
        legal = ", ".join(SCALAR_KINDS)
        raise ValueError(f"{kind!r} units have no scalar spin; those that have: {legal}")


def _states(q: int | None) -> int:
    if q is None or q < 2:
        raise ValueError(f"potts units need the number of states q >= 2, got {q}")
    return int(q)

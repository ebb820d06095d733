"""Overlaps: with stored patterns, and between two replicas of one sample.

``m_mu = (1/N) sum_i xi_i^mu s_i`` measures memory, ``q = (1/N) sum_i s_i^a s_i^b`` freezing. For
discrete units both are integers over N and are computed exactly, so P(q) is a histogram on the
values that q can take, without bins of arbitrary width.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from physebm.arrays import Array, Float64, Int64
from physebm.observables.order import (
    DISCRETE_KINDS,
    SCALAR_KINDS,
    spins,
    structure_factor_amplitude,
)


class Patterns(NamedTuple):
    """Patterns in the type that overlaps are computed in, and whether they are -1, 0 and 1 only."""

    values: Array
    signs: bool


def pattern_overlaps(
    x_ln: Array, xi: Array | Patterns, instance_l: Array | None = None, kind: str = "ising"
) -> Float64:
    """Pattern overlaps ``m_lp = (1/N) sum_i xi_pi s_li``; in [-1, 1] for Ising units and patterns.

    Parameters
    ----------
    x_ln
        Configurations ``[lane, unit]``; Bernoulli units enter through ``2x - 1``.
    xi
        Patterns ``[pattern, unit]`` shared by all lanes, or ``[instance, pattern, unit]``; as they
        are, or for many calls as `ready_patterns` gives them.
    instance_l
        With ``[instance, ...]`` patterns: the instance of each lane. Lanes of one instance are
        grouped, one matrix product each.
    kind
        Prior of the units.

    Returns
    -------
    Float64
        ``[lane, pattern]``; exact (order of summation does not matter) for integer configurations
        and integer patterns. Zero-padded pattern rows give overlap 0.
        Source: D. J. Amit, H. Gutfreund, H. Sompolinsky, Phys. Rev. A 32, 1007 (1985).
    """
    s = spins(x_ln, kind)
    patterns = xi if isinstance(xi, Patterns) else ready_patterns(xi)
    n = s.shape[-1]
    work = np.float32 if patterns.signs and _signs(s) else np.float64
    s, xi = s.astype(work, copy=False), patterns.values.astype(work, copy=False)
    if xi.ndim == 2:
        return (s @ xi.T).astype(np.float64) / n
    if instance_l is None:
        raise ValueError("patterns [instance, pattern, unit] need the instance of every lane")
    instance_l = np.asarray(instance_l)
    out = np.empty((len(s), xi.shape[1]))
    if (instance_l[1:] >= instance_l[:-1]).all():
        ends = [*(np.flatnonzero(instance_l[1:] > instance_l[:-1]) + 1), len(instance_l)]
        groups = [slice(begin, end) for begin, end in zip((0, *ends), ends) if end > begin]
    else:
        groups = [np.flatnonzero(instance_l == instance) for instance in np.unique(instance_l)]
    for lanes in groups:
        out[lanes] = s[lanes] @ xi[instance_l[lanes][0]].T
    out /= n
    return out


def ready_patterns(xi: Array) -> Patterns:
    """Patterns for many calls of `pattern_overlaps`: float32 for int8 signs, else float64.

    Partial sums of products of -1, 0 and 1 are exact in float32 below 2^24, whatever order BLAS takes.
    """
    xi = np.asarray(xi)
    signs = _signs(xi)
    return Patterns(xi.astype(np.float32 if signs else np.float64, copy=False), signs)


def _signs(v: Array) -> bool:
    if v.dtype != np.int8 or v.shape[-1] >= 2**24:
        return False
    return v.min(initial=0) >= -1 and v.max(initial=0) <= 1


def retrieval_overlap(m_lp: Array, pattern: int | Array = 0) -> Float64:
    """The signed overlap ``m_l`` with the nominated pattern, one index or one per lane."""
    m_lp = np.asarray(m_lp)
    index = np.broadcast_to(np.asarray(pattern), m_lp.shape[:-1])
    return np.take_along_axis(m_lp, index[..., None], axis=-1)[..., 0]


def max_pattern_overlap(m_lp: Array) -> Float64:
    """The largest ``|m_lp|`` over patterns (``-xi`` is stored as well as ``xi`` at zero field).

    A random state is not at zero: compare with `noise_floor`.
    """
    return np.abs(m_lp).max(axis=-1)


def noise_floor(patterns: int, n_units: int) -> float:
    """``sqrt(2 ln P / N)``: the largest of P overlaps of a random state, to leading order."""
    return math.sqrt(2.0 * math.log(patterns) / n_units)


def replica_overlap(a: Array, b: Array, kind: str = "ising", q: int | None = None) -> Float64:
    """Overlap of two replicas ``a, b [..., unit]``; reduces the last axis.

    Ising ``(1/N) sum_i a_i b_i``; Bernoulli the same through ``2x - 1``; Potts
    ``(1/N) sum_i (q delta(a_i, b_i) - 1)/(q - 1)``; continuous units the cosine
    ``a.b / (|a| |b|)`` (0 if one is the zero vector). The discrete ones are computed from the number
    of agreeing units, exactly. Source: G. Parisi, Phys. Rev. Lett. 50, 1946 (1983).
    """
    a, b = np.asarray(a), np.asarray(b)
    n = a.shape[-1]
    if kind in DISCRETE_KINDS:
        return overlap_of_agreements(np.count_nonzero(a == b, axis=-1), n, kind, q)
    if kind not in SCALAR_KINDS:
        raise ValueError(f"unknown kind of unit {kind!r}")
    a, b = a.astype(np.float64, copy=False), b.astype(np.float64, copy=False)
    norm = np.sqrt((a * a).sum(axis=-1) * (b * b).sum(axis=-1))
    dot = (a * b).sum(axis=-1)
    return np.divide(dot, norm, out=np.zeros_like(dot), where=norm > 0)


def overlap_of_agreements(agreeing: Array, n: int, kind: str, q: int | None = None) -> Float64:
    """`replica_overlap` of discrete units from the number of units in the same state, of n."""
    states = _states_of(kind, q)
    return (states * agreeing - n) / ((states - 1) * n)


def overlap_at_k1(
    a: Array, b: Array, dimension: int, kind: str = "ising", q: int | None = None
) -> Float64:
    """``|q_k|^2`` along every lattice axis at ``k1 = 2 pi / L``, for ``a, b [..., *L]``.

    ``q_k = (1/N) sum_x q_x exp(i k x_d)`` with ``q_x`` the summand of `replica_overlap`. Returns
    ``[..., dimension]``. Source: H. G. Ballesteros et al., Phys. Rev. B 62, 14237 (2000).
    """
    a, b = np.asarray(a), np.asarray(b)
    if kind in DISCRETE_KINDS:
        return scaled_agreement(structure_factor_amplitude(a == b, dimension), kind, q)
    return structure_factor_amplitude(spins(a, kind) * spins(b, kind), dimension)


def scaled_agreement(amplitude: Array, kind: str, q: int | None = None) -> Float64:
    """``|q_k|^2`` of discrete units from the amplitude of ``delta(a_x, b_x)``.

    ``(q delta - 1)/(q - 1) = (q/(q-1)) (delta - 1/q)``, and the constant has no k1 component.
    """
    states = _states_of(kind, q)
    return amplitude * (states / (states - 1)) ** 2


def overlap_values(n_units: int, q: int = 2) -> Float64:
    """The ``N + 1`` values an overlap of discrete units takes, ascending.

    ``-1 + 2k/N`` for Ising and Bernoulli units (q = 2), ``(q k / N - 1)/(q - 1)`` for Potts, k the
    number of agreeing units.
    """
    k = np.arange(n_units + 1)
    return (q * k - n_units) / ((q - 1) * n_units)


def overlap_histogram(overlap: Array, n_units: int, q: int = 2) -> Int64:
    """Counts of each of `overlap_values` in ``overlap [..., draw]``; returns ``[..., N + 1]``.

    P(q) of one disorder sample is counts / counts.sum(); every draw falls on a value, none between.
    """
    overlap = np.asarray(overlap, dtype=np.float64)
    lead = overlap.shape[:-1]
    agreeing = (overlap * (q - 1) + 1.0) * (n_units / q)
    k = np.rint(agreeing).astype(np.int64)
    if k.size and (np.abs(agreeing - k).max() > 1e-3 or k.min() < 0 or k.max() > n_units):
        raise ValueError(f"overlaps are not those of {n_units} units with {q} states")
    rows = int(np.prod(lead))
    k = k.reshape(rows, -1) + (n_units + 1) * np.arange(rows)[:, None]
    counts = np.bincount(k.ravel(), minlength=rows * (n_units + 1))
    return counts.reshape(*lead, n_units + 1)


def _states_of(kind: str, q: int | None) -> int:
    if kind != "potts":
        return 2
    if q is None or q < 2:
        raise ValueError(f"potts units need the number of states q >= 2, got {q}")
    return int(q)

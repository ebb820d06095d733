"""Overlaps of many samples with many: chains with each other, chains with the data, nearest rows.

Overlaps are those of `overlap.replica_overlap` (Ising and Bernoulli ``(1/N) sum s s'``, Potts
``(q delta - 1)/(q - 1)`` averaged, continuous units the cosine). All pairs of two blocks of rows are
one float32 matrix product of numbers 0 and +-1, exact below 2^24 units; only blocks of pairs are ever
held. Continuous units are done in float64.

Chains that all overlap have collapsed to one mode; chains closer to data rows than data rows are to
each other have copied them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from physebm.arrays import Array, Float64, Int64
from physebm.observables.order import DISCRETE_KINDS, spins
from physebm.observables.overlap import overlap_histogram, overlap_values

BINS = 200
_BLOCK = 1024


class PairOverlaps(NamedTuple):
    """Overlap q over all pairs of different chains.

    Attributes
    ----------
    mean, second_moment
        ``<q>`` and ``<q^2>`` over the ``C (C - 1)/2`` pairs, which are not independent: C chains are.
    values
        Discrete units: the N + 1 values that q takes; continuous ones: centres of 200 bins of [-1, 1].
    counts
        Pairs at each of them.
    """

    mean: float
    second_moment: float
    values: Float64
    counts: Int64


class DataOverlaps(NamedTuple):
    """Overlaps of every chain with all rows of the data, each ``[chain]``.

    Attributes
    ----------
    mean, largest
        Over rows.
    nearest
        The row of largest overlap, the first of equals.
    distance
        Number of units in which the chain differs from it (Hamming); NaN for continuous units.
    """

    mean: Float64
    largest: Float64
    nearest: Int64
    distance: Float64


class AdversarialAccuracy(NamedTuple):
    """Whether nearest neighbours tell real rows from synthetic ones; ideal 1/2 each.

    Attributes
    ----------
    truth
        Part of the real rows whose nearest other real row is nearer than any synthetic one. Near 0
        the synthetic rows are copies of real ones, near 1 they stay away from them.
    synthetic
        Part of the synthetic rows whose nearest other synthetic row is nearer than any real one.
    """

    truth: float
    synthetic: float


def chain_overlaps(
    x: Array, kind: str = "ising", q: int | None = None, block: int = _BLOCK
) -> PairOverlaps:
    """Overlaps between all pairs of ``x [chain, unit]``.

    `kind` is the prior of the units, `q` the states of Potts units, `block` the chains per product.
    """
    x = _rows(x)
    chains, n = x.shape
    if chains < 2:
        raise ValueError(f"overlaps between chains need two of them, got {chains}")
    states, discrete = _states(kind, q), kind in DISCRETE_KINDS
    edges = np.linspace(-1.0, 1.0, BINS + 1)
    values = overlap_values(n, states) if discrete else (edges[1:] + edges[:-1]) / 2
    counts, first, second = np.zeros(len(values), np.int64), 0.0, 0.0
    for at, a in _blocks(x, kind, states, block):
        for other, b in _blocks(x[: at + len(a)], kind, states, block):
            overlap = _overlaps(a, b, n, kind, states)
            if other == at:
                overlap = overlap[np.tril_indices(len(a), -1)]
            overlap = overlap.ravel()
            if discrete:
                counts += overlap_histogram(overlap, n, states)
            else:
                counts += np.histogram(overlap, edges)[0]
                first, second = first + overlap.sum(), second + overlap @ overlap
    pairs = chains * (chains - 1) // 2
    if discrete:
        first, second = counts @ values, counts @ (values * values)
    return PairOverlaps(float(first / pairs), float(second / pairs), values, counts)


def data_overlaps(
    x: Array, data: Array, kind: str = "ising", q: int | None = None, block: int = _BLOCK
) -> DataOverlaps:
    """Overlaps of chains ``x [chain, unit]`` with rows ``data [row, unit]``, all pairs.

    `kind`, `q` and `block` as in `chain_overlaps`.
    """
    x, data = _rows(x), _rows(data)
    n, states = _same_width(x, data), _states(kind, q)
    total, largest = np.zeros(len(x)), np.full(len(x), -np.inf)
    nearest = np.zeros(len(x), np.int64)
    for row, b in _blocks(data, kind, states, block):
        for at, a in _blocks(x, kind, states, block):
            overlap, chains = _overlaps(a, b, n, kind, states), slice(at, at + len(a))
            total[chains] += overlap.sum(axis=1)
            best = overlap.argmax(axis=1)
            value = overlap[np.arange(len(a)), best]
            better = value > largest[chains]
            largest[chains] = np.where(better, value, largest[chains])
            nearest[chains] = np.where(better, row + best, nearest[chains])
    differing = np.rint((1.0 - largest) * n * (states - 1) / states)
    distance = differing if kind in DISCRETE_KINDS else np.full(len(x), np.nan)
    return DataOverlaps(total / len(data), largest, nearest, distance)


def adversarial_accuracy(
    real: Array,
    synthetic: Array,
    kind: str = "bernoulli",
    q: int | None = None,
    block: int = _BLOCK,
) -> AdversarialAccuracy:
    """Nearest-neighbour adversarial accuracy of ``real [row, unit]``, ``synthetic [row, unit]``.

    ``truth = (1/n) sum_i 1[d_TS(i) > d_TT(i)]``, ``synthetic = (1/n) sum_i 1[d_ST(i) > d_SS(i)]``, d
    the distance from row i to the nearest row of the other set (TS, ST) or to the nearest other row of
    its own (TT, SS); Hamming distance for discrete units, Euclidean for continuous ones. A tie counts
    as not told apart. Standard error about ``1/(2 sqrt n)``. Source: A. Yale et al., Neurocomputing
    416, 244 (2020); B. Yelmen et al., PLoS Genetics 17, e1009303 (2021).

    Raises
    ------
    ValueError
        Sets of different size (the larger one would have nearer rows), or fewer than two rows.
    """
    real, synthetic = _rows(real), _rows(synthetic)
    n, states = _same_width(real, synthetic), _states(kind, q)
    if len(real) != len(synthetic) or len(real) < 2:
        raise ValueError(
            f"two sets of one size, at least 2, are needed; got {len(real)} and {len(synthetic)} rows"
        )
    if kind not in DISCRETE_KINDS:
        centre = real.mean(axis=0, dtype=np.float64)
        real, synthetic = real - centre, synthetic - centre

    def nearest(x: Array, y: Array) -> Float64:
        best = np.full(len(x), np.inf)
        for row, b in _blocks(y, kind, states, block, unit=False):
            for at, a in _blocks(x, kind, states, block, unit=False):
                d = _distances(a, b, n, kind, states)
                if x is y and row == at:
                    np.fill_diagonal(d, np.inf)
                best[at : at + len(a)] = np.minimum(best[at : at + len(a)], d.min(axis=1))
        return best

    truth = nearest(real, synthetic) > nearest(real, real)
    false = nearest(synthetic, real) > nearest(synthetic, synthetic)
    return AdversarialAccuracy(float(truth.mean()), float(false.mean()))


def _rows(x: Array) -> Array:
    x = np.asarray(x)
    if x.ndim != 2 or not x.size:
        raise ValueError(f"samples [sample, unit] needed, got shape {x.shape}")
    return x


def _same_width(a: Array, b: Array) -> int:
    if a.shape[1] != b.shape[1]:
        raise ValueError(f"samples of {a.shape[1]} and of {b.shape[1]} units")
    return a.shape[1]


def _states(kind: str, q: int | None) -> int:
    if kind != "potts":
        return 2
    if q is None or q < 2:
        raise ValueError(f"potts units need the number of states q >= 2, got {q}")
    return int(q)


def _blocks(x: Array, kind: str, states: int, block: int, unit: bool = True):
    """Row blocks as factors of a product: spins, one-hot states, or (unit) vectors; and their start."""
    for at in range(0, len(x), block):
        rows = x[at : at + block]
        if kind == "potts":
            hot = rows[:, :, None] == np.arange(states)
            yield at, hot.reshape(len(rows), -1).astype(np.float32)
        elif kind in DISCRETE_KINDS:
            yield at, spins(rows, kind).astype(np.float32)
        else:
            rows = spins(rows, kind).astype(np.float64)
            norm = np.sqrt((rows * rows).sum(axis=1, keepdims=True)) if unit else 1.0
            yield at, np.divide(rows, norm, out=np.zeros_like(rows), where=norm != 0)


def _overlaps(a: Array, b: Array, n: int, kind: str, states: int) -> Float64:
    product = (a @ b.T).astype(np.float64)
    if kind == "potts":
        return (states * product - n) / ((states - 1) * n)
    return product / n if kind in DISCRETE_KINDS else np.clip(product, -1.0, 1.0)


def _distances(a: Array, b: Array, n: int, kind: str, states: int) -> Float64:
    """Hamming distances, or squared Euclidean ones."""
    product = (a @ b.T).astype(np.float64)
    if kind == "potts":
        return n - product
    if kind in DISCRETE_KINDS:
        return (n - product) / 2
    squares_a, squares_b = ((v * v).sum(axis=1) for v in (a, b))
    return squares_a[:, None] + squares_b - 2 * product

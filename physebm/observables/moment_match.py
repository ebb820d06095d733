"""How far the moments of a model are from those of the data, and how near they can be.

Maximum likelihood of a pairwise model matches first and second moments; the third is what it was not
asked for. Two finite samples of one distribution differ too: the expected square of their difference is
the sum of the sampling variances of both (see `moments`). Its root is reported as `noise`: an RMS error
of that size is as good as a match can be.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from physebm.arrays import Array, Float64, Int64
from physebm.observables.moments import Moments, compared_pairs

_FLAT = 1e-12  # scatter below this share of the largest value is rounding


class MomentMatch(NamedTuple):
    """How the moments of one order agree, model against data; NaN where nothing is compared.

    Attributes
    ----------
    rms, largest
        Root mean square and largest absolute difference.
    pearson, slope
        Correlation over the compared moments, and regression slope of the model on the data. NaN where
        all moments of the data (for `pearson`: of either) are equal, as for a single pair or constant
        features: 0/0.
    noise
        RMS difference of two samples of these sizes of one distribution.
    """

    rms: float
    largest: float
    pearson: float
    slope: float
    noise: float


def moment_errors(data: Moments, model: Moments) -> tuple[MomentMatch, MomentMatch, MomentMatch]:
    """The match of first, second and third moments, in this order.

    Raises
    ------
    ValueError
        When the two hold moments of different features, groups or triplets.
    """
    for name in ("group_f", "triplets", "diagonal"):
        if not np.array_equal(getattr(data, name), getattr(model, name)):
            raise ValueError(f"moments of data and model differ in {name}")
    pairs = compared_pairs(data.group_f, data.diagonal)
    compared = (
        (data.mean, model.mean),
        (data.covariance[pairs], model.covariance[pairs]),
        (data.third, model.third),
    )
    return tuple(
        _match(a, b, float(np.sqrt(data.variance[order] + model.variance[order])))
        for order, (a, b) in enumerate(compared)
    )


def choose_triplets(features: int, uniform: Array, group_f: Array | None = None) -> Int64:
    """Distinct triplets ``i < j < k < features``, ``[triplet, 3]``, one per uniform number in (0, 1).

    The ``C(features, 3)`` triplets in colexicographic order are cut into as many equal runs as there
    are numbers; each number takes one from its run. With fewer triplets than numbers all are returned.
    Those with two features in one group of `group_f` are left out.
    """
    uniform = np.asarray(uniform, dtype=np.float64)
    i = np.arange(features + 1, dtype=np.int64)
    pairs, total = i * (i - 1) // 2, features * (features - 1) * (features - 2) // 6
    below = i * (i - 1) * (i - 2) // 6  # triplets whose largest index is below i
    if total <= len(uniform):
        rank = np.arange(total)
    else:
        ends = np.arange(len(uniform) + 1, dtype=np.int64) * total // len(uniform)
        rank = ends[:-1] + (uniform * np.diff(ends)).astype(np.int64)
    k = np.searchsorted(below, rank, side="right") - 1
    rest = rank - below[k]
    j = np.searchsorted(pairs, rest, side="right") - 1
    chosen = np.stack([rest - pairs[j], j, k], axis=1)
    if group_f is not None:
        group = np.sort(np.asarray(group_f)[chosen], axis=1)
        chosen = chosen[(group[:, :-1] < group[:, 1:]).all(axis=1)]
    return chosen


def _match(a: Float64, b: Float64, noise: float) -> MomentMatch:
    if not a.size:
        return MomentMatch(*[np.nan] * 5)
    difference = b - a
    d_a, d_b = a - a.mean(), b - b.mean()
    flat_a, flat_b = (np.abs(d).max() <= _FLAT * np.abs(v).max() for d, v in ((d_a, a), (d_b, b)))
    s_aa, s_ab, s_bb = d_a @ d_a, d_a @ d_b, d_b @ d_b
    return MomentMatch(
        rms=float(np.sqrt((difference @ difference) / a.size)),
        largest=float(np.abs(difference).max()),
        pearson=np.nan if flat_a or flat_b else float(s_ab / np.sqrt(s_aa * s_bb)),
        slope=np.nan if flat_a else float(s_ab / s_aa),
        noise=noise,
    )

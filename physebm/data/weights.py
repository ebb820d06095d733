"""Weights that undo the over-representation of similar sequences in an alignment.

``w_n = 1 / #{m : identity(n, m) >= threshold}``, the sequence itself counted; the identity of two
aligned sequences is the fraction of columns with equal letters, a gap being a letter like others.
The comparison is >=, so the threshold itself counts as similar. ``M_eff = sum_n w_n``.
Source of the weighting: F. Morcos et al., PNAS 108, E1293 (2011); 0.8 is the customary threshold.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from physebm.arrays import Array, Float64
from physebm.data.dataset import BY_SEQUENCE, WEIGHTING, DataSet
from physebm.errors import StudyFileError

IDENTITY = 0.8
_ROUNDING = 1e-9  # 0.8 * 5 columns is four equal letters, whatever the last bit of the product says


def sequence_weights(
    values: Array, identity: float = IDENTITY, where: str = "train.data.reweight"
) -> Float64:
    """Weights ``[sample]`` of sequences ``[sample, column]`` of states 0 ... 255.

    Raises
    ------
    StudyFileError
        for a threshold outside (0, 1], and for values that are no numbers of states.
    """
    number = isinstance(identity, int | float) and not isinstance(identity, bool)
    if not number or not 0 < identity <= 1:
        raise StudyFileError(where, got=identity, expected="an identity above 0 and up to 1, e.g. 0.8")
    x = np.asarray(values).reshape(len(values), -1)
    if x.dtype.kind not in "iu" or (x.size and (x.min() < 0 or x.max() > 255)):
        raise StudyFileError(
            where,
            got=f"values of type {x.dtype}",
            expected="letters or other discrete states, 0 to 255",
            hint="the identity of two samples is defined for states, not for measured numbers",
        )
    from physebm.native.sequence_weights import count_similar

    equal = max(1, math.ceil(identity * x.shape[1] - _ROUNDING))
    return 1.0 / count_similar(x.astype(np.uint8), x.shape[1] - equal)


def reweighted(
    data: DataSet, identity: float = IDENTITY, where: str = "train.data.reweight"
) -> DataSet:
    """The data set with sequence weights; its `effective_samples` is M_eff."""
    weights = sequence_weights(data.values, identity, where)
    attrs = {**data.attrs, WEIGHTING: BY_SEQUENCE, "identity": float(identity)}
    return replace(data, weights=weights, attrs=attrs)

"""A data set: samples in rows, with weights, labels and what is known of where they came from.

Named axes: ``values [sample, *shape]``; `shape` is the shape of one sample (``(28, 28)`` for a
picture, ``(53,)`` for an alignment). Letters of an alphabet are stored as their place in it.

Two notions of "how many samples" for weights w:

- ``(sum w)^2 / sum w^2`` (Kish) for weights of importance: it does not change when all weights are
  multiplied by one number, and is n for equal weights.
- ``M_eff = sum w`` for sequence weights ``w = 1 / (number of similar sequences)``: the number of
  clusters of similar sequences (F. Morcos et al., PNAS 108, E1293 (2011)).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from physebm.arrays import Array, Float64

WEIGHTING = "weighting"
"""The key of `attrs` that says how the weights were made; `BY_SEQUENCE` makes them count clusters."""
BY_SEQUENCE = "sequence identity"
INEFFICIENCY = "inefficiency"
"""The key of `attrs` for correlated samples: how many of them count as one."""


@dataclass(frozen=True, eq=False)
class DataSet:
    """Samples and what belongs to them.

    Attributes
    ----------
    values
        ``[sample, *shape]``, numbers; given as ``[sample, unit]`` they are brought to `shape`.
    weights
        ``[sample]`` float64, not negative, or None for equal weights.
    labels
        ``[sample]`` integers or texts, or None.
    shape
        Shape of one sample; by default that of `values`.
    alphabet
        The letters that the values count, for alignments; its first letter is 0.
    source
        The file or the name that the data came from.
    attrs
        What the reader has to say: attribution, how many sequences were dropped, ...

    Raises
    ------
    ValueError
        where the numbers of samples, or of units and `shape`, disagree.
    """

    values: Array
    weights: Float64 | None = None
    labels: Array | None = None
    shape: tuple[int, ...] | None = None
    alphabet: str | None = None
    source: str = ""
    attrs: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self):
        values = np.asarray(self.values)
        shape = values.shape[1:] if self.shape is None else tuple(int(n) for n in self.shape)
        if values.ndim < 2 or math.prod(shape) != math.prod(values.shape[1:]):
            raise ValueError(f"values of shape {values.shape} are not [sample, *{shape}]")
        object.__setattr__(self, "shape", shape)
        object.__setattr__(self, "values", values.reshape(len(values), *shape))
        for name in ("weights", "labels"):
            held = getattr(self, name)
            if held is None:
                continue
            held = np.asarray(held, dtype=np.float64 if name == "weights" else None)
            if held.shape != (len(values),):
                raise ValueError(f"{name} of shape {held.shape} for {len(values)} samples")
            object.__setattr__(self, name, held)

    @property
    def samples(self) -> int:
        """Number of rows."""
        return len(self.values)

    @property
    def units(self) -> int:
        """Numbers in one sample."""
        return math.prod(self.shape)

    @property
    def flat(self) -> Array:
        """The values as ``[sample, unit]``, the last axis of `shape` running fastest."""
        return self.values.reshape(self.samples, self.units)

    @property
    def effective_samples(self) -> float:
        """``sum w`` of sequence weights, else ``(sum w)^2 / sum w^2``, n without; by `INEFFICIENCY`."""
        return self.effective_samples_of(np.arange(self.samples))

    def effective_samples_of(self, rows: Array) -> float:
        """The same of the samples of `rows` (indices) alone."""
        each = float(self.attrs.get(INEFFICIENCY, 1.0))
        if self.weights is None:
            return len(rows) / each
        weights = self.weights[rows]
        total = float(weights.sum())
        if self.attrs.get(WEIGHTING) == BY_SEQUENCE:
            return total / each
        return total * total / float(weights @ weights) / each

    def subset(self, rows) -> DataSet:
        """The samples of `rows` (indices, a mask or a slice), in that order, with what is theirs."""
        weights, labels = (None if a is None else a[rows] for a in (self.weights, self.labels))
        return replace(self, values=self.values[rows], weights=weights, labels=labels)

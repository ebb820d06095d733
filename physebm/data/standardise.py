"""Continuous data to mean 0 and variance 1, unit by unit or in every direction.

With weights p_n of sum 1 (1/n each by default), ``m = sum_n p_n x_n`` and
``C = sum_n p_n (x_n - m)(x_n - m)^T``; the division is by n, not n - 1, so that the samples that the
map was made from have variance exactly 1.

- standardise: ``y_i = (x_i - m_i) / sqrt(C_ii)``; a unit that never changes is only centred (data of
  a training may have none, `refuse_constant`: the likelihood of a value without any spread has no
  maximum in the variance of its unit).
- whiten: ``y = C^(-1/2) (x - m)`` with the symmetric root, which of all whitening maps stays nearest
  to the data (A. Kessy, A. Lewin, K. Strimmer, Am. Stat. 72, 309 (2018): ZCA); ``C_y = 1``.

Both return the map, to be applied to the validation and test data too, and undone on samples.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from physebm.arrays import Array, Float64
from physebm.data.raw import first_place
from physebm.errors import StudyFileError


@dataclass(frozen=True, eq=False)
class Affine:
    """``y = A (x - mean)`` on flattened samples, and its inverse.

    Attributes
    ----------
    mean
        ``[unit]``.
    forward, backward
        A and its inverse: ``[unit]`` where A is diagonal, else symmetric ``[unit, unit]``.
    """

    mean: Float64
    forward: Float64
    backward: Float64

    def apply(self, values: Array) -> Float64:
        """The images of ``values [sample, ...]``, in the same shape."""
        return self._act(self.forward, _flat(values) - self.mean).reshape(np.shape(values))

    def undo(self, values: Array) -> Float64:
        """The samples whose images are ``values [sample, ...]``."""
        return (self._act(self.backward, _flat(values)) + self.mean).reshape(np.shape(values))

    @staticmethod
    def _act(matrix: Float64, x: Float64) -> Float64:
        return x * matrix if matrix.ndim == 1 else x @ matrix


def standardise(values: Array, weights: Array | None = None) -> Affine:
    """The map that gives every unit of ``values [sample, ...]`` mean 0 and variance 1 (1/n)."""
    x, p = _flat(values), _shares(weights, len(values))
    mean = p @ x
    deviation = np.sqrt(p @ (x - mean) ** 2)
    constant = (x == x[0]).all(axis=0)
    deviation[constant] = 1.0
    mean[constant] = x[0, constant]
    return Affine(mean, 1.0 / deviation, deviation)


def refuse_constant(values: Array, weights: Array | None = None, where: str = "train.data") -> None:
    """Raise for the first unit of ``values [sample, ...]`` with one value in all samples.

    Samples of weight 0 do not count.

    Raises
    ------
    StudyFileError
        with the number of the unit and its value.
    """
    held = values if weights is None else values[np.asarray(weights) > 0]
    constant = (held == held[0]).all(axis=0)
    if constant.any():
        place, value = first_place(constant[None], held[:1])
        unit = place.partition(", ")[2].partition(" (both")[0]
        count = int(constant.sum())
        raise StudyFileError(
            f"{where}.standardise",
            got=f"{unit} (counted from 0), which is {value} in all {len(held)} training samples"
            + (f", and {count - 1} more such units" if count > 1 else ""),
            expected="units that vary",
            hint="what never changes cannot have variance 1, and its likelihood grows without bound as "
            "the variance of its unit shrinks: leave it out",
        )


def whiten(
    values: Array, weights: Array | None = None, *, ridge: float = 0.0, where: str = "train.data"
) -> Affine:
    """The symmetric map after which ``values [sample, ...]`` have covariance 1 (1/n).

    `ridge` is added to the eigenvalues of the covariance: it limits the gain of directions of small
    variance (which are then no longer brought to 1).

    Raises
    ------
    StudyFileError
        where the covariance has no inverse: constant or linearly dependent units, or no more
        samples than units.
    """
    x, p = _flat(values), _shares(weights, len(values))
    mean = p @ x
    centred = (x - mean) * np.sqrt(p)[:, None]
    spectrum, modes = np.linalg.eigh(centred.T @ centred)
    floor = max(spectrum.max(), 0.0) * len(spectrum) * np.finfo(np.float64).eps
    spectrum = np.maximum(spectrum, 0.0) + ridge
    rank = int((spectrum > floor).sum())
    if rank < len(spectrum):
        raise StudyFileError(
            f"{where}.whiten",
            got=f"a covariance of rank {rank} for {len(spectrum)} units ({len(x)} samples)",
            expected="as many directions with variance as units",
            hint="constant or dependent units cannot be whitened: leave them out, standardise "
            "instead, or add a ridge to the eigenvalues",
        )
    root = np.sqrt(spectrum)
    return Affine(mean, (modes / root) @ modes.T, (modes * root) @ modes.T)


def _flat(values: Array) -> Float64:
    return np.asarray(values, dtype=np.float64).reshape(len(values), math.prod(np.shape(values)[1:]))


def _shares(weights: Array | None, n: int) -> Float64:
    if weights is None:
        return np.full(n, 1.0 / n)
    weights = np.asarray(weights, dtype=np.float64)
    return weights / weights.sum()

"""Grey values to zeros and ones: by a threshold, or drawn with the grey value as probability.

``binarise = 0.5`` sets 1 where ``x > 0.5`` (not where equal). ``binarise = "sample"`` draws a
Bernoulli variable of mean x in [0, 1] for every pixel, once (R. Salakhutdinov & I. Murray, ICML 2008,
for MNIST). Either acts on values that ``scale = [low, high]`` has first brought to [0, 1] by
``(x - low) / (high - low)``.

Random words: key ``key_of(seed, "binarise")``; unit i of sample n reads word ``i mod 4`` at counter
``(i div 4, n, 0, BINARISE)``. A pixel is thus the same in any subset that keeps its sample's number.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from physebm.arrays import Array, Float64
from physebm.data.raw import first_place
from physebm.errors import StudyFileError
from physebm.rng.philox import philox4x32, uniform
from physebm.rng.streams import Purpose, key_of, last_word

SAMPLE = "sample"
_CHUNK = 1 << 18


def rescale(values: Array, scale: Sequence[float], where: str = "train.data") -> Float64:
    """``(x - low) / (high - low)`` in float64, for ``scale = [low, high]``.

    Raises
    ------
    StudyFileError
        for anything but two finite numbers ``low < high``.
    """
    low, high = _ends(scale, where)
    return (np.asarray(values, dtype=np.float64) - low) / (high - low)


def binarise(
    values: Array,
    how: float | str,
    *,
    scale: Sequence[float] | None = None,
    seed: int = 0,
    rows: Array | None = None,
    where: str = "train.data",
) -> Array:
    """Zeros and ones (int8) of the same shape as ``values [sample, ...]``.

    Parameters
    ----------
    values
        Grey values.
    how
        A threshold, or ``"sample"``.
    scale
        ``[low, high]``: rescale to [0, 1] first.
    seed
        Of the draws.
    rows
        ``[sample]``: the numbers of the samples in their addresses; by default 0, 1, 2, ...
    where
        The table of the study, for errors.

    Raises
    ------
    StudyFileError
        for a probability outside [0, 1], with its place; for a threshold that leaves nothing but
        zeros or nothing but ones; for an unknown `how`.
    """
    values = np.asarray(values)
    ends = (0.0, 1.0) if scale is None else _ends(scale, where)
    sampled = how == SAMPLE
    number = isinstance(how, int | float | np.number) and not isinstance(how, bool)
    if not sampled and not (number and math.isfinite(how)):
        raise StudyFileError(f"{where}.binarise", got=how, expected=f'a threshold, or "{SAMPLE}"')
    x = values.reshape(len(values), -1)
    out = np.empty(x.shape, dtype=np.int8)
    numbers = np.arange(len(x)) if rows is None else np.asarray(rows)
    step = max(1, _CHUNK // max(1, x.shape[1]))
    for first in range(0, len(x), step):
        part = slice(first, first + step)
        scaled = x[part] if scale is None else rescale(x[part], ends, where)
        if sampled:
            bad = ~((scaled >= 0) & (scaled <= 1))
            if bad.any():
                raise _no_probability(values[part], bad.reshape(values[part].shape), first, where)
            out[part] = _uniform(seed, numbers[part], x.shape[1]) < scaled
        else:
            out[part] = scaled > how
    if not sampled and out.size and out.min() == out.max():
        smallest, largest = (_shown(x, ends) for x in (values.min(), values.max()))
        raise StudyFileError(
            f"{where}.binarise",
            got=how,
            expected=f"a threshold from {smallest} to below {largest}, as the values go",
            hint=f"with this threshold every unit of every sample is {out.flat[0]}",
        )
    return out.reshape(values.shape)


def _uniform(seed: int, samples: Array, units: int) -> Float64:
    """Uniforms ``[sample, unit]``."""
    k0, k1 = key_of(seed, "binarise")
    blocks = np.arange(-(-units // 4))
    words = philox4x32(blocks, samples[:, None], 0, last_word(Purpose.BINARISE), k0, k1)
    return uniform(np.stack(words, axis=-1)).reshape(len(samples), -1)[:, :units]


def _ends(scale: Sequence[float], where: str) -> tuple[float, float]:
    try:
        low, high = (float(end) for end in scale)
    except (TypeError, ValueError):
        low, high = 0.0, 0.0
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise StudyFileError(
            f"{where}.scale", got=scale, expected="two numbers [low, high] that become 0 and 1"
        )
    return low, high


def _no_probability(values: Array, bad: Array, first: int, where: str) -> StudyFileError:
    place, value = first_place(bad, values, first)
    return StudyFileError(
        f"{where}.binarise",
        got=f"{value} at {place}",
        expected="probabilities from 0 to 1 (after `scale`)",
        hint="scale = [low, high] brings low to 0 and high to 1, e.g. [0, 255] for bytes",
    )


def _shown(value: float, ends: tuple[float, float]) -> str:
    return f"{(float(value) - ends[0]) / (ends[1] - ends[0]):g}"

"""Quenched arrays: each element is a pure function of (seed, realisation, array name, multi-index).

The counter is the multi-index of the element, so that the patterns of a larger P or N extend those
of a smaller one, and every temperature, start and chain of a sample shares its couplings.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.special import ndtri

from physebm.rng.philox import philox4x32, uniform53
from physebm.rng.streams import key_of

LAWS: dict[str, tuple[str, ...]] = {
    "constant": ("value",),
    "normal": ("mean", "std"),
    "uniform": ("low", "high"),
    "rademacher": ("p",),
}


def draw(
    law: str,
    options: Mapping[str, float],
    shape: tuple[int, ...],
    *,
    seed: int,
    realisation: int,
    name: str,
    mirrored: bool = False,
    initial: bool = False,
) -> np.ndarray:
    """Values of one array for one realisation.

    `initial`: the stream that trainings start from. A model that learns an array of a model of its own
    name must not start from the words that the other was drawn with.

    `constant` value; `normal` mean, std; `uniform` on (low, high); `rademacher` +1 with probability p,
    else -1 (int8). With `mirrored` the first two axes are one group's units: elements i < j are
    drawn, mirrored (state axes swapped), and the diagonal is zero.
    """
    if law == "constant":
        values = np.full(shape, float(options["value"]))
    else:
        u = _uniforms(shape, key_of(seed, "initial" if initial else "disorder", int(realisation), name))
        match law:
            case "normal":
                values = options["mean"] + options["std"] * ndtri(u)
            case "uniform":
                values = options["low"] + (options["high"] - options["low"]) * u
            case "rademacher":
                values = np.where(u < options["p"], 1, -1).astype(np.int8)
            case _:
                raise ValueError(f"unknown law {law!r}")
    return mirror(values) if mirrored else values


def mirror(values: np.ndarray) -> np.ndarray:
    """Copy the elements i < j of the first two axes to j > i (state axes swapped); zero diagonal."""
    n = values.shape[0]
    upper = np.triu(np.ones((n, n), dtype=bool), 1).reshape(n, n, *(1,) * (values.ndim - 2))
    kept = np.where(upper, values, np.zeros((), dtype=values.dtype))
    swapped = kept.transpose(1, 0, *((3, 2) if values.ndim == 4 else ()))
    return kept + swapped


def _uniforms(shape: tuple[int, ...], key: tuple[int, int]) -> np.ndarray:
    flat = (*shape[:3], int(np.prod(shape[3:], dtype=int)))[: max(len(shape), 1)]
    flat = flat if len(shape) > 3 else (*shape, *(1,) * (4 - len(shape)))
    axes = np.ix_(*(np.arange(n, dtype=np.uint64) for n in flat))
    high, low, _, _ = philox4x32(*axes, *key)
    return uniform53(high, low).reshape(shape)

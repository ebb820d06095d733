"""Couplings and data of each work: the same numbers for physebm and its peers, by numpy alone."""

from __future__ import annotations

import numpy as np
from works import WORKS

ON = 0.13
SAMPLES = 10_000


def rbm(work: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Couplings of std 0.05 and visible fields at a mean of 0.13, as after training on pictures."""
    size = WORKS[work].size
    W = np.random.default_rng(0).normal(0, 0.05, (size["Nv"], size["Nh"])).astype(np.float32)
    field = np.float32(np.log(ON / (1 - ON)))
    return W, np.full(size["Nv"], field), np.zeros(size["Nh"], np.float32)


def pictures(work: str) -> np.ndarray:
    """Training data ``[sample, unit]`` of zeros and ones, int8."""
    if work == "digits":
        from physebm.data.bundled import bundled

        return (bundled("digits").values.reshape(-1, 64) > 8).astype(np.int8)
    return (np.random.default_rng(0).random((SAMPLES, WORKS[work].size["Nv"])) < ON).astype(np.int8)


def sk(N: int) -> np.ndarray:
    """Symmetric couplings of variance 1/N without diagonal."""
    J = np.triu(np.random.default_rng(0).normal(0, N**-0.5, (N, N)), 1)
    return J + J.T


def patterns(P: int, N: int) -> np.ndarray:
    """Random patterns of +1 and -1, int8."""
    return np.random.default_rng(0).choice(np.array([-1, 1], np.int8), (P, N))


def lattice(work: str) -> np.ndarray:
    """Couplings ``[direction, site]``, a site to its next in that direction: 1, +-1 or Gaussian."""
    size = WORKS[work].size
    rng, shape = np.random.default_rng(0), (size["d"], *[size["L"]] * size["d"])
    if work == "ea_gaussian":
        return rng.normal(size=shape)
    if size["d"] == 3:
        return rng.choice(np.array([-1, 1], np.int8), shape)
    return np.ones(shape, np.int8)


def temperatures(work: str) -> np.ndarray:
    """The ladder of a tempered lattice, or its one temperature."""
    size = WORKS[work].size
    return (
        np.linspace(size["low"], size["high"], size["rungs"])
        if "rungs" in size
        else np.array([size["T"]])
    )


def potts() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Couplings ``J[i, j, a, b]`` of std 0.014, fields of std 0.3, 5000 sequences drawn from fields."""
    size = WORKS["potts"].size
    L, q, rng = size["L"], size["q"], np.random.default_rng(0)
    J = rng.normal(0, 0.02, (L, L, q, q))
    J = (J + J.transpose(1, 0, 3, 2)) / 2
    J[np.arange(L), np.arange(L)] = 0
    h = rng.normal(0, 0.3, (L, q))
    p = np.exp(h) / np.exp(h).sum(axis=1, keepdims=True)
    sequences = np.stack([rng.choice(q, 5000, p=p[i]) for i in range(L)], axis=1)
    return J, h, sequences.astype(np.int8)

"""What is timed: sizes, states, peers and goals; the rows of the table, in order.

A *unit* is what seconds are counted for: one unit update of one chain ("update" of a spin or a hidden
or visible unit), one gradient update of a training, one temperature of an annealing, or the whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Work:
    """One row.

    Attributes
    ----------
    title
        The work with its state: sizes, temperature, what is included.
    figure
        "per ns" (units per nanosecond), "per s", "ms", "s" or "share".
    goals
        By peer: how many times faster physebm should be. Peers without a goal have 0.
    size
        What setting up needs, by name.
    once
        Timed in the first round only.
    """

    title: str
    figure: str
    goals: Mapping[str, float]
    size: Mapping[str, float] = field(default_factory=dict)
    once: bool = False


def _lattice(title: str, dimension: int, L: int, low: float, high: float) -> Work:
    return Work(
        f"{title}, 32 chains x 32 temperatures in [{low}, {high}], tempering and energies every 10 "
        f"sweeps (OpenJij, dwave: sweeps alone at T = {(low + high) / 2:.3g})",
        "per ns",
        {"peapods": 60, "openjij": 0, "dwave": 0, "numba": 0},
        {"d": dimension, "L": L, "low": low, "high": high, "chains": 32, "rungs": 32},
    )


def _sk(N: int) -> Work:
    return Work(
        f"SK N = {N}, T = 1, 64 chains, sequential sweeps",
        "per ns",
        {"openjij": 12, "dwave": 0, "numba": 3},
        {"N": N, "chains": 64, "T": 1.0},
    )


def _training(k: int, batch: int, chains: int, goals: Mapping[str, float]) -> Work:
    return Work(
        f"RBM 784 x 500, PCD-{k}, batch {batch}, {chains} chains: one update, centred gradient"
        + (" (scikit-learn: plain gradient, float32)" if "sklearn" in goals else ""),
        "per s",
        goals,
        {"Nv": 784, "Nh": 500, "k": k, "batch": batch, "chains": chains},
    )


_RBM = {"Nv": 784, "Nh": 500, "chains": 1000}
WORKS: dict[str, Work] = {
    "pcd1": _training(1, 500, 500, {"rbms": 2.5, "sklearn": 2.5}),
    "pcd10": _training(10, 500, 500, {"rbms": 4}),
    "pcd10_2000": _training(10, 128, 2000, {"rbms": 4}),
    "rbm_gibbs": Work(
        "RBM 784 x 500, block Gibbs, 1000 chains, couplings of std 0.05, 13 % of the visible units on",
        "per ns",
        {"rbms": 4.5, "torch": 2.8, "numpy": 0},
        _RBM,
    ),
    "digits": Work(
        "RBM 64 x 32 on digits, PCD-1, batch 500, 500 chains: one update, centred gradient",
        "per s",
        {"rbms": 10},
        {"Nv": 64, "Nh": 32, "k": 1, "batch": 500, "chains": 500},
    ),
    "gaussian_hidden": Work(
        "Gaussian hidden units, 784 x 500, block Gibbs, 1000 chains", "per ns", {"numpy": 3}, _RBM
    ),
    "truncated_hidden": Work(
        "truncated Gaussian hidden units, 784 x 500, block Gibbs, 1000 chains",
        "per ns",
        {"scipy": 3},
        _RBM,
    ),
    "sk256": _sk(256),
    "sk1024": _sk(1024),
    "hopfield": Work(
        "Hopfield N = 2048, P = 102, T = 0.5 (spin-glass phase, random starts), 64 chains",
        "per ns",
        {"numba": 8},
        {"N": 2048, "P": 102, "chains": 64, "T": 0.5},
    ),
    "ising2d": _lattice("2D Ising L = 64", 2, 64, 2.0, 2.6),
    "ea8": _lattice("3D +-J Edwards-Anderson L = 8", 3, 8, 1.0, 2.0),
    "ea16": _lattice("3D +-J Edwards-Anderson L = 16", 3, 16, 1.0, 2.0),
    "ising2d_large": Work(
        "2D Ising, one lattice L = 1024, T = 2.5",
        "per ns",
        {"numba": 10},
        {"d": 2, "L": 1024, "T": 2.5, "chains": 1},
    ),
    "ea_gaussian": Work(
        "3D Edwards-Anderson with Gaussian couplings L = 10, T = 1.2, 64 chains",
        "per ns",
        {"numba": 5, "peapods": 5},
        {"d": 3, "L": 10, "T": 1.2, "chains": 64},
    ),
    "ais": Work(
        "annealed importance sampling 784 x 500, 1000 chains: one of 1000 temperatures (50 are run)",
        "ms",
        {"rbms": 6},
        {**_RBM, "temperatures": 50},
    ),
    "potts": Work(
        "Potts machine L = 53, q = 21, 10,000 chains: one update (10 sweeps, pair frequencies, step)",
        "s",
        {"adabmDCA": 12},
        {"L": 53, "q": 21, "k": 10, "chains": 10_000},
    ),
    "log_z": Work(
        "exact log Z of an RBM, 784 visible x 20 hidden units",
        "s",
        {"rbms": 5},
        {"Nv": 784, "Nh": 20},
    ),
    "study": Work(
        "physebm run studies/hopfield_phase.toml, second run: wall time inside sweeps",
        "share",
        {},
        {"goal": 0.8},
        once=True,
    ),
}

"""What is learned from what, and how: a problem and a recipe, as immutable data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from physebm.learning.chains import METHODS as CHAIN_METHODS
from physebm.learning.chains import ChainOptions
from physebm.learning.optimisers import Optimiser, Schedule
from physebm.model.hamiltonian import Hamiltonian
from physebm.model.params import Coefficients, Params

INVERSIONS = {"mean-field": "naive-mean-field", "tap": "tap", "bethe": "bethe"}
"""Methods that solve for the couplings in one step, and their names in `inversion`."""
METHODS = (*CHAIN_METHODS, "exact", "pseudo-likelihood", *INVERSIONS)


@dataclass(frozen=True)
class Problem:
    """A Hamiltonian, its arrays before training, and the data.

    Attributes
    ----------
    params
        One instance.
    coefficients
        One row, at beta = 1.
    data
        ``{visible group: x[sample, unit]}`` in the support of the units.
    weights
        ``[sample]`` with sum 1.
    """

    hamiltonian: Hamiltonian
    params: Params
    coefficients: Coefficients
    data: Mapping[str, np.ndarray]
    weights: np.ndarray

    @property
    def samples(self) -> int:
        """Number of data vectors."""
        return len(self.weights)

    @property
    def row(self) -> np.ndarray:
        """``c_t``, ``[term]``."""
        return self.coefficients.value[0]

    def batch(self, rows) -> dict[str, np.ndarray]:
        """The data of some samples."""
        return {name: x[rows] for name, x in self.data.items()}


@dataclass(frozen=True)
class Recipe:
    """How the objective is climbed.

    Attributes
    ----------
    method
        One of `METHODS`.
    updates, batch
        Number of updates; samples per update (None: all).
    chains
        The chains of the negative phase.
    rate, optimiser
        Learning rate and rule.
    centred
        Climb in centred variables, see `centring`.
    l1, l2
        Strength of the penalties by slot.
    clip
        Largest Euclidean norm of the gradient, None for any.
    gauge
        Gauge of Potts couplings after every update: "none", "zero-sum" or "lattice-gas".
    positive
        Where hidden units do not factorise: "mean-field" or "sampled"; ignored elsewhere.
    positive_steps
        Sweeps of the clamped chains per update ("sampled").
    initial_fields
        "data": visible fields start at those of independent units with the means of the data.
    pseudocount
        Weight of uniform independent data mixed into the moments of an inversion.
    """

    method: str = "pcd"
    updates: int = 1000
    batch: int | None = None
    chains: ChainOptions = field(default_factory=lambda: ChainOptions("pcd"))
    rate: Schedule = field(default_factory=lambda: Schedule(0.01))
    optimiser: Optimiser = field(default_factory=Optimiser)
    centred: bool = False
    l1: Mapping[str, float] = field(default_factory=dict)
    l2: Mapping[str, float] = field(default_factory=dict)
    clip: float | None = None
    gauge: str = "none"
    positive: str = "mean-field"
    positive_steps: int = 10
    initial_fields: str = "data"
    pseudocount: float = 0.0

    @property
    def sampled(self) -> bool:
        """Whether the method runs Markov chains."""
        return self.method in CHAIN_METHODS

    @property
    def precision(self) -> type:
        """Of fields and moments: float32 beside chains, float64 where nothing is sampled."""
        return np.float32 if self.sampled else np.float64

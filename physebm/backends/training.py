"""The seam of trainings that stay where the kernels are: a machine of two groups of two-state units.

Chains that are swept on a device need nothing of the host between two updates but the numbers of the
samples, if data, couplings and optimiser are on the device too; the same saves most of the calls that
an update of a small machine consists of on the host. Kernels that can do so are `Trains`;
the definition of an update is `learning.machine`, and of a step of an optimiser `learning.optimisers`.

Arrays go by names: ``now/``, ``previous/`` (before the last update), ``first/`` and ``second/``
(moments of the optimiser), each followed by W (couplings ``[a, b]``), a or b (fields); ``offset/a`` and
``offset/b``. All are float64.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np

from physebm.backends.base import Lanes, LaneState, Launch

PARTS = ("W", "a", "b")
MOMENTS = {"sgd": (), "momentum": ("first",), "adam": ("first", "second")}


@dataclass(frozen=True)
class Climb:
    """What an update does beside the rate: group a is visible, b hidden, all else integrated.

    Attributes
    ----------
    couplings, fields
        Terms of W, and of a and b.
    centred, follow
        Whether gradients are taken about offsets, and the weight of new samples in those of b.
    rule, momentum, beta1, beta2, epsilon
        The optimiser.
    l1, l2
        Strengths of the penalties of W, a and b.
    clip
        Largest norm of the gradient; None for any.
    largest
        A number beyond it ends the training.
    samples, chains
        How many of an update; of tempered chains those at the trained model.
    """

    couplings: int
    fields: tuple[int, int]
    centred: bool
    follow: float
    rule: Literal["sgd", "momentum", "adam"]
    momentum: float
    beta1: float
    beta2: float
    epsilon: float
    l1: tuple[float, float, float]
    l2: tuple[float, float, float]
    clip: float | None
    largest: float
    samples: int
    chains: int


@dataclass(frozen=True)
class Told:
    """Norm of the gradient, and how many numbers left their range; the step is refused if any."""

    gradient_norm: float
    beyond: int


class Training(Protocol):
    """Data, arrays and optimiser of one machine, where its chains are swept."""

    def load(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take over all arrays; without ``offset/b`` it begins with the first samples."""

    def fetch(self) -> dict[str, np.ndarray]:
        """Copies of all arrays."""

    def tried(self) -> dict[str, np.ndarray]:
        """``{W, a, b}`` of a step that was refused."""

    def update(
        self,
        state: LaneState,
        lanes: np.ndarray | None,
        rows: np.ndarray | None,
        rate: float,
        number: int,
    ) -> Told:
        """One step uphill; sweeps read the new couplings and fields at once.

        Parameters
        ----------
        state, lanes
            The chains as they were swept last, and the lanes at the trained model; None: all.
        rows
            Samples of this update; None: all.
        rate, number
            Learning rate, and the number of the update, from 1 on.
        """


@runtime_checkable
class Sweeping(Training, Protocol):
    """A training that sweeps its chains itself: many updates in one call.

    Attributes
    ----------
    at_once
        Updates that one call should make: some milliseconds.
    """

    at_once: int

    def updates(
        self,
        state: LaneState,
        lanes: Lanes,
        rows: np.ndarray | None,
        rates: np.ndarray,
        number: int,
        first: int,
        count: int,
    ) -> list[Told]:
        """For every rate `count` sweeps of all lanes and one step, up to the first that is refused.

        Parameters
        ----------
        rows
            Samples ``[update, sample]``; None: all.
        number, first
            Number of the first update, and of its first sweep.
        """


@runtime_checkable
class Trains(Protocol):
    """Kernels that can keep a training beside the chains."""

    def training(self, launch: Launch, data: np.ndarray, climb: Climb) -> Training | None:
        """Take data ``x[sample, unit of a]`` and make room; `launch` is what chains are swept by.

        None where this training is better left to the host's general way.
        """

"""Chains: the state of a sampler, one step, and the protocol that every sampler follows.

A sampler is ``init(configurations, lanes) -> ChainState`` and ``step(state, sweeps) -> ChainState``;
`step` consumes its argument (buffers are updated in place). The absolute sweep number is part of the
state and of every random address, so that a run cut anywhere continues with the same bits.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

import numpy as np

from physebm.backends.base import Exchanges, Kernels, Lanes, LaneState, Launch, Slots


@dataclass
class ChainState:
    """Configurations, lane table, number of sweeps done and term energies ``E_lt``.

    Energies are those of the configurations, or None where they have not been computed.
    """

    configurations: LaneState
    lanes: Lanes
    sweep: int
    energies: np.ndarray | None


class Sampler(Protocol):
    """Anything that advances chains."""

    def init(self, configurations: LaneState, lanes: Lanes) -> ChainState:
        """A chain state at sweep 0."""

    def step(self, state: ChainState, sweeps: int) -> ChainState:
        """The state `sweeps` sweeps later; consumes `state`."""


@dataclass
class PlanSampler:
    """The sweep of a plan through one backend: heat bath, Metropolis, zero temperature or clusters."""

    kernels: Kernels
    launch: Launch

    def init(self, configurations: LaneState, lanes: Lanes) -> ChainState:
        """A chain state at sweep 0, running fields prepared."""
        self.kernels.prepare(configurations, lanes, self.launch)
        energies = self.kernels.energies(configurations, lanes, self.launch)
        return ChainState(configurations, lanes, 0, energies)

    @cached_property
    def exchanges(self) -> bool:
        """Whether the kernels do exchanges between rungs as well (`tempered`)."""
        return isinstance(self.kernels, Exchanges)

    def tempered(
        self,
        state: ChainState,
        every: int,
        rounds: int,
        slots: Slots,
        statistics: dict[str, np.ndarray],
    ) -> ChainState:
        """Advance by `rounds` times `every` sweeps and a round of exchanges; changes `statistics`."""
        energies = self.kernels.temper(
            state.configurations,
            state.lanes,
            self.launch,
            state.sweep,
            every,
            rounds,
            slots,
            statistics,
        )
        return replace(state, sweep=state.sweep + every * rounds, energies=energies)

    def step(self, state: ChainState, sweeps: int) -> ChainState:
        """Advance every lane by `sweeps` sweeps at its own rung."""
        energies = self.kernels.sweep(
            state.configurations, state.lanes, self.launch, state.sweep, sweeps
        )
        return replace(state, sweep=state.sweep + sweeps, energies=energies)

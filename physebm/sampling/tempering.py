"""Parallel tempering around any sampler: labels move between walkers, configurations stay.

A *ladder* is a set of walkers, one per rung; many ladders (samples of disorder, chains, starts)
advance in one call and may have different numbers of rungs. After every `every` sweeps one
deterministic even-odd round proposes the exchange of neighbouring rungs a, b with probability

    min(1, exp[u_a(x_a) + u_b(x_b) - u_a(x_b) - u_b(x_a)])
        = min(1, exp[(c_a - c_b) . (E(x_a) - E(x_b))]);

the rung's normalising constants cancel, because each u_k appears once with either sign. Even and odd
pairs alternate with the absolute round number, which makes walkers drift through the ladder instead
of diffusing (Syed et al., J. R. Stat. Soc. B 84, 321 (2022)). Random streams stay with the walker.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from physebm.backends.base import Lanes, LaneState
from physebm.model.params import Coefficients
from physebm.rng.philox import philox4x32, uniform
from physebm.rng.streams import Purpose, last_word
from physebm.sampling.chain import ChainState, Sampler

FROM_COLD, FROM_HOT = 1, 2


@dataclass(frozen=True)
class Ladders:
    """Slots of all ladders, ladder after ladder, each from its first rung to its last.

    Attributes
    ----------
    row
        Coefficient row of each slot.
    ladder, position
        Which ladder a slot belongs to, and its place in it.
    key, chain
        Per ladder: the 64-bit key and the chain number of its swap decisions.
    """

    row: np.ndarray
    ladder: np.ndarray
    position: np.ndarray
    key: np.ndarray
    chain: np.ndarray

    @staticmethod
    def of(rows: Sequence[np.ndarray], key: np.ndarray, chain: np.ndarray) -> Ladders:
        """Ladders from one list of coefficient rows each."""
        return Ladders(
            np.concatenate(rows).astype(np.int64),
            np.repeat(np.arange(len(rows)), [len(r) for r in rows]),
            np.concatenate([np.arange(len(r)) for r in rows]),
            np.asarray(key, dtype=np.uint32),
            np.asarray(chain, dtype=np.uint32),
        )

    @property
    def last(self) -> np.ndarray:
        """True for the last slot of each ladder."""
        return np.append(self.ladder[1:] != self.ladder[:-1], True)

    def pairs(self, parity: int) -> np.ndarray:
        """Lower slots of the neighbouring pairs of one parity."""
        return np.flatnonzero(~self.last & (self.position % 2 == parity))


@dataclass
class TemperingState(ChainState):
    """A chain state with the place of every walker and the statistics of its exchanges.

    ``lane_of[slot]`` is the walker that stands at a slot; ``attempts`` and ``accepted`` (sums of
    acceptance probabilities) belong to the lower slot of a pair; ``direction`` says at which end a
    walker was last, ``trips`` counts its round trips (first rung, last rung, first rung);
    ``flow[slot]`` counts visits by walkers that came from the first rung, ``visits`` from either.
    """

    lane_of: np.ndarray
    attempts: np.ndarray
    accepted: np.ndarray
    direction: np.ndarray
    trips: np.ndarray
    flow: np.ndarray
    visits: np.ndarray


STATISTICS = ("lane_of", "attempts", "accepted", "direction", "trips", "flow", "visits")


@dataclass
class ParallelTempering:
    """Replica exchange as a sampler; lanes are numbered like the slots at the start."""

    inner: Sampler
    ladders: Ladders
    coefficients: Coefficients
    every: int = 1

    def init(self, configurations: LaneState, lanes: Lanes) -> TemperingState:
        """Walker s starts at slot s."""
        lanes.rung = self.ladders.row.copy()
        state = self.inner.init(configurations, lanes)
        slots = len(lanes)
        return TemperingState(
            state.configurations,
            state.lanes,
            state.sweep,
            state.energies,
            lane_of=np.arange(slots),
            attempts=np.zeros(slots),
            accepted=np.zeros(slots),
            direction=np.zeros(slots, dtype=np.int8),
            trips=np.zeros(slots, dtype=np.int64),
            flow=np.zeros(slots),
            visits=np.zeros(slots),
        )

    def step(self, state: TemperingState, sweeps: int) -> TemperingState:
        """Advance by `sweeps`; exchanges happen at absolute sweeps divisible by `every`."""
        while sweeps > 0:
            count = min(sweeps, self.every - state.sweep % self.every)
            state = self.inner.step(state, count)
            sweeps -= count
            if state.sweep % self.every == 0:
                self._exchange(state, state.sweep // self.every)
        return state

    def _exchange(self, state: TemperingState, round_: int) -> None:
        lower = self.ladders.pairs(round_ % 2)
        accept = acceptance(
            self.coefficients.value, self.ladders.row, state.energies, state.lane_of, lower
        )
        ladder = self.ladders.ladder[lower]
        word = philox4x32(
            self.ladders.position[lower],
            self.ladders.chain[ladder],
            round_,
            last_word(Purpose.SWAP),
            self.ladders.key[ladder, 0],
            self.ladders.key[ladder, 1],
        )[0]
        state.attempts[lower] += 1
        state.accepted[lower] += accept
        moved = lower[uniform(word) < accept]
        state.lane_of[moved], state.lane_of[moved + 1] = state.lane_of[moved + 1], state.lane_of[moved]
        state.lanes.rung[state.lane_of] = self.ladders.row
        self._count_trips(state)

    def _count_trips(self, state: TemperingState) -> None:
        first = state.lane_of[self.ladders.position == 0]
        last = state.lane_of[self.ladders.last]
        state.trips[first[state.direction[first] == FROM_HOT]] += 1
        state.direction[first] = FROM_COLD
        turning = last[state.direction[last] == FROM_COLD]
        state.direction[turning] = FROM_HOT
        here = state.direction[state.lane_of]
        state.flow += here == FROM_COLD
        state.visits += here > 0

    def checkpoint(self, state: TemperingState) -> dict[str, np.ndarray]:
        """The arrays beyond those of a chain state."""
        return {name: getattr(state, name) for name in STATISTICS}

    def restore(self, state: TemperingState, arrays: Mapping[str, np.ndarray]) -> None:
        """Continue from `checkpoint`, in place."""
        for name in STATISTICS:
            getattr(state, name)[...] = arrays[name]


def acceptance(c_rt, row, E_lt, lane_of, lower) -> np.ndarray:
    """Acceptance probabilities of the exchanges between slots `lower` and ``lower + 1``."""
    difference = c_rt[row[lower]] - c_rt[row[lower + 1]]
    work = np.einsum("pt,pt->p", difference, E_lt[lane_of[lower]] - E_lt[lane_of[lower + 1]])
    return np.exp(np.minimum(work, 0.0))


def reset(state: TemperingState) -> TemperingState:
    """The same state with its statistics at zero (walkers keep their places)."""
    return replace(
        state,
        **{name: np.zeros_like(getattr(state, name)) for name in STATISTICS if name != "lane_of"},
    )


def mean_acceptance(state: TemperingState) -> np.ndarray:
    """Mean acceptance probability of the pair above each slot; NaN where never tried."""
    tried = state.attempts > 0
    return np.divide(state.accepted, state.attempts, out=np.full(len(tried), np.nan), where=tried)

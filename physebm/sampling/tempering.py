"""Parallel tempering around any sampler: labels move between walkers, configurations stay.

A *ladder* is a set of walkers, one per rung; many ladders (samples of disorder, chains, starts)
advance in one call and may have different numbers of rungs. After every `every` sweeps one
deterministic even-odd round proposes the exchange of neighbouring rungs a, b with probability

    min(1, exp[u_a(x_a) + u_b(x_b) - u_a(x_b) - u_b(x_a)])
        = min(1, exp[(c_a - c_b) . (E(x_a) - E(x_b))]);

the log-normalisers of continuous priors depend on rung and instance alone, and both u_a and u_b appear
once with either sign, so that they cancel for two walkers of one instance (`init` refuses a ladder of
several). Even and odd pairs alternate with the absolute round number, which makes walkers drift
through the ladder instead of diffusing (Syed et al., J. R. Stat. Soc. B 84, 321 (2022)). Random streams
stay with the walker.

The word of a decision stands at counter ``(position of the lower rung, chain, round, SWAP)`` under
the ladder's key: no ladder feels what else is in the batch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from physebm.backends.base import Lanes, LaneState, Slots
from physebm.model.params import Coefficients
from physebm.rng.philox import philox4x32, uniform
from physebm.rng.portable import exp_of_negative
from physebm.rng.streams import Purpose, last_word
from physebm.sampling.chain import ChainState, Sampler

# Where a walker was last: at the first rung; at the last rung, having come from the first; at the last
# rung, not having seen the first yet (its return is half a trip, which does not count).
FROM_COLD, FROM_HOT, STARTED_HOT = 1, 2, 3


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

    @cached_property
    def last(self) -> np.ndarray:
        """True for the last slot of each ladder."""
        return np.append(self.ladder[1:] != self.ladder[:-1], True)

    @cached_property
    def ends(self) -> tuple[np.ndarray, np.ndarray]:
        """First and last slots of the ladders that have two rungs or more."""
        first, last = np.flatnonzero(self.position == 0), np.flatnonzero(self.last)
        return first[last > first], last[last > first]

    @cached_property
    def _pairs(self) -> tuple[np.ndarray, np.ndarray]:
        even = self.position % 2 == 0
        return np.flatnonzero(~self.last & even), np.flatnonzero(~self.last & ~even)

    @cached_property
    def slots(self) -> Slots:
        """The same as arrays that kernels read (`backends.base.Slots`)."""
        start = np.append(np.flatnonzero(self.position == 0), len(self.row))
        return Slots(start, self.row, self.key, self.chain)

    def pairs(self, parity: int) -> np.ndarray:
        """Lower slots of the neighbouring pairs of one parity."""
        return self._pairs[parity]


@dataclass
class TemperingState(ChainState):
    """A chain state with the place of every walker and the statistics of its exchanges.

    ``lane_of[slot]`` is the walker that stands at a slot; ``attempts``, ``accepted`` (sums of
    acceptance probabilities) and ``exchanged`` (exchanges made) belong to the lower slot of a pair;
    ``direction[walker]`` says at which end a walker was last, ``trips[walker]`` counts its round trips
    (first rung, last rung, first rung); ``flow[slot]`` counts visits by walkers that came from the
    first rung, ``visits[slot]`` from either. A ladder of one rung has no trips and no flow.
    """

    lane_of: np.ndarray
    attempts: np.ndarray
    accepted: np.ndarray
    exchanged: np.ndarray
    direction: np.ndarray
    trips: np.ndarray
    flow: np.ndarray
    visits: np.ndarray


STATISTICS = (
    "lane_of",
    "attempts",
    "accepted",
    "exchanged",
    "direction",
    "trips",
    "flow",
    "visits",
)


@dataclass
class ParallelTempering:
    """Replica exchange as a sampler; lanes are numbered like the slots at the start.

    Parameters
    ----------
    inner
        Advances the walkers at their rungs.
    ladders
        Who exchanges with whom.
    coefficients
        ``c_kt``, the same table that `inner` reads.
    every
        Sweeps between two rounds of exchanges.
    """

    inner: Sampler
    ladders: Ladders
    coefficients: Coefficients
    every: int = 1

    def __post_init__(self):
        if self.every < 1:
            raise ValueError(f"exchanges every {self.every} sweeps: expected 1 or more")

    def init(self, configurations: LaneState, lanes: Lanes) -> TemperingState:
        """Walker s starts at slot s; sets ``lanes.rung``.

        Raises
        ------
        ValueError
            when there is not one walker per slot, or a ladder joins walkers of several instances.
        """
        if len(lanes) != len(self.ladders.row):
            raise ValueError(f"{len(lanes)} walkers for {len(self.ladders.row)} rungs")
        if np.any((lanes.instance[1:] != lanes.instance[:-1]) & ~self.ladders.last[:-1]):
            raise ValueError("the walkers of a ladder must share one instance (one set of values)")
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
            exchanged=np.zeros(slots, dtype=np.int64),
            direction=np.zeros(slots, dtype=np.int8),
            trips=np.zeros(slots, dtype=np.int64),
            flow=np.zeros(slots),
            visits=np.zeros(slots),
        )

    def step(self, state: TemperingState, sweeps: int) -> TemperingState:
        """Advance by `sweeps`; exchanges happen at absolute sweeps divisible by `every`."""
        while sweeps > 0:
            rounds = sweeps // self.every if state.sweep % self.every == 0 else 0
            if rounds and getattr(self.inner, "exchanges", False):
                state = self.inner.tempered(
                    state, self.every, rounds, self.ladders.slots, self._statistics(state)
                )
                sweeps -= rounds * self.every
                continue
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
        state.exchanged[moved] += 1
        state.lane_of[moved], state.lane_of[moved + 1] = state.lane_of[moved + 1], state.lane_of[moved]
        state.lanes.rung[state.lane_of] = self.ladders.row
        self._count_trips(state)

    def _count_trips(self, state: TemperingState) -> None:
        first, last = (state.lane_of[end] for end in self.ladders.ends)
        state.trips[first] += state.direction[first] == FROM_HOT
        state.direction[first] = FROM_COLD
        now = state.direction[last]
        state.direction[last] = np.choose(now, [STARTED_HOT, FROM_HOT, FROM_HOT, STARTED_HOT])
        here = state.direction[state.lane_of]
        state.flow += here == FROM_COLD
        state.visits += here > 0

    @staticmethod
    def _statistics(state: TemperingState) -> dict[str, np.ndarray]:
        return {name: getattr(state, name) for name in STATISTICS}

    def checkpoint(self, state: TemperingState) -> dict[str, np.ndarray]:
        """The arrays beyond those of a chain state."""
        return self._statistics(state)

    def restore(self, state: TemperingState, arrays: Mapping[str, np.ndarray]) -> None:
        """Continue from `checkpoint`, in place."""
        for name in STATISTICS:
            getattr(state, name)[...] = arrays[name]
        state.lanes.rung[state.lane_of] = self.ladders.row


def acceptance(c_rt, row, E_lt, lane_of, lower) -> np.ndarray:
    """Acceptance probabilities ``[pair]`` of the exchanges between slots `lower` and ``lower + 1``.

    `c_rt` is the coefficient table, `row` and `lane_of` are ``[slot]``, `E_lt` belongs to walkers.
    """
    difference = c_rt[row[lower]] - c_rt[row[lower + 1]]
    energy = E_lt[lane_of[lower]] - E_lt[lane_of[lower + 1]]
    work = np.zeros(len(lower))
    for c, E in zip(difference.T, energy.T):  # term after term: the same bits on every backend
        work = work + c * E
    return exp_of_negative(np.minimum(work, 0.0))


def reset(state: TemperingState) -> TemperingState:
    """The same state with its statistics at zero; walkers keep their places and forget the ends."""
    return replace(
        state,
        **{name: np.zeros_like(getattr(state, name)) for name in STATISTICS if name != "lane_of"},
    )


def mean_acceptance(state: TemperingState) -> np.ndarray:
    """Mean acceptance probability of the pair above each slot; NaN where never tried."""
    tried = state.attempts > 0
    return np.divide(state.accepted, state.attempts, out=np.full(len(tried), np.nan), where=tried)


def flow(state: TemperingState) -> np.ndarray:
    """Fraction of a slot's walkers that were at the first rung last; NaN where none has met an end.

    1 at the first rung, 0 at the last; linear in an ideal ladder, and flat on either side of a
    bottleneck. Source: H. G. Katzgraber, S. Trebst, D. A. Huse, M. Troyer, J. Stat. Mech. (2006)
    P03018.
    """
    met = state.visits > 0
    return np.divide(state.flow, state.visits, out=np.full(len(met), np.nan), where=met)

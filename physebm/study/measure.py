"""Measure while running: channels of linear moments, binned as they come.

A channel is a number per point and chain (or per point, for pairs of chains) at every draw; which
channels a study needs follows from the observables that it records. Non-linear quantities are formed
from the channels afterwards (`results`), never while running.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from physebm.errors import StudyFileError
from physebm.model.energy import energy_derivatives
from physebm.model.hamiltonian import Hamiltonian
from physebm.model.params import Coefficients, Params
from physebm.model.terms import Lattice, LowRank, Pair
from physebm.model.units import UnitKind
from physebm.observables import order, overlap
from physebm.observables.binning import CAPACITY, BinnedSeries
from physebm.sampling.chain import ChainState
from physebm.study.snapshot import Snapshot

# The channels behind every observable; names are those of `observables.derived`.
CHANNELS: dict[str, tuple[str, ...]] = {
    "energy": ("du_dbeta",),
    "specific_heat": ("du_dbeta", "du_dbeta_squared", "d2u_dbeta2"),
    "specific_heat_within_chains": ("du_dbeta", "du_dbeta_squared", "d2u_dbeta2"),
    "magnetisation": ("m",),
    "abs_magnetisation": ("abs_m",),
    "susceptibility": ("abs_m", "m2"),
    "binder": ("m2", "m4"),
    "pattern_overlap": ("pattern_overlap",),
    "retrieval_overlap": ("retrieval_overlap",),
    "max_pattern_overlap": ("max_pattern_overlap",),
    "replica_overlap": ("q1",),
    "replica_overlap_squared": ("q2",),
    "overlap_distribution": ("q2",),
    "binder_overlap": ("q2", "q4"),
    "sg_susceptibility": ("q2",),
    "q_edwards_anderson": (),
}
PAIR_CHANNELS = ("q1", "q2", "q4", "qk2")
# Lattices whose axes are orthogonal, so that k1 = 2 pi / L is the lowest momentum along each.
ORTHOGONAL = ("chain", "square", "cubic", "hypercubic")
SITE_BLOCKS = 32
_FLUSH = 32
# Bins of wide channels: every pattern of every chain has its own series.
_CAPACITY = {"pattern_overlap": 256}


@dataclass(frozen=True)
class Subject:
    """What is measured: the observables asked for, and the model they are asked of."""

    hamiltonian: Hamiltonian
    record: tuple[str, ...]
    pattern: int
    chains: int
    tempered: bool
    where: str

    def __post_init__(self):
        for name in self.record:
            reason = self._refusal(name)
            if reason:
                raise StudyFileError(f"{self.where}: observe.record", got=name, hint=reason)

    def _refusal(self, name: str) -> str | None:
        pairs = name in ("replica_overlap", "replica_overlap_squared", "overlap_distribution")
        pairs = pairs or name in ("binder_overlap", "sg_susceptibility", "q_edwards_anderson")
        pairs = pairs or (name == "correlation_length_over_L" and self.spin_glass)
        if pairs and self.chains < 2:
            return "an overlap compares two independent chains: set sample.chains = 2 or more"
        if pairs and len(self.hamiltonian.counted) != 1:
            return "overlaps are defined on one group: mark one group visible"
        if name == "overlap_distribution" and not self.hamiltonian.counted[0].prior.discrete:
            return "a histogram on exact values needs discrete units"
        if "pattern" in name or name == "retrieval_overlap":
            if self.pattern_slot is None:
                return "this model has no patterns (a `patterns` term, or an array called xi)"
            if self.pattern >= self.hamiltonian.slot(self.pattern_slot).shape[0]:
                count = self.hamiltonian.slot(self.pattern_slot).shape[0]
                there = f"patterns 0 to {count - 1}" if count else "no patterns at these parameters"
                return f"observe.pattern = {self.pattern}, but there are {there}"
        if name == "correlation_length_over_L" and self.lattice_dimension == 0:
            return (
                "xi/L is defined here for scalar units on a periodic chain, square, cubic or "
                "hypercubic lattice of equal lengths (and for Potts glasses)"
            )
        if name == "q_edwards_anderson" and self.tempered:
            return (
                "under tempering at zero field run means vanish by symmetry: "
                "record replica_overlap_squared or overlap_distribution"
            )
        kinds = {group.prior.kind for group in self.hamiltonian.counted}
        magnetic = ("magnetisation", "abs_magnetisation", "susceptibility", "binder")
        if name in magnetic and UnitKind.POTTS in kinds and len(self.hamiltonian.counted) > 1:
            return "the magnetisation of potts units is defined for one group: mark it visible"
        return None

    @property
    def spin_glass(self) -> bool:
        """True where couplings are quenched disorder: chi is then that of overlaps."""
        return any(
            slot.quenched
            for term in self.hamiltonian.terms
            if isinstance(term, Pair) and term.J is not None
            for slot in self.hamiltonian.slots
            if slot.name == term.J
        )

    @property
    def pattern_slot(self) -> str | None:
        """The array of patterns: that of the low-rank term, or one called xi."""
        for term in self.hamiltonian.terms:
            if isinstance(term, LowRank) and term.xi is not None:
                return term.xi
        return "xi" if any(slot.name == "xi" for slot in self.hamiltonian.slots) else None

    @property
    def lattice_dimension(self) -> int:
        """Axes of the counted group's lattice; 0 where xi/L is not defined (see `_refusal`)."""
        group = self.hamiltonian.counted[0]
        if len(set(group.shape)) > 1 or len(self.hamiltonian.counted) > 1:
            return 0
        if group.prior.kind is UnitKind.POTTS and not self.spin_glass:
            return 0
        for term in self.hamiltonian.terms:
            if isinstance(term, Pair) and term.a == term.b == group.name:
                graph = term.graph
                if isinstance(graph, Lattice) and graph.name in ORTHOGONAL and all(graph.periodic):
                    return len(group.shape)
        return 0

    @property
    def length_channels(self) -> tuple[str, ...]:
        """The two channels behind the correlation length."""
        return ("q2", "qk2") if self.spin_glass else ("m2", "mk2")

    @property
    def channels(self) -> tuple[str, ...]:
        """All channels, in a fixed order; the energy always, because the verdict needs it."""
        names = list(CHANNELS["energy"])
        for name in self.record:
            extra = self.length_channels if name == "correlation_length_over_L" else CHANNELS[name]
            names += [channel for channel in extra if channel not in names]
        return tuple(names)


class Recorder:
    """Bins of every channel for a set of points; bit-stable under cutting and resuming a run.

    Shapes: ``[point, chain]`` for chain channels, ``[point, 1]`` for pair channels (all pairs of
    chains averaged), ``[point, chain, pattern]`` for the pattern overlaps.
    """

    def __init__(
        self,
        subject: Subject,
        params: Params,
        coefficients: Coefficients,
        rungs: np.ndarray,
        instances: np.ndarray,
        draws: int,
    ):
        self.subject, self.coefficients = subject, coefficients
        self.rungs, self.instances = rungs, instances
        self.draws, self.taken = draws, 0
        self.points, self.chains = len(rungs), subject.chains
        self._rung_of = np.repeat(rungs, self.chains)
        self._instance_of = np.repeat(instances, self.chains)
        self._patterns = None if subject.pattern_slot is None else _patterns(subject, params)
        self._ready = None if self._patterns is None else overlap.ready_patterns(self._patterns)
        self.series: dict[str, BinnedSeries] = {
            name: BinnedSeries(self._shape(name), _CAPACITY.get(name, CAPACITY))
            for name in subject.channels
        }
        self._buffer: dict[str, list[np.ndarray]] = {name: [] for name in subject.channels}
        units = subject.hamiltonian.counted_units
        pairs = self.chains * (self.chains - 1) // 2
        self.pair_sums = {
            name: np.zeros((self.points, pairs)) for name in subject.channels if name in PAIR_CHANNELS
        }
        self.histogram = None
        if "overlap_distribution" in subject.record:
            self.histogram = np.zeros((self.points, units + 1), dtype=np.int64)
        self.sites = None
        if "q_edwards_anderson" in subject.record:
            self.sites = np.zeros((SITE_BLOCKS, self.points, self.chains, units))

    def _shape(self, name: str) -> tuple[int, ...]:
        if name in PAIR_CHANNELS:
            return (self.points, 1)
        if name == "pattern_overlap":
            return (self.points, self.chains, self._patterns.shape[1])
        return (self.points, self.chains)

    def record(self, state: ChainState, lanes_of: np.ndarray) -> None:
        """One draw; ``lanes_of[point, chain]`` is the lane that stands at the point now."""
        values = self._energies(state, lanes_of)
        now = Snapshot(state.configurations, lanes_of)
        values |= self._magnetic(now) | self._pattern(now) | self._pairs(now)
        for name in self._buffer:
            self._buffer[name].append(values[name])
        if self.sites is not None:
            group = self.subject.hamiltonian.counted[0]
            block = min(self.taken * SITE_BLOCKS // self.draws, SITE_BLOCKS - 1)
            self.sites[block] += order.spins(now.x(group), group.prior.kind)
        self.taken += 1
        if len(self._buffer["du_dbeta"]) >= _FLUSH:
            self.flush()

    def flush(self) -> None:
        """Move buffered draws into the bins."""
        for name, held in self._buffer.items():
            if held:
                self.series[name].append(np.stack(held))
                held.clear()

    def _energies(self, state: ChainState, lanes_of) -> dict[str, np.ndarray]:
        E = state.energies[lanes_of]
        flat = E.reshape(lanes_of.size, E.shape[-1])
        first, second = energy_derivatives(
            self.subject.hamiltonian, self.coefficients, flat, self._rung_of
        )
        first, second = first.reshape(lanes_of.shape), second.reshape(lanes_of.shape)
        return {"du_dbeta": first, "du_dbeta_squared": first**2, "d2u_dbeta2": second}

    def _magnetic(self, now: Snapshot) -> dict[str, np.ndarray]:
        wanted = {"m", "abs_m", "m2", "m4", "mk2"} & set(self.series)
        if not wanted:
            return {}
        groups = self.subject.hamiltonian.counted
        total = sum(g.size * now.magnetisation(g) for g in groups)
        m = total / self.subject.hamiltonian.counted_units
        values = {"m": m, "abs_m": np.abs(m), "m2": m**2, "m4": m**4}
        if "mk2" in wanted:
            values["mk2"] = now.lowest_mode(groups[0]).mean(axis=-1)
        return values

    def _pattern(self, now: Snapshot) -> dict[str, np.ndarray]:
        wanted = {"pattern_overlap", "retrieval_overlap", "max_pattern_overlap"} & set(self.series)
        if not wanted:
            return {}
        group = self.subject.hamiltonian.counted[0]
        xi = self._patterns
        if wanted == {"retrieval_overlap"} and not now.counts:
            spins = order.spins(now.x(group), group.prior.kind)
            nominated = xi[self.instances, self.subject.pattern]
            product = np.einsum("pcn,pn->pc", spins, nominated, dtype=np.float64)
            return {"retrieval_overlap": product / group.size}
        m = now.pattern_overlaps(group, self._ready, self._instance_of)
        return {
            "pattern_overlap": m,
            "retrieval_overlap": m[..., self.subject.pattern],
            "max_pattern_overlap": overlap.max_pattern_overlap(m),
        }

    def _pairs(self, now: Snapshot) -> dict[str, np.ndarray]:
        if not set(PAIR_CHANNELS) & set(self.series):
            return {}
        group = self.subject.hamiltonian.counted[0]
        q = group.prior.q or 2
        found: dict[str, list[np.ndarray]] = {name: [] for name in PAIR_CHANNELS}
        for a, b in combinations(range(self.chains), 2):
            pair = now.replica_overlap(group, a, b)
            if self.histogram is not None:
                counts = overlap.overlap_histogram(pair[:, None], group.size, q)
                self.histogram += counts
            for name, value in (("q1", pair), ("q2", pair**2), ("q4", pair**4)):
                found[name].append(value)
            if "qk2" in self.series:
                found["qk2"].append(now.overlap_mode(group, a, b).mean(axis=-1))
        for name, total in self.pair_sums.items():
            total += np.stack(found[name], axis=1)
        return {name: np.mean(v, axis=0)[:, None] for name, v in found.items() if v}

    def copies(self, channel: str) -> np.ndarray:
        """Means of a channel over the run, by chain or by pair of chains, ``[copy, point, ...]``."""
        if channel in PAIR_CHANNELS:
            return (self.pair_sums[channel] / self.taken).T
        return np.moveaxis(self.series[channel].mean(), 1, 0)

    def without(self, channel: str) -> np.ndarray | None:
        """Means of a channel without one chain, ``[chain, point]``; None where nothing would be left.

        A pair channel without chain c is the mean over the pairs that do not contain it.
        """
        if channel in PAIR_CHANNELS:
            if self.chains < 3:
                return None
            pairs = np.array(list(combinations(range(self.chains), 2)))
            means = self.copies(channel)
            kept = [~(pairs == c).any(axis=1) for c in range(self.chains)]
            return np.stack([means[keep].mean(axis=0) for keep in kept])
        if self.chains < 2:
            return None
        means = self.copies(channel)
        return (means.sum(axis=0) - means) / (self.chains - 1)

    def state_dict(self) -> dict[str, np.ndarray]:
        """Everything that is needed to continue with the same bits."""
        self.flush()
        state = {"taken": np.int64(self.taken)}
        for name, held in self.series.items():
            state |= {f"{name}/{key}": value for key, value in held.state_dict().items()}
        state |= {f"pairs/{name}": total for name, total in self.pair_sums.items()}
        if self.histogram is not None:
            state["histogram"] = self.histogram
        if self.sites is not None:
            state["sites"] = self.sites
        return state

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Continue from a `state_dict`."""
        self.taken = int(state["taken"])
        for name in self.series:
            prefix = f"{name}/"
            part = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
            self.series[name] = BinnedSeries.from_state(part)
        self.pair_sums = {name: state[f"pairs/{name}"] for name in self.pair_sums}
        if self.histogram is not None:
            self.histogram = state["histogram"]
        if self.sites is not None:
            self.sites = state["sites"]


def _patterns(subject: Subject, params: Params) -> np.ndarray:
    """Patterns ``[instance, pattern, unit]`` of the counted group."""
    xi = params.arrays[subject.pattern_slot]
    size = subject.hamiltonian.counted[0].size
    return xi.reshape(len(xi), -1, size)

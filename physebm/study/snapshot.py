"""One draw of all points and chains, and the sums over units that observables are made of.

Where kernels keep configurations packed (on a device) and can count them there, only the counts are
taken; they are integers, so that both ways give the same bits. Otherwise, and for continuous units,
configurations are taken and summed here.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from physebm.backends.base import LaneState, Reductions
from physebm.model.hamiltonian import Group
from physebm.model.units import UnitKind
from physebm.observables import order, overlap


@dataclass(frozen=True)
class Snapshot:
    """Configurations of a draw; ``lanes_of[point, chain]`` is the lane that stands at a point now."""

    configurations: LaneState
    lanes_of: np.ndarray

    @cached_property
    def _taken(self) -> dict[str, np.ndarray]:
        return {name: v[self.lanes_of] for name, v in self.configurations.seen.items()}

    def x(self, group: Group) -> np.ndarray:
        """Configurations ``[point, chain, unit]``."""
        return self._taken[group.name]

    def _counted(self, group: Group) -> Reductions | None:
        return self.configurations.reductions if group.prior.discrete else None

    @property
    def counts(self) -> bool:
        """Whether sums over units come from where the configurations stand."""
        return self.configurations.reductions is not None

    def magnetisation(self, group: Group) -> np.ndarray:
        """``m[point, chain]`` of a group's units."""
        kind, counted = group.prior.kind, self._counted(group)
        if counted is None:
            return order.magnetisation(self.x(group), kind, group.prior.q)
        return order.magnetisation_of_counts(counted.state_counts(group.name), kind)[self.lanes_of]

    def lowest_mode(self, group: Group) -> np.ndarray:
        """``|m_k|^2`` at k1 along every axis of the group's lattice, ``[point, chain, axis]``."""
        counted = self._counted(group)
        if counted is not None and group.prior.kind is UnitKind.ISING:
            rows = counted.profiles(group.name, group.shape, self.lanes_of.ravel(), None)
            return order.amplitude_of_profiles([r.reshape(*self.lanes_of.shape, -1) for r in rows])
        s = order.spins(self.x(group), group.prior.kind).astype(np.float64)
        return order.structure_factor_amplitude(
            s.reshape(*s.shape[:-1], *group.shape), len(group.shape)
        )

    def pattern_overlaps(
        self, group: Group, patterns: overlap.Patterns, instance: np.ndarray
    ) -> np.ndarray:
        """``m[point, chain, pattern]`` with the patterns of each lane's instance."""
        counted = self._counted(group)
        if counted is not None and patterns.signs and group.prior.kind is UnitKind.ISING:
            lanes = self.lanes_of.ravel()
            sums = counted.pattern_sums(group.name, patterns.values, lanes, instance)
            return sums.reshape(*self.lanes_of.shape, -1) / group.size
        s = self.x(group).reshape(-1, group.size)
        m = overlap.pattern_overlaps(s, patterns, instance, group.prior.kind)
        return m.reshape(*self.lanes_of.shape, -1)

    def replica_overlap(self, group: Group, a: int, b: int) -> np.ndarray:
        """``q[point]`` between two chains."""
        kind, q, counted = group.prior.kind, group.prior.q or None, self._counted(group)
        if counted is None:
            x = self.x(group)
            return overlap.replica_overlap(x[:, a], x[:, b], kind, q)
        agreeing = counted.agreements(group.name, self.lanes_of[:, a], self.lanes_of[:, b])
        return overlap.overlap_of_agreements(agreeing, group.size, kind, q)

    def overlap_mode(self, group: Group, a: int, b: int) -> np.ndarray:
        """``|q_k|^2`` at k1 between two chains, ``[point, axis]``."""
        kind, q, counted = group.prior.kind, group.prior.q or None, self._counted(group)
        if counted is None:
            x = self.x(group).reshape(*self.lanes_of.shape, *group.shape)
            return overlap.overlap_at_k1(x[:, a], x[:, b], len(group.shape), kind, q)
        rows = counted.profiles(group.name, group.shape, self.lanes_of[:, a], self.lanes_of[:, b])
        return overlap.scaled_agreement(order.amplitude_of_profiles(rows), kind, q)

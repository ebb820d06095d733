"""States that stay in visiting order from one call to the next, where lattices are large.

Putting a lane in visiting order and back takes as long as a sweep. Rows that are small stay in the
cache when one follows another in the same place; large ones do not, and keep places of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from physebm.backends.base import Lanes, LaneState
from physebm.backends.numba_cpu.modules import in_slices, threads_for
from physebm.backends.runs.graph import RUN

KEPT_POSITIONS = 1 << 16


@dataclass(frozen=True)
class Rows:
    """Configurations in visiting order, ``states[lane, place]``, of the lanes' instances.

    `give` is the generated function that writes them back: ``x[unit] = states[position]``.
    """

    name: str
    states: np.ndarray
    order: np.ndarray
    instance: np.ndarray
    give: Callable

    def unpack(self, configurations: Mapping[str, np.ndarray], work: Mapping[str, np.ndarray]) -> None:
        """Write configurations ``{group: x[lane, unit]}``; there are no running quantities."""
        positions, x = self.order.shape[1], configurations[self.name]
        threads = threads_for(x.size, positions)
        in_slices(self.give, positions, threads, x, self.states, self.order, self.instance)

    def hold(self, lanes: Lanes, order: np.ndarray) -> bool:
        """Whether these are rows of such lanes in such an order."""
        return self.order is order and np.array_equal(self.instance, lanes.instance)


def places_of(fixed: Mapping[str, np.ndarray]) -> int:
    """Length of a row, by the arguments of the kernel: positions, zeros, and copied places."""
    return fixed["order0"].shape[1] + RUN + fixed["copied0"].shape[1]


def rows_for(
    state: LaneState, lanes: Lanes, name: str, fixed: Mapping[str, np.ndarray], give: Callable
) -> tuple[Rows, bool]:
    """Rows of the group `name` for a call, and whether they are to be filled from `state`."""
    order, kept = fixed["order0"], state.packed
    if isinstance(kept, Rows) and kept.hold(lanes, order):
        return kept, not state.packed_is_current
    states = np.empty((len(lanes), places_of(fixed)), np.int8)
    return Rows(name, states, order, lanes.instance.copy(), give), True

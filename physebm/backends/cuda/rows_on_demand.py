"""States that stay on the device in a form of a room's own; rows ``[lane, unit]`` on demand.

Sums over units, and states for a training, are taken of rows, which a kernel of the room (``unpack``)
makes without the host, once for all who ask before the states change.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import numpy as np

from physebm.backends.cuda.device import Buffer, Device
from physebm.backends.cuda.on_device import OnDevice
from physebm.lowering.plan import UnitGroup


class RowsOnDemand(ABC):
    """States of the only group of a plan; there are no running quantities."""

    def __init__(self, device: Device, groups: Sequence[UnitGroup]):
        self.device, self._groups = device, groups
        (self._group,) = groups
        self._rows: OnDevice | None = None

    @abstractmethod
    def count(self) -> int:
        """Of lanes."""

    @abstractmethod
    def run(self, kernel: str, x: Buffer) -> None:
        """Launch ``pack`` or ``unpack``: between rows x and the room's own form."""

    def pack(self, x: Mapping[str, np.ndarray]) -> None:
        """Take configurations ``{group: x[lane, unit]}``."""
        self.changed()
        rows = np.ascontiguousarray(x[self._group.name], dtype=np.int8)
        self.run("pack", self.device.upload(rows))

    def unpack(self, configurations: Mapping[str, np.ndarray], work: Mapping[str, np.ndarray]) -> None:
        """Write configurations ``{group: x[lane, unit]}``; nothing is in `work`."""
        self.rows().unpack(configurations, {})
        self.changed()

    def rows(self) -> OnDevice:
        """The configurations, ``[lane, unit]``, until states change."""
        if self._rows is None:
            x = self.device.room((self.count(), self._group.size), np.int8)
            self.run("unpack", x)
            self._rows = OnDevice(self.device, self._groups)
            self._rows.buffers["x0"] = x
        return self._rows

    def changed(self) -> None:
        """Let go of rows that the states no longer say."""
        self._rows = None

    def state_counts(self, group: str) -> np.ndarray:
        """As of rows."""
        return self.rows().state_counts(group)

    def agreements(self, group: str, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """As of rows."""
        return self.rows().agreements(group, a, b)

    def pattern_sums(
        self, group: str, patterns: np.ndarray, lanes: np.ndarray, instance: np.ndarray
    ) -> np.ndarray:
        """As of rows."""
        return self.rows().pattern_sums(group, patterns, lanes, instance)

    def profiles(
        self, group: str, shape: tuple[int, ...], a: np.ndarray, b: np.ndarray | None
    ) -> list[np.ndarray]:
        """As of rows."""
        return self.rows().profiles(group, shape, a, b)

    def states(self, group: str) -> Buffer:
        """As of rows."""
        return self.rows().states(group)

"""Configurations and running quantities that stay on the device from one call to the next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from physebm.backends.cuda.device import Buffer, Device
from physebm.backends.cuda.parameters import state_type
from physebm.backends.cuda.reduce import reduced
from physebm.lowering.plan import UnitGroup


class OnDevice:
    """Configurations and running quantities of a state, by the name of their parameter."""

    def __init__(self, device: Device, groups: Sequence[UnitGroup]):
        self.device = device
        self.names = {f"x{g}": group.name for g, group in enumerate(groups)}
        self.groups = {group.name: (f"x{g}", group) for g, group in enumerate(groups)}
        self.buffers: dict[str, Buffer] = {}

    def pack(self, x: Mapping[str, np.ndarray], work: Mapping[str, np.ndarray]) -> None:
        """Take configurations and running quantities."""
        held = {name: x[group] for name, group in self.names.items()} | dict(work)
        for name, values in held.items():
            buffer = self.buffers.get(name)
            if buffer is not None and (buffer.shape, buffer.dtype) == (values.shape, values.dtype):
                self.device.write(buffer, values)
            else:
                self.buffers[name] = self.device.upload(values)

    def unpack(self, configurations: dict[str, np.ndarray], work: dict[str, np.ndarray]) -> None:
        """Write them into host arrays."""
        for name, buffer in self.buffers.items():
            target = configurations[self.names[name]] if name in self.names else work[name]
            target[...] = self.device.download(buffer)

    def rearrange(self, sources: np.ndarray) -> None:
        """Let lane c stand where lane ``sources[c]`` stands now."""
        rows = self.device.upload(sources.astype(np.int64))
        self.buffers = {name: self.device.take(each, rows) for name, each in self.buffers.items()}

    def state_counts(self, group: str) -> np.ndarray:
        """How many units stand in each state, ``[lane, state]``."""
        prior = self.groups[group][1].prior
        states = prior.q or 2
        low = 0 if prior.q else int(prior.states[0])
        return self._reduced("count_states", group, None, (states,), states=states, low=low)

    def agreements(self, group: str, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """How many units have the same state in two lanes, ``[pair]``."""
        return self._reduced("count_agreements", group, a, (), b=b)

    def pattern_sums(
        self, group: str, patterns: np.ndarray, lanes: np.ndarray, instance: np.ndarray
    ) -> np.ndarray:
        """``sum_i xi_i x_i``, ``[row, pattern]``."""
        count = patterns.shape[1]
        xi, instance = patterns.astype(np.int8), instance.astype(np.int64)
        return self._reduced(
            "sum_patterns", group, lanes, (count,), xi=xi, instance=instance, patterns=count
        )

    def profiles(
        self, group: str, shape: tuple[int, ...], a: np.ndarray, b: np.ndarray | None
    ) -> list[np.ndarray]:
        """Sums over all axes of a lattice but one, ``[row, place]`` per axis."""
        sides = np.array(shape, dtype=np.int64)
        total = int(sides.sum())
        found = self._reduced("sum_profiles", group, a, (total,), b=b, shape=sides, axes=len(shape))
        return np.split(found, np.cumsum(sides)[:-1], axis=1)

    def states(self, group: str) -> Buffer:
        """The configurations of a group, ``[lane, unit]``."""
        return self.buffers[self.groups[group][0]]

    def _reduced(self, kernel: str, group: str, a, columns: tuple[int, ...], b=None, **given):
        declared, x = self.groups[group][1], self.states(group)
        a = np.arange(len(x)) if a is None else a
        b = None if b is None else self.device.upload(b.astype(np.int64))
        arrays = {k: self.device.upload(v) for k, v in given.items() if isinstance(v, np.ndarray)}
        numbers = {k: v for k, v in given.items() if k not in arrays}
        return reduced(
            self.device, kernel, state_type(declared), (len(a), *columns),
            {"x": x, "a": self.device.upload(a.astype(np.int64)), "b": b, **arrays},
            {"units": declared.size, **numbers},
        )  # fmt: skip

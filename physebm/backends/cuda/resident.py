"""What stays on the device for a launch: operands and tables, which kernels read and do not change."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from physebm.backends.base import Launch
from physebm.backends.cuda.device import Device
from physebm.backends.cuda.parameters import DTYPES, Home, Parameter
from physebm.backends.cuda.tables import launch_tables, sizes
from physebm.lowering.plan import SweepPlan


class Resident:
    """Everything of a launch that kernels read and do not change, on the device."""

    def __init__(self, plan: SweepPlan, device: Device, fields: tuple[Parameter, ...], launch: Launch):
        self.launch, self.device = launch, device
        self.version = launch.operands.version
        self.numbers = sizes(plan, launch)
        self.arrays = launch_tables(plan, launch)
        self.fields = [each for each in fields if each.home in (Home.OPERAND, Home.TABLE)]
        self.buffers = {each.name: device.upload(self._values(each)) for each in self.fields}

    def _values(self, each: Parameter) -> np.ndarray:
        values = self.arrays.get(each.name)
        if values is None:
            values = self.launch.operands.arrays[each.name]
        return np.ascontiguousarray(values, dtype=DTYPES[each.type])

    def refresh(self) -> None:
        """Take over operands that were overwritten since (`lowering.operands.update`)."""
        if self.version == self.launch.operands.version:
            return
        changed = self.launch.operands.changed_arrays
        for each in self.fields:
            if each.name in changed:
                self.device.write(self.buffers[each.name], self._values(each))
        self.version = self.launch.operands.version

    def overwritten(self, terms: Iterable[int]) -> None:
        """Say that kernels have overwritten operands of terms: the host has older ones."""
        for t in terms:
            self.launch.operands.overwritten(t)
        self.version = self.launch.operands.version

"""Bytes of device memory that a call will take, counted without a device.

`Counting` is a device that takes nothing and runs nothing: it adds up what kernels ask it for, and
takes off what they let go. Kernels of every room go through the same code as on a GPU, so that nothing
is written twice about what a room takes. What a driver and an allocator need beside (rounding up to
512 bytes, modules, a few hundred MiB of a CUDA context) is not counted.
"""

from __future__ import annotations

import weakref

import numpy as np

from physebm.backends.base import Lanes, LaneState, Launch
from physebm.backends.cuda.device import Device, Function
from physebm.backends.cuda.rooms import kernels_of
from physebm.backends.source import Source
from physebm.lowering.plan import SweepPlan


class _Counted(np.ndarray):
    """A buffer of which only the size counts."""


class Counting:
    """A device that only counts; sizes that decide about kernels are those of another device.

    Attributes
    ----------
    taken, most
        Bytes that are held now, and the most that were held at once.
    """

    name = title = "counting"

    def __init__(self, like: Device):
        self.like = like
        self.taken = self.most = 0

    def __getattr__(self, name: str):
        """Numbers that decide about kernels: those of the other device."""
        return getattr(self.like, name)

    def free_bytes(self) -> None:
        """Any number is free."""

    def upload(self, values: np.ndarray) -> np.ndarray:
        """Room for `values`."""
        return self.room(values.shape, values.dtype)

    def write(self, buffer: np.ndarray, values: np.ndarray) -> None:
        """Nothing: the room is there."""

    def room(self, shape: tuple[int, ...], dtype) -> np.ndarray:
        """A buffer that takes no memory here: all its elements are one."""
        shape = (shape,) if isinstance(shape, int) else tuple(shape)
        buffer = np.broadcast_to(np.zeros((), dtype), shape).view(_Counted)
        self._add(buffer.nbytes)
        weakref.finalize(buffer, self._add, -buffer.nbytes)
        return buffer

    def _add(self, nbytes: int) -> None:
        self.taken += nbytes
        self.most = max(self.most, self.taken)

    def download(self, buffer: np.ndarray) -> np.ndarray:
        """Zeros."""
        return np.array(buffer)

    def address(self, buffer: np.ndarray) -> int:
        """Nowhere."""
        return 0

    def matmul(self, a: np.ndarray, b: np.ndarray, out: np.ndarray, transposed: bool = False) -> None:
        """Nothing: the room is there."""

    def function(self, source: Source, kernel: str) -> Function:
        """A kernel that does nothing; nothing is compiled."""

        def run(*arguments) -> None:
            pass

        return run


def device_bytes(
    plan: SweepPlan, device: Device, state: LaneState, lanes: Lanes, launch: Launch
) -> int:
    """The most bytes that `device` holds at once while lanes are prepared and swept.

    Parameters
    ----------
    device
        Its numbers decide which kernels are taken; nothing is done there.
    state
        Configurations ``{group: x[lane, unit]}``, which stay as they are.
    """
    counting = Counting(device)
    kernels = kernels_of(plan, counting)
    # running quantities are allocated anew, and configurations only read
    swept = LaneState(dict(state.seen))
    kernels.prepare(swept, lanes, launch)
    kernels.sweep(swept, lanes, launch, 0, 1)
    return counting.most

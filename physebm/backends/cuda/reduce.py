"""Counts of configurations on the device (`backends.base.Reductions`): only small arrays come back."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import numpy as np

from physebm.backends.cuda.device import Buffer, Device
from physebm.backends.cuda.emit import library
from physebm.backends.source import Source

ARRAYS = ("x", "a", "b", "xi", "instance", "shape", "out")
NUMBERS = ("units", "states", "low", "patterns", "axes")
STRUCT = np.dtype([(name, np.uint64) for name in ARRAYS] + [(name, np.int64) for name in NUMBERS])


@cache
def reduce_source(state: str) -> Source:
    """The kernels for configurations of a C type; they depend on no plan."""
    text = f"{library('types')}\ntypedef {state} STATE;\n\n{library('reduce')}"
    return Source("reduce_cuda", text)


def reduced(
    device: Device,
    kernel: str,
    state: str,
    shape: tuple[int, ...],
    arrays: Mapping[str, Buffer | None],
    numbers: Mapping[str, int],
) -> np.ndarray:
    """The int64 array `shape` that a kernel fills, a block of threads per row.

    `state` is the C type of a state; `arrays` (on the device) and `numbers` are fields of the struct.
    """
    out = device.room(shape, np.int64)
    struct = np.zeros((), STRUCT)
    for name, buffer in {**arrays, "out": out}.items():
        struct[name] = 0 if buffer is None else device.address(buffer)
    for name, number in numbers.items():
        struct[name] = number
    run = device.function(reduce_source(state), kernel)
    run(shape[0], device.threads, struct, (np.uint32(0),))
    return device.download(out)

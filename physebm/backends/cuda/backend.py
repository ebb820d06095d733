"""Backend ``cuda``: kernels of a plan on the current CUDA device, through CuPy."""

from __future__ import annotations

from functools import cache

from physebm.backends.cuda.cupy_device import CupyDevice
from physebm.backends.cuda.load import CudaKernels
from physebm.backends.cuda.rooms import kernels_of
from physebm.lowering.plan import SweepPlan

name = "cuda"


def compile(plan: SweepPlan) -> CudaKernels:
    """Kernels of a plan; NVRTC compiles them at the first call.

    Raises
    ------
    BackendError
        where no GPU can be used, with the cause and what to do.
    """
    return kernels_of(plan, device())


@cache
def device() -> CupyDevice:
    """The device of all kernels of this process."""
    return CupyDevice()

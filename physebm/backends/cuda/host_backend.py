"""Backend ``cuda-host``: kernels of the CUDA backend on the processor of this machine, for proofs."""

from __future__ import annotations

from functools import cache

from physebm.backends.cuda.host_device import HostDevice
from physebm.backends.cuda.load import CudaKernels
from physebm.backends.cuda.rooms import kernels_of
from physebm.lowering.plan import SweepPlan

name = "cuda-host"


def compile(plan: SweepPlan) -> CudaKernels:
    """Kernels of a plan, built by the host's C++ compiler at the first call."""
    return kernels_of(plan, device())


@cache
def device() -> HostDevice:
    """The device of all kernels of this process."""
    return HostDevice()

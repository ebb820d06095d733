"""Which kernels a plan gets on a device: those of a room that has faster ones than a block per lane."""

from __future__ import annotations

from physebm.backends.cuda.dense.emit import is_dense
from physebm.backends.cuda.dense.load import DenseKernels
from physebm.backends.cuda.device import Device
from physebm.backends.cuda.lattice.load import RunsKernels
from physebm.backends.cuda.load import CudaKernels
from physebm.backends.cuda.planes.load import PlanesKernels
from physebm.backends.cuda.potts.emit import is_gathered
from physebm.backends.cuda.potts.load import GatherKernels
from physebm.backends.cuda.tiles.load import TileKernels
from physebm.backends.cuda.tiles.reads import is_tiled
from physebm.backends.planes.sliced import is_sliced
from physebm.backends.runs.graph import is_in_runs
from physebm.lowering.plan import SweepPlan

ROOMS = (
    (is_sliced, PlanesKernels),
    (is_tiled, TileKernels),
    (is_dense, DenseKernels),
    (is_gathered, GatherKernels),
    (is_in_runs, RunsKernels),
)


def kernels_of(plan: SweepPlan, device: Device) -> CudaKernels:
    """Kernels of a plan on a device: a block of threads per lane where no room has faster ones."""
    made = next((kernels for belongs, kernels in ROOMS if belongs(plan)), CudaKernels)
    return made(plan, device)

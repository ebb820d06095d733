"""The seam's three functions for plans whose Potts units gather their fields; nothing is kept."""

from __future__ import annotations

import numpy as np

from physebm.backends.base import Lanes, LaneState, Launch
from physebm.backends.numba_cpu.modules import imported, in_slices, threads_for
from physebm.backends.numba_cpu.potts.emit import LANES_OF_A_TILE, emit_gathers, operand_names
from physebm.backends.numba_cpu.vector_code import LANES
from physebm.backends.tiling import tiles_of
from physebm.errors import StudyError
from physebm.lowering.plan import SweepPlan

_NO_CLAMP = np.zeros((1, 0), dtype=bool)


class GatherKernels:
    """Compiled kernels of one plan."""

    def __init__(self, plan: SweepPlan):
        self.plan = plan
        self._sweep = imported(emit_gathers(plan)).sweep

    def prepare(self, state: LaneState, lanes: Lanes, launch: Launch) -> None:
        """Nothing to prepare: fields are gathered when a unit is drawn."""

    def sweep(
        self, state: LaneState, lanes: Lanes, launch: Launch, first: int, count: int
    ) -> np.ndarray:
        """Advance every lane in place by sweeps ``first .. first+count-1``; `E_lt` afterwards."""
        if first + count > 2**32:
            raise StudyError("a chain is limited to 2^32 sweeps, the range of its counter word")
        return self._call(state.x, lanes, launch, first, count)

    def energies(self, state: LaneState, lanes: Lanes, launch: Launch) -> np.ndarray:
        """Bare term energies of the present configurations."""
        return self._call(state.x, lanes, launch, 0, 0)

    def _call(self, x, lanes: Lanes, launch: Launch, first: int, count: int) -> np.ndarray:
        E = np.zeros((len(lanes), len(self.plan.terms)))
        group = self.plan.groups[0]
        threads = threads_for(len(lanes) * group.size * max(count, 1), -(-len(lanes) // LANES))
        tiles = tiles_of(lanes.instance, threads, LANES_OF_A_TILE, LANES)
        in_slices(
            self._sweep, len(tiles), min(threads, len(tiles)),
            tiles, first, count, lanes.instance, lanes.rung, lanes.walker, lanes.key,
            launch.coefficients.value, E, x[group.name], lanes.clamp.get(group.name, _NO_CLAMP),
            *(launch.operands.arrays[name] for name in operand_names(self.plan)),
        )  # fmt: skip
        return E

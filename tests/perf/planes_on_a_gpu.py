"""Unit updates per ns of bit-sliced lattices on a GPU, by either module, beside derived ceilings.

Run: ``python tests/perf/planes_on_a_gpu.py [--quick]``; a minute or two, most of it on the host, where
lattices are coloured. Each row sets the work up, sweeps once (NVRTC compiles), then doubles the number
of sweeps of a call until one takes half a second; a call ends when the energies are on the host.

``whole`` has a lattice per block of threads, ``parts`` a launch per colour class: `cuda.planes.shape`
chooses by a derived model of their times, marked by a star; where the other one is faster, its numbers
there are to be corrected. Ceilings are those of `cuda.planes.emit`, for 132 multiprocessors at 1.755
GHz.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from physebm.backends import base
from physebm.backends.base import Lanes
from physebm.backends.cuda.backend import device
from physebm.backends.cuda.planes.load import PlanesKernels
from physebm.errors import BackendError
from physebm.lowering.operands import bind
from physebm.lowering.pipeline import Options, lower
from physebm.model.params import stack
from physebm.sampling import initial
from physebm.study.models import load_model

CALL_SECONDS = 0.5
# (model, L, temperatures, chains at each of them, samples of disorder, ceiling)
WORKS = (
    ("ising_2d", 64, 8, 4096, 1, 2740),
    ("ising_2d", 256, 8, 512, 1, 2740),
    ("ising_2d", 4096, 1, 32, 1, 2740),
    ("edwards_anderson_3d", 8, 30, 32, 256, 2110),
    ("edwards_anderson_3d", 16, 30, 1, 64, 2110),
    ("edwards_anderson_3d", 16, 30, 32, 64, 2110),
    ("edwards_anderson_3d", 32, 30, 1, 64, 2110),
)


class Work:
    """Lanes of a lattice at several temperatures and samples, in a random state."""

    def __init__(self, name: str, L: int, temperatures: int, chains: int, samples: int):
        model = load_model(name, L=L)
        params = stack([model.params(0, sample) for sample in range(samples)])
        self.plan = lower(model.hamiltonian, Options.of(params, "heat-bath", temperatures * chains))
        operands = bind(self.plan, model.hamiltonian, params)
        rungs = model.coefficients(list(np.linspace(0.8, 2.4, temperatures)))
        self.launch = base.launch(self.plan, operands, rungs)
        sample, rung, chain = np.indices((samples, temperatures, chains)).reshape(3, -1)
        # walkers of a sample share its key, as in a study that exchanges temperatures
        key = np.stack([sample + 1, sample + 2], axis=1)
        self.lanes = Lanes(sample, rung, rung * chains + chain, key)
        self.state = initial.empty(self.plan, len(self.lanes))
        rows = initial.random(self.plan, self.lanes, 0, slice(None))
        self.state.x[self.plan.groups[0].name][:] = rows

    def per_nanosecond(self, kernels: PlanesKernels) -> float:
        """Unit updates per ns of a call of many sweeps."""
        count, seconds = 1, 0.0
        kernels.sweep(self.state, self.lanes, self.launch, 0, 1)
        while seconds < CALL_SECONDS:
            count *= 2
            began = time.perf_counter()
            kernels.sweep(self.state, self.lanes, self.launch, 1, count)
            seconds = time.perf_counter() - began
        return len(self.lanes) * self.plan.groups[0].size * count / seconds * 1e-9


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small lattices only")
    quick = parser.parse_args().quick
    try:
        card = device()
    except BackendError as error:
        raise SystemExit(str(error)) from None
    print(f"{'lattice':>24} {'lanes':>8} {'whole':>9} {'parts':>9} {'ceiling':>9}")
    for name, L, temperatures, chains, samples, ceiling in WORKS:
        if quick and L > 64:
            continue
        work, found = Work(name, L, temperatures, chains, samples), []
        chosen = PlanesKernels(work.plan, card)
        chosen.energies(work.state, work.lanes, work.launch)
        taken = work.state.packed.shape.whole
        for whole in (True, False):
            star = "*" if whole == taken else " "
            if whole and 4 * L ** int(name[-2]) > card.shared - 16384:
                found.append("-")
                continue
            speed = work.per_nanosecond(PlanesKernels(work.plan, card, whole))
            found.append(f"{speed:.0f}{star}")
        print(f"{name + f' L={L}':>24} {len(work.lanes):>8} {found[0]:>9} {found[1]:>9} {ceiling:>9}")


if __name__ == "__main__":
    main()

"""Throughput of the kernels for GPUs: what was measured, the ceiling, and their ratio, as a table.

::

    python tests/gpu/throughput.py --out throughput.md           on a machine with a GPU, some minutes
    python tests/gpu/throughput.py --backend cuda-host --small   anywhere: that it runs, no speeds

Measured is what a study gets: calls of kernels with everything that they bring back, after one call
that compiles; the longest call is timed, of at least `--seconds`. Ceilings are derived, not measured,
for 132 multiprocessors at 1.755 GHz (one H100 or H200). Updates count every unit of every chain.
"""

from __future__ import annotations

import argparse
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from physebm.backends.base import Lanes, launch
from physebm.backends.cuda.memory import device_bytes
from physebm.backends.select import ON_DEVICES, Choice, choice, select
from physebm.errors import PhysebmError
from physebm.learning.chains import ChainOptions
from physebm.learning.optimisers import Schedule
from physebm.learning.recipe import Problem, Recipe
from physebm.learning.train import Trainer
from physebm.lowering.operands import bind
from physebm.lowering.pipeline import Options, lower
from physebm.model.params import stack
from physebm.rng.streams import key_of
from physebm.sampling import initial
from physebm.sampling.chain import PlanSampler
from physebm.sampling.tempering import Ladders, ParallelTempering
from physebm.storage.provenance import git_commit
from physebm.study.models import load_model

UPDATES, STEPS = "updates/ns", "1e6 chain-steps/s"
SWEEPS_BETWEEN_EXCHANGES = 10
# Ceilings where no line of a table has them: dense couplings of N = 4096 have 28 updates/ns, patterns
# two multiply-adds for each of P; a row of q additions for each other unit at 2.97e13 additions/s.
DENSE = {1024: 114.0, 4096: 28.0}
ADDITIONS_PER_NS = 132 * 128 * 1.755


@dataclass(frozen=True)
class Case:
    """What is swept: `small` are the sizes at which it runs anywhere; `ceiling` in its unit."""

    title: str
    model: str
    size: dict[str, int]
    chains: int
    ceiling: float
    small: dict[str, int]
    small_chains: int
    samples: int = 1
    temperatures: tuple[float, ...] = (1.0,)
    unit: str = UPDATES

    def named(self, small: bool) -> str:
        """The title; of tiny sizes the sizes too."""
        sizes = ", ".join(f"{name} = {value}" for name, value in self.small.items())
        return f"{self.title}, here {sizes}" if small else self.title


GLASS = tuple(np.linspace(0.7, 2.2, 30))
CASES = (
    Case("2D Ising, 32 lattices L = 4096", "ising_2d", {"L": 4096}, 32, 2650, {"L": 8}, 32),
    Case("2D Ising, one lattice L = 4096", "ising_2d", {"L": 4096}, 1, 1160, {"L": 8}, 1),
    *(
        Case(
            f"3D +-J L = {L}, 30 temperatures x 64 samples, exchanges",
            *("edwards_anderson_3d", {"L": L}, 30, 2650, {"L": 4}, 30, 64, GLASS),
        )
        for L in (16, 32)
    ),
    *(
        Case(f"SK N = {N}, 1024 replicas", "sk", {"N": N}, 1024, DENSE[N], {"N": 24}, 64)
        for N in (1024, 4096)
    ),
    Case(
        "Hopfield N = 4096, 205 patterns, 1024 replicas",
        *("hopfield", {"N": 4096, "P": 205}, 1024, DENSE[4096] * 4096 / 410, {"N": 32, "P": 3}, 64),
    ),
    Case(
        "Potts L = 100, q = 21, 10,000 chains",
        *("potts_machine", {"L": 100, "q": 21}, 10_000, ADDITIONS_PER_NS / (99 * 21)),
        *({"L": 5, "q": 4}, 64),
    ),
    Case(
        "RBM 784x500, 10,000 chains, sweeps alone",
        *("rbm", {"Nv": 784, "Nh": 500}, 10_000, 150, {"Nv": 20, "Nh": 12}, 40),
        unit=STEPS,
    ),
)


@dataclass(frozen=True)
class Row:
    """A line of the table; `measured` is None where the case failed, for the reason in `kernels`."""

    title: str
    kernels: str
    unit: str
    measured: float | None
    ceiling: float
    first: float = 0.0
    nbytes: int = 0


def timed(run: Callable[[int], object], seconds: float) -> tuple[float, float, int]:
    """Seconds of the first call and of the longest, and the count of that: ``run(count)``."""
    start = time.perf_counter()
    run(1)
    first = time.perf_counter() - start
    count = 1
    while True:
        start = time.perf_counter()
        run(count)
        spent = time.perf_counter() - start
        if spent >= seconds:
            return first, spent, count
        count = max(2 * count, min(32 * count, int(1.2 * count * seconds / max(spent, 1e-6))))


def swept(case: Case, backend: str, small: bool, seconds: float) -> Row:
    """Sweeps of a case; with exchanges where it has several temperatures."""
    samples, temperatures = min(case.samples, 2) if small else case.samples, case.temperatures
    chains = case.small_chains if small else case.chains
    model = load_model(case.model, **(case.small if small else case.size))
    params = stack([model.params(1, sample) for sample in range(samples)])
    tempered = len(temperatures) > 1
    rungs = len(temperatures)
    together = rungs if tempered else chains
    plan = lower(model.hamiltonian, Options.of(params, "heat-bath", together))
    bound = launch(plan, bind(plan, model.hamiltonian, params), model.coefficients(list(temperatures)))
    index = np.arange(samples * together)
    keys = np.array([key_of(1, "throughput", sample) for sample in range(samples)], dtype=np.uint32)
    instance, walker = index // together, index % together
    rung = walker if tempered else np.zeros_like(index)
    lanes = Lanes(instance, rung, walker, keys[instance])
    state = initial.empty(plan, len(lanes))
    rng = np.random.default_rng(1)
    for group in plan.groups:
        states, x = group.prior.states, state.x[group.name]
        x[:] = np.array(states, x.dtype)[rng.integers(len(states), size=x.shape, dtype=np.uint8)]
    nbytes = 0
    if backend in ON_DEVICES:
        nbytes = device_bytes(plan, select(backend).device(), state, lanes, bound)
    kernels = select(backend).compile(plan)
    sampler = PlanSampler(kernels, bound)
    if tempered:
        ladders = Ladders.of([np.arange(rungs)] * samples, keys, np.zeros(samples))
        sampler = ParallelTempering(sampler, ladders, bound.coefficients, SWEEPS_BETWEEN_EXCHANGES)
    every = SWEEPS_BETWEEN_EXCHANGES if tempered else 1
    held = [sampler.init(state, lanes)]

    def run(count: int) -> None:
        held[0] = sampler.step(held[0], count * every)

    first, spent, count = timed(run, seconds)
    assert np.isfinite(held[0].energies).all()
    units = sum(group.size for group in plan.groups)
    rate = len(lanes) * count * every / spent * (1e-6 if case.unit == STEPS else 1e-9 * units)
    return Row(case.named(small), told(kernels), case.unit, rate, case.ceiling, first, nbytes)


def trained(backend: str, small: bool, seconds: float) -> Row:
    """Updates of PCD-10: data, gradient and step are part of it."""
    visible, hidden, samples, batch, chains, k = (
        (20, 12, 60, 20, 40, 10) if small else (784, 500, 10_000, 500, 10_000, 10)
    )
    model = load_model("rbm", Nv=visible, Nh=hidden)
    data = (np.random.default_rng(0).random((samples, visible)) < 0.3).astype(np.int8)
    weights = np.full(samples, 1.0 / samples)
    problem = Problem(
        model.hamiltonian, model.params(1), model.coefficients([1.0]), {"v": data}, weights
    )
    recipe = Recipe(
        method="pcd",
        updates=10**9,
        batch=batch,
        chains=ChainOptions("pcd", k, chains),
        rate=Schedule(0.01),
        centred=True,
    )
    trainer = Trainer(problem, recipe, select(backend), 1)
    first, spent, count = timed(lambda count: trainer.run(trainer.update + count), seconds)
    rate = chains * k * count / spent / 1e6
    title = "RBM 784x500, 10,000 chains, PCD-10 updates"
    return Row(title, told(trainer.chains.kernels), STEPS, rate, 150.0, first)


def told(kernels) -> str:
    """The kernels' class and the plan's layout."""
    return f"{type(kernels).__name__}, {kernels.plan.layout}"


def measured(backend: str, small: bool, seconds: float) -> list[Row]:
    """All rows; a case that fails has its message, and the others go on."""
    rows = []
    runs = [
        (case.named(small), lambda case=case: swept(case, backend, small, seconds)) for case in CASES
    ]
    runs.append(("RBM 784x500, PCD-10 updates", lambda: trained(backend, small, seconds)))
    for title, run in runs:
        try:
            rows.append(run())
        except (PhysebmError, MemoryError) as error:
            rows.append(Row(title, f"failed: {str(error).splitlines()[0]}", "", None, 0.0))
        print(line(rows[-1]), flush=True)
    return rows


def line(row: Row) -> str:
    """A row in Markdown."""
    cells = [row.title, row.kernels]
    if row.measured is None:
        return f"| {' | '.join([*cells, *'-----'])} |"
    cells += [
        f"{row.measured:.4g} {row.unit}",
        f"{row.ceiling:.4g}",
        f"{row.measured / row.ceiling:.2g}",
    ]
    cells += [f"{row.first:.1f} s", f"{row.nbytes / 2**20:.0f} MiB" if row.nbytes else "-"]
    return f"| {' | '.join(cells)} |"


HEAD = (
    "| case | kernels | measured | ceiling (derived) | ratio | first call | on the device |\n"
    "|---|---|---|---|---|---|---|"
)


def report(rows: list[Row], taken: Choice, small: bool) -> str:
    """The whole file."""
    sizes = "\n\nTiny sizes, to see that it runs: **no speed of a GPU**." if small else ""
    return (
        f"# Throughput, {taken}\n\n{datetime.now(UTC):%Y-%m-%d}, {platform.platform()}, "
        f"commit {git_commit() or 'unknown'}{sizes}\n\n" + "\n".join([HEAD, *map(line, rows)]) + "\n"
    )


def main() -> None:
    """Measure, print, and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="Markdown file to write")
    parser.add_argument("--backend", default="cuda")
    parser.add_argument("--small", action="store_true", help="tiny sizes: only to see that it runs")
    parser.add_argument("--seconds", type=float, default=None, help="of the longest call  [default: 2]")
    asked = parser.parse_args()
    seconds = asked.seconds or (0.02 if asked.small else 2.0)
    try:
        taken = choice(asked.backend)
    except PhysebmError as error:
        parser.exit(error.exit_status, f"{error}\n")
    print(f"backend  {taken}\n{HEAD}", flush=True)
    rows = measured(taken.name, asked.small, seconds)
    if asked.out is not None:
        asked.out.write_text(report(rows, taken, asked.small), encoding="utf-8")
    if any(row.measured is None for row in rows):
        parser.exit(1, "some cases failed\n")


if __name__ == "__main__":
    main()

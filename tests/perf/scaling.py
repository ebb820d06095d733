"""How cost and memory grow: tables against N, chains, temperatures, threads and points of a study.

Run: ``python tests/perf/scaling.py [--quick] [--threads 2]``; a minute on two idle cores, after a first
run that compiles the kernels. Three plans: a square lattice of Ising units in bit planes (`ising_2d`,
units = L^2), the Sherrington-Kirkpatrick model (`sk`, units = N) and a binary machine with as many
hidden as visible units (`rbm`, units = 2 Nv).

Columns
-------
seconds
    of one sweep of all chains, the least of several rounds of at least 20 ms (what else runs on the
    machine only adds).
ns / update
    the same in nanoseconds per unit and chain.
exponent
    d log(seconds) / d log(x), between the row and the one above; below a table the slope of a straight
    line through its larger half, beside what the algorithm needs: a sweep of a lattice costs as N, of a
    dense model as N^2, all as the number of chains (and temperatures) once the lanes fill vectors and
    threads; threads at best as -1.
memory
    peak of all arrays while a model is drawn and bound and 64 chains are swept, as Python's tracemalloc
    counts it; for dense models at least the couplings, as drawn in float64 and in the precision of the
    kernels. What kernels allocate for themselves (a few rows per thread) is not in it.

The last table is the overhead of `physebm run`: wall time per point of scans of very small runs (4 x 4
units, 64 draws), everything from the study file to the result included.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numba
import numpy as np

from physebm.backends.base import Lanes, launch
from physebm.backends.select import select
from physebm.lowering.operands import bind
from physebm.lowering.pipeline import Options, lower
from physebm.sampling import initial
from physebm.sampling.chain import PlanSampler
from physebm.study.models import load_model
from physebm.study.runner import run_study

CHAINS = 64
ROUND_SECONDS = 0.02
STUDY = """
title  = "many small points"
source = "synthetic"
model  = "ising_2d"
[set]
L = 4
[scan]
temperature = {{ linspace = [1.0, 4.0, 20] }}
h           = {{ linspace = [0.0, 1.0, {fields}] }}
[sample]
chains  = 2
discard = 10
sweeps  = 64
every   = 1
[observe]
record = ["energy", "abs_magnetisation", "specific_heat"]
"""


@dataclass(frozen=True)
class Case:
    """A plan and the sizes it is asked for; `units` and `cost` of a size, `power` of cost in units."""

    model: str
    size: str
    sizes: tuple[int, ...]
    middle: int
    temperature: float
    units: Callable[[int], int]
    power: float

    def parameters(self, size: int) -> dict[str, int]:
        """Parameters of the model at a size."""
        return {"Nv": size, "Nh": size} if self.model == "rbm" else {self.size: size}


CASES = (
    Case("ising_2d", "L", (16, 32, 64, 128, 256, 512), 64, 2.5, lambda L: L * L, 1.0),
    Case("sk", "N", (64, 128, 256, 512, 1024), 256, 1.0, lambda N: N, 2.0),
    Case("rbm", "Nv", (64, 128, 256, 512, 1024), 256, 1.0, lambda n: 2 * n, 2.0),
)


class Run:
    """Chains of a model at some temperatures, ready to sweep."""

    def __init__(self, case: Case, size: int, chains: int, temperatures: int = 1):
        model = load_model(case.model, **case.parameters(size))
        params = model.params(seed=1)
        count = chains * temperatures
        self.plan = lower(model.hamiltonian, Options.of(params, lanes=count))
        ladder = case.temperature * np.linspace(1.0, 1.5, temperatures)
        bound = launch(
            self.plan, bind(self.plan, model.hamiltonian, params), model.coefficients(ladder)
        )
        rung = np.repeat(np.arange(temperatures), chains)
        lanes = Lanes(np.zeros(count), rung, np.arange(count), np.ones((count, 2)))
        state = initial.empty(self.plan, count)
        for g, group in enumerate(self.plan.groups):
            state.x[group.name][:] = initial.random(self.plan, lanes, g, np.arange(count))
        self.sampler = PlanSampler(select("numba").compile(self.plan), bound)
        self.state = self.sampler.init(state, lanes)

    def sweep(self, count: int) -> float:
        """Seconds of `count` sweeps."""
        begun = time.perf_counter()
        self.state = self.sampler.step(self.state, count)
        return time.perf_counter() - begun

    def seconds(self, rounds: int) -> float:
        """Seconds of one sweep: the least of some rounds."""
        self.sweep(1)
        count = 1
        while (taken := self.sweep(count)) < ROUND_SECONDS:
            count = max(2 * count, int(1.2 * count * ROUND_SECONDS / taken))
        return min(taken, *(self.sweep(count) for _ in range(rounds))) / count


def slope(x: Sequence[float], y: Sequence[float]) -> float:
    """Slope of log y over log x, by least squares."""
    return float(np.polyfit(np.log(x), np.log(y), 1)[0]) if len(x) > 1 else float("nan")


def table(title: str, name: str, rows: list[tuple], expected: float) -> None:
    """Print rows ``(x, label, seconds, note)`` with exponents between them and of the larger half."""
    print(f"\n{title}\n{name:>12} {'seconds':>11} {'exponent':>9}")
    for i, (x, label, seconds, note) in enumerate(rows):
        local = f"{slope([rows[i - 1][0], x], [rows[i - 1][2], seconds]):9.2f}" if i else " " * 9
        print(f"{label:>12} {seconds:11.3e} {local}  {note}")
    half = rows[(len(rows) - 1) // 2 :]
    fitted = slope([row[0] for row in half], [row[2] for row in half])
    print(f"{'fit':>12} {'':11} {fitted:9.2f}  the algorithm: {expected:g}")


def row(x: int, label: int, seconds: float, updates: int, note: str = "") -> tuple:
    """A row of a table with nanoseconds per update."""
    return x, str(label), seconds, f"{1e9 * seconds / updates:9.4f} ns / update{note}"


def sizes(case: Case, rounds: int, quick: bool) -> None:
    """Cost and peak memory against the size."""
    rows = []
    for size in case.sizes[:-1] if quick else case.sizes:
        units, used = case.units(size), memory(case, size)
        run = Run(case, size, CHAINS)
        taken = run.seconds(rounds)
        rows.append(row(units, size, taken, units * CHAINS, f"  {used:8.1f} MB at the peak"))
    layout = f"{run.plan.layout.name.lower()}, {run.plan.moves[0].decision.name.lower()}"
    table(f"{case.model} ({layout}): {CHAINS} chains", case.size, rows, case.power)


def memory(case: Case, size: int) -> float:
    """Peak of all arrays, in MB, of drawing, binding and sweeping a model of this size."""
    tracemalloc.start()
    try:
        Run(case, size, CHAINS).sweep(2)
        return tracemalloc.get_traced_memory()[1] / 2**20
    finally:
        tracemalloc.stop()


def chains(case: Case, rounds: int) -> None:
    """Cost against the number of chains."""
    units = case.units(case.middle)
    rows = [
        row(n, n, Run(case, case.middle, n).seconds(rounds), units * n) for n in (16, 64, 256, 1024)
    ]
    table(f"{case.model}, {case.size} = {case.middle}: chains", "chains", rows, 1.0)


def temperatures(case: Case, rounds: int) -> None:
    """Cost against the number of temperatures, chains of each swept together."""
    units = case.units(case.middle)
    rows = [
        row(k, k, Run(case, case.middle, CHAINS, k).seconds(rounds), units * CHAINS * k)
        for k in (1, 2, 4, 8, 16)
    ]
    title = f"{case.model}, {case.size} = {case.middle}, {CHAINS} chains of each: temperatures"
    table(title, "temperatures", rows, 1.0)


def threads(case: Case, rounds: int, most: int) -> None:
    """Cost against the number of threads."""
    units, count = case.units(case.middle), 8 * CHAINS
    run, rows = Run(case, case.middle, count), []
    for n in (n for n in (1, 2, 4, 8, 16, 32, 64) if n <= most):
        numba.set_num_threads(n)
        rows.append(row(n, n, run.seconds(rounds), units * count))
    if len(rows) > 1:
        title = f"{case.model}, {case.size} = {case.middle}, {count} chains: threads"
        table(title, "threads", rows, -1.0)


def study(quick: bool) -> None:
    """Wall time per point of whole studies of small points."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for fields in (5, 50, 100, 200) if quick else (5, 50, 100, 200, 400):
            path = Path(folder) / f"s{fields}.toml"
            path.write_text(STUDY.format(fields=fields))
            begun = time.perf_counter()
            run_study(path, out=Path(folder) / f"s{fields}.nc")
            taken, points = time.perf_counter() - begun, 20 * fields
            rows.append((points, str(points), taken, f"{1e3 * taken / points:9.4f} ms / point"))
    # the first one loads code
    table("a whole study, ising_2d L = 4", "points", rows[1:], 1.0)


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="smaller sizes, fewer rounds")
    parser.add_argument("--threads", type=int, default=numba.config.NUMBA_NUM_THREADS)
    asked = parser.parse_args()
    rounds = 3 if asked.quick else 7
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    print(f"{asked.threads} threads of {os.cpu_count()} cores, load before {load:.1f}")
    for case in CASES:
        numba.set_num_threads(asked.threads)
        sizes(case, rounds, asked.quick)
        chains(case, rounds)
        temperatures(case, rounds)
        threads(case, rounds, asked.threads)
    study(asked.quick)


if __name__ == "__main__":
    main()

"""Spin models by peapods, OpenJij, dwave-samplers and plain numba loops.

peapods: heat bath ("gibbs"), which is as fast as its Metropolis; 32 copies of one sample of couplings
as its disorder axis, so that no overlaps are computed; it measures every sweep after its warm-up, so a
tenth of the sweeps is measured. OpenJij and dwave-samplers use one thread: they run as two processes,
half of the reads each; two lengths of run are subtracted from each other, since set-up and the form of
their results would otherwise count. OpenJij takes dense couplings as dense (`sparse=False`, twice as
fast). Both anneal at constant temperature; neither exchanges replicas nor measures along the way.
"""

from __future__ import annotations

import cores
import numpy as np
from problems import lattice, patterns, sk, temperatures
from timing import Timed, measured, sloped
from works import WORKS


def numba(work: str, repetitions: int | None) -> Timed:
    """The loops of `plain`."""
    size = WORKS[work].size
    run, units = (_dense if "N" in size else _checkerboard)(work, size)
    run()
    run()
    return measured(run, units, repetitions)


def _dense(work, size):
    import plain

    N, chains = size["N"], size["chains"]
    if "P" in size:
        xi = patterns(size["P"], N).astype(np.float64)
        J = xi.T @ xi / N
        np.fill_diagonal(J, 0)
    else:
        J = sk(N)
    J = np.ascontiguousarray(J, dtype=np.float32)
    s = np.random.default_rng(0).choice(np.array([-1, 1], np.float32), (chains, N))
    h, beta, sweeps = s @ J, np.float32(1 / size["T"]), 5 if N > 1000 else 20
    plain.dense(s, h, J, beta, 50)
    return lambda: plain.dense(s, h, J, beta, sweeps), N * chains * sweeps


def _checkerboard(work, size):
    import plain

    d, L, chains = size["d"], size["L"], size["chains"]
    ladder, J, rng = temperatures(work), lattice(work), np.random.default_rng(0)
    sites, count = L**d, chains * len(ladder)
    s = rng.choice(np.array([-1, 1], np.int8), (count, *[L] * d))
    up = 1 / (1 + np.exp(-2 / ladder[:, None] * np.arange(-2 * d, 2 * d + 1, 2)))
    if work == "ising2d_large":
        return lambda: plain.one_square_lattice(s[0], up[0], 5), sites * 5
    if work == "ea_gaussian":
        s, J, beta = s.astype(np.float32), J.astype(np.float32), np.float32(1 / ladder[0])
        return lambda: plain.cubic_real(s, J, beta, 20), sites * count * 20
    rung = np.tile(np.arange(len(ladder)), chains)
    lane_of = np.arange(count).reshape(chains, -1).copy()
    E, means, rounds = np.zeros(count, np.int64), np.zeros(lane_of.shape), [0]

    def run() -> None:
        for _ in range(2):
            if d == 2:
                plain.square_lattices(s, up, rung, E, 10)
            else:
                plain.cubic_lattices(s, J, up, rung, E, 10)
            plain.exchange(rung, lane_of, E, 1 / ladder, rounds[0] % 2)
            means[:] += E[lane_of]
            rounds[0] += 1

    return run, sites * count * 20


def peapods(work: str, repetitions: int | None) -> Timed:
    """Its `Ising`; the ladder of the work, or as many copies of the one temperature as chains."""
    from peapods import Ising

    size, ladder = WORKS[work].size, temperatures(work)
    shape, tempered = (size["L"],) * size["d"], len(ladder) > 1
    J = np.ascontiguousarray(np.moveaxis(lattice(work), 0, -1), dtype=np.float32)
    if tempered:
        couplings = np.repeat(J[None], size["chains"], axis=0)
        model = Ising(shape, couplings, ladder, n_disorder=size["chains"])
    else:
        model = Ising(shape, J, np.repeat(ladder, size["chains"]))
    sweeps, more = (40, {"pt_interval": 10}) if tempered else (200, {})

    def run() -> None:
        model.sample(sweeps, sweep_mode="gibbs", warmup_ratio=0.9, **more)

    run()
    units = np.prod(shape) * size["chains"] * len(ladder) * sweeps
    return measured(run, float(units), repetitions)


def dwave(work: str, repetitions: int | None) -> Timed:
    """`SimulatedAnnealingSampler` at constant temperature."""
    import dimod
    from dwave.samplers import SimulatedAnnealingSampler

    beta, J = 1 / float(np.mean(temperatures(work))), _pairs(work)
    model, sampler = dimod.BinaryQuadraticModel.from_ising({}, J), SimulatedAnnealingSampler()

    def anneal(reads: int, sweeps: int, seed: int) -> None:
        given = {"beta_schedule_type": "custom", "beta_schedule": [beta] * sweeps}
        sampler.sample(model, num_reads=reads, seed=seed, **given)

    return _annealed(work, anneal, repetitions)


def openjij(work: str, repetitions: int | None) -> Timed:
    """`SASampler` at constant temperature."""
    import openjij

    beta, J = 1 / float(np.mean(temperatures(work))), _pairs(work)
    sparse, sampler = "L" in WORKS[work].size, openjij.SASampler()

    def anneal(reads: int, sweeps: int, seed: int) -> None:
        given = {"num_sweeps": sweeps, "beta_min": beta, "beta_max": beta, "sparse": sparse}
        sampler.sample_ising({}, J, num_reads=reads, seed=seed, **given)

    return _annealed(work, anneal, repetitions)


def _pairs(work: str) -> dict[tuple[int, int], float]:
    """Couplings as the samplers take them, with the sign of an energy to be minimised."""
    size = WORKS[work].size
    if "N" in size:
        J = sk(size["N"])
        return {(i, j): -float(J[i, j]) for i in range(size["N"]) for j in range(i)}
    index = np.arange(size["L"] ** size["d"]).reshape((size["L"],) * size["d"])
    pairs = {}
    for axis, J in enumerate(lattice(work)):
        for i, j, w in zip(index.ravel(), np.roll(index, -1, axis).ravel(), J.ravel()):
            pairs[int(i), int(j)] = -float(w)
    return pairs


def _annealed(work: str, anneal, repetitions: int | None) -> Timed:
    """Half of the reads in each of as many processes as threads."""
    import multiprocessing

    size = WORKS[work].size
    units = size["N"] if "N" in size else size["L"] ** size["d"]
    reads = 64 if "N" in size else max(4, 2 * round(2**17 / units / 2))
    # the long run takes a few tenths of a second
    updates = 3e7 if "L" in size else 4e9 / units
    many = max(20, int(updates / (units * reads)))
    share = reads // cores.THREADS
    # the children know `anneal` from the fork; only numbers travel
    jobs = multiprocessing.get_context("fork")
    ways = [jobs.Pipe() for _ in range(cores.THREADS)]
    for place, (_, there) in enumerate(ways):
        jobs.Process(target=_serve, args=(there, anneal, share, place), daemon=True).start()

    def run(sweeps: int) -> None:
        for here, _ in ways:
            here.send(sweeps)
        for here, _ in ways:
            here.recv()

    run(many // 5)
    return sloped(run, many // 5, many, units * share * cores.THREADS, repetitions)


def _serve(way, anneal, reads: int, seed: int) -> None:
    while True:
        anneal(reads, way.recv(), seed + 1)
        way.send(True)


SPINS = {"numba": numba, "peapods": peapods, "dwave": dwave, "openjij": openjij}
